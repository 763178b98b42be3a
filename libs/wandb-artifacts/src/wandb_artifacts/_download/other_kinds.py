"""Errors for what W&B does not have, which state what it has under that name instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from wandb_artifacts._artifact_refs import ArtifactRef
from wandb_artifacts._client.artifacts import ArtifactApi
from wandb_artifacts._errors import NotFoundError, WandbPluginError
from wandb_artifacts._project_refs import ProjectRef
from wandb_artifacts._refs import ARTIFACT, RUN, SWEEP, RunRef, SweepRef

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from wandb_artifacts._client.api import Api

R = TypeVar("R")

Named: TypeAlias = RunRef | SweepRef | ArtifactRef
_KINDS: tuple[type[Named], ...] = (RunRef, SweepRef, ArtifactRef)
DOWNLOADS: Mapping[type[Named], str] = {RunRef: RUN, SweepRef: SWEEP, ArtifactRef: ARTIFACT}
"""Descriptions of the kinds, with the way to download them. `{}` stands for the reference."""
LISTED: Mapping[type[Named], str] = {
    RunRef: "a run; 'wandb-artifacts ls {}' lists its files",
    SweepRef: "a sweep; 'wandb-artifacts ls {}' lists its runs",
    ArtifactRef: "an artifact; 'wandb-artifacts ls {}' lists its files",
}

OPENED: Mapping[type[Named], str] = {
    RunRef: "a run; open wandb://{}",
    SweepRef: "a sweep; 'wandb-artifacts ls {}' lists its runs, open these",
    ArtifactRef: "an artifact; open wandb-artifact://{}",
}


async def existing(
    api: Api, ref: Named | ProjectRef, request: Awaitable[R], kinds: Mapping[type[Named], str] = DOWNLOADS
) -> R:
    """Return the result of a request.

    Args:
        api: The session.
        ref: What is requested.
        request: The request.
        kinds: What to advise for the other kinds.

    Raises:
        NotFoundError: W&B has no such thing.
    """
    try:
        return await request
    except NotFoundError as error:
        if not error.is_absent or (isinstance(ref, ArtifactRef) and await _find(api, ArtifactRef, ref)):
            # In the second case only the alias or version is missing.
            raise
        other = None if isinstance(ref, ProjectRef) else await find_other(api, ref)
        advice = "; check the reference, and that the API key has access to it"
        found = NotFoundError(f"{error}{advice if other is None else f'. It is {kinds[type(other)].format(other)}'}")
        found.status, found.is_absent = error.status, True
        raise found from None


async def find_other(api: Api, ref: Named) -> Named | None:
    """Return what W&B has of another kind under the name of a run, sweep or artifact; None if nothing."""
    for kind in _KINDS:
        if not isinstance(ref, kind) and (found := await _find(api, kind, ref)):
            return found
    return None


async def _find(api: Api, kind: type[Named], ref: Named) -> Named | None:
    """Return what W&B has of a kind under a name; None also if the name is invalid for it, or the request failed."""
    try:
        found = kind(ref.entity, ref.project, ref.name if isinstance(ref, ArtifactRef) else ref.id, host=ref.host)
        if isinstance(found, ArtifactRef):
            return found if await ArtifactApi(api).has_collection(found) else None
        await (api.sweep_state(found) if isinstance(found, SweepRef) else api.run(found))
    except WandbPluginError:
        return None
    return found
