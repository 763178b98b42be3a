"""Several writers of one run at the same time."""

from __future__ import annotations

import json

from wandb_devserver import DevServer

from tests.wandb_devserver.support import RawClient, Scripts

WRITER = """
settings = wandb.Settings(mode="shared", x_label=os.environ["LABEL"], x_primary=os.environ["LABEL"] == "rank0",
                          x_update_finish_state=os.environ["LABEL"] == "rank0")
run = wandb.init(project="p", id="r", config={os.environ["LABEL"]: 1}, settings=settings)
for value in range(5):
    run.log({"value": value, "from": os.environ["LABEL"]})
print("line of", os.environ["LABEL"])
run.summary["summary of " + os.environ["LABEL"]] = 1
report("logged")
input()
run.finish()
"""


def test_run_has_the_data_of_both_writers(server: DevServer, scripts: Scripts) -> None:
    """All rows, configurations, summaries and consoles are stored; the primary alone ends the run."""
    with scripts.start(WRITER, LABEL="rank0") as primary, scripts.start(WRITER, LABEL="rank1") as secondary:
        secondary.communicate("\n", timeout=60)
        after_secondary = server.wait_for_run("local/p/r", "running").state
        primary.communicate("\n", timeout=60)
    run = server.run("local/p/r")

    assert after_secondary == "running"
    assert (primary.returncode, secondary.returncode) == (0, 0)
    assert (run.state, run.exit_code) == ("finished", 0)
    for label in ("rank0", "rank1"):
        assert [row["value"] for row in run.history if row["from"] == label] == [0, 1, 2, 3, 4]
        assert run.config[label] == 1
        assert run.summary[f"summary of {label}"] == 1
        assert any(line == f"[{label}] line of {label}" for line in run.console), run.console
    assert [row["_step"] for row in run.history] == list(range(10))
    assert {"output_rank0.log", "output_rank1.log", "config.yaml"} <= set(run.files)


def test_config_has_the_environments_of_both_writers(raw: RawClient) -> None:
    """The SDK's internal entries are merged as well, one per writer."""
    for client in ("one", "two"):
        config = {"_wandb": {"value": {"e": {client: {"os": "x"}}, "t": {"1": [1]}}}, client: {"value": 1}}
        raw.open_run("r", headers=_headers(client), config=json.dumps(config))
    run = raw.data('query Q { project(name: "p") { run(name: "r") { config } } }')["project"]["run"]
    stored = json.loads(run["config"])

    assert set(stored) == {"_wandb", "one", "two"}
    assert set(stored["_wandb"]["value"]["e"]) == {"one", "two"}


def test_shared_rows_are_identified_by_client_and_offset(raw: RawClient, server: DevServer) -> None:
    """A resent row is stored once; the same offset of another client is another row."""
    raw.open_run("r", headers=_headers("one"))
    for client, value in (("one", 1), ("one", 1), ("two", 2), ("one", 1)):
        raw.stream(_rows(0, {"_step": 0, "v": value}), headers=_headers(client))
    raw.stream(_rows(7, {"_step": 1, "v": 3}), headers=_headers("three"))

    assert [(row["_step"], row["v"]) for row in server.run("local/p/r").history] == [(0, 1), (1, 2), (2, 3)]


def test_console_lines_of_a_shared_writer_can_be_rewritten(raw: RawClient, server: DevServer) -> None:
    """A progress bar rewrites its own line, even if other writers have written since."""
    raw.open_run("r", headers=_headers("one"))
    for client, text in (("one", "10 %"), ("two", "other"), ("one", "20 %")):
        raw.stream({"files": {"output.log": {"offset": 0, "content": [text]}}}, headers=_headers(client))

    assert server.run("local/p/r").console == ["20 %", "other"]


def test_late_secondary_writer_does_not_revive_the_run(raw: RawClient, server: DevServer) -> None:
    """Neither its heartbeat nor its last upsert undoes the end that the primary reported."""
    for client in ("one", "two"):
        raw.open_run("r", headers=_headers(client))
    raw.stream({"complete": True, "exitcode": 0}, headers=_headers("one"))
    raw.stream({}, headers=_headers("two"))
    raw.open_run("r", headers=_headers("two"), config='{"late": {"value": 1}}')
    run = server.run("local/p/r")

    assert (run.state, run.config) == ("finished", {"late": 1})


def test_new_shared_writer_revives_the_run(raw: RawClient, server: DevServer) -> None:
    """A second attempt in shared mode is a start like any other, and its rows are added."""
    raw.open_run("r", headers=_headers("one"))
    raw.stream(_rows(0, {"_step": 0, "v": 1}), headers=_headers("one"))
    raw.stream({"complete": True, "exitcode": 1}, headers=_headers("one"))
    raw.open_run("r", headers=_headers("two"))
    raw.stream(_rows(0, {"_step": 0, "v": 2}), headers=_headers("two"))
    run = server.run("local/p/r")

    assert (run.state, run.exit_code) == ("running", None)
    assert [row["v"] for row in run.history] == [1, 2]


def _headers(client: str) -> dict[str, str]:
    return {
        "X-WANDB-USE-ASYNC-FILESTREAM": "true",
        "X-WANDB-CLIENT-ID": client,
        "X-WANDB-ASYNC-CLIENT-ID": client,
    }


def _rows(offset: int, *rows: dict[str, int]) -> dict[str, object]:
    return {"files": {"wandb-history.jsonl": {"offset": offset, "content": [json.dumps(row) for row in rows]}}}
