"""The files of an artifact: contents that W&B stores, each fetched once, and references."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_artifacts._asyncio import for_each, for_each_arriving
from wandb_artifacts._client.options import current_options
from wandb_artifacts._download.chunks import store_chunks
from wandb_artifacts._download.linked import LINK, LinkedFiles
from wandb_artifacts._download.manifest import ArtifactEntry
from wandb_artifacts._download.own_files import FATAL, reason_of
from wandb_artifacts._download.references import Reference
from wandb_artifacts._download.results import Failure
from wandb_artifacts._download.sources import file_of_artifact
from wandb_artifacts._download.transfer import Transfer
from wandb_artifacts._errors import DownloadError

if TYPE_CHECKING:
    from wandb_artifacts._client.artifacts import ArtifactApi, RemoteArtifact, RemoteEntry
    from wandb_artifacts._destination.base import Stat, Target
    from wandb_artifacts._download.own_files import Work
    from wandb_artifacts._download.progress import Follower
    from wandb_artifacts._download.transfer import Arrived


@dataclass(frozen=True)
class Item:
    """A file of an artifact, and where it is to be stored."""

    entry: RemoteEntry
    path: str

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def digest(self) -> bytes | None:
        """The digest of the contents; None if the artifact does not state it."""
        return None if self.entry.reference is not None else self.entry.digest

    @property
    def origin(self) -> str:
        """The identity of the contents at W&B; of a reference a hash, because its URL may contain credentials."""
        entry = self.entry
        if entry.reference is None:
            return f"{entry.algorithm}:{entry.stated_digest}"
        text = json.dumps([entry.reference, entry.stated_digest, entry.size, entry.version_id])
        return f"reference:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"

    def stored(self, size: int, md5: bytes, stat: Stat, *, is_verified: bool = True) -> ArtifactEntry:
        """Return the entry of the manifest for the stored file."""
        return ArtifactEntry(
            self.name, self.path, size, md5.hex(), stat.stamp, origin=self.origin, is_verified=is_verified
        )


def items_of(entries: Iterable[RemoteEntry], paths: Mapping[str, str]) -> list[Item]:
    return [Item(entry, paths[entry.name]) for entry in entries]


@dataclass(frozen=True)
class Contents:
    """Contents that W&B stores, and the files that have them."""

    owner: RemoteArtifact
    entry: RemoteEntry
    """The file of the owner through which they are fetched."""
    items: list[Item]


class ArtifactFiles:
    """Fetches files of an artifact."""

    def __init__(self, work: Work, artifacts: ArtifactApi, artifact: RemoteArtifact, target: Target) -> None:
        self._work = work
        self._artifacts = artifacts
        self._artifact = artifact
        self._target = target
        self._page = current_options().pages.artifact_files
        self.stored: list[ArtifactEntry] = []
        self.failed: list[Failure] = []

    def work(self, missing: Iterable[Item], kept: Iterable[ArtifactEntry]) -> list[Coroutine[Any, Any, None]]:
        """Return the coroutines that fetch the missing files.

        Args:
            missing: The files to fetch.
            kept: Files that the destination has; missing ones with the same contents are copies of them.
        """
        plain, linked, references = list[Item](), list[Item](), list[Item]()
        for item in missing:
            url = item.entry.reference
            (plain if url is None else linked if url.startswith(LINK) else references).append(item)
        contents = [Contents(self._artifact, items[0].entry, items) for items in _by_contents(plain)]
        return [
            self._fetch_all(contents, {entry.origin: entry.path for entry in kept}),
            for_each(references, lambda item: self._refer(item, item.entry), workers=self._work.options.jobs),
            self._follow_links(linked),
        ]

    async def _fetch_all(self, contents: Iterable[Contents], known: Mapping[str, str]) -> None:
        jobs, absent, present = self._work.options.jobs, list[Contents](), list[tuple[str, Contents]]()
        for each in contents:
            path = known.get(each.items[0].origin)
            if path is None:
                absent.append(each)
            else:
                present.append((path, each))
        await for_each(present, lambda found: self._copy(found[0], found[1].entry, found[1].items), workers=jobs)
        await for_each_arriving(self._with_urls(absent), lambda found: self._fetch(*found), workers=jobs)

    async def _with_urls(self, contents: list[Contents]) -> AsyncGenerator[tuple[Contents, str], None]:
        """Yield contents with their URLs, which are requested by pages as the workers proceed, because they expire."""
        for at in range(0, len(contents), self._page):
            page = contents[at : at + self._page]
            try:
                urls = await self._artifacts.urls(page[0].owner, [each.entry.name for each in page])
            except FATAL:
                raise
            except DownloadError as error:
                for each in page:
                    self._fail(each.items, str(error))
                continue
            for each in page:
                if url := urls.get(each.entry.name):
                    yield each, url
                else:
                    self._fail(each.items, "W&B returned no URL for it")

    async def _fetch(self, contents: Contents, url: str) -> None:
        item, entry = contents.items[0], contents.entry
        source = file_of_artifact(self._artifacts, contents.owner, entry, url)
        follower = self._follow(item, entry)
        try:
            arrived = await Transfer(self._work.api, source, self._target, item.path, follower.received_bytes)()
        except FATAL:
            raise
        except DownloadError as error:
            follower.end("failed")
            self._fail(contents.items, reason_of(error, source.what))
            return
        self._add(item, arrived, follower, is_verified=(entry.digest, entry.size) != (None, None))
        await self._copy(item.path, entry, contents.items[1:])

    async def _copy(self, path: str, entry: RemoteEntry, items: Iterable[Item]) -> None:
        """Copy a file of the destination to the other files with the same contents."""

        def check(_: int, digest: bytes) -> None:
            if entry.digest not in (None, digest):
                msg = f"{path} has changed during the download"
                raise DownloadError(msg)

        for item in items:
            follower = self._follow(item, entry)
            try:
                arrived = await store_chunks(
                    self._target.chunks(path), self._target, item.path, algorithm=entry.algorithm, check=check
                )
            except FATAL:
                raise
            except (DownloadError, FileNotFoundError) as error:
                follower.end("failed")
                self._fail([item], f"cannot be copied from {path}: {error}")
            else:
                self._add(item, arrived, follower)

    async def _refer(self, item: Item, entry: RemoteEntry) -> None:
        what = f"file {item.name!r} of artifact {self._artifact.ref}"
        reference, follower = Reference(self._work.api, entry, what), self._follow(item, entry)
        try:
            arrived = await reference.fetch(self._target, item.path, follower.received_bytes)
        except FATAL:
            raise
        except DownloadError as error:
            follower.end("failed")
            self._fail([item], reason_of(error, what))
        else:
            self._add(item, arrived, follower, is_verified=reference.is_verified)

    async def _follow_links(self, items: list[Item]) -> None:
        """Fetch files that are references to files of other artifacts."""
        found = await LinkedFiles(self._artifacts, self._artifact.ref)([(item.name, item.entry) for item in items])
        by_name = {item.name: item for item in items}
        for failure in found.failed:
            self._fail([by_name[failure.name]], failure.reason)
        for owner, entries in found.stored:
            contents = [Contents(owner, entry, [by_name[name]]) for name, entry in entries]
            await self._fetch_all(contents, {})
        for name, entry in found.references:
            await self._refer(by_name[name], entry)

    def _follow(self, item: Item, entry: RemoteEntry) -> Follower:
        return self._work.tracker.follow(self._artifact.ref, item.name, entry.size)

    def _add(self, item: Item, arrived: Arrived, follower: Follower, *, is_verified: bool = True) -> None:
        self.stored.append(item.stored(arrived.size, arrived.md5, arrived.stat, is_verified=is_verified))
        follower.end("done", arrived.size)

    def _fail(self, items: Iterable[Item], reason: str) -> None:
        self.failed += [Failure(item.name, reason) for item in items]


def _by_contents(items: Iterable[Item]) -> list[list[Item]]:
    """Group files that have the same contents; a file without a digest is alone."""
    groups: dict[object, list[Item]] = {}
    for item in items:
        key = item.name if item.digest is None else (item.entry.algorithm, item.digest, item.entry.size)
        groups.setdefault(key, []).append(item)
    return list(groups.values())
