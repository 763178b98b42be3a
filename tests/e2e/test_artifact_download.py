"""Artifacts that the real SDK logs: files, tables, references, both digest algorithms."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import flyte
import pytest
from flyte.io import Dir
from wandb_artifacts import IncompleteDownloadError, download_artifact
from wandb_artifacts.flyte import download_artifact_to_dir

from tests.e2e.support import run_locally
from tests.support.object_store import ObjectStore
from tests.wandb_artifacts.wandb_backend import open_backend
from tests.wandb_devserver.support import Scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.wandb_artifacts.wandb_backend import WandbBackend

env = flyte.TaskEnvironment(name="e2e_artifact_download")

LOG = """
import os, wandb
os.makedirs("source/sub", exist_ok=True)
for name, data in {"a.txt": b"a", "sub/b \u00fc.bin": os.urandom(3_000_000), "copy.txt": b"a"}.items():
    with open("source/" + name, "wb") as file:
        file.write(data)
with wandb.init(project="p", id="r") as run:
    for algorithm in ("MD5", "XXH128"):
        artifact = wandb.Artifact("ds-" + algorithm, type="dataset", digest_algorithm=algorithm)
        artifact.add_dir("source")
        artifact.add(wandb.Table(columns=["x"], data=[[1], [2]]), "table")
        run.log_artifact(artifact).wait()
    linked = wandb.Artifact("linked", type="dataset")
    linked.add_reference(artifact.get_entry("a.txt"), "again.txt")
    linked.add_reference(os.environ["OBJECT"], "object.bin")
    linked.add_reference(os.environ["OBJECT"], "unchecked.bin", checksum=False)
    run.log_artifact(linked).wait()
    path = run.use_artifact("ds-XXH128:latest").download("sdk")
    report([artifact.digest, sorted(os.listdir(path))])
"""

LOG_VERSIONS = """
import os, wandb
with wandb.init(project="p", id="r") as run:
    artifact = wandb.Artifact("versions", type="dataset")
    artifact.add_reference(os.environ["OBJECT"], "logged.bin")
    artifact.add_reference("file://" + os.environ["FOLDER"], "local")
    run.log_artifact(artifact).wait()
report([])
"""


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with ObjectStore() as store:
        yield store


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbBackend]:
    with open_backend(monkeypatch, tmp_path) as backend:
        yield backend


def set_environment(monkeypatch: pytest.MonkeyPatch, store: ObjectStore, **more: str) -> None:
    aws = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    for name, value in {**aws, "AWS_S3_ENDPOINT_URL": store.endpoint, **more}.items():
        monkeypatch.setenv(name, value)


def test_artifacts_of_the_sdk(
    backend: WandbBackend, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files equal what was logged, and what the SDK downloads; references lead to S3 and to the other artifact."""
    bucket, data = store.new_bucket(), os.urandom(5000)
    store.write(f"{bucket}/folder/object.bin", data)
    set_environment(monkeypatch, store, OBJECT=f"{bucket}/folder/object.bin")
    digest, names = Scripts(backend.server, tmp_path).run(LOG)

    for algorithm in ("MD5", "XXH128"):
        result = download_artifact(f"local/p/ds-{algorithm}", tmp_path / algorithm)
        for name in ("a.txt", "sub/b \u00fc.bin", "copy.txt"):
            assert (tmp_path / algorithm / name).read_bytes() == (tmp_path / "source" / name).read_bytes()
        assert (tmp_path / algorithm / "table.table.json").exists()
    assert result.digest == digest
    assert {*names, "manifest.json"} == {path.name for path in (tmp_path / "XXH128").iterdir()}
    # What the SDK has stored is not fetched again.
    assert {file.state for file in download_artifact("local/p/ds-XXH128", tmp_path / "sdk").files} == {"kept"}

    linked = download_artifact("local/p/linked", tmp_path / "linked")
    assert (tmp_path / "linked/again.txt").read_bytes() == b"a"
    assert (tmp_path / "linked/object.bin").read_bytes() == (tmp_path / "linked/unchecked.bin").read_bytes() == data
    assert linked.unverified == ("unchecked.bin",)

    store.write(f"{bucket}/folder/object.bin", os.urandom(5000))
    with pytest.raises(IncompleteDownloadError, match=r"object.bin: .* has changed since the artifact was logged"):
        download_artifact("local/p/linked", tmp_path / "later")


def test_references_lead_to_the_logged_versions(
    backend: WandbBackend, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects of a versioned bucket that were written again since; files of this machine are compared by digest."""
    bucket = store.new_bucket()
    store.keep_versions(bucket)
    store.write(f"{bucket}/object.bin", b"logged")
    local = tmp_path / "mounted/sub"
    local.mkdir(parents=True)
    (local / "a.txt").write_bytes(b"a")
    set_environment(monkeypatch, store, OBJECT=f"{bucket}/object.bin", FOLDER=str(local.parent))
    Scripts(backend.server, tmp_path).run(LOG_VERSIONS)
    store.write(f"{bucket}/object.bin", b"newer")

    result = download_artifact("local/p/versions", tmp_path / "data")

    assert (tmp_path / "data/logged.bin").read_bytes() == b"logged"
    assert (tmp_path / "data/local/sub/a.txt").read_bytes() == b"a"
    assert result.unverified == ()
    (local / "a.txt").write_bytes(b"b")
    with pytest.raises(IncompleteDownloadError, match=r"local/sub/a.txt: .* its MD5 digest differs"):
        download_artifact("local/p/versions", tmp_path / "later")


def test_artifact_of_the_sdk_is_a_reference(backend: WandbBackend, tmp_path: Path) -> None:
    """`wandb.Api().artifact(...)` can be passed in place of its name."""
    import wandb

    path = backend.artifact(files={"a": b"1"})
    artifact = wandb.Api().artifact(f"{path}:v0")

    assert download_artifact(artifact, tmp_path / "data").artifact.version == "v0"


@env.task
async def fetch(artifact: str) -> Dir:
    stored: Dir = await download_artifact_to_dir.aio(artifact, exclude="*.txt")
    return stored


def test_task_returns_an_artifact_as_a_directory(
    backend: WandbBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It contains the requested files and nothing else."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = backend.artifact(files={"a.pt": b"1", "sub/b.pt": b"2", "c.txt": b"3"})

    found = Path(run_locally(fetch, f"{path}:v0").path)

    assert {file.relative_to(found).as_posix() for file in found.rglob("*") if file.is_file()} == {"a.pt", "sub/b.pt"}
