"""Artifacts as outputs and inputs of runs in remote mode, as `wandb.Api` shows them."""

from __future__ import annotations

import wandb
from wandb_devserver import DevServer

from tests.remote.support import CONTEXT, PROJECT, run_of
from tests.support.control_plane.actions import Kind
from tests.support.control_plane.plane import ControlPlane


def logged(run_id: str) -> list[str]:
    return [item.name for item in wandb.Api().run(f"{PROJECT}/{run_id}").logged_artifacts()]


def used(run_id: str) -> list[str]:
    return [item.name for item in wandb.Api().run(f"{PROJECT}/{run_id}").used_artifacts()]


def test_lineage_in_remote_mode(plane: ControlPlane, wandb_devserver: DevServer) -> None:
    """Several writers of a run; a retry that uses what its first attempt has used; references to Flyte's store."""
    sharing, retried, referring = (
        plane.start(f"lineage:{name}", context=CONTEXT) for name in ("sharing", "retried", "referring")
    )
    for run in (sharing, retried, referring):
        plane.wait(run)

    assert sharing.result[0] == [f"{PROJECT}/shared:v0", f"{PROJECT}/parents:v0"]
    shared = run_of(sharing.root, wandb_devserver)
    assert set(logged(shared.id)) == set(used(shared.id)) == {"shared:v0", "parents:v0"}

    assert retried.result[0] == [f"{PROJECT}/retried:v0", "first"]
    run_id = run_of(retried.root, wandb_devserver).id
    assert (logged(run_id), used(run_id)) == (["retried:v0", "retried:v1"], ["retried:v0"])
    (trace,) = (action for action in plane.actions(retried) if action.kind is Kind.TRACE)
    assert f"{PROJECT}/retried:v0" in trace.outputs.values()

    artifact = wandb.Api().artifact(f"{PROJECT}/referred:v0")
    (entry,) = artifact.manifest.entries.values()
    assert entry.ref == f"{referring.result[0].path}/a.txt"
    producer = artifact.logged_by()
    assert producer is not None
    assert producer.id == run_of(referring.root, wandb_devserver).id
    assert used(producer.id) == ["referred:v0"]
