"""Flyte links to the pages of sweeps."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import flyte
from wandb_runtime import WandbConfig
from wandb_runtime.config.context import SWEEP_ID_KEY
from wandb_runtime.tasks.links import ICON_URI, find_app_url, project_url, without_user

from wandb_sweeps._config.sweep import WandbSweepConfig
from wandb_sweeps._location import SWEEP_KEY

if TYPE_CHECKING:
    from typing_extensions import Self

    from wandb_sweeps._location import SweepLocation

_logger = logging.getLogger("wandb_sweeps")


@dataclass
class WandbSweep(flyte.Link):
    """A Flyte link to the current W&B sweep, or to the project's sweeps if no sweep exists yet.

    Args:
        host: The API base URL of the W&B server. Default: the configuration's, `WANDB_BASE_URL`, or W&B's own.
        project: The W&B project. Default: the sweep configuration's, the configuration's, or `WANDB_PROJECT`.
        entity: The user or team that owns it; resolved like the project, `WANDB_ENTITY` last.
        id: The id of the sweep. Default: the one in the Flyte context.
        name: The label of the link.
    """

    host: str | None = None
    project: str | None = None
    entity: str | None = None
    id: str | None = None
    name: str = "Weights & Biases Sweep"
    icon_uri = ICON_URI

    def __post_init__(self) -> None:
        # Flyte and logs show links.
        self.host = self.host and without_user(self.host)

    def get_link(
        self,
        run_name: str,  # noqa: ARG002
        project: str,  # noqa: ARG002
        domain: str,  # noqa: ARG002
        context: dict[str, str],
        parent_action_name: str,  # noqa: ARG002
        action_name: str,
        pod_name: str,  # noqa: ARG002
        **kwargs: object,  # noqa: ARG002
    ) -> str:
        """Return the URL of the W&B sweep; Flyte calls this before the task runs.

        Args:
            run_name: The name of the Flyte run.
            project: The Flyte project.
            domain: The Flyte domain.
            context: The custom context of the task.
            parent_action_name: The action that calls the task.
            action_name: The action of the task.
            pod_name: The pod of the task.
            **kwargs: Further arguments of newer Flyte versions.

        Returns:
            The URL. Never raises: an exception here would break the task's submission.
        """
        try:
            return self._url(context)
        except Exception as error:  # noqa: BLE001
            _logger.warning("The W&B sweep link of action %s leads only to the app: %s", action_name, error)
            return find_app_url(None)

    def _url(self, context: dict[str, str]) -> str:
        inherited = self._inherited(context)
        sweep_id = self.id
        if isinstance(inherited, str):
            sweep_id = sweep_id or inherited
        elif inherited is not None and sweep_id in (None, inherited.id):
            return project_url(inherited.host, inherited.entity, inherited.project, "sweeps", inherited.id)
        sweep, run = WandbSweepConfig.from_context(context), WandbConfig.from_context(context)
        return project_url(
            self.host or run.host,
            self.entity or sweep.entity or run.entity,
            self.project or sweep.project or run.project,
            "sweeps",
            *([sweep_id] if sweep_id else []),
        )

    def _inherited(self, context: dict[str, str]) -> SweepLocation | str | None:
        """Return the ancestor's sweep that the task joins; only its id, if the context contains no more."""
        from wandb_sweeps._lifecycle.planning import sweep_to_join

        if SWEEP_KEY not in context:
            return context.get(SWEEP_ID_KEY)
        return sweep_to_join(WandbSweepConfig(), context)


@dataclass
class TaskLink(WandbSweep):
    """The link that the decorator adds: it knows whether the task always creates its own sweep."""

    is_own: bool = False

    @classmethod
    def of(cls, settings: WandbSweepConfig) -> Self:
        """Make the link of a task with these decorator arguments."""
        return cls(project=settings.project, entity=settings.entity, is_own=settings.parameters is not None)

    def _inherited(self, context: dict[str, str]) -> SweepLocation | str | None:
        return None if self.is_own else super()._inherited(context)
