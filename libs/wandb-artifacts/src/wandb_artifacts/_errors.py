"""Exceptions.

WandbPluginError
├── InvalidValueError (ValueError)
└── DownloadError
    ├── AuthenticationError, AccessDeniedError (PermissionError)   401, 403
    ├── NotFoundError (LookupError)                                404
    ├── ServerUnavailableError (ConnectionError)                   408, 425, 429, 5xx, no connection
    ├── ServerAnswerError                                          an invalid response, other refusals
    ├── DeadlineError (TimeoutError)
    ├── DestinationError (OSError)
    └── IncompleteDownloadError
"""

from __future__ import annotations


class WandbPluginError(Exception):
    """The root of all exceptions that these packages raise deliberately."""


class InvalidValueError(WandbPluginError, ValueError):
    """An argument or setting is invalid. Raised before any work starts.

    Args:
        field: The name of the parameter, as the caller wrote it; a path such as `config['optimizer']['lr']` for a
            nested value.
        value: The invalid value, or None if it must not be shown (a credential).
        reason: What is wrong with it, and what to do.
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        self.field = field
        self.value = value
        self.reason = reason
        super().__init__(f"{field}={value!r}: {reason}" if value is not None else f"{field}: {reason}")

    def __reduce__(self) -> tuple[type[InvalidValueError], tuple[str, object, str]]:
        return type(self), (self.field, self.value, self.reason)


class DownloadError(WandbPluginError):
    """The root of errors of downloads and of requests to W&B.

    A download keeps what it has fetched; the same call resumes it.
    """

    status: int | None = None
    """The HTTP status of W&B's response; None if there was no response."""


class AuthenticationError(DownloadError, PermissionError):
    """No API key was found, or W&B rejected it (401)."""


class AccessDeniedError(DownloadError, PermissionError):
    """The API key is valid but has no access to this (403)."""


class NotFoundError(DownloadError, LookupError):
    """W&B has no such run, sweep or file (404)."""

    is_absent: bool = False
    """Whether W&B itself reported that, rather than the server having no such page."""


class ServerUnavailableError(DownloadError, ConnectionError):
    """W&B is unreachable, or every retry failed with a transient error (408, 425, 429, 5xx)."""


class ServerAnswerError(DownloadError):
    """W&B returned an invalid response, or refused the request for another reason."""


class DeadlineError(DownloadError, TimeoutError):
    """The deadline of the call has passed."""


class DestinationError(DownloadError, OSError):
    """The destination is not writable: no space, no permission, or in use by another download."""
