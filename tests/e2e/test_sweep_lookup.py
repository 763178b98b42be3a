"""Where an agent looks for its sweep when only the id is given."""

import pytest
from flyteplugins.wandb import wandb_config, wandb_sweep_config
from wandb_devserver import DevServer
from wandb_runtime.config.context import override_flyte_context
from wandb_sweeps._server.lookup import SweepServer, locate

from tests.e2e.support import create_sweep

PLACES = ("argument", "sweep configuration", "configuration", "environment")


@pytest.mark.parametrize("strongest", range(len(PLACES)), ids=PLACES)
def test_places(strongest: int, wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The strongest place that tells entity and project decides; those below are wrong here."""
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
def test_forms(form: str, wandb_devserver: DevServer) -> None:
    """An id, a path, the URL of its page; the entity is that of the key's owner where nothing tells."""
    config = "method: grid\nparameters: {lr: {values: [1]}}"
    sweep = create_sweep(config, project="right")
    with override_flyte_context(wandb_config(project="right")):
        found = locate(SweepServer.of(None), form.format(url=wandb_devserver.url, id=sweep.id), None, None, None)

    assert (found.location.entity, found.location.project) == ("local", "right")
    assert found.state == "pending"
