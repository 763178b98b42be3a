"""Files on another host, with signed URLs that expire."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from wandb_artifacts import IncompleteDownloadError, Progress, download_run, download_sweep
from wandb_artifacts._client.options import use_options

from tests.wandb_artifacts.signed_url_proxy import SignedUrlProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


@pytest.fixture(params=[False, True], ids=["direct", "redirected"])
def proxy(
    request: pytest.FixtureRequest, backend: WandbBackend, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SignedUrlProxy]:
    with SignedUrlProxy(backend.server, redirects=request.param) as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        yield proxy


def test_key_is_not_sent_to_other_hosts(backend: WandbBackend, proxy: SignedUrlProxy, tmp_path: Path) -> None:
    """Neither the key nor a cookie is sent there, whether W&B names the host or redirects to it."""
    path = backend.run(files={"a": b"a", "sub/b": b"b"})

    result = download_run(path, tmp_path)

    assert (tmp_path / "sub/b").read_bytes() == b"b"
    assert len(proxy.storage_headers) == 2
    assert not [
        headers for headers in proxy.storage_headers if {"authorization", "cookie"} & {name.lower() for name in headers}
    ]
    assert {headers["Accept-Encoding"] for headers in proxy.storage_headers} == {"identity"}
    assert proxy.signature not in (tmp_path / "manifest.json").read_text()
    assert proxy.signature not in repr(result)


def test_jobs_limits_connections(backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit applies across the files and the runs of a sweep."""
    path = backend.sweep(["a", "b", "c", "d"], files={f"f{index}": os.urandom(10_000) for index in range(6)})

    with SignedUrlProxy(backend.server) as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        download_sweep(path, tmp_path, jobs=3)

    assert len(proxy.storage_headers) == 24
    assert 1 < proxy.most <= 3


@pytest.mark.parametrize("status", [400, 403])
def test_expired_url_is_renewed(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A URL that expires before its file is fetched is replaced."""
    files = {"a": os.urandom(2_000_000), "b": b"b"}
    path = backend.run(files=files)

    with SignedUrlProxy(backend.server, expired=status) as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)

        def expire(progress: Progress) -> None:
            if progress.name == "a" and progress.state == "done":
                proxy.signature = "second"

        download_run(path, tmp_path, jobs=1, progress=expire)

    assert {name: (tmp_path / name).read_bytes() for name in files} == files


@pytest.mark.parametrize("ranges", ["known", "unknown", "others"])
def test_interrupted_file_is_resumed_if_ranges_are_supported(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: str
) -> None:
    """Otherwise the next call fetches the whole file."""
    data = os.urandom(4 * 1024 * 1024)
    path = backend.run(files={"large": data})

    def interrupt(progress: Progress) -> None:
        if progress.received > 2_000_000 and progress.state == "receiving":
            raise InterruptedError

    with use_options(report_interval=0), pytest.raises(InterruptedError):
        download_run(path, tmp_path, progress=interrupt, include_history=False)
    with SignedUrlProxy(backend.server, ranges=ranges) as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        download_run(path, tmp_path, include_history=False)

    assert (tmp_path / "large").read_bytes() == data
    assert proxy.storage_headers[0]["Range"].startswith("bytes=")
    assert (proxy.given < len(data) - 1_000_000) == (ranges == "known")


def test_file_listed_twice_is_fetched_once(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This happens if files are added between two pages of a list."""
    path = backend.run(files={"a": b"a", "b": b"b"})

    with SignedUrlProxy(backend.server, edit=lambda edges: edges.extend(edges[:])) as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        result = download_run(path, tmp_path, include_history=False)

    assert [file.name for file in result.files] == ["a", "b", "config.json", "run.json", "summary.json"]
    assert len(proxy.storage_headers) == 2


@pytest.mark.parametrize("url", ["", None, "http://[::1", "http://host:999999/a", "data:a"])
def test_invalid_file_url_fails_only_that_file(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    """The other files arrive."""
    path = backend.run(files={"a": b"a", "b": b"b"})

    def spoil(edges: list[dict[str, Any]]) -> None:
        for edge in edges:
            if edge["node"]["name"] == "a":
                edge["node"].update(url=url, sizeBytes=None, md5=None)

    with SignedUrlProxy(backend.server, edit=spoil) as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        with pytest.raises(IncompleteDownloadError) as error:
            download_run(path, tmp_path, include_history=False)

    assert [(lost.name, lost.reason) for lost in error.value.result.failed] == [
        ("a", "W&B returned a file URL that is not valid for http or https")
    ]
    assert (tmp_path / "b").read_bytes() == b"b"


def test_unencoded_url_is_encoded(backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK accepts such a URL too."""
    path = backend.run(files={"a b\u00e9": b"a"})

    def decode(edges: list[dict[str, Any]]) -> None:
        for edge in edges:
            edge["node"]["url"] = unquote(edge["node"]["url"])

    with SignedUrlProxy(backend.server, edit=decode) as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        download_run(path, tmp_path, include_history=False)

    assert (tmp_path / "a b\u00e9").read_bytes() == b"a"
