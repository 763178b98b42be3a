"""W&B runs in Flyte tasks.

`@wandb_init` opens a W&B run for a task, `get_wandb_run()` returns it, `wandb_config(...)` configures the runs of a
Flyte run or of the tasks called in a `with` block, `download_wandb_run_dir` and `download_wandb_run_logs` download the
files of a run, and a `Wandb` link leads from the task to its run. Importing this package does not import wandb.
"""

from typing import TYPE_CHECKING

from wandb_runtime._errors import (
    DecoratorOrderError,
    MissingApiKeyError,
    NoParentRunError,
    NoRunError,
    RunOpenError,
    UnavailableError,
)
from wandb_runtime._version import __version__
from wandb_runtime.config.run import (
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
from wandb_runtime.lifecycle.current import get_wandb_run, get_wandb_run_dir
from wandb_runtime.lifecycle.decorator import wandb_init
from wandb_runtime.lifecycle.link import Wandb
from wandb_runtime.tasks.distributed import DistributedInfo, get_distributed_info

if TYPE_CHECKING:
    from wandb_runtime.download import download_wandb_run_dir, download_wandb_run_logs
else:
    from wandb_runtime.lazy import lazy_attributes

    # They need what takes long to import.
    __getattr__ = lazy_attributes(
        __name__,
        dict.fromkeys(("download_wandb_run_dir", "download_wandb_run_logs"), "wandb_runtime.download"),
    )


__all__ = [
    "DecoratorOrderError",
    "DistributedInfo",
    "InitOptions",
    "MissingApiKeyError",
    "Mode",
    "NoParentRunError",
    "NoRunError",
    "OnUnavailable",
    "RankScope",
    "RunMode",
    "RunOpenError",
    "RunOptions",
    "UnavailableError",
    "Wandb",
    "WandbConfig",
    "__version__",
    "download_wandb_run_dir",
    "download_wandb_run_logs",
    "get_distributed_info",
    "get_wandb_context",
    "get_wandb_run",
    "get_wandb_run_dir",
    "wandb_config",
    "wandb_init",
]


def __dir__() -> list[str]:
    return list(__all__)
