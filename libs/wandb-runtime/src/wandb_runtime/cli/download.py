"""`flyte wandb download`: download what `wandb-artifacts` does, and the W&B runs of a Flyte run."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wandb_artifacts import InvalidValueError, NotFoundError, ProjectRef, ServerUnavailableError
from wandb_artifacts.cli import Reference, download, download_project, find_reference, use_host
from wandb_artifacts.client import Client, find_setting

from wandb_runtime.cli.opened_runs import OpenedRuns, find_opened_runs

if TYPE_CHECKING:
    from wandb_runtime.cli.flyte_api import FlyteCli

_TIMEOUT = 30.0
_FIELD = "REF"
_NOT_AT_WANDB = "W&B has neither a run nor a sweep of this id"
_COUNT = """
query CountRuns($entity: String!, $project: String!, $filters: JSONString!) {
  project(name: $project, entityName: $entity) { runCount(filters: $filters) }
}
"""


def download_reference(text: str, *, host: str | None, flyte: FlyteCli, **given: Any) -> int:
    """Download a run, a sweep, an artifact, or the runs of a Flyte run, and print the result.

    Args:
        text: A reference to it, or the name of a Flyte run, or `run/action`.
        host: The API base URL of the W&B server.
        flyte: Flyte's command line.
        **given: `dest`, and the other options of `wandb-artifacts`.

    Returns:
        The exit code.
    """
    use_host(host)
    if not _may_be_flyte_run(text):
        ref = find_reference(text, host, deadline=given["deadline"])
        if ref is None:
            msg = f"{text}: {_NOT_AT_WANDB}; an artifact is entity/project/name:alias"
            raise NotFoundError(msg)
        return download(ref, given)
    found = _find(text, flyte, given["deadline"])
    if not isinstance(found, OpenedRuns):
        return download(found, given)
    project = _project_of(found, host)
    _require_runs(found, project)
    dest = given.pop("dest") or f"./{text.replace('/', '-')}"
    return download_project(project, {**given, "dest": dest}, filters=found.filters)


def _may_be_flyte_run(text: str) -> bool:
    return "://" not in text and ":" not in text and text.strip("/").count("/") <= 1


def _find(text: str, flyte: FlyteCli, deadline: float | None) -> Reference | OpenedRuns:
    """Find what a short name means: W&B and Flyte may have it, and neither is preferred.

    Raises:
        InvalidValueError: Both have it, or nobody can be asked.
        NotFoundError: Neither has it.
        ServerUnavailableError: Flyte could not be asked, and W&B does not have it.
    """
    at_wandb = find_reference(text, deadline=deadline) if _is_complete(text) else None
    opened, problem = _ask_flyte(text, flyte)
    if at_wandb and opened:
        reason = f"is both a Flyte run and {at_wandb} at W&B; write that, or unset WANDB_ENTITY"
        raise InvalidValueError(_FIELD, text, reason)
    if found := at_wandb or opened:
        return found
    if problem:
        msg = f"{text}: {problem}"
        raise ServerUnavailableError(msg)
    tried = ["Flyte has no such run"] if _has_endpoint(flyte) else []
    tried += [_NOT_AT_WANDB] if _is_complete(text) else []
    if not tried:
        reason = "is a Flyte run, or incomplete: Flyte has no endpoint; for W&B write entity/project/id"
        raise InvalidValueError(_FIELD, text, reason)
    hint = "" if _is_complete(text) else ". A run or sweep of W&B is entity/project/id"
    msg = f"{text}: {', and '.join(tried)}{hint}"
    raise NotFoundError(msg)


def _is_complete(text: str) -> bool:
    """Whether the environment completes a reference to a run or sweep of W&B."""
    missing = ("WANDB_ENTITY", "WANDB_PROJECT")[: 2 - text.strip("/").count("/")]
    return all(os.environ.get(name) for name in missing)


def _has_endpoint(flyte: FlyteCli) -> bool:
    return bool(flyte.endpoint or flyte.config.platform.endpoint or os.environ.get("FLYTE_API_KEY"))


def _ask_flyte(text: str, flyte: FlyteCli) -> tuple[OpenedRuns | None, str | None]:
    """Find the runs of a Flyte run; with the reason if Flyte cannot be asked."""
    if not _has_endpoint(flyte):
        return None, None
    name, _, action = text.strip("/").partition("/")
    try:
        flyte.init()
        return find_opened_runs(name, action or None), None
    except Exception as error:  # noqa: BLE001 - Flyte and its transport raise many
        advice = "check Flyte's configuration (endpoint, project, domain); 'flyte wandb doctor' shows it"
        return None, f"Flyte does not respond as expected ({type(error).__name__}: {error}); {advice}"


def _project_of(found: OpenedRuns, host: str | None) -> ProjectRef:
    """Return the project that has the runs.

    Raises:
        NotFoundError: No action has a W&B run.
        InvalidValueError: There are several projects, or the links name none.
    """
    if not found.has_links:
        msg = f"{found}: no task has opened a W&B run"
        raise NotFoundError(msg)
    if len(found.projects) > 1:
        names = " and ".join(map(str, found.projects))
        reason = f"has runs in {names}; write RUN/ACTION, or entity/project/id of a run"
        raise InvalidValueError(_FIELD, found.flyte_run, reason)
    if found.projects:
        (project,) = found.projects
        return replace(project, host=host) if host else project
    entity, name = find_setting("entity"), find_setting("project")
    if not (entity and name):
        reason = "its links name no project, since no entity was configured; set WANDB_ENTITY and WANDB_PROJECT"
        raise InvalidValueError(_FIELD, found.flyte_run, reason)
    return ProjectRef(entity, name, host)


def _require_runs(found: OpenedRuns, project: ProjectRef) -> None:
    variables = {"entity": project.entity, "project": project.project, "filters": json.dumps(found.filters)}
    client = Client(project.host, timeout=_TIMEOUT)
    counted = client.execute(_COUNT, variables, what=f"project {project}").get("project") or {}
    if not counted.get("runCount"):
        advice = f"'flyte wandb sync {found.flyte_run}' delivers runs that were offline"
        msg = f"{found}: W&B has none of its runs in {project}; {advice}"
        raise NotFoundError(msg)
