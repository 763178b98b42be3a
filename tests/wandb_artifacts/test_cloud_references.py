"""References to objects of Google Cloud Storage and Azure, read by gcsfs and adlfs from servers on loopback."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import trustme
from wandb_artifacts import IncompleteDownloadError, download_artifact
from wandb_artifacts._client.options import RetryPolicy, use_options
from wandb_artifacts._download.stores import open_reference

from tests.support.forward_proxy import ForwardProxy

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
VERSIONS = {"": (DATA, TAG), "v0": (b"first data", "tag-0")}
"""The object in Azure: its current contents and tag, and those of an earlier version."""
AZURE_URL = "https://account.blob.core.windows.net/data/folder/one.bin"
"""As the SDK states it."""
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

    token: ClassVar[str | None] = None
    """The token that requests must have; others get 404, as for a container that is not public."""
    seen: ClassVar[set[str | None]] = set()
    """The values of the header Authorization, without signatures."""

    def do_GET(self) -> None:
        url, authorization = urlsplit(self.path), self.headers.get("Authorization")
        self.seen.add(authorization and authorization.partition(":")[0])
        data, tag = VERSIONS.get("".join(parse_qs(url.query).get("versionid", ())), (b"", ""))
        common = {"ETag": f'"{tag}"', "Last-Modified": MODIFIED, "x-ms-version": "2025-01-05"}
        is_object = url.path.removeprefix("/account") == "/data/folder/one.bin" and tag
        if self.status != 200 or not is_object or self.token not in (None, authorization):
            status = self.status if self.status != 200 else 404
            code = "AuthorizationFailure" if status == 403 else "BlobNotFound"
            self.send(b"", {**common, "x-ms-error-code": code}, status)
            return
        given = self.headers.get("x-ms-range") or self.headers.get("Range") or ""
        first, _, last = given.removeprefix("bytes=").partition("-")
        body = data[int(first or 0) : int(last) + 1 if last else None]
        shape = {"x-ms-blob-type": "BlockBlob", "x-ms-creation-time": MODIFIED, "Accept-Ranges": "bytes"}
        if given:
            shape["Content-Range"] = f"bytes {int(first)}-{int(first) + len(body) - 1}/{len(data)}"
        self.send(body, {**common, **shape}, 206 if given else 200)

    def do_HEAD(self) -> None:
        self.do_GET()


@contextmanager
def served(handler: type[Store], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    handler.status, AzureStorage.token, AzureStorage.seen = 200, None, set()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=["gs", "az", "https"])
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
        yield AzureStorage, "az://data/folder/one.bin" if request.param == "az" else AZURE_URL


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


@pytest.mark.parametrize("reference", ["https"], indirect=True)
def test_version_of_a_reference_to_azure_is_fetched(
    backend: WandbBackend, reference: tuple[type[Store], str], tmp_path: Path
) -> None:
    """The credentials of the environment are used, and nothing is sent without them."""
    entry = {"ref": reference[1], "digest": "tag-0", "size": 10, "extra": {"etag": "tag-0", "versionID": "v0"}}
    lost = {**entry, "extra": {"versionID": "v9"}}

    result = download_artifact(backend.artifact(references={"one.bin": entry}), tmp_path)

    assert (tmp_path / "one.bin").read_bytes() == VERSIONS["v0"][0]
    assert (result.unverified, AzureStorage.seen) == ((), {"SharedKey account"})
    with pytest.raises(IncompleteDownloadError, match=r"one\.bin: not found"):
        download_artifact(backend.artifact("lost", references={"one.bin": lost}), tmp_path / "lost")


AZ = """#!/bin/sh
echo '{"accessToken": "token-of-az", "expiresOn": "2099-01-01 00:00:00.000000", "tenant": "t"}'
"""


@pytest.mark.parametrize(
    ("token", "credential", "seen", "error"),
    [
        (None, "EnvironmentCredential", {None}, None),
        ("Bearer token-of-az", "AzureCliCredential", {None, "Bearer token-of-az"}, None),
        (
            "Bearer token-of-az",
            "EnvironmentCredential",
            {None},
            "it is missing or not public, and no credentials for Azure were found; log in, or set",
        ),
        ("Bearer another", "AzureCliCredential", {None, "Bearer token-of-az"}, "one.bin: not found"),
    ],
    ids=["public", "private", "no credentials", "no access"],
)
def test_container_in_azure_is_read_without_credentials_first(
    backend: WandbBackend, tmp_path: Path, token: str | None, credential: str, seen: set[str | None], error: str | None
) -> None:
    """Credentials of Azure's own tools are used only after that: the search for them takes long if it finds none."""
    pytest.importorskip("adlfs", reason="references to Azure need adlfs")
    (tmp_path / "az").write_text(AZ)
    (tmp_path / "az").chmod(0o700)
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("account.blob.core.windows.net").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    path = backend.artifact(references={"one.bin": {"ref": AZURE_URL, "digest": TAG, "size": len(DATA)}})

    with served(AzureStorage, context) as url:
        AzureStorage.token = token
        port = urlsplit(url).port or 0
        with ForwardProxy(hosts={"account.blob.core.windows.net": ("127.0.0.1", port)}) as proxy:
            more = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(tmp_path / "ca.pem"), "NO_PROXY": ""}
            more |= {"AZURE_TOKEN_CREDENTIALS": credential, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
            environment = {**{name: os.environ[name] for name in os.environ if not name.startswith("AZURE")}, **more}
            line = [sys.executable, "-m", "wandb_artifacts", "artifact", path, str(tmp_path / "to"), "--quiet"]
            done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert AzureStorage.seen == seen
    if error:
        assert done.returncode == 1
        assert error in done.stderr
    else:
        assert (done.returncode, (tmp_path / "to/one.bin").read_bytes()) == (0, DATA), done.stderr


CONNECTION = f"AccountName=account;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:9/account"
ACCESS = "BlobEndpoint=https://account.blob.core.windows.net;SharedAccessSignature=sv=1&sig=x"


@pytest.mark.parametrize(
    ("environment", "url", "reads"),
    [
        ({}, AZURE_URL, "AzureBlobFileSystem"),
        ({}, f"{AZURE_URL}?sv=1&sig=x", "HTTPFileSystem"),
        ({}, AZURE_URL.replace("windows.net", "windows.net.example.com"), "HTTPFileSystem"),
        ({}, "https://account.blob.core.windows.net/data", "HTTPFileSystem"),
        ({"CONNECTION_STRING": CONNECTION}, AZURE_URL, "AzureBlobFileSystem"),
        ({"CONNECTION_STRING": CONNECTION}, AZURE_URL.replace("account", "other"), "HTTPFileSystem"),
        ({"CONNECTION_STRING": ACCESS}, AZURE_URL, "AzureBlobFileSystem"),
        ({"CONNECTION_STRING": ACCESS}, AZURE_URL.replace("account", "other"), "HTTPFileSystem"),
        ({"SAS_TOKEN": "sv=1&sig=x", "ACCOUNT_NAME": "account"}, AZURE_URL, "AzureBlobFileSystem"),
        ({"SAS_TOKEN": "sv=1&sig=x", "ACCOUNT_NAME": "other"}, AZURE_URL, "HTTPFileSystem"),
        ({"ACCOUNT_KEY": KEY}, AZURE_URL, "HTTPFileSystem"),
        ({"no": "adlfs"}, AZURE_URL, "HTTPFileSystem"),
    ],
)
def test_secrets_for_azure_are_for_their_account_only(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, reads: str
) -> None:
    """An artifact of somebody else may refer to any account. All other URLs are read as plain HTTPS."""
    pytest.importorskip("adlfs", reason="references to Azure need adlfs")
    for name in [name for name in os.environ if name.startswith("AZURE")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    if "no" in environment:
        monkeypatch.setitem(sys.modules, "adlfs", None)

    opened = open_reference(url, None, with_credentials=False)

    assert type(opened.file_system).__name__ == reads
    assert opened.is_http == (reads == "HTTPFileSystem")
