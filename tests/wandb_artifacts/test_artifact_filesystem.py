"""`wandb-artifact://`: files of artifacts through fsspec."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_artifacts.artifact_filesystem import WandbArtifactFileSystem
from wandb_devserver import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend

BIG = os.urandom(3_000_000)
FILES = {"a.csv": b"x,y\n1,2\n", "sub/big.bin": BIG}


@pytest.fixture
def fs(backend: WandbBackend) -> Iterator[Any]:
    with use_options(retry=RetryPolicy(first_wait=0.01)):
        yield WandbArtifactFileSystem(host=backend.server.url, skip_instance_cache=True)


@pytest.mark.parametrize("algorithm", ["MANIFEST_MD5", "MANIFEST_XXH128"])
def test_files_are_listed_and_read(fs: Any, backend: WandbBackend, tmp_path: Path, algorithm: str) -> None:
    """By version and alias; whole files, parts and folders."""
    path = backend.artifact(files=FILES, algorithm=algorithm, aliases=["best"])

    assert fs.ls("local/p", detail=False) == ["local/p/ds"]
    assert fs.find(f"{path}:best") == [f"{path}:best/a.csv", f"{path}:best/sub/big.bin"]
    assert fs.info(f"{path}:v0/sub/big.bin")["size"] == len(BIG)
    assert fs.cat_file(f"{path}/a.csv") == FILES["a.csv"]
    assert fs.cat_file(f"{path}:v0/sub/big.bin", start=10, end=20) == BIG[10:20]
    with fs.open(f"{path}:v0/sub/big.bin") as file:
        file.seek(-5, 2)
        assert file.read() == BIG[-5:]
    fs.get(f"{path}:best/", f"{tmp_path}/copy/", recursive=True)
    assert (tmp_path / "copy/sub/big.bin").read_bytes() == BIG


def test_url_is_known_to_fsspec(backend: WandbBackend) -> None:
    """Without an import of this package's modules."""
    path = backend.artifact(files=FILES)

    with fsspec.open(f"wandb-artifact://{path}:v0/a.csv", "rb", skip_instance_cache=True) as file:
        assert file.read() == FILES["a.csv"]


@pytest.mark.parametrize("algorithm", ["MANIFEST_MD5", "MANIFEST_XXH128"])
def test_whole_files_are_verified(fs: Any, backend: WandbBackend, algorithm: str) -> None:
    """By the digest of the manifest, also when they are read block by block."""
    path = backend.artifact(files=FILES, algorithm=algorithm)
    backend.server.faults.add(Fault("download", target="a.csv", wrong_bytes=True, count=1))
    assert fs.cat_file(f"{path}/a.csv") == FILES["a.csv"]
    backend.server.faults.add(Fault("download", target="sub/big.bin", wrong_bytes=True, count=None))
    stream: Any = WandbArtifactFileSystem(host=backend.server.url, asynchronous=True, skip_instance_cache=True)

    async def read() -> None:
        async with await stream.open_async(f"{path}/sub/big.bin", block_size=1_000_000) as file:
            with pytest.raises(Exception, match="another digest"):
                await file.read()
        await stream.aclose()

    asyncio.run(read())
    with pytest.raises(ConnectionError, match="size or digest"):
        fs.cat_file(f"{path}/sub/big.bin")


def test_missing_files_are_not_found(fs: Any, backend: WandbBackend) -> None:
    path = backend.artifact(files=FILES, references={"ref": {"ref": "s3://b/x?secret", "digest": "tag", "size": 1}})

    for missing, says in (
        (f"{path}:worst/a.csv", "the artifact has no alias or version 'worst'; it has latest"),
        (f"{path}:v9/a.csv", "the artifact has no version 'v9', it may have been deleted; it has latest"),
        (f"{path}/none", "no such file or folder at W&B"),
    ):
        assert not fs.exists(missing)
        with pytest.raises(FileNotFoundError, match=says):
            fs.cat_file(missing)
    with pytest.raises(OSError, match="is a reference to s3://b/x; open that URL"):
        fs.cat_file(f"{path}/ref")
    with pytest.raises(OSError, match="read-only"):
        fs.pipe_file(f"{path}/new", b"")
