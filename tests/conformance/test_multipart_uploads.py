"""Large artifact files that are uploaded in parts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import loopback
from tests.wandb_devserver.test_artifact_uploads import Upload, error_of, file_link, md5

if TYPE_CHECKING:
    from tests.wandb_devserver.support import RawClient

# The inner input types are named as in the documents of older SDKs.
FILES = """mutation CreateArtifactFiles($files: [CreateArtifactFileSpecInput!]!, $layout: ArtifactStorageLayout!) {
  createArtifactFiles(input: {artifactFiles: $files, storageLayout: $layout}) { files { edges { node {
    storagePath uploadUrl uploadMultipartUrls { uploadID uploadUrlParts { partNumber uploadUrl } } } } } } }"""
COMPLETE = """mutation CompleteMultipartUploadArtifact(
  $action: CompleteMultipartAction!, $parts: [UploadPartsInput!]!, $artifact: ID!, $path: String!, $upload: String!
) { completeMultipartUploadArtifact(input: {completeMultipartAction: $action, completedParts: $parts,
    artifactID: $artifact, storagePath: $path, uploadID: $upload}) { digest } }"""
PARTS = (b"one" * 1000, b"two" * 1000, b"end")


def hex_md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def artifact(raw: RawClient) -> Upload:
    return Upload(raw)


def begin(artifact: Upload) -> Any:
    parts = [{"partNumber": number, "hexMD5": hex_md5(part)} for number, part in enumerate(PARTS, 1)]
    file = {"artifactID": artifact.id, "name": "big", "md5": md5(b"".join(PARTS)), "uploadPartsInput": parts}
    files = artifact.raw.data(FILES, files=[file], layout="V2")["createArtifactFiles"]["files"]
    return files["edges"][0]["node"]


def put(node: Any) -> list[dict[str, object]]:
    """Upload all parts; return their numbers and ETags."""
    targets = node["uploadMultipartUrls"]["uploadUrlParts"]
    responses = [loopback.put(target["uploadUrl"], content=part) for target, part in zip(targets, PARTS, strict=True)]
    return [
        {"partNumber": target["partNumber"], "hexMD5": response.headers["ETag"]}
        for target, response in zip(targets, responses, strict=True)
    ]


def variables(artifact: Upload, node: Any, parts: list[dict[str, object]], action: str = "Complete") -> dict[str, Any]:
    upload = node["uploadMultipartUrls"]["uploadID"]
    return {
        "action": action,
        "parts": parts,
        "artifact": artifact.id,
        "path": node["storagePath"],
        "upload": upload,
    }


def test_parts_become_one_file(artifact: Upload) -> None:
    node = begin(artifact)
    finished = variables(artifact, node, put(node))
    responses = [artifact.raw.data(COMPLETE, **finished)["completeMultipartUploadArtifact"] for _ in range(2)]
    whole = b"".join(PARTS)
    artifact.put_manifest({"big": {"digest": md5(whole), "size": len(whole)}})
    artifact.commit()

    assert responses == [{"digest": md5(whole)}] * 2
    assert loopback.get(file_link(artifact)).content == whole


def test_wrong_part_is_refused(artifact: Upload) -> None:
    target = begin(artifact)["uploadMultipartUrls"]["uploadUrlParts"][0]

    assert loopback.put(target["uploadUrl"], content=b"other").status_code == 400


def test_upload_with_a_missing_part_is_not_completed(artifact: Upload) -> None:
    node = begin(artifact)
    parts = [{"partNumber": number, "hexMD5": hex_md5(part)} for number, part in enumerate(PARTS, 1)]
    response = artifact.raw.graphql(COMPLETE, None, **variables(artifact, node, parts)).json()

    assert "part 1" in error_of(response)
    assert "was not uploaded" in error_of(response)


def test_aborted_upload_leaves_nothing_behind(artifact: Upload) -> None:
    node = begin(artifact)
    parts = put(node)
    artifact.raw.data(COMPLETE, **variables(artifact, node, parts, "Abort"))
    blobs = artifact.raw.server.data_dir / "blobs"

    assert [path for path in blobs.rglob("*") if path.is_file()] == []
    assert "does not exist" in error_of(artifact.raw.graphql(COMPLETE, None, **variables(artifact, node, parts)).json())
