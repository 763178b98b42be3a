"""A W&B-compatible server on loopback for tests, demos and air-gapped work."""

from wandb_devserver._errors import DevServerError, NotFoundError, UsageError
from wandb_devserver._json import Json, JsonObject
from wandb_devserver._server import DevServer
from wandb_devserver._testing.faults import Fault, Faults
from wandb_devserver._testing.records import FileRecord, RunRecord
from wandb_devserver._testing.request_log import RequestLog
from wandb_devserver._testing.sweep_records import AgentRecord, SweepRecord
from wandb_devserver._version import __version__

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
