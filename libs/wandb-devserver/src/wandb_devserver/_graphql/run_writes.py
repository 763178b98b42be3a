"""Resolvers for opening, editing and ending runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ariadne import MutationType

from wandb_devserver._domain import lifecycle
from wandb_devserver._domain.limits import check_entity, check_project, check_run, check_run_fields
from wandb_devserver._errors import UsageError
from wandb_devserver._graphql.context import DEFAULT_PROJECT, Context, decode_id
from wandb_devserver._graphql.removal import remove_run
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Info
    from wandb_devserver._storage.runs import StoredRun

logger = logging.getLogger("wandb_devserver")

mutation = MutationType()


@mutation.field("upsertBucket")
def upsert_bucket(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    if input.get("name"):
        run, inserted = _open(context, input)
        is_fork = inserted and lifecycle.fork(context.connection, run, input.get("config"))
        # A plain writer that does not resume starts counting its lines at 0 again.
        context.hides_line_count = not (input.get("id") or is_fork)
    elif input.get("id"):
        run, inserted = context.run_by_id(input["id"]), False
        run_table.edit(context.connection, run, _changes(input))
    else:
        msg = "upsertBucket needs the name of a run to open or the id of one to edit"
        raise UsageError(msg)
    return {"bucket": run_table.find_by_id(context.connection, run.id), "inserted": inserted}


@mutation.field("deleteRun")
def delete_run(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    run = run_table.find_by_id(context.connection, decode_id("Run", input["id"]))
    if run is None:
        # As in W&B, deleting a run twice succeeds.
        return {"client_mutation_id": input.get("client_mutation_id")}
    remove_run(context, run, with_artifacts=bool(input.get("delete_artifacts")))
    return {"client_mutation_id": input.get("client_mutation_id")}


@mutation.field("rewindRun")
def rewind_run(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    entity, project = input.get("entity_name") or context.default_entity, input.get("project_name") or DEFAULT_PROJECT
    run = context.run(entity, project, input["run_name"])
    if input["metric_name"] != "_step":
        msg = f"cannot rewind run {run.name!r} by the metric {input['metric_name']!r}: use '_step'"
        raise UsageError(msg)
    lifecycle.rewind(context.connection, run, int(input["metric_value"]))
    return {"rewound_run": run_table.find_by_id(context.connection, run.id)}


@mutation.field("stopRun")
def stop_run(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    context = info.context
    lifecycle.request_stop(context.connection, context.run_by_id(input["id"]))
    return {"success": True}


@mutation.field("updateRunState")
def update_run_state(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    context = info.context
    lifecycle.update_state(context.connection, context.run_by_id(input["id"]), input["state"])
    return {"success": True}


@mutation.field("notifyScriptableRunAlert")
def alert(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, bool]:  # noqa: A002
    run = info.context.run(input["entity_name"], input["project_name"], input["run_name"])
    logger.info("alert of run %r: %s: %s", run.name, input["title"], input["text"])
    return {"success": True}


def _open(context: Context, given: dict[str, Any]) -> tuple[StoredRun, bool]:
    entity = check_entity(given.get("entity_name") or context.default_entity)
    project_name = check_project(given.get("model_name") or DEFAULT_PROJECT)
    project = project_table.find_or_create(context.connection, entity, project_name)
    run, inserted = lifecycle.open_run(
        context.connection,
        project,
        check_run(given["name"]),
        client=context.writer,
        state=given.get("state"),
        resumes=bool(given.get("id")),
    )
    run_table.edit(context.connection, run, _changes(given), merge=context.writer is not None)
    return run, inserted


def _changes(given: dict[str, Any]) -> run_table.RunChanges:
    fields: dict[str, Any] = {name: given.get(name) for name in ("display_name", "job_type", "tags", "config")}
    check_run_fields(**fields)
    return run_table.RunChanges(
        **fields,
        summary=given.get("summary_metrics"),
        notes=given.get("notes"),
        description=given.get("description"),
        group_name=given.get("group_name"),
        sweep_name=given.get("sweep"),
        commit_hash=given.get("commit"),
        host=given.get("host"),
        program=given.get("job_program"),
        repo=given.get("job_repo"),
    )


BINDABLES = (mutation,)
