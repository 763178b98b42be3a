"""Writers of history files. They block, and write one page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from wandb_artifacts._history.rows import strict_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb_artifacts._destination.base import Part
    from wandb_artifacts._download.results import HistoryFormat


class Writer(Protocol):
    """Writes to a part, which the caller commits."""

    def write(self, rows: list[str]) -> None:
        """Add rows as W&B returned them."""
        ...

    def write_exported(self, batch: Any) -> None:
        """Add rows of an exported file, a record batch; its first column is `_step`."""
        ...

    def end(self) -> None:
        """Write what follows the last row."""
        ...

    def close(self) -> None:
        """Release the writer's resources. Idempotent."""
        ...


def open_writer(
    format: HistoryFormat,  # noqa: A002 - the public name
    part: Part,
    kinds: Mapping[str, str | None] | None = None,
) -> Writer:
    """Return a writer.

    Args:
        format: The file format.
        part: The partial file.
        kinds: The kinds of all columns, if they are known already; only exported rows may be written then.
    """
    if format == "jsonl":
        return _LinesWriter(part)
    if format == "parquet":
        from wandb_artifacts._history.parquet import ParquetWriter

        return ParquetWriter(part, kinds)
    return _ArrayWriter(part)


class _LinesWriter:
    """One object per line."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._count = 0

    def write(self, rows: list[str]) -> None:
        self._part.write(_encode("\n".join([*strict_rows(rows, before=self._count), ""])))
        self._count += len(rows)

    def write_exported(self, batch: Any) -> None:
        from wandb_artifacts._history.columns import to_json_rows

        self._part.write(to_json_rows(batch, before="", after="\n"))
        self._count += len(batch)

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

    def write_exported(self, batch: Any) -> None:
        from wandb_artifacts._history.columns import to_json_rows

        text = to_json_rows(batch, before=",\n", after="")
        self._part.write(text if self._count else b"[" + text[1:])
        self._count += len(batch)

    def end(self) -> None:
        self._part.write(b"\n]\n" if self._count else b"[]\n")

    def close(self) -> None:
        pass


def _encode(text: str) -> bytes:
    # Half of a surrogate pair, which UTF-8 cannot encode, becomes its JSON escape.
    return text.encode(errors="backslashreplace")
