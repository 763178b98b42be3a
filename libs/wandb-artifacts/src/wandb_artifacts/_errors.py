from __future__ import annotations


class WandbPluginError(Exception):
    """The root of every exception that these packages raise on purpose."""


class InvalidValueError(WandbPluginError, ValueError):
    """A value that was given is refused before any work starts.

    Args:
        field: The name of the parameter, as the caller wrote it; a path such as `config['optimizer']['lr']` for a
            nested value.
        value: The refused value, or None where it must not be shown (a credential).
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
    """The root of what a download raises. What arrived before stays, and the same call goes on from there."""


class AuthenticationError(DownloadError, PermissionError):
    """W&B was given no key, or refused it (401)."""


class AccessDeniedError(DownloadError, PermissionError):
    """The key is good, but not for this (403)."""


class NotFoundError(DownloadError, LookupError):
    """There is no such run, sweep or file (404)."""


class ServerUnavailableError(DownloadError, ConnectionError):
    """W&B could not be reached, or kept answering with errors that pass (408, 429, 5xx), until patience ended."""


class ServerAnswerError(DownloadError):
    """W&B answered with what this version cannot read, or refused the request for another reason."""


class DeadlineError(DownloadError, TimeoutError):
    """The deadline of the call has passed."""


class DestinationError(DownloadError, OSError):
    """The destination cannot be written: no room, no permission, or another download is at it."""
