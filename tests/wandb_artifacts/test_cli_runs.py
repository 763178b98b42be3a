"""`wandb-artifacts runs` against a real server."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from wandb_artifacts import download_runs
from wandb_artifacts._cli.main import call
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_devserver import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


@pytest.fixture(autouse=True)
def restored_handlers() -> Iterator[None]:
    """Restore the handlers of signals that the command replaces."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with use_options(retry=RetryPolicy(first_wait=0.01)):
        yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_command_downloads_the_selected_runs(
    project: WandbBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The options select runs; the same command fetches nothing the next time."""
    for name, tag in (("a", "x"), ("b", "y"), ("c", "z")):
        project.run(name, files={"f": b"12345"}, rows=[{"x": 1}], tags=[tag], config=json.dumps({"lr": {"value": 1}}))
    options = ["--tag", "x", "--tag", "y", "--state", "finished", "--created-after", "2020-01-31", "--limit", "5"]
    command = ["runs", f"local/{project.project}", str(tmp_path / "to"), "--filter", '{"config.lr": 1}', *options]

    codes = [call(command), call(command)]

    first, second = capsys.readouterr().out.strip().split(f"project local/{project.project} (2 runs) is complete")[1:]
    assert codes == [0, 0]
    assert "10 files: 10 new" in first
    assert "2 rows of history" in first
    assert "10 files: 10 kept" in second
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["a", "b", "manifest.json", "runs.jsonl"]


def test_default_destination_is_named_by_the_project(
    project: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run("a")
    monkeypatch.chdir(tmp_path)

    assert call(["runs", f"local/{project.project}", "-q"]) == 0
    assert (tmp_path / project.project / "runs.jsonl").exists()


def test_dry_run_prints_counts(project: WandbBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project.run("a", files={"f": b"12345"})
    command = ["runs", f"local/{project.project}", str(tmp_path / "to"), "--dry-run"]

    codes = [call(command), call([*command, "--json", "-q"])]

    printed = capsys.readouterr()
    text, _, document = printed.out.partition("\n")
    assert (codes, printed.err) == ([0, 0], f"Counting the runs of project local/{project.project}\n")
    assert "1 run with 1 file (5 B) to download; dry run, nothing was downloaded" in text
    found = json.loads(document)
    assert (found["matched"], found["files"], found["bytes"], found["dry_run"]) == (1, 1, 5, True)
    assert not (tmp_path / "to").exists()


def test_missing_files_exit_1(project: WandbBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line names each run and file; the document has the result and the error."""
    project.run("a", files={"f": b"f"})
    project.server.faults.add(Fault("download", target="f", status=404, count=None))

    assert call(["runs", f"local/{project.project}", str(tmp_path), "--json"]) == 1

    printed = capsys.readouterr()
    assert "is incomplete" in printed.err
    assert "a/f: not found" in printed.err
    found = json.loads(printed.out)
    assert (found["matched"], found["runs"][0]["failed"][0]["name"]) == (1, "f")
    assert found["error"]["type"] == "IncompleteDownloadError"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--filter", "state=finished"], "'--filter': 'state=finished' is not JSON"),
        (["--filter", '["state"]'], "is not a JSON object"),
        (["--filter", '{"colour": "red"}'], "--filter {'colour': 'red'}: .*W&B refused the request"),
        (["--created-after", "yesterday"], "--created-after 'yesterday': must be an ISO 8601 date"),
        (["--created-after", "2026-02-01", "--created-before", "2026-01-01"], "--created-after .*is later than"),
        (["--limit", "0"], "--limit 0: must be 1 or more runs; omit it for all$"),
        (["--limit", "many"], "'many' is not a valid integer"),
        (["--filter", '{"config.lr": NaN}'], "--filter {'config.lr': nan}: cannot be encoded as JSON"),
        (["--created-before", ""], "--created-before '': must be an ISO 8601 date"),
        (["--tag", ""], "--tag '': must be a string that is not empty$"),
        (["--state", "done"], "--state 'done': is not a state of a run"),
        (["--group", ""], "--group '': must be a string that is not empty; omit it for all$"),
        (["--host", "nowhere"], "--host 'nowhere'"),
    ],
)
def test_invalid_options_exit_2(
    project: WandbBackend,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    """One line on standard error; nothing is created."""
    project.run("a")
    monkeypatch.chdir(tmp_path)

    assert call(["runs", f"local/{project.project}", "to", *arguments]) == 2

    printed = capsys.readouterr()
    (line,) = [line for line in printed.err.splitlines() if line.startswith("Error: ")]
    assert re.search(message, line), line
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["runs", "local/p/model:v1"], "is not a project but an artifact; use 'wandb-artifacts artifact'"),
        (["runs", "https://wandb.ai/local/p/runs/abc"], "is not a project but a run; use 'wandb-artifacts run'"),
        (["run", "local/p"], "add the id of a run, or use 'wandb-artifacts runs'"),
        (["run", "https://wandb.ai/local/p"], "a page of a project; use 'wandb-artifacts runs'"),
    ],
)
def test_other_references_name_the_right_command(
    project: WandbBackend, capsys: pytest.CaptureFixture[str], command: list[str], message: str
) -> None:
    assert project.server.url
    assert call(command) == 2
    assert message in capsys.readouterr().err


def test_unknown_project_exits_4(project: WandbBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.server.url
    assert call(["runs", "local/nosuch", str(tmp_path / "to"), "-q"]) == 4
    advice = "check the reference, and that the API key has access to it"
    assert capsys.readouterr().err == f"Error: project local/nosuch: not found at W&B; {advice}\n"


def test_killed_command_is_resumed(project: WandbBackend, tmp_path: Path) -> None:
    """After SIGKILL nothing is locked, no partial file has its final name, and complete runs are not fetched again."""
    for number in range(3):
        project.run(f"r{number}", files={f"f{number}": b"f"}, rows=[{"x": 1}])
    hold = project.server.faults.add(Fault("download", target="f2", delay=60.0))
    command = [sys.executable, "-m", "wandb_artifacts", "runs", f"local/{project.project}", str(tmp_path), "-j", "1"]

    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        project.server.faults.wait(hold)
        process.kill()
    project.server.faults.clear()
    before = project.server.requests.count("download")
    result = download_runs(f"local/{project.project}", tmp_path)

    assert (result.matched, project.server.requests.count("download") - before) == (3, 1)
    assert not (tmp_path / ".wandb-artifacts").exists()
