"""Runs and sweeps on a real server, made by the SDK's requests without the SDK."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import xxhash
from wandb_devserver import DevServer

from tests.support import loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pytest

_UPSERT = "mutation U($input: UpsertBucketInput!) { upsertBucket(input: $input) { bucket { id name } } }"
_CREATE_FILES = (
    "mutation C($input: CreateRunFilesInput!) { createRunFiles(input: $input) { files { name uploadUrl } } }"
)
_LIST_FILES = """query L($project: String!, $run: String!) {
  project(name: $project, entityName: "local") { run(name: $run) { files(first: 1000) { edges { node { id name } } } } }
}"""
_DELETE_FILES = "mutation D($input: DeleteFilesInput!) { deleteFiles(input: $input) { success } }"
_DELETE_RUN = "mutation D($input: DeleteRunInput!) { deleteRun(input: $input) { clientMutationId } }"
_SWEEP = "mutation S($input: UpsertSweepInput!) { upsertSweep(input: $input) { sweep { id name } } }"

ENTITY, PROJECT = "local", "p"


@dataclass(frozen=True)
class WandbBackend:
    """A server, and the requests of a training program to it."""

    server: DevServer
    http: httpx.Client
    project: str = PROJECT

    def ask(self, query: str, **variables: object) -> Any:
        response = self.http.post("/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in response, response
        return response["data"]

    def run(
        self,
        name: str = "r",
        *,
        files: Mapping[str, bytes] | None = None,
        rows: Iterable[Mapping[str, object] | str] = (),
        summary: Mapping[str, object] | str | None = None,
        ends: bool = True,
        **fields: object,
    ) -> str:
        """Create a run, or continue it; return its path."""
        self.ask(_UPSERT, input={"name": name, "modelName": self.project, "entityName": ENTITY, **fields})
        if files:
            self.upload(name, files)
        self.log(name, rows, summary=summary)
        if ends:
            self.end(name)
        return self.path(name)

    def runs(self, names: Iterable[str]) -> None:
        """Create many finished runs without data: copies of the first, made in the server's database."""
        first, *others = names
        self.run(first)
        with closing(sqlite3.connect(self.server.data_dir / "devserver.sqlite3")) as database, database:
            rest = [name for _, name, *_ in database.execute("PRAGMA table_info(runs)") if name not in ("id", "name")]
            columns = ", ".join(f"runs.{name}" for name in rest)
            database.executemany(
                f"INSERT INTO runs (name, {', '.join(rest)}) SELECT ?, {columns} FROM runs "
                "JOIN projects ON projects.id = runs.project_id WHERE runs.name = ? AND projects.name = ?",
                [(name, first, self.project) for name in others],
            )

    def path(self, name: str) -> str:
        return f"{ENTITY}/{self.project}/{name}"

    def upload(self, run: str, files: Mapping[str, bytes]) -> None:
        given = {"entityName": ENTITY, "projectName": self.project, "runName": run, "files": list(files)}
        for target in self.ask(_CREATE_FILES, input=given)["createRunFiles"]["files"]:
            self.http.put(target["uploadUrl"], content=files[target["name"]]).raise_for_status()

    def log(
        self,
        run: str,
        rows: Iterable[Mapping[str, object] | str],
        *,
        offset: int = 0,
        summary: Mapping[str, object] | str | None = None,
    ) -> None:
        """Add rows; a mapping without `_step` gets one."""
        lines = [
            row if isinstance(row, str) else json.dumps({"_step": offset + index, **row})
            for index, row in enumerate(rows)
        ]
        files: dict[str, object] = {}
        if lines:
            files["wandb-history.jsonl"] = {"offset": offset, "content": lines}
        if summary is not None:
            text = summary if isinstance(summary, str) else json.dumps(summary)
            files["wandb-summary.json"] = {"offset": 0, "content": [text]}
        self._stream(run, {"files": files})

    def end(self, run: str, exit_code: int = 0) -> None:
        self._stream(run, {"complete": True, "exitcode": exit_code})

    def _stream(self, run: str, message: Mapping[str, object]) -> None:
        self.http.post(f"/files/{ENTITY}/{self.project}/{run}/file_stream", json=message).raise_for_status()

    def artifact(
        self,
        name: str = "ds",
        files: Mapping[str, bytes] | None = None,
        *,
        references: Mapping[str, Mapping[str, object]] | None = None,
        algorithm: str = "MANIFEST_MD5",
        aliases: Sequence[str] = (),
        commits: bool = True,
    ) -> str:
        """Makes a version of an artifact; returns its path without an alias. References are entries of its manifest."""
        place = {"entityName": ENTITY, "projectName": self.project, "artifactCollectionName": name}
        given = {"artifactTypeName": "dataset", "digest": os.urandom(16).hex(), "digestAlgorithm": algorithm}
        wanted = [{"artifactCollectionName": name, "alias": alias} for alias in aliases]
        made = self.ask(_CREATE_ARTIFACT, input={**place, **given, "aliases": wanted})
        artifact = made["createArtifact"]["artifact"]["id"]
        contents = self._upload_contents(artifact, files or {}, algorithm)
        manifest = json.dumps({"version": 1, "contents": {**contents, **(references or {})}}).encode()
        stated = {"artifactID": artifact, "name": "wandb_manifest.json", "digest": base64_digest(manifest)}
        found = self.ask(_CREATE_MANIFEST, input=stated)["createArtifactManifest"]["artifactManifest"]
        self.http.put(found["file"]["uploadUrl"], content=manifest).raise_for_status()
        if commits:
            self.ask(_COMMIT, input={"artifactID": artifact})
        return self.path(name)

    def _upload_contents(self, artifact: str, files: Mapping[str, bytes], algorithm: str) -> dict[str, object]:
        digests = {name: base64_digest(data, algorithm) for name, data in files.items()}
        specs = [
            {"artifactID": artifact, "name": name, "md5": base64_digest(data), "digest": digests[name]}
            for name, data in files.items()
        ]
        made = self.ask(_CREATE_ARTIFACT_FILES, input={"artifactFiles": specs, "digestAlgorithm": algorithm})
        for edge in made["createArtifactFiles"]["files"]["edges"]:
            if url := edge["node"]["uploadUrl"]:
                self.http.put(url, content=files[edge["node"]["name"]]).raise_for_status()
        extra = {} if algorithm == "MANIFEST_MD5" else {"extra": {"alg": "XXH128"}}
        return {name: {"digest": digests[name], "size": len(data), **extra} for name, data in files.items()}

    def artifact_id(self, path: str) -> str:
        """Returns the id of a version, `entity/project/name:alias`, at the server."""
        query = """query I($project: String!, $name: String!) {
  project(name: $project, entityName: "local") { artifact(name: $name) { id } }
}"""
        found: str = self.ask(query, project=self.project, name=path.rpartition("/")[2])["project"]["artifact"]["id"]
        return found

    def delete_artifact(self, path: str) -> None:
        self.ask(_DELETE_ARTIFACT, input={"artifactID": self.artifact_id(path), "deleteAliases": True})

    def set_artifact_state(self, path: str, state: str) -> None:
        """Change the state in the database: W&B may show versions in states in which this server hides them."""
        number = base64.b64decode(self.artifact_id(path)).rpartition(b":")[2]
        with closing(sqlite3.connect(self.server.data_dir / "devserver.sqlite3")) as database, database:
            database.execute("UPDATE artifacts SET state = ? WHERE id = ?", (state, int(number)))

    def delete_files(self, run: str, *names: str) -> None:
        edges = self.ask(_LIST_FILES, project=self.project, run=run)["project"]["run"]["files"]["edges"]
        ids = [edge["node"]["id"] for edge in edges if edge["node"]["name"] in names]
        self.ask(_DELETE_FILES, input={"files": ids})

    def delete_run(self, run: str) -> None:
        node = self.ask(_UPSERT, input={"name": run, "modelName": self.project, "entityName": ENTITY})
        self.ask(_DELETE_RUN, input={"id": node["upsertBucket"]["bucket"]["id"]})

    def sweep(self, runs: Sequence[str] = (), **run: Any) -> str:
        """Create a sweep with equal runs; return its path."""
        config = json.dumps({"method": "random", "parameters": {"lr": {"min": 0.0, "max": 1.0}}})
        made = self.ask(_SWEEP, input={"config": config, "projectName": self.project, "entityName": ENTITY})
        name = made["upsertSweep"]["sweep"]["name"]
        for each in runs:
            self.run(each, sweep=name, **run)
        return self.path(name)


_CREATE_ARTIFACT = "mutation A($input: CreateArtifactInput!) { createArtifact(input: $input) { artifact { id } } }"
_CREATE_ARTIFACT_FILES = """mutation F($input: CreateArtifactFilesInput!) {
  createArtifactFiles(input: $input) { files { edges { node { name uploadUrl } } } }
}"""
_CREATE_MANIFEST = """mutation M($input: CreateArtifactManifestInput!) {
  createArtifactManifest(input: $input) { artifactManifest { id file { uploadUrl } } }
}"""
_COMMIT = "mutation K($input: CommitArtifactInput!) { commitArtifact(input: $input) { artifact { id versionIndex } } }"
_DELETE_ARTIFACT = "mutation D($input: DeleteArtifactInput!) { deleteArtifact(input: $input) { artifact { id } } }"
_DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "MANIFEST_MD5": lambda data: hashlib.md5(data).digest(),
    "MANIFEST_XXH128": xxhash.xxh128_digest,
}


def base64_digest(data: bytes, algorithm: str = "MANIFEST_MD5") -> str:
    return base64.b64encode(_DIGESTS[algorithm](data)).decode()


@contextmanager
def open_backend(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[WandbBackend]:
    """Start a server, and point the environment to it."""
    with DevServer(allowed_hosts=["wandb.test"]) as server, open_project(monkeypatch, folder, server) as backend:
        yield backend


@contextmanager
def open_project(
    monkeypatch: pytest.MonkeyPatch, folder: Path, server: DevServer, project: str = PROJECT
) -> Iterator[WandbBackend]:
    """Use a project on a server, and point the environment to the server."""
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(folder / "config"))
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", server.api_key)
    with loopback.Client(base_url=server.url, auth=("api", server.api_key), timeout=30) as http:
        yield WandbBackend(server, http, project)
    server.faults.clear()
