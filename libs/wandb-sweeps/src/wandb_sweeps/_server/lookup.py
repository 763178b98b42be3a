"""Which sweep an agent works for, and what W&B says about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_artifacts import InvalidValueError, SweepRef
from wandb_runtime import WandbConfig
from wandb_runtime.config.context import flyte_context
from wandb_runtime.server.diagnostics import require_credentials
from wandb_runtime.server.queries import despite_teardown

from wandb_sweeps._address import SweepAddress
from wandb_sweeps._config.sweep import WandbSweepConfig
from wandb_sweeps._errors import SweepNotFoundError, SweepUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wandb_sweeps._server.requests import Connection

_TIMEOUT = 10.0
_IS_OVER = frozenset({"finished", "canceled", "cancelled", "stopped", "failed", "crashed"})


@dataclass(frozen=True)
class Sweep:
    """A sweep that W&B knows."""

    address: SweepAddress
    state: str
    """In lower case."""
    config: dict[str, Any]

    @property
    def is_over(self) -> bool:
        """Whether W&B hands out no more trials, whatever happens."""
        return self.state in _IS_OVER


class Server:
    """The W&B server of a sweep. What it does blocks.

    `wandb.teardown()`, which the SDK's agents call in their process, ends connections: then there is another one.
    """

    def __init__(self, host: str | None) -> None:
        self._host = host
        self._connection: Connection | None = None

    @classmethod
    def of(cls, in_force: SweepAddress | None) -> Server:
        """That of the sweep in force; where there is none, the one that is configured."""
        return cls(in_force.host if in_force is not None else WandbConfig.current().host)

    def require_key(self) -> None:
        """Fails before the SDK would ask for a key on the terminal of whoever runs the task.

        Raises:
            MissingApiKeyError: There is none.
        """
        require_credentials(self._host)

    def connection(self) -> Connection:
        """A connection that has not failed yet."""
        from wandb_sweeps._server.requests import Connection

        if self._connection is None:
            self._connection = Connection.to(self._host, timeout=_TIMEOUT)
        return self._connection

    def ask(self, request: Callable[[Connection], Any]) -> Any:
        """Sends a request.

        Raises:
            SweepUnavailableError: W&B has not answered, or has refused it.
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
    server: Server, sweep_id: str | None, project: str | None, entity: str | None, in_force: SweepAddress | None
) -> Sweep:
    """Finds the sweep that is meant.

    Args:
        server: Where to look.
        sweep_id: Its id or full path; None for the one in force.
        project: Its project, where the id does not tell.
        entity: Its entity, where the id does not tell.
        in_force: The sweep in force.

    Raises:
        InvalidValueError: None is meant, or what is given contradicts itself.
        MissingApiKeyError: There is no API key.
        SweepNotFoundError: There is none.
        SweepUnavailableError: W&B does not tell.
    """
    if sweep_id is None and in_force is None:
        reason = "there is no sweep in force here; give the sweep_id, or decorate the task with @wandb_sweep"
        error = InvalidValueError("sweep_id", None, reason)
        raise error
    server.require_key()
    if in_force is not None and sweep_id in (None, in_force.id, str(in_force.ref)):
        return look_up(server, _checked(in_force, in_force.id, project, entity))
    named = sweep_id or ""
    sweep, run = WandbSweepConfig.current(), WandbConfig.current()
    ref = SweepRef.parse(
        named,
        entity=entity or sweep.entity or run.entity or os.environ.get("WANDB_ENTITY") or _default_entity(server, named),
        project=project or sweep.project or run.project or os.environ.get("WANDB_PROJECT"),
    )
    host = server.ask(lambda connection: connection.host)
    address = _checked(SweepAddress(ref.id, ref.entity, ref.project, host), named, project, entity)
    return look_up(server, address)


def _checked(address: SweepAddress, named: str, project: str | None, entity: str | None) -> SweepAddress:
    for name, value, own in (("project", project, address.project), ("entity", entity, address.entity)):
        if value is not None and value != own:
            error = InvalidValueError("sweep_id", named, f"is a sweep of {name} {own!r}, not of {value!r}")
            raise error
    return address


def look_up(server: Server, address: SweepAddress) -> Sweep:
    """Asks for the state and the configuration of a sweep.

    Raises:
        SweepNotFoundError: There is no such sweep.
        SweepUnavailableError: W&B does not tell.
    """

    def find(connection: Connection) -> Sweep | None:
        from wandb_sweeps._server.requests import parse_yaml

        found = connection.find_sweep(address.entity, address.project, address.id)
        if found is None:
            return None
        return Sweep(address, str(found["state"]).lower(), parse_yaml(found["config"] or ""))

    sweep: Sweep | None = server.ask(find)
    if sweep is None:
        msg = (
            f"There is no sweep {address.id!r} in {address.entity}/{address.project} at {address.host}: it was "
            "deleted, or is of another project. Write its full path: sweep_id='entity/project/id'"
        )
        raise SweepNotFoundError(msg)
    return sweep


def sweep_in_force() -> SweepAddress | None:
    """The sweep of the nearest task that has one."""
    return SweepAddress.from_context(flyte_context())


def _default_entity(server: Server, named: str) -> str | None:
    """The entity of the API key's owner, where it has to be asked for."""
    if "/" in named.strip("/").partition("/")[2] or "://" in named:
        return None
    entity: str | None = server.ask(lambda connection: connection.api.default_entity)
    return entity


def _explained(error: Exception, host: str | None) -> str:
    where = host or os.environ.get("WANDB_BASE_URL") or "W&B"
    from wandb_sweeps._server.requests import WandbApiFailedError, status_of

    code = status_of(error) if isinstance(error, WandbApiFailedError) else None
    status = "" if code is None else f"HTTP {code}: "
    text = status + " ".join(str(error).split())
    key = os.environ.get("WANDB_API_KEY")
    text = text.replace(key, "***") if key else text
    return f"{where} does not do what a sweep agent asks for: {type(error).__name__}: {text[:300]}"
