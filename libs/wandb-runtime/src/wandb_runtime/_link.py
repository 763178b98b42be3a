from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import flyte

from wandb_runtime._config import WandbConfig
from wandb_runtime._plan import RunAddress, new_run_id
from wandb_runtime._task import TaskIdentity
from wandb_runtime.links import ICON_URI, app_address, project_address

if TYPE_CHECKING:
    from wandb_runtime._config import RankScope, RunMode

_logger = logging.getLogger("wandb_runtime")


@dataclass
class Wandb(flyte.Link):
    """A Flyte link to the W&B run of a task. `@wandb_init` adds one; add one yourself to a task without it.

    Args:
        host: The API address of the W&B server; the configuration's, `WANDB_BASE_URL` or W&B's default otherwise.
        project: The W&B project; the configuration's or `WANDB_PROJECT` otherwise.
        entity: The user or team that owns it; the configuration's or `WANDB_ENTITY` otherwise.
        run_mode: How the task comes by its run; the configuration's or "auto" otherwise.
        id: The id of the run; `{run name}-{action name}` or the parent's otherwise.
        name: What the link is called.
        rank_scope: Which ranks of a distributed task a run belongs to.
    """

    host: str | None = None
    project: str | None = None
    entity: str | None = None
    run_mode: RunMode | None = None
    id: str | None = None
    name: str = "Weights & Biases"
    rank_scope: RankScope | None = None
    icon_uri = ICON_URI

    def get_link(
        self,
        run_name: str,
        project: str,  # noqa: ARG002
        domain: str,  # noqa: ARG002
        context: dict[str, str],
        parent_action_name: str,
        action_name: str,
        pod_name: str,
        **kwargs: object,  # noqa: ARG002
    ) -> str:
        """The address of the task's W&B run; Flyte calls this before the task runs.

        Args:
            run_name: The name of the Flyte run.
            project: The Flyte project.
            domain: The Flyte domain.
            context: The custom context the task will see.
            parent_action_name: The action that calls the task; the task's own or the run's for a top-level task.
            action_name: The action of the task.
            pod_name: The pod of the task.
            **kwargs: Whatever else Flyte tells.

        Returns:
            The address. Never raises: an exception here would break the task's submission.
        """
        is_top_level = parent_action_name in (action_name, run_name)
        task = TaskIdentity(run_name, action_name, is_top_level=is_top_level, is_local=pod_name == "localhost")
        try:
            return self._address(task, context)
        except Exception as error:  # noqa: BLE001
            _logger.warning("The W&B link of action %s leads to the app only: %s", action_name, error)
            return app_address(None)

    def _address(self, task: TaskIdentity, context: dict[str, str]) -> str:
        inherited = WandbConfig.from_context(context)
        parent = RunAddress.from_context(context)
        run_mode = self.run_mode or inherited.run_mode or "auto"
        if (
            parent is not None
            and run_mode != "new"
            and self.id in (None, parent.id)
            and (task.is_local or parent.takes_writers)
        ):
            return project_address(parent.host, parent.entity, parent.project, "runs", parent.id)
        run_id = new_run_id(self.id, inherited.id, task) or ""
        return project_address(
            self.host or inherited.host,
            self.entity or inherited.entity,
            self.project or inherited.project,
            "runs",
            run_id,
        )
