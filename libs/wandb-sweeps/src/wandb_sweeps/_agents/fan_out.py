"""Many agents for one sweep, each a Flyte task."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import flyte
from wandb_artifacts import InvalidValueError
from wandb_runtime.tasks.threads import to_thread

from wandb_sweeps._agents.agent import check_number, run_sweep_agent
from wandb_sweeps._agents.forkserver import client
from wandb_sweeps._errors import AgentsFailedError, SweepUnavailableError
from wandb_sweeps._results import AgentResult, SweepResult, Trial
from wandb_sweeps._server.lookup import Server, Sweep, locate, look_up, sweep_in_force
from wandb_sweeps._server.runs import read_trials

if TYPE_CHECKING:
    from collections.abc import Callable

AgentTask = flyte.AsyncFunctionTaskTemplate[..., Any, Any]
"""A Flyte task that runs an agent: it takes `(agent_id: int, sweep_id: str, count: int)`."""

_logger = logging.getLogger("wandb_sweeps")

_PARAMETERS = ("agent_id", "sweep_id", "count")
_FOR_READING = 120.0
_BETWEEN_READINGS = 5.0


def sweep_agent(
    env: flyte.TaskEnvironment, *, max_failures: int | None = 3, idle_timeout: float = 600.0, retries: int = 0
) -> Callable[[Callable[[], object]], AgentTask]:
    """Makes an agent task of an objective, as `fan_out_sweep_agents` takes it. Stands above `@wandb_init`.

    ```python
    @sweep_agent(env)
    @wandb_init
    async def objective():
        get_wandb_run().log({"loss": ...})
    ```

    Args:
        env: The environment that the agents run in.
        max_failures: As `run_sweep_agent` takes it.
        idle_timeout: As `run_sweep_agent` takes it.
        retries: How often Flyte starts an agent again that has failed.

    Returns:
        A decorator. What it makes is a task in `env` with the parameters `agent_id`, `sweep_id` and `count`, that
        returns an `AgentResult`. It takes the place of the function: the module must know it by the same name.
    """

    def decorate(objective: Callable[[], object]) -> AgentTask:
        async def agent(agent_id: int, sweep_id: str, count: int | None = None) -> AgentResult:
            return await run_sweep_agent(
                objective,
                sweep_id=sweep_id,
                count=count,
                name=f"agent-{agent_id}",
                max_failures=max_failures,
                idle_timeout=idle_timeout,
            )

        # Pods find the task by these; functools.wraps would give it the objective's signature.
        agent.__module__, agent.__doc__ = objective.__module__, objective.__doc__
        agent.__name__ = agent.__qualname__ = objective.__name__
        task: AgentTask = env.task(retries=retries)(agent)
        return task

    return decorate


async def fan_out_sweep_agents(
    agent_task: AgentTask,
    *,
    num_agents: int,
    trials_per_agent: int | None = None,
    max_parallel: int = 20,
    sweep_id: str | None = None,
    project: str | None = None,
    entity: str | None = None,
    group: str = "sweep-agents",
) -> SweepResult:
    """Runs many agents of one sweep, each as a Flyte task named `agent-1`, `agent-2`, ... in one group.

    An agent that fails does not stop the others; retries are those of the task. Cancelling ends them all.

    Args:
        agent_task: A task with the parameters `agent_id: int`, `sweep_id: str` and `count: int`; `@sweep_agent` makes
            one. Where it returns an `AgentResult`, the trials tell which agent ran them.
        num_agents: How many agents there are in all.
        trials_per_agent: The `count` of each; the task's own default where it is None.
        max_parallel: How many agents run at once; W&B takes 20 for a sweep.
        sweep_id: The sweep: its id, or `entity/project/id`. The one in force by default.
        project: The project of the sweep, where neither `sweep_id` nor the configuration tells it.
        entity: The entity of the sweep, likewise.
        group: What Flyte calls the group.

    Returns:
        The trials of the sweep, the best of them, its state, and why agents have failed.

    Raises:
        InvalidValueError: An argument is of no use; no agent has been started.
        MissingApiKeyError: There is no API key.
        SweepNotFoundError: There is no such sweep.
        SweepUnavailableError: W&B cannot be reached.
        AgentsFailedError: All agents have failed.
    """
    check_number("num_agents", num_agents if num_agents is not None else 0)
    check_number("trials_per_agent", trials_per_agent)
    check_number("max_parallel", max_parallel if max_parallel is not None else 0)
    _check_task(agent_task, trials_per_agent)
    in_force = sweep_in_force()
    server = Server.of(in_force)
    sweep = await to_thread(lambda: locate(server, sweep_id, project, entity, in_force))
    given = {} if trials_per_agent is None else {"count": trials_per_agent}
    at_once = asyncio.Semaphore(max_parallel)
    results: dict[str, object] = {}
    errors: dict[str, str] = {}

    async def run(agent_id: int) -> None:
        name = f"agent-{agent_id}"
        async with at_once:
            try:
                agent = agent_task.override(short_name=name)
                results[name] = await agent.aio(agent_id=agent_id, sweep_id=sweep.address.id, **given)
            except Exception as error:
                errors[name] = f"{type(error).__name__}: {error}"
                _logger.warning("Sweep agent %s has failed", name, exc_info=True)

    # In local mode the agents are in this process.
    with client.held(), flyte.group(group), flyte.custom_context(**sweep.address.to_context()):
        await asyncio.gather(*(run(agent_id) for agent_id in range(1, num_agents + 1)))
    if len(errors) == num_agents:
        raise AgentsFailedError(errors)
    done = {name: result for name, result in results.items() if isinstance(result, AgentResult)}
    errors |= {name: _failure(result) for name, result in done.items() if result.ended == "failures"}
    return await _summarize(server, sweep, done, errors)


def _check_task(task: object, count: int | None) -> None:
    """Whether the task can be called as an agent.

    Raises:
        InvalidValueError: It cannot.
    """
    wanted = "make it `async def agent(agent_id: int, sweep_id: str, count: int = 5)`, or use @sweep_agent(env)"
    if not isinstance(task, flyte.AsyncFunctionTaskTemplate):
        error = InvalidValueError("agent_task", task, f"must be a Flyte task; {wanted}")
        raise error
    inputs = task.interface.inputs
    required = {name for name, (_, default) in inputs.items() if default is inspect.Parameter.empty}
    passed = set(_PARAMETERS) if count is not None else set(_PARAMETERS) - {"count"}
    if missing := [name for name in _PARAMETERS if name not in inputs]:
        reason = f"takes no {' and no '.join(missing)}; {wanted}"
    elif left := sorted(required - passed):
        hint = "; give trials_per_agent" if left == ["count"] else ""
        reason = f"needs {', '.join(left)}, which nobody gives it{hint}; {wanted}"
    else:
        return
    error = InvalidValueError("agent_task", task.name, reason)
    raise error


async def _summarize(
    server: Server, sweep: Sweep, agents: dict[str, AgentResult], errors: dict[str, str]
) -> SweepResult:
    """What W&B knows about the sweep, with what only the agents know."""
    own = {trial.id: trial for agent in agents.values() for trial in agent.trials}
    deadline = time.monotonic() + _FOR_READING
    while True:
        try:
            state, trials = await asyncio.gather(
                to_thread(lambda: look_up(server, sweep.address).state),
                to_thread(lambda: read_trials(server, sweep.address, {"sweep": sweep.address.id})),
            )
            break
        except SweepUnavailableError as error:
            if time.monotonic() > deadline:
                _logger.warning("The result has the trials of the agents only: %s", error)
                state, trials = "unknown", list(own.values())
                break
        await asyncio.sleep(_BETWEEN_READINGS)
    metric = sweep.config.get("metric") or {}
    return SweepResult(
        sweep_id=str(sweep.address.ref),
        url=sweep.address.ref.url,
        state=state,
        trials=[_with_agent(trial, own.get(trial.id)) for trial in trials],
        metric=metric.get("name", ""),
        goal=metric.get("goal", "minimize"),
        errors=errors,
    )


def _with_agent(trial: Trial, own: Trial | None) -> Trial:
    return trial if own is None else replace(trial, agent=own.agent, error=own.error)


def _failure(agent: AgentResult) -> str:
    return f"its last trials have failed, the last one: {agent.trials[-1].error}"
