"""The upload of an artifact by the SDK, within bounds of disk and time."""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import wandb
from wandb_artifacts import ArtifactRef

from wandb_runtime._errors import ArtifactError
from wandb_runtime.artifacts.contents import (
    EMPTY,
    LocalContents,
    ReferenceContents,
    RemoteContents,
    batches,
    invalid_data,
    redacted,
    shown,
)
from wandb_runtime.artifacts.errors import explain
from wandb_runtime.lifecycle.sent_artifacts import forget_stored, keep_contents
from wandb_runtime.server import sdk_private
from wandb_runtime.tasks.threads import to_thread, until_cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wandb import Artifact, Run

    from wandb_runtime.artifacts.contents import Contents, RemoteFile
    from wandb_runtime.artifacts.fields import ArtifactFields

T = TypeVar("T")

_MOST_STAGED = 1024**3
"""Bytes of a store that are on the disk at once."""
_DOWNLOADS = 16
_UNKNOWN_ENTITY = "unknown"


async def upload(run: Run, fields: ArtifactFields, contents: Contents) -> ArtifactRef:
    """Upload an artifact, and wait until W&B has committed it.

    Raises:
        InvalidValueError: The contents cannot be read.
        ArtifactError: W&B has not stored it.
    """
    sender = _Sender(run, fields)
    if isinstance(contents, RemoteContents):
        return await sender.send_remote(contents)
    if isinstance(contents, LocalContents):
        return await sender.send_local(contents.path)
    return await sender.send_reference(contents)


@dataclass(frozen=True)
class _Sender:
    run: Run
    fields: ArtifactFields

    async def send_local(self, path: Path) -> ArtifactRef:
        artifact = self._new()
        # An offline run needs the contents until they are synchronized, when the user's files may be gone. A cache of
        # the SDK would be a further copy.
        policy: Literal["mutable", "immutable"] = "mutable" if self.run.offline else "immutable"

        def add() -> None:
            add_path = artifact.add_dir if path.is_dir() else artifact.add_file
            add_path(str(path), policy=policy, skip_cache=True)

        await to_thread(add)
        if not artifact.manifest.entries:
            raise invalid_data(str(path), EMPTY)
        return await self._log(artifact)

    async def send_reference(self, contents: ReferenceContents) -> ArtifactRef:
        artifact = self._new()
        try:
            await until_cancelled(lambda: artifact.add_reference(contents.url))
        except Exception as error:  # noqa: BLE001 - drivers' exceptions have no common base
            reason = f"W&B cannot refer to it: {type(error).__name__}: {redacted(contents.url, error)}"
            raise invalid_data(shown(contents.url), reason) from None
        if not artifact.manifest.entries:
            raise invalid_data(shown(contents.url), "has no objects; check the URL")
        return await self._log(artifact)

    async def send_remote(self, contents: RemoteContents) -> ArtifactRef:
        files = await contents.files()
        # An offline run has to hold everything anyway.
        parts = [files] if self.run.offline or self.run.disabled else list(batches(files, _MOST_STAGED))
        if len(parts) > 1:
            return await self._send_parts(contents, parts)
        return await self._log(await self._staged(contents, files))

    async def _send_parts(self, contents: RemoteContents, parts: Sequence[Sequence[RemoteFile]]) -> ArtifactRef:
        """Send the files in parts of one version: what W&B offers to jobs that fill an artifact together."""
        distributed_id = uuid.uuid4().hex
        whole = self._new()
        for part in parts[:-1]:
            staged = await self._staged(contents, part)
            _add_entries(whole, staged)
            await self._deliver(
                partial(self.run.upsert_artifact, staged, aliases=self._aliases, distributed_id=distributed_id)
            )
        last = await self._staged(contents, parts[-1])
        _add_entries(whole, last)
        if (equal := await self._equal_version(whole)) is not None:
            # W&B compares the contents of artifacts that are sent as a whole only.
            _remove_staged(last)
            return await self._log(equal)
        sent = await self._deliver(
            partial(self.run.finish_artifact, last, aliases=self._aliases, distributed_id=distributed_id)
        )
        if self.fields.tags:
            sent.tags = list(self.fields.tags)
            await self._guarded(sent.save)
        return self._ref(sent)

    async def _equal_version(self, whole: Artifact) -> Artifact | None:
        """Return a draft of the latest version if it has the same contents."""

        def find() -> Artifact | None:
            name = f"{self.run.entity}/{self.run.project}/{self.fields.name}:latest"
            try:
                latest = sdk_private.public_api(self.run).artifact(name)
            except wandb.errors.CommError:
                return None
            return latest.new_draft() if latest.digest == whole.digest else None

        return await until_cancelled(find)

    def _new(self) -> Artifact:
        fields = self.fields
        return wandb.Artifact(fields.name, fields.type, fields.description, dict(fields.metadata))

    @property
    def _aliases(self) -> list[str] | None:
        return list(self.fields.aliases) or None

    async def _staged(self, contents: RemoteContents, files: Sequence[RemoteFile]) -> Artifact:
        """Return an artifact with files of a store, which the SDK deletes when it has sent them."""
        artifact = self._new()
        at_once = asyncio.Semaphore(_DOWNLOADS)

        async def stage(file: RemoteFile) -> None:
            async with at_once:
                path = await to_thread(_new_staging_file)
                try:
                    await file.file.download(path)
                    await to_thread(lambda: artifact.add_file(path, file.name, policy="immutable", skip_cache=True))
                except BaseException:
                    _remove(path)
                    raise

        downloads = [asyncio.ensure_future(stage(file)) for file in files]
        try:
            await asyncio.gather(*downloads)
        except BaseException as error:
            for download in downloads:
                download.cancel()
            await asyncio.gather(*downloads, return_exceptions=True)
            _remove_staged(artifact)
            if not isinstance(error, Exception):
                raise
            reason = f"cannot be downloaded ({type(error).__name__}: {redacted(contents.data.path, error)})"
            raise invalid_data(shown(contents.data.path), reason) from None
        return artifact

    async def _log(self, artifact: Artifact) -> ArtifactRef:
        tags = list(self.fields.tags) or None
        send = partial(self.run.log_artifact, artifact, aliases=self._aliases, tags=tags)
        return self._ref(await self._deliver(send))

    async def _deliver(self, send: Callable[[], Artifact]) -> Artifact:
        """Send an artifact, and wait until W&B has it. An offline run stores it for `wandb sync`."""
        artifact = await self._guarded(send)
        if not (self.run.offline or self.run.disabled):
            limit = math.ceil(self.run.settings.finish_timeout) or None
            try:
                await self._guarded(lambda: artifact.wait(timeout=limit))
            except ArtifactError:
                await to_thread(lambda: keep_contents(self.run))
                raise
            await to_thread(lambda: forget_stored(self.run))
        return artifact

    async def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return await until_cancelled(call)
        except (wandb.Error, ValueError, TypeError, OSError) as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> ArtifactError:
        where = "/".join(filter(None, (self.run.entity, self.run.project, self.fields.name)))
        if isinstance(error.__cause__, TimeoutError):
            seconds = self.run.settings.finish_timeout
            reason = (
                f"W&B has not committed it within {seconds:g} s. The upload continues, and if it fails, the artifact "
                "is stored with the run; wandb_config(finish_timeout=seconds) sets the limit"
            )
        else:
            reason = explain(error, self.run)
        msg = f"W&B artifact {where!r} of run {self.run.id!r} was not logged: {reason}"
        return ArtifactError(msg)

    def _ref(self, artifact: Artifact) -> ArtifactRef:
        run, fields = self.run, self.fields
        host = run.settings.base_url
        if run.offline or run.disabled:
            entity = run.entity or _UNKNOWN_ENTITY
            return ArtifactRef(entity, run.project or "uncategorized", fields.name, host=host, type=fields.type)
        return ArtifactRef(
            artifact.source_entity, artifact.source_project, fields.name, artifact.source_version, host, fields.type
        )


def _add_entries(whole: Artifact, part: Artifact) -> None:
    for entry in part.manifest.entries.values():
        whole.manifest.add_entry(entry)


def _new_staging_file() -> str:
    descriptor, path = tempfile.mkstemp(dir=sdk_private.staging_directory())
    os.close(descriptor)
    return path


def _remove_staged(artifact: Artifact) -> None:
    for entry in artifact.manifest.entries.values():
        if entry.local_path:
            _remove(entry.local_path)


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)
