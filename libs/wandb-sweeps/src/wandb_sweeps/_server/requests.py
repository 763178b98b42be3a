"""GraphQL requests about sweeps and agents, sent through the SDK's connection.

`wandb.sweep` and the functions under it set WANDB_PROJECT and WANDB_ENTITY for the process, and repeat a creation that
has failed in up to five spellings of the request. So requests are sent here, by the SDK's own connection.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb.util import load_yaml
from wandb_runtime.server.queries import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wandb.apis.public import Api

    from wandb_sweeps._location import SweepLocation

__all__ = ["Connection", "SweepState", "WandbApiFailedError", "status_of"]

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
            edges { node { id name state description createdAt } }
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
_NOT_FOUND = 404


@dataclass(frozen=True)
class Connection:
    """A way to a W&B server that every request of this package takes.

    It does not outlive `wandb.teardown()`, which the SDK's agents call: make one for each occasion.
    """

    api: Api
    host: str
    """The API location of the server."""
    timeout: float
    """Seconds that a request may take, the SDK's own retries included."""

    @classmethod
    def to(cls, host: str | None, *, timeout: float) -> Connection:
        """Connects; makes one request, which checks the API key.

        Args:
            host: The API location of the server; None for the one that is configured.
            timeout: Seconds that each request may take.

        Raises:
            Exception: There is no key, the server refuses it, or does not answer; the SDK has no common class for it.
        """
        api = connect(host, timeout)
        return cls(api, host=api.settings["base_url"], timeout=timeout)

    def execute(self, query: str, variables: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
        """Sends a GraphQL request.

        Raises:
            WandbApiFailedError: The server refuses it or does not answer in time; `response.http_status` tells which.
        """
        reply: dict[str, Any] = self.api._service_api.execute_graphql(  # noqa: SLF001
            query, variables=dict(variables), timeout=self.timeout if timeout is None else timeout
        )
        return reply

    def default_address(self, entity: str | None, project: str | None) -> tuple[str | None, str]:
        """The entity and the project that W&B takes where none are given."""
        entity = entity or self.api.settings["entity"] or self.api.default_entity
        return entity, project or self.api.settings["project"] or "uncategorized"

    def sweeps(self, entity: str, project: str) -> Iterator[dict[str, Any]]:
        """The sweeps of a project: `id` (of storage), `name` (its id), `state`, `description` and `createdAt` of each.

        Raises:
            TimeoutError: They are too many to be read in the time of a request.
        """
        deadline = monotonic() + self.timeout
        cursor: str | None = None
        while True:
            names = {"entity": entity, "project": project, "cursor": cursor}
            found = (self.execute(_SWEEPS, names, timeout=max(1.0, deadline - monotonic())).get("project")) or {}
            page = found.get("sweeps")
            if not page:
                return
            yield from (edge["node"] for edge in page["edges"])
            if not page["pageInfo"]["hasNextPage"]:
                return
            if monotonic() > deadline:
                msg = f"the sweeps of {entity}/{project} could not be read in {self.timeout:.0f} s"
                raise TimeoutError(msg)
            cursor = page["pageInfo"]["endCursor"]

    def upsert_sweep(self, **variables: Any) -> dict[str, Any]:
        """Creates a sweep, or changes the one with this storage id.

        Args:
            **variables: Of the mutation: `config` is YAML text, `displayName` the name, `priorRunsFilters` JSON.

        Returns:
            `sweep`, whose `name` is its id and whose `id` is for storage, and `configValidationWarnings`.
        """
        upserted: dict[str, Any] = self.execute(_UPSERT_SWEEP, variables)["upsertSweep"]
        return upserted

    # Agents. The SDK's own request for heartbeats takes an outage for "nothing to do", and names one run at most.

    def create_agent(self, sweep: SweepLocation, host: str) -> str:
        """Registers an agent.

        Args:
            sweep: What it works for.
            host: What W&B shows as the machine it runs on.

        Returns:
            The id by which W&B knows it.
        """
        names = {"entityName": sweep.entity, "projectName": sweep.project, "sweep": sweep.id}
        agent_id: str = self.execute(_CREATE_AGENT, {"host": host, **names})["createAgent"]["agent"]["id"]
        return agent_id

    def heartbeat(self, agent_id: str, run_id: str | None) -> list[dict[str, Any]] | None:
        """Tells which trial an agent runs, and gets what it is to do next.

        Returns:
            Commands: dictionaries with a `type` ("run", "resume", "stop", "exit"). None: the sweep has been deleted.
        """
        state = {} if run_id is None else {run_id: True}
        try:
            reply = self.execute(_HEARTBEAT, {"id": agent_id, "metrics": "{}", "runState": json.dumps(state)})
        except WandbApiFailedError as error:
            if status_of(error) == _NOT_FOUND:
                return None
            raise
        commands: list[dict[str, Any]] = json.loads(reply["agentHeartbeat"]["commands"] or "[]")
        return commands

    def find_sweep(self, entity: str, project: str, sweep_id: str) -> dict[str, Any] | None:
        """A sweep: `id` (of storage), `name`, `state`, `description` and `config` (YAML text); None: there is none."""
        try:
            reply = self.execute(_FIND_SWEEP, {"entity": entity, "project": project, "name": sweep_id})
        except WandbApiFailedError as error:
            if status_of(error) == _NOT_FOUND:
                return None
            raise
        return ((reply or {}).get("project") or {}).get("sweep")

    def runs(self, entity: str, project: str, filters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The runs of a project that W&B's filter lets pass, the oldest first."""
        names = {"entity": entity, "project": project, "filters": json.dumps(filters)}
        cursor: str | None = None
        while True:
            found = self.execute(_RUNS, {**names, "cursor": cursor}).get("project")
            if not found:
                return
            yield from (edge["node"] for edge in found["runs"]["edges"])
            if not found["runs"]["pageInfo"]["hasNextPage"]:
                return
            cursor = found["runs"]["pageInfo"]["endCursor"]


def status_of(error: WandbApiFailedError) -> int | None:
    """The HTTP status of a request that has failed; None where there was no answer."""
    return (error.response.http_status or None) if error.response is not None else None


def parse_yaml(text: str) -> dict[str, Any]:
    """Reads YAML as the SDK does, whose numbers need no point before the exponent."""
    parsed: dict[str, Any] = load_yaml(text) or {}
    return parsed
