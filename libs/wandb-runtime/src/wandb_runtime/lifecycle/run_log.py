"""The log of a run's records (`run-….wandb`), which `wandb sync` uploads.

The format is that of LevelDB's logs: blocks of 32 KiB with the fragments of entries, each with checksum, length and
type. An entry is a `Record` of W&B's protocol. The wandb SDK has no reader for Python.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from typing import IO, TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")

_FILE_HEADER = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
_BLOCK = 32768
_FRAGMENT = struct.Struct("<IHB")
# Seconds: the SDK may write the last records after run.finish() has returned.
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def scan_to_end(log: Path, select: Callable[[Any], Iterable[T]]) -> set[T]:
    """Return what is selected from the records of a run that has ended.

    Waits, within bounds, until the log has the record of the run's end.
    """
    for pause in (*_PAUSES, None):
        found: set[T] = set()
        has_end = False
        with log.open("rb") as file:
            for record in map(parse, read_entries(file)):
                has_end = has_end or record.WhichOneof("record_type") == "exit"
                found.update(select(record))
        if has_end or pause is None:
            break
        time.sleep(pause)
    return found


def parse(entry: bytes) -> Any:
    """Parse an entry into W&B's `Record`."""
    return _protocol().Record.FromString(entry)


def artifact_entry(artifact: Any) -> bytes:
    """Return the entry of an artifact, given W&B's `ArtifactRecord`."""
    return bytes(_protocol().Record(artifact=artifact).SerializeToString())


def _protocol() -> Any:
    from wandb.proto import wandb_internal_pb2

    return wandb_internal_pb2


def read_entries(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the entries of a log, up to the first one that is incomplete or damaged, as `wandb sync` does.

    Args:
        file: Open for reading, at its start.
    """
    if file.read(len(_FILE_HEADER)) != _FILE_HEADER:
        return
    position, entry = len(_FILE_HEADER), b""
    while True:
        left = _BLOCK - position % _BLOCK
        if left < _FRAGMENT.size:
            file.read(left)
            position += left
        fragment = _read_fragment(file)
        if fragment is None:
            return
        kind, content = fragment
        position += _FRAGMENT.size + len(content)
        entry = content if kind in (_FULL, _FIRST) else entry + content
        if kind in (_FULL, _LAST):
            yield entry


def _read_fragment(file: IO[bytes]) -> tuple[int, bytes] | None:
    header = file.read(_FRAGMENT.size)
    if len(header) < _FRAGMENT.size:
        return None
    checksum, length, kind = _FRAGMENT.unpack(header)
    content = file.read(length)
    if len(content) < length or checksum != _checksum(kind, content):
        return None
    return kind, content


def rewrite(log: Path, change: Callable[[Iterator[bytes]], Iterable[bytes]]) -> None:
    """Replace the entries of a log by those that `change` returns for them."""
    new = log.with_suffix(".new")
    with log.open("rb") as old_file, new.open("wb") as new_file:
        write_entries(new_file, change(read_entries(old_file)))
    os.replace(new, log)  # noqa: PTH105


def write_entries(file: IO[bytes], entries: Iterable[bytes]) -> None:
    """Write a log.

    Args:
        file: Open for writing, empty.
        entries: The entries in order.
    """
    file.write(_FILE_HEADER)
    position = len(_FILE_HEADER)
    for entry in entries:
        rest, is_first = memoryview(entry), True
        while is_first or rest:
            left = _BLOCK - position % _BLOCK
            if left < _FRAGMENT.size:
                file.write(b"\0" * left)
                position += left
                left = _BLOCK
            content, rest = rest[: left - _FRAGMENT.size], rest[left - _FRAGMENT.size :]
            kind = (_MIDDLE if rest else _LAST) if not is_first else (_FIRST if rest else _FULL)
            file.write(_FRAGMENT.pack(_checksum(kind, content), len(content), kind))
            file.write(content)
            position += _FRAGMENT.size + len(content)
            is_first = False


def _checksum(kind: int, content: bytes | memoryview) -> int:
    return zlib.crc32(content, zlib.crc32(bytes([kind])))
