"""The fsspec filesystem for files of W&B artifacts: `wandb-artifact://entity/project/name:alias/path`.

Installing this package registers it with fsspec: `pandas.read_csv("wandb-artifact://...")` works without an import of
this module.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wandb_artifacts._artifact_refs import LATEST, ArtifactRef
from wandb_artifacts._client.artifacts import ArtifactApi, RemoteArtifact, RemoteEntry
from wandb_artifacts._client.remote import RemoteFile
from wandb_artifacts._destination.url import DestinationUrl
from wandb_artifacts._download.linked import LINK, LinkedFiles
from wandb_artifacts._download.other_kinds import OPENED, existing
from wandb_artifacts._download.sources import file_of_artifact
from wandb_artifacts._filesystem.listing import Listing, decode_part
from wandb_artifacts._project_refs import ProjectRef
from wandb_artifacts.filesystem import WandbFileSystem

if TYPE_CHECKING:
    from wandb_artifacts._client.api import Api
    from wandb_artifacts._destination.digests import Algorithm
    from wandb_artifacts._download.sources import Source
    from wandb_artifacts._filesystem.listing import Owner, PathParts

__all__ = ["WandbArtifactFileSystem"]


@dataclass(frozen=True)
class _ArtifactFile(RemoteFile):
    """A file of an artifact. Its URL is requested when it is read."""

    artifact: RemoteArtifact = field(kw_only=True)
    entry: RemoteEntry = field(kw_only=True)

    @property
    def digest(self) -> bytes | None:
        return self.entry.digest

    @property
    def algorithm(self) -> Algorithm:
        return self.entry.algorithm


class WandbArtifactFileSystem(WandbFileSystem):
    """The files of versions of artifacts, read-only.

    Paths are `entity/project/name:alias/path`; the alias may be a version, such as `v3`, and defaults to `latest`.
    Whole files are verified by the digest of the artifact's manifest. `ls` of a project lists its artifacts. Files that
    W&B does not store are listed; open the URLs that they refer to. Options are those of `WandbFileSystem`.
    """

    protocol = "wandb-artifact"

    @property
    def fsid(self) -> str:
        """An identifier that is equal for instances of the same server."""
        return f"wandb-artifact+{self.host}" if self.host else "wandb-artifact"

    async def _fetch_listing(self, api: Api, parts: PathParts) -> Listing:
        name, colon, alias = decode_part(parts.run).partition(":")
        ref = ArtifactRef(parts.entity, decode_part(parts.project), name, alias if colon else LATEST, self.host)
        artifacts = ArtifactApi(api)
        artifact = await existing(api, ref, artifacts.artifact(ref), OPENED)
        files = [_file(artifact, entry) for entry in await artifacts.entries(artifact)]
        return Listing(artifact.ref, parts.run_path, files)

    async def _names(self, api: Api, parts: PathParts, limit: int | None = None) -> list[str]:
        if not parts.project:
            return await super()._names(api, parts, limit)
        ref = ProjectRef(parts.entity, decode_part(parts.project), self.host)
        found = await existing(api, ref, ArtifactApi(api).collections(ref.entity, ref.project))
        return [each.name for each in found][:limit]

    async def _source(self, api: Api, ref: Owner, file: RemoteFile) -> Source:
        assert isinstance(ref, ArtifactRef)
        assert isinstance(file, _ArtifactFile)
        artifacts, artifact, entry = ArtifactApi(api), file.artifact, file.entry
        if entry.reference is not None and entry.reference.startswith(LINK):
            found = await LinkedFiles(artifacts, ref)([(entry.name, entry)])
            for owner, entries in found.stored:
                artifact, entry = owner, next((linked for _, linked in entries), entry)
        if entry.reference is not None:
            shown = DestinationUrl(entry.reference, {}).shown
            raise OSError(errno.EOPNOTSUPP, f"is a reference to {shown}; open that URL", entry.name)
        urls = await artifacts.urls(artifact, [entry.name])
        return file_of_artifact(artifacts, artifact, entry, urls.get(entry.name, ""))


def _file(artifact: RemoteArtifact, entry: RemoteEntry) -> _ArtifactFile:
    md5 = entry.digest if entry.algorithm == "md5" and entry.reference is None else None
    return _ArtifactFile(entry.name, entry.size, md5, "", artifact.created_at, artifact=artifact, entry=entry)
