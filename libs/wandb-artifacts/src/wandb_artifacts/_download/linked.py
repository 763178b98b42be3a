"""References of an artifact to files of other artifacts: `wandb-artifact://` with the id of the artifact."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wandb_artifacts._download.own_files import FATAL
from wandb_artifacts._download.results import Failure
from wandb_artifacts._errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._client.artifacts import ArtifactApi, RemoteArtifact, RemoteEntry

LINK = "wandb-artifact://"
"""The scheme of such references."""


@dataclass
class Found:
    """The files behind links, each with the name of its link."""

    stored: list[tuple[RemoteArtifact, list[tuple[str, RemoteEntry]]]] = field(default_factory=list)
    """Files that W&B stores, by the artifact that has them."""
    references: list[tuple[str, RemoteEntry]] = field(default_factory=list)
    """Files that are references themselves."""
    failed: list[Failure] = field(default_factory=list)


class LinkedFiles:
    """Finds the files behind links of an artifact.

    Args:
        artifacts: The session.
        ref: The artifact that has the links.
    """

    def __init__(self, artifacts: ArtifactApi, ref: ArtifactRef) -> None:
        self._artifacts = artifacts
        self._ref = ref

    async def __call__(self, links: Iterable[tuple[str, RemoteEntry]]) -> Found:
        found, by_artifact = Found(), dict[str, list[tuple[str, str]]]()
        for name, entry in links:
            # Not parsed as a URL: names of files may contain '?' and '#'.
            hex_id, _, path = (entry.reference or "").removeprefix(LINK).partition("/")
            by_artifact.setdefault(hex_id, []).append((name, path))
        for hex_id, names in by_artifact.items():
            await self._find(hex_id, names, found)
        return found

    async def _find(self, hex_id: str, names: list[tuple[str, str]], found: Found) -> None:
        try:
            artifact = await self._artifacts.referenced(hex_id, self._ref)
            entries = {entry.name: entry for entry in await self._artifacts.entries(artifact)}
        except FATAL:
            raise
        except DownloadError as error:
            found.failed += [Failure(name, str(error)) for name, _ in names]
            return
        stored = []
        for name, path in names:
            entry = entries.get(path)
            if entry is None:
                found.failed.append(Failure(name, f"the artifact that it refers to has no file {path!r}"))
            elif entry.reference is None:
                stored.append((name, entry))
            else:
                found.references.append((name, entry))
        found.stored.append((artifact, stored))
