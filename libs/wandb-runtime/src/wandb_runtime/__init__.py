"""The life of a W&B run inside a Flyte task.

`@wandb_init` gives a task a W&B run, `get_wandb_run()` returns it, `wandb_config(...)` configures the runs of a Flyte
run or of the tasks called in a `with` block, and a `Wandb` link leads from the task to its run. Importing this
package does not import wandb.
"""

from wandb_runtime._config import (
    InitOptions,
    Mode,
    OnUnavailable,
    RankScope,
    RunMode,
    RunOptions,
    WandbConfig,
    get_wandb_context,
    wandb_config,
)
from wandb_runtime._current import get_wandb_run, get_wandb_run_dir
from wandb_runtime._decorator import wandb_init
from wandb_runtime._errors import (
    DecoratorOrderError,
    MissingApiKeyError,
    NoParentRunError,
    RunOpenError,
    UnavailableError,
)
from wandb_runtime._link import Wandb
from wandb_runtime._ranks import DistributedInfo, get_distributed_info
from wandb_runtime._version import __version__

__all__ = [
    "DecoratorOrderError",
    "DistributedInfo",
    "InitOptions",
    "MissingApiKeyError",
    "Mode",
    "NoParentRunError",
    "OnUnavailable",
    "RankScope",
    "RunMode",
    "RunOpenError",
    "RunOptions",
    "UnavailableError",
    "Wandb",
    "WandbConfig",
    "__version__",
    "get_distributed_info",
    "get_wandb_context",
    "get_wandb_run",
    "get_wandb_run_dir",
    "wandb_config",
    "wandb_init",
]
