"""`Source`: a file at W&B that can be fetched, whatever it belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wandb_artifacts._client.http import error_for

if TYPE_CHECKING:
    from wandb_artifacts._client.api import Api
    from wandb_artifacts._client.artifacts import ArtifactApi, RemoteArtifact, RemoteEntry
    from wandb_artifacts._client.remote import RemoteFile
    from wandb_artifacts._destination.digests import Algorithm
    from wandb_artifacts._refs import RunRef


@dataclass(frozen=True)
class Source:
    """A file at W&B."""

    what: str
    """The file, to begin an error with."""
    url: str
    """May carry a signature: never shown."""
    size: int | None
    """Bytes; None if W&B does not report it."""
    digest: bytes | None
    """None if W&B does not report it."""
    renew: Callable[[], Awaitable[Source]] = field(compare=False, repr=False)
    """Fetches the current details with a new URL; to be used within an attempt that is retried as a whole."""
    algorithm: Algorithm = "md5"
    """The algorithm of the digest."""

    def is_same(self, other: Source) -> bool:
        """Return whether the contents are the same, as far as W&B reports."""
        return (self.size, self.digest) == (other.size, other.digest)

    @property
    def key(self) -> str:
        """Identifies the contents; empty if W&B does not report a digest."""
        return "" if self.digest is None else f"{self.size}-{self.digest.hex()}"


def file_of_run(api: Api, run: RunRef, file: RemoteFile) -> Source:
    """Return a file of a run."""

    async def renew() -> Source:
        return file_of_run(api, run, await api.file(run, file.name, retries=False))

    return Source(f"file {file.name!r} of run {run}", file.url, file.size, file.md5, renew)


def file_of_artifact(artifacts: ArtifactApi, artifact: RemoteArtifact, entry: RemoteEntry, url: str) -> Source:
    """Return a file of an artifact."""
    what = f"file {entry.name!r} of artifact {artifact.ref}"

    async def renew() -> Source:
        urls = await artifacts.urls(artifact, [entry.name], retries=False)
        if entry.name not in urls:
            raise error_for(404, what)
        return file_of_artifact(artifacts, artifact, entry, urls[entry.name])

    return Source(what, url, entry.size, entry.digest, renew, entry.algorithm)
