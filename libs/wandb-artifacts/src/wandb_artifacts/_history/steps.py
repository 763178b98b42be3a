"""Steps of history rows, and the check that a page has the requested ones, in order and each row once."""

from __future__ import annotations

import json
import re
from operator import lt

from wandb_artifacts._errors import ServerAnswerError

_STEP = re.compile(r'"_step"\s*:\s*(\d{1,18}(?:\.\d+)?(?:[eE]\+?\d{1,2})?)(?=\s*[,}])')


def quick_steps(rows: list[str]) -> list[int]:
    """Return the steps in the text of rows that have one. An object within a row may have a `_step` as well."""
    found = [match[1] for match in map(_STEP.search, rows) if match]
    try:
        return [*map(int, found)]
    except ValueError:
        # Some are written as 1.0 or 1e3.
        return [*map(_integer, found)]


def check_steps(rows: list[str], first: int, end: int) -> None:
    """Check a page of rows.

    Args:
        rows: JSON objects as text.
        first: The lowest step that was requested.
        end: The step after the highest one that was requested.

    Raises:
        ServerAnswerError: A step was not requested, is lower than the one before it, or a row is there twice.
    """
    steps = quick_steps(rows)
    has_one_each = len(steps) == len(rows) == "\n".join(rows).count('"_step"')
    is_rising = all(map(lt, [first - 1, *steps], [*steps, end]))
    if has_one_each and is_rising:
        return
    # Rare, so it may take its time: several rows with one step, rows without a step, or a `_step` within a value.
    if fault := _fault(rows, first, end):
        msg = f"W&B returned an invalid page of the history: {fault}"
        raise ServerAnswerError(msg)


def _fault(rows: list[str], first: int, end: int) -> str | None:
    last, seen = first, set[str]()
    for row in rows:
        step = _parsed_step(row)
        if step is None:
            continue
        if not first <= step < end:
            return f"step {step} in a page of the steps {first} to {end - 1}"
        if step < last:
            return f"step {step} after step {last}"
        if step > last:
            last, seen = step, set()
        if row in seen:
            return f"the same row of step {step} twice"
        seen.add(row)
    return None


def _parsed_step(row: object) -> int | None:
    """Return the step of a row; None if it has none, or is not JSON, which the writers refuse."""
    try:
        found = json.loads(row) if isinstance(row, str) else None
    except (ValueError, RecursionError):
        return None
    step = found.get("_step") if isinstance(found, dict) else None
    if isinstance(step, bool) or not isinstance(step, (int, float)):
        return None
    try:
        return int(step)
    except (ValueError, OverflowError):  # NaN, Infinity
        return None


def _integer(text: str) -> int:
    return int(text) if text.isdecimal() else int(float(text))
