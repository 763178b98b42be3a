"""W&B sweeps in Flyte.

`wandb_sweep_config(...)` carries the settings of a sweep in the Flyte context, `@wandb_sweep` creates or joins a sweep
for a task, `get_wandb_sweep_id()` returns its id, and a `WandbSweep` link leads from the task to it. Importing this
package does not import wandb.
"""

from typing import TYPE_CHECKING

from wandb_sweeps._config.sweep import (
    OnExit,
    OnFailure,
    SweepMethod,
    SweepOptions,
    SweepSettings,
    WandbSweepConfig,
    get_wandb_sweep_context,
    wandb_sweep_config,
)
from wandb_sweeps._errors import (
    AgentBusyError,
    AgentsFailedError,
    NoSweepConfigError,
    SweepConfigError,
    SweepCreateError,
    SweepNotFoundError,
    SweepUnavailableError,
)
from wandb_sweeps._lifecycle.decorator import wandb_sweep
from wandb_sweeps._lifecycle.link import WandbSweep
from wandb_sweeps._location import get_wandb_sweep_id
from wandb_sweeps._version import __version__

if TYPE_CHECKING:
    from wandb_sweeps._agents.fan_out import AgentTask, fan_out_sweep_agents, sweep_agent
    from wandb_sweeps._agents.run_agent import run_sweep_agent
    from wandb_sweeps._download import download_wandb_sweep_dirs, download_wandb_sweep_logs
    from wandb_sweeps._results import AgentResult, SweepResult, Trial
    from wandb_sweeps._trials.binding import TrialTask
    from wandb_sweeps._trials.fan_out import fan_out_sweep_trials
    from wandb_sweeps._trials.trial import SweepTrial
else:
    from wandb_runtime.lazy import lazy_attributes

    # Most tasks run no agents, and the import of the package must stay fast.
    __getattr__ = lazy_attributes(
        __name__,
        {
            "AgentResult": "wandb_sweeps._results",
            "AgentTask": "wandb_sweeps._agents.fan_out",
            "SweepResult": "wandb_sweeps._results",
            "SweepTrial": "wandb_sweeps._trials.trial",
            "Trial": "wandb_sweeps._results",
            "TrialTask": "wandb_sweeps._trials.binding",
            "download_wandb_sweep_dirs": "wandb_sweeps._download",
            "download_wandb_sweep_logs": "wandb_sweeps._download",
            "fan_out_sweep_agents": "wandb_sweeps._agents.fan_out",
            "fan_out_sweep_trials": "wandb_sweeps._trials.fan_out",
            "run_sweep_agent": "wandb_sweeps._agents.run_agent",
            "sweep_agent": "wandb_sweeps._agents.fan_out",
        },
    )


__all__ = [
    "AgentBusyError",
    "AgentResult",
    "AgentTask",
    "AgentsFailedError",
    "NoSweepConfigError",
    "OnExit",
    "OnFailure",
    "SweepConfigError",
    "SweepCreateError",
    "SweepMethod",
    "SweepNotFoundError",
    "SweepOptions",
    "SweepResult",
    "SweepSettings",
    "SweepTrial",
    "SweepUnavailableError",
    "Trial",
    "TrialTask",
    "WandbSweep",
    "WandbSweepConfig",
    "__version__",
    "download_wandb_sweep_dirs",
    "download_wandb_sweep_logs",
    "fan_out_sweep_agents",
    "fan_out_sweep_trials",
    "get_wandb_sweep_context",
    "get_wandb_sweep_id",
    "run_sweep_agent",
    "sweep_agent",
    "wandb_sweep",
    "wandb_sweep_config",
]


def __dir__() -> list[str]:
    return list(__all__)
