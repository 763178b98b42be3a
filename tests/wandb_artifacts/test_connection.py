"""`Connection`: explicit settings, the environment, settings files."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from wandb_artifacts import InvalidValueError
from wandb_artifacts._client.options import current_options
from wandb_artifacts.client import Connection, use_connection

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS: dict[str, object] = {
    "base_url": "https://wandb.example.com/",
    "http_proxy": "http://proxy:1",
    "https_proxy": "proxy:2",
    "x_extra_http_headers": {"X-Secret": "hidden"},
    "insecure_disable_ssl": True,
    "entity": "ignored",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without settings; returns the folder of the global settings file."""
    for name in ("BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "X_EXTRA_HTTP_HEADERS", "INSECURE_DISABLE_SSL"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    (tmp_path / "global").mkdir()
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "global"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "global"


def test_connection_is_read_from_sdk_settings() -> None:
    connection = Connection.from_settings(SETTINGS)

    assert connection == Connection(
        "https://wandb.example.com", "http://proxy:1", "http://proxy:2", {"X-Secret": "hidden"}, True
    )
    assert Connection.from_settings(SETTINGS, host="https://other").host == "https://other"
    assert Connection.from_settings(None) == Connection.from_settings({"http_proxy": None}) == Connection()


def test_repr_shows_neither_headers_nor_proxies() -> None:
    connection = Connection(http_proxy="http://user:hidden@proxy:1", headers={"X": "hidden"})

    assert "hidden" not in repr(connection)


def test_connection_can_be_pickled_and_hashed() -> None:
    connection = Connection.from_settings(SETTINGS)

    assert pickle.loads(pickle.dumps(connection)) == connection
    assert len({connection, Connection.from_settings(SETTINGS)}) == 1


def test_missing_fields_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://server:8080")
    monkeypatch.setenv("WANDB_HTTP_PROXY", "http://env-proxy:1")
    monkeypatch.setenv("WANDB_X_EXTRA_HTTP_HEADERS", '{"X-Env": "1"}')
    monkeypatch.setenv("WANDB_INSECURE_DISABLE_SSL", "true")

    assert Connection().resolved() == Connection("http://server:8080", "http://env-proxy:1", None, {"X-Env": "1"}, True)
    explicit = Connection("http://mine", "http://mine:2", None, {"X-Mine": "2"}, False)
    assert explicit.resolved() == explicit


def test_environment_overrides_settings_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "settings").write_text("[default]\nbase_url = http://global\nhttp_proxy = http://global:1\n")
    assert Connection().resolved().host == "http://global"

    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb/settings").write_text("[default]\nbase_url = http://local\n")
    assert Connection().resolved() == Connection("http://local", "http://global:1", None, {}, False)

    monkeypatch.setenv("WANDB_BASE_URL", "http://env")
    assert Connection().resolved().host == "http://env"


def test_default_server_is_that_of_the_sdk() -> None:
    assert Connection().resolved().host == "https://api.forge.coreweave.com"


def test_broken_settings_file_is_ignored(folder: Path) -> None:
    (folder / "settings").write_bytes(b"\xff\xfe no section")

    assert Connection().resolved().host == "https://api.forge.coreweave.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "wandb.example.com"),
        ("base_url", 7),
        ("http_proxy", "socks5://hidden:1"),
        ("https_proxy", "ftp://hidden:1"),
        ("x_extra_http_headers", ["hidden"]),
        ("x_extra_http_headers", {"X": 1}),
        ("x_extra_http_headers", {"X": "hidden\r\nY: 1"}),
        ("x_extra_http_headers", "{hidden"),
        ("insecure_disable_ssl", "perhaps"),
    ],
)
def test_invalid_settings_are_refused_without_secrets(name: str, value: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        Connection.from_settings({name: value})

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WANDB_BASE_URL", "nowhere"),
        ("WANDB_HTTPS_PROXY", "socks5://p:1"),
        ("WANDB_X_EXTRA_HTTP_HEADERS", "x"),
        ("WANDB_INSECURE_DISABLE_SSL", "perhaps"),
    ],
)
def test_invalid_environment_variable_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(InvalidValueError, match=name):
        Connection().resolved()


def test_use_connection_applies_inside_the_block() -> None:
    connection = Connection("http://mine")

    with use_connection(connection):
        assert current_options().connection is connection
    assert current_options().connection is None
