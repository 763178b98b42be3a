"""Run states and the transitions between them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wandb_devserver._documents import INTERNAL_KEY
from wandb_devserver._errors import NotFoundError, UsageError
from wandb_devserver._json import dumps, loads_object
from wandb_devserver._storage import lines as line_table
from wandb_devserver._storage import runs as run_table

if TYPE_CHECKING:
    import sqlite3

    from wandb_devserver._json import JsonObject
    from wandb_devserver._storage.projects import StoredProject
    from wandb_devserver._storage.runs import StoredRun

ENDED = ("finished", "failed", "crashed", "preempted", "killed")
_TRANSITIONS = {"pending": ("running", "failed", "crashed", "preempted"), "failed": ("pending", "running")}


def open_run(
    connection: sqlite3.Connection,
    project: StoredProject,
    name: str,
    *,
    client: str | None,
    state: str | None,
    resumes: bool,
) -> tuple[StoredRun, bool]:
    """Return the run a writer opens, and whether it is new.

    Args:
        connection: a connection that may write.
        project: where the run lives.
        name: the run's id as users know it.
        client: the writer's own id in shared mode, None for a plain writer.
        state: the state to create it in, for a run that is to be started later.
        resumes: whether the writer continues where an earlier one ended.
    """
    run = run_table.find(connection, project.id, name)
    known_writer = client is not None and _is_known_writer(connection, run, client)
    inserted = run is None
    if run is None:
        run = run_table.create(connection, project, name, state or "running")
    elif not state and not (known_writer and run.state in ENDED):
        _reopen(connection, run, resumes=resumes or client is not None)
    if resumes:
        # Whoever resumes knows the length of the history: its offsets are positions.
        line_table.set_history_base(connection, run.id, 0)
    if client is not None:
        connection.execute("INSERT INTO writers VALUES (?, ?) ON CONFLICT DO NOTHING", (run.id, client))
    return run, inserted


def beat(connection: sqlite3.Connection, run: StoredRun, *, shared: bool) -> None:
    """Record a heartbeat. It revives an ended run, unless another writer of it may have ended it."""
    state = run.state if shared and run.state in ("finished", "failed") else "running"
    if run.state in ("preempting", "preempted"):
        state = run.state if shared else "preempting"
    connection.execute("UPDATE runs SET heartbeat_at = ?, state = ? WHERE id = ?", (time.time(), state, run.id))


def mark_preempting(connection: sqlite3.Connection, run: StoredRun) -> None:
    connection.execute("UPDATE runs SET heartbeat_at = ?, state = 'preempting' WHERE id = ?", (time.time(), run.id))


def complete(connection: sqlite3.Connection, run: StoredRun, exit_code: int) -> None:
    """End a run as its writer reported it.

    W&B documents that a run announced as preempting is preempted unless it exits with 0.
    """
    failed = "preempted" if run.state in ("preempting", "preempted") else "failed"
    connection.execute(
        "UPDATE runs SET heartbeat_at = ?, exit_code = ?, state = ? WHERE id = ?",
        (time.time(), exit_code, failed if exit_code else "finished", run.id),
    )


def request_stop(connection: sqlite3.Connection, run: StoredRun) -> None:
    connection.execute("UPDATE runs SET stop_requested = 1 WHERE id = ?", (run.id,))


def update_state(connection: sqlite3.Connection, run: StoredRun, state: str) -> None:
    """Set the state as `Run.update_state` of the public API may.

    Raises:
        UsageError: if W&B allows no such change.
    """
    if run.state not in _TRANSITIONS.get(state, ()):
        allowed = "; ".join(f"{target} from {', '.join(sources)}" for target, sources in _TRANSITIONS.items())
        msg = f"invalid state transition of run {run.name!r} from {run.state!r} to {state!r}: allowed are {allowed}"
        raise UsageError(msg)
    if run.sweep_name:
        msg = f"invalid state transition of run {run.name!r}: sweep {run.sweep_name!r} alone sets its state"
        raise UsageError(msg)
    connection.execute("UPDATE runs SET state = ? WHERE id = ?", (state, run.id))


def fork(connection: sqlite3.Connection, run: StoredRun, config: str | None) -> bool:
    """Copy the history of the run that a new run is forked from; return whether it is forked.

    The SDK records the branch point in its part of the configuration.

    Raises:
        NotFoundError: if the run to fork from does not exist.
    """
    entry = loads_object(config).get(INTERNAL_KEY)
    internals = entry.get("value") if isinstance(entry, dict) else None
    point = internals.get("branch_point") if isinstance(internals, dict) else None
    if not isinstance(point, dict) or point.get("run_id") in (None, run.name):
        return False
    source = run_table.find(connection, run.project_id, str(point["run_id"]))
    if source is None:
        msg = f"cannot fork from run {point['run_id']!r}: it does not exist in '{run.entity}/{run.project}'"
        raise NotFoundError(msg)
    line_table.copy_history(connection, source.id, run.id, int(float(str(point.get("step", 0)))))
    return True


def rewind(connection: sqlite3.Connection, run: StoredRun, last_step: int) -> None:
    """Remove what a run logged after a step, and set it to running."""
    summary: JsonObject = {}
    for text in line_table.truncate_history(connection, run.id, last_step):
        summary.update(loads_object(text))
    run_table.edit(connection, run, run_table.RunChanges(summary=dumps(summary)))
    connection.execute(
        "UPDATE runs SET state = 'running', exit_code = NULL, stop_requested = 0, heartbeat_at = ? WHERE id = ?",
        (time.time(), run.id),
    )


def _is_known_writer(connection: sqlite3.Connection, run: StoredRun | None, client: str) -> bool:
    if run is None:
        return False
    row = connection.execute("SELECT 1 FROM writers WHERE run_id = ? AND client = ?", (run.id, client))
    return row.fetchone() is not None


def _reopen(connection: sqlite3.Connection, run: StoredRun, *, resumes: bool) -> None:
    if run.state in ENDED and not resumes:
        # The new attempt writes its console over the old one; were it shorter, the old end would stay.
        line_table.clear(connection, run.id, "console")
    if run.state in ENDED or run.state == "pending":
        connection.execute(
            "UPDATE runs SET state = 'running', exit_code = NULL, stop_requested = 0 WHERE id = ?", (run.id,)
        )
    connection.execute("UPDATE runs SET heartbeat_at = ? WHERE id = ?", (time.time(), run.id))
