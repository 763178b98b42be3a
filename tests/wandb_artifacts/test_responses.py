"""Malformed responses: the error is a DownloadError that names the field, and nothing passes as complete."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import (
    DownloadError,
    IncompleteDownloadError,
    InvalidValueError,
    NotFoundError,
    RunRef,
    ServerAnswerError,
    download_run,
    download_sweep,
    verify_download,
)
from wandb_artifacts._client.options import PageSizes, RetryPolicy, use_options
from wandb_artifacts.client import Client
from wandb_artifacts.filesystem import WandbFileSystem

from tests.wandb_artifacts.hostile_server import (
    DEEP,
    HostileServer,
    encode,
    file_node,
    open_hostile_server,
    page,
    run_node,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

REMOVED = object()
VALUES = (REMOVED, None, -10, "\ud800", [None], DEEP)
PATH = "e/p/r"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileServer]:
    policy = RetryPolicy(first_wait=0, longest_wait=0, attempts=1, down_for=0)
    with open_hostile_server(monkeypatch) as server, use_options(retry=policy, pages=PageSizes()):
        yield server


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def changed(document: Any, path: tuple[str | int, ...], value: object) -> Any:
    """Return a document with another value at a path."""
    if not path:
        return None if value is REMOVED else value
    found = copy.deepcopy(document)
    parent = found
    for key in path[:-1]:
        parent = parent[key]
    if value is REMOVED:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return found


async def run(folder: Path) -> object:
    return await download_run.aio(PATH, folder)


async def sweep(folder: Path) -> object:
    return await download_sweep.aio("e/p/s", folder)


async def find(_: Path) -> object:
    return await Client(timeout=20).find_run_async(RunRef("e", "p", "r"))


async def state(_: Path) -> object:
    return await Client(timeout=20).run_state_async(RunRef("e", "p", "r"))


async def entity(_: Path) -> object:
    return await Client(timeout=20).default_entity_async()


async def all_paths(path: str) -> object:
    fs = WandbFileSystem(asynchronous=True, skip_instance_cache=True, use_listings_cache=False)
    try:
        return await fs._find(path)
    finally:
        await fs.aclose()


async def files(_: Path) -> object:
    return await all_paths(PATH)


async def runs(_: Path) -> object:
    return await all_paths("e/p")


async def projects(_: Path) -> object:
    return await all_paths("e")


CALLS: Mapping[str, tuple[str, Callable[[Path], Awaitable[object]]]] = {
    "run": ("Run", run),
    "history": ("HistoryPage", run),
    "sweep": ("Runs", sweep),
    "find_run": ("RunSnapshot", find),
    "run_state": ("RunState", state),
    "default_entity": ("Viewer", entity),
    "listing of a run": ("Run", files),
    "listing of a project": ("RunIds", runs),
    "listing of an entity": ("GetProjects", projects),
}


@pytest.mark.parametrize("call", CALLS)
def test_malformed_responses_raise_only_errors_of_this_package(
    server: HostileServer, tmp_path: Path, call: str
) -> None:
    operation, work = CALLS[call]
    valid = {"data": server.documents[operation]}

    async def attempt(folder: Path) -> bool:
        try:
            await work(folder)
        except (DownloadError, FileNotFoundError):
            return False
        except InvalidValueError:
            # The listed name cannot be that of a project.
            assert work is projects
            return False
        return True

    async def main() -> int:
        failures = 0
        assert await attempt(tmp_path / "valid")
        for index, (path, value) in enumerate((path, value) for path in places(valid) for value in VALUES):
            document = changed(valid, path, value)
            server.respond = lambda name, _, document=document: (
                document if name == operation else {"data": server.documents[name]}
            )
            try:
                failures += not await attempt(tmp_path / str(index))
            except Exception as error:
                raise AssertionError((path, repr(value)[:40])) from error
        return failures

    assert asyncio.run(main()) > 5


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"null", b"[]", b'"x"', b"\xff", b'{"data":', encode(DEEP), b'{"data": null}', b'{"errors": [1]}'],
)
def test_invalid_bodies_are_refused(server: HostileServer, tmp_path: Path, body: bytes) -> None:
    server.respond = lambda _, __: body

    with pytest.raises(ServerAnswerError, match=rf"^run {PATH}: "):
        download_run(PATH, tmp_path)


def test_errors_name_the_field_and_not_its_value(server: HostileServer, tmp_path: Path) -> None:
    server.documents["Run"]["project"]["run"]["files"]["edges"][0]["node"]["sizeBytes"] = "hidden"

    with pytest.raises(ServerAnswerError, match=r"edges\[0\]\.node\.sizeBytes: expected") as caught:
        download_run(PATH, tmp_path)

    assert "hidden" not in str(caught.value)


def test_size_may_be_a_numeric_string(server: HostileServer, tmp_path: Path) -> None:
    server.documents["Run"]["project"]["run"]["files"]["edges"][0]["node"]["sizeBytes"] = "5"

    assert download_run(PATH, tmp_path).files[0].size == 5


def broken_lists(url: str) -> dict[str, list[Any]]:
    """Return lists of files, page by page, none of which ends consistently."""
    one, two = file_node(url, "1"), file_node(url, "2")
    more = {"hasNextPage": True, "endCursor": "c"}
    edges = page(one)["edges"]
    return {
        "no cursor": [{"edges": [{"node": one}], "pageInfo": {"hasNextPage": True, "endCursor": None}}],
        "empty cursor": [{"edges": [{"node": one, "cursor": ""}], "pageInfo": {"hasNextPage": True, "endCursor": ""}}],
        "empty second page": [page(one, following="c"), page()],
        "null as second page": [page(one, following="c"), None],
        "null as list": [None],
        "null edges": [{"edges": None, "pageInfo": more}],
        "null edge": [{"edges": [None], "pageInfo": {"hasNextPage": False}}],
        "null node": [page(one, None)],
        "no pageInfo": [{"edges": edges}],
        "null pageInfo": [{"edges": edges, "pageInfo": None}],
        "unknown end": [{"edges": edges, "pageInfo": {"hasNextPage": None}}],
        "empty page that continues": [{"edges": [], "pageInfo": more}],
        "alternating cursors": [page(one, following="A"), page(two, following="B"), page(one, following="A")] * 3,
    }


@pytest.mark.parametrize("case", broken_lists(""))
def test_inconsistent_pagination_is_refused(server: HostileServer, tmp_path: Path, case: str) -> None:
    """Downloads of runs and sweeps and listings refuse it."""
    pages = broken_lists(server.url)[case]

    def files_of(left: list[Any]) -> Callable[[str, dict[str, Any]], object]:
        def respond(operation: str, variables: dict[str, Any]) -> object:
            if operation in ("Run", "RunFiles"):
                return {"data": {"project": {"run": run_node(server.url, files=left.pop(0))}}}
            if operation == "Runs":
                runs = page(run_node(server.url, files=left.pop(0)))
                return {"data": {"project": {"sweep": {"state": "FINISHED"}, "runs": runs}}}
            return {"data": server.documents[operation]}

        return respond

    def names_of(left: list[Any]) -> Callable[[str, dict[str, Any]], object]:
        def respond(operation: str, _: dict[str, Any]) -> object:
            found = left.pop(0)
            return {"data": {"project": {"runs": found}} if operation == "RunIds" else {"models": found}}

        return respond

    def runs_of(left: list[Any]) -> Callable[[str, dict[str, Any]], object]:
        def respond(operation: str, _: dict[str, Any]) -> object:
            if operation != "Runs":
                return {"data": server.documents[operation]}
            found = left.pop(0)
            for edge in (found or {}).get("edges") or ():
                if edge and edge["node"]:
                    edge["node"] = run_node(server.url, f"r{edge['node']['name']}")
            return {"data": {"project": {"sweep": {"state": "FINISHED"}, "runs": found}}}

        return respond

    calls: list[tuple[Callable[[list[Any]], Any], Callable[[Path], Awaitable[object]]]] = [
        (files_of, run),
        (files_of, files),
        (files_of, sweep),
        (runs_of, sweep),
        (names_of, runs),
        (names_of, projects),
    ]
    if pages == [None]:
        calls.pop()  # An unknown entity.
    for index, (respond, work) in enumerate(calls):
        server.respond = respond(copy.deepcopy(pages))
        with pytest.raises((ServerAnswerError, IncompleteDownloadError), match="invalid"):
            asyncio.run(work(tmp_path / str(index)))  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["project", "run"])
def test_null_run_raises_not_found(server: HostileServer, tmp_path: Path, field: str) -> None:
    server.documents["Run"] = {"project": None if field == "project" else {"run": None}}

    with pytest.raises(NotFoundError):
        download_run(PATH, tmp_path)


def test_hostile_manifests_raise_only_errors_of_this_package(server: HostileServer, tmp_path: Path) -> None:
    """Verifications and downloads read the manifest of an earlier call."""
    download_run(PATH, tmp_path / "run")
    download_sweep("e/p/s", tmp_path / "sweep")

    async def attempt(call: Awaitable[object]) -> None:
        with contextlib.suppress(DownloadError):
            await call

    async def main() -> None:
        for kind in ("run", "sweep"):
            manifest = tmp_path / kind / "manifest.json"
            valid = json.loads(manifest.read_text())
            for path in places(valid):
                for value in VALUES:
                    text = encode(changed(valid, path, value))
                    try:
                        manifest.write_bytes(text)
                        await attempt(verify_download.aio(tmp_path / kind))
                        if value in (None, DEEP):
                            manifest.write_bytes(text)
                            await attempt(CALLS[kind][1](tmp_path / kind))
                    except Exception as error:
                        raise AssertionError((kind, path, repr(value)[:40])) from error

    asyncio.run(main())
    assert {each.name for each in tmp_path.iterdir()} == {"run", "sweep"}


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[]", b"null", encode(DEEP), b"1e999", b'{"version": 1}'])
def test_invalid_manifest_raises_not_found(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(text)

    with pytest.raises(NotFoundError):
        verify_download(tmp_path)


def test_unmodified_responses_are_valid(server: HostileServer, tmp_path: Path) -> None:
    """The other tests modify these responses."""
    result = download_run(PATH, tmp_path)

    assert dataclasses.replace(result, files=()).failed == ()
    assert result.history_rows == 2
    assert verify_download(tmp_path).is_good
