"""Credentials: API keys, and identity tokens that are exchanged for access tokens."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from wandb_artifacts import AuthenticationError, ServerAnswerError, download_run
from wandb_artifacts._client import identity_token
from wandb_artifacts.client import Client, Connection, find_credentials, has_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


HOST = "https://wandb.example.com"
KEY = "k" * 40


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home directory of a machine without credentials."""
    for name in ("API_KEY", "IDENTITY_TOKEN_FILE", "CREDENTIALS_FILE", "CONFIG_DIR"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_BASE_URL", HOST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_missing_credentials_raise_with_the_remedy(home: Path) -> None:
    assert not has_credentials()
    with pytest.raises(
        AuthenticationError, match=f"No W&B API key for {HOST}: set WANDB_API_KEY, or run 'wandb login'"
    ):
        find_credentials()


def test_key_is_read_from_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", f" {KEY}\n")

    found = find_credentials()

    assert (found.host, found.api_key, found.source) == (HOST, KEY, "WANDB_API_KEY")
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("server", "is_found"),
    [
        ("https://wandb.example.com", True),
        ("https://other.example.com", True),
        ("http://other.example.com", False),
        ("https://other.example.com:8443", False),
        ("https://wandb.example.com:8443", False),
        ("http://wandb.example.com", False),
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
    ],
)
def test_netrc_key_is_used_for_one_host_and_port_over_tls(home: Path, server: str, is_found: bool) -> None:
    """The server may come from a URL. The user's own configuration may name an http server."""
    machines = ("wandb.example.com", "other.example.com", "127.0.0.1:8080", "localhost")
    (home / ".netrc").write_text("".join(f"machine {name} login user password {KEY}\n" for name in machines))

    if is_found:
        assert find_credentials(host=server).api_key == KEY
        return
    with pytest.raises(AuthenticationError, match=f"No W&B API key for {server}: "):
        find_credentials(host=server)


def test_netrc_key_is_used_for_a_configured_http_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://wandb.example.com")
    (home / ".netrc").write_text(f"machine wandb.example.com login user password {KEY}\n")

    assert find_credentials().api_key == KEY


def test_key_is_read_from_netrc(home: Path) -> None:
    (home / ".netrc").write_text(f"machine wandb.example.com login user password {KEY}\n")
    (home / ".netrc").chmod(0o600)

    assert find_credentials().api_key == KEY
    assert find_credentials().source == str(home / ".netrc")
    assert not has_credentials(Connection("https://elsewhere.example.com"))


def test_key_is_read_from_the_settings_file(home: Path) -> None:
    (home / ".config/wandb").mkdir(parents=True)
    (home / ".config/wandb/settings").write_text(f"[default]\napi_key = {KEY}\n")

    assert find_credentials().api_key == KEY
    assert "settings file" in find_credentials().source


def test_identity_token_file_is_read_from_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_IDENTITY_TOKEN_FILE", "~/token")

    found = find_credentials()

    assert (found.api_key, found.identity_token_file) == (None, home / "token")
    assert found.credentials_file == home / ".config/wandb/credentials.json"


def test_key_and_identity_token_together_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_IDENTITY_TOKEN_FILE", "token")

    with pytest.raises(AuthenticationError, match="WANDB_API_KEY and WANDB_IDENTITY_TOKEN_FILE are both set"):
        find_credentials()


def test_key_is_not_sent_to_a_server_from_a_url(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the configured server, or one that the user's own code names, gets the key of the environment."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    other = "https://other.example.com"

    with pytest.raises(AuthenticationError, match="WANDB_API_KEY is for another server"):
        find_credentials(host=other)
    with pytest.raises(AuthenticationError):
        find_credentials(Connection(HOST), host=other)
    assert find_credentials(Connection(other)).api_key == KEY


@dataclass
class TokenBackend:
    """A server with W&B's token endpoint, one valid identity token, and the access tokens that it issued."""

    identity: str = "identity"
    expires_in: int = 3600
    status: int = 200
    issued: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    url: str = ""

    async def exchange(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        if self.status != 200 or form["assertion"] != self.identity:
            return web.json_response({"error": "bad", "echo": str(form["assertion"])}, status=max(self.status, 400))
        self.issued.append(f"access{len(self.issued)}")
        return web.json_response({"access_token": self.issued[-1], "expires_in": self.expires_in})

    async def graphql(self, request: web.Request) -> web.Response:
        self.authorizations.append(request.headers["Authorization"])
        is_known = self.authorizations[-1] in [f"Bearer {token}" for token in self.issued]
        return web.json_response({"data": {"viewer": {"entity": "team"}}}, status=200 if is_known else 401)


@pytest.fixture
def tokens(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenBackend]:
    backend, started = TokenBackend(), threading.Event()
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/oidc/token", backend.exchange)
        app.router.add_post("/graphql", backend.graphql)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        backend.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        stop.append((asyncio.get_running_loop(), asyncio.Event()))
        started.set()
        await stop[0][1].wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(30)
    (home / "token").write_text("identity\n")
    monkeypatch.setattr(identity_token, "_known", {})
    monkeypatch.setenv("WANDB_BASE_URL", backend.url)
    monkeypatch.setenv("WANDB_IDENTITY_TOKEN_FILE", str(home / "token"))
    monkeypatch.setenv("WANDB_CREDENTIALS_FILE", str(home / "credentials.json"))
    yield backend
    loop, event = stop[0]
    loop.call_soon_threadsafe(event.set)
    thread.join(30)


def test_identity_token_is_exchanged_once_and_cached(tokens: TokenBackend, home: Path) -> None:
    """The access token is sent in place of a key, and stored where the SDK finds it, readable by its owner only."""
    client = Client()

    assert client.default_entity() == client.default_entity() == "team"

    assert tokens.authorizations == ["Bearer access0"] * 2
    stored = json.loads((home / "credentials.json").read_text())["credentials"][tokens.url]
    assert stored["access_token"] == "access0"
    assert datetime.strptime(stored["expires_at"], "%Y-%m-%d %H:%M:%S")
    assert (home / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_access_token_of_the_sdk_is_used(tokens: TokenBackend, home: Path) -> None:
    tokens.issued.append("of-the-sdk")
    expiry = (datetime.now(timezone.utc) + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    entry = {"access_token": "of-the-sdk", "expires_at": expiry}
    (home / "credentials.json").write_text(json.dumps({"credentials": {tokens.url: entry}}))

    assert Client().default_entity() == "team"
    assert tokens.authorizations == ["Bearer of-the-sdk"]


def test_access_token_that_expires_soon_is_replaced(tokens: TokenBackend, home: Path) -> None:
    """The identity token is read again for each exchange, because short-lived ones are replaced in their file."""
    tokens.expires_in = 60
    client = Client()
    client.default_entity()
    tokens.identity = "second"
    (home / "token").write_text("second")

    client.default_entity()

    assert tokens.authorizations == ["Bearer access0", "Bearer access1"]


def test_rejected_identity_token_raises_without_the_token(tokens: TokenBackend, home: Path) -> None:
    (home / "token").write_text("wrong-token")

    with pytest.raises(AuthenticationError, match=r"rejected the identity token \(400\)") as caught:
        Client().default_entity()

    assert caught.value.status == 400
    assert "wrong-token" not in str(caught.value)
    assert Client().key_status() == 400


def test_missing_identity_token_file_is_named(tokens: TokenBackend, home: Path) -> None:
    (home / "token").unlink()

    with pytest.raises(AuthenticationError, match=r"Cannot read the identity token file .*token: No such file"):
        Client().default_entity()


def test_downloads_authenticate_with_the_access_token(tokens: TokenBackend, tmp_path: Path) -> None:
    with pytest.raises(ServerAnswerError):
        download_run("team/p/r", tmp_path / "to")

    assert tokens.authorizations == ["Bearer access0"]
