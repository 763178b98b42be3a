"""W&B's limits on names, tags and sizes, as the SDK meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.wandb_devserver.support import RawClient

UPSERT = "mutation UpsertBucket($input: UpsertBucketInput!) { upsertBucket(input: $input) { bucket { id } } }"
CREATE = "mutation CreateArtifact($input: CreateArtifactInput!) { createArtifact(input: $input) { artifact { id } } }"
ARTIFACT = {
    "entityName": "local",
    "projectName": "p",
    "artifactTypeName": "dataset",
    "artifactCollectionName": "data",
    "digest": "d",
    "clientID": "c",
    "sequenceClientID": "s",
}


def message_of(response: httpx.Response) -> str:
    """The message of a refusal, which the SDK shows for a status that it does not retry."""
    assert response.status_code == 400
    return str(response.json()["errors"][0]["message"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"jobType": "j" * 65}, "invalid parameters: 64 limit exceeded for JobType"),
        ({"displayName": "n" * 129}, "invalid parameters: 128 limit exceeded for DisplayName"),
        ({"tags": ["fine", "t" * 65]}, f"invalid tag '{'t' * 65}'. must be between 1 and 64 characters"),
        ({"tags": [""]}, "invalid tag ''. must be between 1 and 64 characters"),
        ({"config": '"' + "c" * (15 * 2**20) + '"'}, "run config cannot exceed 15 MB"),
        ({"name": "r" * 129}, "invalid run id"),
        ({"name": "a%b"}, "invalid run id"),
        ({"modelName": "p" * 129}, "invalid project name"),
        ({"entityName": "a/b"}, "invalid entity name 'a/b'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_run_beyond_a_limit_is_refused(raw: RawClient, fields: dict[str, object], message: str) -> None:
    response = raw.graphql(UPSERT, input={"name": "r", "modelName": "p", **fields})

    assert message in message_of(response)
    assert raw.server.runs() == []


@pytest.mark.parametrize(
    "mutation",
    [
        'createTeam(input: {teamName: "a/b"}) { entity { name } }',
        'createUser(input: {email: "a/b@example.com"}) { user { name } }',
    ],
)
def test_name_that_no_url_can_contain_is_refused(raw: RawClient, mutation: str) -> None:
    assert "invalid entity name 'a/b'" in message_of(raw.graphql(f"mutation M {{ {mutation} }}"))


def test_run_at_the_limits_is_stored(raw: RawClient) -> None:
    raw.open_run("r" * 128, "p" * 128, jobType="j" * 64, displayName="n" * 128, tags=["t" * 64], notes="x" * 9999)

    (run,) = raw.server.runs()
    assert (run.job_type, run.tags) == ("j" * 64, ["t" * 64])


def test_edit_beyond_a_limit_changes_nothing(raw: RawClient) -> None:
    run = raw.open_run("r", tags=["before"])

    response = raw.graphql(UPSERT, input={"id": run["id"], "tags": ["t" * 65], "notes": "changed"})

    assert "must be between 1 and 64 characters" in message_of(response)
    assert (raw.server.run("local/p/r").tags, raw.server.run("local/p/r").notes) == (["before"], None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"artifactCollectionName": "a" * 129}, f"invalid artifact name {'a' * 129}, must be 128 characters or less"),
        ({"artifactCollectionName": "a/b"}, "invalid artifact name 'a/b'"),
        ({"artifactTypeName": "t" * 129}, "invalid artifact type"),
        ({"aliases": [{"artifactCollectionName": "data", "alias": "a:b"}]}, "invalid alias 'a:b'"),
        ({"aliases": [{"artifactCollectionName": "data", "alias": "a" * 129}]}, "invalid alias"),
        ({"tags": [{"tagName": "a!"}]}, "invalid tag 'a!'"),
        ({"tags": [{"tagName": f"t{number}"} for number in range(21)]}, "21 tags: at most 20"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_artifact_beyond_a_limit_is_refused(raw: RawClient, fields: dict[str, object], message: str) -> None:
    assert message in message_of(raw.graphql(CREATE, input={**ARTIFACT, **fields}))


def test_artifact_names_its_storage_region(raw: RawClient) -> None:
    """The server has one region; others are refused by name."""
    raw.data(CREATE, input={**ARTIFACT, "storageRegion": "minio-local"})
    refused = raw.graphql(CREATE, input={**ARTIFACT, "storageRegion": "coreweave-us"}).json()

    assert "coreweave-us" in refused["errors"][0]["message"]
