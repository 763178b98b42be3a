"""Lifecycle of a run: opening, states, exit codes, edits, deletion."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from wandb_devserver import DevServer

from tests.wandb_devserver.support import RawClient, Scripts

if TYPE_CHECKING:
    from pathlib import Path


def test_logged_run_is_stored_completely(server: DevServer, scripts: Scripts) -> None:
    """Configuration, summary, labels and rows are what the program gave."""
    scripts.run("""
with wandb.init(project="p", id="r", name="Nice name", config={"lr": 0.1, "net": {"depth": 3}}, tags=["a", "b"],
                notes="some notes", group="g", job_type="train") as run:
    run.log({"loss": 1.0})
    run.log({"loss": 0.5})
    run.config["later"] = [1, 2]
    run.summary["best"] = 0.5
""")
    run = server.run("local/p/r")

    assert (run.state, run.exit_code) == ("finished", 0)
    assert run.config == {"lr": 0.1, "net": {"depth": 3}, "later": [1, 2]}
    assert run.summary["best"] == 0.5
    assert run.summary["loss"] == 0.5
    assert [row["loss"] for row in run.history] == [1.0, 0.5]
    assert (run.name, run.tags, run.notes, run.group, run.job_type) == (
        "Nice name",
        ["a", "b"],
        "some notes",
        "g",
        "train",
    )


def test_public_api_returns_the_logged_values(scripts: Scripts) -> None:
    """`wandb.Api()` reads the same values, and the run's URL is on the server."""
    seen = scripts.run("""
with wandb.init(project="p", id="r", config={"lr": 0.1}, tags=["a"], notes="n", group="g", job_type="j") as run:
    run.log({"loss": 1.5})
    url = run.url
    # A run that ends at once may have none.
    while not wandb.Api().run("p/r").metadata:
        pass
api_run = wandb.Api().run("p/r")
report([api_run.state, api_run.config, api_run.summary["loss"], api_run.tags, api_run.notes, api_run.group,
        api_run.job_type, api_run.path, url == api_run.url, api_run.user.username, api_run.metadata["program"]])
""")
    assert seen == [
        "finished",
        {"lr": 0.1},
        1.5,
        ["a"],
        "n",
        "g",
        "j",
        ["local", "p", "r"],
        True,
        "local",
        "<python with no main file>",
    ]


def test_run_gets_a_default_name_and_project(server: DevServer, scripts: Scripts) -> None:
    """The server generates a display name and uses W&B's default project; the client adopts both."""
    seen = scripts.run("""
with wandb.init() as run:
    report([run.entity, run.project, run.name, run.id])
""")
    entity, project, name, run_id = seen
    run = server.run(f"{entity}/{project}/{run_id}")

    assert (entity, run.name) == ("local", name)
    assert name.count("-") == 2
    assert name.endswith("-1")


@pytest.mark.parametrize(
    ("end", "state", "exit_code"),
    [
        ("run.finish()", "finished", 0),
        ("run.finish(exit_code=3)", "failed", 3),
        ("raise ValueError('no')", "failed", 1),
        ("sys.exit(7)", "failed", 7),
        ("import signal; os.kill(os.getpid(), signal.SIGINT)", "failed", 255),
        ("run.mark_preempting(); run.finish(exit_code=1)", "preempted", 1),
        ("run.mark_preempting(); run.finish()", "finished", 0),
    ],
)
def test_exit_code_decides_the_state(server: DevServer, scripts: Scripts, end: str, state: str, exit_code: int) -> None:
    """Exit codes are stored unchanged; a preempting run is preempted unless it exits with 0."""
    scripts.exit_code(f"run = wandb.init(project='p', id='r')\n{end}")
    run = server.run("local/p/r")

    assert (run.state, run.exit_code) == (state, exit_code)


def test_run_of_a_killed_program_crashes_without_heartbeats(tmp_path: Path) -> None:
    """SIGKILL sends nothing: only the missing heartbeats make the run crashed."""
    with DevServer(heartbeat_timeout=2) as server:
        scripts = Scripts(server, tmp_path)
        with scripts.start("run = wandb.init(project='p', id='r'); run.log({'a': 1}); input()") as process:
            server.wait_for_run("local/p/r", "running")
            process.send_signal(signal.SIGKILL)
            process.communicate()
        crashed = server.wait_for_run("local/p/r", "crashed")
        seen = scripts.run(
            "report([wandb.Api().run('local/p/r').state, len(wandb.Api().runs('p', {'state': 'crashed'}))])"
        )

    assert crashed.exit_code is None
    assert seen == ["crashed", 1]


def test_heartbeat_revives_a_crashed_run(raw: RawClient) -> None:
    """The writer was only slow."""
    with DevServer(heartbeat_timeout=0.2) as server:
        client = RawClient(server)
        client.open_run("r")
        server.wait_for_run("local/p/r", "crashed")
        client.stream({})
        server.wait_for_run("local/p/r", "running")
        client.http.close()


def test_preempting_state_is_visible_while_the_program_runs(server: DevServer, scripts: Scripts) -> None:
    """`mark_preempting` is sent at once."""
    with scripts.start(
        "run = wandb.init(project='p', id='r'); run.mark_preempting(); input(); run.finish()"
    ) as process:
        server.wait_for_run("local/p/r", "preempting")
        process.communicate("\n")

    assert server.run("local/p/r").state == "finished"


def test_preempting_run_without_heartbeats_is_preempted() -> None:
    with DevServer(heartbeat_timeout=0.2) as server:
        client = RawClient(server)
        client.open_run("r")
        client.stream({"preempting": True})
        server.wait_for_run("local/p/r", "preempted")
        client.http.close()


def test_stop_request_interrupts_the_program(server: DevServer, scripts: Scripts) -> None:
    """`Run.stop` of the public API raises KeyboardInterrupt in the program's main thread."""
    with scripts.start("""
import threading
run = wandb.init(project="p", id="r")
try:
    threading.Event().wait(80)
except KeyboardInterrupt:
    run.finish(exit_code=5)
""") as process:
        server.wait_for_run("local/p/r", "running")
        scripts.run("wandb.Api().run('local/p/r').stop()")
        process.communicate(timeout=80)

    assert server.run("local/p/r").exit_code == 5


def test_reopened_run_is_not_stopped(raw: RawClient) -> None:
    """A stop request applies to one attempt."""
    run = raw.open_run("r")
    raw.data("mutation StopRun($id: ID!) { stopRun(input: {id: $id}) { success } }", id=run["id"])
    assert raw.stream({}).json() == {"stopped": True}
    raw.stream({"complete": True, "exitcode": 255})
    raw.open_run("r")

    assert raw.stream({}).json() == {}


def test_public_api_edits_do_not_revive_the_run(server: DevServer, scripts: Scripts) -> None:
    """`update` and `summary.update` change what they name; the run stays finished and can be resumed."""
    scripts.run("""
with wandb.init(project="p", id="r", config={"lr": 1}, tags=["old"], notes="old") as run:
    run.log({"loss": 1})
run = wandb.Api().run("local/p/r")
run.config["lr"] = 2
run.tags.append("new")
run.notes = "edited"
run.name = "Renamed"
run.summary["score"] = 9
run.summary.update()
run.update()
with wandb.init(project="p", id="r", resume="must") as run:
    report(dict(run.config))
""")
    run = server.run("local/p/r")

    assert (run.config, run.tags, run.notes, run.name) == ({"lr": 2}, ["old", "new"], "edited", "Renamed")
    assert (run.summary["loss"], run.summary["score"], run.state) == (1, 9, "finished")


def test_edit_does_not_change_the_state(raw: RawClient, server: DevServer) -> None:
    """An upsert by id alone does not start a run."""
    run = raw.open_run("r")
    raw.stream({"complete": True, "exitcode": 1})
    raw.graphql(
        'mutation UpsertBucket($id: String) { upsertBucket(input: {id: $id, notes: "x"}) { inserted } }', id=run["id"]
    )

    assert (server.run("local/p/r").state, server.run("local/p/r").notes) == ("failed", "x")


def test_created_run_is_pending_until_a_program_opens_it(server: DevServer, scripts: Scripts) -> None:
    """`Run.create` makes a run that `resume="must"` refuses and `allow` starts afresh."""
    scripts.run("""
from wandb.apis.public import Run
Run.create(wandb.Api(), run_id="r", project="p", entity="local", state="pending")
""")
    assert server.run("local/p/r").state == "pending"
    refused = scripts.run("""
try:
    wandb.init(project="p", id="r", resume="must")
except wandb.errors.UsageError as error:
    report(str(error))
""")
    resumed = scripts.run("""
with wandb.init(project="p", id="r", resume="allow") as run:
    report(run.resumed)
""")

    assert "does not exist or has not been initialized" in refused
    assert resumed is False
    assert server.run("local/p/r").state == "finished"


def test_update_state_follows_the_documented_transitions(server: DevServer, scripts: Scripts) -> None:
    """Failed to pending and back is allowed; leaving finished is an error."""
    seen = scripts.run("""
wandb.init(project="p", id="bad").finish(exit_code=1)
wandb.init(project="p", id="good").finish()
bad, good = wandb.Api().run("local/p/bad"), wandb.Api().run("local/p/good")
moves = [bad.update_state("pending"), bad.update_state("failed")]
try:
    good.update_state("pending")
except wandb.errors.CommError as error:
    moves.append(str(error))
report(moves)
""")
    assert seen[:2] == [True, True]
    assert "invalid state transition of run 'good' from 'finished' to 'pending'" in seen[2]
    assert server.run("local/p/bad").state == "failed"


def test_deleted_run_leaves_no_data_and_returns_404(server: DevServer, scripts: Scripts, raw: RawClient) -> None:
    """Its rows and files are removed from the disk."""
    scripts.run("""
with wandb.init(project="p", id="r") as run:
    run.log({"a": 1})
run = wandb.Api().run("local/p/r")
run.delete()
""")
    blobs = [path for path in (server.data_dir / "blobs").rglob("*") if path.is_file()]
    with closing(sqlite3.connect(server.data_dir / "devserver.sqlite3")) as records:
        lines = records.execute("SELECT COUNT(*) FROM lines").fetchone()

    assert server.runs("local/p") == []
    assert blobs == []
    assert lines == (0,)
    assert raw.stream({}).status_code == 404


def test_alerts_are_accepted(scripts: Scripts) -> None:
    """`run.alert` reaches the server."""
    scripts.run("""
with wandb.init(project="p", id="r") as run:
    run.alert("title", "text", level="WARN", wait_duration=1)
""")
    assert scripts.server.requests.count("graphql", "NotifyScriptableRunAlert") == 1


def test_plain_writer_revives_a_finished_run(raw: RawClient, server: DevServer) -> None:
    """Data still arrives, so the run is running."""
    raw.open_run("r")
    raw.stream({"complete": True, "exitcode": 0})
    assert server.run("local/p/r").state == "finished"
    raw.stream({})

    assert server.run("local/p/r").state == "running"


def test_upsert_keeps_fields_that_it_does_not_name(raw: RawClient, server: DevServer) -> None:
    """Null leaves a field as it is."""
    raw.open_run("r", tags=["a"], notes="n", groupName="g", config='{"x": {"value": 1}}')
    raw.open_run("r", config='{"y": {"value": 2}}')
    run = server.run("local/p/r")

    assert (run.tags, run.notes, run.group, run.config) == (["a"], "n", "g", {"y": 2})
