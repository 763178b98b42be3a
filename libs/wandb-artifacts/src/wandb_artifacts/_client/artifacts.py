"""`ArtifactApi`: what the responses of a W&B server say of artifacts and their files."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._client import artifact_queries as queries
from wandb_artifacts._client import artifact_responses as shapes
from wandb_artifacts._client.bodies import read_response
from wandb_artifacts._client.http import error_for
from wandb_artifacts._client.options import current_options
from wandb_artifacts._client.pages import Page, iterate_pages, to_page
from wandb_artifacts._client.responses import OfProject, PagedList, invalid, read
from wandb_artifacts._client.retry import TransientError
from wandb_artifacts._destination.digests import DIGEST_SIZE
from wandb_artifacts._errors import NotFoundError

if TYPE_CHECKING:
    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._client.api import Api
    from wandb_artifacts._destination.digests import Algorithm

T = TypeVar("T")

_COMMITTED = "COMMITTED"
_LARGEST_MANIFEST = 1024 * 1024 * 1024
"""Bytes: some millions of files."""
_SHOWN_ALIASES = 20
_ALGORITHM_KEY = "alg"
_ALGORITHMS: dict[object, Algorithm] = {"MD5": "md5", "XXH128": "xxh128"}


@dataclass(frozen=True)
class RemoteArtifact:
    """A committed version of an artifact at W&B."""

    ref: ArtifactRef
    """With the version in place of an alias, and the type."""
    id: str
    digest: str
    size: int | None
    file_count: int | None
    created_at: str | None
    manifest_url: str
    """May carry a signature: never shown."""
    is_member: bool = True
    """Whether it was found by name, rather than by its id alone."""


@dataclass(frozen=True)
class RemoteEntry:
    """A file of an artifact, as its manifest states it."""

    name: str
    stated_digest: str
    """The digest in base64, or for a reference any text."""
    size: int | None
    algorithm: Algorithm = "md5"
    reference: str | None = None
    """The URL of contents that W&B does not store. May contain credentials."""
    version_id: str | None = None
    """The version of the referenced object in its store."""

    @property
    def digest(self) -> bytes | None:
        """The digest; None if it is not one."""
        try:
            found = base64.b64decode(self.stated_digest, validate=True)
        except (binascii.Error, ValueError):
            return None
        return found if len(found) == DIGEST_SIZE else None


@dataclass(frozen=True)
class RemoteCollection:
    """An artifact of a project, with all its versions."""

    name: str
    type: str | None
    created_at: str | None
    updated_at: str | None


class ArtifactApi:
    """Requests about artifacts in a session with a W&B server. Raises the errors of `Api`."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._pages = current_options().pages

    async def artifact(self, ref: ArtifactRef) -> RemoteArtifact:
        """Fetch a version of an artifact.

        Raises:
            NotFoundError: It does not exist, was deleted, is not committed, or has another type than the reference.
        """
        what = f"artifact {ref}"
        variables = {**_of_project(ref), "name": f"{ref.name}:{ref.alias}"}
        project = await self._project(shapes.ProjectWithMembership, queries.ARTIFACT, what, variables)
        found = project.artifact_collection_membership
        if found is None or found.artifact is None:
            raise await self._missing(ref)
        version = ref.version if found.version_index is None else f"v{found.version_index}"
        at = replace(ref, alias=version or ref.alias)
        artifact = _remote_artifact(at, found.artifact, f"artifact {at}")
        if ref.type not in (None, artifact.ref.type):
            msg = f"{what}: it has the type {artifact.ref.type!r}, not {ref.type!r}; leave the type out, or correct it"
            raise NotFoundError(msg)
        return artifact

    async def referenced(self, hex_id: str, ref: ArtifactRef) -> RemoteArtifact:
        """Fetch an artifact that another one refers to.

        Args:
            hex_id: Its id, as in `wandb-artifact://` references.
            ref: The other artifact, for errors.
        """
        what = f"an artifact that artifact {ref} refers to"
        try:
            node_id = base64.b64encode(bytes.fromhex(hex_id)).decode()
        except ValueError:
            raise invalid(what, f"{hex_id[:40]!r} is not the id of an artifact") from None
        shape = shapes.OfArtifact[shapes.Artifact]
        found = await self._read(shape, queries.ARTIFACT_BY_ID, what, {"id": node_id})
        if found.artifact is None:
            raise error_for(404, what)
        return replace(_remote_artifact(ref, found.artifact, what), is_member=False)

    async def entries(self, artifact: RemoteArtifact) -> list[RemoteEntry]:
        """Fetch the manifest of an artifact."""
        what = f"the manifest of artifact {artifact.ref}"

        async def attempt() -> shapes.Manifest:
            async with self.api.get(artifact.manifest_url, what=what) as response:
                body = await read_response(response, what, limit=_LARGEST_MANIFEST)
            return await to_thread(_parse_manifest, body, what)

        manifest = await self.api.retry(attempt, what=what)
        return [_remote_entry(name, entry) for name, entry in manifest.contents.items()]

    async def urls(self, artifact: RemoteArtifact, names: Iterable[str], *, retries: bool = True) -> dict[str, str]:
        """Fetch URLs of files by their names; a file without one is missing from the result.

        Args:
            artifact: The artifact.
            names: At most as many as fit in a page, see `PageSizes.artifact_files`.
            retries: False within an attempt that is retried as a whole.
        """
        what = f"the files of artifact {artifact.ref}"
        wanted = list(names)
        fixed = {"fileNames": wanted, "perPage": len(wanted)}

        async def fetch(cursor: str | None) -> Page[shapes.FileUrl]:
            return to_page(await self._files(artifact, what, {**fixed, "cursor": cursor}, retries=retries), what)

        found: dict[str, str] = {}
        async for nodes in iterate_pages(fetch, what=what):
            found.update((node.name, node.direct_url) for node in nodes if node.direct_url)
        return found

    async def has_collection(self, ref: ArtifactRef) -> bool:
        """Return whether the project has an artifact of this name, whatever its versions."""
        return await self._aliases(ref) is not None

    async def collections(self, entity: str, project: str) -> list[RemoteCollection]:
        """Fetch the artifacts of a project."""
        what = f"the artifacts of {entity}/{project}"

        async def fetch(cursor: str | None) -> Page[shapes.Collection]:
            variables = {"entity": entity, "project": project, "cursor": cursor, "perPage": self._pages.names}
            found = await self._project(shapes.ProjectWithCollections, queries.COLLECTIONS, what, variables)
            return to_page(_present(found.artifact_collections, what), what)

        found: dict[str, RemoteCollection] = {}
        async for nodes in iterate_pages(fetch, what=what):
            found.update((node.name, _remote_collection(node)) for node in nodes)
        return list(found.values())

    async def _files(
        self, artifact: RemoteArtifact, what: str, variables: dict[str, object], *, retries: bool
    ) -> PagedList[shapes.FileUrl]:
        ref = artifact.ref
        if not artifact.is_member:
            by_id = shapes.OfArtifact[shapes.WithFiles]
            variables = {**variables, "id": artifact.id}
            found = await self._read(by_id, queries.FILE_URLS_BY_ID, what, variables, retries=retries)
            return _present(_present(found.artifact, what).files, what)
        shape = shapes.ProjectWithCollection[shapes.CollectionWithMembership]
        variables = {**variables, **_of_project(ref), "collection": ref.name, "alias": ref.alias}
        project = await self._project(shape, queries.FILE_URLS, what, variables, retries=retries)
        collection = _present(project.artifact_collection, what)
        return _present(_present(collection.artifact_membership, what).files, what)

    async def _missing(self, ref: ArtifactRef) -> NotFoundError:
        """Return the error for an artifact that does not exist, which states what exists."""
        aliases = await self._aliases(ref)
        if aliases is None:
            return _absent(f"artifact {ref}: not found at W&B")
        kind = "version" if ref.version else "alias or version"
        lacks = f"artifact {ref}: the artifact has no {kind} {ref.alias!r}"
        if not aliases:
            return _absent(f"{lacks}; all its versions were deleted, or none was uploaded completely")
        deleted = ", it may have been deleted" if ref.version else ""
        return _absent(f"{lacks}{deleted}; it has {', '.join(aliases[:_SHOWN_ALIASES])}")

    async def _aliases(self, ref: ArtifactRef) -> list[str] | None:
        """Return aliases of an artifact; None if the project has no artifact of this name."""
        variables = {**_of_project(ref), "collection": ref.name, "perPage": _SHOWN_ALIASES}
        shape = shapes.ProjectWithCollection[shapes.CollectionWithAliases]
        project = await self._project(shape, queries.ALIASES, f"artifact {ref}", variables)
        found = project.artifact_collection
        if found is None:
            return None
        return sorted({edge.node.alias for edge in found.aliases.edges}) if found.aliases else []

    async def _read(
        self, kind: type[T], document: str, what: str, variables: dict[str, Any], *, retries: bool = True
    ) -> T:
        return read(kind, await self.api.execute(document, variables, what=what, retries=retries), what)

    async def _project(
        self, kind: type[T], document: str, what: str, variables: dict[str, Any], *, retries: bool = True
    ) -> T:
        shape: type[OfProject[T]] = OfProject[kind]  # type: ignore[valid-type]
        return _present((await self._read(shape, document, what, variables, retries=retries)).project, what)


def _of_project(ref: ArtifactRef) -> dict[str, Any]:
    return {"entity": ref.entity, "project": ref.project}


def _present(found: T | None, what: str) -> T:
    if found is None:
        msg = f"{what}: not found at W&B"
        raise _absent(msg)
    return found


def _absent(text: str) -> NotFoundError:
    error = NotFoundError(text)
    error.is_absent = True
    error.status = 404
    return error


def _remote_artifact(ref: ArtifactRef, found: shapes.Artifact, what: str) -> RemoteArtifact:
    if found.state != _COMMITTED:
        reason = "was deleted at W&B" if "DELET" in found.state else "is not complete: its upload has not ended"
        msg = f"{what}: this version {reason} (state {found.state})"
        raise NotFoundError(msg)
    url = found.current_manifest and found.current_manifest.file and found.current_manifest.file.direct_url
    if not url:
        raise invalid(what, "it has no manifest")
    return RemoteArtifact(
        ref=replace(ref, type=found.artifact_type.name if found.artifact_type else ref.type),
        id=found.id,
        digest=found.digest,
        size=None if found.size is None else int(found.size),
        file_count=None if found.file_count is None else int(found.file_count),
        created_at=found.created_at,
        manifest_url=url,
    )


def _parse_manifest(body: bytes, what: str) -> shapes.Manifest:
    try:
        return msgspec.json.decode(body, type=shapes.Manifest)
    except msgspec.DecodeError:
        # Not valid for msgspec, or not of this shape; the standard library accepts halves of surrogate pairs.
        return _parse_lenient(body, what)


def _parse_lenient(body: bytes, what: str) -> shapes.Manifest:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        msg = "the received manifest is not JSON"
        raise TransientError(msg) from None
    return read(shapes.Manifest, document, what)


def _remote_entry(name: str, entry: shapes.Entry) -> RemoteEntry:
    extra = entry.extra or {}
    version = extra.get("versionID")
    return RemoteEntry(
        name=name,
        stated_digest=entry.digest,
        size=entry.size,
        algorithm=_ALGORITHMS.get(extra.get(_ALGORITHM_KEY), "md5"),
        reference=entry.ref,
        version_id=str(version) if isinstance(version, (str, int)) else None,
    )


def _remote_collection(found: shapes.Collection) -> RemoteCollection:
    kind = found.default_artifact_type.name if found.default_artifact_type else None
    return RemoteCollection(found.name, kind, found.created_at, found.updated_at)
