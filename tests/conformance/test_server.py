"""The user, the versions and features of the server, sweeps, teams and registries."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.support import loopback

if TYPE_CHECKING:
    from tests.wandb_devserver.support import RawClient, Scripts


def test_viewer_has_its_entity_as_a_team_and_never_shows_the_key(raw: RawClient) -> None:
    query = "query Viewer { viewer { teams { edges { node { name } } } apiKeys { edges { node { id name } } } } }"
    response = raw.graphql(query)

    assert response.json()["data"]["viewer"]["teams"] == {"edges": [{"node": {"name": "local"}}]}
    assert raw.server.api_key not in response.text


def test_server_info_allows_all_versions_of_the_sdk(raw: RawClient) -> None:
    query = "query S { serverInfo { cliVersionInfo latestLocalVersionInfo { outOfDate } } }"
    info = raw.data(query)["serverInfo"]

    assert info["latestLocalVersionInfo"] is None
    assert info["cliVersionInfo"]["max_cli_version"] == "999.0.0"


def test_server_advertises_what_it_supports(raw: RawClient) -> None:
    """Each feature makes the SDK send requests that older servers refuse."""
    found = raw.data("query S { serverInfo { features { name isEnabled } } }")["serverInfo"]["features"]
    enabled = {feature["name"] for feature in found if feature["isEnabled"]}

    assert {"ARTIFACT_COLLECTIONS_FILTERING_SORTING", "FILESTREAM_GZIP", "UPDATE_RUN_STATE"} <= enabled


@pytest.mark.parametrize(
    ("mutation", "subject"),
    [
        ('createInvite(input: {entityName: "readers", username: "ann"}) { invite { id } }', "invitations"),
        ('deleteInvite(input: {entityName: "readers", id: "x"}) { success }', "invitations"),
        ('createServiceAccount(input: {entityName: "readers"}) { user { id } }', "service accounts"),
        ('generateApiKey(input: {description: "d"}) { apiKey { id } }', "several API keys"),
        ('deleteApiKey(input: {id: "x"}) { success }', "several API keys"),
        ('enqueueSweepRun(input: {id: "x", config: "{}"}) { id }', "sweep run queues"),
    ],
)
def test_unsupported_mutation_fails_with_a_warning(
    raw: RawClient, caplog: pytest.LogCaptureFixture, mutation: str, subject: str
) -> None:
    """The SDK hides some of these failures, such as that of `Team.invite`, and returns False or None."""
    response = raw.graphql(f"mutation M {{ {mutation} }}")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    assert response.status_code == 400
    assert f"does not support {subject}" in response.json()["errors"][0]["message"]
    assert f"does not support {subject}" in warning


def test_organization_has_no_feature_flags(raw: RawClient) -> None:
    """Clients iterate over the list without a check."""
    query = """query F($org: String!) { organization(name: $org) {
      featureFlags(rampIDType: OrgName) { rampKey isEnabled } } }"""

    assert raw.data(query, org="local-org") == {"organization": {"featureFlags": []}}


def test_organization_has_an_entity(raw: RawClient) -> None:
    """Registries are projects of that entity; the SDK reports an organization that is null as not found."""
    query = "query O($name: String!) { organization(name: $name) { name orgEntity { name entityType } } }"
    entity = {"name": "local-org", "entityType": "organization"}

    assert raw.data(query, name="local-org") == {"organization": {"name": "local-org", "orgEntity": entity}}
    assert raw.data(query, name="missing") == {"organization": None}


def test_invitation_returns_false(scripts: Scripts) -> None:
    """Nobody but the owner of the server can sign in."""
    assert scripts.run("""
team = wandb.Api().create_team("readers")
report([team.invite("ann@example.com"), [member.username for member in wandb.Api().team("readers").members]])
""") == [False, ["local"]]


def test_idle_connection_stays_open(raw: RawClient) -> None:
    """The SDK pauses for 5 seconds between requests: the server closes idle connections much later."""
    limit = raw.server._live._uvicorn.config.timeout_keep_alive

    assert limit > 60


def test_sweep_lists_its_prior_runs(raw: RawClient) -> None:
    raw.open_run("a")
    raw.open_run("b")
    sweep = raw.sweep(
        {"method": "random", "parameters": {"x": {"min": 0, "max": 1}}}, priorRunsFilters='{"$or": [{"name": "b"}]}'
    )
    query = """query Sweep($name: String!) { project(name: "p", entityName: "local") { sweep(sweepName: $name) {
      controllerRunName priorRuns { edges { node { name } } } } } }"""
    found = raw.data(query, name=sweep.name)["project"]["sweep"]

    assert found == {"controllerRunName": None, "priorRuns": {"edges": [{"node": {"name": "b"}}]}}


def test_sweeps_are_filtered(raw: RawClient) -> None:
    first, second = (raw.sweep({"method": "grid", "parameters": {"x": {"values": [1]}}}) for _ in range(2))
    second.set(state="CANCELED")
    query = """query S($filters: JSONString) { project(name: "p", entityName: "local") {
      sweeps(filters: $filters) { edges { node { name } } } } }"""
    found = raw.data(query, filters='{"state": "CANCELED"}')["project"]["sweeps"]["edges"]

    assert found == [{"node": {"name": second.name}}]
    assert first.state == "PENDING"


def test_upload_url_of_a_file_that_does_not_exist_yet(raw: RawClient) -> None:
    """Older SDKs request upload URLs as the URLs of files that do not exist."""
    raw.open_run("r")
    query = """query RunUploadUrls($files: [String]!) { model(name: "p", entityName: "local") {
      bucket(name: "r", desc: "d") { files(names: $files) { edges { node { name md5 url(upload: true) } } } } } }"""
    node = raw.data(query, files=["a.txt"])["model"]["bucket"]["files"]["edges"][0]["node"]
    loopback.put(node["url"], content=b"x")

    assert (node["name"], node["md5"]) == ("a.txt", "0")
    assert list(raw.server.run("local/p/r").files) == ["a.txt"]


def test_sdk_uses_a_registry(scripts: Scripts) -> None:
    seen = scripts.run("""
api = wandb.Api()
registry = api.create_registry("models", visibility="organization", description="d")
with wandb.init(project="p") as run:
    artifact = wandb.Artifact("ds", type="model")
    with artifact.new_file("a.txt") as file:
        file.write("x")
    linked = run.link_artifact(run.log_artifact(artifact), "wandb-registry-models/best", aliases=["prod"])
found = api.registry("models")
versions = [[version.name, sorted(version.aliases), version.source_name] for version in found.versions()]
collections = [collection.name for collection in api.registries(filter={"name": "models"}).collections()]
try:
    api.create_registry("models", visibility="organization")
except ValueError as error:
    taken = "different name" in str(error)
team = api.create_team("readers")
found.add_members(team).update_member(team, role="viewer")
roles = [[member.team.name, member.role] for member in found.team_members()]
users = [[member.user.username, member.role] for member in found.user_members()]
found.name = "renamed"
found.save()
names = [item.name for item in api.registries()]
found.delete()
report([linked.qualified_name, versions, collections, taken, roles, users, names, [r.name for r in api.registries()]])
""")

    assert seen == [
        "local-org/wandb-registry-models/best:v0",
        [["best:v0", ["latest", "prod"], "ds:v0"]],
        ["best"],
        True,
        [["readers", "viewer"]],
        [["local", "admin"]],
        ["renamed"],
        [],
    ]


def test_registry_refuses_artifacts_of_other_types(scripts: Scripts) -> None:
    seen = scripts.run("""
api = wandb.Api()
registry = api.create_registry("models", visibility="organization", artifact_types=["model"])
with wandb.init(project="p") as run:
    artifact = run.log_artifact(wandb.Artifact("ds", type="dataset")).wait()
    try:
        run.link_artifact(artifact, "wandb-registry-models/best")
    except Exception as error:
        report(str(error))
""")

    assert "does not allow artifacts of type 'dataset'" in seen


@pytest.mark.parametrize("name", ["a/b", "a:b", "a!", "", "t" * 129])
def test_registry_refuses_invalid_artifact_types(raw: RawClient, name: str) -> None:
    mutation = "mutation U($input: UpsertModelInput!) { upsertModel(input: $input) { inserted } }"
    response = raw.graphql(mutation, input={"name": "wandb-registry-models", "artifactTypes": [{"name": name}]})

    assert response.status_code == 400
    assert f"invalid artifact type {name!r}" in response.json()["errors"][0]["message"]
