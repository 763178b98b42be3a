"""Look-ups of a sweep and its trials at W&B, and the connection that agents keep for them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_artifacts import InvalidValueError, SweepRef
from wandb_runtime import WandbConfig
from wandb_runtime.server.diagnostics import require_credentials
from wandb_runtime.server.queries import despite_teardown

from wandb_sweeps._config.sweep import WandbSweepConfig
from wandb_sweeps._errors import SweepNotFoundError, SweepUnavailableError
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._results import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wandb_sweeps._server.requests import Connection

_TIMEOUT = 10.0
_OVER = frozenset({"finished", "canceled", "cancelled", "stopped", "failed", "crashed"})


@dataclass(frozen=True)
class Sweep:
    """A sweep as W&B knows it."""

    location: SweepLocation
    state: str
    """In lower case."""
    config: dict[str, Any]

    @property
    def is_over(self) -> bool:
        """Whether W&B will never assign another trial."""
        return self.state in _OVER

    @property
    def metric(self) -> str:
        """The metric that the sweep optimizes; empty if its configuration names none."""
        return str(self._metric.get("name", ""))

    @property
    def goal(self) -> str:
        """Which values of the metric are better: "minimize" or "maximize"."""
        return str(self._metric.get("goal", "minimize"))

    @property
    def _metric(self) -> Mapping[str, Any]:
        metric = self.config.get("metric")
        return metric if isinstance(metric, dict) else {}


class Server:
    """The W&B server of a sweep; its methods block.

    `wandb.teardown()`, which the SDK's agents call in their process, ends connections: the next request opens another.
    """

    def __init__(self, host: str | None) -> None:
        self._host = host
        self._connection: Connection | None = None

    @classmethod
    def of(cls, current: SweepLocation | None) -> Server:
        """Return the server of the current sweep; without one, the configured server."""
        return cls(current.host if current is not None else WandbConfig.current().host)

    def require_key(self) -> None:
        """Fail before the SDK would prompt for a key on the terminal.

        Raises:
            MissingApiKeyError: No API key is configured.
        """
        require_credentials(self._host)

    def connection(self) -> Connection:
        """Return the open connection, or a new one."""
        from wandb_sweeps._server.requests import Connection

        if self._connection is None:
            self._connection = Connection.to(self._host, timeout=_TIMEOUT)
        return self._connection

    def ask(self, request: Callable[[Connection], Any]) -> Any:
        """Send a request.

        Raises:
            SweepUnavailableError: W&B did not respond, or refused the request.
        """
        try:
            return despite_teardown(lambda: self._ask(request))
        except Exception as error:
            raise SweepUnavailableError(_explained(error, self._host)) from error

    def _ask(self, request: Callable[[Connection], Any]) -> Any:
        try:
            return request(self.connection())
        except Exception:
            self._connection = None
            raise


def locate(
    server: Server, sweep_id: str | None, project: str | None, entity: str | None, current: SweepLocation | None
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
        SweepUnavailableError: W&B is unreachable.
    """
    if sweep_id is None and current is None:
        reason = "this task has no current sweep; give the sweep_id, or decorate the task with @wandb_sweep"
        error = InvalidValueError("sweep_id", None, reason)
        raise error
    server.require_key()
    if current is not None and sweep_id in (None, current.id, str(current.ref)):
        return look_up(server, _checked(current, current.id, project, entity))
    named = sweep_id or ""
    sweep, run = WandbSweepConfig.current(), WandbConfig.current()
    ref = SweepRef.parse(
        named,
        entity=entity or sweep.entity or run.entity or os.environ.get("WANDB_ENTITY") or _default_entity(server, named),
        project=project or sweep.project or run.project or os.environ.get("WANDB_PROJECT"),
    )
    host = server.ask(lambda connection: connection.host)
    location = _checked(SweepLocation(ref.id, ref.entity, ref.project, host), named, project, entity)
    return look_up(server, location)


def _checked(location: SweepLocation, named: str, project: str | None, entity: str | None) -> SweepLocation:
    for name, value, own in (("project", project, location.project), ("entity", entity, location.entity)):
        if value is not None and value != own:
            error = InvalidValueError("sweep_id", named, f"is a sweep of {name} {own!r}, not of {value!r}")
            raise error
    return location


def look_up(server: Server, location: SweepLocation) -> Sweep:
    """Read the state and the configuration of a sweep.

    Raises:
        SweepNotFoundError: The sweep does not exist.
        SweepUnavailableError: W&B is unreachable.
    """

    def find(connection: Connection) -> Sweep | None:
        from wandb_sweeps._server.requests import parse_yaml

        found = connection.find_sweep(location.entity, location.project, location.id)
        if found is None:
            return None
        return Sweep(location, str(found["state"]).lower(), parse_yaml(found["config"] or ""))

    sweep: Sweep | None = server.ask(find)
    if sweep is None:
        msg = (
            f"There is no sweep {location.id!r} in {location.entity}/{location.project} at {location.host}: it was "
            "deleted, or belongs to another project. Write its full path: sweep_id='entity/project/id'"
        )
        raise SweepNotFoundError(msg)
    return sweep


def _default_entity(server: Server, named: str) -> str | None:
    """Request the API key's default entity, unless the name contains the entity."""
    if "/" in named.strip("/").partition("/")[2] or "://" in named:
        return None
    entity: str | None = server.ask(lambda connection: connection.api.default_entity)
    return entity


def read_trials(server: Server, sweep: SweepLocation, filters: Mapping[str, Any]) -> list[Trial]:
    """Read the runs of the sweep's project that match W&B's filters, the oldest first. Blocks.

    Raises:
        SweepUnavailableError: W&B is unreachable.
    """
    found: list[Trial] = server.ask(
        lambda connection: [_trial(node) for node in connection.runs(sweep.entity, sweep.project, filters)]
    )
    return found


def _trial(node: Mapping[str, Any]) -> Trial:
    config = {
        key: entry["value"] if isinstance(entry, dict) and "value" in entry else entry
        for key, entry in json.loads(node["config"] or "{}").items()
        if not key.startswith("_")
    }
    summary = json.loads(node["summaryMetrics"] or "{}", parse_constant=float)
    return Trial(
        id=node["name"],
        name=node["displayName"] or node["name"],
        state=node["state"] or "",
        config=config,
        summary={key: value for key, value in summary.items() if not key.startswith("_")},
    )


def _explained(error: Exception, host: str | None) -> str:
    where = host or os.environ.get("WANDB_BASE_URL") or "W&B"
    from wandb_sweeps._server.requests import WandbApiFailedError, status_of

    code = status_of(error) if isinstance(error, WandbApiFailedError) else None
    status = "" if code is None else f"HTTP {code}: "
    text = status + " ".join(str(error).split())
    key = os.environ.get("WANDB_API_KEY")
    text = text.replace(key, "***") if key else text
    return f"Sweep request to {where} failed: {type(error).__name__}: {text[:300]}"
