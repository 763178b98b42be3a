"""Proxies, extra headers and certificates, for requests, file downloads and `wandb://`."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import fsspec
import pytest
import trustme
from fsspec.asyn import sync
from wandb_artifacts import InvalidValueError, ServerAnswerError, ServerUnavailableError, download_run, download_sweep
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_artifacts.client import Client, Connection, use_connection

from tests.support.forward_proxy import ForwardProxy
from tests.wandb_artifacts.signed_url_proxy import SignedUrlProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend

FILES = {"a": b"a", "sub/b": b"b"}
HEADERS = {"X-Team": "hidden-header"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove proxies and certificates from the environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "WANDB_HTTP_PROXY", "WANDB_HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "WANDB_INSECURE_DISABLE_SSL"):
        monkeypatch.delenv(name, raising=False)
    with use_options(retry=RetryPolicy(first_wait=0.01, attempts=2, down_for=0)):
        yield


@pytest.fixture
def proxy(backend: WandbBackend) -> Iterator[ForwardProxy]:
    """Start a proxy that resolves `wandb.test` to the server; nothing else resolves it."""
    url = urlsplit(backend.server.url)
    with ForwardProxy(hosts={"wandb.test": (url.hostname or "", url.port or 0)}) as proxy:
        yield proxy


def hosts(proxy: ForwardProxy) -> set[str]:
    return {urlsplit(request.target).netloc or request.target for request in proxy.requests}


def read_as_filesystem(path: str) -> bytes:
    """Read a file by `wandb://`, and close the connections that the filesystem keeps open."""
    fs: Any = fsspec.filesystem("wandb", skip_instance_cache=True)
    content: bytes = fs.cat(path)
    sync(fs.loop, fs.aclose)
    return content


@pytest.mark.parametrize("how", ["WANDB_HTTP_PROXY", "settings"])
def test_downloads_and_requests_use_the_proxy_of_wandb(
    backend: WandbBackend, proxy: ForwardProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The SDK's own proxy settings apply to loopback too."""
    run, sweep = backend.run(files=FILES), backend.sweep(["s"], files=FILES)
    connection = None
    if how == "settings":
        connection = Connection.from_settings({"http_proxy": proxy.url})
    else:
        monkeypatch.setenv(how, proxy.url)

    with use_connection(connection):
        download_run(run, tmp_path / "run")
        download_sweep(sweep, tmp_path / "sweep")
        content = read_as_filesystem(f"{run}/a")
        entity = Client().default_entity()

    assert (tmp_path / "run/sub/b").read_bytes() == (tmp_path / "sweep/s/sub/b").read_bytes() == b"b"
    assert (content, entity) == (b"a", "local")
    paths = [urlsplit(request.target).path for request in proxy.requests]
    assert len([path for path in paths if path == "/graphql"]) == 4
    assert len([path for path in paths if path != "/graphql"]) == 5


def test_environment_proxy_is_used_except_for_loopback(
    backend: WandbBackend, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the SDK, hosts in NO_PROXY are excluded too."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)

    assert Client().default_entity() == "local"
    assert proxy.requests == []

    client = Client(Connection("http://wandb.test"), timeout=1)
    assert client.default_entity() == "local"
    assert hosts(proxy) == {"wandb.test"}

    monkeypatch.setenv("NO_PROXY", ".test")
    with pytest.raises(ServerUnavailableError, match=r"no connection to the server wandb\.test"):
        client.default_entity()


@pytest.mark.parametrize(
    ("no_proxy", "is_direct"), [("10.0.0.0/8", True), ("10.1.2.3", True), ("11.0.0.0/8", False), ("rubbish/8", False)]
)
def test_no_proxy_supports_networks(
    proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch, no_proxy: str, is_direct: bool
) -> None:
    from wandb_artifacts._client.proxies import Proxies
    from yarl import URL

    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", no_proxy)

    found = Proxies(Connection().resolved()).find(URL("http://10.1.2.3/a.bin"))

    assert (found is None) == is_direct


def test_proxy_credentials_are_sent_to_the_proxy_only(backend: WandbBackend, tmp_path: Path) -> None:
    run = backend.run(files=FILES)
    with ForwardProxy(credentials="user:password") as proxy:
        in_url = Connection(http_proxy=proxy.url.replace("//", "//user:password@"))
        in_header = Connection(http_proxy=proxy.url, headers={"Proxy-Authorization": "Basic dXNlcjpwYXNzd29yZA=="})
        for index, connection in enumerate((in_url, in_header)):
            with use_connection(connection):
                download_run(run, tmp_path / str(index))

        with use_connection(Connection(http_proxy=proxy.url)), pytest.raises(ServerAnswerError, match="407") as caught:
            Client().default_entity()
    assert caught.value.status == 407


def test_unreachable_proxy_is_named_without_its_password(backend: WandbBackend) -> None:
    client = Client(Connection(http_proxy="http://user:hidden@127.0.0.1:9"), timeout=0.3)

    with pytest.raises(ServerUnavailableError, match=r"no connection to the proxy 127\.0\.0\.1") as caught:
        client.default_entity()

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("redirects", [False, True], ids=["signed", "redirected"])
def test_extra_headers_are_sent_to_wandb_only(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redirects: bool
) -> None:
    """Neither a signed URL nor a redirect sends them to another host."""
    run = backend.run(files=FILES)
    with SignedUrlProxy(backend.server, redirects=redirects) as front:
        monkeypatch.setenv("WANDB_BASE_URL", front.url)
        monkeypatch.setenv("WANDB_X_EXTRA_HTTP_HEADERS", '{"X-Team": "hidden-header"}')
        download_run(run, tmp_path)

    assert {headers.get("X-Team") for headers in front.api_headers} == {"hidden-header"}
    assert len(front.storage_headers) == 2
    assert "hidden-header" not in str(front.storage_headers)


def test_extra_headers_are_not_sent_to_a_server_from_a_url(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.run(files=FILES)
    with SignedUrlProxy(backend.server) as front:
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {urlsplit(front.url).netloc} login user password {'x' * 40}\n")
        monkeypatch.setenv("WANDB_X_EXTRA_HTTP_HEADERS", '{"X-Team": "hidden-header"}')
        download_run(f"{front.url}/local/p/runs/r", tmp_path / "to")

    assert front.api_headers
    assert "hidden-header" not in str(front.api_headers)


def test_extra_headers_are_redacted_in_errors(backend: WandbBackend) -> None:
    client = Client(Connection(backend.server.url, headers={"X-Team": "hidden-header"}))

    with pytest.raises(ServerAnswerError) as caught:
        client.execute("query { hidden-header }", {}, what="it")

    assert "hidden-header" not in str(caught.value)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(backend: WandbBackend, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[SignedUrlProxy]:
    """W&B and its file storage behind TLS, with a certificate that no system trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "wandb.test").configure_cert(context)
    with SignedUrlProxy(backend.server, tls=context) as front:
        monkeypatch.setenv("WANDB_BASE_URL", front.url)
        yield front


def trust_settings(how: str, authority: trustme.CA, folder: Path) -> tuple[dict[str, str], dict[str, object]]:
    """Return the environment and the settings that make a client trust the authority."""
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    environments: Mapping[str, dict[str, str]] = {
        "SSL_CERT_FILE": {"SSL_CERT_FILE": str(folder / "ca.pem")},
        "REQUESTS_CA_BUNDLE": {"REQUESTS_CA_BUNDLE": str(folder / "ca.pem")},
        "WANDB_INSECURE_DISABLE_SSL": {"WANDB_INSECURE_DISABLE_SSL": "true"},
        "settings": {},
    }
    return environments[how], {"insecure_disable_ssl": True} if how == "settings" else {}


@pytest.mark.parametrize("how", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "WANDB_INSECURE_DISABLE_SSL", "settings"])
def test_private_certificate_can_be_trusted(
    backend: WandbBackend,
    secure: SignedUrlProxy,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    run = backend.run(files=FILES)
    environment, settings = trust_settings(how, authority, tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with use_connection(Connection.from_settings(settings)):
        download_run(run, tmp_path / "to")
        content = read_as_filesystem(f"{run}/a")
        entity = Client().default_entity()

    assert secure.url.startswith("https://")
    assert (tmp_path / "to/sub/b").read_bytes() == b"b"
    assert (content, entity) == (b"a", "local")


def test_untrusted_certificate_is_a_permanent_error(
    backend: WandbBackend, secure: SignedUrlProxy, tmp_path: Path
) -> None:
    with pytest.raises(ServerAnswerError, match=r"certificate of 127\.0\.0\.1 is not trusted; set SSL_CERT_FILE"):
        download_run(backend.run(), tmp_path)


def test_unreadable_bundle_is_named(secure: SignedUrlProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")

    with pytest.raises(InvalidValueError, match=r"REQUESTS_CA_BUNDLE='/nowhere/ca\.pem': cannot be read"):
        Client().default_entity()


def test_https_uses_a_tunnel_through_the_proxy(
    backend: WandbBackend,
    secure: SignedUrlProxy,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy sees neither the key nor the extra headers."""
    run = backend.run(files=FILES)
    environment, _ = trust_settings("SSL_CERT_FILE", authority, tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", environment["SSL_CERT_FILE"])

    with ForwardProxy(credentials="user:password") as proxy:
        url: Any = proxy.url.replace("//", "//user:password@")
        with use_connection(Connection(https_proxy=url, headers=HEADERS)):
            download_run(run, tmp_path / "to")

    assert (tmp_path / "to/sub/b").read_bytes() == b"b"
    assert {request.method for request in proxy.requests} == {"CONNECT"}
    assert hosts(proxy) == {urlsplit(secure.url).netloc, urlsplit(secure.storage).netloc}
    assert not [request for request in proxy.requests if {"authorization", "x-team"} & set(request.headers)]
    assert {headers.get("X-Team") for headers in secure.api_headers} == {"hidden-header"}
