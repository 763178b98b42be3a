"""Verified download of W&B runs, sweeps, projects and artifacts, and the base of the packages for W&B in Flyte.

`download_run`, `download_sweep`, `download_runs` and `download_artifact` download to any fsspec URL, and
`verify_download` checks the result. `RunRef`, `SweepRef`, `ProjectRef` and `ArtifactRef` parse and print references;
the `check_*` functions apply W&B's rules for names. `is_transient` classifies errors. `WandbPluginError` is the root of
all exceptions. Importing this package imports neither wandb nor Flyte, and loads what a download needs on first use.
"""

from typing import TYPE_CHECKING

from wandb_artifacts._errors import (
    AccessDeniedError,
    AuthenticationError,
    DeadlineError,
    DestinationError,
    DownloadError,
    InvalidValueError,
    NotFoundError,
    ServerAnswerError,
    ServerUnavailableError,
    WandbPluginError,
)
from wandb_artifacts._refs import RunRef, SweepRef, app_url, check_entity, check_host, check_id, check_project
from wandb_artifacts._version import __version__

if TYPE_CHECKING:
    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._client.retry import is_transient
    from wandb_artifacts._download.api import download_artifact, download_run, download_runs, download_sweep
    from wandb_artifacts._download.results import (
        ArtifactDownload,
        ArtifactProgress,
        DownloadedFile,
        Failure,
        HistoryFormat,
        IncompleteDownloadError,
        OnArtifactProgress,
        OnProgress,
        Progress,
        References,
        RunDownload,
        RunsDownload,
        SweepDownload,
    )
    from wandb_artifacts._download.verify import Verification, verify_download
    from wandb_artifacts._project_refs import ProjectRef

__all__ = [
    "AccessDeniedError",
    "ArtifactDownload",
    "ArtifactProgress",
    "ArtifactRef",
    "AuthenticationError",
    "DeadlineError",
    "DestinationError",
    "DownloadError",
    "DownloadedFile",
    "Failure",
    "HistoryFormat",
    "IncompleteDownloadError",
    "InvalidValueError",
    "NotFoundError",
    "OnArtifactProgress",
    "OnProgress",
    "Progress",
    "ProjectRef",
    "References",
    "RunDownload",
    "RunRef",
    "RunsDownload",
    "ServerAnswerError",
    "ServerUnavailableError",
    "SweepDownload",
    "SweepRef",
    "Verification",
    "WandbPluginError",
    "__version__",
    "app_url",
    "check_entity",
    "check_host",
    "check_id",
    "check_project",
    "download_artifact",
    "download_run",
    "download_runs",
    "download_sweep",
    "is_transient",
    "verify_download",
]

_LAZY = {
    "ArtifactRef": "wandb_artifacts._artifact_refs",
    "ProjectRef": "wandb_artifacts._project_refs",
    "is_transient": "wandb_artifacts._client.retry",
    **dict.fromkeys(
        ("download_artifact", "download_run", "download_runs", "download_sweep"), "wandb_artifacts._download.api"
    ),
    **dict.fromkeys(("Verification", "verify_download"), "wandb_artifacts._download.verify"),
    **dict.fromkeys(
        (
            "ArtifactDownload",
            "ArtifactProgress",
            "DownloadedFile",
            "Failure",
            "HistoryFormat",
            "IncompleteDownloadError",
            "OnArtifactProgress",
            "OnProgress",
            "Progress",
            "References",
            "RunDownload",
            "RunsDownload",
            "SweepDownload",
        ),
        "wandb_artifacts._download.results",
    ),
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    found: object = getattr(import_module(_LAZY[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return list(__all__)
