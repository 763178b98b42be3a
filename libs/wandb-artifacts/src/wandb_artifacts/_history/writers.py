"""Writers of history files. They block, and write one page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wandb_artifacts._history.rows import strict_rows

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Part
    from wandb_artifacts._download.results import HistoryFormat


class Writer(Protocol):
    """Writes to a part, which the caller commits."""

    def write(self, rows: list[str]) -> None:
        """Add rows as W&B returned them."""
        ...

    def end(self) -> None:
        """Write what follows the last row."""
        ...

    def close(self) -> None:
        """Release the writer's resources. Idempotent."""
        ...


def open_writer(format: HistoryFormat, part: Part) -> Writer:  # noqa: A002 - the public name
    if format == "jsonl":
        return _LinesWriter(part)
    if format == "parquet":
        from wandb_artifacts._history.parquet import ParquetWriter

        return ParquetWriter(part)
    return _ArrayWriter(part)


class _LinesWriter:
    """One object per line."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._count = 0

    def write(self, rows: list[str]) -> None:
        self._part.write(_encode("\n".join([*strict_rows(rows, before=self._count), ""])))
        self._count += len(rows)

    def end(self) -> None:
        pass

    def close(self) -> None:
        pass


class _ArrayWriter:
    """One array, with one object per line."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._count = 0

    def write(self, rows: list[str]) -> None:
        if rows:
            lead = ",\n" if self._count else "[\n"
            self._part.write(_encode(lead + ",\n".join(strict_rows(rows, before=self._count))))
            self._count += len(rows)

    def end(self) -> None:
        self._part.write(b"\n]\n" if self._count else b"[]\n")

    def close(self) -> None:
        pass


def _encode(text: str) -> bytes:
    # Half of a surrogate pair, which UTF-8 cannot encode, becomes its JSON escape.
    return text.encode(errors="backslashreplace")
