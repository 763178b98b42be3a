"""`wandb-artifacts artifact`, and artifacts in `ls` and `verify`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.wandb_artifacts.command import command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


def test_artifact_is_downloaded_verified_and_listed(backend: WandbBackend, tmp_path: Path) -> None:
    """The folder is named after the artifact; the result has the version; `ls` shows files and references."""
    reference = {"ref": "s3://bucket/x?versionId=secret", "digest": "tag", "size": 7}
    path = backend.artifact(files={"a": b"1", "b": b"22"}, references={"c": reference})

    done = command("artifact", f"{path}:v0", "--no-references", folder=tmp_path)
    assert (done.returncode, (tmp_path / "ds/b").read_bytes()) == (0, b"22"), done.stderr
    assert "artifact local/p/ds:v0 is complete in ./ds" in done.stdout.replace(str(tmp_path), ".")
    assert "2 files: 2 new (3 B)" in done.stdout
    assert "1 reference was skipped" in done.stdout

    assert command("verify", "ds", folder=tmp_path).returncode == 0
    listed = command("ls", path + ":latest", folder=tmp_path).stdout
    assert [line.split() for line in listed.splitlines()[1:]] == [
        ["1", "B", "a"],
        ["2", "B", "b"],
        ["7", "B", "c", "s3://bucket/x"],
    ]
    found = json.loads(command("ls", path + ":latest", "--json", folder=tmp_path).stdout)
    assert (found["artifact"]["version"], found["type"], len(found["files"])) == ("v0", "dataset", 3)
    collections = command("ls", "local/p", "--artifacts", folder=tmp_path).stdout
    assert [line.split()[-1] for line in collections.splitlines()] == ["ARTIFACT", "ds"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["artifact", "local/p/ds:worst"], 4, "has no alias or version 'worst'; it has latest"),
        (
            ["artifact", "https://wandb.ai/t/p/runs/x"],
            2,
            "REF 'https://wandb.ai/t/p/runs/x': is not an artifact but a run",
        ),
        (["artifact", "a/b/c/d"], 2, "is not an artifact; write entity/project/name:alias"),
        (["artifact", "local/p/ds", "--jobs", "0"], 2, "--jobs 0"),
        (["ls", "local/p/ds:v3"], 4, "artifact local/p/ds:v3: the artifact has no version 'v3', it may"),
        (["artifact", "{url}/local/p/artifacts/model/ds/v0"], 4, "it has the type 'dataset', not 'model'; leave"),
        (["ls", "{url}/local/p/artifacts/model/ds/v0"], 4, "it has the type 'dataset', not 'model'; leave"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(
    backend: WandbBackend, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    backend.artifact(files={"a": b"1"})

    done = command(*(each.format(url=backend.server.url) for each in arguments), folder=tmp_path)

    assert done.returncode == code
    assert says in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("ds*"))
