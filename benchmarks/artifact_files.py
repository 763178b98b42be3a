"""An artifact of many files, against an ideal client and the SDK's `artifact.download()`.

    hatch run bench:run benchmarks/artifact_files.py [--files N] [--size BYTES] [--latency S] [--rounds N] [--goal G]
                                                     [--sdk_goal G]

The server delays each response by `--latency` seconds. The ideal client knows the URLs of all files beforehand, fetches
them over as many connections, computes the same digests and writes to disk; it asks for nothing else. The SDK downloads
to an empty folder with an empty cache. Each client runs in a separate process; the clock starts after its imports.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from artifact_downloads import CONNECTIONS, ideal
from figures import report
from paired import arguments, in_turns
from slow_devserver import SlowServer, slow_devserver

CREATE = "mutation A($input: CreateArtifactInput!) { createArtifact(input: $input) { artifact { id } } }"
FILES = """mutation F($input: CreateArtifactFilesInput!) {
  createArtifactFiles(input: $input) { files { edges { node { name uploadUrl } } } }
}"""
MANIFEST = """mutation M($input: CreateArtifactManifestInput!) {
  createArtifactManifest(input: $input) { artifactManifest { file { uploadUrl } } }
}"""
COMMIT = "mutation K($input: CommitArtifactInput!) { commitArtifact(input: $input) { artifact { id } } }"
PATH = "local/bench/many:v0"


def ours(plan: dict[str, Any], folder: str) -> float:
    from wandb_artifacts import download_artifact

    started = time.perf_counter()
    download_artifact(plan["path"], folder, jobs=CONNECTIONS)
    return time.perf_counter() - started


def sdk(plan: dict[str, Any], folder: str) -> float:
    import wandb

    os.environ["WANDB_CACHE_DIR"] = f"{folder}/cache"
    api = wandb.Api()
    started = time.perf_counter()
    api.artifact(plan["path"]).download(root=f"{folder}/files", skip_cache=True)
    return time.perf_counter() - started


ROLES = {role.__name__: role for role in (ours, sdk, ideal)}


def measure(role: str, plan: Path) -> float:
    """Seconds that a client takes in a separate process, to an empty folder."""
    with tempfile.TemporaryDirectory(dir=plan.parent) as folder:
        command = [sys.executable, __file__, "--role", role, str(plan), folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def digest(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def make_artifact(server: SlowServer, files: int, size: int) -> list[dict[str, Any]]:
    """Make an artifact, and return the requests of the ideal client."""
    contents = {f"folder{number % 10}/file{number}.bin": os.urandom(size) for number in range(files)}
    place = {"entityName": "local", "projectName": "bench", "artifactCollectionName": "many"}
    made = server.ask(CREATE, artifactTypeName="dataset", digest="0" * 32, **place)
    artifact = made["createArtifact"]["artifact"]["id"]
    specs = [{"artifactID": artifact, "name": name, "md5": digest(data)} for name, data in contents.items()]
    for edge in server.ask(FILES, artifactFiles=specs)["createArtifactFiles"]["files"]["edges"]:
        server.send(edge["node"]["uploadUrl"], contents[edge["node"]["name"]], "PUT")
    entries = {name: {"digest": digest(data), "size": len(data)} for name, data in contents.items()}
    policy = {"storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": {"storageLayout": "V2"}}
    manifest = json.dumps({"version": 1, **policy, "contents": entries}).encode()
    stated = {"artifactID": artifact, "name": "wandb_manifest.json", "digest": digest(manifest)}
    found = server.ask(MANIFEST, **stated)["createArtifactManifest"]["artifactManifest"]
    server.send(found["file"]["uploadUrl"], manifest, "PUT")
    server.ask(COMMIT, artifactID=artifact)
    urls = urls_of(list(contents))
    return [{"url": urls[name], "body": None, "path": name, "md5": digest(data)} for name, data in contents.items()]


def urls_of(names: list[str]) -> dict[str, str]:
    import asyncio

    from wandb_artifacts import ArtifactRef
    from wandb_artifacts._client.api import Api
    from wandb_artifacts._client.artifacts import ArtifactApi

    async def fetch() -> dict[str, str]:
        async with await Api.open(None, jobs=1) as api:
            artifacts = ArtifactApi(api)
            return await artifacts.urls(await artifacts.artifact(ArtifactRef.parse(PATH)), names)

    return asyncio.run(fetch())


def main() -> int:
    sizes = arguments(__doc__, goal=1.3, files=1000, size=20_000, latency=0.05, rounds=3, sdk_goal=1.0, sdk_rounds=2)
    with tempfile.TemporaryDirectory() as folder, slow_devserver(f"{folder}/data") as server:
        plan = Path(folder, "plan.json")
        plan.write_text(json.dumps({"path": PATH, "requests": make_artifact(server, sizes.files, sizes.size)}))
        server.slow_down(sizes.latency)
        what = f"an artifact of {sizes.files} files, against"
        best = in_turns(
            f"{what} an ideal client", lambda: measure("ours", plan), lambda: measure("ideal", plan), sizes.rounds
        )
        theirs = in_turns(
            f"{what} artifact.download()",
            lambda: measure("ours", plan),
            lambda: measure("sdk", plan),
            sizes.sdk_rounds,
        )
    return report([best.figure("s", goal=sizes.goal), theirs.figure("s", goal=sizes.sdk_goal)], sizes.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--role"]:
        given = json.loads(Path(sys.argv[3]).read_text())
        print(ROLES[sys.argv[2]](given, sys.argv[4]))
    else:
        raise SystemExit(main())
