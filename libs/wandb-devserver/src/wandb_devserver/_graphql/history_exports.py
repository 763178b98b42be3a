"""Resolver for history that is exported to Parquet files."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ariadne import ObjectType

from wandb_devserver._domain import history_exports
from wandb_devserver._domain.lifecycle import ENDED
from wandb_devserver._http import links
from wandb_devserver._json import Json, JsonObject, loads_object
from wandb_devserver._storage import history_exports as export_table
from wandb_devserver._storage import lines as line_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Info
    from wandb_devserver._storage.runs import StoredRun

run_type = ObjectType("Run")


@run_type.field("parquetHistory")
def resolve_parquet_history(run: StoredRun, info: Info, *, live_keys: list[str]) -> dict[str, list[Json]]:
    backend, exports = info.context.backend, export_table.of_run(info.context.connection, run.id)
    if backend.export_after is None and not exports:
        # All rows are available from pages.
        return {"parquet_urls": [], "live_data": []}
    if (end := _end(run, info)) > history_exports.exported_end(exports):
        # In the background at W&B; here on request. The request starts again afterwards.
        info.context.slowly(lambda _: {"exported": history_exports.export(backend, run.id, end)})
    urls: list[Json] = [_url(run, export, info) for export in exports]
    # W&B promises no order.
    random.shuffle(urls)
    return {"parquet_urls": urls, "live_data": _live_data(run, info, live_keys, history_exports.exported_end(exports))}


def _end(run: StoredRun, info: Info) -> int:
    """Return the position of the first row that is not to be exported yet."""
    kept = info.context.backend.export_after
    if kept is None:
        return 0
    count = line_table.count(info.context.connection, run.id, "history")
    return count if run.state in ENDED else count - kept


def _live_data(run: StoredRun, info: Info, keys: list[str], first: int) -> list[Json]:
    context = info.context
    end = line_table.count(context.connection, run.id, "history")
    rows = line_table.read_rows(context.connection, run.id, first, end)
    found: list[Json] = [_live_row(step, text, keys) for _, step, text in rows]
    return found


def _live_row(step: int, text: str, keys: list[str]) -> JsonObject:
    values = loads_object(text) if set(keys) - {"_step"} else {}
    return {key: values[key] for key in keys if key in values} | {"_step": step}


def _url(run: StoredRun, export: export_table.StoredExport, info: Info) -> str:
    path = f"{run.entity}/{run.project}/{run.name}/{export.first}.parquet"
    return links.export_download_url(info.context.backend, info.context.base_url, path, export.id)


BINDABLES = (run_type,)
