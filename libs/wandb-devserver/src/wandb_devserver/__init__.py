"""A W&B-compatible server on loopback for tests, demos and air-gapped work."""

from importlib import import_module
from typing import TYPE_CHECKING

from wandb_devserver._version import __version__

if TYPE_CHECKING:
    from wandb_devserver._errors import DevServerError, NotFoundError, UsageError
    from wandb_devserver._json import Json, JsonObject
    from wandb_devserver._server import DevServer
    from wandb_devserver._testing.faults import Fault, Faults
    from wandb_devserver._testing.records import FileRecord, RunRecord
    from wandb_devserver._testing.request_log import RequestLog
    from wandb_devserver._testing.sweep_records import AgentRecord, SweepRecord
else:
    # Every pytest run where this package is installed imports it for its plugin, and the server takes most of a second.
    _MODULES = {
        "AgentRecord": "wandb_devserver._testing.sweep_records",
        "DevServer": "wandb_devserver._server",
        "DevServerError": "wandb_devserver._errors",
        "Fault": "wandb_devserver._testing.faults",
        "Faults": "wandb_devserver._testing.faults",
        "FileRecord": "wandb_devserver._testing.records",
        "Json": "wandb_devserver._json",
        "JsonObject": "wandb_devserver._json",
        "NotFoundError": "wandb_devserver._errors",
        "RequestLog": "wandb_devserver._testing.request_log",
        "RunRecord": "wandb_devserver._testing.records",
        "SweepRecord": "wandb_devserver._testing.sweep_records",
        "UsageError": "wandb_devserver._errors",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(import_module(_MODULES[name]), name)


__all__ = [
    "AgentRecord",
    "DevServer",
    "DevServerError",
    "Fault",
    "Faults",
    "FileRecord",
    "Json",
    "JsonObject",
    "NotFoundError",
    "RequestLog",
    "RunRecord",
    "SweepRecord",
    "UsageError",
    "__version__",
]


def __dir__() -> list[str]:
    return list(__all__)
