"""The W&B runs that a Flyte run has opened, found by the links of its actions."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flyte.remote import Action, ActionDetails, Run
from flyte.syncify import syncify
from wandb_artifacts import InvalidValueError, ProjectRef, RunRef
from wandb_artifacts.cli import read_project, read_ref

from wandb_runtime.tasks.links import ICON_URI

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_REQUESTS = 16
_BELOW_PROJECT = re.compile(r"/(?:groups|sweeps)(?:/[^/]*)?$")


@dataclass(frozen=True)
class OpenedRuns:
    """Where W&B has the runs of a Flyte run or of one of its actions."""

    flyte_run: str
    action: str | None
    """The only action; None for all."""
    has_links: bool
    """Whether an action has a link to W&B."""
    projects: tuple[ProjectRef, ...]
    """The projects that links lead to."""
    ids: tuple[str, ...]
    """The runs that links lead to."""

    @property
    def filters(self) -> dict[str, object]:
        """W&B's filters for the runs, by their ids and by the Flyte run in their configuration."""
        named = {"run": self.flyte_run, "action": self.action}
        described = [{f"config.flyte.value.{key}": name} for key, name in named.items() if name]
        return {"$or": [{"name": {"$in": list(self.ids)}}, {"$and": described}]}

    def __str__(self) -> str:
        return f"Flyte run {self.flyte_run}" + (f", action {self.action}" if self.action else "")


@syncify
async def find_opened_runs(flyte_run: str, action: str | None) -> OpenedRuns | None:
    """Find the W&B runs of a Flyte run; None if it does not exist.

    Args:
        flyte_run: The name of the Flyte run.
        action: Only those of this action; None for all.
    """
    try:
        actions = await (_one(flyte_run, action) if action else _all(flyte_run))
    except Exception as error:
        if is_not_found(error):
            return None
        raise
    urls = {log.uri: None for each in actions for log in _links(each)}
    found = [place for place in map(_read_link, urls) if place is not None]
    return OpenedRuns(
        flyte_run=flyte_run,
        action=action,
        has_links=bool(urls),
        projects=tuple(dict.fromkeys(project for project, _ in found)),
        ids=tuple(run_id for _, run_id in found if run_id),
    )


def is_not_found(error: Exception) -> bool:
    """Return whether Flyte has responded that it does not have what was requested."""
    # The status of its transport, which Flyte passes on as it is.
    return getattr(getattr(error, "code", None), "name", None) == "NOT_FOUND"


async def _one(flyte_run: str, action: str) -> Sequence[ActionDetails]:
    return [await ActionDetails.get.aio(run_name=flyte_run, name=action)]


async def _all(flyte_run: str) -> Sequence[ActionDetails]:
    await Run.get.aio(flyte_run)
    limit = asyncio.Semaphore(_MOST_REQUESTS)

    async def details(action: Action) -> ActionDetails:
        async with limit:
            return await ActionDetails.get.aio(run_name=flyte_run, name=action.name)

    actions = [each async for each in Action.listall.aio(for_run_name=flyte_run)]
    return await asyncio.gather(*(details(each) for each in actions if each.pb2.metadata.HasField("task")))


def _links(details: ActionDetails) -> list[Any]:
    attempts = details.pb2.attempts
    return [log for attempt in attempts for log in attempt.log_info if log.icon_uri == ICON_URI]


def _read_link(url: str) -> tuple[ProjectRef, str | None] | None:
    """Return the project and the run that a link leads to; None if it leads to neither."""
    with contextlib.suppress(InvalidValueError):
        run = read_ref(RunRef, url)
        return ProjectRef(run.entity, run.project, run.host), run.id
    with contextlib.suppress(InvalidValueError):
        return read_project(_BELOW_PROJECT.sub("", url)), None
    return None
