"""References to objects of Google Cloud Storage and Azure, read by gcsfs and adlfs from servers on loopback."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from wandb_artifacts import IncompleteDownloadError, download_artifact
from wandb_artifacts._client.options import RetryPolicy, use_options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend

# The clients of both stores take seconds to import.
pytestmark = pytest.mark.slow

DATA = b"object data"
TAG = "tag-1"
CREATED = "2026-11-28T00:00:00Z"
MODIFIED = "Sat, 28 Nov 2026 00:00:00 GMT"
KEY = "a2V5"
"""The key of the account, in base64."""


class Store(BaseHTTPRequestHandler):
    """Serves one object, `folder/one.bin` in the bucket or container `data`, and refuses all others with 404."""

    status: ClassVar[int] = 200
    """The status of all responses, if it is not 200."""

    def send(self, body: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class GoogleStorage(Store):
    """The JSON API of Google Cloud Storage."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        is_object = unquote(url.path).endswith("/b/data/o/folder/one.bin")
        if self.status != 200 or not is_object:
            # The list of a folder that does not exist is empty.
            status = self.status if self.status != 200 or url.path.endswith("/o") else 404
            self.send(b"{}", {"Content-Type": "application/json"}, status)
        elif parse_qs(url.query).get("alt") == ["media"]:
            first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            self.send(DATA[int(first) : int(last) + 1 if last else None], {}, 206)
        else:
            found = {"name": "folder/one.bin", "bucket": "data", "size": str(len(DATA)), "etag": TAG}
            found |= {"kind": "storage#object", "updated": CREATED, "timeCreated": CREATED}
            self.send(json.dumps(found).encode(), {"Content-Type": "application/json"})


class AzureStorage(Store):
    """The REST API of Azure's blobs."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        common = {"ETag": f'"{TAG}"', "Last-Modified": MODIFIED, "x-ms-version": "2025-01-05"}
        if self.status != 200 or url.path != "/account/data/folder/one.bin":
            status = self.status if self.status != 200 else 404
            code = "AuthorizationFailure" if status == 403 else "BlobNotFound"
            self.send(b"", {**common, "x-ms-error-code": code}, status)
            return
        given = self.headers.get("x-ms-range") or self.headers.get("Range") or ""
        first, _, last = given.removeprefix("bytes=").partition("-")
        body = DATA[int(first or 0) : int(last) + 1 if last else None]
        shape = {"x-ms-blob-type": "BlockBlob", "x-ms-creation-time": MODIFIED, "Accept-Ranges": "bytes"}
        if given:
            shape["Content-Range"] = f"bytes {int(first)}-{int(first) + len(body) - 1}/{len(DATA)}"
        self.send(body, {**common, **shape}, 206 if given else 200)

    def do_HEAD(self) -> None:
        self.do_GET()


@contextmanager
def served(handler: type[Store]) -> Iterator[str]:
    handler.status = 200
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=["gs", "az"])
def reference(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Store], str]]:
    """The server of a store, and the URL of its object."""
    if request.param == "gs":
        # Read at the import: otherwise gcsfs looks for credentials, to ask of which kind the bucket is.
        monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        gcsfs = pytest.importorskip("gcsfs", reason="gs:// needs gcsfs")
        with served(GoogleStorage) as url:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
            gcsfs.GCSFileSystem.clear_instance_cache()
            yield GoogleStorage, "gs://data/folder/one.bin"
        return
    adlfs = pytest.importorskip("adlfs", reason="az:// needs adlfs")
    with served(AzureStorage) as url:
        account = f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={KEY};BlobEndpoint={url}/account;"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", account)
        adlfs.AzureBlobFileSystem.clear_instance_cache()
        yield AzureStorage, "az://data/folder/one.bin"


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    with use_options(retry=RetryPolicy(first_wait=0.01, attempts=2)):
        yield


@pytest.fixture(autouse=True)
def flyte_is_imported() -> None:
    """Flyte registers its own file systems for the schemes of stores."""
    pytest.importorskip("flyte.io")


def test_reference_is_fetched_and_compared_with_its_tag(
    backend: WandbBackend, reference: tuple[type[Store], str], tmp_path: Path
) -> None:
    entry = {"ref": reference[1], "digest": TAG, "size": len(DATA), "extra": {"etag": TAG}}

    result = download_artifact(backend.artifact(references={"sub/one.bin": entry}), tmp_path)

    assert (tmp_path / "sub/one.bin").read_bytes() == DATA
    assert result.unverified == ()


@pytest.mark.parametrize(
    ("name", "digest", "status", "message"),
    [
        ("one.bin", "tag-0", 200, r"it has changed since the artifact was logged \(ETag 'tag-1'\)"),
        ("none.bin", TAG, 200, "none.bin: not found"),
        ("one.bin", TAG, 403, "access denied; check the credentials of its store"),
    ],
)
def test_wrong_reference_is_missing(
    backend: WandbBackend,
    reference: tuple[type[Store], str],
    tmp_path: Path,
    name: str,
    digest: str,
    status: int,
    message: str,
) -> None:
    """The other files arrive, and nothing has its name."""
    store, url = reference
    store.status = status
    entry = {"ref": url.replace("one.bin", name), "digest": digest, "size": len(DATA)}
    path = backend.artifact(files={"own": b"own"}, references={"one.bin": entry})

    with pytest.raises(IncompleteDownloadError, match=message):
        download_artifact(path, tmp_path)

    assert (tmp_path / "own").read_bytes() == b"own"
    assert not (tmp_path / "one.bin").exists()
