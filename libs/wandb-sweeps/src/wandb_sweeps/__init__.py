"""W&B sweeps in Flyte.

`wandb_sweep_config(...)` carries the settings of a sweep in the Flyte context, `@wandb_sweep` gives a task a sweep by
them, `get_wandb_sweep_id()` returns its id, and a `WandbSweep` link leads from the task to it. Importing this package
does not import wandb.
"""

from wandb_sweeps._agent import run_sweep_agent
from wandb_sweeps._config import (
    OnExit,
    OnFailure,
    SweepMethod,
    SweepOptions,
    SweepSettings,
    WandbSweepConfig,
    get_wandb_sweep_context,
    wandb_sweep_config,
)
from wandb_sweeps._current import get_wandb_sweep_id
from wandb_sweeps._errors import (
    AgentBusyError,
    AgentsFailedError,
    NoSweepConfigError,
    SweepConfigError,
    SweepCreateError,
    SweepNotFoundError,
    SweepUnavailableError,
)
from wandb_sweeps._fan_out import AgentTask, fan_out_sweep_agents, sweep_agent
from wandb_sweeps._link import WandbSweep
from wandb_sweeps._results import AgentResult, SweepResult, Trial
from wandb_sweeps._sweep_decorator import wandb_sweep
from wandb_sweeps._version import __version__

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
    "SweepUnavailableError",
    "Trial",
    "WandbSweep",
    "WandbSweepConfig",
    "__version__",
    "fan_out_sweep_agents",
    "get_wandb_sweep_context",
    "get_wandb_sweep_id",
    "run_sweep_agent",
    "sweep_agent",
    "wandb_sweep",
    "wandb_sweep_config",
]
