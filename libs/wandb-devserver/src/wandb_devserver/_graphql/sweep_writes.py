"""Resolvers that create and change sweeps, and serve their agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ariadne import MutationType

from wandb_devserver._domain import dispatch
from wandb_devserver._domain.limits import check_project
from wandb_devserver._errors import NotFoundError, UsageError
from wandb_devserver._graphql.context import DEFAULT_PROJECT, AgentGoneError, Context, decode_id
from wandb_devserver._graphql.filters import parse_filters
from wandb_devserver._json import dumps, loads_object
from wandb_devserver._search.bayes import check_installed
from wandb_devserver._search.config import parse_config
from wandb_devserver._storage import agents as agent_table
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage import sweeps as sweep_table
from wandb_devserver._storage import trials as trial_table

if TYPE_CHECKING:
    from wandb_devserver._graphql.context import Info
    from wandb_devserver._storage.agents import StoredAgent
    from wandb_devserver._storage.sweeps import StoredSweep

mutation = MutationType()


@mutation.field("upsertSweep")
def upsert_sweep(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    sweep = _existing(context, input["id"]) if input.get("id") else None
    if input.get("config") is not None:
        # Checked before anything is stored, and a changed one like a new one.
        config = parse_config(input["config"])
        if config.method == "bayes":
            check_installed()
    if sweep is None:
        sweep = _create(context, input)
    elif input.get("config") not in (None, sweep.config) and trial_table.count(context.connection, sweep.id):
        msg = f"sweep {sweep.name!r} has trials already: its configuration can change before the first one only"
        raise UsageError(msg)
    sweep_table.edit(context.connection, sweep, _changes(input))
    _attach_prior_runs(context, sweep, input.get("prior_runs_filters"))
    changed = sweep_table.find_by_id(context.connection, sweep.id)
    assert changed is not None
    warnings = parse_config(changed.config).warnings if input.get("config") is not None else ()
    return {"sweep": changed, "config_validation_warnings": list(warnings)}


@mutation.field("createAgent")
def create_agent(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, StoredAgent]:  # noqa: A002
    context = info.context
    entity = input.get("entity_name") or context.default_entity
    project, name = input.get("project_name") or DEFAULT_PROJECT, input["sweep"]
    sweep = sweep_table.find_by_path(context.connection, entity, project, name)
    if sweep is None:
        msg = f"sweep '{entity}/{project}/{name}' does not exist"
        raise NotFoundError(msg)
    if sweep.state == sweep_table.PENDING:
        sweep_table.edit(context.connection, sweep, sweep_table.SweepChanges(state=sweep_table.RUNNING))
    return {"agent": agent_table.create(context.connection, sweep, input["host"])}


@mutation.field("agentHeartbeat")
def agent_heartbeat(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    context = info.context
    agent = agent_table.find_by_id(context.connection, decode_id("Agent", input["id"]))
    sweep = sweep_table.find_by_id(context.connection, agent.sweep_id) if agent else None
    if agent is None or sweep is None:
        msg = f"agent {input['id']!r} does not exist: its sweep was deleted"
        raise AgentGoneError(msg)
    running = {name for name, runs in loads_object(input.get("run_state")).items() if runs}
    command = dispatch.next_command(context.connection, sweep, agent, running, context.slowly)
    return {"agent": agent, "commands": dumps([command.as_json()] if command else [])}


def _existing(context: Context, node_id: str) -> StoredSweep:
    sweep = sweep_table.find_by_id(context.connection, decode_id("Sweep", node_id))
    if sweep is None:
        msg = f"sweep {node_id!r} does not exist"
        raise NotFoundError(msg)
    return sweep


def _create(context: Context, given: dict[str, Any]) -> StoredSweep:
    if given.get("config") is None:
        msg = "upsertSweep needs the configuration of a sweep to create or the id of one to change"
        raise UsageError(msg)
    entity = given.get("entity_name") or context.default_entity
    name = check_project(given.get("project_name") or DEFAULT_PROJECT)
    project = project_table.find_or_create(context.connection, entity, name)
    return sweep_table.create(context.connection, project, given["config"])


def _changes(given: dict[str, Any]) -> sweep_table.SweepChanges:
    state = given.get("state")
    if state is not None and state not in sweep_table.STATES:
        msg = f"unknown sweep state {state!r}: use one of {', '.join(sweep_table.STATES)}"
        raise UsageError(msg)
    return sweep_table.SweepChanges(
        display_name=given.get("display_name"),
        description=given.get("description"),
        config=given.get("config"),
        state=state,
        controller=given.get("controller"),
        scheduler=given.get("scheduler"),
    )


def _attach_prior_runs(context: Context, sweep: StoredSweep, filters: str | None) -> None:
    matches = parse_filters(filters)
    if matches is None:
        return
    for run, _ in run_table.page(context.connection, sweep.project_id, matches=matches, limit=-1):
        run_table.edit(context.connection, run, run_table.RunChanges(sweep_name=sweep.name))
        sweep_table.add_prior_run(context.connection, sweep, run.id)


BINDABLES = (mutation,)
