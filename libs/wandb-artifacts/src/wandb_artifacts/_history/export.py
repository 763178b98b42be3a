"""The export of a run's full history to a file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, get_args

from wandb_artifacts._asyncio import is_cancelled, to_thread
from wandb_artifacts._client.options import current_options
from wandb_artifacts._download.results import HistoryFormat
from wandb_artifacts._errors import DownloadError, InvalidValueError
from wandb_artifacts._history.exports import UnreadableExportsError
from wandb_artifacts._history.scan import scan
from wandb_artifacts._history.writers import Writer, open_writer

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Part
    from wandb_artifacts._history.exported_rows import ExportedRows
    from wandb_artifacts._history.exports import FetchedExports
    from wandb_artifacts._history.scan import HistorySource

logger = logging.getLogger("wandb_artifacts")

OnRows = Callable[[int], None]


class IncompleteHistoryError(DownloadError):
    """W&B counts another number of rows than it returned. The part holds the returned ones, as a valid file.

    Args:
        expected: Rows that W&B counts.
        found: Rows that arrived.
    """

    def __init__(self, expected: int, found: int) -> None:
        self.expected = expected
        self.found = found
        super().__init__(f"W&B counts {expected} rows in the history and returned {found}")

    def __reduce__(self) -> tuple[type[IncompleteHistoryError], tuple[int, int]]:
        return type(self), (self.expected, self.found)


def history_file(format: HistoryFormat) -> str:  # noqa: A002 - the public name
    """Return the name of the file in the folder of the run."""
    return f"metrics_history.{format}"


def check_format(format: HistoryFormat) -> None:  # noqa: A002
    """Check that a format is known, and its library installed.

    Raises:
        InvalidValueError: The format cannot be written.
    """
    if format not in get_args(HistoryFormat):
        reason = "must be 'json', 'jsonl' or 'parquet'"
        raise InvalidValueError(field="history_format", value=format, reason=reason)
    if format == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            reason = "needs pyarrow: pip install 'wandb-artifacts[parquet]'"
            raise InvalidValueError(field="history_format", value=format, reason=reason) from error


async def export_history(
    source: HistorySource,
    part: Part,
    format: HistoryFormat,  # noqa: A002
    *,
    ahead: int,
    on_rows: OnRows | None = None,
) -> int:
    """Write all rows to a part, which the caller commits.

    Args:
        source: The history.
        part: The partial file; its data is dropped.
        format: The file format.
        ahead: The maximum number of concurrent requests.
        on_rows: Called after every page with the number of rows written so far.

    Returns:
        The number of rows written.

    Raises:
        IncompleteHistoryError: W&B returned fewer rows than it counts, also in repeated scans; or more rows than an
            ended run has, also when it counts again.
        ServerAnswerError: A row is not a JSON object.
    """
    found = await _write_exports(source, part, format, ahead, on_rows)
    if found is None:
        found = await _write(source, part, format, ahead, on_rows)
    expected = source.line_count or 0
    for pause in current_options().history_pauses:
        if found >= expected:
            break
        await asyncio.sleep(pause)
        before, found = found, await _write(source, part, format, ahead, on_rows, is_careful=True)
        if found and found == before:
            break
    if found < expected:
        raise IncompleteHistoryError(expected, found)
    if source.line_count is not None and found > expected:
        await _check_excess(source, found)
    return found


async def _check_excess(source: HistorySource, found: int) -> None:
    """Check that rows beyond the count were logged after it was taken."""
    now = await source.count_again() if source.count_again else None
    for pause in current_options().history_pauses:
        if now is None or now >= found:
            return
        await asyncio.sleep(pause)
        now = await source.count_again() if source.count_again else None
    if now is not None and now < found:
        raise IncompleteHistoryError(now, found)


async def _write_exports(
    source: HistorySource,
    part: Part,
    format: HistoryFormat,  # noqa: A002
    ahead: int,
    on_rows: OnRows | None,
) -> int | None:
    """Write the exported rows, and the others by pages; None if all are to be read by pages."""
    if source.exports is None or (source.fits_one_page() and current_options().pages_small_history):
        return None
    try:
        async with source.exports.open() as fetched:
            if fetched is None:
                return None
            found = await _write(source, part, format, ahead, on_rows, fetched=fetched)
            if found < (source.line_count or 0):
                msg = f"W&B counts {source.line_count} rows, exports and pages have {found}"
                raise UnreadableExportsError(msg)
            return found
    except UnreadableExportsError as error:
        logger.debug("The exported history of run %s is read by pages instead: %s", source.exports.run, error)
        return None


async def _write(
    source: HistorySource,
    part: Part,
    format: HistoryFormat,  # noqa: A002
    ahead: int,
    on_rows: OnRows | None,
    *,
    is_careful: bool = False,
    fetched: FetchedExports | None = None,
) -> int:
    if part.size:
        await to_thread(part.restart)
    exported = await to_thread(_read_exports, fetched) if fetched else None
    writer = open_writer(format, part, exported.kinds if exported else None)
    found = 0
    try:
        if exported:
            # In one thread, because each thread that allocates memory retains some.
            found = await to_thread(_copy, exported, writer, _from_thread(on_rows))
        rest = source.without_exported(found, fetched.live_steps) if fetched else source
        async with aclosing(scan(rest, ahead=ahead, is_careful=is_careful)) as pages:
            async for rows in pages:
                await to_thread(writer.write, rows)
                found += len(rows)
                if on_rows:
                    on_rows(found)
        await to_thread(writer.end)
    finally:
        await to_thread(writer.close)
    return found


def _copy(exported: ExportedRows, writer: Writer, on_rows: OnRows | None) -> int:
    """Write all exported rows; return their number."""
    found = 0
    while not is_cancelled() and (count := exported.copy_batch(writer)):
        found += count
        if on_rows:
            on_rows(found)
    return found


def _from_thread(on_rows: OnRows | None) -> OnRows | None:
    """Return a function that calls `on_rows` on the loop, for a thread."""
    if on_rows is None:
        return None
    loop = asyncio.get_running_loop()

    def report(rows: int) -> None:
        loop.call_soon_threadsafe(on_rows, rows)

    return report


def _read_exports(fetched: FetchedExports) -> ExportedRows:
    from wandb_artifacts._history.exported_rows import ExportedRows

    return ExportedRows(fetched.files, fetched.live_steps)
