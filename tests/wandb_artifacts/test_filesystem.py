"""`wandb://` against a real server: reading, refused writes, faults."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import json
import os
import pickle
import signal
import threading
from typing import TYPE_CHECKING, Any

import fsspec
import fsspec.asyn
import pytest
from aiohttp import web
from fsspec.generic import rsync
from wandb_artifacts import AuthenticationError, InvalidValueError
from wandb_artifacts._client.options import PageSizes, RetryPolicy, use_options
from wandb_artifacts.filesystem import WandbFileSystem
from wandb_devserver import DevServer, Fault

from tests.wandb_artifacts.signed_url_proxy import SignedUrlProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend

BIG = os.urandom(9_000_000)
FILES = {"a.txt": b"alpha", "sub/b.txt": b"beta", "sub/deep/c.bin": bytes(range(256)), "empty": b""}


@pytest.fixture(autouse=True)
def no_instances() -> Iterator[None]:
    """Clear fsspec's cache of instances, which otherwise lasts as long as the process."""
    yield
    WandbFileSystem.clear_instance_cache()


@pytest.fixture
def fs(backend: WandbBackend) -> Any:
    with use_options(retry=RetryPolicy(first_wait=0.01, down_for=0.0), pages=PageSizes(files=3, names=2)):
        return fsspec.filesystem("wandb")


@pytest.fixture
def run(backend: WandbBackend) -> str:
    return backend.run(files=FILES)


def test_slashes_in_names_make_folders(fs: Any, run: str) -> None:
    """Names with slashes become folders; a trailing slash and the protocol make no difference."""
    assert sorted(fs.ls(run, detail=False)) == [f"{run}/a.txt", f"{run}/empty", f"{run}/sub"]
    assert sorted(fs.ls(f"wandb://{run}/sub/", detail=False)) == [f"{run}/sub/b.txt", f"{run}/sub/deep"]
    assert fs.ls(f"{run}/a.txt", detail=False) == [f"{run}/a.txt"]
    assert fs.find(run) == sorted(f"{run}/{name}" for name in FILES)
    assert fs.glob(f"{run}/**/*.txt") == [f"{run}/a.txt", f"{run}/sub/b.txt"]
    assert [folder for folder, _, _ in fs.walk(run)] == [run, f"{run}/sub", f"{run}/sub/deep"]
    assert fs.du(run) == sum(map(len, FILES.values()))


def test_info_has_size_digest_and_time(fs: Any, run: str) -> None:
    """It does not have the URL."""
    info = fs.info(f"{run}/a.txt")

    assert info.pop("mtime") == fs.modified(f"{run}/a.txt")
    assert info == {
        "name": f"{run}/a.txt",
        "size": 5,
        "type": "file",
        "md5": "2c1743a391305fbf367df8e4f069f9f9",
    }
    assert fs.isdir(f"{run}/sub")
    assert fs.isfile(f"{run}/sub/b.txt")


def test_projects_and_runs_are_folders(fs: Any, backend: WandbBackend, run: str) -> None:
    """A project lists its runs, an entity its projects; entities cannot be listed."""
    backend.run("other", files={"x": b"x"})

    assert fs.ls("wandb://local", detail=False) == ["local/p"]
    assert sorted(fs.ls("local/p", detail=False)) == ["local/p/other", run]
    assert fs.find("local/p") == sorted(["local/p/other/x", *(f"{run}/{name}" for name in FILES)])
    assert fs.isdir("wandb://")
    assert fs.isdir("local/p")
    assert not fs.exists("local/unknown")
    with pytest.raises(OSError, match="start at wandb://entity"):
        fs.ls("wandb://")


def test_listings_of_several_pages_are_complete(fs: Any, backend: WandbBackend) -> None:
    names = [f"f{number}" for number in range(10)]
    backend.run(files=dict.fromkeys(names, b""))
    for number in range(4):
        backend.run(f"more{number}")

    assert len(fs.ls("local/p/r")) == 10
    assert len(fs.ls("local/p")) == 5


def test_reading_supports_ranges_text_and_many_files(fs: Any, run: str) -> None:
    """Whole, in part, counted from the end, as text, through fsspec.open, and many files at once."""
    path = f"{run}/sub/deep/c.bin"
    contents = FILES["sub/deep/c.bin"]

    assert fs.cat(path) == contents
    assert fs.cat_file(path, 3, 9) == contents[3:9]
    assert fs.cat_file(path, -7) == contents[-7:]
    assert fs.cat_file(path, 250, 999) == contents[250:]
    assert fs.cat_file(path, 256) == b""
    assert fs.cat_ranges([path, path], [0, 5], [2, 7]) == [contents[:2], contents[5:7]]
    assert fs.cat(fs.find(run)) == {f"{run}/{name}": data for name, data in FILES.items()}
    with fsspec.open(f"wandb://{run}/a.txt", "rt") as file:
        assert file.read() == "alpha"
    with fsspec.open(f"wandb://{run}/empty") as file:
        assert file.read() == b""


def test_only_the_blocks_that_are_read_are_fetched(fs: Any, backend: WandbBackend) -> None:
    """Each block is fetched once."""
    path = backend.run(files={"big": BIG})
    fs.info(f"{path}/big")

    with fs.open(f"{path}/big", block_size=1_000_000) as file:
        file.seek(8_999_990)
        assert file.read() == BIG[-10:]
        file.seek(2_999_999)
        assert file.read(2) == BIG[2_999_999:3_000_001]
        assert file.seek(2_500_000) == 2_500_000
        assert file.read(10) == BIG[2_500_000:2_500_010]
    assert backend.server.requests.count("download") == 3


def test_get_copies_trees_and_files(fs: Any, run: str, tmp_path: Path) -> None:
    """Trees and single files are copied, and nothing else."""
    fs.get(f"{run}/", str(tmp_path / "all"), recursive=True)
    fs.get_file(f"wandb://{run}/a.txt", tmp_path / "new" / "one")
    buffer = io.BytesIO()
    fs.get_file(f"{run}/sub/b.txt", buffer)

    copied = tmp_path / "all"
    assert {str(p.relative_to(copied)): p.read_bytes() for p in copied.rglob("*") if p.is_file()} == FILES
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["one"]
    assert buffer.getvalue() == b"beta"


def test_rsync_copies_only_once(fs: Any, run: str) -> None:
    """`fsspec.generic.rsync` recognizes the files that exist."""
    target = f"memory://{run}"

    rsync(f"wandb://{run}", target)
    again = rsync(f"wandb://{run}", target)

    memory = fsspec.filesystem("memory")
    assert {name: memory.cat(f"/{run}/{name}") for name in FILES} == FILES
    assert again == {}
    memory.rm("/local", recursive=True)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("download", status=503, headers={"Retry-After": "0"}, count=2),
        Fault("download", drop_after=4_500_000),
        Fault("download", truncate_to=300_000),
        Fault("download", drop=True),
        Fault("download", wrong_bytes=True),
    ],
    ids=["503", "drop_after", "truncate_to", "drop", "wrong_bytes"],
)
@pytest.mark.parametrize("way", ["cat", "get", "small"])
def test_whole_files_are_verified(fs: Any, backend: WandbBackend, fault: Fault, way: str, tmp_path: Path) -> None:
    """Faults of responses do not change the received bytes."""
    data = BIG[:500_000] if way == "small" else BIG
    path = backend.run(files={"f": data}) + "/f"
    backend.server.faults.add(fault)

    if way == "get":
        fs.get(path, str(tmp_path / "f"))
        found = (tmp_path / "f").read_bytes()
    else:
        found = fs.cat(path)

    assert found == data
    assert backend.server.faults.fired(fault)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("download", status=503, headers={"Retry-After": "0"}, count=2),
        Fault("download", drop_after=50_000),
        Fault("download", drop=True),
    ],
    ids=["503", "drop_after", "drop"],
)
def test_ranges_are_retried(fs: Any, backend: WandbBackend, fault: Fault) -> None:
    """A part of a file is complete too."""
    path = backend.run(files={"f": BIG}) + "/f"
    backend.server.faults.add(fault)

    assert fs.cat_file(path, 1_000_000, 1_200_000) == BIG[1_000_000:1_200_000]
    assert backend.server.faults.fired(fault)


@pytest.mark.parametrize("size", [1_000, 2_000_000])
def test_wrong_bytes_raise_and_leave_the_old_file(fs: Any, backend: WandbBackend, size: int, tmp_path: Path) -> None:
    """No partial file is left."""
    (tmp_path / "f").write_bytes(b"before")
    path = backend.run(files={"f": BIG[:size]}) + "/f"
    backend.server.faults.add(Fault("download", wrong_bytes=True, count=None))

    with pytest.raises(ConnectionError, match="size or digest"):
        fs.get(path, str(tmp_path / "f"))

    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == {"f": b"before"}


def test_filesystem_recovers_after_an_outage(fs: Any, backend: WandbBackend, run: str) -> None:
    """fsspec caches instances, so an instance must survive an outage of the server."""
    fault = backend.server.faults.add(Fault("graphql", drop=True, count=None))
    with pytest.raises(ConnectionError):
        fs.ls(run)
    assert backend.server.faults.fired(fault) > 1

    backend.server.faults.clear()

    assert fs.cat(f"{run}/a.txt") == b"alpha"


def test_failed_listing_raises(fs: Any, backend: WandbBackend, run: str, tmp_path: Path) -> None:
    """A tree of which a part cannot be listed is an error, not a smaller tree."""
    backend.server.faults.add(Fault("graphql", operation="Run", status=403, count=None))

    with pytest.raises(PermissionError):
        fs.find("local/p")
    with pytest.raises(PermissionError):
        fs.get("local/p", str(tmp_path), recursive=True)
    assert fs.find("local/p", on_error="omit") == []


def test_missing_files_raise_file_not_found(fs: Any, run: str) -> None:
    """A folder in place of a file raises too."""
    for path in (f"{run}/nope", f"{run}/a.txt/x", "local/p/unknown/x", "local/unknown/r/x"):
        assert not fs.exists(path)
        with pytest.raises(FileNotFoundError):
            fs.info(path)
        with pytest.raises(FileNotFoundError):
            fs.open(path)
        with pytest.raises(FileNotFoundError):
            fs.cat(path)
        with pytest.raises(FileNotFoundError):
            fs.ls(path)
        assert fs.find(path) == []
    for folder in (run, f"{run}/sub", "local/p"):
        with pytest.raises(IsADirectoryError):
            fs.open(folder)
        with pytest.raises(IsADirectoryError):
            fs.cat_file(folder)


def test_wrong_or_missing_key_is_refused(fs: Any, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right key works in the same instance."""
    key = os.environ["WANDB_API_KEY"]
    for wrong in ("x" * 40, ""):
        monkeypatch.setenv("WANDB_API_KEY", wrong)
        with pytest.raises(PermissionError) as caught:
            fs.exists(f"{run}/a.txt")
        assert isinstance(caught.value, AuthenticationError)

    monkeypatch.setenv("WANDB_API_KEY", key)

    assert fs.exists(f"{run}/a.txt")


def test_servers_have_separate_caches(fs: Any, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pinned host does not get another server's key."""
    assert fs.exists(f"{run}/a.txt")
    first = os.environ["WANDB_BASE_URL"]
    pinned = fsspec.filesystem("wandb", host=f"{first}/")

    with DevServer() as other:
        monkeypatch.setenv("WANDB_BASE_URL", other.url)
        monkeypatch.setenv("WANDB_API_KEY", other.api_key)
        assert not fs.exists(f"{run}/a.txt")
        with pytest.raises(AuthenticationError, match="WANDB_API_KEY is for another server"):
            pinned.exists(f"{run}/a.txt")


def write(fs: Any, path: str) -> None:
    fs.open(path, "wb")


REFUSED: dict[str, Any] = {
    "open": write,
    "append": lambda fs, path: fs.open(path, "ab"),
    "pipe": lambda fs, path: fs.pipe(path, b""),
    "write_text": lambda fs, path: fs.write_text(path, ""),
    "put": lambda fs, path: fs.put(__file__, path),
    "rm": lambda fs, path: fs.rm(path),
    "rm_file": lambda fs, path: fs.rm_file(path),
    "mv": lambda fs, path: fs.mv(path, f"{path}2"),
    "cp": lambda fs, path: fs.cp(path, f"{path}2"),
    "touch": lambda fs, path: fs.touch(path),
    "mkdir": lambda fs, path: fs.mkdir(path),
    "makedirs": lambda fs, path: fs.makedirs(path),
    "rmdir": lambda fs, path: fs.rmdir(path),
    "library": lambda _, path: fsspec.open(f"wandb://{path}", mode="w").open(),
}


@pytest.mark.parametrize("way", REFUSED)
def test_writing_is_refused(fs: Any, run: str, way: str) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(OSError, match="wandb:// is read-only") as caught:
        REFUSED[way](fs, f"{run}/a.txt")

    assert caught.value.errno == errno.EROFS
    assert fs.cat(f"{run}/a.txt") == b"alpha"
    with pytest.raises(NotImplementedError):
        fs.sign(f"{run}/a.txt")


@pytest.mark.parametrize("name", ["key", "api_key", "token", "hots", "block_size"])
def test_unknown_option_is_refused_without_its_value(name: str) -> None:
    """A key is not an option; a misspelled option must not lead to another server."""
    with pytest.raises(InvalidValueError, match=name) as caught:
        fsspec.open("wandb://e/p/r/f", **{name: "hush-hush"})

    assert "hush" not in str(caught.value)
    with pytest.raises(InvalidValueError, match="host"):
        fsspec.filesystem("wandb", host="example.com")


def test_listing_is_cached_until_refreshed(backend: WandbBackend) -> None:
    """A missing name or refresh=True sends a request."""
    fs: Any = fsspec.filesystem("wandb", listings_expiry_time=1000)
    path = backend.run(files={"a": b"1"}, ends=False)
    assert fs.info(f"{path}/a")["size"] == 1
    requests = backend.server.requests.count("graphql", "Run")

    backend.upload("r", {"a": b"12"})
    assert fs.info(f"{path}/a")["size"] == 1
    assert backend.server.requests.count("graphql", "Run") == requests
    assert fs.ls(path, refresh=True)[0]["size"] == 2

    backend.upload("r", {"b": b"b"})
    assert fs.cat(f"{path}/b") == b"b"

    backend.upload("r", {"a": b"123"})
    fs.invalidate_cache(f"{path}/a")
    assert fs.info(f"{path}/a")["size"] == 3


@pytest.mark.parametrize("options", [{"listings_expiry_time": 0.0}, {"use_listings_cache": False}], ids=str)
def test_listing_cache_can_be_disabled(backend: WandbBackend, options: dict[str, Any]) -> None:
    """Listings expire, or are not stored at all."""
    fs: Any = fsspec.filesystem("wandb", **options)
    path = backend.run(files={"a": b"1"}, ends=False)
    assert fs.info(f"{path}/a")["size"] == 1

    backend.upload("r", {"a": b"12"})

    assert fs.info(f"{path}/a")["size"] == 2


def test_file_replaced_while_open_raises(fs: Any, backend: WandbBackend) -> None:
    """Blocks of two versions are never combined."""
    path = backend.run(files={"f": BIG}, ends=False) + "/f"
    with fs.open(path, block_size=1_000_000) as file:
        assert file.read(10) == BIG[:10]
        backend.upload("r", {"f": BIG[::-1] + b"more"})
        file.seek(5_000_000)
        with pytest.raises(OSError, match="was replaced") as caught:
            file.read(10)

    assert caught.value.errno == errno.ESTALE


def test_concurrent_readers_share_one_listing(fs: Any, backend: WandbBackend) -> None:
    files = {f"f{number}": bytes([number]) for number in range(40)}
    path = backend.run(files=files)
    found: dict[str, bytes] = {}
    threads = [
        threading.Thread(target=lambda name=name: found.update({name: fs.cat(f"{path}/{name}")})) for name in files
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == files
    assert backend.server.requests.count("graphql", "Run") == 1


def test_instances_and_open_files_can_be_pickled(fs: Any, backend: WandbBackend, run: str) -> None:
    """The key is not part of the data."""
    with fs.open(f"{run}/sub/deep/c.bin") as file:
        file.read(100)
        data = pickle.dumps((fs, fsspec.filesystem("wandb", host=backend.server.url), file))
    WandbFileSystem.clear_instance_cache()
    restored, pinned, reopened = pickle.loads(data)

    assert backend.server.api_key.encode() not in data
    assert restored.cat(f"{run}/a.txt") == b"alpha"
    assert pinned.host == backend.server.url
    assert reopened.read(3) == bytes(range(100, 103))
    for shown in (repr(restored), restored.to_json(), json.dumps(restored.to_dict()), str(vars(restored))):
        assert backend.server.api_key not in shown
    reopened.close()


def test_coroutines_run_on_the_loop_of_the_caller(backend: WandbBackend, run: str, tmp_path: Path) -> None:
    """One instance can be used on two loops in turn."""
    fs: Any = WandbFileSystem(asynchronous=True, skip_instance_cache=True)
    big = backend.run("big", files={"f": BIG})

    async def use() -> None:
        assert await fs._cat_file(f"{run}/a.txt") == b"alpha"
        async with await fs.open_async(f"{big}/f") as file:
            assert file.size == len(BIG)
            assert await file.read(10) + await file.read() == BIG
            assert await file.read() == b""
        await fs._get(f"{run}/", str(tmp_path), recursive=True)
        assert (tmp_path / "a.txt").read_bytes() == b"alpha"
        with pytest.raises(OSError, match="read-only"):
            await fs.open_async(f"{run}/a.txt", "wb")
        await fs.aclose()

    asyncio.run(use())
    asyncio.run(use())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_unclosed_loop_does_not_affect_the_next(run: str) -> None:
    """The first loop ends with open connections."""
    fs: Any = WandbFileSystem(asynchronous=True, skip_instance_cache=True)

    async def again() -> int:
        found = await fs._ls(run, refresh=True)
        await fs.aclose()
        return len(found)

    asyncio.run(fs._ls(run))

    assert asyncio.run(again()) == 3
    # Warnings about sockets of the first loop would appear here.
    gc.collect()
    gc.collect()


def test_stream_is_verified_at_its_end(backend: WandbBackend) -> None:
    """The file is read block by block."""
    fs: Any = WandbFileSystem(asynchronous=True, skip_instance_cache=True)
    path = backend.run(files={"f": BIG}) + "/f"
    backend.server.faults.add(Fault("download", wrong_bytes=True))

    async def use() -> None:
        async with await fs.open_async(path, block_size=1_000_000) as file:
            with pytest.raises(Exception, match="another digest"):
                await file.read()
        await fs.aclose()

    asyncio.run(use())


class Hostile(SignedUrlProxy):
    """Renames files in ways that the server here would refuse, and ignores ranges."""

    names: dict[str, str]

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        response = await super()._forward(request)
        assert isinstance(response, web.Response)
        assert response.text is not None
        text = response.text
        for name, shown in self.names.items():
            for form in ('"name":"{}"', '"name": "{}"'):
                text = text.replace(form.format(name), form.format(json.dumps(shown)[1:-1]))
        return web.Response(text=text, status=response.status, content_type="application/json")

    async def _send(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.lstrip("/").partition("/")[2]
        return web.Response(body=(await self._behind.get(f"/{path}")).content)


NAMES = {
    "n0": "../../out",
    "n1": "/abs",
    "n2": "a//b",
    "n3": "..",
    "n4": "sub/../../../out2",
    "n5": "a\\..\\b",
    "n6": "x/",
}


@pytest.fixture
def hostile(backend: WandbBackend, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    path = backend.run(files={name: name.encode() * 1000 for name in NAMES})
    server = Hostile(backend.server)
    server.names = NAMES
    with server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield path


def test_path_traversal_stays_inside_the_folder(hostile: str, tmp_path: Path) -> None:
    """Every file arrives, and W&B's own name finds it too."""
    fs: Any = fsspec.filesystem("wandb")
    target = tmp_path / "one" / "two" / "three"

    fs.get(f"{hostile}/", str(target), recursive=True)

    arrived = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(p.read_bytes()[:2].decode() for p in arrived if p.is_relative_to(target)) == sorted(NAMES)
    assert [p for p in arrived if not p.is_relative_to(target)] == []
    assert fs.cat_file(f"{hostile}/../../out") == b"n0" * 1000
    assert fs.cat_file(f"{hostile}/a//b") == b"n2" * 1000


def test_ranges_are_right_if_the_server_ignores_them(hostile: str) -> None:
    fs: Any = fsspec.filesystem("wandb")

    assert fs.cat_file(f"{hostile}/a//b", 501, 507) == b"2n2n2n"


def test_expired_url_is_renewed(backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing may be older than the signatures in it."""
    path = backend.run(files={"f": BIG})
    with SignedUrlProxy(backend.server) as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        fs: Any = fsspec.filesystem("wandb")
        with fs.open(f"{path}/f", block_size=1_000_000) as file:
            file.read(10)
            proxy.signature = "second"
            assert file.read(1_000_000) == BIG[10:1_000_010]
            proxy.signature = "third"
            fs.get(f"{path}/f", str(tmp_path / "f"))

    assert (tmp_path / "f").read_bytes() == BIG


def test_garbage_collected_instance_closes_its_connections(run: str) -> None:
    fs: Any = WandbFileSystem(skip_instance_cache=True)
    assert fs.exists(run)
    sessions = fs._sessions
    (opened,) = [session for each in sessions._opened.values() for session in each]

    del fs
    gc.collect()

    assert sessions._opened == {}
    assert opened.api._http._session.closed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_process_can_read(fs: Any, run: str) -> None:
    """Data loaders fork; the parent can read afterwards too."""
    assert fs.cat(f"{run}/a.txt") == b"alpha"
    child = os.fork()
    if not child:
        code = 1
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        try:
            code = int(fsspec.filesystem("wandb").cat(f"{run}/a.txt") != b"alpha")
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert fs.cat(f"{run}/sub/b.txt") == b"beta"
