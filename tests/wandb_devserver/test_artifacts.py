"""Artifacts and tables, by the real SDK."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from wandb_devserver import DevServer

    from tests.wandb_devserver.support import Scripts

# Logs one file with the given text; the SDK makes a version of it.
LOG = """
def log(run, text, name="ds", **options):
    artifact = wandb.Artifact(name, type="dataset")
    with artifact.new_file("a.txt") as file:
        file.write(text)
    return run.log_artifact(artifact, **options).wait()
"""


def stored(server: DevServer) -> set[str]:
    """Return the names of all file contents that the server stores."""
    return {path.name for path in (server.data_dir / "blobs").rglob("*") if path.is_file()}


def test_downloaded_artifact_equals_the_logged_one(scripts: Scripts, tmp_path: Path) -> None:
    """Odd names, folders, an empty and a large file: identical after a download to another machine's cache."""
    contents = {
        "plain.txt": b"plain",
        "with space.txt": b"space",
        "ünï ☃.txt": b"unicode",
        "empty": b"",
        "sub dir/100%/large #1?.bin": os.urandom(5_000_000),
        "sub dir/copy.txt": b"plain",
    }
    for name, content in contents.items():
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_bytes(content)
    logged = scripts.run("""
with wandb.init(project="p", id="r") as run:
    artifact = wandb.Artifact("ds", type="dataset", description="about", metadata={"k": [1, {"x": "ü"}]})
    artifact.add_dir("source")
    run.log_artifact(artifact, aliases=["best"], tags=["gold"]).wait()
    report([artifact.version, artifact.state, artifact.size, artifact.file_count, sorted(artifact.aliases)])
""")
    used = scripts.run(
        """
with wandb.init(project="p", id="user") as run:
    names = ["ds:latest", "ds:v0", "ds:best", "local/p/ds:best", "ds"]
    found = [run.use_artifact(name).source_qualified_name for name in names]
    artifact = run.use_artifact("ds:latest", type="dataset")
    artifact.download("down")
    artifact.verify("down")
    single = artifact.get_entry("sub dir/copy.txt").download("single")
    parallel = artifact.download("parallel", multipart=True)
    report({
        "found": found, "single": open(single).read(),
        "about": [artifact.description, artifact.metadata, artifact.tags, artifact.size, artifact.digest],
    })
""",
        WANDB_CACHE_DIR=str(tmp_path / "other"),
    )
    size = sum(len(content) for content in contents.values())

    assert logged == ["v0", "COMMITTED", size, len(contents), ["best", "latest"]]
    assert used["found"] == ["local/p/ds:v0"] * 5
    assert used["single"] == "plain"
    assert used["about"][:4] == ["about", {"k": [1, {"x": "ü"}]}, ["gold"], size]
    for folder in ("down", "parallel"):
        paths = [path for path in (tmp_path / folder).rglob("*") if path.is_file()]
        found = {path.relative_to(tmp_path / folder).as_posix(): path.read_bytes() for path in paths}
        assert found == contents


def test_new_contents_make_a_new_version(scripts: Scripts) -> None:
    """New contents make a new version and move `latest`; known contents give the version that has them."""
    seen = scripts.run(
        LOG
        + """
with wandb.init(project="p", id="r") as run:
    versions = [log(run, text).version for text in ("one", "one", "two", "one", "three")]
    api = wandb.Api()
    report([versions, api.artifact("local/p/ds:latest").version, api.run("local/p/r").id])
"""
    )
    again = scripts.run(
        LOG
        + """
with wandb.init(project="p", id="other") as run:
    log(run, "two", aliases=["seen"])
api = wandb.Api()
artifact = api.artifact("local/p/ds:latest")
report([artifact.version, sorted(artifact.aliases), artifact.logged_by().id,
        [a.name for a in api.run("local/p/other").logged_artifacts()]])
"""
    )

    assert seen[:2] == [["v0", "v0", "v1", "v0", "v2"], "v2"]
    assert again == ["v1", ["latest", "seen"], "r", ["ds:v1"]]


def test_aliases_and_descriptions_are_edited(scripts: Scripts) -> None:
    """Aliases move, are added and removed; description, metadata and tags change; nothing else does."""
    seen = scripts.run(
        LOG
        + """
def look(name):
    artifact = wandb.Api().artifact("local/p/" + name)
    return [artifact.version, sorted(artifact.aliases), artifact.description, artifact.metadata, artifact.tags]
with wandb.init(project="p", id="r") as run:
    log(run, "one", aliases=["best", "first"])
    log(run, "two", aliases=["best"])
moved = [look("ds:v0"), look("ds:best")]
artifact = wandb.Api().artifact("local/p/ds:v0")
artifact.aliases.append("new")
artifact.aliases.remove("first")
artifact.description, artifact.tags = "edited", ["a", "b"]
artifact.metadata["k"] = 1
artifact.save()
artifact.tags = ["b"]
artifact.save()
collection = wandb.Api().artifact_collection("dataset", "local/p/ds")
collection.description = "all of it"
collection.save()
report([moved, look("ds:new"), look("ds:v1"), sorted(collection.aliases),
        wandb.Api().artifact_collection("dataset", "local/p/ds").description])
"""
    )
    untouched: list[object] = ["v1", ["best", "latest"], None, {}, []]

    assert seen[0] == [["v0", ["first"], None, {}, []], untouched]
    assert seen[1:3] == [["v0", ["new"], "edited", {"k": 1}, ["b"]], untouched]
    assert seen[3:] == [["best", "latest", "new"], "all of it"]


def test_missing_artifact_raises_without_retries(scripts: Scripts) -> None:
    """A missing artifact, alias, version or project raises the SDK's own error."""
    seen = scripts.run(
        LOG
        + """
import time
errors = {}
with wandb.init(project="p", id="r") as run:
    log(run, "one")
    started = time.monotonic()
    for name in ("nope:latest", "ds:nope", "ds:v7", "local/elsewhere/ds:v0"):
        try:
            run.use_artifact(name)
        except wandb.errors.CommError as error:
            errors[name] = str(error)
    api = wandb.Api()
    exists = [api.artifact_exists("local/p/ds:v0"), api.artifact_exists("local/p/ds:v1"),
              api.artifact_collection_exists("local/p/ds", "dataset"), api.artifact_type("dataset", "local/p").name]
    try:
        api.artifact_type("nope", "local/p")
    except wandb.errors.CommError as error:
        errors["type"] = str(error)
    report([errors, exists, time.monotonic() - started])
"""
    )
    errors, exists, seconds = seen

    assert "'nope:latest' not found in 'local/p'" in errors["nope:latest"]
    assert "'ds:nope' not found" in errors["ds:nope"]
    assert "'ds:v7' not found" in errors["ds:v7"]
    assert "'elsewhere' not found" in errors["local/elsewhere/ds:v0"]
    assert "'nope'" in errors["type"]
    assert exists == [True, False, True, "dataset"]
    assert seconds < 15


def test_artifacts_are_listed_and_paged(scripts: Scripts) -> None:
    """Types, collections, versions, files and the runs that logged and used them, page by page."""
    seen = scripts.run(
        LOG
        + """
with wandb.init(project="p", id="r") as run:
    for number in range(5):
        log(run, str(number))
    many = wandb.Artifact("many", type="model")
    for number in range(7):
        with many.new_file(f"part {number}") as file:
            file.write(str(number))
    run.log_artifact(many).wait()
for name in ("u1", "u2"):
    with wandb.init(project="p", id=name) as run:
        run.use_artifact("ds:v1")
        run.use_artifact("ds:v1")
api = wandb.Api()
newest, oldest = api.artifacts("dataset", "local/p/ds", per_page=2), api.artifacts("dataset", "local/p/ds")
files = api.artifact("local/p/many:v0").files(per_page=3)
logged = api.run("local/p/r").logged_artifacts(per_page=2)
report({
    "versions": [artifact.version for artifact in newest],
    "count": [len(oldest), len(files), len(logged)],
    "types": [kind.name for kind in api.artifact_types("local/p")],
    "collections": [c.name for c in api.artifact_type("model", "local/p").collections()],
    "collection": [a.name for a in api.artifact_collection("model", "local/p/many").artifacts()],
    "files": [file.name for file in files],
    "file": [(file.name, file.size) for file in api.artifact("local/p/many:v0").files(names=["part 3", "nope"])],
    "logged": [artifact.name for artifact in logged],
    "used": [artifact.name for artifact in api.run("local/p/u1").used_artifacts()],
    "used by": sorted(run.id for run in api.artifact("local/p/ds:v1").used_by()),
    "logged by": api.artifact("local/p/ds:v1").logged_by().id,
})
"""
    )

    assert seen["versions"] == ["v4", "v3", "v2", "v1", "v0"]
    assert seen["count"] == [5, 7, 6]
    assert seen["types"] == ["dataset", "model"]
    assert (seen["collections"], seen["collection"]) == (["many"], ["many:v0"])
    assert seen["files"] == [f"part {number}" for number in range(7)]
    assert seen["file"] == [["part 3", 1]]
    assert seen["logged"] == [*(f"ds:v{number}" for number in range(5)), "many:v0"]
    assert (seen["used"], seen["used by"], seen["logged by"]) == (["ds:v1"], ["u1", "u2"], "r")


def test_deleting_a_version_deletes_its_contents(server: DevServer, scripts: Scripts) -> None:
    """Contents of other versions stay; the number is not reused; `latest` moves to the newest version left."""
    scripts.run(
        LOG
        + """
with wandb.init(project="p", id="r") as run:
    log(run, "one")
    log(run, "two", name="twin")
    log(run, "two")
"""
    )
    before = stored(server)
    seen = scripts.run(
        LOG
        + """
artifact = wandb.Api().artifact("local/p/ds:v1")
try:
    artifact.delete()
except wandb.errors.CommError as error:
    refused = str(error)
artifact.delete(delete_aliases=True)
latest = wandb.Api().artifact("local/p/ds:latest").version
with wandb.init(project="p", id="s") as run:
    log(run, "three")
api = wandb.Api()
twin = open(api.artifact("local/p/twin:v0").get_entry("a.txt").download("twin", skip_cache=True)).read()
report([refused, latest, [a.version for a in api.artifacts("dataset", "local/p/ds")], twin])
"""
    )
    deleted = before - stored(server)
    scripts.run('wandb.Api().artifact_collection("dataset", "local/p/ds").delete()')

    assert "has aliases ['latest']" in seen[0]
    assert seen[1:] == ["v0", ["v2", "v0"], "two"]
    assert len(deleted) == 1, "the manifest; the twin has the same file"
    assert scripts.run('report(wandb.Api().artifact_exists("local/p/ds:v0"))') is False
    assert len(before - stored(server)) == 3, "the file and the manifest of 'one' too"


@pytest.mark.parametrize(("flag", "left"), [("", ["ds:v0"]), ("delete_artifacts=True", [])])
def test_deleting_a_run_deletes_its_artifacts_only_on_request(scripts: Scripts, flag: str, left: list[str]) -> None:
    """An artifact that outlives its run has no `logged_by`."""
    seen = scripts.run(
        LOG
        + f"""
with wandb.init(project="p", id="r") as run:
    log(run, "one")
wandb.Api().run("local/p/r").delete({flag})
artifacts = list(wandb.Api().artifacts("dataset", "local/p/ds"))
report([[a.name for a in artifacts], [a.logged_by() for a in artifacts], [len(a.manifest.entries) for a in artifacts]])
"""
    )

    assert seen == [left, [None] * len(left), [1] * len(left)]


def test_draft_of_a_version_becomes_the_next_version(scripts: Scripts) -> None:
    """Unchanged files are part of the new version and are not uploaded again."""
    seen = scripts.run(
        LOG
        + """
with wandb.init(project="p", id="r") as run:
    log(run, "one")
    draft = run.use_artifact("ds:v0").new_draft()
    with draft.new_file("b.txt") as file:
        file.write("two")
    run.log_artifact(draft).wait()
folder = wandb.Api().artifact("local/p/ds:v1").download("down")
report({name: open(f"{folder}/{name}").read() for name in os.listdir(folder)})
"""
    )

    assert seen == {"a.txt": "one", "b.txt": "two"}


def test_references_are_listed_but_not_stored(server: DevServer, scripts: Scripts, tmp_path: Path) -> None:
    """The entry has the URL of the reference, and a download fetches it."""
    (tmp_path / "far.txt").write_text("far away")
    seen = scripts.run("""
with wandb.init(project="p", id="r") as run:
    artifact = wandb.Artifact("refs", type="dataset")
    artifact.add_reference("file://" + os.path.abspath("far.txt"))
    run.log_artifact(artifact).wait()
artifact = wandb.Api().artifact("local/p/refs:v0")
report([artifact.get_entry("far.txt").ref, open(artifact.download("down") + "/far.txt").read()])
""")

    assert seen == [f"file://{tmp_path}/far.txt", "far away"]
    assert b"far away" not in [path.read_bytes() for path in (server.data_dir / "blobs").rglob("*") if path.is_file()]


def test_logged_table_is_read_back(scripts: Scripts, tmp_path: Path) -> None:
    """A table is stored as an artifact of its run, with the media in it."""
    scripts.run("""
with wandb.init(project="p", id="r") as run:
    table = wandb.Table(columns=["id", "text", "page"], data=[[1, "ü", wandb.Html("<b>1</b>")], [2, None, None]])
    run.log({"table": table, "h": wandb.Histogram(np_histogram=([1, 2], [0, 1, 2])), "page": wandb.Html("<i>2</i>")})
""")
    seen = scripts.run(
        """
api = wandb.Api()
[logged] = api.run("local/p/r").logged_artifacts()
with wandb.init(project="p", id="user") as run:
    table = run.use_artifact("run-r-table:latest").get("table")
    page = table.data[0][2]
run = api.run("local/p/r")
report([logged.name, logged.type, table.columns, [row[:2] for row in table.data], open(page._path).read(),
        sorted(file.name.split("/")[1] for file in run.files() if file.name.startswith("media/")),
        run.summary["table"]["_type"], run.summary["table"]["nrows"], run.summary["h"]["values"]])
""",
        WANDB_CACHE_DIR=str(tmp_path / "other"),
    )

    assert seen[:4] == ["run-r-table:v0", "run_table", ["id", "text", "page"], [[1, "ü"], [2, None]]]
    assert "<b>1</b>" in seen[4]
    assert {"table", "html"} <= set(seen[5])
    assert seen[6:] == ["table-file", 2, [1, 2]]


def test_artifacts_of_an_offline_run_are_synced_once(scripts: Scripts, tmp_path: Path) -> None:
    """Syncing again, by force, makes no second version."""
    scripts.run(
        LOG.replace(".wait()", "")
        + """
with wandb.init(project="p", id="r", mode="offline") as run:
    log(run, "one", aliases=["best"])
"""
    )
    folder = next((tmp_path / "wandb").glob("offline-run-*-r"))
    scripts.command("sync", str(folder))
    scripts.command("sync", "--no-skip-synced", str(folder))
    seen = scripts.run("""
report([[a.version, sorted(a.aliases), a.logged_by().id] for a in wandb.Api().artifacts("dataset", "local/p/ds")])
""")

    assert seen == [["v0", ["best", "latest"], "r"]]


def test_unknown_storage_region_is_refused(scripts: Scripts) -> None:
    seen = scripts.run("""
with wandb.init(project="p", id="r") as run:
    artifact = wandb.Artifact("ds", type="dataset", storage_region="coreweave-us")
    try:
        run.log_artifact(artifact).wait()
    except ValueError as error:
        report(str(error))
""")

    assert "coreweave-us" in seen


def test_first_version_chooses_the_digest_algorithm(scripts: Scripts, tmp_path: Path) -> None:
    """A later version of an MD5 collection is hashed with MD5 again."""
    seen = scripts.run(
        """
def log(run, name, algorithm, text):
    artifact = wandb.Artifact(name, type="dataset", digest_algorithm=algorithm)
    with artifact.new_file("a.txt") as file:
        file.write(text)
    with artifact.new_file("large.txt") as file:
        file.write(text * 1000)
    return run.log_artifact(artifact).wait()
with wandb.init(project="p", id="r") as run:
    log(run, "xxh", "XXH128", "one")
    log(run, "md5", "MD5", "one")
    log(run, "md5", "XXH128", "two")
found = []
for name in ("xxh:v0", "md5:v0", "md5:v1"):
    artifact = wandb.Api().artifact("local/p/" + name)
    artifact.verify(artifact.download(name.replace(":", "-")))
    entry = artifact.manifest.entries["a.txt"]
    found.append([artifact.digest_algorithm.value, entry.extra, len(artifact.digest)])
report(found)
""",
        WANDB_CACHE_DIR=str(tmp_path / "other"),
    )

    assert seen == [["MANIFEST_XXH128", {"alg": "XXH128"}, 32], ["MANIFEST_MD5", {}, 32], ["MANIFEST_MD5", {}, 32]]
    assert (tmp_path / "xxh-v0/a.txt").read_text() == "one"
