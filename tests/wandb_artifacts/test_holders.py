"""Destinations that hold another download."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import (
    IncompleteDownloadError,
    InvalidValueError,
    download_artifact,
    download_run,
    download_runs,
    download_sweep,
)

from tests.wandb_artifacts.command import command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend

KINDS = ("run", "sweep", "project", "artifact")
COMMANDS = {"run": "run", "sweep": "sweep", "project": "runs", "artifact": "artifact"}
FUNCTIONS: dict[str, Any] = {
    "run": download_run,
    "sweep": download_sweep,
    "project": download_runs,
    "artifact": download_artifact,
}
REPLACED = [("run", "run"), ("artifact", "artifact")]
"""Another one may replace them: the files of the earlier one are reported as stale."""
PAIRS = [pair for pair in product(KINDS, KINDS) if pair not in REPLACED]


def download(project: WandbBackend, holder: str, folder: Path) -> str:
    """Download something to a folder; return its path."""
    sweep = project.sweep(["a"])
    paths = {"run": project.path("a"), "sweep": sweep, "project": f"local/{project.project}"}
    path = paths.get(holder) or project.artifact(files={"a": b"1"})
    FUNCTIONS[holder](path, folder)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("wanted", "holder"), PAIRS)
def test_folder_of_another_download_is_refused(project: WandbBackend, tmp_path: Path, wanted: str, holder: str) -> None:
    """Before any request, and nothing changes. A renamed project counts as another one."""
    path, other = download(project, holder, tmp_path), "local/renamed" if wanted == "project" else project.path("other")
    before, requests = contents(tmp_path), project.server.requests.count("graphql")

    message = f"destination='{tmp_path}': holds {holder} {path}.*, not {wanted} {other}.*; pass another folder"
    with pytest.raises(InvalidValueError, match=message):
        FUNCTIONS[wanted](other, tmp_path)
    done = command(COMMANDS[wanted], other, str(tmp_path), "--quiet", *(["--dry-run"] if wanted == "project" else []))

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"DEST '{tmp_path}': holds {holder} {path}" in done.stderr
    assert (contents(tmp_path), project.server.requests.count("graphql")) == (before, requests)


def test_folder_of_the_same_project_on_another_server_is_refused(
    project: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = download(project, "project", tmp_path)
    monkeypatch.setenv("WANDB_BASE_URL", project.server.url.replace("127.0.0.1", "localhost"))

    with pytest.raises(InvalidValueError, match=f"holds project {project.server.url}/{path}, not project {path}"):
        download_runs(path, tmp_path)


def test_run_whose_folder_holds_another_download_is_missing(project: WandbBackend, tmp_path: Path) -> None:
    """The other runs arrive, and the folder is not changed."""
    project.run("a", files={"f": b"f"})
    project.run("b", files={"f": b"f"})
    download_artifact(project.artifact(files={"own": b"1"}), tmp_path / "a")
    before = contents(tmp_path / "a")

    with pytest.raises(IncompleteDownloadError, match=r"a: destination=.*holds artifact local/"):
        download_runs(f"local/{project.project}", tmp_path)

    assert (tmp_path / "b/f").read_bytes() == b"f"
    assert contents(tmp_path / "a") == before
