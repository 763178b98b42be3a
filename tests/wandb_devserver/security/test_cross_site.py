"""Requests that pages of other sites send through the user's browser."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from wandb_devserver import DevServer
from wandb_devserver._errors import UsageError

from tests.support import loopback
from tests.wandb_devserver.security.support import running_command
from tests.wandb_devserver.support import RawClient

if TYPE_CHECKING:
    from pathlib import Path

DELETE = 'mutation { deleteRun(input: {id: "%s"}) { clientMutationId } }'


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
def test_form_content_types_are_refused(raw: RawClient, content_type: str | None) -> None:
    """A form of a foreign page can send JSON as one of these types, with the credentials that the browser has."""
    run = raw.open_run("r")
    headers = {"Content-Type": content_type} if content_type else {}
    body = b'{"query": "%s"}' % (DELETE % run["id"]).replace('"', '\\"').encode()
    deletion = raw.http.post("/graphql", content=body, headers=headers)
    stream = raw.http.post("/files/local/p/r/file_stream", content=b'{"complete": true}', headers=headers)

    assert (deletion.status_code, stream.status_code) == (415, 415)
    assert "application/json" in deletion.json()["errors"][0]["message"]
    assert raw.server.run("local/p/r").state == "running"
    assert raw.http.post("/graphql", content=body, headers={"Content-Type": "application/json"}).status_code == 200
    assert raw.server.runs() == []


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://", ""])
@pytest.mark.parametrize("path", ["/graphql", "/", "/signed/x", "/sdk/otel/v1/metrics"])
def test_foreign_origin_is_refused(raw: RawClient, path: str, origin: str) -> None:
    method = "GET" if path == "/" else "PUT" if path == "/signed/x" else "POST"
    response = raw.http.request(method, path, headers={"Origin": origin})

    assert response.status_code == 403
    assert repr(origin) in response.json()["errors"][0]["message"]


def test_own_origin_is_served(raw: RawClient) -> None:
    body = {"query": "{ viewer { entity } }"}

    assert raw.http.post("/graphql", json=body, headers={"Origin": raw.server.url}).status_code == 200
    # A proxy that adds TLS keeps the host.
    https = raw.server.url.replace("http:", "https:")
    assert raw.http.post("/graphql", json=body, headers={"Origin": https}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1", "localhost.evil"]
)
@pytest.mark.parametrize("path", ["/graphql", "/", "/signed/x", "/sdk/otel/v1/metrics"])
def test_foreign_host_is_refused(raw: RawClient, path: str, host: str) -> None:
    """The name of a foreign page may resolve to this machine (DNS rebinding)."""
    response = raw.http.request("GET" if path == "/" else "POST", path, headers={"Host": host})

    assert response.status_code == 421
    assert "--allowed-host" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:{port}", "127.0.0.1", "[::1]:{port}", "192.168.1.5:80", "localhost."]
)
def test_localhost_and_ip_hosts_are_served(raw: RawClient, host: str) -> None:
    port = urlsplit(raw.server.url).port

    assert raw.pages.get("/", headers={"Host": host.format(port=port)}).status_code == 200


def test_allowed_hosts_are_served() -> None:
    with DevServer(allowed_hosts=["DevServer", "w.example"]) as server, RawClient(server) as raw:
        http = raw.pages
        assert http.get("/", headers={"Host": "devserver:8080"}).status_code == 200
        assert http.get("/", headers={"Host": "w.example"}).status_code == 200
        assert http.get("/", headers={"Host": "x.w.example"}).status_code == 421


def test_command_line_can_allow_hosts(tmp_path: Path) -> None:
    with running_command(tmp_path, "--allowed-host", "a.example", "--allowed-host", "b.example") as server:
        url = f"{server.url}/-/sign-in"
        statuses = [loopback.get(url, headers={"Host": f"{name}.example"}).status_code for name in "abc"]

    assert statuses == [200, 200, 421]


@pytest.mark.parametrize("host", ["", "http://a.example", "a.example:80", "*.example", "a/b"])
def test_invalid_allowed_host_raises(host: str) -> None:
    with pytest.raises(UsageError, match="allowed_hosts"):
        DevServer(allowed_hosts=[host])
