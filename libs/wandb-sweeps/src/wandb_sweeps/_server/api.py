"""GraphQL requests about sweeps, agents and trials."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from wandb_artifacts import NotFoundError, ServerAnswerError
from wandb_artifacts.client import has_credentials
from wandb_runtime import MissingApiKeyError

from wandb_sweeps._results import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wandb_artifacts.client import Client, Connection

    from wandb_sweeps._location import SweepLocation

T = TypeVar("T")

SweepState = Literal["PENDING", "RUNNING", "PAUSED", "FINISHED", "CANCELED"]

_UPSERT_SWEEP = """
mutation UpsertSweep(
    $id: ID, $config: String, $description: String, $entityName: String, $projectName: String,
    $priorRunsFilters: JSONString, $displayName: String, $controller: JSONString, $scheduler: JSONString,
    $state: String
) {
    upsertSweep(input: {
        id: $id, config: $config, description: $description, entityName: $entityName, projectName: $projectName,
        priorRunsFilters: $priorRunsFilters, displayName: $displayName, controller: $controller, scheduler: $scheduler,
        state: $state
    }) {
        sweep { id name state project { id name entity { id name } } }
        configValidationWarnings
    }
}
"""
_CREATE_AGENT = """
mutation CreateAgent($host: String!, $projectName: String, $entityName: String, $sweep: String!) {
    createAgent(input: {host: $host, projectName: $projectName, entityName: $entityName, sweep: $sweep}) {
        agent { id }
    }
}
"""
_HEARTBEAT = """
mutation Heartbeat($id: ID!, $metrics: JSONString, $runState: JSONString) {
    agentHeartbeat(input: {id: $id, metrics: $metrics, runState: $runState}) {
        agent { id }
        commands
    }
}
"""
_FIND_SWEEP = """
query GetSweep($name: String!, $project: String, $entity: String) {
    project(name: $project, entityName: $entity) {
        sweep(sweepName: $name) { id name state description config }
    }
}
"""
_SWEEPS = """
query GetSweeps($project: String!, $entity: String!, $cursor: String) {
    project(name: $project, entityName: $entity) {
        sweeps(after: $cursor, first: 100) {
            pageInfo { endCursor hasNextPage }
            edges { node { id name state description createdAt } cursor }
        }
    }
}
"""
_RUNS = """
query Runs($project: String!, $entity: String!, $filters: JSONString, $cursor: String) {
    project(name: $project, entityName: $entity) {
        runs(filters: $filters, after: $cursor, first: 100, order: "+created_at") {
            edges { node { name displayName state config summaryMetrics } cursor }
            pageInfo { endCursor hasNextPage }
        }
    }
}
"""


def require_credentials(connection: Connection) -> None:
    """Fail early if no API key is configured.

    Raises:
        MissingApiKeyError: No API key is configured.
    """
    if not has_credentials(connection):
        msg = (
            "No W&B API key: set WANDB_API_KEY "
            "(in Flyte: secrets=flyte.Secret(key, as_env_var='WANDB_API_KEY') of the TaskEnvironment)"
        )
        raise MissingApiKeyError(msg)


def field(response: object, path: str, kind: type[T], *, what: str) -> T:
    """Return a field of a response.

    Args:
        response: The decoded response.
        path: The names of the field and its parents, separated by dots.
        kind: The expected type.
        what: The subject of the request, for the error.

    Raises:
        ServerAnswerError: The response has no such field of this type.
    """
    value: Any = response
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, kind):
        msg = f"{what}: the response from W&B has no valid field {path!r}"
        raise ServerAnswerError(msg)
    return value


def find_sweep(client: Client, location: SweepLocation) -> dict[str, Any] | None:
    """Request a sweep.

    Returns:
        `id` (the storage id), `name` (the id), `state`, `description` and `config` (YAML); None if it does not exist.
    """
    variables = {"entity": location.entity, "project": location.project, "name": location.id}
    try:
        data = client.execute(_FIND_SWEEP, variables, what=f"sweep {location.ref}")
    except NotFoundError:
        return None
    sweep = (data.get("project") or {}).get("sweep")
    return sweep if isinstance(sweep, dict) else None


def upsert_sweep(client: Client, *, what: str, is_repeatable: bool = True, **variables: Any) -> dict[str, Any]:
    """Create a sweep, or change the one with the given storage id.

    Args:
        client: The client of the server.
        what: The subject of the request, for errors.
        is_repeatable: Whether the request may be sent again if its response was lost.
        **variables: Variables of the mutation: `config` is YAML, `displayName` the name, `priorRunsFilters` JSON.

    Returns:
        `sweep`, whose `name` is its id and whose `id` is its storage id, and `configValidationWarnings`.
    """
    data = client.execute(_UPSERT_SWEEP, variables, what=what, is_repeatable=is_repeatable)
    return field(data, "upsertSweep", dict, what=what)


def list_sweeps(client: Client, entity: str, project: str) -> Iterator[dict[str, Any]]:
    """Request the sweeps of a project; a project that does not exist yet has none.

    Yields:
        `id` (the storage id), `name` (the id), `state`, `description` and `createdAt` of each.
    """
    variables = {"entity": entity, "project": project}
    what = f"the sweeps of {entity}/{project}"
    return _items(client.iterate_pages(_SWEEPS, variables, ("project", "sweeps"), what=what))


def _items(pages: Iterator[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(NotFoundError):
        for page in pages:
            yield from page


def create_agent(client: Client, sweep: SweepLocation, host: str) -> str:
    """Register an agent.

    Args:
        client: The client of the server.
        sweep: The sweep that it works for.
        host: The name of the machine, which W&B displays.

    Returns:
        The agent's id.
    """
    variables = {"host": host, "entityName": sweep.entity, "projectName": sweep.project, "sweep": sweep.id}
    what = f"registering an agent of sweep {sweep.ref}"
    return field(client.execute(_CREATE_AGENT, variables, what=what), "createAgent.agent.id", str, what=what)


def heartbeat(client: Client, agent_id: str, run_id: str | None) -> list[dict[str, Any]] | None:
    """Report the trial that an agent runs, and request its next commands.

    The SDK's own request for heartbeats treats an outage as an empty list of commands.

    Returns:
        Commands: dictionaries with a `type` ("run", "resume", "stop", "exit"). None if the sweep was deleted.
    """
    what = f"heartbeat of sweep agent {agent_id}"
    state = {} if run_id is None else {run_id: True}
    variables = {"id": agent_id, "metrics": "{}", "runState": json.dumps(state)}
    try:
        data = client.execute(_HEARTBEAT, variables, what=what)
    except NotFoundError:
        return None
    commands = _parse_json(field(data, "agentHeartbeat", dict, what=what).get("commands") or "[]", what=what)
    if not isinstance(commands, list) or not all(_is_command(command) for command in commands):
        msg = f"{what}: the response from W&B has invalid commands"
        raise ServerAnswerError(msg)
    return commands


def _is_command(command: object) -> bool:
    if not isinstance(command, dict) or not isinstance(command.get("type"), str):
        return False
    if command["type"] not in ("run", "resume"):
        return True
    args = command.get("args") or {}
    return isinstance(command.get("run_id"), str) and isinstance(args, dict)


def list_trials(client: Client, sweep: SweepLocation, filters: Mapping[str, Any]) -> Iterator[Trial]:
    """Request the runs of the sweep's project that match W&B's filters, the oldest first."""
    what = f"the trials of sweep {sweep.ref}"
    variables = {"entity": sweep.entity, "project": sweep.project, "filters": json.dumps(filters)}
    for node in _items(client.iterate_pages(_RUNS, variables, ("project", "runs"), what=what)):
        yield _trial(node, what)


def _trial(node: Mapping[str, Any], what: str) -> Trial:
    config = _parse_json(node.get("config") or "{}", what=what)
    summary = _parse_json(node.get("summaryMetrics") or "{}", what=what)
    if not isinstance(config, dict) or not isinstance(summary, dict):
        msg = f"{what}: the response from W&B has an invalid config or summary"
        raise ServerAnswerError(msg)
    name = field(node, "name", str, what=what)
    values = {
        key: entry["value"] if isinstance(entry, dict) and "value" in entry else entry for key, entry in config.items()
    }
    return Trial(
        id=name,
        name=node.get("displayName") or name,
        state=node.get("state") or "",
        config=_without_internal_keys(values),
        summary=_without_internal_keys(summary),
    )


def _without_internal_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith("_")}


def _parse_json(text: object, *, what: str) -> Any:
    try:
        return json.loads(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        msg = f"{what}: the response from W&B contains invalid JSON"
        raise ServerAnswerError(msg) from None
