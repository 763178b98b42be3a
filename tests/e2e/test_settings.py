"""Sources of the settings of a run."""

import asyncio

import cloudpickle
import flyte
import pytest
from flyteplugins.wandb import get_wandb_context, get_wandb_run, wandb_config, wandb_init
from wandb_devserver import DevServer

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_settings")


def run_path() -> str:
    """Return the current run's entity, project and id from its SDK object."""
    run = get_wandb_run()
    assert run is not None
    return f"{run.entity}/{run.project}/{run.id}"


@wandb_init(run_mode="new")
@env.task
async def inheriting() -> str:
    return run_path()


@wandb_init(log_inputs=True)
@env.task
async def with_inputs(lr: float, layers: list[int], api_key: str = "planted") -> str:
    return run_path()


def test_config_has_the_inputs_of_the_task(wandb_devserver: DevServer) -> None:
    """Credentials are left out; the run is named by the task and the action."""
    run = wandb_devserver.run(run_locally(with_inputs, 0.5, [1, 2], context=wandb_config(project="e2e")))

    assert run.config["inputs"] == {"lr": 0.5, "layers": [1, 2]}
    assert run.name == f"with_inputs-{run.id.rpartition('-')[2][:6]}"


@wandb_init(project="decorator", tags=["d"], config={"d": 1, "both": "decorator"}, notes="n")
@env.task
async def decorated() -> list[str]:
    with wandb_config(tags=["inner"], config={"inner": 1, "both": "inner"}):
        assert get_wandb_context().tags == ["outer", "inner"]
        with wandb_config(entity="team"):
            inner = await inheriting()
        inner_again = await inheriting()
    assert get_wandb_context().config == {"outer": 1, "both": "outer"}
    return [run_path(), inner, inner_again, await inheriting()]


def test_settings_have_a_precedence(wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decorator, nearest and outer configuration, environment. Children do not inherit decorator settings."""
    monkeypatch.setenv("WANDB_PROJECT", "environment")
    monkeypatch.setenv("WANDB_NOTES", "environment")
    outer = wandb_config(tags=["outer"], config={"outer": 1, "both": "outer"})
    paths = run_locally(decorated, context=outer)
    own, inner, inner_again, plain = (wandb_devserver.run(path) for path in paths)

    assert (own.project, own.notes) == ("decorator", "n")
    assert own.tags == ["outer", "d"]
    assert (own.config["outer"], own.config["d"], own.config["both"]) == (1, 1, "decorator")
    assert (inner.entity, inner.project, inner.notes) == ("team", "environment", "environment")
    assert inner.tags == inner_again.tags == ["outer", "inner"]
    assert (inner.config["outer"], inner.config["inner"], inner.config["both"]) == (1, 1, "inner")
    assert inner_again.entity == wandb_devserver.entity
    assert plain.tags == ["outer"]


SHARED = wandb_config(tags=["shared"])


@env.task
async def entering_at_once() -> list[str]:
    async def enter(project: str) -> str:
        with SHARED, SHARED, wandb_config(project=project):
            path = await inheriting()
            await asyncio.sleep(0)
        assert get_wandb_context() == {}
        return path

    return list(await asyncio.gather(enter("p1"), enter("p2"), enter("p3")))


def test_configuration_is_reentrant_across_coroutines(wandb_devserver: DevServer) -> None:
    paths = run_locally(entering_at_once)

    assert [path.split("/")[1] for path in paths] == ["p1", "p2", "p3"]
    assert all(wandb_devserver.run(path).tags == ["shared"] for path in paths)


@wandb_init
@env.task
async def top_level() -> list[str]:
    return [run_path(), await inheriting()]


@env.task
async def undecorated_top_level() -> list[str]:
    return [await inheriting(), await below()]


@env.task
async def below() -> str:
    return await inheriting()


def test_configured_id_is_that_of_the_top_level_task(wandb_devserver: DevServer) -> None:
    """A child that opens a run appends its action."""
    own, child = run_locally(top_level, context=wandb_config(project="p", id="mine"))

    assert own == "local/p/mine"
    assert child.startswith("local/p/mine-")


def test_configured_id_below_an_undecorated_task_is_unique(wandb_devserver: DevServer) -> None:
    """Two writers never open the same id."""
    first, second = run_locally(undecorated_top_level, context=wandb_config(project="p", id="mine"))

    assert first.startswith("local/p/mine-")
    assert second.startswith("local/p/mine-")
    assert first != second


@wandb_init(id="literal", project="p")
@env.task
async def with_its_own_id() -> str:
    return run_path()


@wandb_init(project="p")
@env.task
async def calling_it() -> list[str]:
    return [run_path(), await with_its_own_id()]


def test_id_on_the_decorator_is_literal(wandb_devserver: DevServer) -> None:
    """A child with an id on its decorator opens that run."""
    own, child = run_locally(calling_it)

    assert child == "local/p/literal"
    assert own != child


@wandb_init
def helper(value: int) -> str:
    run = get_wandb_run()
    assert run is not None
    run.log({"value": value})
    return run_path()


@wandb_init
async def async_helper(value: int) -> str:
    return helper(value)


@wandb_init(project="p")
@env.task
async def with_helpers() -> list[str]:
    return [run_path(), helper(1), await async_helper(2)]


@env.task
async def undecorated_with_helpers() -> list[str]:
    paths = [helper(1), await async_helper(2)]
    assert get_wandb_run() is None
    return paths


def test_plain_function_uses_the_run_of_the_task(wandb_devserver: DevServer) -> None:
    own, *others = run_locally(with_helpers)

    assert others == [own, own]
    assert [row["value"] for row in wandb_devserver.run(own).history] == [1, 2]


def test_plain_function_without_a_run_opens_one(wandb_devserver: DevServer) -> None:
    """In an undecorated task, and outside Flyte."""
    paths = run_locally(undecorated_with_helpers, context=wandb_config(project="p"))
    paths += [helper(3), asyncio.run(async_helper(4))]
    runs = [wandb_devserver.run(path) for path in paths]

    assert len(set(paths)) == 4
    assert [[row["value"] for row in run.history] for run in runs] == [[1], [2], [3], [4]]
    assert {run.state for run in runs} == {"finished"}
    assert get_wandb_run() is None


@wandb_init
def failing_helper() -> None:
    raise SystemExit(7)


def test_plain_function_that_exits_sets_the_exit_code(wandb_devserver: DevServer) -> None:
    with pytest.raises(SystemExit):
        failing_helper()
    (run,) = wandb_devserver.runs()

    assert (run.state, run.exit_code) == ("failed", 7)


@wandb_init(project="p")
@env.task
def mapped(value: int) -> str:
    return run_path()


@env.task
def mapping() -> list[str]:
    overridden = mapped.override(short_name="other")
    return [*(str(path) for path in flyte.map(mapped, [1, 2])), overridden(3), mapped.forward(4)]


def test_map_override_and_forward_run_the_wrapper(wandb_devserver: DevServer) -> None:
    paths = run_locally(mapping)

    assert len(set(paths)) == 4
    assert all(wandb_devserver.run(path).state == "finished" for path in paths)


def test_task_called_outside_flyte_gets_a_run(wandb_devserver: DevServer) -> None:
    """W&B generates its id."""
    path = mapped(1)

    assert wandb_devserver.run(path).state == "finished"


def test_decorated_task_can_be_pickled_by_value(wandb_devserver: DevServer) -> None:
    """Notebooks send tasks in this way: the wrapper refers to importable helpers only."""

    @wandb_init(project="p", config={"a": 1})
    @env.task
    def local_task(value: int) -> str:
        return run_path()

    copy = cloudpickle.loads(cloudpickle.dumps(local_task))

    assert wandb_devserver.run(copy.forward(1)).config == {"a": 1}


def test_decorating_changes_only_links() -> None:
    """In place, as Flyte's registry of tasks requires."""
    assert env.tasks["e2e_settings.mapped"] is mapped
    assert mapped.short_name == "mapped"
    assert [link.name for link in mapped.links] == ["Weights & Biases"]
    assert [link.name for link in mapped.override(short_name="x").links] == ["Weights & Biases"]


def test_host_selects_the_server_per_run(wandb_devserver: DevServer) -> None:
    with DevServer(api_key=wandb_devserver.api_key) as other:

        @wandb_init(host=other.url, project="p")
        def elsewhere() -> str:
            return helper(1)

        path = elsewhere()

        assert [row["value"] for row in other.run(path).history] == [1]
    assert wandb_devserver.runs() == []
