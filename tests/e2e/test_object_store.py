"""An S3-compatible store as destination: by s3fs, and by the implementation of `s3://` that Flyte registers."""

import hashlib
import re
from collections.abc import Iterator

import pytest
from fsspec.registry import _registry as registered
from wandb_artifacts._destination.open import open_target
from wandb_artifacts._errors import DestinationError

from tests.support.object_store import ObjectStore
from tests.support.target_contract import OPEN, TargetContract


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with ObjectStore() as store:
        yield store


@pytest.fixture
def bucket(store: ObjectStore) -> str:
    return store.new_bucket()


@pytest.fixture
def s3fs_options(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Return a function that opens a store with s3fs, whichever implementation is registered."""
    from s3fs import S3FileSystem

    monkeypatch.setitem(registered, "s3", S3FileSystem)
    return {"key": "test", "secret": "test", "endpoint_url": store.endpoint}


@pytest.fixture
def flyte_options(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Return a function that opens a store with Flyte's implementation of `s3://`."""
    from obstore.fsspec import FsspecStore

    kind = type("FsspecStore_s3", (FsspecStore,), {"protocol": "s3", "asynchronous": True})
    monkeypatch.setitem(registered, "s3", kind)
    config = {"access_key_id": "test", "secret_access_key": "test", "endpoint": store.endpoint, "region": "us-east-1"}
    return {"config": config, "client_options": {"allow_http": True}}


@pytest.fixture(params=["s3fs_options", "flyte_options"])
def options(request: pytest.FixtureRequest) -> dict[str, object]:
    found: dict[str, object] = request.getfixturevalue(request.param)
    return found


class TestS3(TargetContract):
    @pytest.fixture
    def opening(self, bucket: str, s3fs_options: dict[str, object]) -> OPEN:
        return lambda: open_target(f"{bucket}/some/folder", s3fs_options)


class TestS3ByFlyte(TargetContract):
    @pytest.fixture
    def opening(self, bucket: str, flyte_options: dict[str, object]) -> OPEN:
        return lambda: open_target(f"{bucket}/some/folder", flyte_options)


def test_bucket_root_is_a_destination(bucket: str, options: dict[str, object]) -> None:
    target = open_target(f"{bucket}/", options)
    target.prepare()
    target.write("a/b", b"1")

    assert target.paths() == ["a/b"]
    assert target.url == bucket


def test_objects_equal_the_files(store: ObjectStore, bucket: str, options: dict[str, object]) -> None:
    """Under their own keys, and nothing else is written."""
    target = open_target(f"{bucket}/x", options)
    target.prepare()
    with target.lock():
        stat = target.write("a b/ü.txt", b"1")
        part = target.part("c", "key")
        part.write(b"22")
        part.commit()
        part.close()
        target.tidy()

    assert store.list(bucket) == {"x/a b/ü.txt": 1, "x/c": 2}
    assert stat.stamp == f'1-"{hashlib.md5(b"1").hexdigest()}"'


def test_changes_by_other_writers_are_visible(store: ObjectStore, bucket: str, options: dict[str, object]) -> None:
    """Listings cached by filesystems are not used."""
    target = open_target(f"{bucket}/x", options)
    target.write("a", b"1")
    assert target.paths() == ["a"]
    before = target.stat("a")
    store.write(f"{bucket}/x/b", b"2")
    store.write(f"{bucket}/x/a", b"333")

    after = target.stat("a")
    assert before is not None
    assert after is not None
    assert (before.size, after.size) == (1, 3)
    assert target.paths() == ["a", "b"]
    assert target.read("b") == b"2"


def test_missing_bucket_is_one_line(options: dict[str, object]) -> None:
    """The bucket is not created."""
    target = open_target("s3://no-such-bucket-at-all/x", options)
    target.prepare()

    with pytest.raises(DestinationError, match="Cannot write s3://no-such-bucket-at-all/x/a: ") as caught:
        target.write("a", b"1")
    assert "\n" not in str(caught.value)
    assert re.search("(?i)bucket", str(caught.value))
    assert "Debug source" not in str(caught.value)


def test_unreachable_store_is_retried_then_fails(options: dict[str, object]) -> None:
    """The error does not contain credentials."""
    retry: dict[str, object] = {"retries": {"max_attempts": 1}}
    there = {"endpoint_url": "http://127.0.0.1:1", "secret": "S3CRET", "config_kwargs": retry}
    if "config" in options:
        config = {"access_key_id": "test", "secret_access_key": "S3CRET", "endpoint": "http://127.0.0.1:1"}
        retry = {"max_retries": 1}
        there = {"config": config, "client_options": {"allow_http": True}, "retry_config": retry}
    target = open_target("s3://bucket/x", {**options, **there})

    with pytest.raises(DestinationError, match="Cannot write s3://bucket/x/a: ") as caught:
        target.write("a", b"1")
    assert "S3CRET" not in str(caught.value)
    assert "\n" not in str(caught.value)
