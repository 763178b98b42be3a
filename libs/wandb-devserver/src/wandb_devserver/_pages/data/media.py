"""Data of media that runs logged: images, histograms, tables, HTML, audio, video."""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route

from wandb_devserver._documents import MISSING, Missing, lookup
from wandb_devserver._domain.streams import sample
from wandb_devserver._json import Json, JsonObject, is_number, loads_object
from wandb_devserver._pages.data.endpoints import endpoint, number
from wandb_devserver._pages.data.run import find_run
from wandb_devserver._pages.data.urls import file_url, path
from wandb_devserver._storage import files as file_table
from wandb_devserver._storage import lines as line_table
from wandb_devserver._storage import metrics as metric_table

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from wandb_devserver._backend import Backend
    from wandb_devserver._storage.files import StoredFile
    from wandb_devserver._storage.runs import StoredRun

_VALUES_SHOWN = 100
_ITEMS_SHOWN = 50
_ROWS_SHOWN = 100
_LARGEST_TABLE = 32 * 1024 * 1024

_KINDS = {"image": "image", "images": "image", "audio": "audio", "video": "video", "videos": "video", "html": "html"}

# A frame shows markup that a run logged: without scripts, forms, or requests, even when it is opened alone.
_FRAME_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; media-src data:; "
    "frame-ancestors 'self'"
)


def media(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return the values of a media key by step, evenly sampled, the last among them."""
    run, key = find_run(connection, request), request.query_params.get("key", "")
    if run is None:
        return None
    positions = metric_table.media_positions(connection, run.id, key)
    values = (_value_at(connection, run, key, position) for position in sample(positions, _VALUES_SHOWN))
    return {"count": len(positions), "values": [value for value in values if value]}


def table(connection: sqlite3.Connection, request: Request) -> JsonObject | None:
    """Return rows of a logged table: `sort` is the number of a column."""
    run = find_run(connection, request)
    file = file_table.find(connection, run.id, request.query_params.get("path", "")) if run else None
    if file is None:
        return None
    if file.size > _LARGEST_TABLE:
        return {
            "columns": [],
            "rows": [],
            "count": 0,
            "problem": f"The table has {file.size} bytes: download the file.",
        }
    backend: Backend = request.app.state.backend
    columns, rows = _parse_table(backend.blobs.path(file.blob))
    sort = number(request, "sort", len(columns), most=len(columns))
    if sort < len(columns):
        rows = sorted(rows, key=lambda row: _sort_key(row, sort), reverse="descending" in request.query_params)
    offset = number(request, "offset", 0, most=len(rows))
    return {"columns": list(columns), "rows": list(rows[offset : offset + _ROWS_SHOWN]), "count": len(rows)}


async def frame(request: Request) -> Response:
    """`GET /-/frame/{entity}/{project}/{run}/{name}`."""
    file = await run_sync(_find_file, request)
    if file is None or PurePosixPath(file.name).suffix != ".html":
        return PlainTextResponse("not found", status_code=404)
    backend: Backend = request.app.state.backend
    headers = {"Content-Security-Policy": _FRAME_POLICY, "X-Content-Type-Options": "nosniff"}
    return FileResponse(backend.blobs.path(file.blob), media_type="text/html", headers=headers)


def _find_file(request: Request) -> StoredFile | None:
    backend: Backend = request.app.state.backend
    with backend.database.read() as connection:
        run = find_run(connection, request)
        return file_table.find(connection, run.id, request.path_params["name"]) if run else None


def _value_at(connection: sqlite3.Connection, run: StoredRun, key: str, position: int) -> JsonObject | None:
    text = next(line_table.read(connection, run.id, "history", first=position, before=position + 1), (0, ""))[1]
    row = loads_object(text)
    value, step = lookup(row, key), row.get("_step")
    if isinstance(value, Missing) or not isinstance(value, dict):
        return None
    return {"step": step if is_number(step) else position, **_shown(run, value)}


def _shown(run: StoredRun, value: JsonObject) -> JsonObject:
    kind = str(value.get("_type", ""))
    if kind == "histogram":
        return {"kind": "histogram", **_histogram(value)}
    if kind == "table-file":
        return {"kind": "table", "path": value.get("path"), "url": file_url(run, str(value.get("path")))}
    return {"kind": _KINDS.get(kind.partition("-")[0].partition("/")[0], "file"), "items": _items(run, value)}


def _histogram(value: JsonObject) -> JsonObject:
    counts, bins, packed = value.get("values"), value.get("bins"), value.get("packedBins")
    if isinstance(packed, dict) and isinstance(counts, list):
        low, width = packed.get("min"), packed.get("size")
        if is_number(low) and is_number(width):
            bins = [low + width * index for index in range(len(counts) + 1)]
    return {"counts": counts if isinstance(counts, list) else [], "bins": bins if isinstance(bins, list) else []}


def _items(run: StoredRun, value: JsonObject) -> list[Json]:
    """Return the files of a value, which may be one or a list of them."""
    several = next((value[key] for key in ("filenames", "images", "videos", "audio", "html") if key in value), None)
    captions = value.get("captions", value.get("caption"))
    names = several if isinstance(several, list) else [value.get("path")]
    labels = captions if isinstance(captions, list) else [captions] * len(names)
    paths = [name.get("path") if isinstance(name, dict) else name for name in names]
    return [
        _item(run, name, labels[index] if index < len(labels) else None)
        for index, name in enumerate(paths[:_ITEMS_SHOWN])
        if isinstance(name, str)
    ]


def _item(run: StoredRun, name: str, caption: Json) -> JsonObject:
    frame_path = "/".join(path(part)[1:] for part in name.split("/"))
    return {
        "name": name,
        "url": file_url(run, name),
        "frame": f"/-/frame{path(run.entity, run.project, run.name)}/{frame_path}",
        "caption": caption if isinstance(caption, str) else None,
    }


@lru_cache(maxsize=2)
def _parse_table(blob: Path) -> tuple[list[Json], list[list[Json]]]:
    document = loads_object(blob.read_bytes())
    columns, rows = document.get("columns"), document.get("data")
    known = [row for row in rows if isinstance(row, list)] if isinstance(rows, list) else []
    return [str(column) for column in columns] if isinstance(columns, list) else [], known


def _sort_key(row: list[Json], column: int) -> tuple[int, float, str]:
    value = row[column] if column < len(row) else MISSING
    return (0, value, "") if is_number(value) else (1, 0.0, str(value))


ROUTES = [
    endpoint("/media/{entity}/{project}/{run}", media),
    endpoint("/table/{entity}/{project}/{run}", table),
    Route("/-/frame/{entity}/{project}/{run}/{name:path}", frame),
]
