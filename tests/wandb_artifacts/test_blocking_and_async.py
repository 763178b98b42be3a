"""Blocking and awaited calls, and calls that end early."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from wandb_artifacts import Progress, download_run, download_sweep, verify_download
from wandb_devserver import Fault

if TYPE_CHECKING:
    from tests.wandb_artifacts.wandb_backend import WandbBackend

LARGE = os.urandom(4 * 1024 * 1024)

SCRIPT = """
import sys
from wandb_artifacts import download_run
def report(progress):
    print(progress.name, progress.received, progress.state, flush=True)
download_run(sys.argv[1], sys.argv[2], progress=report, jobs=1, include_history=False)
"""


def test_awaited_call_does_not_block_the_loop(backend: WandbBackend, tmp_path: Path) -> None:
    path = backend.run(files={"a": LARGE})
    backend.server.faults.add(Fault("download", delay=0.5))

    async def main() -> int:
        ticks = 0
        task = asyncio.ensure_future(download_run.aio(path, tmp_path))
        while not task.done():
            await asyncio.sleep(0.001)
            ticks += 1
        await task
        return ticks

    assert asyncio.run(main()) > 50
    assert (tmp_path / "a").read_bytes() == LARGE


def test_blocking_call_works_inside_a_running_loop(backend: WandbBackend, tmp_path: Path) -> None:
    """Notebooks run cells in such a loop."""
    path = backend.run(files={"a": b"a"})

    async def cell() -> None:
        download_run(path, tmp_path)

    asyncio.run(cell())
    assert (tmp_path / "a").read_bytes() == b"a"


def test_cancelled_call_ends_and_leaves_no_partial_file(backend: WandbBackend, tmp_path: Path) -> None:
    """It ends while the server still hangs; the next call continues the download."""
    path = backend.run(files={"a": LARGE, "b": b"b"})
    fault = backend.server.faults.add(Fault("download", target="b", delay=100.0))

    async def main() -> None:
        task = asyncio.ensure_future(download_run.aio(path, tmp_path, include_history=False))
        await asyncio.to_thread(backend.server.requests.wait, "download")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(main(), 60))
    assert backend.server.faults.fired(fault) == 1
    assert not (tmp_path / "b").exists()

    backend.server.faults.clear()
    download_run(path, tmp_path)
    assert (tmp_path / "a").read_bytes() == LARGE


def test_cancelled_call_leaves_no_unawaited_coroutine(backend: WandbBackend, tmp_path: Path) -> None:
    """A coroutine that was never awaited would cause a warning."""
    path = backend.sweep(["r", "s"], files={"a": b"a", "b": b"b"}, rows=[{"x": 1}])
    backend.server.faults.add(Fault("download", delay=100.0, count=None))

    async def main() -> None:
        task = asyncio.ensure_future(download_sweep.aio(path, tmp_path, jobs=2))
        await asyncio.to_thread(backend.server.faults.wait, count=2, timeout=5.0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(main(), 60))
    gc.collect()


def test_cancelled_call_releases_the_lock(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is released even while the exception is still referenced."""
    path = backend.run(files={"a": b"a"})
    taken, cancelled, acquire = threading.Event(), threading.Event(), FileLock.acquire

    def slow(self: FileLock, *args: Any, **kwargs: Any) -> object:
        found = acquire(self, *args, **kwargs)
        taken.set()
        cancelled.wait(30)
        return found

    monkeypatch.setattr(FileLock, "acquire", slow)

    async def main() -> None:
        task = asyncio.ensure_future(download_run.aio(path, tmp_path))
        await asyncio.to_thread(taken.wait, 30)
        task.cancel()
        await asyncio.sleep(0)
        cancelled.set()
        await task

    with pytest.raises(asyncio.CancelledError) as info:
        asyncio.run(main())

    download_run(path, tmp_path)
    assert info.tb
    assert (tmp_path / "a").read_bytes() == b"a"


def test_failed_start_of_a_loop_raises(backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without free descriptors refuses another event loop."""

    def refuse() -> None:
        raise OSError(errno.EMFILE, "too many open files")

    async def cell() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.events, "new_event_loop", refuse)
            download_run(backend.path("r"), tmp_path)

    with pytest.raises(OSError, match="too many"):
        asyncio.run(cell())


@pytest.mark.parametrize("moment", range(4))
def test_killed_download_leaves_no_partial_file(backend: WandbBackend, tmp_path: Path, moment: int) -> None:
    """This holds for kill -9 at any point; the next call continues the download."""
    files = {f"f{index}": os.urandom(3 * 1024 * 1024 + index) for index in range(3)}
    path = backend.run(files=files)
    backend.server.faults.add(Fault("download", drop_after=1024 * 1024 * (moment + 1), count=2))
    command = [sys.executable, "-c", SCRIPT, path, str(tmp_path / "to")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(moment * 3 + 1):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)

    for name, data in files.items():
        final = tmp_path / "to" / name
        assert not final.exists() or final.read_bytes() == data

    download_run(path, tmp_path / "to", include_history=False)
    assert {name: (tmp_path / "to" / name).read_bytes() for name in files} == files
    assert verify_download(tmp_path / "to").is_good
    assert not (tmp_path / "to" / ".wandb-artifacts").exists()


def test_exception_of_the_progress_callback_is_raised(backend: WandbBackend, tmp_path: Path) -> None:
    path = backend.run(files={"a": b"a"})

    def fail(_: Progress) -> None:
        msg = "mine"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="mine"):
        download_run(path, tmp_path, progress=fail)
