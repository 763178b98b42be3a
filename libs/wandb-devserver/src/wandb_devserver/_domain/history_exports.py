"""Export of history rows to Parquet files, each key a column, as W&B does it in the background."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from wandb_devserver._errors import UsageError
from wandb_devserver._json import loads_object
from wandb_devserver._storage import history_exports as export_table
from wandb_devserver._storage import lines as line_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wandb_devserver._backend import Backend
    from wandb_devserver._json import JsonObject

    # Position, step, values.
    Row = tuple[int, int, JsonObject]

ROWS_PER_FILE = 50_000
_MOST_FILES = 200
"""Of one run. A key whose type changes from row to row would give a file per row."""
_GROUP_ROWS = 10_000


def check_pyarrow(needed_by: str) -> None:
    """Check that the library which writes Parquet files is installed.

    Raises:
        UsageError: if it is not.
    """
    if find_spec("pyarrow") is None:
        msg = f"{needed_by}: exports need pyarrow, install it with pip install 'wandb-devserver[parquet]'"
        raise UsageError(msg)


def exported_end(exports: Sequence[export_table.StoredExport]) -> int:
    """Return the position of the first row that is not in these exports of a run."""
    return exports[-1].end if exports else 0


def export(backend: Backend, run_id: int, end: int, *, rows_per_file: int = ROWS_PER_FILE) -> int:
    """Export the rows of a run before the position `end` that are not exported yet.

    Returns:
        The position of the first row that is not exported: lower than `end` if no column type can hold a value of it.
    """
    with backend.export_lock:
        while True:
            with backend.database.read() as connection:
                exports = export_table.of_run(connection, run_id)
                first = exported_end(exports)
                last = min(first + rows_per_file, end) if len(exports) < _MOST_FILES else first
                texts = line_table.read_rows(connection, run_id, first, last)
                rows = [(position, step, loads_object(text)) for position, step, text in texts]
            contents, count = _longest_file(rows)
            if not count:
                return first
            _store(backend, run_id, first, rows[count - 1][0] + 1, contents)


def _store(backend: Backend, run_id: int, first: int, end: int, contents: bytes) -> None:
    with backend.blobs.writer() as writer:
        writer.write(contents)
        blob = writer.commit()
    try:
        with backend.database.write() as connection:
            export_table.put(connection, run_id, first, end, blob.name)
    except BaseException:
        backend.blobs.remove(blob.name)
        raise


def _longest_file(rows: Sequence[Row]) -> tuple[bytes, int]:
    """Return a Parquet file of as many of the first rows as have one type for each key, and their number."""
    if not rows or _file(rows[:1]) is None:
        return b"", 0
    if contents := _file(rows):
        return contents, len(rows)
    fits, too_many = 1, len(rows)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if _file(rows[:middle]):
            fits = middle
        else:
            too_many = middle
    return _file(rows[:fits]) or b"", fits


def _file(rows: Sequence[Row]) -> bytes | None:
    """Return a Parquet file, or None if Parquet has no column type for all values of a key."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = io.BytesIO()
    try:
        pq.write_table(_table(rows), target, row_group_size=_GROUP_ROWS, compression="zstd")
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return None
    return target.getvalue()


def _table(rows: Sequence[Row]) -> Any:
    import pyarrow as pa

    ordered = sorted(rows, key=lambda row: row[1])
    keys = dict.fromkeys(key for _, _, values in ordered for key in values if key != "_step")
    columns = {key: pa.array([values.get(key) for _, _, values in ordered]) for key in keys}
    # The SDK's reader selects columns by the number of their leaves: those with several must not precede others.
    plain = {key: column for key, column in columns.items() if not pa.types.is_nested(column.type)}
    steps = pa.array([step for _, step, _ in ordered], pa.int64())
    return pa.table({"_step": steps, **plain, **columns})
