"""Decorated tasks and functions keep their types. Never executed: read by mypy, see tests/install/test_consumers.py."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Generic, TypeVar

import flyte
import wandb
from flyteplugins.wandb import DistributedInfo, get_distributed_info, get_wandb_run, get_wandb_run_dir, wandb_init
from typing_extensions import assert_type

env = flyte.TaskEnvironment(name="typing")

T = TypeVar("T")


class Exactly(Generic[T]):
    """A type as it is: invariant, so that neither a sub- nor a supertype of it will do."""

    def __init__(self, value: T) -> None:
        self.value = value


def same(first: Exactly[T], second: Exactly[T]) -> None:
    """Accepts two values of one and the same static type."""


# A task, sync and async, decorated bare and with arguments, is to a type checker what it was.


@env.task
async def train(lr: float, epochs: int = 1) -> str:
    return f"{lr} {epochs}"


@env.task
def evaluate(name: str) -> float:
    return float(name)


train_type = Exactly(train)
train_bare_type = Exactly(wandb_init(train))
train_called_type = Exactly(wandb_init(project="p", run_mode="new")(train))
evaluate_type = Exactly(evaluate)
evaluate_bare_type = Exactly(wandb_init(evaluate))
evaluate_called_type = Exactly(wandb_init(tags=["a"], config={"lr": 0.1}, mode="offline")(evaluate))

same(train_type, train_bare_type)
same(train_type, train_called_type)
same(evaluate_type, evaluate_bare_type)
same(evaluate_type, evaluate_called_type)
same(train_type, evaluate_type)  # type: ignore[misc]


@wandb_init
@env.task
async def bare_async(lr: float, epochs: int = 1) -> str:
    return f"{lr} {epochs}"


@wandb_init(project="p", entity="e", run_mode="shared", download_logs=True, id="x", resume="allow")
@env.task(retries=3)
async def called_async(lr: float, epochs: int = 1) -> str:
    return f"{lr} {epochs}"


@wandb_init
@env.task
def bare_sync(name: str) -> float:
    return float(name)


@wandb_init(rank_scope="worker", host="h", on_unavailable="offline", flyte_metadata=False, log_inputs=True)
@env.task
def called_sync(name: str) -> float:
    return float(name)


@wandb_init(report=["loss"])
@env.task(report=True)
async def reported() -> None: ...


async def call_tasks() -> None:
    assert_type(await bare_async(0.1), str)
    assert_type(await called_async(lr=0.1, epochs=2), str)
    assert_type(bare_sync("1"), float)
    assert_type(called_sync(name="1"), float)

    await bare_async("0.1")  # type: ignore[call-overload]
    await called_async(0.1, batch=2)  # type: ignore[call-overload]
    bare_sync()  # type: ignore[call-arg]
    called_sync(1)  # type: ignore[arg-type]
    await bare_sync("1")  # type: ignore[misc]


# Plain functions: sweep objectives and helpers.


@wandb_init
def objective() -> int:
    return 1


@wandb_init(project="p")
def objective_called(x: int, *, y: str = "") -> int:
    return x


@wandb_init
async def async_objective(x: int) -> bytes:
    return bytes(x)


@wandb_init(run_mode="auto")
async def async_objective_called(x: int) -> bytes:
    return bytes(x)


async def call_functions() -> None:
    assert_type(objective(), int)
    assert_type(objective_called(1, y="y"), int)
    assert_type(await async_objective(1), bytes)
    assert_type(await async_objective_called(x=1), bytes)

    objective(1)  # type: ignore[call-arg]
    objective_called("1")  # type: ignore[arg-type]
    await async_objective_called(y=1)  # type: ignore[call-arg]


as_callable: Callable[[int], Awaitable[bytes]] = async_objective
as_coroutine: Callable[[int], Coroutine[object, object, bytes]] = async_objective_called
as_sync: Callable[[int], bytes] = async_objective  # type: ignore[assignment]


def logged(x: int) -> None: ...


same(Exactly(logged), Exactly(wandb_init(logged)))


# Wrong arguments of the decorator are errors where they are written.

wandb_init(run_mode="sometimes")  # type: ignore[call-overload]
wandb_init(project=1)  # type: ignore[call-overload]
wandb_init(entity=b"e")  # type: ignore[call-overload]
wandb_init(download_logs="yes")  # type: ignore[call-overload]
wandb_init(rank_scope="node")  # type: ignore[call-overload]
wandb_init(on_unavailable="ignore")  # type: ignore[call-overload]
wandb_init(flyte_metadata="no")  # type: ignore[call-overload]
wandb_init(log_inputs="no")  # type: ignore[call-overload]
wandb_init(report=1.5)  # type: ignore[call-overload]
wandb_init(finish_timeout="1")  # type: ignore[call-overload]
wandb_init(projekt="p")  # type: ignore[call-overload]
wandb_init(resume="always")  # type: ignore[call-overload]
wandb_init(id=1)  # type: ignore[call-overload]
wandb_init(1)  # type: ignore[call-overload]
wandb_init("project")  # type: ignore[call-overload]


# The run of the task.


def log(loss: float) -> str:
    run = get_wandb_run()
    assert_type(run, wandb.Run | None)
    run.log({"loss": loss})  # type: ignore[union-attr]
    if run is None:
        return ""
    assert_type(run, wandb.Run)
    run.log({"loss": loss})
    return run.id


assert_type(get_wandb_run_dir(), str | None)
assert_type(get_wandb_run(required=True), wandb.Run)
assert_type(get_wandb_run(required=False), wandb.Run | None)
get_wandb_run(required=True).log({"loss": 0.1})
get_wandb_run(1)  # type: ignore[call-overload]
get_wandb_run(required="yes")  # type: ignore[call-overload]
get_wandb_run_dir().upper()  # type: ignore[union-attr]


# Which of several processes this is.

info = get_distributed_info()
assert_type(info, DistributedInfo | None)
if info is not None:
    assert_type(info["rank"], int)
    assert_type(info["num_workers"], int)
    info["node"]  # type: ignore[typeddict-item]
info["rank"]  # type: ignore[index]
get_distributed_info({})  # type: ignore[call-arg]
