"""Records of sweeps and agents, as tests read them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from wandb_devserver._domain import results as sweep_results
from wandb_devserver._errors import NotFoundError
from wandb_devserver._json import JsonObject
from wandb_devserver._search.config import parse_config
from wandb_devserver._storage import agents as agent_table
from wandb_devserver._storage import sweeps as sweep_table
from wandb_devserver._storage import trials as trial_table
from wandb_devserver._testing.records import RunRecord, listed, make_record, projects_at, split_path

if TYPE_CHECKING:
    import sqlite3

    from wandb_devserver._backend import Backend
    from wandb_devserver._storage.sweeps import StoredSweep

_FORM = "entity/project/id"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    """An agent that worked for a sweep."""

    id: str
    host: str

    state: str
    """`RUNNING`, `FINISHED`, or `CRASHED`: it fell silent while it had a trial."""

    trials: list[str]
    """Ids of the runs that it was given last, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRecord:
    """A sweep as the server had it at one moment."""

    entity: str
    project: str
    id: str
    name: str
    """The display name; the id where it has none."""

    description: str | None

    state: str
    """`PENDING`, `RUNNING`, `PAUSED`, `FINISHED` or `CANCELED`."""

    config: JsonObject
    """As it was given."""

    trials: list[RunRecord]
    """The runs of the sweep, oldest first; also those that no agent has started yet, which are `pending`."""

    agents: list[AgentRecord]
    """Oldest first."""

    created_at: float
    """Seconds since the epoch."""

    url: str
    """The sweep's page on this server."""


def read_sweep(backend: Backend, url: str, path: str) -> SweepRecord:
    """Return the sweep at `entity/project/id`.

    Raises:
        NotFoundError: if it does not exist; the message lists the sweeps.
    """
    with backend.database.read() as connection:
        return _record(backend, connection, url, _find(connection, path))


def read_sweeps(backend: Backend, url: str, path: str | None) -> list[SweepRecord]:
    """Return the sweeps of a project `entity/project`, or all, oldest first.

    Raises:
        NotFoundError: if the project does not exist; the message lists the projects.
    """
    with backend.database.read() as connection:
        return [_record(backend, connection, url, sweep) for sweep in _all_sweeps(connection, path)]


def read_sweep_state(backend: Backend, path: str) -> str | None:
    """Return the state of a sweep; None if it does not exist."""
    with backend.database.read() as connection:
        sweep = sweep_table.find_by_path(connection, *split_path(path, 3, _FORM))
    return sweep.state if sweep else None


def delete_sweep(backend: Backend, path: str) -> None:
    """Forget the sweep at `entity/project/id`.

    Raises:
        NotFoundError: if it does not exist; the message lists the sweeps.
    """
    with backend.database.write() as connection:
        sweep_table.delete(connection, _find(connection, path))


def _find(connection: sqlite3.Connection, path: str) -> StoredSweep:
    sweep = sweep_table.find_by_path(connection, *split_path(path, 3, _FORM))
    if sweep is None:
        known = [f"{other.entity}/{other.project}/{other.name}" for other in _all_sweeps(connection, None)]
        msg = f"no sweep {path!r} on this server; it has {listed(known)}"
        raise NotFoundError(msg)
    return sweep


def _all_sweeps(connection: sqlite3.Connection, path: str | None) -> list[StoredSweep]:
    return [sweep for project in projects_at(connection, path) for sweep in sweep_table.page(connection, project.id)]


def _record(backend: Backend, connection: sqlite3.Connection, url: str, sweep: StoredSweep) -> SweepRecord:
    parts = (sweep.entity, sweep.project, "sweeps", sweep.name)
    return SweepRecord(
        entity=sweep.entity,
        project=sweep.project,
        id=sweep.name,
        name=sweep.title,
        description=sweep.description,
        state=sweep.state,
        # A copy: what was parsed is kept.
        config=copy.deepcopy(parse_config(sweep.config).document),
        trials=[make_record(backend, connection, url, run) for run in sweep_results.runs(connection, sweep)],
        agents=_agent_records(connection, sweep),
        created_at=sweep.created_at,
        url="/".join([url, *(quote(part, safe="") for part in parts)]),
    )


def _agent_records(connection: sqlite3.Connection, sweep: StoredSweep) -> list[AgentRecord]:
    return [
        AgentRecord(
            id=agent.name,
            host=agent.host,
            state=agent.state,
            trials=[trial.name for trial in trial_table.of_agent(connection, agent.id)],
        )
        for agent in agent_table.of_sweep(connection, sweep.id)
    ]
