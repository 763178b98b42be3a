"""Downloads that a destination already holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from wandb_artifacts._artifact_refs import ArtifactRef
from wandb_artifacts._download import manifest as manifests
from wandb_artifacts._download.manifest import ArtifactManifest, ProjectManifest, RunManifest, SweepManifest
from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._project_refs import ProjectRef
from wandb_artifacts._refs import RunRef, SweepRef

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Target
    from wandb_artifacts._download.manifest import Manifest

AnyRef: TypeAlias = RunRef | SweepRef | ProjectRef | ArtifactRef

_KINDS: dict[type[Manifest], tuple[str, type[AnyRef]]] = {
    RunManifest: ("run", RunRef),
    SweepManifest: ("sweep", SweepRef),
    ProjectManifest: ("project", ProjectRef),
    ArtifactManifest: ("artifact", ArtifactRef),
}
_REPLACED = (RunManifest, ArtifactManifest)
"""Downloads that another one of the same kind may replace: it reports the files of the earlier one as stale."""


def check_holder(target: Target, ref: AnyRef) -> Manifest | None:
    """Return the manifest of a destination.

    Raises:
        InvalidValueError: It holds another download.
    """
    found = manifests.load(target)
    if found is None:
        return None
    holder, its_ref = _KINDS[type(found)]
    if isinstance(ref, its_ref) and (isinstance(found, _REPLACED) or found.url == ref.url):
        return found
    name = str(getattr(found, holder))
    shown = name if name != str(ref) else found.url
    wanted = next(kind for kind, of in _KINDS.values() if isinstance(ref, of))
    reason = f"holds {holder} {shown}, not {wanted} {ref}; pass another folder"
    if isinstance(found, ProjectManifest) and isinstance(ref, ProjectRef):
        reason += ". A renamed project counts as another one"
    raise InvalidValueError(field="destination", value=target.url, reason=reason)
