"""Flyte's local mode in the test's process, and sweeps made outside of tasks."""

import os
from collections.abc import Mapping
from typing import Any

import flyte
from wandb_artifacts.client import Client
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server import api
from wandb_sweeps._server.api import SweepState


def run_locally(task: Any, *args: Any, context: Mapping[str, str] | None = None, **kwargs: Any) -> Any:
    """Run a task to its end and return its result; exceptions are those that Flyte raises for users."""
    flyte.init()
    run = flyte.with_runcontext(mode="local", custom_context=dict(context or {})).run(task, *args, **kwargs)
    return run.outputs()[0]


def create_sweep(config: str, *, entity: str = "local", project: str = "e2e") -> SweepLocation:
    """Create a sweep as a user does elsewhere; the configuration is YAML."""
    variables: dict[str, Any] = {"config": config, "entityName": entity, "projectName": project}
    sweep = api.upsert_sweep(Client(), what="a sweep for a test", **variables).sweep
    return SweepLocation(sweep.name, entity, project, os.environ["WANDB_BASE_URL"])


def create_grid(*values: object, project: str = "e2e") -> str:
    """Create a sweep that tries these values of `how`; return its full path."""
    config = f"method: grid\nparameters: {{how: {{values: {list(values)}}}}}"
    return str(create_sweep(config, project=project).ref)


def set_sweep_state(sweep: str, state: SweepState) -> None:
    """Change the state of a sweep, given by its full path."""
    entity, project, sweep_id = sweep.split("/")
    client = Client()
    found = api.find_sweep(client, SweepLocation(sweep_id, entity, project, client.host))
    assert found is not None
    variables: dict[str, Any] = {"id": found.id, "entityName": entity, "projectName": project, "state": state}
    api.upsert_sweep(client, what="the state of a sweep", **variables)
