"""Addresses of W&B runs and sweeps; the base the other packages stand on.

`RunRef` and `SweepRef` read, print and link an address; the `check_*` functions refuse what W&B would refuse;
`is_transient` says which errors are worth a retry; `WandbPluginError` is the root of all exceptions of these packages.
Importing this package imports neither wandb nor Flyte.
"""

from wandb_artifacts._errors import InvalidValueError, WandbPluginError
from wandb_artifacts._hosts import app_url, check_host
from wandb_artifacts._names import check_entity, check_id, check_project
from wandb_artifacts._refs import RunRef, SweepRef
from wandb_artifacts._retry import is_transient
from wandb_artifacts._version import __version__

__all__ = [
    "InvalidValueError",
    "RunRef",
    "SweepRef",
    "WandbPluginError",
    "__version__",
    "app_url",
    "check_entity",
    "check_host",
    "check_id",
    "check_project",
    "is_transient",
]
