"""The life of a W&B run inside a Flyte task.

`@wandb_init` gives a task a W&B run, `get_wandb_run()` returns it, `wandb_config(...)` configures the runs of a Flyte
run or of the tasks called in a `with` block, `download_wandb_run_dir` and `download_wandb_run_logs` bring the files of
a run, and a `Wandb` link leads from the task to its run. Importing this package does not import wandb.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from wandb_runtime._errors import (
    DecoratorOrderError,
    MissingApiKeyError,
    NoParentRunError,
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
    # Loaded on first use (PEP 562): they need what takes long to import.
    _LATER = {"download_wandb_run_dir": "download", "download_wandb_run_logs": "download"}

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


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
    "download_wandb_run_dir",
    "download_wandb_run_logs",
    "get_distributed_info",
    "get_wandb_context",
    "get_wandb_run",
    "get_wandb_run_dir",
    "wandb_config",
    "wandb_init",
]
