"""Rows of exported Parquet files as record batches: in the order of their steps, each row once, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wandb_artifacts._errors import DownloadError
from wandb_artifacts._history.columns import LONG, UnknownTypeError, kind_of
from wandb_artifacts._history.exports import UnreadableExportsError
from wandb_artifacts._json import dump, to_strict

if TYPE_CHECKING:
    from wandb_artifacts._history.writers import Writer

_STEP = "_step"
_BATCH_BYTES = 2_000_000
_BATCH_ROWS = 8_192
_BUFFER_BYTES = 2_000_000
"""Of all columns of a file together: a row group may be as large as the file."""
_SMALLEST_BUFFER, _LARGEST_BUFFER = 16_384, 1_048_576


class ExportedRows:
    """The rows of exported files.

    Args:
        files: Complete Parquet files, in any order.
        live_steps: The first and the last step of rows that are not exported; None if all are. Rows from the first of
            these on are left out: they are read by pages.

    Raises:
        UnreadableExportsError: A file is not one that W&B's own reader could read, or its rows are not in order.
    """

    def __init__(self, files: Sequence[BinaryIO], live_steps: tuple[int, int] | None) -> None:
        self._before = live_steps[0] if live_steps else None
        with readable():
            found = [_File(file) for file in files]
        self._files = sorted((file for file in found if file.rows), key=lambda file: (file.first, file.last))
        self._batches = self._read()

    @property
    def kinds(self) -> dict[str, str | None] | None:
        """The kind of each column if these rows are all and their files are alike; otherwise it depends on values."""
        if self._before is not None:
            return None
        found: dict[str, str | None] = {_STEP: LONG}
        for field in chain.from_iterable(file.schema for file in self._files):
            if field.name == _STEP:
                continue
            known, kind = found.get(field.name), kind_of(field.type)
            if pa.types.is_uint64(field.type) or (known and kind and known != kind):
                return None
            found[field.name] = known or kind
        return found

    def copy_batch(self, writer: Writer) -> int:
        """Write the next rows; return their number, 0 at the end.

        Raises:
            UnreadableExportsError: A file is damaged.
        """
        with readable():
            batch = next(self._batches, None)
            if batch is None:
                return 0
            writer.write_exported(batch)
            return len(batch)

    def _read(self) -> Iterator[Any]:
        """Yield the rows; `_step` is the first column, and integers."""
        for group in _overlapping(self._files):
            is_simple = len(group) == 1 and group[0].is_rising
            for batch in group[0].batches() if is_simple else _merged(group):
                wanted = self._wanted(batch)
                if len(wanted):
                    yield wanted

    def _wanted(self, batch: Any) -> Any:
        if self._before is None or not len(batch) or batch.column(0)[-1].as_py() < self._before:
            return batch
        return batch.slice(0, pc.sum(pc.less(batch.column(0), self._before)).as_py())


@contextmanager
def readable() -> Iterator[None]:
    """Translate the errors of damaged and foreign files."""
    try:
        yield
    except DownloadError:
        # That of the destination is an OSError too.
        raise
    except (pa.ArrowException, OSError, UnknownTypeError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())[:200]
        raise UnreadableExportsError(text) from error


class _File:
    """One Parquet file. Its steps are read once, which is cheap, before its rows."""

    def __init__(self, file: BinaryIO) -> None:
        size = pq.read_metadata(file)
        columns = max(size.num_columns, 1)
        buffer = min(max(_BUFFER_BYTES // columns, _SMALLEST_BUFFER), _LARGEST_BUFFER)
        self._file = pq.ParquetFile(file, metadata=size, buffer_size=buffer)
        self.schema = self._file.schema_arrow
        self.rows = size.num_rows
        self.first = self.last = -1
        self.is_rising = True
        stored = sum(size.row_group(index).total_byte_size for index in range(size.num_row_groups))
        width = max(stored // max(self.rows, 1), 8 * columns)
        self._batch_rows = max(min(_BATCH_BYTES // width, _BATCH_ROWS), 1)
        if self.rows:
            self._check_columns()
            self._read_steps()

    def batches(self, rows: int | None = None) -> Iterator[Any]:
        """Yield the rows, once."""
        # In this thread alone, because each thread that allocates memory retains some.
        for batch in self._file.iter_batches(min(rows or self._batch_rows, self._batch_rows), use_threads=False):
            names = [_STEP, *(name for name in batch.schema.names if name != _STEP)]
            columns = [_steps(batch), *(batch.column(name) for name in names[1:])]
            yield pa.RecordBatch.from_arrays(columns, names=names)
        # Its buffers, of which there are some for each column.
        self._file = None

    def _check_columns(self) -> None:
        names = self.schema.names
        if len(set(names)) < len(names) or _STEP not in names:
            msg = "an export has no column of steps, or two columns of one name"
            raise UnreadableExportsError(msg)
        for field in self.schema:
            kind_of(field.type)

    def _read_steps(self) -> None:
        last: int | None = None
        for batch in self._file.iter_batches(_BATCH_ROWS, columns=[_STEP], use_threads=False):
            steps = _steps(batch)
            first, end = steps[0].as_py(), steps[-1].as_py()
            lower, equal = _order(steps)
            if lower or first < (0 if last is None else last):
                msg = "the rows of an export are not in the order of their steps"
                raise UnreadableExportsError(msg)
            self.is_rising = self.is_rising and not equal and first != last
            self.first = first if last is None else self.first
            self.last = last = end


def _steps(batch: Any) -> Any:
    """Return the steps of a batch as integers; those of some exports are doubles."""
    steps = batch.column(_STEP).cast(pa.int64())
    if steps.null_count:
        msg = "a row of an export has no step"
        raise UnreadableExportsError(msg)
    return steps


def _order(steps: Any) -> tuple[bool, bool]:
    """Return whether a step is lower than the one before it, and whether one is equal to it."""
    if len(steps) < 2:
        return False, False
    after, before = steps[1:], steps[:-1]
    return pc.any(pc.less(after, before)).as_py(), pc.any(pc.equal(after, before)).as_py()


def _overlapping(files: Sequence[_File]) -> Iterator[list[_File]]:
    """Yield files in groups: the steps of different groups do not overlap."""
    group: list[_File] = []
    for file in files:
        if group and file.first > max(each.last for each in group):
            yield group
            group = []
        group.append(file)
    if group:
        yield group


@dataclass
class _Stream:
    """A file that is merged with others, and its rows that were read and not yet merged."""

    rest: Iterator[Any]
    rows: Any
    has_more: bool = True

    def read(self) -> None:
        batch = next(self.rest, None)
        if batch is None:
            self.has_more = False
        else:
            read = pa.Table.from_batches([batch])
            self.rows = read if self.rows is None else pa.concat_tables([self.rows, read]).combine_chunks()

    @property
    def last(self) -> int:
        step: int = self.rows.column(0)[-1].as_py()
        return step

    def take(self, before: int | None) -> Any:
        steps = self.rows.column(0)
        count = len(steps) if before is None else pc.sum(pc.less(steps, before), min_count=0).as_py()
        taken, self.rows = self.rows.slice(0, count), self.rows.slice(count)
        return taken


def _merged(files: Sequence[_File]) -> Iterator[Any]:
    """Yield the rows of files whose steps overlap; a row that several of them have comes once."""
    streams = [_Stream(file.batches(max(_BATCH_ROWS // len(files), 1)), None) for file in files]
    while streams:
        for stream in streams:
            while stream.has_more and not (stream.rows is not None and len(stream.rows)):
                stream.read()
        streams = [stream for stream in streams if stream.rows is not None and len(stream.rows)]
        # Rows up to here are complete: every stream has read beyond them.
        bound = min((stream.last for stream in streams if stream.has_more), default=None)
        taken = [stream.take(bound) for stream in streams]
        # Different types in files that overlap cannot be merged exactly: this raises then.
        found = pa.concat_tables(taken, promote_options="default") if taken else None
        if found is not None and len(found):
            yield from _distinct(found.take(pc.sort_indices(found.column(0))).combine_chunks()).to_batches()
            continue
        for stream in streams:
            if stream.has_more and stream.last == bound:
                stream.read()


def _distinct(table: Any) -> Any:
    """Return rows in the order of their steps without those that are there twice."""
    steps = table.column(0).combine_chunks()
    if not _order(steps)[1]:
        return table
    kept, seen, last = [], set[bytes](), None
    is_shared = [False, *pc.equal(steps[1:], steps[:-1]).to_pylist(), False]
    for index in range(len(steps)):
        if is_shared[index] or is_shared[index + 1]:
            row = table.slice(index, 1).to_pylist()[0]
            text, seen = _identity(row), seen if row[_STEP] == last else set()
            if text in seen:
                continue
            seen.add(text)
            last = row[_STEP]
        kept.append(index)
    return table.take(pa.array(kept, pa.int64()))


def _identity(row: dict[str, Any]) -> bytes:
    logged = {key: value for key, value in row.items() if value is not None}
    try:
        return dump(to_strict(logged))
    except TypeError:
        return repr(sorted(logged.items())).encode()
