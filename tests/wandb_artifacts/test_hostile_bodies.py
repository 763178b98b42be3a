"""Servers that send too much or echo the request: memory is limited, and no secret is shown."""

from __future__ import annotations

import gzip
import itertools
import json
import traceback
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import DownloadError, IncompleteDownloadError, ServerAnswerError, download_run
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_artifacts._client.redaction import Redactor, basic_authorization
from wandb_artifacts._filesystem import sinks
from wandb_artifacts.filesystem import WandbFileSystem

from tests.wandb_artifacts.hostile_server import (
    BODY,
    KEY,
    HostileServer,
    file_node,
    open_hostile_server,
    page,
    send,
    stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

PATH = "e/p/r"
MB = 2**20
BUFFERS = 32 * MB
"""The number of bytes that the sockets of a connection and their readers may buffer."""
SECRET_HEADER = "hunter2-hunter2"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileServer]:
    policy = RetryPolicy(first_wait=0, longest_wait=0, attempts=2, down_for=0)
    with open_hostile_server(monkeypatch) as server, use_options(retry=policy):
        yield server


def endless() -> Iterator[bytes]:
    return itertools.repeat(b" " * MB, 1_000)


def test_response_is_read_up_to_a_limit(server: HostileServer, tmp_path: Path) -> None:
    sent = SimpleQueue[int]()
    server.respond_raw = lambda handler: sent.put(stream(handler, endless()))

    with pytest.raises(ServerAnswerError, match=f"^run {PATH}: the response is larger than 64 MB"):
        download_run(PATH, tmp_path)

    assert sent.get(timeout=30) <= 64 * MB + BUFFERS


def test_response_is_decompressed_up_to_a_limit(server: HostileServer, tmp_path: Path) -> None:
    bomb = gzip.compress(b" " * (200 * MB), 1)
    server.respond_raw = lambda handler: stream(handler, [bomb], Content_Encoding="gzip")

    with pytest.raises(ServerAnswerError, match=f"^run {PATH}: the response is larger than 64 MB"):
        download_run(PATH, tmp_path)


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_other_compressions_are_refused(server: HostileServer, tmp_path: Path, encoding: str) -> None:
    server.respond_raw = lambda handler: stream(handler, [b"x"], Content_Encoding=encoding)

    with pytest.raises(ServerAnswerError, match="compressed"):
        download_run(PATH, tmp_path)


@pytest.mark.parametrize("cut", [None, 10, 0])
def test_compressed_responses_are_read_to_their_end(server: HostileServer, tmp_path: Path, cut: int | None) -> None:
    def post(handler: BaseHTTPRequestHandler) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        operation = "HistoryPage" if "HistoryPage" in request["query"] else "Run"
        body = gzip.compress(json.dumps({"data": server.documents[operation]}).encode())
        stream(handler, [body[:cut]], Content_Encoding="gzip")

    server.respond_raw = post

    if cut is None:
        assert download_run(PATH, tmp_path).history_rows == 2
    else:
        with pytest.raises(DownloadError, match="broke off"):
            download_run(PATH, tmp_path)


@pytest.mark.parametrize("size", [5, 3 * MB])
def test_body_is_read_up_to_its_announced_size(server: HostileServer, tmp_path: Path, size: int) -> None:
    """This holds in downloads and through fsspec."""
    sent = SimpleQueue[int]()
    server.documents["Run"]["project"]["run"]["files"] = page({**file_node(server.url), "sizeBytes": size})
    server.documents["RunFiles"]["project"]["run"]["files"] = page({**file_node(server.url), "sizeBytes": size})
    server.send = lambda _, handler: sent.put(stream(handler, endless()))

    with pytest.raises(IncompleteDownloadError, match=rf"a\.txt: the response is longer than the {size} bytes"):
        download_run(PATH, tmp_path)
    with pytest.raises(DownloadError, match=f"the response is longer than the {size} bytes"):
        WandbFileSystem(skip_instance_cache=True).cat_file(f"{PATH}/a.txt")

    assert max(sent.get(timeout=30) for _ in range(2)) <= size + BUFFERS
    assert not (tmp_path / "a.txt").exists()


def test_file_of_unknown_size_is_read_up_to_a_limit(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "MEMORY_LIMIT", MB)
    sent = SimpleQueue[int]()
    files = page({**file_node(server.url), "sizeBytes": None, "md5": None})
    server.documents["Run"]["project"]["run"]["files"] = files
    server.send = lambda _, handler: sent.put(stream(handler, endless()))

    with pytest.raises(ServerAnswerError, match="more than 1 MB and no known size"):
        WandbFileSystem(skip_instance_cache=True).cat_file(f"{PATH}/a.txt")

    assert sent.get(timeout=30) <= MB + BUFFERS


def test_console_is_streamed_to_a_file_and_limited_in_memory(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sinks, "MEMORY_LIMIT", MB)
    server.documents["Run"]["project"]["run"]["logLineCount"] = 4
    cursors = [None, "1", "2", "3"]

    def respond(operation: str, variables: dict[str, Any]) -> object:
        if operation != "RunConsoleLogPage":
            return {"data": server.documents[operation]}
        at = cursors.index(variables["after"])
        lines = page({"line": str(at) * (MB // 2), "label": ""}, following=[*cursors[1:], None][at])
        return {"data": {"project": {"run": {"logLines": lines}}}}

    server.respond = respond
    fs = WandbFileSystem(skip_instance_cache=True)
    with pytest.raises(ServerAnswerError, match="more than 1 MB and no known size"):
        fs.cat_file(f"{PATH}/output.log")
    fs.get_file(f"{PATH}/output.log", str(tmp_path / "output.log"))

    assert [line[:1] for line in (tmp_path / "output.log").read_text().splitlines()] == ["0", "1", "2", "3"]


def test_more_rows_than_an_ended_run_has_are_incomplete(server: HostileServer, tmp_path: Path) -> None:
    """Those of a running run were logged after they were counted."""
    run = server.documents["Run"]["project"]["run"]
    run["historyLineCount"] = 1
    with use_options(history_pauses=(0,)), pytest.raises(IncompleteDownloadError, match=r"counts 1 rows .* returned 2"):
        download_run(PATH, tmp_path / "ended")
    run["state"] = "running"

    assert download_run(PATH, tmp_path / "running").history_rows == 2


def echo_status(padding: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def post(handler: BaseHTTPRequestHandler) -> None:
        headers = dict(handler.headers)
        send(handler, (padding + json.dumps(headers) + KEY).encode(), 400)

    return post


def echo_errors(padding: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def post(handler: BaseHTTPRequestHandler) -> None:
        text = padding + json.dumps(dict(handler.headers)) + KEY
        send(handler, json.dumps({"errors": [{"message": text}]}).encode())

    return post


def echo_shape(padding: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def post(handler: BaseHTTPRequestHandler) -> None:
        send(handler, json.dumps({"data": {"project": {"run": {"state": {KEY: dict(handler.headers)}}}}}).encode())

    return post


@pytest.mark.parametrize("length", [0, 200, 230, 260, 290])
@pytest.mark.parametrize("echo", [echo_status, echo_errors, echo_shape])
def test_echoed_secrets_are_redacted(
    server: HostileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    echo: Callable[[str], Callable[[BaseHTTPRequestHandler], None]],
    length: int,
) -> None:
    """The server's text may be truncated within a secret."""
    monkeypatch.setenv("WANDB_X_EXTRA_HTTP_HEADERS", json.dumps({"X-Team": SECRET_HEADER}))
    server.respond_raw = echo("x" * length)

    with pytest.raises(DownloadError) as caught:
        download_run(PATH, tmp_path)

    shown = "".join(traceback.format_exception(caught.value))
    for secret in (KEY, SECRET_HEADER, basic_authorization(KEY).removeprefix("Basic ")):
        assert secret[:8] not in shown


def test_every_encoding_of_a_secret_is_redacted() -> None:
    secret = 'a"b/c d\\'
    redact = Redactor([secret, "abc", None])

    for form in (secret, json.dumps(secret), "a%22b%2Fc%20d%5C", basic_authorization(secret)):
        assert "b" not in redact(f"<{form}>").replace("Basic", "")
    assert redact("abc") == "abc"


@pytest.mark.parametrize("end", [12, 30, None])
def test_secrets_in_files_are_overwritten(end: int | None) -> None:
    """A text of the server may be truncated within a secret, and begin with the start of one."""
    redact = Redactor([KEY])
    for form in (KEY, basic_authorization(KEY).removeprefix("Basic ")):
        content = f"{form[:5]} <{form[:end]}".encode()
        masked = redact.mask(content)

        assert masked == f"{form[:5]} <".encode() + b"*" * len(form[:end])
        assert redact.mask(masked) == masked


def test_valid_body_is_stored(server: HostileServer, tmp_path: Path) -> None:
    download_run(PATH, tmp_path)

    assert (tmp_path / "a.txt").read_bytes() == BODY
