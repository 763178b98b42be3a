"""`wandb-artifacts ls` for artifacts: those of a project, and the files of one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wandb_artifacts._cli import output
from wandb_artifacts._cli.messages import Exit
from wandb_artifacts._cli.output import put, put_json
from wandb_artifacts._cli.signals import run
from wandb_artifacts._client.api import Api
from wandb_artifacts._client.artifacts import ArtifactApi, RemoteArtifact, RemoteCollection, RemoteEntry
from wandb_artifacts._destination.url import DestinationUrl
from wandb_artifacts._download.other_kinds import LISTED, existing
from wandb_artifacts._refs import DEFAULT_HOST

if TYPE_CHECKING:
    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._project_refs import ProjectRef

_JOBS = 2


def list_collections(ref: ProjectRef, *, as_json: bool) -> int:
    """List the artifacts of a project."""
    found = run(lambda: _collections(ref))
    if as_json:
        artifacts = [_collection_values(each) for each in found]
        put_json({"entity": ref.entity, "project": ref.project, "artifacts": artifacts})
    else:
        rows = [(output.printable(each.type or "-"), output.time(each.updated_at), each.name) for each in found]
        put(output.table(("TYPE", "UPDATED (UTC)", "ARTIFACT"), rows))
    return Exit.COMPLETE


def list_artifact(ref: ArtifactRef, *, as_json: bool) -> int:
    """List the files of a version of an artifact."""
    artifact, entries = run(lambda: _artifact(ref))
    if as_json:
        put_json({**_artifact_values(artifact), "files": [_entry_values(entry) for entry in entries]})
        return Exit.COMPLETE
    rows = [
        ("-" if entry.size is None else output.size(entry.size), output.printable(entry.name), _shown_url(entry) or "")
        for entry in entries
    ]
    put(output.table(("SIZE", "NAME", "REFERENCE"), rows, right=frozenset({0})))
    return Exit.COMPLETE


async def _collections(ref: ProjectRef) -> list[RemoteCollection]:
    async with await Api.open(ref.host, jobs=_JOBS) as api:
        found = await existing(api, ref, ArtifactApi(api).collections(ref.entity, ref.project))
        return sorted(found, key=lambda each: each.name)


async def _artifact(ref: ArtifactRef) -> tuple[RemoteArtifact, list[RemoteEntry]]:
    async with await Api.open(ref.host, jobs=_JOBS) as api:
        artifacts = ArtifactApi(api)
        at = replace(ref, host=None if api.host == DEFAULT_HOST else api.host)
        found = await existing(api, at, artifacts.artifact(at), LISTED)
        return found, sorted(await artifacts.entries(found), key=lambda entry: entry.name)


def _collection_values(found: RemoteCollection) -> dict[str, Any]:
    return {"name": found.name, "type": found.type, "created_at": found.created_at, "updated_at": found.updated_at}


def _artifact_values(found: RemoteArtifact) -> dict[str, Any]:
    ref = found.ref
    return {
        "artifact": {"entity": ref.entity, "project": ref.project, "name": ref.name, "version": ref.alias},
        "type": ref.type,
        "digest": found.digest,
        "size": found.size,
        "created_at": found.created_at,
    }


def _entry_values(entry: RemoteEntry) -> dict[str, Any]:
    digest = None if entry.digest is None else entry.digest.hex()
    is_stored = entry.reference is None
    stated = {"digest": digest, "algorithm": entry.algorithm} if is_stored else {"reference": _shown_url(entry)}
    return {"name": entry.name, "size": entry.size, **stated}


def _shown_url(entry: RemoteEntry) -> str | None:
    """Return the URL of a reference without parts that may be secret."""
    return None if entry.reference is None else output.printable(DestinationUrl(entry.reference, {}).shown)
