"""Files that another host keeps: no key for it, and addresses that expire."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from wandb_artifacts import IncompleteDownloadError, Progress, _tracker, download_run, download_sweep

from tests.wandb_artifacts.front import Front

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.lab import Lab


@pytest.fixture(params=[False, True], ids=["direct", "redirected"])
def front(request: pytest.FixtureRequest, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    with Front(lab.server, redirects=request.param) as front:
        monkeypatch.setenv("WANDB_BASE_URL", front.url)
        yield front


def test_the_key_stays_at_home(lab: Lab, front: Front, tmp_path: Path) -> None:
    """Another host than W&B's is sent neither the key nor a cookie, whether W&B names it or leads to it."""
    path = lab.run(files={"a": b"a", "sub/b": b"b"})

    result = download_run(path, tmp_path)

    assert (tmp_path / "sub/b").read_bytes() == b"b"
    assert len(front.seen) == 2
    assert not [headers for headers in front.seen if {"authorization", "cookie"} & {name.lower() for name in headers}]
    assert {headers["Accept-Encoding"] for headers in front.seen} == {"identity"}
    assert front.signature not in (tmp_path / "manifest.json").read_text()
    assert front.signature not in repr(result)


def test_connections_are_bounded(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Across the files and the runs of a sweep."""
    path = lab.sweep(["a", "b", "c", "d"], files={f"f{index}": os.urandom(10_000) for index in range(6)})

    with Front(lab.server) as front:
        monkeypatch.setenv("WANDB_BASE_URL", front.url)
        download_sweep(path, tmp_path, jobs=3)

    assert len(front.seen) == 24
    assert 1 < front.most <= 3


@pytest.mark.parametrize("status", [400, 403])
def test_an_address_that_expires(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A signature that is no longer good when the file's turn comes is asked for anew."""
    files = {"a": os.urandom(2_000_000), "b": b"b"}
    path = lab.run(files=files)

    with Front(lab.server, expired=status) as front:
        monkeypatch.setenv("WANDB_BASE_URL", front.url)

        def expire(progress: Progress) -> None:
            if progress.name == "a" and progress.state == "done":
                front.signature = "second"

        download_run(path, tmp_path, jobs=1, progress=expire)

    assert {name: (tmp_path / name).read_bytes() for name in files} == files


@pytest.mark.parametrize("ranges", ["known", "unknown", "others"])
def test_what_an_interrupted_call_left(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: str) -> None:
    """The next call goes on where the server knows ranges, and begins anew where it does not."""
    monkeypatch.setattr(_tracker, "_INTERVAL", 0.0)
    data = os.urandom(4 * 1024 * 1024)
    path = lab.run(files={"large": data})

    def interrupt(progress: Progress) -> None:
        if progress.received > 2_000_000 and progress.state == "receiving":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        download_run(path, tmp_path, progress=interrupt, include_history=False)
    with Front(lab.server, ranges=ranges) as front:
        monkeypatch.setenv("WANDB_BASE_URL", front.url)
        download_run(path, tmp_path, include_history=False)

    assert (tmp_path / "large").read_bytes() == data
    assert front.seen[0]["Range"].startswith("bytes=")
    assert (front.given < len(data) - 1_000_000) == (ranges == "known")


def test_a_file_that_is_listed_twice(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As happens where files come between two pages of a list: it is one file."""
    path = lab.run(files={"a": b"a", "b": b"b"})

    with Front(lab.server, edit=lambda edges: edges.extend(edges[:])) as front:
        monkeypatch.setenv("WANDB_BASE_URL", front.url)
        result = download_run(path, tmp_path, include_history=False)

    assert [file.name for file in result.files] == ["a", "b", "summary.json"]
    assert len(front.seen) == 2


@pytest.mark.parametrize("address", ["", None, "http://[::1", "http://host:999999/a", "data:a"])
def test_an_address_that_is_none(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    """The other files arrive; what the server says on its own page is not taken for the file."""
    path = lab.run(files={"a": b"a", "b": b"b"})

    def spoil(edges: list[dict[str, Any]]) -> None:
        for edge in edges:
            if edge["node"]["name"] == "a":
                edge["node"].update(url=address, sizeBytes=None, md5=None)

    with Front(lab.server, edit=spoil) as front:
        monkeypatch.setenv("WANDB_BASE_URL", front.url)
        with pytest.raises(IncompleteDownloadError) as error:
            download_run(path, tmp_path, include_history=False)

    assert [(lost.name, lost.reason) for lost in error.value.result.failed] == [
        ("a", "W&B gave an address that is none")
    ]
    assert (tmp_path / "b").read_bytes() == b"b"


def test_an_address_that_is_not_encoded(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK takes it too."""
    path = lab.run(files={"a b\u00e9": b"a"})

    def decode(edges: list[dict[str, Any]]) -> None:
        for edge in edges:
            edge["node"]["url"] = unquote(edge["node"]["url"])

    with Front(lab.server, edit=decode) as front:
        monkeypatch.setenv("WANDB_BASE_URL", front.url)
        download_run(path, tmp_path, include_history=False)

    assert (tmp_path / "a b\u00e9").read_bytes() == b"a"
