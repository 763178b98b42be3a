"""The server of a sweep as agents use it: look-ups of the sweep and its trials, registration, heartbeats."""

from __future__ import annotations

import contextlib
import itertools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from wandb_artifacts import DownloadError, InvalidValueError, SweepRef
from wandb_artifacts.client import Client, Connection
from wandb_runtime import WandbConfig

from wandb_sweeps._config.sweep import WandbSweepConfig
from wandb_sweeps._errors import SweepNotFoundError, SweepUnavailableError
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server import api

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wandb_sweeps._results import Trial
    from wandb_sweeps._server.responses import Command

_TIMEOUT = 10.0
_OVER = frozenset({"finished", "canceled", "cancelled", "stopped", "failed", "crashed"})


@dataclass(frozen=True)
class Sweep:
    """A sweep as W&B knows it."""

    location: SweepLocation
    state: str
    """In lower case."""
    config: Mapping[str, Any]

    @property
    def is_over(self) -> bool:
        """Whether W&B will never assign another trial."""
        return self.state in _OVER

    @property
    def metric(self) -> str:
        """The metric that the sweep optimizes; empty if its configuration names none."""
        return str(self._metric.get("name") or "")

    @property
    def goal(self) -> str:
        """The direction of better values of the metric: "minimize" or "maximize"."""
        return str(self._metric.get("goal") or "minimize")

    @property
    def _metric(self) -> Mapping[str, Any]:
        metric = self.config.get("metric")
        return metric if isinstance(metric, dict) else {}


def current_connection(current: SweepLocation | None) -> Connection:
    """Return how W&B is reached here: proxies and headers are those of the `settings` of the configuration of runs.

    Args:
        current: The current sweep, whose server is used; None for the configured server.
    """
    config = WandbConfig.current()
    return Connection.from_settings(config.settings, host=config.host if current is None else current.host)


class SweepServer:
    """The W&B server of a sweep. Its methods block, and raise SweepUnavailableError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = Client(connection, timeout=_TIMEOUT)

    @classmethod
    def of(cls, current: SweepLocation | None) -> SweepServer:
        """Return the server of the current sweep; without one, the configured server."""
        return cls(current_connection(current))

    @property
    def host(self) -> str:
        """The API base URL."""
        return self._client.host

    def require_credentials(self) -> None:
        """Fail if no API key is configured.

        Raises:
            MissingApiKeyError: No API key is configured.
        """
        api.require_credentials(self._connection)

    def look_up(self, location: SweepLocation) -> Sweep:
        """Read the state and the configuration of a sweep.

        Raises:
            SweepNotFoundError: The sweep does not exist.
            SweepUnavailableError: W&B is unreachable, or refused the request.
        """
        with self._requests():
            found = api.find_sweep(self._client, location)
        if found is None:
            msg = (
                f"Sweep {location.id!r} does not exist in {location.entity}/{location.project} at {location.host}: "
                "it was deleted, or belongs to another project. Write its full path: sweep_id='entity/project/id'"
            )
            raise SweepNotFoundError(msg)
        return Sweep(location, found.state.lower(), _parse_config(found.config))

    def read_trials(self, sweep: SweepLocation, filters: Mapping[str, Any], *, limit: int | None = None) -> list[Trial]:
        """Read the runs of the sweep's project that match W&B's filters, the oldest first: all, or so many."""
        with self._requests():
            return list(itertools.islice(api.list_trials(self._client, sweep, filters), limit))

    def create_agent(self, sweep: SweepLocation, host: str) -> str:
        """Register an agent that runs on a host; return its id."""
        with self._requests():
            return api.create_agent(self._client, sweep, host)

    def assigned_to(self, sweep: SweepLocation, host: str) -> list[str]:
        """Read the ids of the runs that were assigned to the agents on a host."""
        with self._requests():
            agents = api.list_agents(self._client, sweep)
        return [run_id for name, runs in agents if name == host for run_id in runs]

    def heartbeat(self, agent_id: str, run_id: str | None) -> list[Command] | None:
        """Send a heartbeat; return the agent's next commands, or None if the sweep was deleted."""
        with self._requests():
            return api.heartbeat(self._client, agent_id, run_id)

    def default_entity(self) -> str | None:
        """Request the default entity of the API key."""
        with self._requests():
            return self._client.default_entity()

    @contextlib.contextmanager
    def _requests(self) -> Iterator[None]:
        try:
            yield
        except DownloadError as error:
            msg = f"Sweep request to {self.host} failed: {error}"
            raise SweepUnavailableError(msg) from error


def locate(
    server: SweepServer, sweep_id: str | None, project: str | None, entity: str | None, current: SweepLocation | None
) -> Sweep:
    """Find the sweep that an agent works for.

    Args:
        server: The server to search.
        sweep_id: Its id or full path; None for the current sweep.
        project: Its project, if the id does not contain it.
        entity: Its entity, if the id does not contain it.
        current: The current sweep.

    Raises:
        InvalidValueError: No sweep is named, or the arguments contradict each other.
        MissingApiKeyError: No API key is configured.
        SweepNotFoundError: The sweep does not exist.
        SweepUnavailableError: W&B is unreachable, or refused the request.
    """
    if sweep_id is None and current is None:
        reason = "this task has no current sweep; give the sweep_id, or decorate the task with @wandb_sweep"
        error = InvalidValueError("sweep_id", None, reason)
        raise error
    server.require_credentials()
    if current is not None and sweep_id in (None, current.id, str(current.ref)):
        return server.look_up(_checked(current, current.id, project, entity))
    named = sweep_id or ""
    sweep, run = WandbSweepConfig.current(), WandbConfig.current()
    ref = SweepRef.parse(
        named,
        entity=entity or sweep.entity or run.entity or os.environ.get("WANDB_ENTITY") or _default_entity(server, named),
        project=project or sweep.project or run.project or os.environ.get("WANDB_PROJECT"),
    )
    return server.look_up(_checked(SweepLocation(ref.id, ref.entity, ref.project, server.host), named, project, entity))


def _checked(location: SweepLocation, named: str, project: str | None, entity: str | None) -> SweepLocation:
    for name, value, own in (("project", project, location.project), ("entity", entity, location.entity)):
        if value is not None and value != own:
            error = InvalidValueError("sweep_id", named, f"is a sweep of {name} {own!r}, not of {value!r}")
            raise error
    return location


def _default_entity(server: SweepServer, named: str) -> str | None:
    """Request the API key's default entity, unless the name contains the entity."""
    if "/" in named.strip("/").partition("/")[2] or "://" in named:
        return None
    return server.default_entity()


def _parse_config(text: object) -> Mapping[str, Any]:
    """Parse the YAML of a sweep's configuration. It is shown, not searched by: an unreadable one counts as empty."""
    try:
        config = yaml.safe_load(text) if isinstance(text, str) else None
    except yaml.YAMLError:
        config = None
    return config if isinstance(config, dict) else {}
