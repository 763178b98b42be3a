"""Time conversion: seconds since the epoch inside, ISO 8601 in UTC on the wire."""

from __future__ import annotations

from datetime import datetime, timezone


def to_iso(moment: float) -> str:
    """Return `moment` (seconds since the epoch) as `YYYY-MM-DDTHH:MM:SSZ`."""
    # Not by strftime, which takes several times as long.
    return datetime.fromtimestamp(int(moment), tz=timezone.utc).replace(tzinfo=None).isoformat() + "Z"


def from_iso(text: str) -> float:
    """Return the seconds since the epoch of an ISO 8601 date or time; UTC where it names no zone.

    Raises:
        ValueError: if `text` is not such a date.
    """
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
