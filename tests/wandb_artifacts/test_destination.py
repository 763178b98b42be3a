"""Destinations: a local folder, and fsspec's memory filesystem for all others."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb_artifacts import InvalidValueError
from wandb_artifacts._destination.base import Target
from wandb_artifacts._destination.open import open_target
from wandb_artifacts._destination.store import FileDetails
from wandb_artifacts._destination.url import DestinationUrl
from wandb_artifacts._download.folders import private_folder
from wandb_artifacts._errors import DestinationError

from tests.support.target_contract import OPEN, TargetContract

posix = pytest.mark.skipif(os.name == "nt", reason="needs the permissions and links of POSIX")
unprivileged = pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root is denied nothing")


class TestLocal(TargetContract):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> OPEN:
        return lambda: open_target(tmp_path / "some" / "folder", {})


class TestFileUrl(TargetContract):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> OPEN:
        return lambda: open_target((tmp_path / "some folder").as_uri(), {})


class TestMemory(TargetContract):
    @pytest.fixture
    def opening(self) -> OPEN:
        url = f"memory://{uuid.uuid4().hex}/folder"
        return lambda: open_target(url, {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture
def target(root: Path) -> Target:
    target = open_target(root, {})
    target.prepare()
    return target


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder outside of the destination, with a file that no download may change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_bytes(b"precious")
    return folder


def assert_untouched(outside: Path) -> None:
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_bytes() == b"precious"


def work_files(root: Path) -> set[str]:
    work = root / ".wandb-artifacts"
    return {path.name for path in work.iterdir()} if work.exists() else set()


# Resuming


def test_part_is_resumed(root: Path, target: Target) -> None:
    """The part of an earlier call and its digest are found again; more is appended to it."""
    part = target.part("a/b", "key")
    part.write(b"one ")
    part.close()
    part.close()

    again = open_target(root, {}).part("a/b", "key")
    assert (again.size, again.md5()) == (4, hashlib.md5(b"one ").digest())
    again.write(b"two")
    again.commit()
    again.close()

    assert target.read("a/b") == b"one two"
    assert work_files(root) == set()


def test_part_without_a_key_is_never_resumed(root: Path, target: Target) -> None:
    """This holds also for a part that a killed call left."""
    left = target.part("a")
    left.write(b"1")

    part = open_target(root, {}).part("a")
    size = part.size
    part.close()
    left.close()

    assert size == 0


def test_tidy_removes_parts_and_the_work_folder(root: Path, target: Target) -> None:
    """After a complete download only its files are left."""
    with target.lock():
        part = target.part("a", "old key")
        part.write(b"1")
        part.close()
        target.write("b", b"2")
    assert len(work_files(root)) == 2

    with target.lock():
        target.tidy()

    assert [path.name for path in root.iterdir()] == ["b"]


def test_tidy_of_a_folder_keeps_other_parts(target: Target) -> None:
    part = target.within("a").part("x", "key")
    part.write(b"1")
    part.close()
    target.within("b").tidy()
    again = target.within("a").part("x", "key")
    size = again.size
    again.close()

    assert size == 1


def test_part_folder_is_not_listed(target: Target) -> None:
    """Paths come from `safe_names`, so they never collide with the folder of parts."""
    part = target.within("run").part("x", "key")
    part.write(b"1")
    part.close()

    assert target.paths() == []
    assert target.within("run").paths() == []


KILLED = """
import os, signal, sys
from wandb_artifacts._destination.open import open_target
target = open_target(sys.argv[1], {})
target.prepare()
lock = target.lock()
lock.__enter__()
part = target.part("folder/file", "key")
part.write(b"new " * 1000)
if sys.argv[2] == "lock":
    print("ready", flush=True)
    sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_download(root: Path, until: str = "write") -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", KILLED, str(root), until]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@posix
def test_uncommitted_part_survives_sigkill(root: Path, target: Target) -> None:
    """It does not get its final name; the next call finds the part and takes the lock."""
    target.write("folder/file", b"old")
    with killed_download(root) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL

    assert target.read("folder/file") == b"old"
    with target.lock():
        part = target.part("folder/file", "key")
        assert part.size == 4000
        part.commit()
        part.close()
        target.tidy()
    assert target.read("folder/file") == b"new " * 1000
    assert work_files(root) == set()


@posix
def test_lock_excludes_another_process(root: Path, target: Target) -> None:
    """A killed process releases it."""
    with killed_download(root, "lock") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(DestinationError, match="another download is using it"), target.lock():
            pass
        process.kill()
        process.communicate(timeout=60)

    with target.lock():
        pass


def test_lock_excludes_another_call_of_the_process(root: Path, target: Target) -> None:
    with target.lock():
        with pytest.raises(DestinationError) as caught, open_target(root, {}).lock():
            pass
        target.tidy()
        with pytest.raises(DestinationError), open_target(root, {}).lock():
            pass

    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(root.iterdir()) == []


def test_lock_file_is_removed_only_after_a_complete_download(root: Path, target: Target) -> None:
    for tidy in (True, False, True):
        with target.lock():
            if tidy:
                target.tidy()
        assert [path.name for path in root.iterdir()] == ([] if tidy else [".wandb-artifacts"])


# Links and files in place of folders


@posix
def test_destination_may_be_a_link(tmp_path: Path, root: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    root.symlink_to(real)
    target = open_target(root, {})
    target.prepare()
    with target.lock():
        target.write("a/b", b"1")
        target.tidy()

    assert (real / "a" / "b").read_bytes() == b"1"
    assert target.paths() == ["a/b"]
    assert target.url == str(root)


@posix
@pytest.mark.parametrize("kind", ["write", "part"])
def test_link_in_place_of_a_file_is_replaced(root: Path, target: Target, outside: Path, kind: str) -> None:
    (root / "a").symlink_to(outside / "precious")
    assert target.stat("a") is None
    assert target.read("a") is None
    assert target.paths() == []

    if kind == "write":
        target.write("a", b"mine")
    else:
        part = target.part("a", "key")
        part.write(b"mine")
        part.commit()
        part.close()

    assert not (root / "a").is_symlink()
    assert target.read("a") == b"mine"
    assert_untouched(outside)


@posix
def test_link_in_place_of_a_folder_is_refused(root: Path, target: Target, outside: Path) -> None:
    """Nothing is read or written through it, at any depth."""
    (root / "a").mkdir()
    (root / "a" / "link").symlink_to(outside)

    with pytest.raises(DestinationError, match="is a symbolic link") as caught:
        target.write("a/link/x", b"1")
    assert str(root / "a" / "link") in str(caught.value)
    with pytest.raises(DestinationError):
        target.within("a/link").prepare()
    with pytest.raises(DestinationError), target.within("a/link").lock():
        pass
    assert target.stat("a/link/precious") is None
    assert target.read("a/link/precious") is None
    assert target.paths() == []
    assert_untouched(outside)


@posix
def test_linked_work_folder_is_refused(root: Path, target: Target, outside: Path) -> None:
    """Nothing is stored, locked or removed through it."""
    (root / ".wandb-artifacts").symlink_to(outside)

    with pytest.raises(DestinationError, match="is a symbolic link"):
        target.write("a", b"1")
    with pytest.raises(DestinationError), target.lock():
        pass
    target.tidy()
    assert_untouched(outside)


@posix
def test_linked_lock_is_refused(root: Path, target: Target, outside: Path) -> None:
    (root / ".wandb-artifacts").mkdir()
    (root / ".wandb-artifacts" / "lock").symlink_to(outside / "precious")
    (root / ".wandb-artifacts" / "other").symlink_to(outside / "new")

    with pytest.raises(DestinationError), target.lock():
        pass
    assert_untouched(outside)


@posix
@pytest.mark.parametrize("kind", ["symbolic", "hard", "pipe"])
def test_foreign_file_in_place_of_a_part_is_not_resumed(root: Path, target: Target, outside: Path, kind: str) -> None:
    """Only a regular file of this folder is resumed."""
    part = target.part("a", "key")
    part.write(b"1")
    part.close()
    (name,) = work_files(root)
    file = root / ".wandb-artifacts" / name
    file.unlink()
    if kind == "symbolic":
        file.symlink_to(outside / "precious")
    elif kind == "hard":
        file.hardlink_to(outside / "precious")
    else:
        os.mkfifo(file)

    part = target.part("a", "key")
    assert part.size == 0
    part.write(b"mine")
    part.commit()
    part.close()

    assert target.read("a") == b"mine"
    assert_untouched(outside)


@posix
def test_folder_replaced_by_a_link_is_refused(root: Path, target: Target, outside: Path) -> None:
    """The link appears between the beginning of a file and its end."""
    target.write("a/x", b"1")
    part = target.part("a/b", "key")
    part.write(b"2")
    (root / "a").rename(root / "moved")
    (root / "a").symlink_to(outside)

    with pytest.raises(DestinationError, match="is a symbolic link"):
        part.commit()
    part.close()
    assert_untouched(outside)


@posix
def test_pipe_is_not_a_file(root: Path, target: Target) -> None:
    """Reading does not wait for a writer."""
    os.mkfifo(root / "a")

    assert target.stat("a") is None
    assert target.read("a") is None
    assert target.paths() == []


def test_folder_in_place_of_a_file_is_refused(root: Path, target: Target) -> None:
    (root / "a").mkdir()

    with pytest.raises(DestinationError, match="a folder has the name of the file") as caught:
        target.write("a", b"1")
    assert str(root / "a") in str(caught.value)
    assert (root / "a").is_dir()


def test_file_in_place_of_a_folder_is_refused(root: Path, target: Target) -> None:
    target.write("a", b"1")

    with pytest.raises(DestinationError, match="it is a file, not a folder") as caught:
        target.write("a/b/c", b"2")
    assert str(root / "a") in str(caught.value)
    assert target.read("a") == b"1"


def test_file_in_place_of_the_destination_is_refused(root: Path) -> None:
    root.write_bytes(b"1")

    with pytest.raises(DestinationError, match="a file has the name of the folder"):
        open_target(root, {}).prepare()
    with pytest.raises(DestinationError):
        open_target(root / "below", {}).prepare()


# Errors of the operating system


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small file system cannot be mounted: {error}")
    yield disk
    # Lazily: a test that fails leaves files open.
    subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=30)


def test_full_disk_raises_and_keeps_existing_files(small_disk: Path) -> None:
    """The error is one line, and the part counts the bytes that were written."""
    target = open_target(small_disk, {})
    target.prepare()
    target.write("a", b"old")
    part = target.part("a", "key")
    with pytest.raises(DestinationError, match="no space left") as caught:
        part.write(bytes(2 * 1024 * 1024))
    assert caught.value.errno == errno.ENOSPC
    assert "\n" not in str(caught.value)
    written, digest = part.size, part.md5()
    part.close()

    again = target.part("a", "key")
    assert 0 < again.size == written
    assert again.md5() == digest
    again.discard()
    assert target.read("a") == b"old"
    with pytest.raises(DestinationError, match="no space left"):
        target.write("b", bytes(2 * 1024 * 1024))
    assert target.paths() == ["a"]
    assert work_files(small_disk) == set()


TOO_LARGE = """
import resource, sys
from wandb_artifacts._errors import DestinationError
from wandb_artifacts._destination.open import open_target
target = open_target(sys.argv[1], {})
target.prepare()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
part = target.part("a", "key")
try:
    part.write(bytes(150_000))
except DestinationError as error:
    print(error.errno, part.size, error)
part.close()
"""


@posix
def test_file_size_limit_raises(root: Path) -> None:
    """The limit of a process stands for a quota; it is reached in the middle of a write."""
    command = [sys.executable, "-c", TOO_LARGE, str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)

    assert done.stdout.startswith(f"{errno.EFBIG} 100000 Cannot write {root / 'a'}: the file exceeds the size limit")
    assert open_target(root, {}).paths() == []


@unprivileged
def test_missing_permission_raises(root: Path) -> None:
    root.mkdir(mode=0o500)

    with pytest.raises(DestinationError, match="permission denied") as caught:
        open_target(root, {}).prepare()
    assert caught.value.errno == errno.EACCES


@posix
def test_permissions_follow_the_umask(root: Path) -> None:
    before = os.umask(0o027)
    try:
        target = open_target(root, {})
        target.prepare()
        target.write("a/b", b"1")
    finally:
        os.umask(before)

    assert root.stat().st_mode & 0o777 == 0o750
    assert (root / "a").stat().st_mode & 0o777 == 0o750
    assert (root / "a" / "b").stat().st_mode & 0o777 == 0o640


def test_impossible_paths_of_a_manifest_do_not_exist(target: Target) -> None:
    """Anybody may have written the manifest."""
    for path in ("half\ud800", "x" * 300, "/".join(["x" * 200] * 30)):
        assert target.stat(path) is None
        assert target.read(path) is None


# Parsing of destinations


def test_local_paths_are_resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path is relative to the current folder, and '~' is the home directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))

    assert open_target("x/../y", {}).url == str(tmp_path / "y")
    assert open_target(Path("y"), {}).url == str(tmp_path / "y")
    assert open_target("~/y", {}).url == str(tmp_path / "home" / "y")
    assert open_target((tmp_path / "a b").as_uri(), {}).url == str(tmp_path / "a b")
    assert open_target(f"FILE://localhost{tmp_path}/a", {}).url == str(tmp_path / "a")
    # A drive of Windows is not a protocol.
    assert type(open_target("C:\\x", {})) is type(open_target("C:/x", {})) is type(open_target("x", {}))


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("", "must be a path"),
        (" ", "must be a path"),
        (b"x", "must be a path"),
        (None, "must be a path"),
        ("a\0b", "null character"),
        ("nosuch://x", "fsspec does not know nosuch://"),
        ("simplecache::memory://x", "chain of file systems"),
        ("file://host/x", "has a host"),
    ],
)
def test_invalid_destination_is_refused(destination: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        open_target(destination, {})

    assert caught.value.field == "destination"


def test_missing_driver_raises_with_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.registry import known_implementations

    monkeypatch.setitem(known_implementations, "absent", {"class": "no_such_module.X", "err": "Install absentfs"})

    with pytest.raises(InvalidValueError, match=r"needs a package that is not installed: Install absentfs"):
        open_target("absent://bucket/x", {})


def test_errors_do_not_show_credentials() -> None:
    """Neither credentials of the URL nor those of the options."""
    url = "ftp://user:p%40ss@127.0.0.1:1/x"
    with pytest.raises(DestinationError, match=r"Cannot open ftp://127.0.0.1:1/x: ") as caught:
        open_target(url, {})
    assert "user" not in str(caught.value)
    with pytest.raises(InvalidValueError, match=r"fsspec does not know nosuch://") as refused:
        open_target("nosuch://user:hunter2@host/x?token=abc", {})
    assert "hunter2" not in str(refused.value)
    assert "abc" not in str(refused.value)

    parsed = DestinationUrl(url, {"secret": "S3CRET", "client_kwargs": {"api_key": "K3Y"}, "anon": "no"})
    text = parsed.redacted(OSError(f"login of user with p@ss or p%40ss to {url} by S3CRET or\nK3Y: no"))
    assert text == "login of *** with *** or *** to ftp://***@127.0.0.1:1/x by *** or ***: no"
    assert parsed.is_leaked_by(OSError("with S3CRET"))


def test_url_opens_its_filesystem() -> None:
    file_system, path = DestinationUrl("memory://a/b/", {}).open()

    assert path == "/a/b"
    assert file_system.async_impl is False


# Other file systems


def test_spool_is_private_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the user can read the file that waits for its upload; it is removed with its part."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    target = open_target(f"memory://{uuid.uuid4().hex}", {})
    for end in ("commit", "close", "discard"):
        part = target.part("model.pt", "key")
        part.write(b"1")
        (spool,) = tmp_path.iterdir()
        assert os.name == "nt" or spool.stat().st_mode & 0o777 == 0o600
        assert spool.suffix == ".pt"
        getattr(part, end)()
        part.close()
        assert list(tmp_path.iterdir()) == []


def test_full_temporary_folder_is_named(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error distinguishes it from a full destination."""
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    part = open_target(f"memory://{uuid.uuid4().hex}", {}).part("a")
    with pytest.raises(DestinationError, match=r"\(set TMPDIR to use another folder\): no space left"):
        part.write(bytes(2 * 1024 * 1024))
    part.close()
    assert list(small_disk.iterdir()) == []


MD5 = hashlib.md5(b"x")


@pytest.mark.parametrize(
    ("details", "md5", "stamp"),
    [
        ({"ETag": f'"{MD5.hexdigest()}"', "LastModified": 1}, MD5.digest(), f'3-"{MD5.hexdigest()}"'),
        ({"e_tag": f'"{MD5.hexdigest()}"', "version": None}, MD5.digest(), f'3-"{MD5.hexdigest()}"'),
        ({"ETag": f'"{MD5.hexdigest()}-2"'}, None, f'3-"{MD5.hexdigest()}-2"'),
        ({"etag": "CJ3=", "md5Hash": b64encode(MD5.digest()).decode()}, MD5.digest(), "3-CJ3="),
        ({"mtime": 12.5}, None, "3-12.5"),
        ({"md5Hash": "not base64!"}, None, None),
        ({}, None, "3-"),
    ],
)
def test_file_details_are_read_from_any_driver(
    details: dict[str, object], md5: bytes | None, stamp: str | None
) -> None:
    """Drivers use different names for digests and times."""
    found = FileDetails({"name": "a", "size": 3, "type": "file", **details})

    assert found.md5 == md5
    assert stamp in (None, found.stat.stamp)
    assert found.stat.size == 3
    assert found.is_file


# Default folders


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@posix
def test_private_folder_is_readable_by_its_user_only(temporary: Path) -> None:
    before = os.umask(0)
    try:
        folder = private_folder("abc")
    finally:
        os.umask(before)

    assert folder == temporary / "wandb_runs" / "abc"
    assert folder.is_dir()
    assert (temporary / "wandb_runs").stat().st_mode & 0o777 == 0o700
    assert private_folder("abc") == folder
    assert private_folder() == temporary / "wandb_runs"


@posix
@pytest.mark.parametrize("kind", ["link", "file", "open", "dangling"])
def test_unsafe_default_folder_is_not_used(temporary: Path, outside: Path, kind: str) -> None:
    """A folder with the user's id in its name is used instead."""
    taken = temporary / "wandb_runs"
    if kind == "link":
        taken.symlink_to(outside)
    elif kind == "dangling":
        taken.symlink_to(outside / "new")
    elif kind == "file":
        taken.write_bytes(b"")
    else:
        taken.mkdir()
        taken.chmod(0o777)

    folder = private_folder("abc")

    assert folder == temporary / f"wandb_runs-{os.getuid()}" / "abc"
    assert folder.is_dir()
    assert_untouched(outside)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give a folder to another user")
def test_default_folder_of_another_user_is_not_used(temporary: Path) -> None:
    (temporary / "wandb_runs").mkdir(mode=0o755)
    os.chown(temporary / "wandb_runs", 12345, -1)

    assert private_folder() == temporary / f"wandb_runs-{os.getuid()}"


@posix
def test_unsafe_default_folders_raise(temporary: Path, outside: Path) -> None:
    for name in ("wandb_runs", f"wandb_runs-{os.getuid()}"):
        (temporary / name).symlink_to(outside)

    with pytest.raises(DestinationError, match="another user could change them; remove them, set TMPDIR"):
        private_folder("abc")
    assert_untouched(outside)


@posix
def test_link_in_the_default_folder_raises(temporary: Path, outside: Path) -> None:
    private_folder()
    (temporary / "wandb_runs" / "abc").symlink_to(outside)

    with pytest.raises(DestinationError, match="is a symbolic link"):
        private_folder("abc")
