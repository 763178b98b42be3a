"""Helpers of the tests of remote mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flyteplugins.wandb import wandb_config

if TYPE_CHECKING:
    from wandb_devserver import DevServer, RunRecord

    from tests.support.control_plane.actions import Action

PROJECT = "local/remote"
CONTEXT = wandb_config(project="remote", entity="local")


def run_of(action: Action, server: DevServer) -> RunRecord:
    """Return the W&B run with the default id of an action."""
    return server.run(f"{PROJECT}/{action.run}-{action.name}")


def logged(run: RunRecord, key: str) -> list[object]:
    """Return the logged values of a key in order of arrival."""
    return [row[key] for row in run.history if key in row]


def link_of(action: Action) -> str:
    """Return the URL of the only W&B link of an action."""
    (link,) = action.links
    assert link.name == "Weights & Biases"
    assert link.icon_uri
    return link.uri
