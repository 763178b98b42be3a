"""Fuzzing of every route and every GraphQL argument: no response is a 5xx."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wandb_devserver import DevServer
from wandb_devserver._graphql.schema import schema

from tests.wandb_devserver.support import RawClient
from tests.wandb_devserver.test_artifact_uploads import complete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import GraphQLField

# Derandomized, so that failures in CI can be reproduced.
FUZZ = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HUGE = [2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400]
FLOATS = [float("nan"), float("inf"), 1e308]
NODES = [
    base64.b64encode(f"{kind}:{number}".encode()).decode()
    for kind in ("Run", "Artifact", "Sweep")
    for number in (1, -1, 2**63)
]
TEXTS = [
    "",
    "r",
    "p",
    "local",
    "a",
    "..",
    "%00",
    "\0",
    "\ud800",
    "\U0001f600",
    "x" * 300,
    "config.a",
    "-summary_metrics.a",
]
DOCUMENTS = [
    "{}",
    "[]",
    "nul",
    '{"$or": [{"name": {"$regex": "("}}]}',
    '{"a": NaN}',
    '{"keys": ["a"]}',
    "[" * 200,
    "1" * 5000,
]

texts = st.sampled_from([*TEXTS, *NODES, *DOCUMENTS]) | st.text(st.characters(), max_size=5)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([*HUGE, *FLOATS]) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)


def argument(kind: GraphQLInputType, depth: int = 3) -> st.SearchStrategy[Any]:
    """Values of a GraphQL type, most of them valid."""
    if isinstance(kind, GraphQLNonNull):
        return argument(kind.of_type, depth)
    if isinstance(kind, GraphQLList):
        return st.lists(argument(kind.of_type, depth), max_size=2)
    if isinstance(kind, GraphQLEnumType):
        return st.sampled_from(list(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        if not depth:
            return st.just({})
        fields = {name: argument(field.type, depth - 1) for name, field in kind.fields.items()}
        needed = {name: fields[name] for name, field in kind.fields.items() if isinstance(field.type, GraphQLNonNull)}
        return st.fixed_dictionaries(needed, optional={name: fields[name] for name in fields if name not in needed})
    by_name: dict[str, st.SearchStrategy[Any]] = {
        "Int": st.integers(-3, 3) | st.sampled_from(HUGE),
        "Int64": st.integers(-3, 3) | st.sampled_from([*HUGE, *FLOATS, "1", "x"]),
        "Float": st.floats(),
        "Boolean": st.booleans(),
        "JSONString": st.sampled_from(DOCUMENTS) | values.map(json.dumps),
        "JSON": values,
    }
    return by_name.get(kind.name, texts)


def selection(kind: Any, depth: int = 3) -> str:
    """A selection of all fields without arguments that are required, some levels deep."""
    named = get_named_type(kind)
    if not isinstance(named, GraphQLObjectType):
        return " { __typename }" if hasattr(named, "types") or hasattr(named, "fields") else ""
    if not depth:
        return " { __typename }"
    parts = [
        name + selection(field.type, depth - 1)
        for name, field in named.fields.items()
        if not any(isinstance(given.type, GraphQLNonNull) for given in field.args.values())
    ]
    return " { __typename " + " ".join(parts) + " }"


def operation(name: str, field: GraphQLField, openings: list[str]) -> str:
    """An operation with every argument of a field, which lies within `openings`, as a variable."""
    declared = ", ".join(f"${name}: {given.type}" for name, given in field.args.items())
    given = ", ".join(f"{name}: ${name}" for name in field.args)
    document = f"{name}({given}){selection(field.type, 1)}"
    for opening in reversed(openings):
        document = f"{opening} {{ {document} }}"
    return f"Fuzz({declared}) {{ {document} }}"


PROJECT = 'project(name: "p")'
# Mutations come last: they may delete what the others read.
OPENINGS = {
    "Query": [],
    "Entity": ['entity(name: "local")'],
    "Project": [PROJECT],
    "Run": [PROJECT, 'run(name: "r")'],
    "Sweep": [PROJECT, "sweeps", "edges", "node"],
    "Artifact": [PROJECT, 'artifact(name: "ds:v0")'],
    "ArtifactType": [PROJECT, 'artifactType(name: "t")'],
    "ArtifactSequence": [PROJECT, 'artifactCollection(name: "ds")', "... on ArtifactSequence"],
    "ArtifactCollectionMembership": [PROJECT, 'artifactCollectionMembership(name: "ds:v0")'],
    "Mutation": [],
}


def fields(name: str) -> dict[str, GraphQLField]:
    found = schema().type_map[name]
    assert isinstance(found, GraphQLObjectType)
    return {key: field for key, field in found.fields.items() if field.args}


CASES = [(kind, name) for kind in OPENINGS for name in fields(kind)]


@pytest.fixture(scope="module")
def client() -> Iterator[RawClient]:
    with DevServer() as server, RawClient(server) as raw:
        raw.open_run("r", config='{"a": {"value": 1}}')
        raw.stream_rows({"_step": 0, "a": 1})
        raw.sweep({"method": "grid", "parameters": {"a": {"values": [1, 2]}}}).agent()
        complete(raw, b"contents")
        yield raw


def check(response: httpx.Response) -> None:
    assert response.status_code < 500, response.text[:1000]
    if response.headers.get("content-type") == "application/json" and response.content:
        text = json.dumps(response.json())
        assert "Traceback" not in text
        # Error messages of SQLite about values that it cannot store.
        assert "too large to convert" not in text
        assert "surrogates not allowed" not in text
        assert "binding parameter" not in text.lower()


@pytest.mark.parametrize("kind", [kind for kind in OPENINGS if kind not in ("Query", "Mutation")])
def test_fuzzed_object_exists(client: RawClient, kind: str) -> None:
    """Arguments of a field are only read where the object of the field exists."""
    document = "__typename"
    for opening in reversed(OPENINGS[kind]):
        document = f"{opening} {{ {document} }}"

    assert f'"{kind}"' in json.dumps(client.data(f"{{ {document} }}"))


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}-{name}" for kind, name in CASES])
def test_fuzzed_argument_causes_no_5xx(client: RawClient, kind: str, name: str) -> None:
    field = fields(kind)[name]
    document = f"{'mutation' if kind == 'Mutation' else 'query'} {operation(name, field, OPENINGS[kind])}"
    variables = st.fixed_dictionaries({name: argument(given.type) for name, given in field.args.items()})

    @FUZZ
    @given(variables)
    def fuzz(variables: dict[str, Any]) -> None:
        body = json.dumps({"query": document, "variables": variables})
        check(client.http.post("/graphql", content=body, headers={"Content-Type": "application/json"}))

    fuzz()


ROUTES = [
    "/graphql", "/files/local/p/r/file_stream", "/files/{0}/{1}/{2}/{3}", "/signed/{0}", "/signed/artifacts/{0}",
    "/artifactsV2/{0}/local/p/{1}/{2}/{3}", "/sdk/otel/{0}", "/", "/local/{0}", "/local/p/runs/{0}",
    "/local/p/sweeps/{0}", "/{0}/{1}/{2}", "/local/p/sweeps",
]  # fmt: skip


@settings(FUZZ, max_examples=settings().max_examples)
@given(
    route=st.sampled_from(ROUTES),
    names=st.lists(texts, min_size=4, max_size=4),
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    body=values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20),
    headers=st.dictionaries(
        st.sampled_from(
            ["Content-Encoding", "Range", "Cookie", "Accept", "X-WANDB-Async-Client-Id", "Content-Type", "If-Range"]
        ),
        st.sampled_from(["gzip", "application/json", "bytes=0-,-1", "bytes=x", "bytes=9-1", "text/html", "\x7f", ""]),
    ),
)
def test_fuzzed_request_causes_no_5xx(
    client: RawClient, route: str, names: list[str], method: str, body: bytes, headers: dict[str, str]
) -> None:
    path = route.format(*(quote(name.encode("utf-8", "replace"), safe="") for name in names))

    # Pages need a session, all other routes the key.
    for sender in (client.http, client.pages):
        check(sender.request(method, path, content=body, headers={"Content-Type": "application/json", **headers}))


@settings(FUZZ, max_examples=settings().max_examples)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "files": values
            | st.dictionaries(
                st.sampled_from(["wandb-history.jsonl", "wandb-events.jsonl", "output.log", "wandb-summary.json", "x"]),
                values
                | st.fixed_dictionaries(
                    {"offset": scalars, "content": st.lists(texts | values.map(json.dumps) | scalars, max_size=3)}
                ),
            ),
            "complete": st.booleans(),
            "exitcode": st.sampled_from(HUGE) | scalars,
            "preempting": scalars,
            "uploaded": values,
        },
    ),
    st.sampled_from([{}, {"X-WANDB-Async-Client-Id": "one"}]),
)
def test_fuzzed_stream_causes_no_5xx(client: RawClient, message: dict[str, Any], headers: dict[str, str]) -> None:
    body = json.dumps(message)
    response = client.http.post(
        "/files/local/p/r/file_stream", content=body, headers={"Content-Type": "application/json", **headers}
    )

    check(response)
    check(client.pages.get("/local/p/runs/r"))
    client.open_run("r")
