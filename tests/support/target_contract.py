"""Contract of download destinations: what each kind of them does."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from wandb_artifacts._destination.base import Target
from wandb_artifacts._destination.safe_names import safe_paths

OPEN = Callable[[], Target]
NAMES = [
    "config.yaml",
    "media/images/step 1 ü名.png",
    "100%.txt",
    "%2e",
    "a#b&c=d+e~f.txt",
    "[x]{y}^`'$!,;@.txt",
    "../../up",
    "/absolute",
    "C:\\windows\\x",
    "a//b/",
    "con.txt",
    "tab\tnew\nline",
    "half\ud800",
    'what?*<>|":',
    "Case.txt",
    "case.txt",
    "file",
    "file/below",
    "é",
    "e\u0301",
    "x" * 300 + ".pt",
    "/".join(["deep" * 20] * 30) + ".pt",
]


class TargetContract:
    """Inherit it, with a fixture `opening` that gives a function: the same destination, opened anew."""

    @pytest.fixture
    def target(self, opening: OPEN) -> Target:
        target = opening()
        target.prepare()
        return target

    def test_empty(self, target: Target) -> None:
        """Nothing is there at first, and looking for it is not an error."""
        assert target.paths() == []
        assert target.stat("a") is None
        assert target.stat("a/b") is None
        assert target.read("a") is None
        with pytest.raises(FileNotFoundError):
            list(target.chunks("a/b"))

    def test_part(self, target: Target, opening: OPEN) -> None:
        """A file has its final name when it is committed, not before."""
        part = target.part("a/b.bin", "key")
        part.write(b"one ")
        part.write(b"two")
        assert (part.size, part.md5()) == (7, hashlib.md5(b"one two").digest())
        assert target.stat("a/b.bin") is None
        assert target.paths() == []

        stat = part.commit()
        part.close()

        assert stat == target.stat("a/b.bin") == opening().stat("a/b.bin")
        assert stat.size == 7
        assert target.read("a/b.bin") == b"one two"
        assert b"".join(target.chunks("a/b.bin")) == b"one two"
        assert target.paths() == ["a/b.bin"]

    def test_restart(self, target: Target) -> None:
        """Dropped bytes are gone from size, digest and file."""
        part = target.part("a", "key")
        part.write(b"wrong and long")
        part.restart()
        assert (part.size, part.md5()) == (0, hashlib.md5(b"").digest())
        part.write(b"right")
        part.commit()
        part.close()

        assert target.read("a") == b"right"

    @pytest.mark.parametrize("end", ["discard", "close"])
    def test_not_committed(self, target: Target, end: str) -> None:
        """A part that is given up leaves nothing under its final name, and what was there stays."""
        target.write("a", b"before")
        part = target.part("a", "key")
        part.write(b"after")
        getattr(part, end)()
        part.close()

        assert target.read("a") == b"before"
        assert target.paths() == ["a"]

    def test_discarded_part_is_not_resumed(self, target: Target, opening: OPEN) -> None:
        part = target.part("a", "key")
        part.write(b"x")
        part.discard()
        again = opening().part("a", "key")
        size = again.size
        again.close()

        assert size == 0

    def test_other_contents_resume_nothing(self, target: Target, opening: OPEN) -> None:
        """A part is of one path and one key; without a key it is of this call only."""
        for path, key in (("a", "key"), ("b", "")):
            part = target.part(path, key)
            part.write(b"xyz")
            part.close()

        for path, key in (("a", "other"), ("a", ""), ("b", "key"), ("b", "")):
            part = opening().part(path, key)
            assert part.size == 0
            part.close()

    def test_write(self, target: Target) -> None:
        """A small file replaces what was there; its stamp changes whenever it has other contents."""
        first = target.write("a/b", b"one")
        second = target.write("a/b", b"two")

        assert target.read("a/b") == b"two"
        assert target.stat("a/b") == second
        assert first.size == second.size
        assert first.stamp != second.stamp

    def test_empty_file(self, target: Target) -> None:
        part = target.part("a")
        stat = part.commit()
        part.close()

        assert stat.size == target.write("b", b"").size == 0
        assert target.read("a") == target.read("b") == b""
        assert target.paths() == ["a", "b"]

    def test_within(self, target: Target) -> None:
        """A folder of a target is a target."""
        inner = target.within("runs").within("abc")
        inner.prepare()
        inner.write("x/y", b"1")
        part = inner.part("z", "key")
        part.write(b"2")
        part.commit()
        part.close()
        inner.tidy()

        assert inner.paths() == ["x/y", "z"]
        assert target.paths() == ["runs/abc/x/y", "runs/abc/z"]
        assert target.read("runs/abc/z") == inner.read("z") == b"2"
        assert inner.url == f"{target.url}/runs/abc"

    def test_a_folder_is_no_file(self, target: Target) -> None:
        target.write("a/b", b"1")

        assert target.stat("a") is None
        assert target.read("a/b/c") is None
        assert target.stat("a/b/c") is None

    def test_names(self, target: Target) -> None:
        """Whatever a file is called at W&B: it arrives, is found again and listed under the path that it was given."""
        paths = safe_paths(NAMES)
        for number, path in enumerate(paths.values()):
            target.write(path, b"%d" % number)

        assert target.paths() == sorted(paths.values())
        for number, path in enumerate(paths.values()):
            assert target.read(path) == b"%d" % number
            assert target.stat(path) is not None

    def test_large_part(self, target: Target) -> None:
        """Larger than what a store takes in one request."""
        piece = bytes(range(256)) * 4096
        part = target.part("large.bin", "key")
        for _ in range(12):
            part.write(piece)
        stat = part.commit()
        part.close()
        digest = hashlib.md5()
        for chunk in target.chunks("large.bin"):
            digest.update(chunk)

        assert stat.size == 12 * len(piece)
        assert digest.digest() == hashlib.md5(piece * 12).digest()

    def test_threads(self, target: Target) -> None:
        """Several files at the same time, each by whatever thread is free."""
        start = threading.Barrier(4)

        def one(number: int) -> None:
            start.wait(30)
            for index in range(5):
                target.write(f"{index}/{number}", b"%d" % number)
                part = target.part(f"{index}/{number}.part", "key")
                part.write(b"%d" % number)
                part.commit()
                part.close()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(4)))

        assert len(target.paths()) == 40
        assert all(target.read(f"{index}/{number}.part") == b"%d" % number for index in range(5) for number in range(4))

    def test_lock_and_tidy(self, target: Target) -> None:
        """A download locks, writes, tidies up and lets go, in whatever thread."""
        with ThreadPoolExecutor(1) as pool:
            lock = target.lock()
            pool.submit(lock.__enter__).result()
            target.write("a", b"1")
            target.tidy()
            lock.__exit__(None, None, None)
            lock = target.lock()
            pool.submit(lock.__enter__).result()
            lock.__exit__(None, None, None)
            with target.lock():
                target.tidy()

        assert target.paths() == ["a"]
        with target.lock():
            assert target.read("a") == b"1"

    def test_listing_is_fresh(self, target: Target, opening: OPEN) -> None:
        """Files that another process or object wrote meanwhile are seen."""
        other = opening()
        assert target.paths() == other.paths() == []
        assert target.stat("a") is None
        first = other.write("a", b"1")
        assert target.paths() == ["a"]
        assert target.stat("a") == first
        second = target.write("a", b"two")
        assert other.stat("a") == second
        assert other.read("a") == b"two"
