"""What callers of this package can catch.

DevServerError
|-- NotFoundError (also LookupError)     a run or project that is not on the server
`-- UsageError (also ValueError)         an argument or a request that cannot be served
"""

from __future__ import annotations


class DevServerError(Exception):
    """Base of every error this package raises on purpose."""


class NotFoundError(DevServerError, LookupError):
    """What was asked for is not on the server; the message says what is."""


class UsageError(DevServerError, ValueError):
    """An argument or a request cannot be served; the message says what to change."""
