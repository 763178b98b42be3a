"""The download of one version of an artifact, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import for_each, run_all, to_thread
from wandb_artifacts._destination.safe_names import safe_paths
from wandb_artifacts._download import manifest as manifests
from wandb_artifacts._download.artifact_files import ArtifactFiles, Item, items_of
from wandb_artifacts._download.chunks import read_digests
from wandb_artifacts._download.holders import check_holder
from wandb_artifacts._download.manifest import MANIFEST, ArtifactEntry, ArtifactManifest
from wandb_artifacts._download.records import preserve
from wandb_artifacts._download.results import ArtifactDownload, DownloadedFile, IncompleteDownloadError
from wandb_artifacts._download.unchanged import are_there

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from wandb_artifacts._client.artifacts import ArtifactApi, RemoteArtifact
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.own_files import Work
    from wandb_artifacts._download.results import References

_READERS = 8
"""How many files of the destination are checked or read at once."""
_FILES_PER_CHECK = 32
"""How many files one thread checks in a row."""


@dataclass
class _Sorted:
    """The files of an artifact by what the destination has of them."""

    kept: list[ArtifactEntry]
    carried: list[ArtifactEntry]
    """Valid files that are there but were not requested."""
    missing: list[Item]
    doubtful: list[Item]
    """Files whose size fits, and which have to be read."""


class ArtifactJob:
    """The download of one version to one folder."""

    def __init__(
        self, work: Work, artifacts: ArtifactApi, artifact: RemoteArtifact, target: Target, references: References
    ) -> None:
        self._work = work
        self._artifacts = artifacts
        self._artifact = artifact
        self._target = target
        self._references = references
        self._before: ArtifactManifest | None = None
        self._sorted = _Sorted([], [], [], [])
        self._known: dict[str, ArtifactEntry] = {}

    async def __call__(self) -> ArtifactDownload:
        """Bring the folder up to date.

        Returns:
            The version as it is there now.

        Raises:
            IncompleteDownloadError: Files are missing.
            DownloadError: An error that affects all files, such as a rejected key.
        """
        self._before = await to_thread(self._prepare)
        if self._before and await self._is_unchanged(self._before):
            return await to_thread(self._result, self._before, (), ())
        entries = await self._artifacts.entries(self._artifact)
        paths = safe_paths([entry.name for entry in entries], reserved={MANIFEST})
        items = items_of(entries, paths)
        skipped = self._skipped(items)
        await self._sort([item for item in items if item.name not in skipped])
        preserved = await to_thread(self._preserve) if self._before is None else ()
        missing = self._sorted.missing
        if missing:
            await to_thread(manifests.mark_incomplete, self._target, self._before)
        self._report_kept()
        self._work.tracker.expect(len(missing), sum(item.entry.size or 0 for item in missing))
        files = ArtifactFiles(self._work, self._artifacts, self._artifact, self._target)
        await run_all(*files.work(missing, self._sorted.kept))
        return await to_thread(self._conclude, files, paths, sorted(skipped), preserved)

    def _prepare(self) -> ArtifactManifest | None:
        found = check_holder(self._target, self._artifact.ref)
        before = found if isinstance(found, ArtifactManifest) else None
        self._known = {entry.path: entry for entry in before.files} if before else {}
        return before

    async def _is_unchanged(self, before: ArtifactManifest) -> bool:
        """Return whether the destination has this whole version. If so, its files are sorted."""
        artifact = self._artifact
        is_same = (before.artifact, before.url, before.digest) == (str(artifact.ref), artifact.ref.url, artifact.digest)
        if not (is_same and before.is_whole and before.is_complete and self._references == "fetch"):
            return False
        intact = list[bool]()

        async def check(entries: list[ArtifactEntry]) -> None:
            intact.append(await to_thread(are_there, self._target, entries))

        files = list(before.files)
        batches = (files[at : at + _FILES_PER_CHECK] for at in range(0, len(files), _FILES_PER_CHECK))
        await for_each(batches, check, workers=_READERS)
        if not all(intact):
            return False
        wants = self._work.options.wants
        self._sorted.kept = [entry for entry in files if wants(entry.name)]
        self._report_kept()
        return True

    def _skipped(self, items: Iterable[Item]) -> set[str]:
        """Return the names of requested references that are not to be fetched."""
        if self._references == "fetch":
            return set()
        wants = self._work.options.wants
        return {item.name for item in items if item.entry.reference is not None and wants(item.name)}

    async def _sort(self, items: list[Item]) -> None:
        async def sort(some: list[Item]) -> None:
            await to_thread(self._sort_some, some)

        async def compare(item: Item) -> None:
            if not await self._is_there(item):
                self._sorted.missing.append(item)

        batches = (items[at : at + _FILES_PER_CHECK] for at in range(0, len(items), _FILES_PER_CHECK))
        await for_each(batches, sort, workers=_READERS)
        await for_each(list(self._sorted.doubtful), compare, workers=_READERS)

    def _sort_some(self, items: Collection[Item]) -> None:
        found, stats = self._sorted, self._target.stats(item.path for item in items)
        for item in items:
            known, is_wanted = self._known.get(item.path), self._work.options.wants(item.name)
            stat = stats.get(item.path)
            if known and stat and (known.stamp, known.origin) == (stat.stamp, item.origin):
                (found.kept if is_wanted else found.carried).append(known)
            elif is_wanted:
                is_doubtful = stat is not None and item.digest is not None and item.entry.size in (None, stat.size)
                (found.doubtful if is_doubtful else found.missing).append(item)

    async def _is_there(self, item: Item) -> bool:
        """Read a file of the destination, and record it if it equals W&B's."""
        stat = await to_thread(self._target.stat, item.path)
        try:
            size, digests = await read_digests(self._target.chunks(item.path), item.entry.algorithm)
        except FileNotFoundError:
            return False
        if stat is None or digests.digest != item.digest:
            return False
        self._sorted.kept.append(item.stored(size, digests.md5, stat))
        return True

    def _preserve(self) -> tuple[str, ...]:
        """Keep a copy of a `manifest.json` that no download has written."""
        copy = preserve(self._target, MANIFEST)
        return () if copy is None else (copy,)

    def _report_kept(self) -> None:
        kept = self._sorted.kept
        self._work.tracker.expect(len(kept), sum(entry.size for entry in kept))
        for entry in kept:
            self._work.tracker.follow(self._artifact.ref, entry.name, entry.size).end("kept", entry.size)

    def _conclude(
        self, files: ArtifactFiles, paths: Mapping[str, str], skipped: list[str], preserved: tuple[str, ...]
    ) -> ArtifactDownload:
        found = [*self._sorted.kept, *self._sorted.carried, *files.stored]
        manifest = ArtifactManifest(
            artifact=str(self._artifact.ref),
            url=self._artifact.ref.url,
            digest=self._artifact.digest,
            downloaded_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            is_complete=not files.failed,
            is_whole=len(found) == len(paths),
            files=_by_path(found),
        )
        manifest = replace(manifest, stale=self._stale(manifest, set(paths.values())))
        manifests.store(self._target, manifest)
        result = self._result(manifest, skipped, preserved, files)
        if result.failed:
            raise IncompleteDownloadError(result)
        return result

    def _result(
        self,
        manifest: ArtifactManifest,
        skipped: Iterable[str],
        preserved: tuple[str, ...],
        files: ArtifactFiles | None = None,
    ) -> ArtifactDownload:
        stored, failed = (files.stored, files.failed) if files else ([], [])
        new = {entry.path for entry in stored}
        entries = _by_path([*self._sorted.kept, *stored])
        return ArtifactDownload(
            artifact=self._artifact.ref,
            destination=self._target.url,
            digest=self._artifact.digest,
            files=tuple(_file(entry, is_new=entry.path in new) for entry in entries),
            skipped=tuple(skipped),
            unverified=tuple(sorted(entry.name for entry in entries if not entry.is_verified)),
            stale=manifest.stale,
            failed=tuple(sorted(failed, key=lambda failure: failure.name)),
            preserved=preserved,
        )

    def _stale(self, manifest: ArtifactManifest, listed: set[str]) -> tuple[str, ...]:
        """Return files of an earlier download that are still there, and not in this version."""
        if self._before is None:
            return ()
        before = {*(entry.path for entry in self._before.files), *self._before.stale}
        left = before - {entry.path for entry in manifest.files} - listed
        return tuple(sorted(self._target.stats(left)))


def _file(entry: ArtifactEntry, *, is_new: bool) -> DownloadedFile:
    return DownloadedFile(entry.name, entry.path, entry.size, entry.md5, "new" if is_new else "kept")


def _by_path(entries: Iterable[ArtifactEntry]) -> tuple[ArtifactEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.path))
