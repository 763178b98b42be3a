"""What a call of a download may ask for, checked before anything starts."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._results import HistoryFormat, OnProgress

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
    """Whether a file of the run, by its name at W&B, was asked for."""
    wants_all: bool


def make_options(
    *,
    include_history: bool,
    history_format: HistoryFormat,
    include: Sequence[str] | str | None,
    exclude: Sequence[str] | str | None,
    jobs: int,
    deadline: float | None,
    progress: OnProgress | None,
) -> Options:
    """Checks and brings together what a call was given.

    Raises:
        InvalidValueError: One of the values cannot be meant.
    """
    if history_format not in get_args(HistoryFormat):
        raise InvalidValueError("history_format", history_format, "must be 'json', 'jsonl' or 'parquet'")
    if isinstance(jobs, bool) or not isinstance(jobs, int) or not 1 <= jobs <= _MOST_JOBS:
        raise InvalidValueError("jobs", jobs, f"must be a number of connections from 1 to {_MOST_JOBS}")
    if deadline is not None and (isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or not deadline > 0):
        raise InvalidValueError("deadline", deadline, "must be a number of seconds above 0, or None for no limit")
    included, excluded = _patterns("include", include), _patterns("exclude", exclude)
    return Options(
        include_history=include_history,
        history_format=history_format,
        jobs=jobs,
        deadline=deadline,
        progress=progress,
        wants=_chooser(included, excluded or ()),
        wants_all=included is None and not excluded,
    )


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
    """The options of an fsspec file system, copied.

    Raises:
        InvalidValueError: They are no mapping of names.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        # Not shown: it may hold credentials.
        raise InvalidValueError("storage_options", None, "must be a dictionary that fsspec takes, such as {'anon': True}")
    return dict(value)
