"""The index of a project's runs, one row per run: `runs.jsonl` or `runs.parquet`."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from wandb_artifacts._client.responses import read_config
from wandb_artifacts._download import records
from wandb_artifacts._download.manifest import Entry
from wandb_artifacts._errors import ServerAnswerError
from wandb_artifacts._json import to_strict

if TYPE_CHECKING:
    from wandb_artifacts._client.remote import RemoteRun
    from wandb_artifacts._destination.base import Part, Target
    from wandb_artifacts._download.results import HistoryFormat, RunDownload

LINES, PARQUET = "runs.jsonl", "runs.parquet"
_PIECE = 1024 * 1024
_LONG_NUMBER = re.compile(r"\d{19}")
_INTEGERS = range(-(2**63), 2**63)


class Index:
    """Rows in a temporary file, in the order in which they arrive; `write` stores them in another one."""

    def __init__(self) -> None:
        self._spool = tempfile.TemporaryFile(prefix="wandb-artifacts-")  # noqa: SIM115 - closed in close
        self._rows: dict[str, tuple[int, int]] = {}
        self._size = 0
        self._lock = threading.Lock()

    def add(self, run: RemoteRun, folder: str, result: RunDownload) -> None:
        """Add the row of a run."""
        rows = run.line_count if result.history_rows is None else result.history_rows
        row = {
            **records.facts(run),
            "config": to_strict(_config(run)),
            "summary": to_strict(_summary(run)),
            "history_rows": rows,
            "path": folder,
        }
        data = _encode(row)
        with self._lock:
            # Not from tell() or seek(), each of which would write what is buffered to the disk.
            self._rows[run.ref.id] = (self._size, len(data))
            self._size += self._spool.write(data)

    def write(self, target: Target, form: HistoryFormat, order: Iterable[str], known: Iterable[Entry]) -> Entry:
        """Write the rows of the runs in this order, unless a known file has the same contents already."""
        name, places = index_file(form), [self._rows[run] for run in order if run in self._rows]
        part = target.part(name)
        try:
            if name == PARQUET:
                self._write_parquet(part, places)
            else:
                for line in self._lines(places):
                    part.write(line)
            size, md5 = part.size, part.md5().hex()
            stat = target.stat(name)
            if stat is None or (name, md5, stat.stamp) not in {(each.path, each.md5, each.stamp) for each in known}:
                stat = part.commit()
        finally:
            part.close()
        return Entry(name, name, size, md5, stat.stamp)

    def close(self) -> None:
        self._spool.close()

    def _lines(self, places: list[tuple[int, int]]) -> Iterator[bytes]:
        for start, size in places:
            self._spool.seek(start)
            yield self._spool.read(size)

    def _write_parquet(self, part: Part, places: list[tuple[int, int]]) -> None:
        from wandb_artifacts._download.index_parquet import write_parquet

        with tempfile.TemporaryFile(prefix="wandb-artifacts-") as file:
            write_parquet(lambda: self._lines(places), file)
            for piece in _pieces(file):
                part.write(piece)


def index_file(form: HistoryFormat) -> str:
    """Return the name of the index for a format of histories."""
    return PARQUET if form == "parquet" else LINES


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece


def _config(run: RemoteRun) -> dict[str, Any] | None:
    """Return the config; None if it is not readable, which the result of the run reports."""
    try:
        return read_config(run.config, f"run {run.ref}")
    except ServerAnswerError:
        return None


def _summary(run: RemoteRun) -> dict[str, Any] | None:
    try:
        found = json.loads(run.summary)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _encode(row: dict[str, object]) -> bytes:
    """Encode a row of strict values so that every reader accepts it."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    if _LONG_NUMBER.search(text):
        text = json.dumps(_without_long_integers(row), ensure_ascii=False, allow_nan=False)
    # Halves of surrogate pairs, which are not Unicode, become replacement characters.
    return text.encode(errors="surrogatepass").decode(errors="replace").encode() + b"\n"


def _without_long_integers(value: Any) -> Any:
    """Return the value with text in place of integers of more than 64 bits, which pandas and Arrow refuse."""
    if isinstance(value, dict):
        return {key: _without_long_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_long_integers(item) for item in value]
    return str(value) if isinstance(value, int) and value not in _INTEGERS else value
