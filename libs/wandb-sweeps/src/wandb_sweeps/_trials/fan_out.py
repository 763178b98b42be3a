"""`fan_out_sweep_trials`: the trials of one sweep, each a Flyte task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flyte
from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.threads import to_thread

from wandb_sweeps._agents.run_agent import check_positive
from wandb_sweeps._location import SweepLocation
from wandb_sweeps._server.lookup import SweepServer, locate
from wandb_sweeps._server.summary import summarize
from wandb_sweeps._trials.binding import TrialTask, bind
from wandb_sweeps._trials.controller import Controller, Limits

if TYPE_CHECKING:
    from wandb_sweeps._results import SweepResult


async def fan_out_sweep_trials(
    trial_task: TrialTask,
    *,
    num_trials: int | None = None,
    max_parallel: int = 20,
    max_failures: int | None = None,
    sweep_id: str | None = None,
    project: str | None = None,
    entity: str | None = None,
) -> SweepResult:
    """Run the trials of a sweep, each as a Flyte task named `trial-1`, `trial-2`, ... in one group.

    W&B chooses the parameters. Each trial is an action of `trial_task` with the image, resources, retries, timeout and
    link of that task, and without Flyte's cache. The run of its `@wandb_init` is the trial: it has the id that W&B has
    assigned, belongs to the sweep, and has the parameters in its config. A retry of the action continues the run. An
    action that fails is a failed trial; it does not stop the others. A trial that W&B stops (early termination) is
    cancelled within seconds.

    If the calling task is retried, it finds the trials of its earlier attempt: those that have ended count, those that
    run are awaited, and a run that no action will end is marked as failed. In local mode the tasks of a failed attempt
    have ended with it.

    ```python
    @wandb_init
    @env.task
    async def train(lr: float, layers: int) -> None:
        get_wandb_run(required=True).log({"loss": ...})


    @wandb_sweep
    @env.task
    async def search() -> SweepResult:
        return await fan_out_sweep_trials(train, num_trials=50, max_parallel=10)
    ```

    Args:
        trial_task: A task with `@wandb_init`. It takes the parameters of the sweep that it declares, by name, or one
            `SweepTrial`. What it returns is not used.
        num_trials: The number of trials. Default: until W&B has no more.
        max_parallel: The number of trials that run at once; W&B allows 20 agents for a sweep.
        max_failures: The number of failed trials in a row after which no more are started; None: no limit.
        sweep_id: The sweep: its id, or `entity/project/id`. Default: the current sweep.
        project: The project of the sweep, if neither `sweep_id` nor the configuration names it.
        entity: The entity of the sweep, likewise.

    Returns:
        The trials of the sweep, the best of them, its state, and why trials failed, by the name of the action. While
            the sweep is paused or W&B is unreachable, trials are waited for up to ten minutes.

    Raises:
        InvalidValueError: An argument is invalid, or the task cannot take the sweep's parameters; no trial has started.
        MissingApiKeyError: No API key is configured.
        SweepNotFoundError: The sweep does not exist.
        SweepUnavailableError: W&B is unreachable, and no trial has started.
    """
    check_positive("num_trials", num_trials)
    check_positive("max_parallel", max_parallel if max_parallel is not None else 0)
    check_positive("max_failures", max_failures)
    current = SweepLocation.current()
    server = SweepServer.of(current)
    sweep = await to_thread(lambda: locate(server, sweep_id, project, entity, current))
    binding = bind(trial_task, sweep.config.get("parameters") or {})
    action = current_task()
    host = f"flyte {action.run_name}/{action.action_name}" if action else "flyte"
    limits = Limits(num_trials, max_parallel, max_failures)
    controller = Controller(binding, sweep, server, host, limits, is_local=action is None or action.is_local)
    with flyte.custom_context(**sweep.location.to_context()):
        await controller.run()
    return await summarize(server, sweep, controller.trials, controller.errors, *controller.warnings)
