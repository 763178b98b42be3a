"""What a decorated function carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_runtime import _stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb_runtime._config import WandbConfig

MARKER = "__wandb_init__"
"""The attribute of a wrapper that holds its `Decoration`: how a decorated function is told, unpickled ones too."""


@dataclass(frozen=True)
class Decoration:
    """What a decorated function carries. It is pickled with the function, so it holds plain values only."""

    settings: WandbConfig
    short_name: str | None
    """The short name of the task whose body the function is; None for a plain function."""

    def __reduce__(self) -> tuple[Callable[..., Decoration], tuple[WandbConfig, str | None]]:
        return _unpickled, (self.settings, self.short_name)

    @property
    def joins(self) -> bool:
        """Whether it is a task that joins its parent's run where it can."""
        return self.short_name is not None and self.settings.run_mode != "new" and self.settings.id is None


def _unpickled(settings: WandbConfig, short_name: str | None) -> Decoration:
    """A pod that gets its task pickled does not run the decorator: what that does for the process is done here."""
    _stopping.listen()
    return Decoration(settings, short_name)


def decoration_of(function: object) -> Decoration | None:
    """The decoration of a wrapper that `@wandb_init` has made; None for anything else."""
    found = getattr(function, "__dict__", {}).get(MARKER)
    return found if isinstance(found, Decoration) else None
