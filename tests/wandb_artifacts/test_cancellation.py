"""Cancelled calls: no use of closed descriptors, no waiting for a destination that hangs."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from wandb_artifacts import DeadlineError, DestinationError, InvalidValueError, download_run, verify_download
from wandb_artifacts._asyncio import for_each, to_thread
from wandb_artifacts._destination.open import open_target

from tests.wandb_artifacts.hostile_server import BODY, HostileServer, file_node, open_hostile_server, page, send

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SlowDisk:
    """Writes to descriptors in steps, and counts the uses of closed ones."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: set[int] = set()
        self.violations = 0
        self.writes = 0

    async def call(self) -> None:
        """Open a file, write to it in a thread, and close it, as a download does."""
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT)
        self._open.add(fd)
        try:
            await to_thread(self._write, fd)
        finally:
            self._open.discard(fd)
            os.close(fd)

    def _write(self, fd: int) -> None:
        pause = threading.Event()
        for _ in range(3):
            pause.wait(0.001)
            self.violations += fd not in self._open
            os.write(fd, b"x")
            self.writes += 1


@pytest.mark.parametrize("seed", range(5))
def test_cancelled_call_waits_for_its_threads(tmp_path: Path, seed: int) -> None:
    disk, chance = SlowDisk(tmp_path / "file"), random.Random(seed)

    async def cancelled_often() -> None:
        pool = for_each(range(4), lambda _: disk.call(), workers=chance.randint(1, 4))
        task = asyncio.ensure_future(pool)
        for _ in range(chance.randint(1, 20)):
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def main() -> None:
        await asyncio.gather(*(cancelled_often() for _ in range(50)))

    asyncio.run(main())
    assert disk.writes > 0
    assert disk.violations == 0


def test_repeated_cancellation_waits_for_the_thread() -> None:
    started, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        release.wait(30)
        ended.set()

    async def main() -> None:
        task = asyncio.ensure_future(to_thread(work))
        await asyncio.to_thread(started.wait, 30)
        for _ in range(5):
            task.cancel()
            await asyncio.sleep(0.01)
        assert not task.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(main())


class StuckFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec is not typed
    """Hangs in one of its methods, like a store that never responds."""

    protocol = "stuck"
    store: ClassVar[dict[str, Any]] = {}
    method = ""
    release = threading.Event()

    def __getattribute__(self, name: str) -> Any:
        if name == type(self).method:
            type(self).release.wait(120)
        return super().__getattribute__(name)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StuckFileSystem]]:
    fsspec.register_implementation("stuck", StuckFileSystem, clobber=True)
    monkeypatch.setattr(StuckFileSystem, "release", threading.Event())
    yield StuckFileSystem
    StuckFileSystem.release.set()
    StuckFileSystem.method = ""
    StuckFileSystem.clear_instance_cache()


@pytest.mark.parametrize("method", ["_strip_protocol", "makedirs", "info", "pipe_file", "put_file", "cat_file"])
def test_deadline_applies_to_a_destination_that_hangs(
    stuck: type[StuckFileSystem], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with open_hostile_server(monkeypatch) as server:
        large = file_node(server.url, "large", b"x" * 2_000_000)
        server.documents["Run"]["project"]["run"]["files"] = page(file_node(server.url), large)
        server.send = large_body
        if method == "cat_file":
            # Only a manifest of an earlier download is read.
            download_run("e/p/r", f"stuck://{method}")
        stuck.method = method

        with pytest.raises(DeadlineError):
            download_run("e/p/r", f"stuck://{method}", deadline=0.5)


def large_body(server: HostileServer, handler: Any) -> None:
    send(handler, b"x" * 2_000_000 if handler.path.endswith("large") else BODY)


def test_verification_of_a_hanging_destination_can_be_cancelled(
    stuck: type[StuckFileSystem], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_hostile_server(monkeypatch):
        download_run("e/p/r", "stuck://verify")
    stuck.method = "cat_file"

    async def main() -> None:
        await asyncio.wait_for(verify_download.aio("stuck://verify"), 0.5)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(main())


@pytest.mark.parametrize("place", ["local", "memory://sizes"])
def test_part_changed_by_another_process_is_not_committed(tmp_path: Path, place: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    target = open_target(tmp_path / "local" if place == "local" else place, {})
    target.prepare()
    part = target.part("a", "key")
    part.write(b"12345")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 1
    with files[0].open("ab") as file:
        file.write(b"6")

    with pytest.raises(DestinationError, match="has 6 bytes, and 5 were written"):
        part.commit()
    part.close()

    assert target.stat("a") is None
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


@pytest.mark.parametrize("text", ["s3:bucket/folder", "ftp:host/folder", "FILE:/folder", "gs:/bucket", "https:/host"])
def test_destination_url_without_slashes_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="looks like a URL without slashes"):
        open_target(text, {})


@pytest.mark.parametrize("text", ["a:b", "data:v2", "runs/s3:x", "./s3:x"])
def test_folders_with_a_colon_are_paths(text: str) -> None:
    assert open_target(text, {}).url.endswith(text.removeprefix("./"))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "file:///etc/passwd", "s3://b/a", "", "data:,x", None])
def test_file_urls_of_other_schemes_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str | None
) -> None:
    with open_hostile_server(monkeypatch) as server:
        server.documents["Run"]["project"]["run"]["files"] = page({**file_node(server.url), "url": url})

        with pytest.raises(Exception, match="a file URL that is not valid for http or https"):
            download_run("e/p/r", tmp_path, include_history=False)

        assert len(server.requests) == 1
