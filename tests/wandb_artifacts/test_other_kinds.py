"""Runs, sweeps and artifacts in place of each other, and names of nothing: functions, command, file systems."""

from __future__ import annotations

import re
import tempfile
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from wandb_artifacts import NotFoundError, download_artifact, download_run, download_sweep
from wandb_artifacts.flyte import download_artifact_to_dir

from tests.wandb_artifacts.command import command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend

KINDS = ("run", "sweep", "artifact")
PAIRS = [(wanted, given) for wanted in KINDS for given in (*KINDS, "nothing") if wanted != given]
FUNCTIONS: dict[str, Any] = {"run": download_run, "sweep": download_sweep, "artifact": download_artifact}
ADVICE = "; check the reference, and that the API key has access to it"
ARTICLES = {"run": "a run", "sweep": "a sweep", "artifact": "an artifact"}


def path_of(project: WandbBackend, given: str) -> str:
    """Return the path of a thing of this kind, without the alias of an artifact."""
    if given == "artifact":
        return project.artifact(files={"a": b"1"})
    if given == "sweep":
        return project.sweep()
    return project.run("abc") if given == "run" else project.artifact("other").replace("other", "nothing")


def missing(wanted: str, path: str) -> str:
    return f"{wanted} {path}{':latest' if wanted == 'artifact' else ''}: not found at W&B"


@pytest.mark.parametrize(("wanted", "given"), PAIRS)
def test_function_names_the_other_kind(project: WandbBackend, tmp_path: Path, wanted: str, given: str) -> None:
    """Nothing is created."""
    path = path_of(project, given)
    use = f". It is {ARTICLES[given]}; use download_{given}, or" if given in KINDS else f"{ADVICE}$"

    with pytest.raises(NotFoundError, match=re.escape(missing(wanted, path) + use).replace(r"\$", "$")):
        FUNCTIONS[wanted](path, tmp_path / "to")

    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(("wanted", "given"), PAIRS)
def test_command_names_the_other_command(project: WandbBackend, tmp_path: Path, wanted: str, given: str) -> None:
    """One line in the words of the command; nothing is created."""
    path = path_of(project, given)
    use = f". It is {ARTICLES[given]}; use 'wandb-artifacts {given}'" if given in KINDS else ADVICE

    done = command(wanted, path, "to", "--quiet", folder=tmp_path)

    assert (done.returncode, done.stderr) == (4, f"Error: {missing(wanted, path)}{use}\n")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("scheme", "given", "message"),
    [
        ("wandb", "artifact", ". It is an artifact; open wandb-artifact://{}:latest"),
        ("wandb", "sweep", ". It is a sweep; 'wandb-artifacts ls {}' lists its runs, open these"),
        ("wandb", "nothing", ADVICE),
        ("wandb-artifact", "run", ". It is a run; open wandb://{}"),
        ("wandb-artifact", "nothing", ADVICE),
    ],
)
def test_file_system_names_the_other_scheme(project: WandbBackend, scheme: str, given: str, message: str) -> None:
    path, wanted = path_of(project, given), "run" if scheme == "wandb" else "artifact"
    files = fsspec.filesystem(scheme, skip_instance_cache=True)

    with pytest.raises(FileNotFoundError, match=re.escape(missing(wanted, path) + message.format(path))):
        files.cat_file(f"{path}/a")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "wandb://local/p/ds:v0/a",
            "path='local/p/ds:v0': is not a run but an artifact; open wandb-artifact://local/p/ds:",
        ),
        ("wandb-artifact://local/p/ds:/a", "alias='': must not be empty"),
        ("wandb-artifact://local/p/ds:a:b/a", "alias='a:b': W&B does not allow :"),
    ],
)
def test_file_system_refuses_invalid_paths(project: WandbBackend, url: str, message: str) -> None:
    """Before any request."""
    requests = project.server.requests.count("graphql")

    with pytest.raises(ValueError, match=message):
        fsspec.open(url).open()

    assert project.server.requests.count("graphql") == requests


@pytest.mark.parametrize("scheme", ["wandb", "wandb-artifact"])
def test_file_system_names_the_missing_project(project: WandbBackend, scheme: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"of local/none: not found at W&B{ADVICE}"):
        fsspec.filesystem(scheme, skip_instance_cache=True).ls(project.path("").replace(project.project, "none"))


def test_directory_of_a_missing_artifact_leaves_no_folder(
    project: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with pytest.raises(NotFoundError, match="It is a run; use download_run"):
        download_artifact_to_dir(project.run("abc"))

    assert list(tmp_path.iterdir()) == []


def test_name_that_no_run_can_have_is_that_of_an_artifact(project: WandbBackend, tmp_path: Path) -> None:
    project.run("abc")
    with pytest.raises(NotFoundError, match=f"artifact {project.path('a;b')}:latest: not found"):
        download_artifact(project.path("a;b"), tmp_path)


def test_list_finds_the_kind(project: WandbBackend) -> None:
    """An artifact without an alias, and pages of a project; --sweep means a sweep."""
    run, artifact = path_of(project, "run"), path_of(project, "artifact")
    page = f"{project.server.url}/local/{project.project}"

    assert command("ls", artifact).stdout.split() == ["SIZE", "NAME", "REFERENCE", "1", "B", "a"]
    assert command("ls", f"{page}/runs").stdout.split() == ["RUN", "abc"]
    assert command("ls", f"{page}/artifacts").stdout.split()[-1] == "ds"
    for arguments, code, message in (
        ([run, "--sweep"], 4, f"It is a run; 'wandb-artifacts ls {run}' lists its files"),
        ([artifact, "--sweep"], 4, f"It is an artifact; 'wandb-artifacts ls {artifact}:latest' lists its files"),
        ([f"{artifact}:v0", "--sweep"], 2, "is not a sweep but an artifact"),
        ([f"{run}:v0"], 4, f"It is a run; 'wandb-artifacts ls {run}' lists its files"),
        ([page, "--sweep", "--artifacts"], 2, "omit one of them"),
        (["local/none"], 4, f"the runs of local/none: not found at W&B{ADVICE}"),
        (["local/none", "--artifacts"], 4, f"the artifacts of local/none: not found at W&B{ADVICE}"),
    ):
        done = command("ls", *arguments)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)
        assert message in done.stderr
