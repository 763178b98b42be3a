"""`Client` against a real server."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import (
    AccessDeniedError,
    AuthenticationError,
    NotFoundError,
    RunRef,
    ServerAnswerError,
    ServerUnavailableError,
)
from wandb_artifacts._client import queries
from wandb_artifacts._client.options import PageSizes, RetryPolicy, use_options
from wandb_artifacts.client import Client, Connection
from wandb_devserver import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.wandb_artifacts.wandb_backend import WandbBackend

VIEWER = "query Viewer { viewer { id entity } }"
CREATE_RUN = "mutation UpsertBucket($input: UpsertBucketInput!) { upsertBucket(input: $input) { bucket { id } } }"
INPUT = {"input": {"name": "r", "modelName": "p", "entityName": "local"}}
RUNS = """
query Runs($cursor: String) {
  project(name: "p", entityName: "local") {
    runs(after: $cursor, first: 2) { edges { node { name } cursor } pageInfo { hasNextPage endCursor } }
  }
}
"""


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    with use_options(retry=RetryPolicy(first_wait=0.01, longest_wait=0.02), pages=PageSizes()):
        yield


def test_execute_returns_the_data(backend: WandbBackend) -> None:
    assert Client().execute(VIEWER, {}, what="it")["viewer"]["entity"] == "local"
    assert Client(backend.server.url).host == backend.server.url


def test_construction_sends_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")

    assert Client(Connection("http://127.0.0.1:9")).host == "http://127.0.0.1:9"


def test_client_works_on_a_running_loop_and_in_threads(backend: WandbBackend) -> None:
    client = Client()

    async def on_loop() -> tuple[Any, Any]:
        return client.default_entity(), await client.default_entity_async()

    assert asyncio.run(on_loop()) == ("local", "local")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: client.default_entity(), range(8))) == {"local"}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_transient_errors_are_retried(backend: WandbBackend, status: int) -> None:
    fault = backend.server.faults.add(Fault("graphql", status=status, count=3))

    assert Client().default_entity() == "local"
    assert backend.server.faults.fired(fault) == 3


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, AuthenticationError), (403, AccessDeniedError), (404, NotFoundError), (400, ServerAnswerError)],
)
def test_permanent_errors_are_raised_at_once(backend: WandbBackend, status: int, expected: type[Exception]) -> None:
    fault = backend.server.faults.add(Fault("graphql", status=status, count=None))

    with pytest.raises(expected, match=r"^it: ") as caught:
        Client().execute(VIEWER, {}, what="it")

    assert getattr(caught.value, "status", None) == status
    assert backend.server.faults.fired(fault) == 1


def test_retries_end_with_the_timeout(backend: WandbBackend) -> None:
    backend.server.faults.add(Fault("graphql", status=502, count=None))

    with pytest.raises(ServerUnavailableError, match=r"^it: .*responded with 502") as caught:
        Client(timeout=0.5).execute(VIEWER, {}, what="it")

    assert caught.value.status == 502


def test_unreachable_server_raises_without_a_status(backend: WandbBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(Connection("http://127.0.0.1:9"), timeout=2)

    with pytest.raises(ServerUnavailableError, match=r"no connection to the server 127\.0\.0\.1") as caught:
        client.execute(VIEWER, {}, what="it")
    assert caught.value.status is None
    assert client.key_status() is None


@pytest.mark.parametrize(
    ("fault", "is_sent_again"),
    [
        (Fault("graphql", drop=True, applied=True), False),
        (Fault("graphql", status=502), False),
        (Fault("graphql", status=429), True),
    ],
    ids=["lost response", "502", "429"],
)
def test_mutation_that_may_be_applied_is_not_retried(backend: WandbBackend, fault: Fault, is_sent_again: bool) -> None:
    backend.server.faults.add(fault)
    client = Client()

    if is_sent_again:
        client.execute(CREATE_RUN, INPUT, what="it", is_repeatable=False)
        assert client.run_state(RunRef("local", "p", "r")) is not None
        return
    with pytest.raises(ServerUnavailableError):
        client.execute(CREATE_RUN, INPUT, what="it", is_repeatable=False)
    assert backend.server.faults.fired(fault) == 1
    client.execute(CREATE_RUN, INPUT, what="it")


def test_repeatable_mutation_is_retried(backend: WandbBackend) -> None:
    fault = backend.server.faults.add(Fault("graphql", drop=True, applied=True))

    Client().execute(CREATE_RUN, INPUT, what="it")

    assert backend.server.faults.fired(fault) == 1


def test_key_status_is_the_status_of_one_request(backend: WandbBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    assert client.key_status() == 200

    fault = backend.server.faults.add(Fault("graphql", status=503, count=None))
    assert client.key_status() == 503
    assert backend.server.faults.fired(fault) == 1

    backend.server.faults.clear()
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert client.key_status() == 401
    monkeypatch.delenv("WANDB_API_KEY")
    assert client.key_status() == 401


def test_find_run_returns_identity_config_and_counts(backend: WandbBackend) -> None:
    config = json.dumps({"lr": {"value": 0.1}, "_wandb": {"value": {}}})
    fields: dict[str, Any] = {
        "displayName": "shown",
        "config": config,
        "tags": ["a"],
        "groupName": "g",
        "jobType": "j",
        "notes": "n",
    }
    path = backend.run("r", rows=[{"x": 1}, {"x": 2}], summary={"x": 2}, ends=False, **fields)
    client, ref = Client(), RunRef.parse(path)

    found = client.find_run(ref)

    assert found is not None
    assert (found.state, found.name, found.config, found.tags) == ("running", "shown", {"lr": 0.1}, ("a",))
    assert (found.notes, found.group, found.job_type, found.sweep) == ("n", "g", "j", None)
    assert (found.line_count, found.last_step) == (2, 1)
    assert json.loads(found.summary)["x"] == 2
    assert client.run_state(ref) == "running"


def test_missing_run_returns_none(backend: WandbBackend) -> None:
    backend.run("r")
    client = Client()

    assert client.find_run(RunRef("local", "p", "missing")) is None
    assert client.run_state(RunRef("local", "missing", "missing")) is None


def test_iterate_pages_yields_every_page(backend: WandbBackend) -> None:
    for index in range(5):
        backend.run(f"r{index}")
    client = Client()

    pages = list(client.iterate_pages(RUNS, {}, ("project", "runs"), what="the runs"))

    assert [len(page) for page in pages] == [2, 2, 1]
    assert {node["name"] for page in pages for node in page} == {f"r{index}" for index in range(5)}

    async def collect() -> list[Any]:
        return [page async for page in client.iterate_pages_async(RUNS, {}, ("project", "runs"), what="the runs")]

    assert asyncio.run(collect()) == pages


def test_documents_of_typed_helpers_name_their_operations() -> None:
    """Logs of a server can then distinguish the requests."""
    assert "query RunState" in queries.RUN_STATE
    assert "query RunSnapshot" in queries.RUN_SNAPSHOT


def test_client_can_be_used_by_two_threads_at_once(backend: WandbBackend) -> None:
    client, barrier = Client(), threading.Barrier(2)

    def request() -> str | None:
        barrier.wait(10)
        return client.default_entity()

    with ThreadPoolExecutor(2) as pool:
        assert [future.result(30) for future in (pool.submit(request), pool.submit(request))] == ["local", "local"]
