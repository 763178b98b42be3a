"""Errors that keep a run from being opened, raised before the task's body runs."""

import asyncio
import base64
import json
import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flyte
import flyte.errors
import pytest
import wandb
from flyteplugins.wandb import (
    DecoratorOrderError,
    MissingApiKeyError,
    NoParentRunError,
    RunOpenError,
    UnavailableError,
    get_wandb_run,
    wandb_config,
    wandb_init,
)
from packaging.version import Version
from wandb_devserver import DevServer, Fault

from tests.e2e.support import run_locally

env = flyte.TaskEnvironment(name="e2e_opening")

CONTEXT = wandb_config(project="e2e")
bodies: list[str] = []


@pytest.fixture(autouse=True)
def no_body_has_run() -> None:
    bodies.clear()


def body() -> str:
    """Record that the body of a task has started, and its run."""
    run = get_wandb_run()
    assert run is not None
    run.log({"started": 1})
    bodies.append(run.id)
    return run.id


@contextmanager
def fails_before_its_body(
    error: type[Exception], *reason: str
) -> Iterator[pytest.ExceptionInfo[flyte.errors.RuntimeUserError]]:
    with pytest.raises(flyte.errors.RuntimeUserError) as caught:
        yield caught
    assert caught.value.code == error.__name__
    for words in reason:
        assert words in str(caught.value)
    assert bodies == []


@wandb_init
@env.task
async def plain() -> str:
    return body()


@wandb_init(run_mode="shared")
@env.task
async def sharing() -> str:
    return body()


@env.task
@wandb_init
async def wrong_order_async() -> str:
    return body()


@env.task
@wandb_init(project="e2e")
def wrong_order_sync() -> str:
    return body()


@env.task
async def calling_wrong_order() -> str:
    return await wrong_order_async()


def test_shared_mode_without_a_parent_run_raises(wandb_devserver: DevServer) -> None:
    """The message has the remedy."""
    with fails_before_its_body(NoParentRunError, 'run_mode="shared"', "@wandb_init", 'run_mode="auto"'):
        run_locally(sharing, context=CONTEXT)

    assert wandb_devserver.runs() == []


@pytest.mark.parametrize("task", [wrong_order_async, wrong_order_sync, calling_wrong_order], ids=lambda task: task.name)
def test_decorator_below_env_task_raises(task: Any, wandb_devserver: DevServer) -> None:
    """Under `@env.task` the decorator receives no task; the first call raises."""
    with fails_before_its_body(DecoratorOrderError, "wrong_order_", "outermost"):
        run_locally(task, context=CONTEXT)

    assert wandb_devserver.runs() == []


def test_missing_api_key_raises_without_a_prompt(wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable to set."""
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", "/dev/null")

    with fails_before_its_body(MissingApiKeyError, "WANDB_API_KEY", "flyte.Secret", 'mode="offline"'):
        run_locally(plain, context=CONTEXT)


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_offline_and_disabled_runs_need_no_key(
    mode: Any, wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", "/dev/null")

    assert run_locally(plain, context={**CONTEXT, **wandb_config(mode=mode)}) == bodies[0]
    assert wandb_devserver.runs() == []


def test_malformed_key_raises_without_showing_it(wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message contains the SDK's reason."""
    monkeypatch.setenv("WANDB_API_KEY", "tooshort123")

    with fails_before_its_body(RunOpenError, "WANDB_API_KEY", "40+ characters") as caught:
        run_locally(plain, context=CONTEXT)

    assert "tooshort123" not in str(caught.value)


def test_refused_key_raises_at_once(wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what to check and does not contain the key."""
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)

    with fails_before_its_body(RunOpenError, "refuses the API key (401)", "Check that WANDB_API_KEY") as caught:
        run_locally(plain, context=CONTEXT)

    assert "x" * 40 not in str(caught.value)


GRAPHQL_ERROR = '{"data": null, "errors": [{"message": "permission denied", "path": ["upsertBucket"]}]}'


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("graphql", operation="UpsertBucket", status=403), "refuses project 'e2e' of the default entity"),
        (Fault("graphql", operation="UpsertBucket", status=404), "refuses project 'e2e' of the default entity"),
        (Fault("graphql", operation="UpsertBucket", status=200, body=GRAPHQL_ERROR), "'s error: .*permission denied"),
        (Fault("graphql", status=403, count=None), r"refuses every request \(403\).*WANDB_BASE_URL"),
    ],
    ids=["forbidden", "missing", "in the body", "not W&B"],
)
def test_refusal_names_what_to_check(fault: Fault, reason: str, wandb_devserver: DevServer) -> None:
    """The SDK raises one exception without a message for all of them."""
    wandb_devserver.faults.add(fault)

    with fails_before_its_body(RunOpenError) as caught:
        run_locally(plain, context=CONTEXT)

    assert re.search(reason, str(caught.value))
    assert "(401)" not in str(caught.value)


@pytest.mark.parametrize("echo", ["reason", "key", "authorization", "header"])
def test_refusal_for_another_reason_quotes_the_server(
    echo: str, wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has no advice about key and project, and no key or extra header that the server echoes."""
    header = "of-a-gateway-before-w-and-b"
    monkeypatch.setenv("WANDB_X_EXTRA_HTTP_HEADERS", json.dumps({"X-Gateway": header}))
    key = wandb_devserver.api_key
    encoded = base64.b64encode(f"api:{key}".encode()).decode()
    text = {"reason": "run config cannot exceed 15 MB", "key": key, "authorization": encoded, "header": header}[echo]
    body = json.dumps({"data": None, "errors": [{"message": f"invalid run: {text}", "path": ["upsertBucket"]}]})
    wandb_devserver.faults.add(Fault("graphql", operation="UpsertBucket", status=200, body=body))

    with fails_before_its_body(RunOpenError, "the server refuses the run: ", "invalid run: ") as caught:
        run_locally(plain, context=CONTEXT)

    message = str(caught.value)
    assert "Check that" not in message
    assert not [secret for secret in (key, encoded, header) if secret in message]
    assert (text in message) == (echo == "reason")


@pytest.fixture
def refusing_host() -> Iterator[str]:
    """A loopback URL with a reserved port on which no server listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("http://127.0.0.1:{closed}", "nothing listens there"),
        ("http://w-and-b.invalid", "host name cannot be resolved"),
        ("https://127.0.0.1:{open}", "speaks http, not https"),
    ],
    ids=["refusing", "unknown", "https"],
)
def test_unreachable_host_fails_within_init_timeout(
    host: str, reason: str, wandb_devserver: DevServer, refusing_host: str
) -> None:
    """By default the task fails before its body runs, and the error names the reason as far as the SDK reports it."""
    closed, live = (url.rpartition(":")[2] for url in (refusing_host, wandb_devserver.url))
    host = host.format(closed=closed, open=live)
    unreachable = wandb_config(host=host, settings={"init_timeout": 1})

    if Version(wandb.__version__) < Version("0.31"):
        reason = "did not respond in time"

    with fails_before_its_body(UnavailableError, host, reason, "Check the host (host=, WANDB_BASE_URL)"):
        run_locally(plain, context={**CONTEXT, **unreachable})

    # The SDK caches the host, and the next run must not use it.
    assert run_locally(plain, context=CONTEXT) == wandb_devserver.runs()[0].id


@pytest.mark.parametrize(
    "fault",
    [Fault("graphql", operation="UpsertBucket", count=None, status=500), None],
    ids=["server error", "no server"],
)
def test_on_unavailable_offline_runs_the_body(
    fault: Fault | None, wandb_devserver: DevServer, refusing_host: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The data is kept, and one log line reports it."""
    if fault is not None:
        wandb_devserver.faults.add(fault)
    host = wandb_devserver.url if fault else refusing_host
    offline = wandb_config(host=host, on_unavailable="offline", settings={"init_timeout": 1})

    with caplog.at_level(logging.WARNING, logger="wandb_runtime"):
        run_id = run_locally(plain, context={**CONTEXT, **offline})

    assert bodies == [run_id]
    assert [record.message for record in caplog.records if "Continuing offline" in record.message]


@wandb_init
@env.task(retries=1)
async def retrying() -> str:
    return body()


def test_retry_opens_the_id_that_failed(wandb_devserver: DevServer) -> None:
    """The SDK's service accepts the id again in the same process."""
    wandb_devserver.faults.add(Fault("graphql", operation="UpsertBucket", status=500))

    run_id = run_locally(retrying, context={**CONTEXT, **wandb_config(settings={"init_timeout": 1})})

    assert bodies == [run_id]
    assert wandb_devserver.run(f"local/e2e/{run_id}").state == "finished"


def test_refusal_fails_despite_on_unavailable_offline(wandb_devserver: DevServer) -> None:
    """A retry cannot fix it, and no work has been done yet."""
    wandb_devserver.faults.add(Fault("graphql", operation="UpsertBucket", count=None, status=403))

    with fails_before_its_body(RunOpenError):
        run_locally(plain, context={**CONTEXT, **wandb_config(on_unavailable="offline")})


ticks: list[str] = []


@wandb_init(run_mode="new")
@env.task
async def opening_slowly() -> str:
    ticks.append("body")
    return ""


@env.task
async def ticking() -> str:
    child = asyncio.ensure_future(opening_slowly())
    while not child.done():
        ticks.append("tick")
        await asyncio.sleep(0.01)
    return await child


def test_opening_and_closing_do_not_block_the_event_loop(wandb_devserver: DevServer) -> None:
    ticks.clear()
    opening = wandb_devserver.faults.add(Fault("graphql", operation="UpsertBucket", delay=1))
    closing = wandb_devserver.faults.add(Fault("file_stream", count=None, delay=1))
    run_locally(ticking, context=CONTEXT)

    before, after = ticks[: ticks.index("body")], ticks[ticks.index("body") :]
    assert wandb_devserver.faults.fired(opening)
    assert wandb_devserver.faults.fired(closing)
    # A blocked loop ticks once or twice; this one had a second for each phase.
    assert before.count("tick") > 10
    assert after.count("tick") > 10


def test_canary_finds_the_globals_of_wandb(wandb_devserver: DevServer) -> None:
    """It fails if the private names for `wandb.run` and `wandb.log` change."""
    from wandb_runtime.server import sdk_private

    run = wandb.init(project="e2e", reinit="create_new")
    assert global_run() is None
    sdk_private.set_global_run(run)
    wandb.log({"x": 1})
    assert global_run() is run
    sdk_private.set_global_run(None)
    assert global_run() is None
    with pytest.raises(wandb.errors.Error, match=r"wandb.init\(\)"):
        wandb.log({"x": 1})
    run.finish()


def test_canary_finds_the_private_names(wandb_devserver: DevServer) -> None:
    """It fails if other private names of `wandb_runtime.server.sdk_private` change."""
    from wandb.sdk import wandb_setup
    from wandb_runtime.server import sdk_private

    run = wandb.init(project="e2e", reinit="create_new")
    with sdk_private.separate_session():
        assert global_run() is None
        inner = wandb.init(project="e2e", reinit="create_new")
        assert list(wandb_setup.singleton()._active_runs) == [inner]
        inner.finish()
    assert (inner._is_finished, run._is_finished) == (True, False)
    assert [sdk_private.has_ended(each) for each in (inner, run)] == [True, False]
    assert sdk_private.exit_code_of(inner) == 0
    assert run in wandb_setup.singleton()._active_runs
    sdk_private.forget_failed_run("never-opened")
    run.config["x"] = 1
    with pytest.raises(wandb.sdk.lib.config_util.ConfigError):
        run.config["x"] = 2
    sdk_private.allow_config_changes(run)
    run.config["x"] = 2
    sdk_private.prepare_for_artifacts(run)
    assert Path(sdk_private.staging_directory()).is_dir()
    run.log({"x": 1})
    run.finish()


def global_run() -> wandb.Run | None:
    """Read `wandb.run` in a way that type checkers do not narrow."""
    return wandb.run
