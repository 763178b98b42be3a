"""Export of a run's history on demand, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wandb_devserver._domain import history_exports
from wandb_devserver._errors import UsageError
from wandb_devserver._storage import lines as line_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._testing.records import missing_run, split_path

if TYPE_CHECKING:
    from wandb_devserver._backend import Backend


def export_run(backend: Backend, path: str, rows: int | None, rows_per_file: int) -> int:
    """Export the first `rows` rows of the run at `entity/project/id`, or all; return how many are exported now.

    Raises:
        NotFoundError: if the run does not exist; the message lists the runs.
    """
    if rows_per_file < 1:
        msg = f"rows_per_file is {rows_per_file}: use 1 or more"
        raise UsageError(msg)
    entity, project, name = split_path(path, 3, "entity/project/id")
    with backend.database.read() as connection:
        run = run_table.find_by_path(connection, entity, project, name)
        if run is None:
            raise missing_run(connection, path)
        count = line_table.count(connection, run.id, "history")
    return history_exports.export(backend, run.id, count if rows is None else rows, rows_per_file=rows_per_file)
