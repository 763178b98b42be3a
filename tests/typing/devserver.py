"""The server in users' own tests. Never executed: read by mypy, see tests/install/test_consumers.py."""

from pathlib import Path

from typing_extensions import assert_type
from wandb_devserver import (
    AgentRecord,
    DevServer,
    DevServerError,
    Fault,
    FileRecord,
    JsonObject,
    NotFoundError,
    RunRecord,
    SweepRecord,
)


def test_run_records_are_typed(wandb_devserver: DevServer) -> None:
    run = wandb_devserver.run("entity/project/id")
    assert_type(run, RunRecord)
    assert_type(run.state, str)
    assert_type(run.exit_code, int | None)
    assert_type(run.tags, list[str])
    assert_type(run.files["model.pt"], FileRecord)
    assert_type(run.files["model.pt"].read_bytes(), bytes)
    loss = run.history[-1]["loss"]
    loss + 1  # type: ignore[operator]
    assert isinstance(loss, float)
    assert_type(loss, float)
    run.stat  # type: ignore[attr-defined]  # noqa: B018


def test_sweep_records_are_typed(wandb_devserver: DevServer) -> None:
    sweep = wandb_devserver.wait_for_sweep("entity/project/id", "FINISHED", timeout=5)
    assert_type(sweep, SweepRecord)
    assert_type(wandb_devserver.sweep("entity/project/id").config, JsonObject)
    assert_type(wandb_devserver.sweeps("entity/project"), list[SweepRecord])
    assert_type(sweep.trials, list[RunRecord])
    assert_type(sweep.agents, list[AgentRecord])
    assert_type(sweep.agents[0].trials, list[str])
    sweep.state = "PAUSED"  # type: ignore[misc]
    wandb_devserver.sweep()  # type: ignore[call-arg]


with DevServer(data_dir=Path("data"), port=0) as server:
    assert_type(server, DevServer)
    assert_type(server.url, str)
    assert_type(server.api_key, str)
    assert_type(server.sign_in_url(), str)
    assert_type(server.env, dict[str, str])
    assert_type(server.runs(), list[RunRecord])
    assert_type(server.export_history("entity/project/id", rows=10, rows_per_file=5), int)
    server.faults.add(Fault("file_stream", count=2, status=503, headers={"Retry-After": "1"}))

DevServer(export_after=1000)
DevServer(export_after="1000")  # type: ignore[arg-type]
DevServer(port="8080")  # type: ignore[arg-type]
DevServer("data", "127.0.0.1")  # type: ignore[call-arg]
Fault("network")  # type: ignore[arg-type]
not_found: tuple[type[DevServerError], type[LookupError]] = (NotFoundError, NotFoundError)
