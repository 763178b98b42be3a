"""Transfer of artifact files: signed URLs, lost responses, killed servers, false names and digests."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import xxhash
from wandb_devserver import DevServer, Fault

from tests.support import loopback
from tests.wandb_devserver.support import RawClient, Scripts
from tests.wandb_devserver.test_artifacts import LOG, stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CREATE = """mutation CreateArtifact($input: CreateArtifactInput!) {
  createArtifact(input: $input) { artifact { id state } } }"""
FILES = """mutation CreateArtifactFiles($input: CreateArtifactFilesInput!) {
  createArtifactFiles(input: $input) { files { edges { node { uploadUrl } } } } }"""
MANIFEST = """mutation CreateArtifactManifest($input: CreateArtifactManifestInput!) {
  createArtifactManifest(input: $input) { artifactManifest { id file { uploadUrl } } } }"""
COMMIT = "mutation CommitArtifact($id: ID!) { commitArtifact(input: {artifactID: $id}) { artifact { id state size } } }"
READ = """query Read($id: ID!) { artifact(id: $id) { state versionIndex currentManifest { file { directUrl } }
  artifactSequence { artifactMembership(aliasName: "latest") { files { edges { node { name directUrl } } } } } } }"""
SERVE = """
import sys, threading
from wandb_devserver import DevServer
with DevServer(sys.argv[1]) as server:
    print(server.url, server.api_key, flush=True)
    threading.Event().wait()
"""
DELETE = "mutation D($id: ID!) { deleteArtifact(input: {artifactID: $id, deleteAliases: true}) { artifact { id } } }"


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


class Upload:
    """An artifact that is created, filled and committed step by step."""

    def __init__(self, raw: RawClient, **fields: object) -> None:
        self.raw = raw
        given = {"entityName": "local", "projectName": "p", "artifactTypeName": "t", "digest": "d", **fields}
        response = raw.data(CREATE, input={"artifactCollectionName": "ds", **given})["createArtifact"]["artifact"]
        self.id, self.state = response["id"], response["state"]

    def link(self, name: str, md5: str, **fields: str) -> str | None:
        given = {"artifactFiles": [{"artifactID": self.id, "name": name, "md5": md5, **fields}], "storageLayout": "V2"}
        files = self.raw.data(FILES, input=given)["createArtifactFiles"]["files"]["edges"]
        url: str | None = files[0]["node"]["uploadUrl"]
        return url

    def put(self, name: str, content: bytes) -> None:
        if url := self.link(name, md5(content)):
            assert loopback.put(url, content=content).status_code == 200

    def put_manifest(self, entries: dict[str, dict[str, object]]) -> None:
        content = json.dumps({"version": 1, "contents": entries}).encode()
        given = {"artifactID": self.id, "name": "wandb_manifest.json", "digest": md5(content), "type": "FULL"}
        manifest = self.raw.data(MANIFEST, input=given)["createArtifactManifest"]["artifactManifest"]
        assert loopback.put(manifest["file"]["uploadUrl"], content=content).status_code == 200

    def commit(self) -> Any:
        return self.raw.graphql(COMMIT, id=self.id).json()

    def read(self) -> Any:
        return self.raw.data(READ, id=self.id)["artifact"]


def complete(raw: RawClient, content: bytes, **fields: object) -> Upload:
    artifact = Upload(raw, **fields)
    artifact.put("a.txt", content)
    artifact.put_manifest({"a.txt": {"digest": md5(content), "size": len(content)}})
    assert artifact.commit()["data"]["commitArtifact"]["artifact"]["state"] == "COMMITTED"
    return artifact


def file_link(artifact: Upload) -> str:
    files = artifact.read()["artifactSequence"]["artifactMembership"]["files"]["edges"]
    url: str = files[0]["node"]["directUrl"]
    return url


def error_of(response: Any) -> str:
    assert response["data"] is None
    message: str = response["errors"][0]["message"]
    return message


def test_signed_url_is_valid_for_one_file_and_direction(raw: RawClient) -> None:
    """It needs no API key; a changed URL is refused."""
    artifact = Upload(raw)
    upload = artifact.link("a.txt", md5(b"one")) or ""
    assert loopback.get(upload).status_code == 403
    assert loopback.put(upload[:-1] + ("0" if upload[-1] != "0" else "1"), content=b"one").status_code == 403
    assert loopback.put(upload, content=b"one").status_code == 200
    artifact.put_manifest({"a.txt": {"digest": md5(b"one"), "size": 3}})
    artifact.commit()
    download = file_link(artifact)
    manifest = artifact.read()["currentManifest"]["file"]["directUrl"]

    assert loopback.get(download).content == b"one"
    assert loopback.get(download, headers={"Range": "bytes=1-"}).content == b"ne"
    assert list(loopback.get(manifest).json()["contents"]) == ["a.txt"]
    assert loopback.put(download, content=b"one").status_code == 403
    assert loopback.get(download.replace("/artifacts/", "/artifacts/x")).status_code == 403
    assert raw.http.get(f"/artifactsV2/default/local/p/ds//{'0' * 32}/a.txt", auth=("api", "other")).status_code == 401


def test_file_is_found_by_digest_only_in_its_collection(raw: RawClient) -> None:
    """The SDK builds this URL for a single file of an artifact."""
    complete(raw, b"one")
    complete(raw, b"two", artifactCollectionName="other", digest="e")
    digests = {content: hashlib.md5(content).hexdigest() for content in (b"one", b"two")}
    path = "/artifactsV2/default/local/p/ds/{}/{}/a.txt"

    assert raw.http.get(path.format("", digests[b"one"])).content == b"one"
    assert raw.http.get(path.format("birth", digests[b"one"])).content == b"one"
    assert raw.http.get(path.format("", digests[b"two"])).status_code == 404
    assert raw.http.get(path.format("", "no hex")).status_code == 404
    assert raw.http.get(path.replace("/p/", "/q/").format("", digests[b"one"])).status_code == 404


def test_upload_with_a_wrong_md5_is_refused(server: DevServer, raw: RawClient) -> None:
    """Nothing is stored, the artifact cannot be committed, and the right contents are accepted afterwards."""
    artifact = Upload(raw)
    url = artifact.link("a.txt", md5(b"true")) or ""
    artifact.put_manifest({"a.txt": {"digest": md5(b"true"), "size": 4}})
    before = stored(server)
    response = loopback.put(url, content=b"fake")

    assert (response.status_code, "'a.txt' arrived with the digest" in response.text) == (400, True)
    assert stored(server) == before
    assert "'a.txt' was not uploaded" in error_of(artifact.commit())
    assert loopback.put(url, content=b"true").status_code == 200
    assert artifact.commit()["data"]["commitArtifact"]["artifact"]["size"] == 4


def test_upload_with_a_wrong_xxh128_is_refused(raw: RawClient) -> None:
    """The digest of an XXH128 artifact is checked by that algorithm, whatever the MD5 is."""
    artifact = Upload(raw, digestAlgorithm="MANIFEST_XXH128")
    digest = base64.b64encode(xxhash.xxh128_digest(b"true")).decode()
    url = artifact.link("a.txt", md5(b"fake"), digest=digest) or ""

    assert [loopback.put(url, content=content).status_code for content in (b"fake", b"true")] == [400, 200]


def test_interrupted_upload_leaves_nothing(server: DevServer, raw: RawClient) -> None:
    """The client disconnects in the middle of the file."""
    url = Upload(raw).link("a.txt", md5(b"x" * 1000)) or ""

    def half() -> Any:
        yield b"x" * 500
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the client's own
        loopback.put(url, content=half(), headers={"Content-Length": "1000"})

    assert loopback.put(url, content=b"x" * 1000).status_code == 200
    assert len(stored(server)) == 1


def test_repeated_requests_make_one_artifact(server: DevServer, raw: RawClient) -> None:
    """The client repeats requests that got no response: one artifact, one version, each file stored once."""
    artifact, again = Upload(raw, clientID="c"), Upload(raw, clientID="c")
    url = artifact.link("a.txt", md5(b"one")) or ""
    for _ in range(2):
        assert loopback.put(url, content=b"one").status_code == 200
        artifact.put_manifest({"a.txt": {"digest": md5(b"one"), "size": 3}})
    for _ in range(2):
        assert artifact.commit()["data"]["commitArtifact"]["artifact"]["state"] == "COMMITTED"
    late = Upload(raw, clientID="c")

    assert again.id == late.id == artifact.id
    assert (again.state, late.state) == ("PENDING", "COMMITTED")
    assert artifact.read()["versionIndex"] == 0
    assert len(stored(server)) == 2
    assert complete(raw, b"two", digest="e").read()["versionIndex"] == 1


def test_known_contents_are_not_uploaded_again(server: DevServer, raw: RawClient) -> None:
    """This holds even if the artifact that uploaded them is deleted before the new one is committed."""
    first = complete(raw, b"one")
    second = Upload(raw, digest="e", artifactCollectionName="other")
    assert second.link("b.txt", md5(b"one")) is None
    raw.data(DELETE, id=first.id)
    second.put_manifest({"b.txt": {"digest": md5(b"one"), "size": 3}})

    assert second.commit()["data"]["commitArtifact"]["artifact"]["size"] == 3
    assert loopback.get(file_link(second)).content == b"one"
    raw.data(DELETE, id=second.id)
    assert stored(server) == set()


def test_upload_for_a_deleted_artifact_is_refused(server: DevServer, raw: RawClient) -> None:
    """Nothing would ever remove the file."""
    artifact = Upload(raw)
    url = artifact.link("a.txt", md5(b"one")) or ""
    raw.data(DELETE, id=artifact.id)

    assert loopback.put(url, content=b"one").status_code == 404
    assert stored(server) == set()


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "a\\..\\b", "", "nul\0"])
def test_path_traversal_is_refused(raw: RawClient, name: str) -> None:
    """Both the announcement of a file and the manifest are checked."""
    artifact = Upload(raw)
    given = {"artifactFiles": [{"artifactID": artifact.id, "name": name, "md5": md5(b"one")}]}
    assert "cannot be the name of a file" in error_of(raw.graphql(FILES, input=given).json())
    artifact.put("fine", b"one")
    artifact.put_manifest({name: {"digest": md5(b"one"), "size": 3}})

    assert "cannot be the name of a file" in error_of(artifact.commit())


@pytest.mark.parametrize("digest", ["", "../x", md5(b"one")[:-4], "é"])
def test_invalid_md5_is_refused(raw: RawClient, digest: str) -> None:
    """A digest is 16 bytes, as base64."""
    given = {"artifactFiles": [{"artifactID": Upload(raw).id, "name": "a.txt", "md5": digest}]}

    assert "use the base64 of its 16 bytes" in error_of(raw.graphql(FILES, input=given).json())


def test_committed_artifact_is_immutable(raw: RawClient) -> None:
    """Neither its manifest nor its files change; a collection keeps its type."""
    artifact = complete(raw, b"one")
    manifest = {"artifactID": artifact.id, "name": "m", "digest": md5(b"two"), "type": "FULL"}
    files = {"artifactFiles": [{"artifactID": artifact.id, "name": "b.txt", "md5": md5(b"two")}]}
    other = {"entityName": "local", "projectName": "p", "artifactTypeName": "u", "digest": "e"}

    assert "log a new version" in error_of(raw.graphql(MANIFEST, input=manifest).json())
    assert "log a new version" in error_of(raw.graphql(FILES, input=files).json())
    refused = raw.graphql(CREATE, input={**other, "artifactCollectionName": "ds"}).json()
    assert "'ds' is of type 't', not 'u'" in error_of(refused)


def test_lost_responses_make_no_second_version(server: DevServer, scripts: Scripts) -> None:
    """Each response is lost once, and one upload fails; the SDK repeats them."""
    for operation in ("CreateArtifact", "CreateArtifactManifest", "CreateArtifactFiles", "CommitArtifact"):
        server.faults.add(Fault(kind="graphql", operation=operation, applied=True, drop=True))
    server.faults.add(Fault(kind="upload", target="a.txt", applied=True, drop=True))
    server.faults.add(Fault(kind="upload", target="wandb_manifest.json", status=500))
    seen = scripts.run(
        LOG
        + """
with wandb.init(project="p", id="r") as run:
    version = log(run, "one").version
artifacts = wandb.Api().artifacts("dataset", "local/p/ds")
report([version, [a.version for a in artifacts], open(artifacts[0].file("down")).read()])
"""
    )

    assert server.faults.fired() == 6
    assert seen == ["v0", ["v0"], "one"]
    assert len(stored(server) - {file.path.name for file in server.run("local/p/r").files.values()}) == 2


def test_verify_detects_a_corrupted_download(server: DevServer, scripts: Scripts, tmp_path: Path) -> None:
    """Download faults apply to artifacts too."""
    scripts.run(LOG + 'with wandb.init(project="p", id="r") as run: log(run, "one")')
    server.faults.add(Fault(kind="download", target="a.txt", wrong_bytes=True))
    seen = scripts.run(
        """
artifact = wandb.Api().artifact("local/p/ds:v0")
artifact.download("down", skip_cache=True)
try:
    artifact.verify("down")
except ValueError as error:
    report(str(error))
""",
        WANDB_CACHE_DIR=str(tmp_path / "other"),
    )

    assert "a.txt" in seen


def test_committed_artifacts_survive_sigkill(tmp_path: Path) -> None:
    """Pending artifacts can be completed after a restart, with the URLs that were signed before."""
    with server_process(tmp_path) as (process, raw):
        port = raw.http.base_url.port or 0
        done, pending = complete(raw, b"one"), Upload(raw, digest="e")
        upload = pending.link("b.txt", md5(b"two")) or ""
        download = file_link(done)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with DevServer(tmp_path, port=port) as server, RawClient(server).http as http:
        done.raw.http = http
        assert loopback.get(download).content == b"one"
        assert done.read()["state"] == "COMMITTED"
        assert loopback.put(upload, content=b"two").status_code == 200
        pending.put_manifest({"b.txt": {"digest": md5(b"two"), "size": 3}})
        assert pending.commit()["data"]["commitArtifact"]["artifact"]["state"] == "COMMITTED"
        assert pending.read()["versionIndex"] == 1


@contextmanager
def server_process(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], RawClient]]:
    """A server in a separate process, and a client of it."""
    with subprocess.Popen([sys.executable, "-c", SERVE, data_dir], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url, key = process.stdout.readline().split()
            raw = RawClient(cast("DevServer", SimpleNamespace(url=url, api_key=key)))
            with raw.http:
                yield process, raw
        finally:
            process.kill()
