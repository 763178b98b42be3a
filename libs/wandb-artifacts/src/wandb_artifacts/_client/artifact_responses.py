"""The shapes of W&B's responses about artifacts, and of their manifests."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from msgspec import Meta, Struct

from wandb_artifacts._client.responses import Count, CountText, Name, Named, PagedList

C = TypeVar("C")


class _Shape(Struct, rename="camel", frozen=True):
    pass


class ManifestFile(_Shape, frozen=True):
    direct_url: str | None = None


class CurrentManifest(_Shape, frozen=True):
    file: ManifestFile | None = None


class Artifact(_Shape, frozen=True):
    id: Name
    state: str
    digest: str
    size: Count | CountText | None = None
    file_count: Count | CountText | None = None
    created_at: str | None = None
    artifact_type: Named | None = None
    current_manifest: CurrentManifest | None = None


class Membership(_Shape, frozen=True):
    version_index: Count | None = None
    artifact: Artifact | None = None


class ProjectWithMembership(_Shape, frozen=True):
    artifact_collection_membership: Membership | None = None


class OfArtifact(_Shape, Generic[C], frozen=True):
    """The data of a response about an artifact; null means that it does not exist."""

    artifact: C | None = None


class FileUrl(_Shape, frozen=True):
    name: str
    direct_url: str | None = None


class WithFiles(_Shape, frozen=True):
    files: PagedList[FileUrl] | None = None


class CollectionWithMembership(_Shape, frozen=True):
    artifact_membership: WithFiles | None = None


class Alias(_Shape, frozen=True):
    alias: str


class CollectionWithAliases(_Shape, frozen=True):
    name: str
    aliases: PagedList[Alias] | None = None


class ProjectWithCollection(_Shape, Generic[C], frozen=True):
    artifact_collection: C | None = None


class Collection(_Shape, frozen=True):
    name: Name
    created_at: str | None = None
    updated_at: str | None = None
    default_artifact_type: Named | None = None


class ProjectWithCollections(_Shape, frozen=True):
    artifact_collections: PagedList[Collection] | None = None


class Entry(_Shape, frozen=True):
    """A file of a manifest."""

    digest: str
    size: Annotated[int, Meta(ge=0)] | None = None
    ref: str | None = None
    extra: dict[str, Any] | None = None


class Manifest(_Shape, frozen=True):
    contents: dict[str, Entry]
