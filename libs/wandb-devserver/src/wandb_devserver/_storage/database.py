"""SQLite database in WAL mode: many readers, one writer at a time, durable when the process is killed."""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_devserver._documents import sort_value
from wandb_devserver._domain.streams import parse_line
from wandb_devserver._private_files import private_opener

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_FOLDER = Path(__file__).parent / "schema"
SCHEMA_VERSION = 3


class Database:
    """The records of one data directory.

    Each transaction borrows a separate connection, so that any thread may read while another writes.
    """

    def __init__(self, path: Path, *, heartbeat_timeout: float) -> None:
        self.heartbeat_timeout = heartbeat_timeout
        self.changed = threading.Condition()
        self._path = path
        self._write_lock = threading.Lock()
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._is_closed = False
        _make_private(path)
        try:
            with self.write() as connection:
                _create_tables(connection)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one unchanging state of the records."""
        with self._borrowed() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are on disk once the block ends, or undone when it raises."""
        with self._write_lock, self._borrowed() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk may have made SQLite roll back already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        with self.changed:
            self.changed.notify_all()

    def close(self) -> None:
        """Close all connections; those that are in use, when they are given back."""
        self._is_closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._idle.put(connection)
            if self._is_closed:
                self.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.create_function("unix_now", 0, time.time)
        connection.create_function("heartbeat_deadline", 0, lambda: time.time() - self.heartbeat_timeout)
        connection.create_function("sort_value", 2, sort_value, deterministic=True)
        connection.create_function("console_text", 1, lambda line: parse_line(line).labeled_text, deterministic=True)


def _make_private(path: Path) -> None:
    # SQLite gives the files that it creates beside the database the same mode.
    os.close(private_opener(path, os.O_RDWR | os.O_CREAT))
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.close(private_opener(f"{path}{suffix}", os.O_RDWR))


def _create_tables(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, SCHEMA_VERSION):
        msg = (
            f"the data directory was written by another version of wandb-devserver (format {version}, "
            f"this one reads {SCHEMA_VERSION}): use another --data-dir"
        )
        raise sqlite3.DatabaseError(msg)
    for path in sorted(SCHEMA_FOLDER.glob("*.sql")):
        for statement in _statements(path.read_text(encoding="utf-8")):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _statements(script: str) -> Iterator[str]:
    # Not executescript(): it would commit the transaction these statements belong to.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
