"""Agents and their results are typed. Never executed: read by mypy, see tests/install/test_consumers.py."""

import flyte
from flyteplugins.wandb import (
    AgentResult,
    AgentTask,
    SweepResult,
    Trial,
    fan_out_sweep_agents,
    run_sweep_agent,
    sweep_agent,
    wandb_init,
)
from typing_extensions import assert_type

env = flyte.TaskEnvironment(name="typing")


@wandb_init
def objective() -> float:
    return 1.0


@wandb_init
async def objective_async() -> None: ...


def with_parameters(lr: float) -> float:
    return lr


@env.task
async def agent(agent_id: int, sweep_id: str, count: int = 5) -> int:
    return agent_id


@sweep_agent(env)
@wandb_init
async def made() -> None: ...


assert_type(made, AgentTask)


async def search() -> None:
    assert_type(await run_sweep_agent(objective), AgentResult)
    await run_sweep_agent(objective_async, sweep_id="e/p/s", count=3, name="a", max_failures=None, idle_timeout=1.0)
    await run_sweep_agent(with_parameters)  # type: ignore[arg-type]
    await run_sweep_agent(objective, count="3")  # type: ignore[arg-type]
    result = await fan_out_sweep_agents(agent, num_agents=2, trials_per_agent=3, max_parallel=1)
    assert_type(result, SweepResult)
    assert_type(result.best, Trial | None)
    assert_type(result.trials, list[Trial])
    await fan_out_sweep_agents(made, num_agents=2)
    await fan_out_sweep_agents(made)  # type: ignore[call-arg]
    await fan_out_sweep_agents(objective, num_agents=2)  # type: ignore[arg-type]
