"""Options of a download, validated before any work starts."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, get_args
from urllib.parse import unquote

from wandb_artifacts._artifact_refs import ArtifactRef, SdkArtifact
from wandb_artifacts._download.results import HistoryFormat, OnProgress, References
from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._project_refs import ProjectRef
from wandb_artifacts._refs import DEFAULT_HOST, RunRef, SdkObject, SweepRef

Ref = TypeVar("Ref", RunRef, SweepRef)

DEFAULT_JOBS = 16
_MOST_JOBS = 128


@dataclass(frozen=True)
class Options:
    include_history: bool
    history_format: HistoryFormat
    jobs: int
    deadline: float | None
    progress: OnProgress | None
    wants: Callable[[str], bool]
    """Returns whether a file of the run was requested, by its name at W&B."""


def make_options(
    *,
    include_history: bool = False,
    history_format: HistoryFormat = "json",
    include: Sequence[str] | str | None,
    exclude: Sequence[str] | str | None,
    jobs: int,
    deadline: float | None,
    progress: OnProgress | None = None,
) -> Options:
    """Validate the options of a call.

    Raises:
        InvalidValueError: One of the values is invalid.
    """
    if history_format not in get_args(HistoryFormat):
        reason = "must be 'json', 'jsonl' or 'parquet'"
        raise InvalidValueError(field="history_format", value=history_format, reason=reason)
    if not _is_number(jobs, int) or not 1 <= jobs <= _MOST_JOBS:
        reason = f"must be a number of connections from 1 to {_MOST_JOBS}"
        raise InvalidValueError(field="jobs", value=jobs, reason=reason)
    if deadline is not None and not (_is_number(deadline, int, float) and deadline > 0):
        reason = "must be a number of seconds above 0, or None for no limit"
        raise InvalidValueError(field="deadline", value=deadline, reason=reason)
    included, excluded = _patterns("include", include), _patterns("exclude", exclude)
    return Options(
        include_history=include_history,
        history_format=history_format,
        jobs=jobs,
        deadline=deadline,
        progress=progress,
        wants=_chooser(included, excluded or ()),
    )


def _is_number(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _patterns(field: str, value: Sequence[str] | str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    patterns = (value,) if isinstance(value, str) else tuple(value)
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern:
            raise InvalidValueError(field, pattern, "must be a pattern such as 'media/*' or '*.pt'")
    return patterns


def _chooser(included: tuple[str, ...] | None, excluded: tuple[str, ...]) -> Callable[[str], bool]:
    take, leave = _matcher(included), _matcher(excluded)
    return lambda name: (take is None or bool(take.match(name))) and not (leave and leave.match(name))


def _matcher(patterns: tuple[str, ...] | None) -> re.Pattern[str] | None:
    if patterns is None:
        return None
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns) or r"(?!)", re.DOTALL)


def check_storage_options(value: Mapping[str, object] | None) -> dict[str, object]:
    """Return a copy of the options of an fsspec file system.

    Raises:
        InvalidValueError: They are not a mapping of names.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        # Not shown: it may contain credentials.
        reason = "must be a dictionary of fsspec options, such as {'anon': True}"
        raise InvalidValueError(field="storage_options", value=None, reason=reason)
    return dict(value)


def read_ref(kind: type[Ref], value: Ref | str | Sequence[str] | SdkObject) -> Ref:
    """Return the run or sweep of a call.

    Raises:
        InvalidValueError: The value is not a reference.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, (list, tuple)) and len(value) == 3 and all(isinstance(part, str) for part in value):
        # `path` of the SDK's objects, whose parts are percent-encoded.
        return kind(*map(unquote, value))
    text = _text_of(value)
    if text is None:
        name = "run" if kind is RunRef else "sweep"
        reason = f"must be a {kind.__name__}, entity/project/id, the URL of its page, or a {name} of the wandb SDK"
        raise InvalidValueError(name, value, reason)
    entity, project = (os.environ.get(f"WANDB_{part}") or None for part in ("ENTITY", "PROJECT"))
    ref = kind.parse(text, entity=entity, project=project)
    # The URL of a page of W&B's cloud names that server, whichever server is configured.
    return replace(ref, host=DEFAULT_HOST) if "://" in text and ref.host is None else ref


def read_project(value: object) -> ProjectRef:
    """Return the project of a call.

    Raises:
        InvalidValueError: The value is not a reference to a project.
    """
    if isinstance(value, ProjectRef):
        return value
    if not isinstance(value, str):
        reason = "must be a ProjectRef, entity/project, or the URL of its page"
        raise InvalidValueError(field="project", value=value, reason=reason)
    ref = ProjectRef.parse(value, entity=os.environ.get("WANDB_ENTITY") or None)
    return replace(ref, host=DEFAULT_HOST) if "://" in value and ref.host is None else ref


def read_artifact(value: ArtifactRef | str | SdkArtifact) -> ArtifactRef:
    """Return the artifact of a call.

    Raises:
        InvalidValueError: The value is not a reference.
    """
    if isinstance(value, ArtifactRef):
        return value
    text = value if isinstance(value, str) else _text_of_artifact(value)
    if text is None:
        reason = (
            "must be an ArtifactRef, entity/project/name:alias, the URL of its page, or an artifact of the wandb SDK"
        )
        raise InvalidValueError(field="artifact", value=value, reason=reason)
    entity, project = (os.environ.get(f"WANDB_{part}") or None for part in ("ENTITY", "PROJECT"))
    ref = ArtifactRef.parse(text, entity=entity, project=project)
    return replace(ref, host=DEFAULT_HOST) if "://" in text and ref.host is None else ref


def check_references(value: References) -> References:
    """Return the value if it is valid.

    Raises:
        InvalidValueError: It is not.
    """
    if value not in get_args(References):
        raise InvalidValueError(field="references", value=value, reason="must be 'fetch' or 'skip'")
    return value


def _text_of_artifact(value: object) -> str | None:
    """Return the reference of an artifact of the SDK, whose name contains its version; None if it was not logged."""
    url, *parts = (getattr(value, part, None) for part in ("url", "entity", "project", "name"))
    if not all(isinstance(part, str) and part for part in parts) or ":" not in str(parts[-1]):
        return None
    # The page of a linked artifact is another one.
    is_page = isinstance(url, str) and url.endswith(f"/{str(parts[-1]).replace(':', '/')}")
    return url if isinstance(url, str) and is_page else "/".join(map(str, parts))


def _text_of(value: object) -> str | None:
    """Return the reference in a text, or of an object of the SDK: the URL of its page, which names the server."""
    if isinstance(value, str):
        return value
    if isinstance(value, (RunRef, SweepRef)):
        return None
    url, parts = getattr(value, "url", None), [getattr(value, part, None) for part in ("entity", "project", "id")]
    if not all(isinstance(part, str) and part for part in parts):
        return None
    return url if isinstance(url, str) and "://" in url else "/".join(map(str, parts))
