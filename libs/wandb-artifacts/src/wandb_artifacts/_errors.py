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
