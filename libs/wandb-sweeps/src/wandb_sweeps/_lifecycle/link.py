from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import flyte
from wandb_runtime import WandbConfig
from wandb_runtime.config.context import SWEEP_ID_KEY
from wandb_runtime.tasks.links import ICON_URI, find_app_url, project_url

from wandb_sweeps._address import SWEEP_KEY
from wandb_sweeps._config.sweep import WandbSweepConfig

if TYPE_CHECKING:
    from typing_extensions import Self

    from wandb_sweeps._address import SweepAddress

_logger = logging.getLogger("wandb_sweeps")


@dataclass
class WandbSweep(flyte.Link):
    """A Flyte link to the W&B sweep in force, or to the project's sweeps before there is one.

    Args:
        host: The API address of the W&B server; the configuration's, `WANDB_BASE_URL` or W&B's default otherwise.
        project: The W&B project; the sweep configuration's, the configuration's or `WANDB_PROJECT` otherwise.
        entity: The user or team that owns it; found like the project, `WANDB_ENTITY` last.
        id: The id of the sweep; the one in the Flyte context otherwise.
        name: What the link is called.
    """

    host: str | None = None
    project: str | None = None
    entity: str | None = None
    id: str | None = None
    name: str = "Weights & Biases Sweep"
    icon_uri = ICON_URI

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
        """The address of the W&B sweep; Flyte calls this before the task runs.

        Args:
            run_name: The name of the Flyte run.
            project: The Flyte project.
            domain: The Flyte domain.
            context: The custom context the task will see.
            parent_action_name: The action that calls the task.
            action_name: The action of the task.
            pod_name: The pod of the task.
            **kwargs: Whatever else Flyte tells.

        Returns:
            The address. Never raises: an exception here would break the task's submission.
        """
        try:
            return self._address(context)
        except Exception as error:  # noqa: BLE001
            _logger.warning("The W&B sweep link of action %s leads to the app only: %s", action_name, error)
            return find_app_url(None)

    def _address(self, context: dict[str, str]) -> str:
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

    def _inherited(self, context: dict[str, str]) -> SweepAddress | str | None:
        """The sweep of a task above, which a task joins; its id, where no more is known of it."""
        from wandb_sweeps._lifecycle.planning import sweep_to_join

        if SWEEP_KEY not in context:
            return context.get(SWEEP_ID_KEY)
        return sweep_to_join(WandbSweepConfig(), context)


@dataclass
class TaskLink(WandbSweep):
    """The link that the decorator adds: it knows whether the task always has a sweep of its own."""

    is_own: bool = False

    @classmethod
    def of(cls, settings: WandbSweepConfig) -> Self:
        """The link of a task that is decorated with these arguments."""
        return cls(project=settings.project, entity=settings.entity, is_own=settings.parameters is not None)

    def _inherited(self, context: dict[str, str]) -> SweepAddress | str | None:
        return None if self.is_own else super()._inherited(context)
