"""Resolvers for the fields of a run, except its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import ObjectType

from wandb_devserver._documents import INTERNAL_KEY
from wandb_devserver._graphql import viewer
from wandb_devserver._graphql.context import encode_id
from wandb_devserver._json import JsonObject, dumps_strict, loads_object
from wandb_devserver._storage import lines as line_table
from wandb_devserver._storage import projects as project_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Info
    from wandb_devserver._storage.projects import StoredProject
    from wandb_devserver._storage.runs import StoredRun

run_type = ObjectType("Run")

# What the API calls otherwise than the storage.
run_type.set_alias("group", "group_name")
run_type.set_alias("commit", "commit_hash")
run_type.set_alias("stopped", "stop_requested")
run_type.set_alias("updatedAt", "heartbeat_at")


@run_type.field("id")
def resolve_id(run: StoredRun, _: Info) -> str:
    return encode_id("Run", run.id)


@run_type.field("project")
def resolve_project(run: StoredRun, info: Info) -> StoredProject | None:
    return project_table.find(info.context.connection, run.entity, run.project)


@run_type.field("user")
def resolve_user(_: StoredRun, info: Info) -> dict[str, Any]:
    return viewer.owner(info.context)


@run_type.field("readOnly")
def resolve_read_only(_: StoredRun, __: Info) -> bool:
    return False


@run_type.field("wandbConfig")
def resolve_wandb_config(run: StoredRun, _: Info, *, keys: list[str] | None = None) -> str:
    """The SDK's own part of the configuration; its entry `t` shows that the run was started."""
    entry = loads_object(run.config).get(INTERNAL_KEY)
    internals = entry.get("value") if isinstance(entry, dict) else None
    return dumps_strict(_selected(internals if isinstance(internals, dict) else {}, keys))


@run_type.field("summaryMetrics")
def resolve_summary(run: StoredRun, _: Info, *, keys: list[str] | None = None) -> str:
    return run.summary if keys is None else dumps_strict(_selected(loads_object(run.summary), keys))


@run_type.field("systemMetrics")
def resolve_system_metrics(run: StoredRun, info: Info) -> str:
    last = line_table.read_last(info.context.connection, run.id, "events", 1)
    return last[0][1] if last else "{}"


def _selected(document: JsonObject, keys: list[str] | None) -> JsonObject:
    return document if keys is None else {key: document[key] for key in keys if key in document}


BINDABLES = (run_type,)
