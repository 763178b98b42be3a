"""The option `report`: its validation, and the request that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wandb_artifacts import InvalidValueError

from wandb_runtime.config.validators import string_list

MAX_CHARTS = 12
"""The number of metrics that a report draws."""


@dataclass(frozen=True)
class ReportRequest:
    """A requested tab."""

    metrics: tuple[str, ...] | None
    """The metrics to draw; None for a selection."""
    is_uploaded_by_flyte: bool
    """Whether Flyte itself uploads the report of a task that returns."""

    @classmethod
    def of(cls, report: object, *, has_report: bool) -> ReportRequest | None:
        """Return the request of the option; None if it requests no tab.

        Args:
            report: The validated value of the option; None if it was not given.
            has_report: Whether the task has `report=True`.
        """
        if not (has_report if report is None else report):
            return None
        return cls(tuple(report) if isinstance(report, list) else None, is_uploaded_by_flyte=has_report)


def check_report(field: str, value: bool | Sequence[str]) -> bool | list[str]:
    """Require True, False, or the names of the metrics to draw."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidValueError(field, value, "must be True, False, or a list of metrics to draw")
    names = list(dict.fromkeys(string_list(field, value)))
    if not names:
        raise InvalidValueError(field, value, "names no metric; write False for a task without a report")
    if len(names) > MAX_CHARTS:
        raise InvalidValueError(field, value, f"names {len(names)} metrics; a report draws at most {MAX_CHARTS}")
    return names
