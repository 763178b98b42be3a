"""Artifacts that are written in increments, or by several runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support import loopback
from tests.wandb_devserver.test_artifact_uploads import Upload, complete, error_of, md5

if TYPE_CHECKING:
    from tests.wandb_devserver.support import RawClient, Scripts

MANIFEST = """mutation CreateArtifactManifest($input: CreateArtifactManifestInput!) {
  createArtifactManifest(input: $input) { artifactManifest { id file { uploadUrl } } } }"""
UPDATE = """mutation UpdateArtifactManifest($input: UpdateArtifactManifestInput!) {
  updateArtifactManifest(input: $input) { artifactManifest { id file { uploadUrl } } } }"""


def write_manifest(artifact: Upload, kind: str, files: dict[str, bytes], base: Upload | None = None) -> None:
    """Create a manifest without a digest, upload the files, and then the manifest: as the SDK does."""
    given = {"artifactID": artifact.id, "name": "m.json", "digest": "", "type": kind}
    base_id = base.id if base else None
    created = artifact.raw.data(MANIFEST, input={**given, "baseArtifactID": base_id})["createArtifactManifest"]
    for name, content in files.items():
        artifact.put(name, content)
    entries = {name: {"digest": md5(content), "size": len(content)} for name, content in files.items()}
    document = json.dumps({"version": 1, "contents": entries}).encode()
    changes = {"artifactManifestID": created["artifactManifest"]["id"], "digest": md5(document)}
    updated = artifact.raw.data(UPDATE, input=changes)["updateArtifactManifest"]["artifactManifest"]
    assert loopback.put(updated["file"]["uploadUrl"], content=document).status_code == 200


def file_names(artifact: Upload) -> list[str]:
    files = artifact.read()["artifactSequence"]["artifactMembership"]["files"]["edges"]
    return sorted(edge["node"]["name"] for edge in files)


def manifest_names(artifact: Upload) -> list[str]:
    document = loopback.get(artifact.read()["currentManifest"]["file"]["directUrl"]).json()
    return sorted(document["contents"])


def test_incremental_manifest_adds_to_its_base(raw: RawClient) -> None:
    base = complete(raw, b"one")
    increment = Upload(raw, digest="e")
    write_manifest(increment, "INCREMENTAL", {"b.txt": b"two"}, base)
    increment.commit()

    assert file_names(increment) == manifest_names(increment) == ["a.txt", "b.txt"]


def test_incremental_manifest_replaces_a_file_of_its_base(raw: RawClient) -> None:
    base = complete(raw, b"one")
    increment = Upload(raw, digest="e")
    write_manifest(increment, "INCREMENTAL", {"a.txt": b"longer"}, base)

    assert increment.commit()["data"]["commitArtifact"]["artifact"]["size"] == len(b"longer")


def test_patches_of_several_writers_make_one_artifact(raw: RawClient) -> None:
    first = Upload(raw, distributedID="d", clientID="1")
    second = Upload(raw, distributedID="d", clientID="2", digest="other")
    write_manifest(first, "PATCH", {"a.txt": b"one"})
    write_manifest(second, "PATCH", {"b.txt": b"two"})
    first.commit()

    assert first.id == second.id
    assert file_names(first) == manifest_names(first) == ["a.txt", "b.txt"]


def test_patch_does_not_include_the_latest_version(raw: RawClient) -> None:
    """The SDK names the latest version as the base of every manifest; only increments add to it."""
    latest = complete(raw, b"one")
    patched = Upload(raw, distributedID="d", digest="e")
    write_manifest(patched, "PATCH", {"b.txt": b"two"}, latest)
    patched.commit()

    assert file_names(patched) == manifest_names(patched) == ["b.txt"]


def test_commit_without_the_uploaded_increment_fails(raw: RawClient) -> None:
    increment = Upload(raw)
    given = {"artifactID": increment.id, "name": "m.json", "digest": md5(b"lost"), "type": "INCREMENTAL"}
    raw.data(MANIFEST, input=given)

    assert "the manifest was not uploaded" in error_of(increment.commit())


def test_sdk_logs_an_incremental_table(scripts: Scripts) -> None:
    seen = scripts.run("""
table = wandb.Table(columns=["n"], log_mode="INCREMENTAL")
with wandb.init(project="p", id="r") as run:
    for n in range(3):
        table.add_data(n)
        run.log({"t": table})
logged = sorted(wandb.Api().run("local/p/r").logged_artifacts(), key=lambda artifact: artifact.version)
increments = [artifact for artifact in logged if artifact.type == "wandb-run-incremental-table"]
report([len(artifact.manifest.entries) for artifact in increments])
""")

    assert seen == [1, 2, 3]


def test_sdk_fills_one_artifact_from_two_runs(scripts: Scripts) -> None:
    seen = scripts.run("""
def part(name):
    artifact = wandb.Artifact("ds", type="dataset")
    with artifact.new_file(name) as file:
        file.write(name)
    return artifact
for name in ("a", "b"):
    with wandb.init(project="p") as run:
        run.upsert_artifact(part(name), distributed_id="d")
with wandb.init(project="p") as run:
    run.finish_artifact(part("c"), distributed_id="d")
report([sorted(artifact.manifest.entries) for artifact in wandb.Api().artifacts("dataset", "local/p/ds")])
""")

    assert seen == [["a", "b", "c"]]
