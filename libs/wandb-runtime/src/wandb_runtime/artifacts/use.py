"""Artifacts as inputs of a run, for users. Imported on first use, because `flyte.io` takes long to import."""

from __future__ import annotations

import asyncio
import functools
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wandb_artifacts import ArtifactRef
from wandb_artifacts.client import Client, Connection, use_connection
from wandb_artifacts.flyte import download_artifact_to_folder

from wandb_runtime._errors import ArtifactError, NoRunError
from wandb_runtime.artifacts import traces
from wandb_runtime.artifacts.errors import explain
from wandb_runtime.config import validators
from wandb_runtime.lifecycle.current import current_run, get_wandb_run
from wandb_runtime.lifecycle.defaults import ReferenceDefaults
from wandb_runtime.server.references import parse_reference
from wandb_runtime.tasks.action import current_task
from wandb_runtime.tasks.threads import to_thread, until_cancelled

if TYPE_CHECKING:
    import os

    from flyte.io import Dir
    from wandb import Run

_logger = logging.getLogger("wandb_runtime")

_BLOCKED_LOOP = (
    "use_wandb_artifact(...) blocks the event loop of an async task; write `await use_wandb_artifact.aio(...)`"
)


@dataclass(frozen=True)
class _Source:
    """An artifact on W&B, and how its server is reached."""

    ref: ArtifactRef
    connection: Connection
    type: str = ""
    """The type that the user expects; empty for any."""

    @classmethod
    def find(cls, artifact: ArtifactRef | str, type_: str | None = None) -> _Source:
        """Find what a user names. May request the default entity of the API key. Blocks."""
        expected = "" if type_ is None else validators.string("type", type_)
        defaults = ReferenceDefaults.of(current_run())
        connection = defaults.connection
        if isinstance(artifact, ArtifactRef):
            ref = artifact if artifact.host else replace(artifact, host=connection.host)
        else:
            ref = parse_reference(ArtifactRef, "artifact", artifact, defaults.projects, connection)
        if ref.host != connection.host:
            connection = Connection(host=ref.host)
        return cls(ref, connection, expected)


class _UseWandbArtifact:
    def __init__(self) -> None:
        functools.update_wrapper(self, self.aio)
        self.__name__ = self.__qualname__ = "use_wandb_artifact"

    def __call__(self, artifact: ArtifactRef | str, *, type: str | None = None) -> Dir:  # noqa: A002
        """Call `aio`, and block until it has returned."""
        if current_task() is not None and _is_on_loop():
            raise RuntimeError(_BLOCKED_LOOP)
        source = _Source.find(artifact, type)
        with use_connection(source.connection):
            folder, version = traces.use_wandb_artifact_sync(str(source.ref), source.ref.host or "", source.type)
        _record_use(source, version)
        return folder

    async def aio(self, artifact: ArtifactRef | str, *, type: str | None = None) -> Dir:  # noqa: A002
        """Download an artifact in a trace of the current task, and record it as an input of the current run.

        `use_wandb_artifact(...)` blocks, for sync tasks; `await use_wandb_artifact.aio(...)` does not.

        ```python
        @wandb_init
        @env.task
        async def train() -> None:
            dataset = await use_wandb_artifact.aio("digits:latest", type="dataset")
            folder = await dataset.download()
        ```

        Every file is verified by its digest; objects that the artifact refers to are downloaded too, and verified by
        their checksum. A retry of the task gets the output of the trace, so the same version without another download,
        also if the alias has moved meanwhile. Each attempt records the use. Without a run, or with an offline one, the
        artifact is only downloaded.

        The body of a cached task does not run on a cache hit, so the use is not recorded for the run of the new
        execution: use the artifact in the task that calls the cached one, and pass the directory.

        Args:
            artifact: The artifact: an `ArtifactRef`, `entity/project/name:alias`, `name:v3`, or the URL of its page.
                The default alias is `latest`; project and entity are those of the current run, then those of the
                configuration, then `WANDB_PROJECT` and `WANDB_ENTITY`.
            type: The type that the artifact must have.

        Returns:
            The directory with the files of the artifact and nothing else.

        Raises:
            InvalidValueError: The reference is invalid, or the artifact has another type.
            DownloadError: W&B has no such artifact, or something is missing.
            ArtifactError: W&B has not recorded the use.
        """
        source = await to_thread(lambda: _Source.find(artifact, type))
        # In the context rather than among the inputs of the trace, which Flyte shows: headers may be secret.
        with use_connection(source.connection):
            folder, version = await traces.use_wandb_artifact(str(source.ref), source.ref.host or "", source.type)
        await until_cancelled(lambda: _record_use(source, version))
        return folder


use_wandb_artifact = _UseWandbArtifact()


def download_wandb_artifact_dir(artifact: ArtifactRef | str, path: str | os.PathLike[str] | None = None) -> str:
    """Download an artifact to a folder, and record it as an input of the current run, if there is one.

    Every file is verified. Complete files are not downloaded again, so a second call continues an interrupted one.

    It blocks. In an async task use `await asyncio.to_thread(download_wandb_artifact_dir, artifact)`, which does not
    block the event loop.

    Args:
        artifact: The artifact; see `use_wandb_artifact`.
        path: The folder of the artifact, or an fsspec URL; `/tmp/wandb_artifacts/{entity}/{project}/{name}/{version}`
            by default, where `/tmp` is the folder for temporary files.

    Returns:
        The folder.

    Raises:
        InvalidValueError: The reference is invalid.
        DownloadError: W&B has no such artifact, or something is missing; `IncompleteDownloadError` says what.
        ArtifactError: W&B has not recorded the use.
    """
    source = _Source.find(artifact)
    with use_connection(source.connection):
        version = Client(source.connection).resolve_artifact(source.ref)
        folder = download_artifact_to_folder(version, path).destination
    _record_use(source, str(version))
    return folder


def _record_use(source: _Source, version: str) -> None:
    """Record the use of a version by the current run. Blocks."""
    run = _recording_run(source, version)
    if run is None:
        return
    try:
        run.use_artifact(version)
    except Exception as error:  # noqa: BLE001 - the SDK's errors have no common base
        reason = explain(error, run)
        msg = f"The use of W&B artifact {version!r} by run {run.id!r} was not recorded: {reason}"
        raise ArtifactError(msg) from None


def _recording_run(source: _Source, version: str) -> Run | None:
    """Return the run that can record the use of an artifact; warns if the current one cannot."""
    try:
        run = get_wandb_run(required=True)
    except NoRunError:
        return None
    if run.disabled:
        return None
    reason = None
    if run.offline:
        reason = "it is offline"
    elif run.settings.base_url.rstrip("/") != (source.ref.host or "").rstrip("/"):
        reason = "the artifact is on another server"
    if reason is not None:
        _logger.warning("The use of W&B artifact %s by run %s is not recorded: %s", version, run.id, reason)
        return None
    return run


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
