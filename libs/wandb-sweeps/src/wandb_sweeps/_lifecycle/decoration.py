"""What a decorated task's function carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb_sweeps._config.sweep import WandbSweepConfig

MARKER = "__wandb_sweep__"
"""The attribute of a wrapper that holds its `SweepDecoration`."""


@dataclass(frozen=True)
class SweepDecoration:
    """It is pickled with the function, so it holds plain values only."""

    settings: WandbSweepConfig

    def __reduce__(self) -> tuple[Callable[..., SweepDecoration], tuple[WandbSweepConfig]]:
        return _unpickled, (self.settings,)


def _unpickled(settings: WandbSweepConfig) -> SweepDecoration:
    """A pod that gets its task pickled does not run the decorator: what that does for the process is done here."""
    from wandb_runtime.hosting import listen

    listen()
    return SweepDecoration(settings)
