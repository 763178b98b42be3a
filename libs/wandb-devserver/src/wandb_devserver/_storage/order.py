"""Orders of runs, with cursors that stay valid while runs are added and deleted."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from wandb_devserver._errors import UsageError
from wandb_devserver._json import is_int64

SortKey = str | int | float | None

_MAX_LENGTH = 1000
_COLUMNS = {
    "created_at": "runs.created_at",
    "heartbeat_at": "runs.heartbeat_at",
    "name": "runs.name",
    "display_name": "runs.display_name",
    "state": "runs.state",
    "group": "runs.group_name",
    "job_type": "runs.job_type",
    "sweep": "runs.sweep_name",
}
_ALIASES = {
    "createdAt": "created_at",
    "heartbeatAt": "heartbeat_at",
    "displayName": "display_name",
    "jobType": "job_type",
    "sweepName": "sweep",
}


@dataclass(frozen=True, slots=True)
class Order:
    """Runs sorted by one SQL expression; runs without a value come last, ties go by age."""

    expression: str
    descending: bool

    @property
    def clause(self) -> str:
        direction = "DESC" if self.descending else "ASC"
        return f"({self.expression}) IS NULL, {self.expression} {direction}, runs.id {direction}"

    def cursor(self, key: SortKey, run_id: int) -> str:
        return base64.urlsafe_b64encode(json.dumps([key, run_id]).encode()).decode()

    def after(self, cursor: str | None) -> tuple[str, tuple[SortKey, ...]]:
        """Return the condition that only rows behind `cursor` meet, and its parameters."""
        if not cursor:
            return "1", ()
        key, run_id = _decode(cursor)
        beyond = "<" if self.descending else ">"
        if key is None:
            return f"(({self.expression}) IS NULL AND runs.id {beyond} ?)", (run_id,)
        return (
            f"(({self.expression}) IS NULL OR ({self.expression}) {beyond} ? "
            f"OR (({self.expression}) = ? AND runs.id {beyond} ?))",
            (key, key, run_id),
        )


OLDEST_FIRST = Order("runs.created_at", descending=False)


def parse_order(order: str | None) -> Order:
    """Read an order as the public API writes it, such as `-summary_metrics.loss`.

    Raises:
        UsageError: if it names no field that runs can be sorted by.
    """
    if not order:
        return OLDEST_FIRST
    if len(order) > _MAX_LENGTH:
        msg = f"an order has {len(order)} characters: at most {_MAX_LENGTH} are accepted"
        raise UsageError(msg)
    path = order.lstrip("+-")
    descending = order.startswith("-")
    name = _ALIASES.get(path, path)
    if name in _COLUMNS:
        return Order(_COLUMNS[name], descending)
    part, _, rest = path.partition(".")
    if part == "config" and rest:
        return Order(f"sort_value(runs.config, {_literal('config.' + rest)})", descending)
    if part in ("summary_metrics", "summaryMetrics") and rest:
        return Order(f"sort_value(runs.summary, {_literal('summary.' + rest)})", descending)
    known = ", ".join(sorted(_COLUMNS))
    msg = f"cannot order runs by {order!r}: use one of {known}, config.<key> or summary_metrics.<key>"
    raise UsageError(msg)


def _literal(text: str) -> str:
    if "\0" in text:
        msg = f"cannot order runs by {text!r}: a key holds no NUL character"
        raise UsageError(msg)
    return "'" + text.replace("'", "''") + "'"


def _decode(cursor: str) -> tuple[SortKey, int]:
    try:
        key, run_id = json.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, TypeError, RecursionError):
        key = run_id = None
    if not is_int64(run_id) or not (key is None or isinstance(key, (str, float)) or is_int64(key)):
        msg = f"{cursor!r} is not a cursor of this server"
        raise UsageError(msg)
    return key, run_id
