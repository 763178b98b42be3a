"""Records of runs and files, as tests read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from wandb_devserver._documents import INTERNAL_KEY, plain_config
from wandb_devserver._domain.streams import parse_line
from wandb_devserver._errors import NotFoundError, UsageError
from wandb_devserver._json import JsonObject, loads_object
from wandb_devserver._storage import files as file_table
from wandb_devserver._storage import lines as line_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table

if TYPE_CHECKING:
    import sqlite3

    from wandb_devserver._backend import Backend
    from wandb_devserver._storage.files import StoredFile
    from wandb_devserver._storage.projects import StoredProject
    from wandb_devserver._storage.runs import StoredRun


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of a run."""

    name: str
    """Its name in the run, such as `media/images/x.png`."""

    size: int
    """Bytes."""

    md5: str
    """Base64 of the MD5 digest, as W&B states it."""

    path: Path
    """Where the server keeps the contents; gone when the file is replaced or the server's data are."""

    def read_bytes(self) -> bytes:
        """Return the contents."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run as the server had it at one moment."""

    entity: str
    project: str
    id: str
    name: str
    """The display name."""

    state: str
    """`running`, `finished`, `failed`, `crashed`, `preempting`, `preempted`, `pending` or `killed`."""

    exit_code: int | None
    """The exit code that the writer reported at its end; None before."""

    config: JsonObject
    """Plain values, without the SDK's own entries."""

    summary: JsonObject
    """Without the SDK's own `_wandb` entry; `_step`, `_runtime` and `_timestamp` are there."""

    history: list[JsonObject]
    """All rows in the order of their arrival. Numbers that are not finite are floats."""

    events: list[JsonObject]
    """System metrics."""

    files: Mapping[str, FileRecord]
    """By name."""

    tags: list[str]
    group: str | None
    job_type: str | None
    notes: str | None
    console: list[str]
    """Lines of output, without the time stamps they were sent with."""

    sweep: str | None
    """The id of the sweep the run belongs to."""

    created_at: float
    """Seconds since the epoch."""

    url: str
    """The run's page on this server."""


def read_run(backend: Backend, url: str, path: str) -> RunRecord:
    """Return the run at `entity/project/id`.

    Raises:
        NotFoundError: if it does not exist; the message lists the runs.
    """
    entity, project, name = split_path(path, 3, "entity/project/id")
    with backend.database.read() as connection:
        run = run_table.find_by_path(connection, entity, project, name)
        if run is None:
            raise missing_run(connection, path)
        return make_record(backend, connection, url, run)


def missing_run(connection: sqlite3.Connection, path: str) -> NotFoundError:
    """Return the error for a run that does not exist; the message lists the runs."""
    known = [f"{other.entity}/{other.project}/{other.name}" for other in _all_runs(connection, None)]
    return NotFoundError(f"no run {path!r} on this server; it has {listed(known)}")


def read_runs(backend: Backend, url: str, path: str | None) -> list[RunRecord]:
    """Return the runs of a project `entity/project`, or all, oldest first.

    Raises:
        NotFoundError: if the project does not exist; the message lists the projects.
    """
    with backend.database.read() as connection:
        runs = _all_runs(connection, path)
        return [make_record(backend, connection, url, run) for run in runs]


def read_state(backend: Backend, path: str) -> tuple[str, float] | None:
    """Return the state of a run and the time of its last heartbeat; None if it does not exist."""
    entity, project, name = split_path(path, 3, "entity/project/id")
    with backend.database.read() as connection:
        run = run_table.find_by_path(connection, entity, project, name)
    return (run.state, run.heartbeat_at) if run else None


def _all_runs(connection: sqlite3.Connection, path: str | None) -> list[StoredRun]:
    projects = projects_at(connection, path)
    return [run for project in projects for run, _ in run_table.page(connection, project.id, limit=-1)]


def projects_at(connection: sqlite3.Connection, path: str | None) -> list[StoredProject]:
    """Return the project at `entity/project`, or all.

    Raises:
        NotFoundError: if the project does not exist; the message lists the projects.
    """
    projects = project_table.page(connection, None)
    if path is None:
        return projects
    entity, name = split_path(path, 2, "entity/project")
    chosen = [project for project in projects if (project.entity, project.name) == (entity, name)]
    if not chosen:
        known = [f"{project.entity}/{project.name}" for project in projects]
        msg = f"no project {path!r} on this server; it has {listed(known)}"
        raise NotFoundError(msg)
    return chosen


def make_record(backend: Backend, connection: sqlite3.Connection, url: str, run: StoredRun) -> RunRecord:
    summary = loads_object(run.summary)
    summary.pop(INTERNAL_KEY, None)
    return RunRecord(
        entity=run.entity,
        project=run.project,
        id=run.name,
        name=run.display_name,
        state=run.state,
        exit_code=run.exit_code,
        config=plain_config(loads_object(run.config)),
        summary=summary,
        history=[loads_object(text) for _, text in line_table.read(connection, run.id, "history")],
        events=[loads_object(text) for _, text in line_table.read(connection, run.id, "events")],
        files={file.name: _file_record(backend, file) for file in file_table.page(connection, run.id)},
        tags=run.tags,
        group=run.group_name,
        job_type=run.job_type,
        notes=run.notes,
        console=[parse_line(text).labeled_text for _, text in line_table.read(connection, run.id, "console")],
        sweep=run.sweep_name,
        created_at=run.created_at,
        url="/".join([url, *(quote(part, safe="") for part in (run.entity, run.project, "runs", run.name))]),
    )


def _file_record(backend: Backend, file: StoredFile) -> FileRecord:
    return FileRecord(file.name, file.size, file.md5, backend.blobs.path(file.blob))


def split_path(path: str, parts: int, form: str) -> list[str]:
    found = path.split("/")
    if len(found) != parts or not all(found):
        msg = f"{path!r} is not a path of the form {form!r}"
        raise UsageError(msg)
    return found


def listed(names: list[str], most: int = 20) -> str:
    shown = ", ".join(repr(name) for name in names[:most]) or "none"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
