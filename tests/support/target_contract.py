"""Contract of download destinations."""

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
    """Tests for a class with a fixture `opening`: a function that opens the same destination again."""

    @pytest.fixture
    def target(self, opening: OPEN) -> Target:
        target = opening()
        target.prepare()
        return target

    def test_new_destination_is_empty(self, target: Target) -> None:
        """Reading a missing file is not an error."""
        assert target.paths() == []
        assert target.stat("a") is None
        assert target.stat("a/b") is None
        assert target.read("a") is None
        with pytest.raises(FileNotFoundError):
            list(target.chunks("a/b"))

    def test_part_gets_its_name_on_commit(self, target: Target, opening: OPEN) -> None:
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

    def test_restart_drops_the_written_bytes(self, target: Target) -> None:
        """Size, digest and file no longer have them."""
        part = target.part("a", "key")
        part.write(b"wrong and long")
        part.restart()
        assert (part.size, part.md5()) == (0, hashlib.md5(b"").digest())
        part.write(b"right")
        part.commit()
        part.close()

        assert target.read("a") == b"right"

    @pytest.mark.parametrize("end", ["discard", "close"])
    def test_uncommitted_part_keeps_the_existing_file(self, target: Target, end: str) -> None:
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

    def test_part_is_resumed_only_for_its_path_and_key(self, target: Target, opening: OPEN) -> None:
        """A part without a key is never resumed."""
        for path, key in (("a", "key"), ("b", "")):
            part = target.part(path, key)
            part.write(b"xyz")
            part.close()

        for path, key in (("a", "other"), ("a", ""), ("b", "key"), ("b", "")):
            part = opening().part(path, key)
            assert part.size == 0
            part.close()

    def test_write_replaces_the_file(self, target: Target) -> None:
        """The stamp changes whenever the contents do."""
        first = target.write("a/b", b"one")
        second = target.write("a/b", b"two")

        assert target.read("a/b") == b"two"
        assert target.stat("a/b") == second
        assert first.size == second.size
        assert first.stamp != second.stamp

    def test_empty_files_can_be_stored(self, target: Target) -> None:
        part = target.part("a")
        stat = part.commit()
        part.close()

        assert stat.size == target.write("b", b"").size == 0
        assert target.read("a") == target.read("b") == b""
        assert target.paths() == ["a", "b"]

    def test_folder_of_a_destination_is_a_destination(self, target: Target) -> None:
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

    def test_folder_is_not_a_file(self, target: Target) -> None:
        target.write("a/b", b"1")

        assert target.stat("a") is None
        assert target.read("a/b/c") is None
        assert target.stat("a/b/c") is None

    def test_stats_of_many_files_are_those_of_each(self, target: Target) -> None:
        """Missing files, folders and names that no file can have are left out."""
        for path in ("a", "sub/b", "sub/c"):
            target.write(path, path.encode())
        paths = ["sub/c", "a", "missing", "sub", "sub/missing", "none/b", "a/b", "sub/b"]

        found = target.stats(paths)

        assert found == {path: target.stat(path) for path in ("a", "sub/b", "sub/c")}

    def test_any_name_can_be_stored_and_listed(self, target: Target) -> None:
        """Every file is found under the path that `safe_paths` returned."""
        paths = safe_paths(NAMES)
        for number, path in enumerate(paths.values()):
            target.write(path, b"%d" % number)

        assert target.paths() == sorted(paths.values())
        for number, path in enumerate(paths.values()):
            assert target.read(path) == b"%d" % number
            assert target.stat(path) is not None

    def test_large_file_can_be_stored(self, target: Target) -> None:
        """It is larger than one request to a store."""
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

    def test_threads_can_store_files_at_once(self, target: Target) -> None:
        """Any thread may write, commit or close a part."""
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

    def test_lock_can_be_taken_and_released_in_any_thread(self, target: Target) -> None:
        """A download locks, writes, tidies up and unlocks."""
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

    def test_files_of_other_writers_are_visible(self, target: Target, opening: OPEN) -> None:
        """Another process or object may write to the destination."""
        other = opening()
        assert target.paths() == other.paths() == []
        assert target.stat("a") is None
        first = other.write("a", b"1")
        assert target.paths() == ["a"]
        assert target.stat("a") == first
        second = target.write("a", b"two")
        assert other.stat("a") == second
        assert other.read("a") == b"two"
