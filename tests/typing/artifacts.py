"""wandb-artifacts on its own: mypy reads this file, nobody executes it."""

from pathlib import Path

import wandb
from typing_extensions import assert_type
from wandb_artifacts import (
    DownloadError,
    Failure,
    IncompleteDownloadError,
    Progress,
    RunDownload,
    RunRef,
    SweepDownload,
    SweepRef,
    Verification,
    download_run,
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


async def awaited(run: RunRef) -> None:
    result = await download_run.aio(run, "data")
    assert_type(result, RunDownload)
    assert_type(result.failed, tuple[Failure, ...])
    result.failed = ()  # type: ignore[misc]
    assert_type((await download_sweep.aio("e/p/x", "data")).runs, tuple[RunDownload, ...])
    assert_type(await verify_download.aio("data"), Verification)
    await download_run(run, "data")  # type: ignore[misc]


def failing(run: RunRef) -> None:
    try:
        download_run(run, "data")
    except IncompleteDownloadError as error:
        assert_type(error.result, RunDownload | SweepDownload)
    except DownloadError:
        pass


def in_place() -> None:
    assert_type(WandbFileSystem(host="https://wandb.example.com", listings_expiry_time=None).fsid, str)
    WandbFileSystem(host=5)  # type: ignore[arg-type]
