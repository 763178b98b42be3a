"""Links, portfolios, tags, types, filters and orders of artifact collections, and the time to live of artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wandb_devserver.test_artifact_uploads import complete, error_of

if TYPE_CHECKING:
    from tests.wandb_devserver.support import RawClient, Scripts

LINK = """mutation LinkArtifact($input: LinkArtifactInput!) { linkArtifact(input: $input) {
  versionIndex artifactMembership { aliases { alias } artifactCollection { __typename id name } } } }"""
VERSIONS = """query V($name: String!) { project(name: "p", entityName: "local") { artifactCollection(name: $name) {
  __typename artifacts { edges { version node { id } } }
  artifactMembership(aliasName: "latest") { versionIndex aliases { alias } } } } }"""
LOG = """
def log(run, content, name="ds", type="dataset", **fields):
    artifact = wandb.Artifact(name, type=type)
    with artifact.new_file("a.txt") as file:
        file.write(content)
    for field, value in fields.items():
        setattr(artifact, field, value)
    return run.log_artifact(artifact).wait()
"""


def link(raw: RawClient, artifact_id: str, name: str = "links", **fields: object) -> dict[str, object]:
    given = {"artifactID": artifact_id, "artifactPortfolioName": name, "entityName": "local", "projectName": "p"}
    response: dict[str, object] = raw.data(LINK, input={**given, **fields})["linkArtifact"]
    return response


def versions(raw: RawClient, name: str) -> list[str]:
    edges = raw.data(VERSIONS, name=name)["project"]["artifactCollection"]["artifacts"]["edges"]
    return [edge["version"] for edge in edges]


def test_links_are_versions_of_a_portfolio(raw: RawClient) -> None:
    first, second = complete(raw, b"one", digest="1"), complete(raw, b"two", digest="2")
    link(raw, second.id)
    link(raw, first.id)
    again = link(raw, second.id, aliases=[{"alias": "best", "artifactCollectionName": "links"}])
    portfolio = raw.data(VERSIONS, name="links")["project"]["artifactCollection"]

    assert portfolio["__typename"] == "ArtifactPortfolio"
    assert [edge["version"] for edge in portfolio["artifacts"]["edges"]] == ["v1", "v0"]
    assert again["versionIndex"] == 0
    assert {alias["alias"] for alias in portfolio["artifactMembership"]["aliases"]} == {"best", "latest"}


def test_link_needs_a_committed_artifact_of_the_portfolios_type(raw: RawClient) -> None:
    link(raw, complete(raw, b"one").id)
    other = complete(raw, b"one", artifactTypeName="other", artifactCollectionName="others")
    given = {"artifactID": other.id, "artifactPortfolioName": "links", "entityName": "local", "projectName": "p"}

    assert "is of type 't', not 'other'" in error_of(raw.graphql(LINK, input=given).json())


def test_name_is_either_a_sequence_or_a_portfolio(raw: RawClient) -> None:
    artifact = complete(raw, b"one")
    given = {"artifactID": artifact.id, "artifactPortfolioName": "ds", "entityName": "local", "projectName": "p"}

    assert "'ds' holds artifacts that runs logged" in error_of(raw.graphql(LINK, input=given).json())


def test_unlinking_the_latest_version_makes_the_newest_remaining_one_latest(raw: RawClient) -> None:
    for number in range(3):
        artifact = complete(raw, b"%d" % number, digest=str(number))
        collection = link(raw, artifact.id)["artifactMembership"]["artifactCollection"]  # type: ignore[index]
    unlink = "mutation U($input: UnlinkArtifactInput!) { unlinkArtifact(input: $input) { success } }"
    given = {"artifactID": artifact.id, "artifactPortfolioID": collection["id"]}
    raw.data(unlink, input=given)
    latest = raw.data(VERSIONS, name="links")["project"]["artifactCollection"]["artifactMembership"]

    assert latest == {"versionIndex": 1, "aliases": [{"alias": "latest"}]}
    assert versions(raw, "ds") == ["v2", "v1", "v0"]
    assert "is not linked to 'links'" in error_of(raw.graphql(unlink, input=given).json())


def test_deleting_an_artifact_removes_its_links(raw: RawClient) -> None:
    artifact = complete(raw, b"one")
    link(raw, artifact.id)
    raw.data(
        "mutation D($id: ID!) { deleteArtifact(input: {artifactID: $id, deleteAliases: true}) { artifact { id } } }",
        id=artifact.id,
    )

    assert versions(raw, "links") == []


def test_sdk_links_and_unlinks(scripts: Scripts) -> None:
    seen = scripts.run(
        LOG
        + """
with wandb.init(project="p", id="r") as run:
    source = log(run, "x")
    linked = run.link_artifact(source, "links", aliases=["best"])
    names = [linked.qualified_name, linked.is_link, linked.source_qualified_name, sorted(linked.aliases)]
api = wandb.Api()
linked = api.artifact("local/p/links:best")
linked.aliases.append("good")
linked.save()
names += [sorted(api.artifact("local/p/links:v0").aliases), api.artifact("local/p/ds:v0").aliases]
names += [[link.name for link in source.linked_artifacts]]
linked.unlink()
report(names + [api.artifact_exists("local/p/links:v0"), api.artifact_exists("local/p/ds:v0")])
"""
    )

    assert seen[:4] == ["local/p/links:v0", True, "local/p/ds:v0", ["best", "latest"]]
    assert seen[4:] == [["best", "good", "latest"], ["latest"], ["links:v0"], False, True]


def test_sdk_changes_collections(scripts: Scripts) -> None:
    seen = scripts.run(
        LOG
        + """
with wandb.init(project="p", id="r") as run:
    log(run, "x").link("local/p/links")
    log(run, "y", name="b")
api = wandb.Api()
sequence = api.artifact_collection("dataset", "local/p/ds")
sequence.change_type("model")
sequence.tags = ["t1", "t2"]
sequence.save()
sequence.tags = ["t2"]
sequence.save()
portfolio = api.artifact_collection("dataset", "local/p/links")
portfolio.name, portfolio.description = "renamed", "text"
portfolio.save()
found = api.artifact_collection("model", "local/p/ds")
renamed = api.artifact_collection("dataset", "local/p/renamed")
kind = api.artifact_type("dataset", "local/p")
seen = [found.type, list(found.tags), renamed.description, renamed.is_sequence(),
        [c.name for c in kind.collections(order="name")], [c.name for c in kind.collections(filters={"name": "b"})],
        [c.name for c in api.project("p", "local").collections(filters={"tag": "t2"})]]
renamed.delete()
report(seen + [api.artifact_collection_exists("local/p/renamed", "dataset")])
"""
    )

    assert seen == ["model", ["t2"], "text", False, ["b", "renamed"], ["b"], ["ds"], False]


@pytest.mark.parametrize("days", [1, -1])
def test_artifact_expires_when_its_time_to_live_is_over(raw: RawClient, days: int) -> None:
    complete(raw, b"old", digest="0")
    mortal = complete(raw, b"one", digest="1", ttlDurationSeconds=24 * 3600)
    with raw.server._live.backend.database.write() as connection:
        seconds = days * 86400 - 1
        connection.execute("UPDATE artifacts SET created_at = created_at + ? WHERE ttl_seconds > 0", (seconds,))
    expected = ["v1", "v0"] if days > 0 else ["v0"]

    assert versions(raw, "ds") == expected
    latest = raw.data(VERSIONS, name="ds")["project"]["artifactCollection"]["artifactMembership"]
    assert latest["versionIndex"] == int(expected[0][1:])
    complete(raw, b"new", digest="2")
    found = raw.data("query A($id: ID!) { artifact(id: $id) { ttlDurationSeconds ttlIsInherited } }", id=mortal.id)
    assert found["artifact"] == ({"ttlDurationSeconds": 86400, "ttlIsInherited": False} if days > 0 else None)


def test_sdk_reads_the_fields_of_a_committed_artifact(scripts: Scripts) -> None:
    seen = scripts.run(
        LOG
        + """
import datetime
with wandb.init(project="p", id="r") as run:
    log(run, "x")
    log(run, "y", ttl=datetime.timedelta(days=2))
api = wandb.Api()
plain, mortal = (api.artifact(f"local/p/ds:{version}") for version in ("v0", "v1"))
files = list(plain.files())
report([plain.ttl, mortal.ttl.days, plain.commit_hash, files[0].storage_path, files[0].direct_url])
"""
    )

    assert seen[:2] == [None, 2]
    assert len(seen[2]) == 32
    assert seen[3].startswith("wandb_artifacts/")
    assert seen[4].endswith(seen[3])
