"""Lookup of a sweep by its id."""

import pytest
from flyteplugins.wandb import wandb_config, wandb_sweep_config
from wandb_devserver import DevServer
from wandb_runtime.config.context import override_flyte_context
from wandb_sweeps._server.lookup import SweepServer, locate

from tests.e2e.support import create_sweep

PLACES = ("argument", "sweep configuration", "configuration", "environment")


@pytest.mark.parametrize("strongest", range(len(PLACES)), ids=PLACES)
def test_most_specific_entity_and_project_win(
    strongest: int, wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The less specific ones are wrong in this test."""
    config = "method: grid\nparameters: {lr: {values: [1]}}"
    sweep = create_sweep(config, entity="team", project="right")
    entities: list[str | None] = [None] * strongest + ["team"] + ["wrong"] * len(PLACES)
    projects: list[str | None] = [None] * strongest + ["right"] + ["wrong"] * len(PLACES)
    monkeypatch.setenv("WANDB_ENTITY", entities[3] or "")
    monkeypatch.setenv("WANDB_PROJECT", projects[3] or "")
    context = {
        **wandb_sweep_config(entity=entities[1], project=projects[1]),
        **wandb_config(entity=entities[2], project=projects[2]),
    }
    with override_flyte_context(context):
        found = locate(SweepServer.of(None), sweep.id, projects[0], entities[0], None)

    assert (found.location.entity, found.location.project) == ("team", "right")


@pytest.mark.parametrize("form", ["{id}", "right/{id}", "local/right/{id}", "{url}/local/right/sweeps/{id}"])
def test_every_form_of_sweep_id_is_accepted(form: str, wandb_devserver: DevServer) -> None:
    """An id, a path, the URL of a page. The entity defaults to that of the API key."""
    config = "method: grid\nparameters: {lr: {values: [1]}}"
    sweep = create_sweep(config, project="right")
    with override_flyte_context(wandb_config(project="right")):
        found = locate(SweepServer.of(None), form.format(url=wandb_devserver.url, id=sweep.id), None, None, None)

    assert (found.location.entity, found.location.project) == ("local", "right")
    assert found.state == "pending"
