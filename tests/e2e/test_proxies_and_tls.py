"""Runs behind a forward proxy, and on a server with a private certificate."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import flyte
import pytest
import trustme
from flyteplugins.wandb import download_wandb_run_dir, get_wandb_run, wandb_config, wandb_init

from tests.e2e.support import run_locally
from tests.support.forward_proxy import ForwardProxy
from tests.wandb_artifacts.signed_url_proxy import SignedUrlProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wandb_devserver import DevServer

env = flyte.TaskEnvironment(name="e2e_proxies")

HOST = "http://wandb.test"
"""Only the proxy resolves it."""
CONTEXT = wandb_config(project="e2e", download_logs=True)


def log_a_row() -> str:
    run = get_wandb_run()
    assert run is not None
    run.log({"x": 1})
    return run.id


@wandb_init
@env.task
async def logging_row() -> str:
    return log_a_row()


@wandb_init
@env.task
def logging_row_sync() -> str:
    return log_a_row()


@env.task
def downloading(run_id: str) -> str:
    return download_wandb_run_dir(run_id)


@pytest.fixture(autouse=True)
def environment(wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove proxies and certificates from the environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "WANDB_HTTP_PROXY", "WANDB_HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "WANDB_INSECURE_DISABLE_SSL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="wandb_runtime")
    return caplog


@pytest.fixture
def wandb_devserver_options() -> dict[str, Any]:
    return {"allowed_hosts": ["wandb.test"]}


@pytest.fixture
def proxy(wandb_devserver: DevServer) -> Iterator[ForwardProxy]:
    url = urlsplit(wandb_devserver.url)
    with ForwardProxy(hosts={"wandb.test": (url.hostname or "", url.port or 0)}) as proxy:
        yield proxy


def assert_delivered(wandb_devserver: DevServer, log: pytest.LogCaptureFixture, run_id: str) -> None:
    """The run is complete, was verified without a warning, and its files were downloaded."""
    assert wandb_devserver.run(f"local/e2e/{run_id}").state == "finished"
    records = [record for record in log.records if record.name == "wandb_runtime"]
    assert [record.message for record in records if record.levelno >= logging.WARNING] == []
    assert [record for record in records if record.message.startswith("Stored the files")]


@pytest.mark.parametrize("task", [logging_row, logging_row_sync], ids=lambda task: task.name)
def test_run_uses_the_proxy_of_its_settings(
    task: object, wandb_devserver: DevServer, proxy: ForwardProxy, log: pytest.LogCaptureFixture
) -> None:
    """It opens, is verified and downloaded through the proxy; `download_wandb_run_dir` uses the proxy too."""
    context = {**CONTEXT, **wandb_config(host=HOST, settings={"http_proxy": proxy.url})}

    run_id = run_locally(task, context=context)

    assert_delivered(wandb_devserver, log, run_id)
    assert run_locally(downloading, run_id, context=context).endswith(run_id)


def test_run_uses_the_proxy_of_the_environment(
    wandb_devserver: DevServer, proxy: ForwardProxy, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", HOST)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)

    assert_delivered(wandb_devserver, log, run_locally(logging_row, context=CONTEXT))


@pytest.mark.parametrize("how", ["SSL_CERT_FILE", "settings"])
def test_run_trusts_a_private_certificate(
    how: str,
    wandb_devserver: DevServer,
    log: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings = {"insecure_disable_ssl": True} if how == "settings" else {}
    if how != "settings":
        monkeypatch.setenv(how, str(tmp_path / "ca.pem"))

    with SignedUrlProxy(wandb_devserver, tls=context) as secure:
        secured = wandb_config(host=secure.url, settings=settings)
        run_id = run_locally(logging_row, context={**CONTEXT, **secured})

    assert secure.url.startswith("https://")
    assert_delivered(wandb_devserver, log, run_id)
