"""A fan-out: many agents for one sweep, each a Flyte task."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

import flyte
from wandb_artifacts import InvalidValueError
from wandb_runtime.tasks.threads import to_thread

from wandb_sweeps._agents.forkserver import client
from wandb_sweeps._agents.run_agent import check_positive, run_sweep_agent
from wandb_sweeps._errors import AgentsFailedError
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._results import AgentResult, SweepResult
from wandb_sweeps._server.lookup import SweepServer, locate
from wandb_sweeps._server.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Callable

AgentTask = flyte.AsyncFunctionTaskTemplate[..., Any, Any]
"""A Flyte task that runs an agent; its parameters are `(agent_id: int, sweep_id: str, count: int)`."""

_logger = logging.getLogger("wandb_sweeps")

_PARAMETERS = ("agent_id", "sweep_id", "count")


def sweep_agent(
    env: flyte.TaskEnvironment, *, max_failures: int | None = 3, idle_timeout: float = 600.0, retries: int = 0
) -> Callable[[Callable[[], object]], AgentTask]:
    """Make an agent task for `fan_out_sweep_agents` of an objective. It stands above `@wandb_init`.

    ```python
    @sweep_agent(env)
    @wandb_init
    async def objective():
        get_wandb_run(required=True).log({"loss": ...})
    ```

    Args:
        env: The environment of the agents.
        max_failures: See `run_sweep_agent`.
        idle_timeout: See `run_sweep_agent`.
        retries: The number of times that Flyte restarts a failed agent.

    Returns:
        A decorator. It returns a task of `env` with the parameters `agent_id`, `sweep_id` and `count`, which returns an
        `AgentResult`. The task replaces the function: the module must have it under the function's name.
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
    """Run many agents of one sweep, each as a Flyte task named `agent-1`, `agent-2`, ... in one group.

    An agent that fails does not stop the others; retries are those of the task. Cancelling ends all of them.

    Args:
        agent_task: A task with the parameters `agent_id: int`, `sweep_id: str` and `count: int`; `@sweep_agent` makes
            one. If it returns an `AgentResult`, the trials name the agent that ran them.
        num_agents: The number of agents.
        trials_per_agent: The `count` of each agent. Default: the task's own default.
        max_parallel: The number of agents that run at once; W&B allows 20 for a sweep.
        sweep_id: The sweep: its id, or `entity/project/id`. Default: the current sweep.
        project: The project of the sweep, if neither `sweep_id` nor the configuration names it.
        entity: The entity of the sweep, likewise.
        group: The name of the Flyte group.

    Returns:
        The trials of the sweep, the best of them, its state, and why agents failed.

    Raises:
        InvalidValueError: An argument is invalid; no agent has been started.
        MissingApiKeyError: No API key is configured.
        SweepNotFoundError: The sweep does not exist.
        SweepUnavailableError: W&B is unreachable.
        AgentsFailedError: All agents failed.
    """
    check_positive("num_agents", num_agents if num_agents is not None else 0)
    check_positive("trials_per_agent", trials_per_agent)
    check_positive("max_parallel", max_parallel if max_parallel is not None else 0)
    _check_task(agent_task, trials_per_agent)
    current = SweepLocation.current()
    server = SweepServer.of(current)
    sweep = await to_thread(lambda: locate(server, sweep_id, project, entity, current))
    given = {} if trials_per_agent is None else {"count": trials_per_agent}
    slots = asyncio.Semaphore(max_parallel)
    results: dict[str, object] = {}
    errors: dict[str, str] = {}

    async def run(agent_id: int) -> None:
        name = f"agent-{agent_id}"
        async with slots:
            try:
                agent = agent_task.override(short_name=name)
                results[name] = await agent.aio(agent_id=agent_id, sweep_id=sweep.location.id, **given)
            except Exception as error:
                errors[name] = f"{type(error).__name__}: {error}"
                _logger.warning("Sweep agent %s failed", name, exc_info=True)

    # In local mode all agents are in this process and share its forkserver.
    with client.forkserver_in_use(), flyte.group(group), flyte.custom_context(**sweep.location.to_context()):
        await asyncio.gather(*(run(agent_id) for agent_id in range(1, num_agents + 1)))
    if len(errors) == num_agents:
        raise AgentsFailedError(errors)
    done = {name: result for name, result in results.items() if isinstance(result, AgentResult)}
    errors |= {name: _failure(result) for name, result in done.items() if result.ended == "failures"}
    own = [trial for result in done.values() for trial in result.trials]
    return await summarize(server, sweep, own, errors)


def _check_task(task: object, count: int | None) -> None:
    """Check that the task can be called as an agent.

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
        reason = f"lacks the parameter{'s' * (len(missing) > 1)} {', '.join(missing)}; {wanted}"
    elif left := sorted(required - passed):
        hint = "; give trials_per_agent" if left == ["count"] else ""
        reason = f"requires {', '.join(left)}, which the fan-out does not pass{hint}; {wanted}"
    else:
        return
    error = InvalidValueError("agent_task", task.name, reason)
    raise error


def _failure(agent: AgentResult) -> str:
    return f"its last trials failed, the last one: {agent.trials[-1].error}"
