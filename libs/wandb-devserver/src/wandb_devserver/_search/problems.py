"""Collected errors and warnings of a configuration, reported together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wandb_devserver._errors import UsageError

if TYPE_CHECKING:
    from wandb_devserver._json import JsonObject


@dataclass(slots=True)
class Problems:
    errors: list[str] = field(default_factory=list)
    """Problems that make a sweep impossible."""

    warnings: list[str] = field(default_factory=list)
    """Entries without effect, or with another effect than most people expect."""

    def error(self, at: str, message: str) -> None:
        self.errors.append(f"{at}: {message}")

    def warn(self, at: str, message: str) -> None:
        self.warnings.append(f"{at}: {message}")

    def unknown_keys(self, at: str, section: JsonObject, known: tuple[str, ...]) -> None:
        for key in section:
            if key not in known:
                self.error(f"{at}.{key}" if at else key, f"unknown key; use {', '.join(known)}")

    def check(self) -> None:
        """Raise all errors as one.

        Raises:
            UsageError: if there is any.
        """
        if self.errors:
            msg = f"Invalid sweep config: {'; '.join(self.errors)}"
            raise UsageError(msg)
