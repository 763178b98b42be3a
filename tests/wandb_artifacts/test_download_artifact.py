"""Downloads of artifacts: contents, digests, faults, errors."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from wandb_artifacts import (
    ArtifactProgress,
    ArtifactRef,
    IncompleteDownloadError,
    InvalidValueError,
    NotFoundError,
    download_artifact,
    verify_download,
)
from wandb_artifacts._client.options import PageSizes, RetryPolicy, use_options
from wandb_devserver import Fault

from tests.wandb_artifacts.wandb_backend import base64_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.wandb_artifacts.wandb_backend import WandbBackend

LARGE = os.urandom(2 * 1024 * 1024 + 17)
FILES = {"model.pt": LARGE, "media/a b.png": b"png", "empty": b"", "\u00fc.txt": b"text", "copy/model.pt": LARGE}
ALGORITHMS = ("MANIFEST_MD5", "MANIFEST_XXH128")
FAULTS = {
    "status": Fault("download", status=503, count=3),
    "quiet": Fault("download", status=429, headers={"Retry-After": "0"}, count=2),
    "break": Fault("download", target="model.pt", drop_after=1_500_000),
    "truncate": Fault("download", truncate_to=1, count=2),
    "bytes": Fault("download", wrong_bytes=True, count=3),
    "expired": Fault("download", status=403, count=1),
    "artifact": Fault("graphql", operation="ArtifactMembershipByName", status=503, count=2),
    "urls": Fault("graphql", operation="ArtifactMembershipFileUrls", drop=True, applied=True),
}


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    with use_options(retry=RetryPolicy(first_wait=0.01)):
        yield


def stored(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_second_download_fetches_nothing(backend: WandbBackend, tmp_path: Path, algorithm: str) -> None:
    """Everything arrives, equal contents once; a second call fetches nothing; the result names the version."""
    path = backend.artifact(files=FILES, algorithm=algorithm, aliases=["best"])

    first = download_artifact(f"{path}:best", tmp_path)
    fetched = backend.server.requests.count("download")
    second = download_artifact(path, tmp_path)

    assert stored(tmp_path).keys() == {*FILES, "manifest.json"}
    assert {name: stored(tmp_path)[name] for name in FILES} == FILES
    assert first.artifact == ArtifactRef("local", "p", "ds", "v0", backend.server.url)
    assert first.artifact.type == "dataset"
    assert {file.state for file in first.files} == {"new"}
    assert {file.state for file in second.files} == {"kept"}
    assert backend.server.requests.count("download") == fetched == 1 + len(FILES) - 1
    assert verify_download(tmp_path).is_good


def test_other_version_fetches_only_changed_files(backend: WandbBackend, tmp_path: Path) -> None:
    """Files that the new version lacks are stale, and stay."""
    path = backend.artifact(files={"a": b"1", "b": b"1x", "c": b"same"})
    download_artifact(path, tmp_path)
    backend.artifact(files={"a": b"2", "c": b"same"})

    result = download_artifact(path, tmp_path)

    assert result.artifact.version == "v1"
    assert {file.name: file.state for file in result.files} == {"a": "new", "c": "kept"}
    assert result.stale == ("b",)
    assert (tmp_path / "a").read_bytes() == b"2"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_existing_files_are_compared_and_kept(backend: WandbBackend, tmp_path: Path, algorithm: str) -> None:
    """Another program, such as the SDK, may have written them; a changed file is fetched again."""
    path = backend.artifact(files={"a": b"right", "b": b"right", "d/b": LARGE}, algorithm=algorithm)
    for name, data in {"a": b"right", "b": b"wrong", "d/b": LARGE}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)

    result = download_artifact(path, tmp_path)

    assert {file.name: file.state for file in result.files} == {"a": "kept", "b": "new", "d/b": "kept"}
    assert (tmp_path / "b").read_bytes() == b"right"


@pytest.mark.parametrize("fault", FAULTS)
def test_transient_faults_do_not_change_the_result(backend: WandbBackend, tmp_path: Path, fault: str) -> None:
    """The downloaded files are right, whatever W&B does. The manifest is a download as well."""
    path = backend.artifact(files=FILES, algorithm="MANIFEST_XXH128")
    backend.server.faults.add(FAULTS[fault])

    if fault == "expired":
        # Served by W&B itself, a refusal is about the key.
        with pytest.raises(Exception, match="no access"):
            download_artifact(path, tmp_path, jobs=2)
        return
    download_artifact(path, tmp_path, jobs=2)

    assert {name: stored(tmp_path)[name] for name in FILES} == FILES
    assert backend.server.faults.fired(FAULTS[fault])


def test_one_failing_file_does_not_stop_the_others(backend: WandbBackend, tmp_path: Path) -> None:
    """The manifest is marked incomplete; the next call fetches only the missing file."""
    path = backend.artifact(files=FILES)
    backend.server.faults.add(Fault("download", target="model.pt", wrong_bytes=True, count=None))

    with pytest.raises(IncompleteDownloadError, match=r"artifact local/p/ds:v0 is incomplete[^$]*model\.pt") as caught:
        download_artifact(path, tmp_path)
    assert not verify_download(tmp_path).is_good
    failed: Any = caught.value.result.failed
    assert [failure.name for failure in failed] == ["copy/model.pt", "model.pt"]

    backend.server.faults.clear()
    result = download_artifact(path, tmp_path)
    assert [file.name for file in result.files if file.state == "new"] == ["copy/model.pt", "model.pt"]


def test_interrupted_download_resumes(backend: WandbBackend, tmp_path: Path) -> None:
    """Only the rest of an interrupted large file is fetched, by a later call too."""
    path = backend.artifact(files={"model.pt": LARGE}, algorithm="MANIFEST_XXH128")
    backend.server.faults.add(Fault("download", target="model.pt", drop_after=1_500_000))
    resumed = list[int]()

    with use_options(retry=RetryPolicy(attempts=1)), pytest.raises(IncompleteDownloadError):
        download_artifact(path, tmp_path)
    download_artifact(path, tmp_path, progress=lambda moment: resumed.append(moment.received))

    assert resumed[0] > 1_000_000
    assert (tmp_path / "model.pt").read_bytes() == LARGE


@pytest.mark.slow
def test_killed_command_is_resumed(backend: WandbBackend, tmp_path: Path) -> None:
    """After SIGKILL nothing is locked, no partial file has its final name, and complete files are not fetched again."""
    path = backend.artifact(files={"a": b"1", "model.pt": LARGE})
    backend.server.faults.add(Fault("download", target="model.pt", drop_after=1_500_000))
    hold = backend.server.faults.add(Fault("download", target="model.pt", delay=60.0))
    command = [sys.executable, "-m", "wandb_artifacts", "artifact", path, str(tmp_path), "-j", "1"]
    resumed = list[int]()

    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        backend.server.faults.wait(hold)
        process.kill()
    backend.server.faults.clear()
    assert not (tmp_path / "model.pt").exists()
    result = download_artifact(path, tmp_path, progress=lambda moment: resumed.append(moment.received))

    assert {file.name: file.state for file in result.files} == {"a": "kept", "model.pt": "new"}
    assert (tmp_path / "model.pt").read_bytes() == LARGE
    assert max(resumed[:3]) > 1_000_000
    assert not (tmp_path / ".wandb-artifacts").exists()


def test_equal_contents_of_many_files_are_fetched_once(backend: WandbBackend, tmp_path: Path) -> None:
    """The other files with these contents are copies."""
    contents = [b"one", b"two", b"three"]
    digests = [{"digest": base64_digest(data), "size": len(data)} for data in contents]
    backend.artifact("stored", {str(index): data for index, data in enumerate(contents)})
    many = {f"{index % 100}/{index}": digests[index % 3] for index in range(10_000)}
    path = backend.artifact("many", {"odd": b"odd"}, references=many)
    last = list[ArtifactProgress]()

    result = download_artifact(path, tmp_path, include=["99/*", "odd"], progress=last.append)

    assert len(result.files) == 101
    assert (last[-1].files_done, last[-1].files_known) == (101, 101)
    assert (tmp_path / "99/9999").read_bytes() == contents[9999 % 3]
    # W&B's manifest, the odd file, and each content once.
    assert backend.server.requests.count("download") == 2 + len(contents)


def test_urls_are_requested_page_by_page(backend: WandbBackend, tmp_path: Path) -> None:
    """Each page is requested once."""
    path = backend.artifact(files={f"f{index}": str(index).encode() for index in range(25)})

    with use_options(pages=PageSizes(artifact_files=10)):
        download_artifact(path, tmp_path, jobs=2)

    assert len(stored(tmp_path)) == 26
    assert backend.server.requests.count("graphql", "ArtifactMembershipFileUrls") == 3


@pytest.mark.slow
def test_artifact_of_ten_thousand_entries(backend: WandbBackend, tmp_path: Path) -> None:
    """Only URLs of requested files are requested; equal contents are fetched once."""
    backend.artifact("stored", {"x": b"x"})
    digest = {"digest": base64_digest(b"x"), "size": 1}
    path = backend.artifact(references={f"{number // 100:02}/{number:05}": digest for number in range(10_000)})

    result = download_artifact(path, tmp_path, include="07/*")

    assert [file.name for file in result.files] == [f"07/{number:05}" for number in range(700, 800)]
    assert len(stored(tmp_path)) == 101
    # The manifest, and the contents.
    assert backend.server.requests.count("download") == 2


def test_patterns_select_files(backend: WandbBackend, tmp_path: Path) -> None:
    """Files that do not match are neither fetched nor missing; those of an earlier call stay in the manifest."""
    path = backend.artifact(files=FILES)

    download_artifact(path, tmp_path, include=["*.pt"], exclude="copy/*")
    assert stored(tmp_path).keys() == {"model.pt", "manifest.json"}
    result = download_artifact(path, tmp_path, include="*.png")

    assert [file.name for file in result.files] == ["media/a b.png"]
    assert verify_download(tmp_path).is_good
    assert verify_download(tmp_path).checked == 2


def test_unsafe_names_stay_in_the_folder(backend: WandbBackend, tmp_path: Path) -> None:
    """Unsafe names, and names of the download's own files, are encoded."""
    digest = {"digest": base64_digest(b"x"), "size": 1}
    backend.artifact("stored", {"x": b"x"})
    names = ["a:b", "CON", "manifest.json", "A", "a"]
    path = backend.artifact("odd", {"A": b"x"}, references=dict.fromkeys(names, digest))

    result = download_artifact(path, tmp_path)

    assert {file.name for file in result.files} == set(names)
    assert all(data == b"x" for name, data in stored(tmp_path).items() if name != "manifest.json")
    assert len(stored(tmp_path)) == 6
    assert json.loads((tmp_path / "manifest.json").read_text())["artifact"] == "local/p/odd:v0"


def test_missing_versions_are_named(backend: WandbBackend, tmp_path: Path) -> None:
    """An unknown alias lists the known ones, although a run has the name of the artifact."""
    path = backend.artifact(files={"a": b"1"}, aliases=["best"])
    backend.run("ds")
    backend.artifact("other", {"a": b"1"}, commits=False)

    with pytest.raises(NotFoundError, match=r"has no alias or version 'worst'; it has best, latest$"):
        download_artifact(f"{path}:worst", tmp_path / "to")
    with pytest.raises(NotFoundError, match=r"has no version 'v9', it may have been deleted; it has best, latest$"):
        download_artifact(f"{path}:v9", tmp_path / "to")
    with pytest.raises(NotFoundError, match="no version 'v0'; all its versions were deleted, or none was uploaded"):
        download_artifact("local/p/other:v0", tmp_path / "to")
    backend.delete_artifact(f"{path}:best")
    with pytest.raises(NotFoundError, match="has no version 'v0'; all its versions were deleted"):
        download_artifact(f"{path}:v0", tmp_path / "to")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("DELETED", r"this version was deleted at W&B \(state DELETED\)"),
        ("PENDING", r"this version is not complete: its upload has not ended \(state PENDING\)"),
    ],
)
def test_version_that_is_not_committed_is_refused(
    backend: WandbBackend, tmp_path: Path, state: str, message: str
) -> None:
    """The error of a reference to it names the artifact that refers to it."""
    path = backend.artifact(files={"a": b"1"})
    hex_id = base64.b64decode(backend.artifact_id(f"{path}:v0")).hex()
    links = backend.artifact("links", references={"a": {"ref": f"wandb-artifact://{hex_id}/a", "digest": "x"}})
    backend.set_artifact_state(f"{path}:v0", state)

    with pytest.raises(NotFoundError, match=f"artifact local/p/ds:v0: {message}"):
        download_artifact(path, tmp_path / "to")
    assert not (tmp_path / "to").exists()
    with pytest.raises(IncompleteDownloadError, match=f"that artifact local/p/links:v0 refers to: {message}"):
        download_artifact(links, tmp_path / "links")


def test_other_type_is_refused(backend: WandbBackend, tmp_path: Path) -> None:
    """Names are unique in a project whatever the type, so that a reference with another type is a mistake."""
    path = backend.artifact(files={"a": b"1"})
    page = f"{backend.server.url}/local/p/artifacts/model/ds/v0"

    for reference in (ArtifactRef("local", "p", "ds", type="model"), page):
        with pytest.raises(NotFoundError, match="it has the type 'dataset', not 'model'; leave the type out"):
            download_artifact(reference, tmp_path / "to")
    assert not (tmp_path / "to").exists()
    assert download_artifact(ArtifactRef.parse(path), tmp_path / "to").artifact.type == "dataset"
    assert download_artifact(page.replace("model", "dataset"), tmp_path / "to").artifact.version == "v0"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"references": "copy"}, "references='copy': must be 'fetch' or 'skip'"),
        ({"jobs": 0}, "jobs=0"),
        ({"deadline": -1}, "deadline=-1"),
        ({"include": ""}, "include=''"),
        ({"storage_options": 3}, "storage_options"),
    ],
)
def test_invalid_options_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        download_artifact("a/b/c", tmp_path, **options)


def test_invalid_artifact_argument_is_refused(tmp_path: Path) -> None:
    for value in (3, None, object()):
        with pytest.raises(InvalidValueError, match="must be an ArtifactRef"):
            download_artifact(value, tmp_path)  # type: ignore[arg-type]
