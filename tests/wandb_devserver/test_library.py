"""The `DevServer` class."""

from __future__ import annotations

import dataclasses
import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import wandb_devserver
from wandb_devserver import DevServer, DevServerError, Fault, NotFoundError, UsageError, _runner
from wandb_devserver._storage.database import Database

from tests.support import loopback
from tests.wandb_devserver.support import RawClient

if TYPE_CHECKING:
    from pathlib import Path


def test_servers_are_independent() -> None:
    """Each has its own port, key and runs."""
    with DevServer() as one, DevServer() as two:
        client = RawClient(one)
        client.open_run("r")
        client.http.close()

        assert one.url != two.url
        assert one.api_key != two.api_key
        assert (len(one.runs()), len(two.runs())) == (1, 0)


def test_temporary_data_directory_is_removed_at_stop(tmp_path: Path) -> None:
    """A named directory stays and can be served again."""
    with DevServer() as server:
        temporary = server.data_dir
    with DevServer(tmp_path / "kept") as server:
        client = RawClient(server)
        client.open_run("r")
        client.http.close()
    with DevServer(tmp_path / "kept") as server:
        assert server.run("local/p/r").state == "running"

    assert not temporary.exists()


def test_server_can_be_stopped_and_started_again() -> None:
    """A second start raises; a second stop does nothing."""
    server = DevServer()
    with pytest.raises(DevServerError, match="is not running"):
        _ = server.url
    server.start()
    url = server.url
    with pytest.raises(DevServerError, match="already running"):
        server.start()
    server.stop()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        loopback.get(url)
    with server:
        assert loopback.get(server.url).status_code == 401


def test_stop_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with DevServer() as server:
        loopback.get(server.url)
    left = {thread.name for thread in set(threading.enumerate()) - before}

    assert not {name for name in left if "devserver" in name}


def test_stop_aborts_connections_with_unfinished_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their clients notice at once; without that they would wait for ever."""
    monkeypatch.setattr(_runner, "_STOP_TIMEOUT", 1)
    with ThreadPoolExecutor(1) as pool:
        with DevServer() as server:
            held = server.faults.add(Fault("graphql", delay=60))
            waiting = pool.submit(
                httpx.post,
                f"{server.url}/graphql",
                json={"query": "query Viewer { viewer { id } }"},
                auth=("api", server.api_key),
                timeout=20,
            )
            server.faults.wait(held, timeout=10)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            waiting.result()


def test_closed_database_closes_a_borrowed_connection_at_its_return(tmp_path: Path) -> None:
    """A thread that still reads is not disturbed."""
    database = Database(tmp_path / "db", heartbeat_timeout=60)
    with database.read() as connection:
        database.close()
        assert connection.execute("SELECT 1").fetchone()[0] == 1

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_not_found_error_lists_existing_runs_and_projects(server: DevServer, raw: RawClient) -> None:
    """The error is a LookupError."""
    with pytest.raises(NotFoundError, match="no run 'local/p/r' on this server; it has none"):
        server.run("local/p/r")
    raw.open_run("real")
    with pytest.raises(LookupError, match="'local/p/real'"):
        server.run("local/p/rael")
    with pytest.raises(NotFoundError, match="no project 'local/q' on this server; it has 'local/p'"):
        server.runs("local/q")
    with pytest.raises(UsageError, match="'entity/project/id'"):
        server.run("real")


def test_records_are_immutable_snapshots(server: DevServer, raw: RawClient) -> None:
    """They do not change with the run."""
    raw.open_run("r")
    before = server.run("local/p/r")
    raw.stream_rows({"_step": 0})

    assert before.history == []
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.state = "finished"  # type: ignore[misc]
    assert not hasattr(before, "__dict__")


def test_wait_for_run_returns_at_the_state(server: DevServer, raw: RawClient) -> None:
    """At the timeout, the error names the current state."""
    waiting = threading.Event()
    seen: list[str] = []

    def wait() -> None:
        waiting.set()
        seen.append(server.wait_for_run("local/p/r", "finished").state)

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    raw.open_run("r")
    raw.stream({"complete": True, "exitcode": 0})
    thread.join()

    assert seen == ["finished"]
    with pytest.raises(TimeoutError, match=r"is finished after 0\.01 s, not crashed or failed"):
        server.wait_for_run("local/p/r", "crashed", "failed", timeout=0.01)
    with pytest.raises(TimeoutError, match="is missing"):
        server.wait_for_run("local/p/other", timeout=0.01)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"api_key": "short"}, "api_key has 5 characters"),
        ({"api_key": "prefix-" + "x" * 39}, "after its prefix 'prefix'"),
        ({"api_key": "é" * 50}, "letters, digits and underscores"),
        ({"entity": ""}, "entity is ''"),
        ({"heartbeat_timeout": -1}, "heartbeat_timeout is -1"),
        ({"heartbeat_timeout": float("nan")}, "heartbeat_timeout is nan"),
    ],
)
def test_invalid_argument_raises(arguments: dict[str, Any], named: str) -> None:
    """It raises before the server starts."""
    with pytest.raises(UsageError, match=named):
        DevServer(**arguments)


@pytest.mark.parametrize("key", ["x" * 40, "A" * 86, "local-" + "x" * 40, "a-" + "b-" * 30, "wandb_v1_" + "x" * 31])
def test_api_keys_that_the_sdk_accepts_are_accepted(key: str) -> None:
    with DevServer(api_key=key) as server:
        assert server.api_key == key
        viewer = {"query": "{ viewer { entity } }"}
        assert loopback.post(f"{server.url}/graphql", auth=("api", key), json=viewer).status_code == 200


def test_repr_does_not_show_the_api_key() -> None:
    """A failing test prints its objects."""
    with DevServer(api_key="k" * 40) as server:
        texts = [repr(server), repr(server._live.backend), repr(server._settings)]

    assert not [text for text in texts if "kkkk" in text]


def test_responses_are_sent_without_delay(raw: RawClient, server: DevServer) -> None:
    """Nagle's algorithm would delay each of them by 40 ms."""
    raw.open_run("r")
    (connection,) = server._live._uvicorn.server_state.connections
    client_socket = connection.transport.get_extra_info("socket")

    assert client_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_all_exported_names_exist() -> None:
    assert wandb_devserver.__all__ == sorted(wandb_devserver.__all__)
    assert [name for name in wandb_devserver.__all__ if not hasattr(wandb_devserver, name)] == []


def test_sweeps_can_be_read_and_awaited(server: DevServer, raw: RawClient) -> None:
    """`sweeps` lists one project or all; errors name what is missing."""
    assert server.sweeps() == []
    config = {"method": "random", "name": "first", "parameters": {"a": {"value": 1}}}
    one, two = raw.sweep(config), raw.sweep({**config, "name": ""}, project="q")
    assert [sweep.id for sweep in server.sweeps()] == [one.name, two.name]
    assert [sweep.id for sweep in server.sweeps("local/q")] == [two.name]
    record = server.sweep(one.path)
    assert (record.entity, record.project, record.name, record.state) == ("local", "p", "first", "PENDING")
    assert (record.config, record.trials, record.agents, record.description) == (config, [], [], None)
    assert server.sweep(two.path).name == two.name
    later = threading.Timer(0.1, one.agent)
    later.start()

    assert server.wait_for_sweep(one.path, "RUNNING").agents[0].state == "RUNNING"
    later.join()
    with pytest.raises(TimeoutError, match=r"is PENDING after 0\.01 s, not FINISHED or CANCELED"):
        server.wait_for_sweep(two.path, "FINISHED", "CANCELED", timeout=0.01)
    with pytest.raises(TimeoutError, match=r"is missing after 0\.01 s, not there"):
        server.wait_for_sweep("local/p/none", timeout=0.01)
    with pytest.raises(NotFoundError, match=f"no sweep 'local/p/none' .* has '{one.path}', '{two.path}'"):
        server.sweep("local/p/none")
    with pytest.raises(NotFoundError, match="no project 'local/z'"):
        server.sweeps("local/z")
    with pytest.raises(UsageError, match="entity/project/id"):
        server.sweep(one.name)
    with pytest.raises(LookupError):
        server.delete_sweep("local/p/none")


def test_config_of_a_sweep_record_is_a_copy(server: DevServer, raw: RawClient) -> None:
    sweep = raw.sweep({"method": "random", "parameters": {"a": {"value": 1}}})
    server.sweep(sweep.path).config.clear()

    assert server.sweep(sweep.path).config["method"] == "random"
