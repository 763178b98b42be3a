"""Resolvers for the streams of a run: history, system events, console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import ObjectType

from wandb_devserver._domain.streams import parse_line, sample
from wandb_devserver._errors import UsageError
from wandb_devserver._graphql.projects import connection
from wandb_devserver._json import Json, JsonObject, dumps, loads_object
from wandb_devserver._storage import lines as line_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb_devserver._graphql.context import Info
    from wandb_devserver._storage.lines import Stream
    from wandb_devserver._storage.runs import StoredRun

run_type = ObjectType("Run")

_DEFAULT_SAMPLES = 500
_DEFAULT_LOG_PAGE = 1000
_LAST_STEP = 2**63 - 1


@run_type.field("historyLineCount")
def resolve_history_line_count(run: StoredRun, info: Info) -> int | None:
    context = info.context
    return None if context.hides_line_count else line_table.count(context.connection, run.id, "history")


@run_type.field("eventsLineCount")
def resolve_events_line_count(run: StoredRun, info: Info) -> int:
    return line_table.count(info.context.connection, run.id, "events")


@run_type.field("logLineCount")
def resolve_log_line_count(run: StoredRun, info: Info) -> int:
    return line_table.count(info.context.connection, run.id, "console")


@run_type.field("historyTail")
def resolve_history_tail(run: StoredRun, info: Info) -> str:
    return _tail(run, info, "history")


@run_type.field("eventsTail")
def resolve_events_tail(run: StoredRun, info: Info) -> str:
    return _tail(run, info, "events")


@run_type.field("historyKeys")
def resolve_history_keys(run: StoredRun, info: Info) -> JsonObject:
    database = info.context.connection
    keys: JsonObject = {
        key: {"typeCounts": [{"type": name, "count": count} for name, count in types]}
        for key, types in line_table.history_keys(database, run.id).items()
    }
    return {"lastStep": line_table.last_step(database, run.id), "sets": [], "keys": keys}


@run_type.field("history")
def resolve_history(
    run: StoredRun,
    info: Info,
    *,
    min_step: int | None = None,
    max_step: int | None = None,
    samples: int | None = None,
) -> list[str]:
    database = info.context.connection
    if min_step is None and max_step is None:
        return _sampled_stream(run, info, "history", samples)
    # A page of a scan: rows missing here would never be returned.
    last = _LAST_STEP if max_step is None else max_step - 1
    return list(line_table.read_steps(database, run.id, min_step or 0, last))


@run_type.field("events")
def resolve_events(
    run: StoredRun,
    info: Info,
    *,
    min_step: int | None = None,  # noqa: ARG001 - the SDK may send it; events have no steps
    max_step: int | None = None,  # noqa: ARG001
    samples: int | None = None,
) -> list[str]:
    return _sampled_stream(run, info, "events", samples)


@run_type.field("sampledHistory")
def resolve_sampled_history(run: StoredRun, info: Info, *, specs: list[str]) -> list[list[JsonObject]]:
    return [_sampled_rows(run, info, loads_object(spec)) for spec in specs]


@run_type.field("logLines")
def resolve_log_lines(
    run: StoredRun,
    info: Info,
    *,
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    use_improved_pagination: bool | None = None,  # noqa: ARG001 - pages are the same either way
) -> dict[str, Any]:
    database = info.context.connection
    if last is not None:
        found = line_table.read_last(database, run.id, "console", last)
        return connection([_log_line(number, text) for number, text in found], len(found))
    limit = _DEFAULT_LOG_PAGE if first is None else max(first, 0)
    start = _position(after) + 1 if after else 0
    rows = line_table.read(database, run.id, "console", first=start, limit=limit + 1)
    return connection([_log_line(number, text) for number, text in rows], limit)


def _tail(run: StoredRun, info: Info, stream: Stream) -> str:
    lines = line_table.read_last(info.context.connection, run.id, stream, 1)
    return dumps([text for _, text in lines])


def _sampled_stream(run: StoredRun, info: Info, stream: Stream, samples: int | None) -> list[str]:
    lines = line_table.read(info.context.connection, run.id, stream)
    return sample((text for _, text in lines), _DEFAULT_SAMPLES if samples is None else samples)


def _sampled_rows(run: StoredRun, info: Info, spec: JsonObject) -> list[JsonObject]:
    if not spec:
        # What the commands around sweeps send: they want no rows.
        return []
    keys = spec.get("keys")
    if not isinstance(keys, list):
        msg = f"a spec of sampledHistory needs 'keys', a list; it has {keys!r}"
        raise UsageError(msg)
    rows = _rows_with(run, info, spec, [str(key) for key in keys])
    if "minStep" in spec or "maxStep" in spec:
        return list(rows)
    return sample(rows, _whole(spec.get("samples"), _DEFAULT_SAMPLES))


def _rows_with(run: StoredRun, info: Info, spec: JsonObject, keys: list[str]) -> Iterator[JsonObject]:
    first, last = _whole(spec.get("minStep"), 0), _whole(spec.get("maxStep"), _LAST_STEP)
    for text in line_table.read_steps(info.context.connection, run.id, first, last):
        row = loads_object(text)
        if all(key in row for key in keys):
            yield {key: row[key] for key in keys}


def _whole(value: Json, default: int) -> int:
    return int(value) if isinstance(value, (int, float)) else default


def _position(cursor: str) -> int:
    try:
        return int(cursor)
    except ValueError as error:
        msg = f"{cursor!r} is not a cursor of this server"
        raise UsageError(msg) from error


def _log_line(number: int, text: str) -> tuple[dict[str, object], str]:
    line = parse_line(text)
    node = {"number": number, "timestamp": line.timestamp, "level": line.level, "label": line.label, "line": line.text}
    return node, str(number)


BINDABLES = (run_type,)
