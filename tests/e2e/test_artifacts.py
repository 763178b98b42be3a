"""Artifacts as outputs and inputs of runs, in Flyte's local mode: data, versions, lineage as `wandb.Api` shows it."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import flyte
import fsspec
import pytest
import wandb
from flyte.io import Dir, File
from flyteplugins.wandb import (
    ArtifactError,
    InvalidValueError,
    download_wandb_artifact_dir,
    get_wandb_run,
    log_wandb_artifact,
    use_wandb_artifact,
    wandb_config,
    wandb_init,
)
from fsspec.implementations.memory import MemoryFileSystem
from wandb_artifacts import ArtifactRef
from wandb_devserver import DevServer, Fault
from wandb_runtime.artifacts import upload
from wandb_runtime.artifacts.errors import explain

from tests.e2e.support import run_locally
from tests.support.preloaded.client import popen

if TYPE_CHECKING:
    from collections.abc import Iterator

env = flyte.TaskEnvironment(name="e2e_artifacts")

CONTEXT = wandb_config(project="e2e", entity="local")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """One server for the tests, whose artifacts have different names."""
    folder = tmp_path_factory.mktemp("wandb")
    places = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR")
    with DevServer(folder / "server") as server, pytest.MonkeyPatch.context() as patch:
        wandb.teardown()
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        for name, value in {**server.env, **dict.fromkeys(places, str(folder)), "WANDB_SILENT": "true"}.items():
            patch.setenv(name, value)
        yield server
        wandb.teardown()


@pytest.fixture
def name() -> str:
    return f"a-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A folder."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("1")
    (folder / "sub" / "b.txt").write_text("22")
    return str(folder)


FILES = {"a.txt": "1", "sub/b.txt": "22"}


def downloaded(ref: str) -> dict[str, str]:
    """Download an artifact by the SDK."""
    root = Path(wandb.Api().artifact(ref).download(str(Path(os.environ["WANDB_DIR"]) / uuid.uuid4().hex)))
    return read(root)


def read(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def logged(run_id: str) -> list[str]:
    return [item.name for item in wandb.Api().run(f"local/e2e/{run_id}").logged_artifacts()]


def used(run_id: str) -> list[str]:
    return [item.name for item in wandb.Api().run(f"local/e2e/{run_id}").used_artifacts()]


def run_id_of() -> str:
    return get_wandb_run(required=True).id


@wandb_init
@env.task
async def logging_all_fields(data: str, name: str) -> list[str]:
    ref = await log_wandb_artifact.aio(
        data, name=name, type="dataset", aliases=["best"], tags=["two words"], description="d", metadata={"rows": 2}
    )
    return [str(ref), ref.url, run_id_of()]


def test_folder_is_logged_with_its_fields_and_lineage(server: DevServer, name: str, data: str) -> None:
    ref, url, run_id = run_locally(logging_all_fields, data, name, context=CONTEXT)
    assert ref == f"local/e2e/{name}:v0"
    assert url.endswith(f"/local/e2e/artifacts/dataset/{name}/v0")
    artifact = wandb.Api().artifact(ref)
    assert downloaded(ref) == FILES
    assert (artifact.type, artifact.description, artifact.metadata) == ("dataset", "d", {"rows": 2})
    assert (artifact.tags, set(artifact.aliases)) == (["two words"], {"best", "latest"})
    producer = artifact.logged_by()
    assert producer is not None
    assert (producer.id, logged(run_id)) == (run_id, [f"{name}:v0"])


@wandb_init
@env.task
def logging_sync(data: str, name: str) -> list[str]:
    return [str(log_wandb_artifact(data, name=name, type="dataset")), run_id_of()]


def test_equal_contents_make_no_new_version(server: DevServer, name: str, data: str) -> None:
    """As of a retry. The second run has logged the version too."""
    first, _ = run_locally(logging_sync, data, name, context=CONTEXT)
    again, run_id = run_locally(logging_sync, data, name, context=CONTEXT)
    Path(data, "a.txt").write_text("3")
    changed, _ = run_locally(logging_sync, data, name, context=CONTEXT)
    assert [first, again, changed] == [f"local/e2e/{name}:{version}" for version in ("v0", "v0", "v1")]
    assert logged(run_id) == [f"{name}:v0"]


class MeasuredFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """A store that records how much of it is on this machine while it is read."""

    protocol = "measured"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    staged: ClassVar[list[int]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("measured://", "memory://", 1)))

    def unstrip_protocol(self, name: str) -> str:
        return f"measured:/{self._strip_protocol(name)}"

    def get_file(self, rpath: str, lpath: str, **kwargs: Any) -> None:
        super().get_file(rpath, lpath, **kwargs)
        self.staged.append(sum(path.stat().st_size for path in staged()))


def staged() -> list[Path]:
    return list(Path(os.environ["WANDB_DATA_DIR"], "artifacts", "staging").iterdir())


def in_store(**contents: str) -> str:
    """Write files to a store; return the URL of their folder."""
    fsspec.register_implementation("measured", MeasuredFileSystem, clobber=True)
    url = f"measured://{uuid.uuid4().hex}/data"
    for path, text in contents.items():
        fsspec.filesystem("measured").pipe(f"{url}/{path.replace('__', '/')}.txt", text.encode())
    return url


@wandb_init
@env.task
async def logging_store(url: str, name: str) -> list[str]:
    folder = await log_wandb_artifact.aio(Dir(path=url), name=name, type="dataset", tags=["x"])
    file = await log_wandb_artifact.aio(File(path=f"{url}/a.txt"), name=f"{name}-file", type="dataset")
    return [str(folder), str(file), run_id_of()]


@pytest.mark.parametrize("bound", [1024, 4])
def test_store_is_copied_within_a_bound_of_disk(
    bound: int, server: DevServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts of one version, if the contents are larger than the bound; equal contents make no new version."""
    monkeypatch.setattr(upload, "_MOST_STAGED", bound)
    MeasuredFileSystem.staged.clear()
    url = in_store(a="111", sub__b="22", sub__c="3333", d="4")

    refs = [run_locally(logging_store, url, name, context=CONTEXT) for _ in range(2)]

    assert [ref[:2] for ref in refs] == [[f"local/e2e/{name}:v0", f"local/e2e/{name}-file:v0"]] * 2
    assert downloaded(refs[0][0]) == {"a.txt": "111", "sub/b.txt": "22", "sub/c.txt": "3333", "d.txt": "4"}
    assert downloaded(refs[0][1]) == {"a.txt": "111"}
    assert wandb.Api().artifact(refs[0][0]).tags == ["x"]
    assert logged(refs[1][2]) == [f"{name}:v0", f"{name}-file:v0"]
    assert max(MeasuredFileSystem.staged) == min(bound, 10)
    assert staged() == []


@wandb_init
@env.task
async def using(artifact: str) -> list[str]:
    folder = await use_wandb_artifact.aio(artifact, type="dataset")
    return [folder.path, run_id_of()]


@wandb_init
@env.task
def using_sync(artifact: str) -> list[str]:
    folder = use_wandb_artifact(ArtifactRef.parse(artifact, entity="local", project="e2e"))
    return [folder.path, run_id_of()]


@wandb_init
@env.task
async def using_to_folder(artifact: str) -> list[str]:
    return [await asyncio.to_thread(download_wandb_artifact_dir, artifact), run_id_of()]


@env.task
async def using_without_run(artifact: str) -> list[str]:
    folder = await use_wandb_artifact.aio(artifact)
    return [folder.path, await asyncio.to_thread(download_wandb_artifact_dir, artifact)]


def test_use_is_recorded_with_the_version(server: DevServer, name: str, data: str) -> None:
    """The alias moves; entity and project are those of the run."""
    ref, producer = run_locally(logging_sync, data, name, context=CONTEXT)
    for task in (using, using_sync, using_to_folder):
        folder, consumer = run_locally(task, f"{name}:latest", context=CONTEXT)
        assert {key: text for key, text in read(Path(folder)).items() if key != "manifest.json"} == FILES
        assert used(consumer) == [f"{name}:v0"]
    assert {run.id for run in wandb.Api().artifact(ref).used_by()} >= {consumer}
    assert used(producer) == []
    for folder in run_locally(using_without_run, ref):
        assert read(Path(folder))["a.txt"] == "1"


@wandb_init
@env.task
async def joining_child(data: str, name: str) -> str:
    ref = await log_wandb_artifact.aio(data, name=name, type="dataset")
    await use_wandb_artifact.aio(ref)
    return run_id_of()


@wandb_init
@env.task
async def joined_parent(data: str, name: str) -> list[str]:
    return [run_id_of(), await joining_child(data, name)]


def test_child_that_joins_a_run_adds_to_its_lineage(server: DevServer, name: str, data: str) -> None:
    parent, child = run_locally(joined_parent, data, name, context=CONTEXT)
    assert parent == child
    assert (logged(parent), used(parent)) == ([f"{name}:v0"], [f"{name}:v0"])


@contextmanager
def temporary_data() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.txt").write_text("1")
        yield folder


@wandb_init
@env.task
async def refused(url: str, name: str) -> list[str]:
    """The data of this machine is gone before the run ends."""
    errors = []
    with temporary_data() as folder:
        for data, its_name in ((folder, name), (Dir(path=url), f"{name}-store")):
            with pytest.raises(ArtifactError) as caught:
                await log_wandb_artifact.aio(data, name=its_name, type="dataset")
            errors.append(str(caught.value))
    return errors


def sync_command_of(log: pytest.LogCaptureFixture) -> list[str]:
    (warning,) = (text for text in log.messages if "was not uploaded completely" in text)
    return shlex.split(warning.split("`")[1])


def test_artifact_of_an_outage_is_delivered_later(
    server: DevServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names the limit; the run's directory has the contents."""
    server.faults.add(Fault("graphql", operation="CreateArtifact", status=503, count=None))
    context = {**CONTEXT, **wandb_config(finish_timeout=2)}
    try:
        error, _ = run_locally(refused, in_store(a="2"), name, context=context)
    finally:
        server.faults.clear()
    assert f"W&B artifact 'local/e2e/{name}' of run" in error
    assert "W&B has not committed it within 2 s" in error
    assert "finish_timeout" in error
    sync(sync_command_of(caplog)[2:])
    assert downloaded(f"local/e2e/{name}:v0") == {"a.txt": "1"}
    assert downloaded(f"local/e2e/{name}-store:v0") == {"a.txt": "2"}


def sync(arguments: list[str]) -> None:
    with popen([sys.executable, "-m", "wandb", *arguments], os.environ, Path.cwd()) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def test_refusal_is_raised_with_the_reason_of_the_server(server: DevServer, name: str) -> None:
    server.faults.add(Fault("graphql", operation="CreateArtifact", status=403, body="no storage left", count=None))
    try:
        errors = run_locally(refused, in_store(a="2"), name, context=CONTEXT)
    finally:
        server.faults.clear()
    assert ["was not logged" in error and "403" in error for error in errors] == [True, True]


@wandb_init
@env.task
async def offline(url: str, name: str) -> list[str]:
    with temporary_data() as folder:
        local = await log_wandb_artifact.aio(folder, name=name, type="dataset", aliases=["best"])
    store = await log_wandb_artifact.aio(Dir(path=url), name=f"{name}-store", type="dataset")
    await asyncio.to_thread(fsspec.filesystem("measured").rm, url, recursive=True)
    return [str(local), str(store), str(Path(get_wandb_run(required=True).dir).parent)]


def test_offline_run_delivers_its_artifacts_at_sync(server: DevServer, name: str) -> None:
    """Data that was deleted after it was logged is delivered too."""
    local, store, directory = run_locally(
        offline, in_store(a="2"), name, context={**CONTEXT, **wandb_config(mode="offline")}
    )
    assert (local, store) == (f"local/e2e/{name}:latest", f"local/e2e/{name}-store:latest")
    sync(["sync", directory])
    assert (downloaded(f"local/e2e/{name}:best"), downloaded(store)) == ({"a.txt": "1"}, {"a.txt": "2"})
    producer = wandb.Api().artifact(store).logged_by()
    assert producer is not None
    assert set(logged(producer.id)) == {f"{name}:v0", f"{name}-store:v0"}


@wandb_init
@env.task
async def ending(name: str, data: str) -> list[str]:
    run = get_wandb_run(required=True)
    run.finish()
    errors = []
    for item in (Dir(path="measured://nowhere/x"), File(path="measured://user:s3cr3t@nowhere/x")):
        with pytest.raises(InvalidValueError) as caught:
            await log_wandb_artifact.aio(item, name=name, type="dataset")
        errors.append(str(caught.value))
    with pytest.raises(InvalidValueError, match="has ended; pass an open run") as caught:
        await log_wandb_artifact.aio(data, name=name, type="dataset", run=run)
    return [*errors, str(caught.value)]


def test_missing_objects_and_ended_runs_are_refused(server: DevServer, name: str, data: str) -> None:
    in_store(a="1")
    folder, file, run = run_locally(ending, name, data, context=CONTEXT)
    assert folder.startswith("data='measured://nowhere/x': ")
    assert file.startswith("data='measured://nowhere/x': ")
    assert run.startswith("run='")
    assert "s3cr3t" not in folder + file


@env.task
async def blocking_the_loop(artifact: str) -> str:
    with pytest.raises(RuntimeError, match=r"use_wandb_artifact\.aio") as caught:
        use_wandb_artifact(artifact)
    return str(caught.value)


@wandb_init
@env.task
async def wrong_type(artifact: str) -> str:
    with pytest.raises(InvalidValueError, match="has the type 'dataset'") as caught:
        await use_wandb_artifact.aio(artifact, type="model")
    return str(caught.value) + str(used(run_id_of()))


def test_misused_use_is_refused(server: DevServer, name: str, data: str) -> None:
    ref, _ = run_locally(logging_sync, data, name, context=CONTEXT)
    assert "blocks the event loop" in run_locally(blocking_the_loop, ref)
    assert run_locally(wrong_type, ref, context=CONTEXT) == f"type='model': artifact {ref} has the type 'dataset'[]"


@wandb_init
@env.task
async def using_offline(artifact: str) -> str:
    return (await use_wandb_artifact.aio(artifact)).path


def test_offline_run_records_no_use(server: DevServer, name: str, data: str, caplog: pytest.LogCaptureFixture) -> None:
    ref, _ = run_locally(logging_sync, data, name, context=CONTEXT)
    folder = run_locally(using_offline, ref, context={**CONTEXT, **wandb_config(mode="offline")})
    assert read(Path(folder)) == FILES
    assert f"The use of W&B artifact {ref} by run" in caplog.text
    assert "is not recorded: it is offline" in caplog.text


@pytest.mark.parametrize("mode", ["disabled"])
def test_run_without_a_server_has_no_version_yet(mode: Any, server: DevServer, name: str, data: str) -> None:
    ref, *_ = run_locally(logging_sync, data, name, context={**CONTEXT, **wandb_config(mode=mode)})
    assert ref == f"local/e2e/{name}:latest"


def test_reason_of_an_artifact_error_has_no_credentials(tmp_path: Path) -> None:
    """The server may have echoed the request."""
    settings = wandb.Settings(api_key="k" * 40, x_extra_http_headers={"X-Token": "echoed-token"})
    with wandb.init(mode="offline", dir=tmp_path, settings=settings) as run:
        reason = explain(ValueError(f"403: {'k' * 40} echoed-token https://store/a?X-Signature=s"), run)

    assert reason == "403: *** *** https://store/a"
