"""`get_wandb_run` in places without a run."""

import pickle
import threading
from collections.abc import Callable
from typing import Any

import flyte
import pytest
from wandb_artifacts import WandbPluginError
from wandb_runtime import NoRunError, get_wandb_run
from wandb_runtime.lifecycle.current import activate, in_trial

env = flyte.TaskEnvironment(name="current")


@env.task
async def undecorated() -> str:
    return reason()


def reason() -> str:
    assert get_wandb_run() is None
    with pytest.raises(NoRunError) as caught:
        get_wandb_run(required=True)
    return str(caught.value)


def in_task() -> str:
    flyte.init()
    return str(flyte.with_runcontext(mode="local").run(undecorated).outputs()[0])


def in_thread() -> str:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(reason()))
    thread.start()
    thread.join()
    return found[0]


def on_silent_rank() -> str:
    with activate(None, None):
        return reason()


def in_objective() -> str:
    with in_trial():
        return reason()


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (reason, "outside of Flyte tasks"),
        (in_thread, "asyncio.to_thread"),
        (in_task, "has no @wandb_init; put it above @env.task"),
        (on_silent_rank, "this rank of the distributed task does not log"),
        (in_objective, "has not called wandb.init() yet"),
    ],
)
def test_required_run_raises_the_reason(place: Callable[[], str], expected: str) -> None:
    assert expected in place()


def test_error_survives_pickling() -> None:
    error: Any = pickle.loads(pickle.dumps(NoRunError("why")))

    assert (str(error), error.reason) == ("No W&B run here: why [NoRunError]", "why")
    assert isinstance(error, LookupError)
    assert isinstance(error, WandbPluginError)
