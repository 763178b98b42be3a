"""HTTP interface: authentication, malformed requests, run ids in URLs."""

from __future__ import annotations

import gzip
import json
import logging
import time
from typing import Any

import pytest
from wandb_devserver import DevServer
from wandb_devserver._errors import UsageError
from wandb_devserver._http.auth import API_PREFIXES
from wandb_devserver._http.signing import Signer

from tests.support import loopback
from tests.wandb_devserver.support import RawClient, Scripts

OPEN = [("POST", "/sdk/otel/v1/metrics")]
CLOSED = [
    ("POST", "/graphql"),
    ("POST", "/files/local/p/r/file_stream"),
    ("GET", "/files/local/p/r/config.yaml"),
    ("GET", "/"),
    ("GET", "/local/p"),
    ("GET", "/local/p/runs/r"),
    ("GET", "/nothing"),
    ("GET", "/healthz"),
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize("auth", [None, ("api", "wrong"), ("api", ""), ("api", "x" * 40)])
def test_request_without_the_key_is_refused(
    server: DevServer, method: str, path: str, auth: tuple[str, str] | None
) -> None:
    """The response does not reveal what exists; the API's names the scheme to use."""
    response = loopback.request(method, server.url + path, auth=auth)

    assert response.status_code == 401
    assert ("www-authenticate" in response.headers) == path.startswith(API_PREFIXES)
    assert server.api_key not in response.text


@pytest.mark.parametrize("path", ["/signed/x/runs/y", "/signed/x", "/sdk/otel", "/sdk/otel/runs/x", "/signed/"])
def test_unauthenticated_path_serves_no_page(server: DevServer, raw: RawClient, path: str) -> None:
    """This holds also where an entity is named like the path."""
    raw.open_run("y", project="x", entityName="signed")
    raw.open_run("x", project="otel", entityName="sdk")

    assert loopback.get(server.url + path).status_code in (401, 404, 405)


def test_telemetry_is_accepted_without_a_key(server: DevServer) -> None:
    """The SDK sends no key with telemetry."""
    assert loopback.post(server.url + "/sdk/otel/v1/metrics", content=b"\x00\x01").status_code == 200


def test_wrong_key_raises_authentication_error(server: DevServer, scripts: Scripts) -> None:
    seen = scripts.run(
        """
try:
    wandb.Api()
except wandb.errors.AuthenticationError as error:
    report(str(error))
""",
        WANDB_API_KEY="x" * 40,
    )
    assert seen


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("query Tell { viewer { id shoeSize } }", "shoeSize"),
        ("mutation LaunchRocket { launchRocket(input: {}) { success } }", "launchRocket"),
        ("query Broken {", "Broken"),
        ('query Q { project(name: "p", colour: "red") { id } }', "colour"),
    ],
)
def test_unknown_graphql_field_is_refused_and_logged(
    raw: RawClient, caplog: pytest.LogCaptureFixture, query: str, named: str
) -> None:
    """No client retries the status 400."""
    with caplog.at_level(logging.WARNING, "wandb_devserver"):
        response = raw.graphql(query)

    assert response.status_code == 400
    assert named in response.json()["errors"][0]["message"]
    assert named in caplog.text


def test_unknown_input_field_is_refused(raw: RawClient) -> None:
    """Variables are checked too."""
    response = raw.graphql(
        "mutation U($input: UpsertBucketInput!) { upsertBucket(input: $input) { inserted } }", input={"shoeSize": 44}
    )
    assert response.status_code == 400
    assert "shoeSize" in response.json()["errors"][0]["message"]


def test_empty_operation_name_is_ignored(raw: RawClient) -> None:
    """The Python part of the SDK sends one."""
    body = {"query": "query Viewer { viewer { id entity } }", "operationName": ""}

    assert raw.http.post("/graphql", json=body).json()["data"]["viewer"]["entity"] == "local"


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"{}", b'{"query": 1}'])
def test_malformed_graphql_body_is_refused(raw: RawClient, body: bytes) -> None:
    response = raw.http.post("/graphql", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 400
    assert response.json()["errors"][0]["message"]


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b"\xff\xfe"])
def test_malformed_stream_body_is_refused(raw: RawClient, body: bytes) -> None:
    """The status 400 keeps the client from sending the body again."""
    raw.open_run("r")

    headers = {"Content-Type": "application/json"}

    assert raw.http.post("/files/local/p/r/file_stream", content=body, headers=headers).status_code == 400


def test_compressed_stream_is_accepted(raw: RawClient, server: DevServer) -> None:
    """A setting of the SDK enables them."""
    raw.open_run("r")
    message = {"files": {"wandb-history.jsonl": {"offset": 0, "content": ['{"_step": 0, "a": NaN}']}}}
    response = raw.http.post(
        "/files/local/p/r/file_stream",
        content=gzip.compress(json.dumps(message).encode()),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert response.status_code == 200
    assert len(server.run("local/p/r").history) == 1


def test_run_ids_may_have_special_characters(server: DevServer, scripts: Scripts) -> None:
    """They come percent-encoded and do not become paths on the server."""
    ids = ["a..b", "with space", 'quo"te', "back\\slash", "üñí", "x" * 128]
    scripts.run(
        """
for run_id in json.loads(os.environ["IDS"]):
    with wandb.init(project="a project", id=run_id, reinit="create_new") as run:
        run.log({"a": 1})
""",
        IDS=json.dumps(ids),
    )
    runs = {run.id: run for run in server.runs("local/a project")}

    assert set(runs) == set(ids)
    assert [len(run.history) for run in runs.values()] == [1] * len(ids)
    assert all("config.yaml" in run.files for run in runs.values())


@pytest.mark.parametrize("run_id", ["..", "50% off"])
def test_run_id_that_the_sdk_does_not_encode_is_refused(scripts: Scripts, run_id: str) -> None:
    """The rows would be lost, so `init` fails and names the id."""
    seen = scripts.run(
        """
try:
    wandb.init(project="p", id=os.environ["RUN"])
except wandb.errors.Error as error:
    report(str(error))
""",
        RUN=run_id,
    )
    assert repr(run_id) in seen


def test_times_are_iso_8601_in_utc(raw: RawClient) -> None:
    raw.open_run("r")
    query = 'query Q { project(name: "p") { createdAt run(name: "r") { createdAt heartbeatAt projectId } } }'
    project: Any = raw.data(query)["project"]

    for moment in (project["createdAt"], project["run"]["createdAt"], project["run"]["heartbeatAt"]):
        time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")
    assert int(project["run"]["projectId"]) > 0


def test_failed_mutation_is_rolled_back(raw: RawClient, server: DevServer) -> None:
    """All fields of a document are one transaction."""
    response: Any = raw.graphql(
        """mutation Two { a: upsertBucket(input: {name: "r", modelName: "p"}) { inserted }
           b: stopRun(input: {id: "nonsense"}) { success } }"""
    ).json()

    assert "nonsense" in response["errors"][0]["message"]
    assert server.runs() == []


def test_signed_url_expires_and_cannot_be_changed() -> None:
    signer = Signer(b"secret")

    assert signer.verify(signer.sign(["run-file", 1, "a"], lifetime=60)) == ["run-file", 1, "a"]
    with pytest.raises(UsageError, match="expired"):
        signer.verify(signer.sign(["run-file", 1, "a"], lifetime=-1))
    with pytest.raises(UsageError, match="not signed"):
        Signer(b"other").verify(signer.sign(["run-file", 1, "a"], lifetime=60))
