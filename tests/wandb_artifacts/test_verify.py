"""`verify_download`: verification of stored files against the manifest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from wandb_artifacts import NotFoundError, Verification, download_run, download_sweep, verify_download

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend


def failures(found: Verification) -> dict[str, str]:
    return {failure.name: failure.reason for failure in found.failed}


def test_unchanged_download_is_good(backend: WandbBackend, tmp_path: Path) -> None:
    """Every file is read; no request is sent."""
    download_run(backend.run(files={"a": b"aaaa", "sub/b": b"b"}, rows=[{"x": 1}], summary={}), tmp_path)
    requests = backend.server.requests.count("graphql")

    found = verify_download(tmp_path)

    sizes = {path.name: path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()}
    assert found.is_good
    assert (found.checked, found.bytes) == (6, sum(sizes.values()) - sizes["manifest.json"])
    assert found.stale == ()
    assert backend.server.requests.count("graphql") == requests


def test_missing_and_changed_files_are_distinguished(backend: WandbBackend, tmp_path: Path) -> None:
    """Truncated files are reported as such; unknown files are listed."""
    download_run(backend.run(files={"gone": b"1", "cut": b"123", "other": b"1"}), tmp_path, include_history=False)
    (tmp_path / "gone").unlink()
    (tmp_path / "cut").write_bytes(b"1")
    (tmp_path / "other").write_bytes(b"2")
    (tmp_path / "mine").write_bytes(b"")

    found = verify_download(tmp_path)

    assert failures(found) == {
        "cut": "has 1 bytes, not 3",
        "gone": "is missing",
        "other": "has other contents (MD5)",
    }
    assert found.stale == ("mine",)
    assert not found.is_good


def test_sweep_verification_covers_every_run(backend: WandbBackend, tmp_path: Path) -> None:
    """A run without a manifest is missing."""
    download_sweep(backend.sweep(["a", "b"], files={"f": b"f"}), tmp_path, include_history=False)
    assert (verify_download(tmp_path).checked, verify_download(tmp_path).is_good) == (8, True)

    (tmp_path / "a/f").write_bytes(b"x")
    (tmp_path / "b/manifest.json").unlink()

    assert set(failures(verify_download(tmp_path))) == {"a/f", "b/manifest.json"}


def test_incomplete_download_is_not_good(backend: WandbBackend, tmp_path: Path) -> None:
    download_run(backend.run(files={"a": b"a"}), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "is_complete": False}))

    assert set(failures(verify_download(tmp_path))) == {"manifest.json"}


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../secret", "..\\secret", ""])
def test_manifest_with_an_unsafe_path_is_refused(backend: WandbBackend, tmp_path: Path, path: str) -> None:
    """Anybody may have written the manifest."""
    download_run(backend.run(files={"a": b"a"}), tmp_path / "to")
    (tmp_path / "secret").write_bytes(b"a")
    manifest = json.loads((tmp_path / "to/manifest.json").read_text())
    manifest["files"][0]["path"] = path
    (tmp_path / "to/manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(NotFoundError, match="no manifest"):
        verify_download(tmp_path / "to")
    assert download_run("local/p/r", tmp_path / "to").stale == ()


def test_folder_without_a_manifest_raises(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"manifest\.json"):
        verify_download(tmp_path)
