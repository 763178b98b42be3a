"""`flyte wandb download` of what W&B has: the same as `wandb-artifacts`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from flyte.cli.main import main as flyte
from wandb_devserver import DevServer, Fault

from tests.wandb_artifacts.wandb_backend import WandbBackend, open_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def backend(wandb_devserver: DevServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbBackend]:
    """A project, a working directory, and a configuration of Flyte without an endpoint."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    (tmp_path / "flyte.yaml").write_text("task:\n  project: p\n")
    monkeypatch.chdir(tmp_path)
    with open_project(monkeypatch, tmp_path, wandb_devserver) as backend:
        yield backend
    for number, handler in handlers.items():
        signal.signal(number, handler)


def download(*arguments: str) -> Result:
    return CliRunner().invoke(flyte, ["--config", "flyte.yaml", "wandb", "download", *arguments])


def refusal(code: int, *arguments: str) -> str:
    """Run the command, which fails with one line; return it."""
    result = download(*arguments)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    (line,) = (line for line in result.stderr.splitlines() if not line.startswith("Downloading "))
    assert line.startswith("Error: ")
    return line


def test_references_of_every_kind_are_downloaded(backend: WandbBackend, tmp_path: Path) -> None:
    """By path and by URL; the kind of an id is found out."""
    url = backend.server.url
    run, artifact = backend.run("r", files={"f": b"1"}, rows=[{"x": 1}]), backend.artifact(files={"a": b"1"})
    sweep = backend.sweep(["s1", "s2"], files={"f": b"1"})
    given = {
        "run": [run],
        "page": [f"{url}/local/p/runs/r", "--no-history"],
        "sweep": [sweep],
        "sweep-page": [f"{url}/local/p/sweeps/{sweep.rpartition('/')[2]}"],
        "artifact": [f"{artifact}:latest", "--no-references"],
    }
    results = {name: download(ref, str(tmp_path / name), *options) for name, (ref, *options) in given.items()}

    assert {name: result.exit_code for name, result in results.items()} == dict.fromkeys(given, 0)
    assert f"run {run} (finished) is complete" in results["run"].stdout
    assert json.loads((tmp_path / "run" / "metrics_history.json").read_text())[0]["x"] == 1
    assert not (tmp_path / "page" / "metrics_history.json").exists()
    for folder in ("sweep", "sweep-page"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir() if path.is_dir()) == ["s1", "s2"]
    assert (tmp_path / "artifact" / "a").read_bytes() == b"1"


def test_environment_completes_a_short_reference(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flyte is not asked: it has no endpoint."""
    backend.run("r", files={"f": b"1"})
    assert "for W&B write entity/project/id" in refusal(2, "r")
    monkeypatch.setenv("WANDB_ENTITY", "local")
    assert download("p/r", "--quiet").exit_code == 0
    monkeypatch.setenv("WANDB_PROJECT", "p")
    document = json.loads(download("r", "again", "--json").stdout)

    assert (tmp_path / "r" / "f").read_bytes() == b"1"
    assert document["run"]["id"] == "r"


def test_failures_have_one_line_and_the_exit_codes_of_wandb_artifacts(
    backend: WandbBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, artifact = backend.run("r", files={"f": b"1"}), backend.artifact(files={"a": b"1"})
    same = backend.run(backend.sweep(["s1"]).rpartition("/")[2])

    assert "W&B has neither a run nor a sweep of this id" in refusal(4, "local/p/none")
    assert "an artifact is entity/project/name:alias" in refusal(4, artifact)
    assert "has no alias or version 'none'" in refusal(4, f"{artifact}:none")
    assert "is both a run and a sweep; write " in refusal(2, same)
    assert "--no-references has no meaning for a run" in refusal(2, run, "--no-references")
    assert "--no-history has no meaning for an artifact" in refusal(2, f"{artifact}:v0", "--no-history")
    assert "--jobs 0" in refusal(2, run, "--jobs", "0")
    assert "REF 'local/p': " in refusal(2, "local/p")
    assert "/dev/null" in refusal(6, run, "/dev/null/x")
    backend.server.faults.add(Fault("download", target="f", status=404, count=None))
    assert download(run).exit_code == 1
    monkeypatch.setenv("WANDB_API_KEY", "w" * 40)
    assert "rejected the API key" in refusal(3, run)
    assert "no connection" in refusal(5, run, "--host", "http://127.0.0.1:9", "--deadline", "0.5")


def test_help_has_all_options_of_wandb_artifacts(backend: WandbBackend) -> None:
    shown = download("--help").stdout

    for option in ("--include", "--history-format", "--storage-option", "--host", "--no-references", "--json"):
        assert option in shown


@pytest.mark.parametrize("command", ["run", "get"])
def test_commands_of_flyte_import_nothing_of_ours(command: str) -> None:
    """Only `flyte --help` and `flyte wandb` import the group; its commands import the rest when they run."""
    code = (
        "import sys; from click.testing import CliRunner; from flyte.cli.main import main;"
        "ours = lambda: sorted(name for name in sys.modules if name.startswith(('wandb', 'flyteplugins')));"
        f"assert CliRunner().invoke(main, ['{command}', '--help']).exit_code == 0; print(ours());"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0; print(ours())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = done.stdout.splitlines()

    package = ["wandb_runtime", "wandb_runtime._version", "wandb_runtime.lazy"]
    assert before == "[]"
    assert after == str(sorted([*package, "wandb_runtime.cli", "wandb_runtime.cli.main"]))
