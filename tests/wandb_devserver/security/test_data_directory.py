"""The data directory: private files, start after failures, one server at a time."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from wandb_devserver import DevServer
from wandb_devserver._errors import UsageError

from tests.support import loopback
from tests.wandb_devserver.security.support import start_command
from tests.wandb_devserver.support import RawClient
from tests.wandb_devserver.test_files import upload_url

# Like a full disk: files can be created, and the lock's process id has room, but no key has.
FULL_DISK = "resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))"


def test_start_on_a_full_disk_leaves_no_empty_key(tmp_path: Path) -> None:
    """The start fails with one line; the next one generates a key and accepts no empty password."""
    with start_command(tmp_path, first=FULL_DISK) as full:
        _, errors = full.communicate(timeout=60)
    assert full.returncode == 1
    assert "--data-dir" in errors
    assert not (tmp_path / "api-key").exists()
    with DevServer(tmp_path) as server:
        assert re.fullmatch(r"\w{40,}", server.api_key)
        assert loopback.post(server.url + "/graphql", auth=("api", ""), json={}).status_code == 401


@pytest.mark.parametrize("name", ["api-key", "signing-secret"])
@pytest.mark.parametrize(
    "contents", [b"", b"\n", b"0123456789", b"\xff" * 64], ids=["empty", "blank", "short", "binary"]
)
def test_damaged_secret_is_refused(tmp_path: Path, name: str, contents: bytes) -> None:
    """The error names the file and what to do, and does not show its contents."""
    with DevServer(tmp_path):
        pass
    (tmp_path / name).write_bytes(contents)

    with pytest.raises(UsageError, match=f"{name}.*delete it") as refusal:
        DevServer(tmp_path).start()
    assert "0123456789" not in str(refusal.value)
    (tmp_path / name).unlink()
    with DevServer(tmp_path):
        pass


def test_all_files_are_private(tmp_path: Path) -> None:
    """In an existing directory with mode 755, under the umask 0, with database, WAL, blobs, uploads and keys."""
    tmp_path.chmod(0o755)
    with start_command(tmp_path, first="os.umask(0)") as process:
        assert process.stdout is not None
        url = process.stdout.readline().partition("=")[2].strip()
        key = process.stdout.readline().partition("=")[2].strip()
        client = RawClient(_ServerProcess(url, key))  # type: ignore[arg-type]
        with client.http:
            client.open_run("r")
            assert loopback.put(upload_url(client, "a.txt"), content=b"secret").status_code == 200
        exposed = {str(path): oct(path.stat().st_mode) for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077}
        found = {path.name for path in tmp_path.iterdir()}
        process.send_signal(signal.SIGTERM)

    assert {"devserver.sqlite3", "devserver.sqlite3-wal", "blobs", "api-key", "signing-secret"} <= found
    assert exposed == {}


def test_files_of_an_older_version_become_private(tmp_path: Path) -> None:
    with DevServer(tmp_path):
        pass
    for path in tmp_path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with DevServer(tmp_path):
        assert [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707, 0o1777])
def test_directory_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)

    with pytest.raises(UsageError, match="chmod go-w"):
        DevServer(tmp_path).start()


def test_second_server_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    """The first server is not affected; when it stops, the directory is free."""
    with DevServer(tmp_path) as first:
        incoming = tmp_path / "blobs" / "incoming" / "0123"
        incoming.write_bytes(b"half")
        with start_command(tmp_path) as second:
            _, errors = second.communicate(timeout=60)
        with pytest.raises(UsageError, match=rf"another server \(process {os.getpid()}\)"):
            DevServer(tmp_path).start()

        assert second.returncode == 1
        assert "--data-dir" in errors
        assert "another server" in errors
        assert incoming.exists()
        assert loopback.get(f"{first.url}/-/sign-in").status_code == 200
    with DevServer(tmp_path):
        assert not incoming.exists()


def test_blobs_without_a_record_are_removed(tmp_path: Path) -> None:
    """The next start removes them; other blobs and files stay."""
    with DevServer(tmp_path) as server:
        client = RawClient(server)
        client.open_run("r")
        loopback.put(upload_url(client, "a.txt"), content=b"kept")
        client.http.close()
        (kept,) = (tmp_path / "blobs").glob("??/*")
    orphan = tmp_path / "blobs" / "ab" / ("ab" * 16)
    foreign = tmp_path / "blobs" / "ab" / "notes.txt"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"orphan")
    foreign.write_bytes(b"foreign")
    with DevServer(tmp_path) as server:
        assert not orphan.exists()
        assert kept.exists()
        assert foreign.exists()
        assert server.run("local/p/r").files["a.txt"].read_bytes() == b"kept"


def test_damaged_database_raises(tmp_path: Path) -> None:
    (tmp_path / "devserver.sqlite3").write_bytes(b"not a database" * 100)

    with pytest.raises(UsageError, match=r"data_dir .* not a database"):
        DevServer(tmp_path).start()


class _ServerProcess:
    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self.api_key = api_key
