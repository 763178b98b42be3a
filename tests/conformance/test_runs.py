"""Deleting, rewinding, forking and continuing runs, and the changes of their states."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.wandb_devserver.support import RawClient, Scripts

REWIND = """mutation RewindRun($input: RewindRunInput!) {
  rewindRun(input: $input) { rewoundRun { id name historyLineCount } } }"""
UPDATE_STATE = "mutation U($input: UpdateRunStateInput!) { updateRunState(input: $input) { success } }"
DELETE = "mutation DeleteRun($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }"


def steps(raw: RawClient, run: str = "r") -> list[tuple[Any, Any]]:
    return [(row["_step"], row.get("x")) for row in raw.server.run(f"local/p/{run}").history]


def rows(*values: object, first: int = 0) -> list[dict[str, object]]:
    return [{"_step": step, "x": value} for step, value in enumerate(values, first)]


def test_deleting_a_run_twice_succeeds(raw: RawClient) -> None:
    run = raw.open_run("r")
    responses = [raw.data(DELETE, id=run["id"]) for _ in range(2)]

    assert responses == [{"deleteRun": {"clientMutationId": None}}] * 2
    assert raw.server.runs() == []


def test_invalid_state_transition_is_refused_in_the_words_of_wandb(raw: RawClient) -> None:
    run = raw.open_run("r", state="pending")
    raw.data(UPDATE_STATE, input={"id": run["id"], "state": "failed"})
    response = raw.graphql(UPDATE_STATE, None, input={"id": run["id"], "state": "failed"}).json()

    assert "invalid state transition" in response["errors"][0]["message"]


def test_rewinding_removes_later_rows(raw: RawClient) -> None:
    raw.open_run("r")
    raw.stream_rows(*rows("a", "b", "c"))
    raw.stream({"complete": True, "exitcode": 0})
    given = {"runName": "r", "projectName": "p", "metricName": "_step", "metricValue": 1.0}
    rewound = raw.data(REWIND, input=given)["rewindRun"]["rewoundRun"]
    raw.stream_rows(*rows("d", first=2), offset=rewound["historyLineCount"])

    assert rewound["historyLineCount"] == 2
    assert steps(raw) == [(0, "a"), (1, "b"), (2, "d")]
    assert raw.server.run("local/p/r").state == "running"


@pytest.mark.parametrize(("name", "metric"), [("missing", "_step"), ("r", "loss")])
def test_invalid_rewind_fails(raw: RawClient, name: str, metric: str) -> None:
    raw.open_run("r")
    given = {"runName": name, "projectName": "p", "metricName": metric, "metricValue": 1.0}

    assert raw.graphql(REWIND, None, input=given).json()["errors"]


def fork(raw: RawClient, parent: str) -> Any:
    config = {"_wandb": {"value": {"branch_point": {"run_id": parent, "step": 1}}}}
    query = """mutation UpsertBucket($input: UpsertBucketInput!) {
      upsertBucket(input: $input) { bucket { historyLineCount } } }"""
    return raw.graphql(query, None, input={"name": "child", "modelName": "p", "config": json.dumps(config)}).json()


def test_fork_begins_with_the_rows_of_its_parent(raw: RawClient) -> None:
    raw.open_run("r")
    raw.stream_rows(*rows("a", "b", "c"))
    count = fork(raw, "r")["data"]["upsertBucket"]["bucket"]["historyLineCount"]
    raw.stream_rows(*rows("d", first=2), offset=count, run="local/p/child")

    assert steps(raw, "child") == [(0, "a"), (1, "b"), (2, "d")]
    assert steps(raw) == [(0, "a"), (1, "b"), (2, "c")]


def test_fork_of_a_missing_run_fails(raw: RawClient) -> None:
    assert "cannot fork from run 'missing'" in fork(raw, "missing")["errors"][0]["message"]
    assert raw.server.runs() == []


def test_sdk_forks_and_rewinds(scripts: Scripts) -> None:
    seen = scripts.run("""
def log(values, **settings):
    with wandb.init(project="p", **settings) as run:
        for value in values:
            run.log({"x": value})
def rows(run):
    return [[row["_step"], row["x"]] for row in wandb.Api().run(f"local/p/{run}").scan_history()]
log("abc", id="r")
log("d", id="child", fork_from="r?_step=0")
log("e", resume_from="r?_step=1")
report([rows("child"), rows("r")])
""")

    assert seen == [[[0, "a"], [1, "d"]], [[0, "a"], [1, "b"], [2, "e"]]]


def test_segments_of_a_resumed_run_are_joined_though_each_counts_from_0(raw: RawClient) -> None:
    """SDKs before 0.31 sync the directories of a resumed run without requesting its length."""
    for _ in range(2):
        for step, value in enumerate("abc"):
            raw.open_run("r")
            raw.stream_rows(*rows(value, first=step * 2), offset=0)
            raw.stream_rows(*rows(value, first=step * 2 + 1), offset=1)

        assert steps(raw) == [(0, "a"), (1, "a"), (2, "b"), (3, "b"), (4, "c"), (5, "c")]


def test_sdk_syncs_the_segments_of_a_resumed_run(scripts: Scripts) -> None:
    synced = scripts.run("""
import subprocess
folders = []
for value in "abc":
    with wandb.init(project="p", id="r", resume="must" if folders else None) as run:
        run.log({"x": value})
    folders.append(run.settings.sync_dir)
command = [sys.executable, "-m", "wandb", "beta", "sync", "--no-skip-online", "--id", "copy"]
subprocess.run([*command, folders[2], *folders[:2]], check=True)
report([[row["_step"], row["x"]] for row in wandb.Api().run("local/p/copy").scan_history()])
""")

    assert synced == [[0, "a"], [1, "b"], [2, "c"]]


def test_attempt_without_resume_starts_a_new_history(raw: RawClient) -> None:
    raw.open_run("r")
    raw.stream_rows(*rows("a", "b", "c"))
    raw.open_run("r")
    raw.stream_rows(*rows("d"))

    assert steps(raw) == [(0, "d")]


def test_compressed_file_stream_is_read(raw: RawClient) -> None:
    raw.open_run("r")
    lines = [json.dumps(row) for row in rows("a")]
    body = json.dumps({"files": {"wandb-history.jsonl": {"offset": 0, "content": lines}}}).encode()
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    raw.http.post("/files/local/p/r/file_stream", content=gzip.compress(body), headers=headers)

    assert steps(raw) == [(0, "a")]
