"""The server, entity and project of references that name none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_artifacts.client import Connection

from wandb_runtime.config.context import flyte_context
from wandb_runtime.config.run import WandbConfig
from wandb_runtime.lifecycle.plans import RunLocation

if TYPE_CHECKING:
    from wandb_runtime.lifecycle.current import CurrentRun


@dataclass(frozen=True)
class ReferenceDefaults:
    """Values for what a reference lacks: those of the current run, then those of the configuration."""

    connection: Connection
    projects: tuple[tuple[str | None, str | None], ...]
    """Entity and project, the most likely first."""

    @classmethod
    def of(cls, here: CurrentRun | None) -> ReferenceDefaults:
        """Return the defaults of code with this run, or without one. May read W&B's settings files."""
        inherited = (here.location if here else None) or RunLocation.from_context(flyte_context())
        config = WandbConfig.current()
        connection = here.connection if here else None
        if connection is None:
            connection = Connection.from_settings(config.settings, host=(inherited and inherited.host) or config.host)
        own = ((inherited.entity, inherited.project),) if inherited else ()
        return cls(connection, (*own, (config.entity, config.project)))
