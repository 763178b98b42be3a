"""W&B runs in Flyte tasks.

`@wandb_init` opens a W&B run for a task, `get_wandb_run()` returns it, `wandb_config(...)` configures the runs of a
Flyte run or of the tasks called in a `with` block, `download_wandb_run_dir` and `download_wandb_run_logs` download the
files of a run, and a `Wandb` link leads from the task to its run. Importing this package does not import wandb.
"""

from typing import TYPE_CHECKING

from wandb_runtime._version import __version__

if TYPE_CHECKING:
    from wandb_runtime._errors import (
        ArtifactError,
        DecoratorOrderError,
        MissingApiKeyError,
        NoParentRunError,
        NoRunError,
        RunOpenError,
        UnavailableError,
    )
    from wandb_runtime.artifacts.log import log_wandb_artifact
    from wandb_runtime.artifacts.use import download_wandb_artifact_dir, use_wandb_artifact
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
    from wandb_runtime.download import download_wandb_run_dir, download_wandb_run_logs
    from wandb_runtime.lifecycle.current import get_wandb_run, get_wandb_run_dir
    from wandb_runtime.lifecycle.decorator import wandb_init
    from wandb_runtime.lifecycle.link import Wandb
    from wandb_runtime.tasks.distributed import DistributedInfo, get_distributed_info
else:
    from wandb_runtime.lazy import lazy_attributes

    # On first use: Flyte imports this package for `flyte --help`, and the downloads take long to import.
    _NAMES = {
        "_errors": (
            "ArtifactError",
            "DecoratorOrderError",
            "MissingApiKeyError",
            "NoParentRunError",
            "NoRunError",
            "RunOpenError",
            "UnavailableError",
        ),
        "artifacts.log": ("log_wandb_artifact",),
        "artifacts.use": ("download_wandb_artifact_dir", "use_wandb_artifact"),
        "config.run": (
            "InitOptions",
            "Mode",
            "OnUnavailable",
            "RankScope",
            "RunMode",
            "RunOptions",
            "WandbConfig",
            "get_wandb_context",
            "wandb_config",
        ),
        "download": ("download_wandb_run_dir", "download_wandb_run_logs"),
        "lifecycle.current": ("get_wandb_run", "get_wandb_run_dir"),
        "lifecycle.decorator": ("wandb_init",),
        "lifecycle.link": ("Wandb",),
        "tasks.distributed": ("DistributedInfo", "get_distributed_info"),
    }
    __getattr__ = lazy_attributes(
        __name__, {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}
    )


__all__ = [
    "ArtifactError",
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
    "download_wandb_artifact_dir",
    "download_wandb_run_dir",
    "download_wandb_run_logs",
    "get_distributed_info",
    "get_wandb_context",
    "get_wandb_run",
    "get_wandb_run_dir",
    "log_wandb_artifact",
    "use_wandb_artifact",
    "wandb_config",
    "wandb_init",
]


def __dir__() -> list[str]:
    return list(__all__)
