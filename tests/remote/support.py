"""What the tests of remote mode ask of a control plane and a W&B server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flyteplugins.wandb import wandb_config

if TYPE_CHECKING:
    from wandb_devserver import DevServer, RunRecord

    from tests.support.control_plane.actions import Action

PROJECT = "local/remote"
CONTEXT = wandb_config(project="remote", entity="local")


def run_of(action: Action, server: DevServer) -> RunRecord:
    """The W&B run that an action has opened, under the id that it gives it by itself."""
    return server.run(f"{PROJECT}/{action.run}-{action.name}")


def logged(run: RunRecord, key: str) -> list[object]:
    """The values of a key, in the order in which they arrived."""
    return [row[key] for row in run.history if key in row]


def link_of(action: Action) -> str:
    """The address of the only W&B link that the platform shows for an action."""
    (link,) = action.links
    assert link.name == "Weights & Biases"
    assert link.icon_uri
    return link.uri
