"""Flyte links to W&B runs."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import flyte

from wandb_runtime.config.run import WandbConfig
from wandb_runtime.tasks.action import TaskIdentity
from wandb_runtime.tasks.distributed import DeclaredSize
from wandb_runtime.tasks.links import ICON_URI, find_app_url, project_url, without_user

if TYPE_CHECKING:
    from wandb_runtime.config.run import RankScope, RunMode

_logger = logging.getLogger("wandb_runtime")


@dataclass
class Wandb(flyte.Link):
    """A Flyte link to the W&B run of a task. `@wandb_init` adds one; add one yourself to a task without it.

    Args:
        host: The API base URL of the W&B server; by default that of the configuration, `WANDB_BASE_URL`, or W&B's own.
        project: The W&B project; by default that of the configuration, or `WANDB_PROJECT`.
        entity: The user or team that owns the project; by default that of the configuration, or `WANDB_ENTITY`.
        run_mode: The run mode of the task; by default that of the configuration, or "auto".
        id: The id of the run; by default `{run name}-{action name}`, or the parent's.
        name: The text of the link.
        rank_scope: The ranks of a distributed task that a run belongs to; implies that the task is distributed. With
            "worker" the link is that of the first worker.
    """

    host: str | None = None
    project: str | None = None
    entity: str | None = None
    run_mode: RunMode | None = None
    id: str | None = None
    name: str = "Weights & Biases"
    rank_scope: RankScope | None = None
    icon_uri = ICON_URI

    def __post_init__(self) -> None:
        # Flyte and logs show links.
        self.host = self.host and without_user(self.host)

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
        """Return the URL of the task's W&B run; Flyte calls this before the task runs.

        Args:
            run_name: The name of the Flyte run.
            project: The Flyte project.
            domain: The Flyte domain.
            context: The custom context the task will see.
            parent_action_name: The action that calls the task; the task's own or the run's for a top-level task.
            action_name: The action of the task.
            pod_name: The pod of the task.
            **kwargs: Anything else that Flyte passes.

        Returns:
            The URL. Never raises: an exception here would break the task's submission.
        """
        is_top_level = parent_action_name in (action_name, run_name)
        task = TaskIdentity(run_name, action_name, is_top_level=is_top_level, is_local=pod_name == "localhost")
        try:
            return self._url(task, context)
        except Exception as error:  # noqa: BLE001
            _logger.warning("The W&B link of action %s leads only to the W&B app: %s", action_name, error)
            return find_app_url(None)

    def _url(self, task: TaskIdentity, context: dict[str, str]) -> str:
        from wandb_runtime.lifecycle.init_arguments import new_run_id
        from wandb_runtime.lifecycle.plans import RunLocation
        from wandb_runtime.lifecycle.sweep_trials import AssignedTrial

        if (trial := AssignedTrial.from_context(context)) is not None:
            return project_url(trial.host, trial.entity, trial.project, "runs", trial.run_id)
        inherited = WandbConfig.from_context(context)
        parent = RunLocation.from_context(context)
        run_mode = self.run_mode or inherited.run_mode or "auto"
        if (
            parent is not None
            and run_mode != "new"
            and self.id in (None, parent.id)
            and (task.is_local or parent.is_shared)
        ):
            return project_url(parent.host, parent.entity, parent.project, "runs", parent.id)
        page = "runs", new_run_id(self.id, inherited.run_id, task) or ""
        ranks = self._find_ranks()
        # Locally Flyte starts one process, whatever the task declares.
        if ranks is not None and not task.is_local:
            scope = self.rank_scope or inherited.rank_scope or "global"
            page = ranks.page(page[1], run_mode, scope, inherited.group)
        return project_url(
            self.host or inherited.host, self.entity or inherited.entity, self.project or inherited.project, *page
        )

    def _find_ranks(self) -> _LinkRanks | None:
        """Return the ranks that the link represents; None for a task with one process."""
        return None if self.rank_scope is None else _LinkRanks()


@dataclass(frozen=True)
class _LinkRanks:
    """The part of a distributed task that a link represents; the default is for a task of unknown size."""

    worker: int = 0
    workers: int = 2
    group: str | None = None
    """The group that the user has given."""

    def page(self, base: str, run_mode: RunMode, scope: RankScope, inherited_group: str | None) -> tuple[str, str]:
        """Return the page of the run, or of the group of runs, as a path below the project."""
        from wandb_runtime.lifecycle.rank_layout import group_suffix, run_suffix

        if run_mode == "new":
            own = self.group or inherited_group or os.environ.get("WANDB_RUN_GROUP")
            return "groups", own or f"{base}{group_suffix(scope, self.worker)}"
        return "runs", f"{base}{run_suffix(scope, self.worker, self.workers)}"


@dataclass
class TaskLink(Wandb):
    """The link that the decorator adds, with the declared size of the task."""

    ranks: _LinkRanks | None = None

    def _find_ranks(self) -> _LinkRanks | None:
        return self.ranks


def links_of(settings: WandbConfig, size: DeclaredSize) -> tuple[TaskLink, ...]:
    """Return the links of a decorated task: one, or one for each worker if the workers have separate runs.

    Args:
        settings: The decorator's arguments.
        size: The declared size of the task.
    """
    link = TaskLink(
        host=settings.host,
        project=settings.project,
        entity=settings.entity,
        run_mode=settings.run_mode,
        id=settings.run_id,
        rank_scope=settings.rank_scope,
    )
    if size.ranks == 1:
        return (link,)
    workers = [_LinkRanks(worker, size.workers, settings.group) for worker in range(size.workers)]
    if settings.rank_scope != "worker" or size.workers == 1:
        return (replace(link, ranks=workers[0]),)
    return tuple(replace(link, name=f"{link.name} worker {ranks.worker}", ranks=ranks) for ranks in workers)
