"""Remote destinations that fail: uploads are verified and retried."""

import hashlib
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import register_implementation
from wandb_artifacts._destination.base import Stat, Target
from wandb_artifacts._destination.open import open_target
from wandb_artifacts._errors import DestinationError


class Faulty(MemoryFileSystem):  # type: ignore[misc]
    """A store with tags, which applies one of `faults` to each upload."""

    protocol = "faulty"
    faults: ClassVar[deque[Callable[[bytes], bytes]]] = deque()
    sent: ClassVar[list[bytes]] = []
    opened: ClassVar[list[str]] = []
    tag: Callable[[bytes], str] = staticmethod(lambda data: hashlib.md5(data).hexdigest())
    busy = threading.Lock()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("faulty://").strip("/")

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        if not self.busy.acquire(blocking=False):
            msg = "two requests at the same time"
            raise ValueError(msg)
        try:
            self.sent.append(value)
            super().pipe_file(path, self.faults.popleft()(value) if self.faults else value, mode, **kwargs)
        finally:
            self.busy.release()

    def put_file(self, lpath: str, rpath: str, **kwargs: Any) -> None:
        self.pipe_file(rpath, Path(lpath).read_bytes(), **kwargs)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().info(path, **kwargs)
        if found["type"] == "file":
            found["ETag"] = f'"{type(self).tag(self.store[self._strip_protocol(path)].getvalue())}"'
        return found

    def open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode == "rb":
            self.opened.append(path)
        return super().open(path, mode, **kwargs)


register_implementation("faulty", Faulty, clobber=True)


def corrupted(data: bytes) -> bytes:
    return data[:-1] + b"?"


def cut(data: bytes) -> bytes:
    return data[:-1]


def refused(data: bytes) -> bytes:
    msg = "slow down"
    raise OSError(msg)


def forbidden(data: bytes) -> bytes:
    msg = "not with this key"
    raise PermissionError(msg)


@pytest.fixture
def target() -> Iterator[Target]:
    yield open_target(f"faulty://{uuid.uuid4().hex}", {})
    Faulty.faults.clear()
    Faulty.sent.clear()
    Faulty.opened.clear()
    Faulty.tag = staticmethod(lambda data: hashlib.md5(data).hexdigest())


def by_write(target: Target) -> Stat:
    return target.write("a", b"data")


def by_part(target: Target) -> Stat:
    part = target.part("a", "key")
    try:
        part.write(b"data")
        return part.commit()
    finally:
        part.close()


ways = pytest.mark.parametrize("send", [by_write, by_part])


@ways
@pytest.mark.parametrize("fault", [corrupted, cut, refused])
def test_failed_uploads_are_retried(
    target: Target, send: Callable[[Target], Stat], fault: Callable[[bytes], bytes]
) -> None:
    """Data that arrives altered, or not at all, is sent again."""
    Faulty.faults.extend([fault, fault])

    stat = send(target)

    assert Faulty.sent == [b"data"] * 3
    assert target.read("a") == b"data"
    assert stat == target.stat("a")


@ways
@pytest.mark.parametrize(
    ("fault", "attempts", "message"),
    [
        (corrupted, 3, "the stored data differs from what was sent"),
        (cut, 3, "3 bytes were stored of 4 sent"),
        (refused, 3, "slow down"),
        (forbidden, 1, "access denied; check the credentials and storage_options"),
    ],
)
def test_failed_upload_raises_after_its_attempts(
    target: Target, send: Callable[[Target], Stat], fault: Callable[[bytes], bytes], attempts: int, message: str
) -> None:
    """A permanent error is not retried."""
    Faulty.faults.extend([fault] * 5)

    with pytest.raises(DestinationError, match=message) as caught:
        send(target)

    assert len(Faulty.sent) == attempts
    assert f"{target.url}/a" in str(caught.value)


def test_tags_that_are_not_digests_are_detected_once(target: Target) -> None:
    """A store that encrypts has such tags: the first file is read back, the others are not."""
    Faulty.tag = staticmethod(lambda data: hashlib.md5(b"secret" + data).hexdigest())
    target.write("a", b"1")
    assert len(Faulty.opened) == 1
    target.write("b", b"2")

    assert len(Faulty.opened) == 1


def test_synchronous_store_gets_one_request_at_a_time(target: Target) -> None:
    """Such a filesystem may have a single connection."""
    never = threading.Event()

    def slow(data: bytes) -> bytes:
        never.wait(0.2)
        return data

    Faulty.faults.append(slow)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: target.write(f"{number}", b"x"), range(4)))

    assert target.paths() == ["0", "1", "2", "3"]
