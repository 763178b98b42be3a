"""The search for decorated tasks that a body can call and that join its run."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import cloudpickle
import flyte
import pytest
import wandb
from wandb_runtime import wandb_init
from wandb_runtime.tasks.call_graph import calls_wandb_init, can_be_joined

env = flyte.TaskEnvironment(name="reach")


@wandb_init
@env.task
async def joining(x: int) -> int:
    return x


@wandb_init(run_mode="shared")
@env.task
def sharing(x: int) -> int:
    return x


@wandb_init(run_mode="new")
@env.task
async def opening(x: int) -> int:
    return await joining(x)


@wandb_init(id="own")
@env.task
async def with_its_own_id(x: int) -> int:
    return x


@env.task
async def undecorated(x: int) -> int:
    return x


@env.task
async def undecorated_above_a_joining_one(x: int) -> int:
    return await joining(x)


@wandb_init
def plain(x: int) -> int:
    return x


@wandb_init
async def plain_above_a_joining_one(x: int) -> int:
    return await joining(x)


def helper() -> Callable[..., Any]:
    return joining


namespace = types.SimpleNamespace(inner=types.SimpleNamespace(task=joining, other=undecorated))
registry = {"by": [{"name": (joining,)}]}
module = types.ModuleType("tasks_of_somebody")
module.child = joining  # type: ignore[attr-defined]
module.other = undecorated  # type: ignore[attr-defined]


class Trainer:
    def __init__(self) -> None:
        self.step()

    def step(self) -> object:
        return joining

    @staticmethod
    def idle() -> None:
        """Names nothing."""


class Idle:
    def step(self) -> object:
        return undecorated

    def joining(self) -> None:
        """Is called like a task."""


trainer, idle = Trainer(), Idle()


def repeated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def twice(*args: Any) -> Any:
        return function(*args), function(*args)

    return twice


cached = functools.lru_cache(helper)
repeated_helper = repeated(helper)
partial = functools.partial(print, joining)


async def named() -> None:
    await joining(1)


async def in_a_nested_function() -> None:
    async def inner() -> None:
        await joining(1)

    await inner()


def of_mode_shared() -> None:
    sharing(1)


def mapped() -> None:
    list(flyte.map(joining, [1, 2]))


def overridden() -> None:
    joining.override(retries=2)


async def below_an_undecorated_task() -> None:
    await undecorated_above_a_joining_one(1)


async def below_a_plain_function() -> None:
    await plain_above_a_joining_one(1)


def through_a_helper() -> None:
    helper()


def through_a_cached_helper() -> None:
    cached()


def through_a_decorated_helper() -> None:
    repeated_helper()


def in_an_attribute() -> None:
    namespace.inner.task(1)


def in_a_module() -> None:
    module.child(1)


def in_a_container() -> None:
    registry["by"].pop()


def in_a_partial() -> None:
    partial()


def by_default(task: Any = joining) -> None:
    task(1)


def through_an_object() -> None:
    trainer.idle()


def through_a_class() -> None:
    Trainer()


def through_a_method() -> None:
    step()


step = trainer.step


def nothing() -> None:
    """Calls no task."""


async def undecorated_only() -> None:
    await undecorated(1)


async def new_only() -> None:
    await opening(1)


async def with_an_id() -> None:
    await with_its_own_id(1)


def a_function_only() -> None:
    plain(1)


def other_attributes() -> None:
    namespace.inner.other(1)
    module.other(1)


def another_object() -> None:
    idle.step()


def an_attribute_of_that_name() -> None:
    idle.joining()


def a_word() -> str:
    return "joining"


@pytest.mark.parametrize(
    "body",
    [
        named,
        in_a_nested_function,
        of_mode_shared,
        mapped,
        overridden,
        below_an_undecorated_task,
        below_a_plain_function,
        through_a_helper,
        through_a_cached_helper,
        through_a_decorated_helper,
        in_an_attribute,
        in_a_module,
        in_a_container,
        in_a_partial,
        by_default,
        through_an_object,
        through_a_class,
        through_a_method,
    ],
)
def test_joining_task_is_found(body: Callable[..., Any]) -> None:
    """In each way that a body can refer to a task."""
    assert can_be_joined(wandb_init(env.task(body)).func)


@pytest.mark.parametrize(
    "body",
    [
        nothing,
        undecorated_only,
        new_only,
        with_an_id,
        a_function_only,
        other_attributes,
        another_object,
        an_attribute_of_that_name,
        a_word,
    ],
)
def test_unrelated_task_is_not_found(body: Callable[..., Any]) -> None:
    """Other tasks of the module are not called by the body; nor is the body itself."""
    assert not can_be_joined(wandb_init(env.task(body)).func)


@pytest.mark.parametrize(("body", "reached"), [(in_a_container, True), (new_only, False)])
def test_search_works_on_functions_pickled_by_value(body: types.FunctionType, reached: bool) -> None:
    """A pod gets them from a notebook, whose module does not exist there."""
    copy = types.FunctionType(body.__code__, body.__globals__, body.__name__)
    copy.__module__ = "__main__"

    assert can_be_joined(cloudpickle.loads(cloudpickle.dumps(wandb_init(env.task(copy)).func))) is reached


def test_recursive_task_is_found() -> None:
    """A recursive task's children join its run."""

    async def countdown(n: int) -> None:
        if n:
            await task(n - 1)

    task = wandb_init(env.task(countdown))

    assert can_be_joined(task.func)


def test_task_in_a_closure_is_found() -> None:
    """A task made in a function."""
    inner = joining

    async def body() -> None:
        await inner(1)

    assert can_be_joined(wandb_init(env.task(body)).func)


def test_task_below_another_decorator_is_found() -> None:
    """The search follows the other decorators of the body."""
    assert can_be_joined(wandb_init(env.task(repeated(through_a_helper))).func)


def test_search_executes_no_code() -> None:
    """Properties and lazy modules are not evaluated."""

    def body() -> None:
        touchy.value  # noqa: B018

    assert not can_be_joined(wandb_init(env.task(body)).func)


class Touchy:
    @property
    def value(self) -> object:
        raise AssertionError


touchy = Touchy()


def of_a_script() -> None:
    run = wandb.init(project="p", config={"lr": 0.1})
    run.log({"loss": 1})


def importing_inside() -> None:
    import wandb

    with wandb.init(project="p"):
        pass


def calling_a_script() -> None:
    of_a_script()


def in_an_inner_function() -> None:
    def setup() -> None:
        wandb.init()

    setup()


def logging_only() -> None:
    wandb.log({"loss": 1})
    flyte.init()


def of_a_second_run() -> None:
    wandb.init(reinit="create_new")


def of_an_agent() -> None:
    wandb.agent("sweep", function=of_a_script)


@pytest.mark.parametrize("body", [of_a_script, importing_inside, calling_a_script, in_an_inner_function])
def test_init_in_a_body_is_found(body: Callable[..., Any]) -> None:
    assert calls_wandb_init(wandb_init(env.task(body)).func)


@pytest.mark.parametrize("body", [nothing, logging_only, of_a_second_run, of_an_agent])
def test_other_bodies_have_no_init_of_the_task(body: Callable[..., Any]) -> None:
    """Another object's `init` does not count, nor that of a second run or of an agent's trials."""
    assert not calls_wandb_init(wandb_init(env.task(body)).func)
