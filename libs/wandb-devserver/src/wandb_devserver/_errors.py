"""Exceptions of this package.

DevServerError
|-- NotFoundError (also LookupError)     a run or project that is not on the server
`-- UsageError (also ValueError)         an argument or a request that cannot be served
"""

from __future__ import annotations


class DevServerError(Exception):
    """Base class of all errors that this package raises."""


class NotFoundError(DevServerError, LookupError):
    """The requested run, sweep or project does not exist; the message lists those that do."""


class UsageError(DevServerError, ValueError):
    """An argument or a request is invalid; the message states what to change."""
