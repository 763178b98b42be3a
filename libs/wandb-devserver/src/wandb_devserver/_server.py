"""Public server object: started in a thread, stopped without leftovers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_devserver._domain.history_exports import ROWS_PER_FILE, check_pyarrow
from wandb_devserver._errors import DevServerError
from wandb_devserver._http.auth import SIGN_IN_PATH
from wandb_devserver._runner import RunningServer
from wandb_devserver._settings import DEFAULT_HEARTBEAT_TIMEOUT, Settings
from wandb_devserver._testing.exports import export_run
from wandb_devserver._testing.records import RunRecord, read_run, read_runs, read_state
from wandb_devserver._testing.sweep_records import SweepRecord, delete_sweep, read_sweep, read_sweep_state, read_sweeps

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from types import TracebackType

    from wandb_devserver._testing.faults import Faults
    from wandb_devserver._testing.request_log import RequestLog


class DevServer:
    """A W&B-compatible server.

    A context manager; `start` and `stop` do the same by hand. Methods that read may be called
    from any thread while it runs.

    Args:
        data_dir: the folder that stores runs; it can be used again later. None stores them in a
            temporary folder that is removed on `stop`.
        host: the host name or IP address to listen on.
        port: the port to listen on; 0 takes a free one.
        api_key: the API key of clients, 40 or more characters. None uses the key of the data
            directory, which is generated on first use.
        entity: the entity of runs without one.
        heartbeat_timeout: seconds of silence after which a running run counts as crashed, and an agent
            of a sweep as lost. The SDK sends a heartbeat at least every 30 seconds.
        allowed_hosts: host names under which clients reach the server, beside `localhost`, `host` and IP
            addresses. Requests with another `Host` header are refused: they may come from a foreign web page.
        export_after: export history to Parquet files, which the public API then reads: the rows of a running run
            that are older than its last `export_after` rows, and all rows once it has ended. None for no exports.
            Needs pyarrow (`pip install 'wandb-devserver[parquet]'`).

    Raises:
        UsageError: if an argument cannot be used; the message names it.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        entity: str = "local",
        heartbeat_timeout: float = DEFAULT_HEARTBEAT_TIMEOUT,
        allowed_hosts: Iterable[str] = (),
        export_after: int | None = None,
    ) -> None:
        self._settings = Settings(
            data_dir=None if data_dir is None else Path(data_dir),
            host=host,
            port=port,
            api_key=api_key,
            entity=entity,
            heartbeat_timeout=heartbeat_timeout,
            allowed_hosts=tuple(allowed_hosts),
            export_after=export_after,
        )
        if export_after is not None:
            check_pyarrow(f"export_after is {export_after!r}")
        self._running: RunningServer | None = None

    @property
    def url(self) -> str:
        """The base URL, for `WANDB_BASE_URL`."""
        return self._live.url

    @property
    def api_key(self) -> str:
        """The API key, for `WANDB_API_KEY`."""
        return self._live.backend.api_key

    @property
    def entity(self) -> str:
        """The entity of runs without one."""
        return self._settings.entity

    @property
    def data_dir(self) -> Path:
        """The folder that stores runs."""
        return self._live.data_dir.path

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that make a child process log to this server.

        They also turn off the SDK's error reports, which go to a public service.
        """
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.api_key, "WANDB_ERROR_REPORTING": "false"}

    def sign_in_url(self) -> str:
        """Return a URL that signs one browser in, once, within a day."""
        return f"{self.url}{SIGN_IN_PATH}#{self._live.backend.sessions.new_code()}"

    @property
    def faults(self) -> Faults:
        """Injected faults, for tests."""
        return self._live.backend.faults

    @property
    def requests(self) -> RequestLog:
        """Counts of served requests, for tests that wait for one."""
        return self._live.backend.requests

    def run(self, path: str) -> RunRecord:
        """Return the run at `entity/project/id` as it is now.

        Raises:
            NotFoundError: if it does not exist (a `LookupError`); the message lists the runs.
        """
        return read_run(self._live.backend, self.url, path)

    def runs(self, path: str | None = None) -> list[RunRecord]:
        """Return the runs of the project `entity/project`, or of all projects, oldest first.

        Raises:
            NotFoundError: if the project does not exist (a `LookupError`); the message lists the projects.
        """
        return read_runs(self._live.backend, self.url, path)

    def wait_for_run(self, path: str, *states: str, timeout: float = 30.0) -> RunRecord:
        """Block until the run at `entity/project/id` exists and is in one of `states` (in any when none is given).

        Raises:
            TimeoutError: if that takes more than `timeout` seconds.
        """
        database, deadline = self._live.backend.database, time.monotonic() + timeout
        while True:
            with database.changed:
                found = read_state(self._live.backend, path)
                if found and (not states or found[0] in states):
                    return self.run(path)
                left = deadline - time.monotonic()
                if left <= 0:
                    now = found[0] if found else "missing"
                    msg = f"run {path!r} is {now} after {timeout} s, not {' or '.join(states) or 'there'}"
                    raise TimeoutError(msg)
                # A missing heartbeat changes a state too, without a notification.
                silence = max(found[1] + self._settings.heartbeat_timeout - time.time(), 0.01) if found else left
                database.changed.wait(min(left, silence))

    def sweep(self, path: str) -> SweepRecord:
        """Return the sweep at `entity/project/id` as it is now.

        Raises:
            NotFoundError: if it does not exist (a `LookupError`); the message lists the sweeps.
        """
        return read_sweep(self._live.backend, self.url, path)

    def sweeps(self, path: str | None = None) -> list[SweepRecord]:
        """Return the sweeps of the project `entity/project`, or of all projects, oldest first.

        Raises:
            NotFoundError: if the project does not exist (a `LookupError`); the message lists the projects.
        """
        return read_sweeps(self._live.backend, self.url, path)

    def wait_for_sweep(self, path: str, *states: str, timeout: float = 30.0) -> SweepRecord:
        """Block until the sweep at `entity/project/id` exists and is in one of `states` (in any when none is given).

        Raises:
            TimeoutError: if that takes more than `timeout` seconds.
        """
        database, deadline = self._live.backend.database, time.monotonic() + timeout
        while True:
            with database.changed:
                state = read_sweep_state(self._live.backend, path)
                if state and (not states or state in states):
                    return self.sweep(path)
                left = deadline - time.monotonic()
                if left <= 0:
                    wanted = " or ".join(states) or "there"
                    msg = f"sweep {path!r} is {state or 'missing'} after {timeout} s, not {wanted}"
                    raise TimeoutError(msg)
                database.changed.wait(left)

    def delete_sweep(self, path: str) -> None:
        """Delete the sweep at `entity/project/id`: its agents end at their next heartbeat. Its runs stay.

        Raises:
            NotFoundError: if it does not exist (a `LookupError`); the message lists the sweeps.
        """
        delete_sweep(self._live.backend, path)

    def export_history(self, path: str, rows: int | None = None, *, rows_per_file: int = ROWS_PER_FILE) -> int:
        """Export rows of the run at `entity/project/id` to Parquet files now, oldest first.

        Args:
            path: the run.
            rows: the number of rows that are exported afterwards, in all; None for all rows.
            rows_per_file: how many rows a file has at most.

        Returns:
            How many rows are exported now. An export ends before the first row with a value that no column of a
            Parquet file can hold.

        Raises:
            NotFoundError: if the run does not exist (a `LookupError`); the message lists the runs.
            UsageError: if pyarrow is not installed.
        """
        check_pyarrow("export_history()")
        return export_run(self._live.backend, path, rows, rows_per_file)

    def start(self) -> DevServer:
        """Listen, and return once requests are served.

        Raises:
            DevServerError: if the server is already running.
            UsageError: if the host, the port or the data directory cannot be used; the message names it.
        """
        if self._running is not None:
            msg = "this server is already running: stop it first, or create another one"
            raise DevServerError(msg)
        self._running = RunningServer(self._settings)
        return self

    def stop(self) -> None:
        """Stop listening. Does nothing if the server is not running."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def __enter__(self) -> DevServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _live(self) -> RunningServer:
        if self._running is None:
            msg = "this server is not running: call start(), or use it in a with statement"
            raise DevServerError(msg)
        return self._running
