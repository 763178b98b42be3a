"""Traces that download artifacts.

Flyte replays them in a retry. So they return the version, whose use the retry records too.
"""

import flyte
from flyte.io import Dir
from wandb_artifacts import ArtifactRef, InvalidValueError
from wandb_artifacts.client import Client
from wandb_artifacts.flyte import download_artifact_to_dir

from wandb_runtime.tasks.shutdown import until_stopped


@flyte.trace
async def use_wandb_artifact(artifact: str, host: str, type: str) -> tuple[Dir, str]:  # noqa: A002
    """Download an artifact and store it.

    Args:
        artifact: The full reference of the artifact.
        host: The API base URL of the server; empty for the SDK's default.
        type: The type that it must have; empty for any.

    Returns:
        The files, and the full reference with the version.
    """
    version = await Client().resolve_artifact_async(_parsed(artifact, host))
    _check_type(version, type)
    return await download_artifact_to_dir.aio(version), str(version)


@flyte.trace
def use_wandb_artifact_sync(artifact: str, host: str, type: str) -> tuple[Dir, str]:  # noqa: A002
    """`use_wandb_artifact` for sync tasks."""

    def download() -> tuple[Dir, str]:
        version = Client().resolve_artifact(_parsed(artifact, host))
        _check_type(version, type)
        return download_artifact_to_dir(version), str(version)

    return until_stopped(download)


def _parsed(artifact: str, host: str) -> ArtifactRef:
    return ArtifactRef.parse(artifact, host=host or None)


def _check_type(version: ArtifactRef, expected: str) -> None:
    if expected and version.type != expected:
        reason = f"artifact {version} has the type {version.type!r}"
        raise InvalidValueError(field="type", value=expected, reason=reason)
