"""`run_sweep_agent`: its arguments, and the set-up and tear-down of an agent."""

from __future__ import annotations

import contextlib
import logging
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_artifacts import InvalidValueError
from wandb_runtime.config.context import flyte_context
from wandb_runtime.lifecycle.sweep_trials import NOT_FOR_TRIALS
from wandb_runtime.tasks.shutdown import watch_body
from wandb_runtime.tasks.threads import to_thread

from wandb_sweeps._agents.agent import Agent, Limits, shielded
from wandb_sweeps._agents.forkserver import client
from wandb_sweeps._agents.forkserver.runner import pickle_objective
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._results import AgentResult
from wandb_sweeps._server.agent_requests import AgentRequests
from wandb_sweeps._server.lookup import Sweep, SweepServer, locate

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("wandb_sweeps")


async def run_sweep_agent(
    objective: Callable[[], object],
    *,
    sweep_id: str | None = None,
    count: int | None = None,
    project: str | None = None,
    entity: str | None = None,
    name: str = "agent",
    max_failures: int | None = 3,
    idle_timeout: float = 600.0,
) -> AgentResult:
    """Run a W&B sweep agent in a task: one trial after the other, each in a new Python process.

    The agent does not touch the task's own run, its environment or its siblings, and does not block the event loop. In
    the objective `get_wandb_run`, `get_wandb_sweep_id` and `get_wandb_context` work; tags, group and config of the
    Flyte W&B context apply to its run, and its output goes to the task's output.

    A trial that W&B stops (early termination) ends within seconds: SystemExit is raised in the objective. When the task
    is cancelled or its pod is stopped, the trial's run is marked as preempting and closed.

    The trial's process imports the objective by its name. An objective that is defined in the script itself, in a
    notebook or inside a function is pickled together with the globals that it names; the script does not run again.

    Args:
        objective: The function to run, sync or async, without arguments. It has `@wandb_init`, or calls `wandb.init`.
        sweep_id: The sweep: its id, or `entity/project/id`. Default: the current sweep.
        count: The number of trials to run. Default: until the sweep is over.
        project: The project of the sweep, if neither `sweep_id` nor the configuration names it.
        entity: The entity of the sweep, likewise. Default: the default entity of the API key.
        name: The agent's name in the results.
        max_failures: The number of failed trials in a row after which the agent ends; None: no limit.
        idle_timeout: Seconds to wait for a trial while the sweep is paused or W&B is unreachable. A running trial
            continues in the meantime.

    Returns:
        The trials, and why the agent ended.

    Raises:
        InvalidValueError: An argument is invalid, or the objective cannot be pickled.
        MissingApiKeyError: No API key is configured.
        SweepNotFoundError: The sweep does not exist.
        SweepUnavailableError: W&B is unreachable.
    """
    check_positive("count", count)
    check_positive("max_failures", max_failures)
    function = pickle_objective(objective)
    current = SweepLocation.current()
    server = SweepServer.of(current)
    with contextlib.ExitStack() as stack:
        stack.enter_context(client.forkserver_in_use())
        # The forkserver imports its modules while the requests below are sent.
        await to_thread(client.start)
        sweep = await to_thread(lambda: locate(server, sweep_id, project, entity, current))
        agent_id = await to_thread(lambda: server.create_agent(sweep.location, socket.gethostname()))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wandb-sweep-", ignore_cleanup_errors=True))
        limits = Limits(count, max_failures, idle_timeout)
        requests = AgentRequests(sweep, server, agent_id, name)
        agent = Agent(function, requests, limits, Path(folder), _trial_context(sweep))
        body = stack.enter_context(watch_body())
        stack.enter_context(body.running(agent))
        try:
            ended = await agent.run()
        finally:
            await shielded(agent.kill())
    _logger.info("Sweep agent %s of %s ended after %d trials: %s", name, sweep.location.ref, len(agent.trials), ended)
    return AgentResult(name, str(sweep.location.ref), agent.trials, ended)


def check_positive(field: str, value: int | None) -> None:
    """Check that a value is a whole number above 0, or None.

    Raises:
        InvalidValueError: It is not.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InvalidValueError(field, value, "must be a whole number above 0")


def _trial_context(sweep: Sweep) -> dict[str, str]:
    """Build the Flyte context of the objective: the agent's, with the sweep's location."""
    inherited = {key: value for key, value in flyte_context().items() if key not in NOT_FOR_TRIALS}
    location = sweep.location
    place = {"wandb_entity": location.entity, "wandb_project": location.project, "wandb_host": location.host}
    return {**inherited, **place, **location.to_context()}
