"""Several attempts on one run, one after the other."""

from __future__ import annotations

import json

import pytest
from wandb_devserver import DevServer

from tests.wandb_devserver.support import RawClient, Scripts

FIRST = """
with wandb.init(project="p", id="r", config={"first": 1}, tags=["kept"], notes="kept", name="kept") as run:
    for value in range(5):
        run.log({"value": value})
    print("line of the first attempt")
    print("another")
    run.summary["only_first"] = 1
"""


@pytest.mark.parametrize("resume", ["must", "allow"])
def test_resume_continues_the_first_attempt(server: DevServer, scripts: Scripts, resume: str) -> None:
    """The run has the rows, configuration, summary, console and labels of both attempts."""
    scripts.run(FIRST)
    seen = scripts.run(f"""
with wandb.init(project="p", id="r", config={{"second": 2}}, resume={resume!r}) as run:
    first_step = run.starting_step
    run.log({{"value": 5}})
    print("line of the second attempt")
    report([run.resumed, first_step])
""")
    run = server.run("local/p/r")

    assert seen == [True, 5]
    assert [row["value"] for row in run.history] == [0, 1, 2, 3, 4, 5]
    assert [row["_step"] for row in run.history] == [0, 1, 2, 3, 4, 5]
    assert run.config == {"first": 1, "second": 2}
    assert run.summary["only_first"] == 1
    assert (run.tags, run.notes, run.name, run.state) == (["kept"], "kept", "kept", "finished")
    assert run.console[:2] == ["line of the first attempt", "another"]
    assert "line of the second attempt" in run.console


def test_attempt_without_resume_replaces_the_run(server: DevServer, scripts: Scripts) -> None:
    """Rows, console, configuration and summary of the first attempt are removed; its labels stay."""
    scripts.run(FIRST)
    scripts.run("""
with wandb.init(project="p", id="r", config={"second": 2}) as run:
    run.log({"value": 100})
    print("line of the second attempt")
""")
    run = server.run("local/p/r")

    assert [row["value"] for row in run.history] == [100]
    assert run.config == {"second": 2}
    assert "only_first" not in run.summary
    assert (run.tags, run.notes, run.name) == (["kept"], "kept", "kept")
    assert run.console == ["line of the second attempt"]


def test_resume_never_refuses_an_existing_run(scripts: Scripts) -> None:
    """`resume="never"` wants a fresh run, and gets one under a free id."""
    scripts.run(FIRST)
    seen = scripts.run("""
try:
    wandb.init(project="p", id="r", resume="never")
except wandb.errors.UsageError as error:
    refused = str(error)
with wandb.init(project="p", id="free", resume="never") as run:
    report([refused, run.resumed])
""")
    assert "already exists" in seen[0]
    assert seen[1] is False


def test_resume_must_refuses_a_missing_run(scripts: Scripts) -> None:
    """`resume="allow"` starts it."""
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
    assert "does not exist" in refused
    assert resumed is False


def test_resume_auto_continues_the_last_run_of_the_folder(server: DevServer, scripts: Scripts) -> None:
    """`resume="auto"` finds the id of the crashed run on disk."""
    scripts.exit_code("""
run = wandb.init(project="p", resume="auto")
run.log({"value": 0})
sys.exit(1)
""")
    resumed = scripts.run("""
with wandb.init(project="p", resume="auto") as run:
    run.log({"value": 1})
    report(run.resumed)
""")
    (run,) = server.runs("local/p")

    assert resumed is True
    assert [row["value"] for row in run.history] == [0, 1]


def test_resent_rows_are_stored_once(raw: RawClient, server: DevServer) -> None:
    """The client sends requests without a response again."""
    raw.open_run("r")
    for _ in range(2):
        raw.stream_rows({"_step": 0, "a": 1}, {"_step": 1, "a": 2})
    raw.stream_rows({"_step": 1, "a": 2}, {"_step": 2, "a": 3}, offset=1)
    keys = raw.data('query Q { project(name: "p") { run(name: "r") { historyKeys } } }')["project"]["run"][
        "historyKeys"
    ]

    assert [row["a"] for row in server.run("local/p/r").history] == [1, 2, 3]
    assert keys["keys"]["a"] == {"typeCounts": [{"type": "number", "count": 3}]}
    assert keys["lastStep"] == 2


def test_different_rows_at_offset_0_start_a_new_attempt(raw: RawClient, server: DevServer) -> None:
    """No row of a longer first attempt remains after a shorter second one."""
    raw.open_run("r")
    raw.stream_rows(*({"_step": step, "attempt": 1} for step in range(8)))
    raw.open_run("r")
    raw.stream_rows(*({"_step": step, "attempt": 2} for step in range(3)))

    assert [row["attempt"] for row in server.run("local/p/r").history] == [2, 2, 2]


def test_only_a_resuming_client_gets_the_line_count(raw: RawClient) -> None:
    """A plain writer must count from 0, or a second sync would append all rows again."""
    first = raw.open_run("r")
    raw.stream_rows({"_step": 0}, {"_step": 1})

    assert raw.open_run("r")["historyLineCount"] is None
    assert raw.open_run("r", id=first["id"])["historyLineCount"] == 2


def test_resume_status_has_counts_and_tails(raw: RawClient) -> None:
    """Counts, tails as JSON lists of strings, and whether the run was ever started."""
    raw.open_run("r", config='{"_wandb": {"value": {"t": {"1": [2]}, "m": []}}}')
    raw.stream_rows({"_step": 0}, {"_step": 7})
    query = """query RunResumeStatus($name: String!) { model(name: "p", entityName: "local") {
        bucket(name: $name, missingOk: true) {
        historyLineCount eventsLineCount logLineCount historyTail eventsTail wandbConfig(keys: ["t"]) } } }"""
    bucket = raw.data(query, name="r")["model"]["bucket"]

    assert raw.data(query, name="missing")["model"]["bucket"] is None
    assert (bucket["historyLineCount"], bucket["eventsLineCount"], bucket["logLineCount"]) == (2, 0, 0)
    assert [json.loads(line) for line in json.loads(bucket["historyTail"])] == [{"_step": 7}]
    assert json.loads(bucket["eventsTail"]) == []
    assert json.loads(bucket["wandbConfig"]) == {"t": {"1": [2]}}
