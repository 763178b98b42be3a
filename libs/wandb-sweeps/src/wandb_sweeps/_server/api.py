"""GraphQL requests about sweeps, agents and trials."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Literal

from wandb_artifacts import NotFoundError, ServerAnswerError
from wandb_artifacts.client import has_credentials, read_response
from wandb_runtime import MissingApiKeyError

from wandb_sweeps._results import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wandb_artifacts.client import Client, Connection

    from wandb_sweeps._location import SweepLocation
    from wandb_sweeps._server import responses

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
_AGENTS = """
query GetSweepAgents($sweep: String!, $project: String, $entity: String) {
    project(name: $project, entityName: $entity) {
        sweep(sweepName: $sweep) { agents { edges { node { id host runs(first: 1000) { edges { node { name } } } } } } }
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


def find_sweep(client: Client, location: SweepLocation) -> responses.Sweep | None:
    """Request a sweep; return None if it does not exist."""
    from wandb_sweeps._server.responses import FoundSweep

    variables = {"entity": location.entity, "project": location.project, "name": location.id}
    what = f"sweep {location.ref}"
    try:
        data = client.execute(_FIND_SWEEP, variables, what=what)
    except NotFoundError:
        return None
    project = read_response(FoundSweep, data, what).project
    return project.sweep if project else None


def upsert_sweep(client: Client, *, what: str, is_repeatable: bool = True, **variables: Any) -> responses.Upsert:
    """Create a sweep, or change the one with the given storage id.

    Args:
        client: The client of the server.
        what: The subject of the request, for errors.
        is_repeatable: Whether the request may be sent again if its response was lost.
        **variables: Variables of the mutation: `config` is YAML, `displayName` the name, `priorRunsFilters` JSON.

    Returns:
        The sweep, and W&B's warnings about its configuration.
    """
    from wandb_sweeps._server.responses import UpsertedSweep

    data = client.execute(_UPSERT_SWEEP, variables, what=what, is_repeatable=is_repeatable)
    return read_response(UpsertedSweep, data, what).upsert_sweep


def list_sweeps(client: Client, entity: str, project: str) -> Iterator[responses.Sweep]:
    """Request the sweeps of a project; a project that does not exist yet has none."""
    from wandb_sweeps._server.responses import Sweep

    variables = {"entity": entity, "project": project}
    what = f"the sweeps of {entity}/{project}"
    for node in _items(client.iterate_pages(_SWEEPS, variables, ("project", "sweeps"), what=what)):
        yield read_response(Sweep, node, what)


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
    from wandb_sweeps._server.responses import CreatedAgent

    variables = {"host": host, "entityName": sweep.entity, "projectName": sweep.project, "sweep": sweep.id}
    what = f"registering an agent of sweep {sweep.ref}"
    return read_response(CreatedAgent, client.execute(_CREATE_AGENT, variables, what=what), what).create_agent.agent.id


def list_agents(client: Client, sweep: SweepLocation) -> list[tuple[str, list[str]]]:
    """Request the agents of a sweep.

    Returns:
        The host of each agent, and the ids of the runs that it was assigned.
    """
    from wandb_sweeps._server.responses import FoundAgents

    what = f"the agents of sweep {sweep.ref}"
    variables = {"entity": sweep.entity, "project": sweep.project, "sweep": sweep.id}
    found = read_response(FoundAgents, client.execute(_AGENTS, variables, what=what), what)
    agents = [edge.node for edge in found.project.sweep.agents.edges]
    return [(agent.host, [edge.node.name for edge in agent.runs.edges]) for agent in agents]


def heartbeat(client: Client, agent_id: str, run_id: str | None) -> list[responses.Command] | None:
    """Report the trial that an agent runs, and request its next commands.

    The SDK's own request for heartbeats treats an outage as an empty list of commands.

    Returns:
        The commands; None if the sweep was deleted.
    """
    from wandb_sweeps._server.responses import Command, Heartbeat

    what = f"heartbeat of sweep agent {agent_id}"
    state = {} if run_id is None else {run_id: True}
    variables = {"id": agent_id, "metrics": "{}", "runState": json.dumps(state)}
    try:
        data = client.execute(_HEARTBEAT, variables, what=what)
    except NotFoundError:
        return None
    text = read_response(Heartbeat, data, what).agent_heartbeat.commands
    commands = read_response(list[Command], _parse_json(text or "[]", "commands", what), f"{what}: commands")
    if any(command.starts_trial and not command.run_id for command in commands):
        msg = f"{what}: W&B returned an invalid response: commands: a trial has no run_id"
        raise ServerAnswerError(msg)
    return commands


def list_trials(client: Client, sweep: SweepLocation, filters: Mapping[str, Any]) -> Iterator[Trial]:
    """Request the runs of the sweep's project that match W&B's filters, the oldest first."""
    what = f"the trials of sweep {sweep.ref}"
    variables = {"entity": sweep.entity, "project": sweep.project, "filters": json.dumps(filters)}
    for node in _items(client.iterate_pages(_RUNS, variables, ("project", "runs"), what=what)):
        yield _trial(node, what)


def _trial(node: Mapping[str, Any], what: str) -> Trial:
    from wandb_sweeps._server.responses import TrialRun

    run = read_response(TrialRun, node, what)
    config = read_response(dict[str, Any], _parse_json(run.config or "{}", "config", what), f"{what}: config")
    summary = _parse_json(run.summary_metrics or "{}", "summaryMetrics", what)
    values = {
        key: entry["value"] if isinstance(entry, dict) and "value" in entry else entry for key, entry in config.items()
    }
    return Trial(
        id=run.name,
        name=run.display_name or run.name,
        state=run.state or "",
        config=_without_internal_keys(values),
        summary=_without_internal_keys(read_response(dict[str, Any], summary, f"{what}: summaryMetrics")),
    )


def _without_internal_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith("_")}


def _parse_json(text: str, field: str, what: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        msg = f"{what}: W&B returned an invalid response: {field}: it is not JSON"
        raise ServerAnswerError(msg) from None
