"""The contract of downloads, in an S3-compatible store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fsspec.registry import _registry as registered

from tests.support.object_store import ObjectStore
from tests.wandb_artifacts.download_contract import DownloadContract, Place
from tests.wandb_artifacts.wandb_backend import open_backend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with ObjectStore() as store:
        yield store


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbBackend]:
    with open_backend(monkeypatch, tmp_path) as backend:
        yield backend


class TestS3(DownloadContract):
    @pytest.fixture
    def place(self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Place:
        from s3fs import S3FileSystem

        # Flyte may have registered another implementation.
        monkeypatch.setitem(registered, "s3", S3FileSystem)
        bucket = store.new_bucket()

        def read() -> dict[str, bytes]:
            return {name.removeprefix("to/"): store.read(f"{bucket}/{name}") or b"" for name in store.list(bucket)}

        return Place(f"{bucket}/to", {"key": "test", "secret": "test", "endpoint_url": store.endpoint}, read)
