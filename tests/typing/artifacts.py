"""wandb-artifacts alone. Never executed: read by mypy."""

from datetime import date
from pathlib import Path

import wandb
from typing_extensions import assert_type
from wandb_artifacts import (
    ArtifactDownload,
    ArtifactProgress,
    ArtifactRef,
    DownloadError,
    Failure,
    IncompleteDownloadError,
    Progress,
    ProjectRef,
    RunDownload,
    RunRef,
    RunsDownload,
    SweepDownload,
    SweepRef,
    Verification,
    download_artifact,
    download_run,
    download_runs,
    download_sweep,
    verify_download,
)
from wandb_artifacts.filesystem import WandbFileSystem


def report(progress: Progress) -> None:
    assert_type(progress.size, int | None)


def blocking(run: RunRef, sweep: SweepRef) -> None:
    assert_type(download_run(run, Path("data"), include=["*.pt"], progress=report), RunDownload)
    assert_type(download_run("e/p/x", "s3://b/x", storage_options={"anon": True}), RunDownload)
    assert_type(download_run("e/p/x", "data", history_format="parquet"), RunDownload)
    assert_type(download_run(wandb.Api().run("e/p/x"), "data"), RunDownload)
    assert_type(download_run(["e", "p", "x"], "data"), RunDownload)
    assert_type(download_sweep(sweep, "data", jobs=4, deadline=60.0, exclude="media/*"), SweepDownload)
    assert_type(verify_download("data"), Verification)
    download_run(sweep, "data")  # type: ignore[arg-type]
    download_run(run)  # type: ignore[call-arg]
    download_run(run, "data", True)  # type: ignore[call-arg]
    download_run(run, "data", history_format="csv")  # type: ignore[arg-type]
    download_sweep(run, "data")  # type: ignore[arg-type]
    verify_download("data", jobs=4)  # type: ignore[call-arg]


def of_a_project(project: ProjectRef) -> None:
    result = download_runs(project, "data", tags=["paper"], states=("finished",), created_after=date(2026, 1, 31))
    assert_type(result, RunsDownload)
    assert_type((result.matched, result.files, result.bytes, result.dry_run), tuple[int, int, int, bool])
    assert_type(result.runs, tuple[RunDownload, ...])
    assert_type(download_runs("e/p", Path("data"), filters={"config.lr": {"$gt": 0.1}}, dry_run=True), RunsDownload)
    download_runs(RunRef("e", "p", "x"), "data")  # type: ignore[arg-type]
    download_runs("e/p", "data", limit="3")  # type: ignore[arg-type]
    download_runs("e/p", "data", filters=["state"])  # type: ignore[arg-type]
    download_runs("e/p", "data", created_after=2026)  # type: ignore[arg-type]
    ProjectRef("e", "p", "x", "y")  # type: ignore[call-arg]


async def awaited(run: RunRef) -> None:
    result = await download_run.aio(run, "data")
    assert_type(result, RunDownload)
    assert_type(result.failed, tuple[Failure, ...])
    result.failed = ()  # type: ignore[misc]
    assert_type((await download_sweep.aio("e/p/x", "data")).runs, tuple[RunDownload, ...])
    assert_type(await download_runs.aio("e/p", "data", history_format="parquet"), RunsDownload)
    assert_type(await verify_download.aio("data"), Verification)
    await download_run(run, "data")  # type: ignore[misc]


def failing(run: RunRef) -> None:
    try:
        download_run(run, "data")
    except IncompleteDownloadError as error:
        assert_type(error.result, RunDownload | SweepDownload | RunsDownload | ArtifactDownload)
    except DownloadError:
        pass


def in_place() -> None:
    assert_type(WandbFileSystem(host="https://wandb.example.com", listings_expiry_time=None).fsid, str)
    WandbFileSystem(host=5)  # type: ignore[arg-type]


def report_artifact(progress: ArtifactProgress) -> None:
    assert_type(progress.artifact, ArtifactRef)
    assert_type(progress.received, int)


def downloading_artifacts(artifact: ArtifactRef, logged: wandb.Artifact) -> None:
    result = download_artifact(artifact, Path("data"), references="skip", jobs=4, deadline=60, progress=report_artifact)
    assert_type(result, ArtifactDownload)
    assert_type(result.artifact.version, str | None)
    assert_type(result.unverified, tuple[str, ...])
    assert_type(download_artifact("e/p/n:v3", "s3://bucket/n", include=["*.pt"], exclude="*.txt").digest, str)
    assert_type(download_artifact(logged, "data"), ArtifactDownload)
    assert_type(ArtifactRef.parse("n:best", entity="e", project="p").url, str)
    download_artifact(RunRef("e", "p", "x"), "data")  # type: ignore[arg-type]
    download_artifact("e/p/n", "data", references="copy")  # type: ignore[arg-type]
    download_artifact("e/p/n", "data", progress=report)  # type: ignore[arg-type]
    download_artifact("e/p/n", "data", include_history=False)  # type: ignore[call-arg]
    ArtifactRef("e", "p")  # type: ignore[call-arg]


async def awaited_artifact(artifact: ArtifactRef) -> None:
    assert_type(await download_artifact.aio(artifact, "data"), ArtifactDownload)
    await download_artifact(artifact, "data")  # type: ignore[misc]
