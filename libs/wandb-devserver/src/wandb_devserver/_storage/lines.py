"""Tables of streamed lines: history rows, system events and console output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wandb_devserver._json import Json, JsonObject, dumps, loads_object
from wandb_devserver._storage import history_exports as export_table
from wandb_devserver._storage import metrics as metric_table

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

Stream = Literal["history", "events", "console"]

_LAST_POSITION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive lines of one stream, as a client sends them."""

    stream: Stream
    offset: int
    lines: list[str]


def append_plain(connection: sqlite3.Connection, run_id: int, chunk: Chunk) -> None:
    """Store lines at an offset, in place of the lines that were there."""
    if not chunk.lines:
        return
    if chunk.stream == "history":
        base = _history_base(connection, run_id, chunk)
        _store(connection, run_id, Chunk("history", base + chunk.offset, chunk.lines))
        return
    if chunk.stream == "events" and _starts_over(connection, run_id, chunk):
        clear(connection, run_id, chunk.stream)
    _store(connection, run_id, chunk)


def append_shared(connection: sqlite3.Connection, run_id: int, chunk: Chunk, client: str) -> None:
    """Store lines of one of several writers, whose offsets count its own lines only.

    New lines go to the end of the run's stream. Steps of several writers collide, so the
    server numbers the rows of the history itself, as they arrive.
    """
    position = count(connection, run_id, chunk.stream)
    step = last_step(connection, run_id) + 1
    for offset, text in enumerate(chunk.lines, chunk.offset):
        known = _shared_position(connection, run_id, chunk.stream, client, offset)
        if known is not None:
            if chunk.stream == "console":
                _store(connection, run_id, Chunk("console", known, [text]))
            continue
        line = text
        if chunk.stream == "history":
            line = dumps({**loads_object(text), "_step": step})
        _store(connection, run_id, Chunk(chunk.stream, position, [line]))
        connection.execute(
            "INSERT INTO shared_lines VALUES (?, ?, ?, ?, ?)", (run_id, chunk.stream, client, offset, position)
        )
        position, step = position + 1, step + 1


def set_history_base(connection: sqlite3.Connection, run_id: int, base: int) -> None:
    """Set where the lines of the current plain writer begin."""
    connection.execute("UPDATE runs SET history_base = ? WHERE id = ?", (base, run_id))


def copy_history(connection: sqlite3.Connection, source_id: int, target_id: int, last: int) -> None:
    """Copy the history rows of a run up to the step `last`, in order of steps, to a run without any."""
    texts = list(read_steps(connection, source_id, 0, last))
    if texts:
        _store(connection, target_id, Chunk("history", 0, texts))


def truncate_history(connection: sqlite3.Connection, run_id: int, last: int) -> list[str]:
    """Remove the history rows after the step `last`; return the remaining ones."""
    texts = list(read_steps(connection, run_id, 0, last))
    clear(connection, run_id, "history")
    if texts:
        _store(connection, run_id, Chunk("history", 0, texts))
    return texts


def clear(connection: sqlite3.Connection, run_id: int, stream: Stream) -> None:
    connection.execute("DELETE FROM lines WHERE run_id = ? AND stream = ?", (run_id, stream))
    connection.execute("DELETE FROM shared_lines WHERE run_id = ? AND stream = ?", (run_id, stream))
    if stream != "console":
        metric_table.clear(connection, run_id, stream)
    if stream == "history":
        set_history_base(connection, run_id, 0)
        export_table.forget(connection, run_id)
        connection.execute("DELETE FROM history_keys WHERE run_id = ?", (run_id,))


def count(connection: sqlite3.Connection, run_id: int, stream: Stream) -> int:
    """Return how many lines the stream has, which is also the next free position."""
    row = connection.execute("SELECT MAX(position) FROM lines WHERE run_id = ? AND stream = ?", (run_id, stream))
    (last,) = row.fetchone()
    return 0 if last is None else int(last) + 1


def last_step(connection: sqlite3.Connection, run_id: int) -> int:
    """Return the highest step of the history, -1 when it is empty."""
    row = connection.execute("SELECT MAX(step) FROM lines WHERE run_id = ? AND step IS NOT NULL", (run_id,))
    (last,) = row.fetchone()
    return -1 if last is None else int(last)


def read(
    connection: sqlite3.Connection,
    run_id: int,
    stream: Stream,
    *,
    first: int = 0,
    before: int = _LAST_POSITION,
    limit: int = -1,
) -> Iterator[tuple[int, str]]:
    """Yield the lines from position `first` up to `before` (exclusive), each with its position."""
    rows = connection.execute(
        "SELECT position, text FROM lines WHERE run_id = ? AND stream = ? AND position >= ? AND position < ? "
        "ORDER BY position LIMIT ?",
        (run_id, stream, first, before, limit),
    )
    for row in rows:
        yield row["position"], row["text"]


def read_last(connection: sqlite3.Connection, run_id: int, stream: Stream, limit: int) -> list[tuple[int, str]]:
    """Return the last `limit` lines, oldest first, each with its position."""
    rows = connection.execute(
        "SELECT position, text FROM lines WHERE run_id = ? AND stream = ? ORDER BY position DESC LIMIT ?",
        (run_id, stream, max(limit, 0)),
    )
    return [(row["position"], row["text"]) for row in rows][::-1]


def positions_of_steps(
    connection: sqlite3.Connection, run_id: int, first: float, last: float
) -> tuple[int, int] | None:
    """Return the first and the last position of history rows with steps from `first` to `last`, if there are any."""
    row = connection.execute(
        "SELECT MIN(position), MAX(position) FROM lines WHERE run_id = ? AND step IS NOT NULL AND step BETWEEN ? AND ?",
        (run_id, first, last),
    )
    lowest, highest = row.fetchone()
    return None if lowest is None else (lowest, highest)


def search_console(connection: sqlite3.Connection, run_id: int, text: str, limit: int) -> list[tuple[int, str]]:
    """Return the last `limit` lines whose text contains `text` in any case, oldest first, each with its position."""
    rows = connection.execute(
        "SELECT position, text FROM lines WHERE run_id = ? AND stream = 'console' "
        "AND instr(lower(console_text(text)), lower(?)) ORDER BY position DESC LIMIT ?",
        (run_id, text, limit),
    )
    return [(row["position"], row["text"]) for row in rows][::-1]


def read_rows(connection: sqlite3.Connection, run_id: int, first: int, before: int) -> Iterator[tuple[int, int, str]]:
    """Yield the history rows from position `first` up to `before` (exclusive), each with its position and step."""
    rows = connection.execute(
        "SELECT position, step, text FROM lines WHERE run_id = ? AND stream = 'history' "
        "AND position >= ? AND position < ? ORDER BY position",
        (run_id, first, before),
    )
    for row in rows:
        yield row["position"], row["step"], row["text"]


def read_steps(connection: sqlite3.Connection, run_id: int, first: int, last: int) -> Iterator[str]:
    """Yield the history rows with steps from `first` to `last`, both included, in order of steps."""
    rows = connection.execute(
        "SELECT text FROM lines WHERE run_id = ? AND step IS NOT NULL AND step BETWEEN ? AND ? ORDER BY step, position",
        (run_id, first, last),
    )
    for row in rows:
        yield row["text"]


def history_keys(connection: sqlite3.Connection, run_id: int) -> dict[str, list[tuple[str, int]]]:
    """Return each key of the history with the types of its values and how often each occurs."""
    keys: dict[str, list[tuple[str, int]]] = {}
    for row in connection.execute("SELECT key, type, count FROM history_keys WHERE run_id = ? ORDER BY key", (run_id,)):
        keys.setdefault(row["key"], []).append((row["type"], row["count"]))
    return keys


def _history_base(connection: sqlite3.Connection, run_id: int, chunk: Chunk) -> int:
    """Return the position from which a plain writer counts its lines.

    A writer that begins at offset 0 sends its first lines once more, continues a run without knowing its
    length (older SDKs when they sync a resumed run), or starts the run again. Its steps distinguish these.
    """
    if chunk.offset != 0:
        (base,) = connection.execute("SELECT history_base FROM runs WHERE id = ?", (run_id,)).fetchone()
        return int(base)
    first = loads_object(chunk.lines[0])
    known = connection.execute(
        "SELECT position, text FROM lines WHERE run_id = ? AND step = ?", (run_id, _step(first, 0))
    )
    base = next((row["position"] for row in known if loads_object(row["text"]) == first), None)
    if base is None and _step(first, 0) > last_step(connection, run_id):
        base = count(connection, run_id, "history")
    if base is None:
        clear(connection, run_id, "history")
    set_history_base(connection, run_id, base or 0)
    return base or 0


def _starts_over(connection: sqlite3.Connection, run_id: int, chunk: Chunk) -> bool:
    # A chunk that is sent again begins with the same line; that of a new attempt does not.
    if chunk.offset != 0:
        return False
    first = next(read(connection, run_id, chunk.stream, limit=1), None)
    return first is not None and first[1] != chunk.lines[0]


def _shared_position(
    connection: sqlite3.Connection, run_id: int, stream: Stream, client: str, offset: int
) -> int | None:
    row = connection.execute(
        "SELECT position FROM shared_lines WHERE run_id = ? AND stream = ? AND client = ? AND client_offset = ?",
        (run_id, stream, client, offset),
    ).fetchone()
    return None if row is None else int(row["position"])


def _store(connection: sqlite3.Connection, run_id: int, chunk: Chunk) -> None:
    rows: list[JsonObject] = [loads_object(line) for line in chunk.lines] if chunk.stream == "history" else []
    if rows:
        export_table.forget(connection, run_id, chunk.offset)
        known = count(connection, run_id, "history")
        _count_keys(connection, run_id, rows[max(known - chunk.offset, 0) :])
    steps: list[int | None] = [_step(row, chunk.offset + index) for index, row in enumerate(rows)]
    connection.executemany(
        "INSERT INTO lines VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET step = excluded.step, text = excluded.text",
        [
            (run_id, chunk.stream, chunk.offset + index, step, line)
            for index, (step, line) in enumerate(zip(steps or [None] * len(chunk.lines), chunk.lines, strict=True))
        ],
    )
    metric_table.index_media(connection, run_id, enumerate(rows, chunk.offset))
    if chunk.stream != "console":
        metric_table.index_lines(connection, run_id, chunk.stream, chunk.offset, chunk.offset + len(chunk.lines))


def _step(row: JsonObject, position: int) -> int:
    step = row.get("_step")
    return int(step) if isinstance(step, (int, float)) else position


def _count_keys(connection: sqlite3.Connection, run_id: int, rows: list[JsonObject]) -> None:
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        for key, value in row.items():
            seen = key, _type_name(value)
            counts[seen] = counts.get(seen, 0) + 1
    connection.executemany(
        "INSERT INTO history_keys VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(run_id, key, type_name, number) for (key, type_name), number in counts.items()],
    )


def _type_name(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, dict):
        return str(value.get("_type", "map"))
    return "string" if isinstance(value, str) else "list" if isinstance(value, list) else "nil"
