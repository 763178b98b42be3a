"""Reusable containers: one process runs many remote actions, several at once on one event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flyte
import pytest
import wandb
from flyte._internal.runtime import rusty  # the entrypoint of reusable containers
from flyte._internal.runtime.convert import convert_from_native_to_inputs
from wandb_devserver import DevServer
from wandb_runtime import get_wandb_run, wandb_config, wandb_init
from wandb_runtime.lifecycle.plans import RunLocation

env = flyte.TaskEnvironment(name="reusable")
PROJECT = "reused"


@wandb_init
@env.task
async def working(value: int) -> None:
    run = get_wandb_run()
    assert run is not None
    for _ in range(3):
        run.log({f"value{value}": value})
        await asyncio.sleep(0)
    print(f"printed by {value}")  # noqa: T201


async def act(name: str, value: int, folder: Path, context: dict[str, str]) -> None:
    """Run one action as the platform does in a reusable container."""
    inputs = await convert_from_native_to_inputs(working.native_interface, value=value, custom_context=context)
    (folder / name).mkdir()
    (folder / name / "inputs.pb").write_bytes(inputs.proto_inputs.SerializeToString())
    await rusty.run_task(
        working,
        controller=None,  # type: ignore[arg-type]  # a task without children needs none
        org="org",
        project="flyte-project",
        domain="development",
        run_name="run1",
        name=name,
        raw_data_path=str(folder),
        output_path=str(folder / name),
        run_base_dir=str(folder),
        version="v",
        input_path=str(folder / name / "inputs.pb"),
    )
    assert not (folder / name / "error.pb").exists()


@pytest.fixture(autouse=True)
def environment_of_another_action(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of a long-lived process, which does not describe its actions."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("RUN_NAME", "run0")
    monkeypatch.setenv("ACTION_NAME", "the-first-one")
    monkeypatch.setenv("FLYTE_ATTEMPT_NUMBER", "7")
    yield
    signal.signal(signal.SIGTERM, handler)


def test_concurrent_actions_have_separate_runs(wandb_devserver: DevServer, tmp_path: Path) -> None:
    """Each run has its own rows and console; the attempt number is only in the run's config."""

    async def two() -> None:
        context = dict(wandb_config(project=PROJECT))
        await asyncio.gather(act("a1", 1, tmp_path, context), act("a2", 2, tmp_path, context))

    asyncio.run(two())
    runs = {run.id: run for run in wandb_devserver.runs(f"{wandb_devserver.entity}/{PROJECT}")}

    assert set(runs) == {"run1-a1", "run1-a2"}
    for value in (1, 2):
        run = runs[f"run1-a{value}"]
        assert [row[f"value{value}"] for row in run.history] == [value] * 3
        assert (run.state, run.console) == ("finished", [])
        flyte_config: Any = run.config["flyte"]
        assert flyte_config["attempt"] == 0
    assert wandb.run is None


def test_concurrent_actions_can_write_to_one_run(wandb_devserver: DevServer, tmp_path: Path) -> None:
    """The SDK opens an id once per process: the second action uses the first one's run object and outlives it."""
    location = RunLocation("shared-one", wandb_devserver.entity, PROJECT, wandb_devserver.url, mode="shared")
    settings = wandb.Settings(console="off")
    with wandb.init(project=PROJECT, id=location.id, mode="shared", reinit="create_new", settings=settings):
        pass

    async def two() -> None:
        await asyncio.gather(*(act(f"b{value}", value, tmp_path, location.to_context()) for value in (1, 2)))

    asyncio.run(two())
    (run,) = wandb_devserver.runs(f"{wandb_devserver.entity}/{PROJECT}")

    assert run.summary["value1"] == 1
    assert run.summary["value2"] == 2
    assert len(run.history) == 6
