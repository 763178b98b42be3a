"""Files of an artifact that W&B does not store: objects of other servers, files of this machine, other artifacts."""

from __future__ import annotations

import base64
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest
from wandb_artifacts import IncompleteDownloadError, download_artifact, verify_download
from wandb_artifacts._client.options import RetryPolicy, use_options

from tests.wandb_artifacts.wandb_backend import base64_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


class Objects(BaseHTTPRequestHandler):
    """Serves objects with their tags."""

    objects: ClassVar[dict[str, tuple[bytes, str | None]]] = {}
    failures: ClassVar[list[int]] = []
    """Statuses of the next responses."""
    seen: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers))
        data, tag = self.objects.get(self.path, (b"", None))
        status = self.failures.pop() if self.failures else 200 if self.path in self.objects else 404
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    """The URL of a server with one object."""
    Objects.objects = {"/one.bin?token=secret": (b"one", '"tag-1"'), "/plain": (b"plain", None)}
    Objects.failures, Objects.seen = [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Objects) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    with use_options(retry=RetryPolicy(first_wait=0.01)):
        yield


def test_reference_is_fetched_and_compared_with_its_tag(backend: WandbBackend, origin: str, tmp_path: Path) -> None:
    """It gets no W&B key, its URL with a secret is in no file, and a second call sends nothing to its server."""
    entry = {"ref": f"{origin}/one.bin?token=secret", "digest": "tag-1", "size": 3, "extra": {"etag": '"tag-1"'}}
    path = backend.artifact(files={"own": b"own"}, references={"sub/one.bin": entry})

    result = download_artifact(path, tmp_path)
    seen = len(Objects.seen)
    again = download_artifact(path, tmp_path)

    assert (tmp_path / "sub/one.bin").read_bytes() == b"one"
    assert result.unverified == ()
    assert "secret" not in (tmp_path / "manifest.json").read_text()
    assert not [headers for headers in Objects.seen if "Authorization" in headers]
    assert (len(Objects.seen), {file.state for file in again.files}) == (seen, {"kept"})
    assert verify_download(tmp_path).is_good


def test_transient_failures_of_its_server_are_retried(backend: WandbBackend, origin: str, tmp_path: Path) -> None:
    entry = {"ref": f"{origin}/one.bin?token=secret", "digest": "tag-1", "size": 3}
    path = backend.artifact(references={"one.bin": entry})
    Objects.failures += [503, 503]

    download_artifact(path, tmp_path)

    assert (tmp_path / "one.bin").read_bytes() == b"one"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"ref": "/one.bin?token=secret", "digest": "tag-0", "size": 3}, r"it has changed .* \(ETag 'tag-1'\)"),
        ({"ref": "/one.bin?token=secret", "digest": "tag-1", "size": 4}, "it has 3 bytes; it had 4"),
        ({"ref": "/none?token=secret", "digest": "tag-1", "size": 4}, "not found"),
        ({"ref": "memory://other", "digest": "x"}, "memory:// cannot be read; exclude the file"),
        ({"ref": "simplecache::file:///etc/hosts", "digest": "x"}, "cannot be read"),
        ({"ref": "file:///etc/hosts", "digest": "x"}, "its MD5 digest differs from that of the artifact"),
        ({"ref": "wandb-artifact://41727469666163743a393939/a", "digest": "x"}, "not found"),
        ({"ref": "wandb-artifact://odd/a", "digest": "x"}, "is not the id of an artifact"),
    ],
)
def test_wrong_reference_is_missing(
    backend: WandbBackend, origin: str, tmp_path: Path, entry: dict[str, object], says: str
) -> None:
    """The other files arrive, nothing has its name, and the error names no secret."""
    reference = str(entry["ref"])
    full = {**entry, "ref": f"{origin}{reference}" if reference.startswith("/") else reference}
    path = backend.artifact(files={"own": b"own"}, references={"one.bin": full})

    with pytest.raises(IncompleteDownloadError, match=says) as caught:
        download_artifact(path, tmp_path)

    assert "secret" not in str(caught.value)
    assert (tmp_path / "own").read_bytes() == b"own"
    assert not (tmp_path / "one.bin").exists()


def test_references_are_skipped_on_request(backend: WandbBackend, origin: str, tmp_path: Path) -> None:
    """The result names them; a later call fetches them."""
    entry = {"ref": f"{origin}/one.bin?token=secret", "digest": "tag-1", "size": 3}
    path = backend.artifact(files={"own": b"own"}, references={"one.bin": entry})

    skipped = download_artifact(path, tmp_path, references="skip")
    assert (skipped.skipped, [file.name for file in skipped.files], Objects.seen) == (("one.bin",), ["own"], [])

    result = download_artifact(path, tmp_path)
    assert {file.name: file.state for file in result.files} == {"own": "kept", "one.bin": "new"}


def test_unverifiable_references_are_named(backend: WandbBackend, origin: str, tmp_path: Path) -> None:
    """Without a tag, the SDK states the URL as the digest; a size that fits is a check."""
    url = f"{origin}/plain"
    entries: dict[str, dict[str, object]] = {
        "without": {"ref": url, "digest": url, "size": 0},
        "size": {"ref": url, "digest": url, "size": 5},
    }
    path = backend.artifact(references=entries)

    assert download_artifact(path, tmp_path).unverified == ("without",)
    assert download_artifact(path, tmp_path).unverified == ("without",)


def test_file_of_this_machine_needs_its_digest(backend: WandbBackend, tmp_path: Path) -> None:
    """It is copied if its MD5 digest is that of the artifact."""
    (tmp_path / "source.txt").write_bytes(b"local")
    entry = {"ref": (tmp_path / "source.txt").as_uri(), "digest": base64_digest(b"local"), "size": 5}
    path = backend.artifact(references={"copy.txt": entry})

    download_artifact(path, tmp_path / "data")

    assert (tmp_path / "data/copy.txt").read_bytes() == b"local"


@pytest.mark.parametrize("algorithm", ["MANIFEST_MD5", "MANIFEST_XXH128"])
def test_reference_to_a_file_of_another_artifact(backend: WandbBackend, tmp_path: Path, algorithm: str) -> None:
    """Its contents come from the other artifact, verified by the digest that it states."""
    other = backend.artifact("other", {"sub/a #1?.bin": b"linked", "b": b"b"}, algorithm=algorithm)
    hex_id = base64.b64decode(backend.artifact_id(f"{other}:v0")).hex()
    entry = {"ref": f"wandb-artifact://{hex_id}/sub/a #1?.bin", "digest": base64_digest(b"linked", algorithm)}
    missing = {"ref": f"wandb-artifact://{hex_id}/none", "digest": base64_digest(b"none")}
    path = backend.artifact("links", references={"a.bin": entry})

    result = download_artifact(path, tmp_path)

    assert (tmp_path / "a.bin").read_bytes() == b"linked"
    assert result.files[0].md5 == hashlib.md5(b"linked").hexdigest()
    with pytest.raises(IncompleteDownloadError, match="has no file 'none'"):
        download_artifact(backend.artifact("lost", references={"a.bin": missing}), tmp_path)
