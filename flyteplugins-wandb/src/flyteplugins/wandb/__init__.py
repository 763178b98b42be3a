"""Weights & Biases for Flyte 2.

`@wandb_init` opens a W&B run for a task; `get_wandb_run()` returns it in the body.

```python
import flyte
from flyteplugins.wandb import get_wandb_run, wandb_config, wandb_init

env = flyte.TaskEnvironment(name="training", secrets=flyte.Secret("wandb-api-key", as_env_var="WANDB_API_KEY"))


@wandb_init  # the outermost decorator
@env.task
async def train(lr: float) -> float:
    run = get_wandb_run(required=True)
    for epoch in range(10):
        run.log({"epoch": epoch, "loss": lr / (epoch + 1)})
    return lr


if __name__ == "__main__":
    flyte.init_from_config()
    flyte.with_runcontext(custom_context=wandb_config(project="my-project", tags=["baseline"])).run(train, lr=0.1)
```

| name | purpose |
|---|---|
| `wandb_init` | decorator: opens a run before the body, finishes it with the body's outcome, links to it |
| `get_wandb_run`, `get_wandb_run_dir` | the run of the current task or trace; its local directory |
| `wandb_config`, `get_wandb_context` | configuration of the runs of a Flyte run or of a `with` block; the current one |
| `wandb_sweep_config`, `get_wandb_sweep_context` | the same for sweeps |
| `wandb_sweep`, `get_wandb_sweep_id` | decorator: creates the sweep of a task, once, or joins one; its id |
| `download_wandb_run_dir`, `download_wandb_run_logs` | download a run's files and rows to a folder; as an output |
| `download_wandb_sweep_dirs`, `download_wandb_sweep_logs` | the same for all runs of a sweep |
| `log_wandb_artifact`, `use_wandb_artifact` | an artifact as output or input of the current run, with its data |
| `download_wandb_artifact_dir` | the same as `use_wandb_artifact`, to a folder |
| `get_distributed_info` | the rank of this process in a distributed task |
| `fan_out_sweep_agents`, `sweep_agent` | many sweep agents as Flyte tasks; such a task for an objective |
| `fan_out_sweep_trials`, `SweepTrial` | the trials of a sweep as Flyte tasks; the input of such a task |
| `run_sweep_agent` | one agent in a task, each trial in a separate process |
| `Wandb`, `WandbSweep` | links from a task to its run or sweep |

The exceptions are subclasses of `WandbPluginError`: `AgentBusyError`, `AgentsFailedError`, `ArtifactError`,
`DecoratorOrderError`, `InvalidValueError`, `MissingApiKeyError`, `NoParentRunError`, `NoRunError`,
`NoSweepConfigError`, `RunOpenError`, `SweepConfigError`, `SweepCreateError`, `SweepNotFoundError`,
`SweepUnavailableError` and `UnavailableError`.

Precedence, strongest first: the decorator's arguments, the nearest `wandb_config`, outer ones, the `WANDB_*`
environment, W&B's defaults. `config` dictionaries merge key by key and `tags` add up.

A task with `run_mode="auto"` (the default) reuses the run of the nearest decorated task that called it, or opens one;
`"new"` always opens one; `"shared"` always reuses.

In a task of several processes (Flyte's Elastic, flyte.clustered) rank 0 logs; with `run_mode="shared"` all ranks log to
one run, with `"new"` each logs to a separate one, and `rank_scope="worker"` applies that per worker: see
`help(wandb_init)`.

Importing this module does not import wandb.
"""

from typing import TYPE_CHECKING

from flyteplugins.wandb._version import __version__
from wandb_artifacts import InvalidValueError, WandbPluginError
from wandb_runtime import (
    ArtifactError,
    DecoratorOrderError,
    DistributedInfo,
    InitOptions,
    MissingApiKeyError,
    Mode,
    NoParentRunError,
    NoRunError,
    OnUnavailable,
    RankScope,
    RunMode,
    RunOpenError,
    RunOptions,
    UnavailableError,
    Wandb,
    WandbConfig,
    get_distributed_info,
    get_wandb_context,
    get_wandb_run,
    get_wandb_run_dir,
    wandb_config,
    wandb_init,
)

if TYPE_CHECKING:
    from wandb_runtime import (
        download_wandb_artifact_dir,
        download_wandb_run_dir,
        download_wandb_run_logs,
        log_wandb_artifact,
        use_wandb_artifact,
    )
    from wandb_sweeps import (
        AgentBusyError,
        AgentResult,
        AgentsFailedError,
        AgentTask,
        NoSweepConfigError,
        OnExit,
        OnFailure,
        SweepConfigError,
        SweepCreateError,
        SweepMethod,
        SweepNotFoundError,
        SweepOptions,
        SweepResult,
        SweepSettings,
        SweepTrial,
        SweepUnavailableError,
        Trial,
        TrialTask,
        WandbSweep,
        WandbSweepConfig,
        download_wandb_sweep_dirs,
        download_wandb_sweep_logs,
        fan_out_sweep_agents,
        fan_out_sweep_trials,
        get_wandb_sweep_context,
        get_wandb_sweep_id,
        run_sweep_agent,
        sweep_agent,
        wandb_sweep,
        wandb_sweep_config,
    )


__all__ = [
    "AgentBusyError",
    "AgentResult",
    "AgentTask",
    "AgentsFailedError",
    "ArtifactError",
    "DecoratorOrderError",
    "DistributedInfo",
    "InitOptions",
    "InvalidValueError",
    "MissingApiKeyError",
    "Mode",
    "NoParentRunError",
    "NoRunError",
    "NoSweepConfigError",
    "OnExit",
    "OnFailure",
    "OnUnavailable",
    "RankScope",
    "RunMode",
    "RunOpenError",
    "RunOptions",
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
    "UnavailableError",
    "Wandb",
    "WandbConfig",
    "WandbPluginError",
    "WandbSweep",
    "WandbSweepConfig",
    "__version__",
    "download_wandb_artifact_dir",
    "download_wandb_run_dir",
    "download_wandb_run_logs",
    "download_wandb_sweep_dirs",
    "download_wandb_sweep_logs",
    "fan_out_sweep_agents",
    "fan_out_sweep_trials",
    "get_distributed_info",
    "get_wandb_context",
    "get_wandb_run",
    "get_wandb_run_dir",
    "get_wandb_sweep_context",
    "get_wandb_sweep_id",
    "log_wandb_artifact",
    "run_sweep_agent",
    "sweep_agent",
    "use_wandb_artifact",
    "wandb_config",
    "wandb_init",
    "wandb_sweep",
    "wandb_sweep_config",
]

if not TYPE_CHECKING:
    import wandb_runtime as _runtime
    from wandb_runtime.lazy import lazy_attributes as _lazy_attributes

    # On first use: a script without sweeps does not import them, and wandb_runtime itself loads some names late.
    _late = [name for name in __all__ if name not in globals()]
    __getattr__ = _lazy_attributes(
        __name__, {name: "wandb_runtime" if name in _runtime.__all__ else "wandb_sweeps" for name in _late}
    )


_NOT_IN_HELP = ("Config", "Error", "Info", "Options", "Settings")


def __dir__() -> list[str]:
    # help() describes what this returns. Of exceptions and dictionaries it would list every inherited method.
    return [name for name in __all__ if not name.endswith(_NOT_IN_HELP)]
