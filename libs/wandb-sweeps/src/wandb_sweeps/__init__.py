"""W&B sweeps in Flyte: configuration and links.

`wandb_sweep_config(...)` carries the settings of a sweep in the Flyte context, and a `WandbSweep` link leads from a
task to its sweep. Creating sweeps and running agents comes with version 0.2. Importing this package does not import
wandb.
"""

from wandb_sweeps._config import (
    OnExit,
    OnFailure,
    SweepMethod,
    SweepOptions,
    WandbSweepConfig,
    get_wandb_sweep_context,
    wandb_sweep_config,
)
from wandb_sweeps._link import WandbSweep
from wandb_sweeps._version import __version__

__all__ = [
    "OnExit",
    "OnFailure",
    "SweepMethod",
    "SweepOptions",
    "WandbSweep",
    "WandbSweepConfig",
    "__version__",
    "get_wandb_sweep_context",
    "wandb_sweep_config",
]
