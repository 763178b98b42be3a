"""Parents and children, each in a separate pod. Pods import this module."""

# ruff: noqa: T201, ASYNC110, ASYNC240 - each task runs in a separate process and prints its progress

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
from pathlib import Path

import flyte
import flyte.errors
import wandb
from flyteplugins.wandb import get_wandb_run, wandb_init
from single import log

env = flyte.TaskEnvironment(name="families")


def state() -> str:
    """Read the current run from the server."""
    run = get_wandb_run()
    assert run is not None
    return str(wandb.Api().run(f"{run.entity}/{run.project}/{run.id}").state)


def log_as(who: str) -> str:
    """Log a row, print a line, and return the id of the run."""
    run_id = log(**{who: 1})
    print("here is", who)
    return run_id


@wandb_init(config={"joining": 1}, tags=["joining"], name="not this", group="nor this")
@env.task
async def joining(who: str) -> str:
    assert wandb.run is get_wandb_run()
    return log_as(who)


@wandb_init(run_mode="shared")
@env.task
def sharing(who: str) -> str:
    assert wandb.run is get_wandb_run()
    return log_as(who)


@wandb_init
@env.task
async def helping(who: str) -> str:
    return log_as(who)


@wandb_init(run_mode="new", tags=["opening"])
@env.task
async def opening(who: str) -> str:
    return log_as(who)


@wandb_init(id="own-id")
@env.task
async def identified(who: str) -> str:
    return log_as(who)


@env.task
async def between(who: str) -> str:
    """Not decorated: has no run, and passes the parent's on."""
    assert get_wandb_run() is None
    assert wandb.run is None
    return await joining(who)


@wandb_init
@env.task
async def having_a_child(who: str) -> list[str]:
    return [log_as(who), await joining(f"child of {who}")]


@wandb_init
@env.task
async def failing(who: str) -> str:
    log_as(who)
    raise ValueError("only the child")


@wandb_init
@env.task
async def endless(mark: str) -> None:
    """Marks that it has logged."""
    log_as("endless")
    Path(mark).touch()
    await asyncio.sleep(600)


# Only the parent configures the server: children get it from the run that they join.
@wandb_init(
    host=os.environ.get("FAMILY_HOST"),
    entity="local",
    project="remote",
    name="a family",
    group="families",
    config={"parent": 1},
    tags=["family"],
)
@env.task
async def family() -> dict[str, list[str]]:
    """Calls every kind of joining child at once."""
    own = log_as("parent")
    joined, shared, below, (middle, grandchild) = await asyncio.gather(
        joining("joining"), sharing.aio("sharing"), between("below"), having_a_child("middle")
    )
    try:
        await failing("failing")
    except flyte.errors.RuntimeUserError as error:
        assert "only the child" in str(error)  # noqa: PT017 - not a test
    assert state() == "running"
    assert log_as("parent again") == own
    return {"one": [own, joined, shared, below, middle, grandchild]}


@wandb_init(group="families", tags=["parent"])
@env.task
async def parent_of_new() -> dict[str, str]:
    """No child joins its run, which is not shared then."""
    run = get_wandb_run()
    assert run is not None
    run.log({"parent": 1}, step=5)
    first, second, own = await asyncio.gather(opening("first"), opening("second"), identified("own"))
    return {"parent": str(run.id), "first": first, "second": second, "own": own, "mode": str(run.settings.mode)}


CHILDREN = {"first": having_a_child}


async def help_out() -> None:
    await CHILDREN["first"]("child")


@wandb_init
@env.task
async def falling() -> None:
    """Calls its child through a helper and a dictionary, and fails."""
    log_as("parent")
    await help_out()
    raise ValueError("the parent's own")


@wandb_init
@env.task(retries=1)
async def unsteady(who: str) -> str:
    run_id = log(child_attempt=flyte.ctx().attempt_number)
    if flyte.ctx().attempt_number == 0:
        raise ValueError("the child's first attempt")
    return run_id


@wandb_init
@env.task(retries=1)
async def unsteady_parent() -> str:
    log(parent_attempt=flyte.ctx().attempt_number)
    run_id = await unsteady("child")
    if flyte.ctx().attempt_number == 0:
        raise ValueError("the parent's first attempt")
    return run_id


@wandb_init
@env.task
async def outliving(mark: str) -> str:
    """Cancels its child, and continues."""
    log_as("parent")
    child = asyncio.ensure_future(endless(mark))
    while not Path(mark).exists():
        await asyncio.sleep(0.05)
    child.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await child
    assert state() == "running"
    return log_as("end")


@wandb_init
@env.task
async def aborted(mark: str) -> None:
    log_as("parent")
    await endless(mark)


@wandb_init(group="families", mode="online")
@env.task
async def parent_of_one_writer() -> dict[str, str]:
    """Calls all kinds of children; returns the ids of their runs, or their errors."""
    run = get_wandb_run()
    assert run is not None
    run.log({"parent": 1}, step=5)
    helped, shared, opened = await asyncio.gather(
        helping("helping"), sharing.aio("sharing"), opening("opening"), return_exceptions=True
    )
    return {"parent": str(run.id), "helping": str(helped), "sharing": str(shared), "opening": str(opened)}


@wandb_init(mode="shared")
@env.task
async def parent_of_unseen() -> list[str]:
    """Its code does not show the child that joins."""
    unseen = getattr(importlib.import_module("families"), "join" + "ing")
    return [log_as("parent"), *await asyncio.gather(unseen("joining"), opening("opening"))]


def describe() -> str:
    """Describe the current run."""
    run = get_wandb_run()
    assert run is not None
    run.log({"logged": 1})
    return f"{run.settings.mode} {run.group}"


@wandb_init
@env.task
async def describing() -> str:
    return describe()


@wandb_init(run_mode="shared")
@env.task
async def describing_shared() -> str:
    return describe()


@wandb_init(group="families", mode="offline")
@env.task
async def parent_offline() -> list[str]:
    return list(await asyncio.gather(describing(), describing_shared()))
