"""Results of the checks of `flyte wandb doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    outcome: Outcome
    text: str
    advice: str | None = None
    """The remedy, for a check that failed."""

    @classmethod
    def ok(cls, check: str, text: str) -> Finding:
        """Return the finding of a check that passed."""
        return cls(check, "ok", text)

    @classmethod
    def failed(cls, check: str, text: str, advice: str) -> Finding:
        """Return the finding of a check that failed."""
        return cls(check, "failed", text, advice)

    @classmethod
    def skipped(cls, check: str, reason: str) -> Finding:
        """Return the finding of a check that could not be made."""
        return cls(check, "skipped", reason)
