"""Malformed and oversized input: a 4xx response with a message, and nothing is stored."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from wandb_devserver._complexity import ComplexityMeter
from wandb_devserver._http.body import LIMIT

from tests.wandb_devserver.support import UPSERT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.wandb_devserver.support import RawClient

DEEP = "[" * 100_000 + "]" * 100_000
JSON = {"Content-Type": "application/json"}


def refusal(response: httpx.Response, status: int = 400) -> str:
    """Return the message of a refusal."""
    assert response.status_code == status, response.text[:500]
    message: str = response.json()["errors"][0]["message"]
    return message


def stream_file(raw: RawClient, name: str, *lines: object, offset: object = 0) -> httpx.Response:
    return raw.stream({"files": {name: {"offset": offset, "content": list(lines)}}})


@pytest.mark.parametrize("path", ["/graphql", "/files/local/p/r/file_stream"])
@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (b'{"query": [' + b"[]," * 1_000_000 + b"[]]}", 413, "1000000"),
        (b'{"query": ' + DEEP.encode() + b"}", 413, "levels deep"),
        (b'{"query": "{ viewer { id } }", "files": {"output.log": {"content": ["\\ud800"]}}}', 400, "surrogate"),
        (b'{"query": "\xff"}', 400, "utf-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", 400, "digits"),
        (b'{"query": "', 400, "JSON"),
    ],
    ids=["elements", "depth", "surrogate", "encoding", "digits", "cut off"],
)
def test_malformed_body_is_refused(raw: RawClient, path: str, body: bytes, status: int, named: str) -> None:
    raw.open_run("r")

    assert named in refusal(raw.http.post(path, content=body, headers=JSON), status)


def test_compressed_body_is_limited(raw: RawClient) -> None:
    raw.open_run("r")
    body = gzip.compress(b'{"files": [' + b"[]," * 1_000_000 + b"[]]}")
    headers = {**JSON, "Content-Encoding": "gzip"}

    assert "elements" in refusal(raw.http.post("/files/local/p/r/file_stream", content=body, headers=headers), 413)


def test_decompressed_body_is_limited(raw: RawClient) -> None:
    raw.open_run("r")
    headers = {**JSON, "Content-Encoding": "gzip"}
    bodies = [gzip.compress(b" " * (LIMIT + size) + b"{}", 1) for size in (1 - len(b"{}"), -len(b"{}"))]
    large, allowed = (raw.http.post("/files/local/p/r/file_stream", content=body, headers=headers) for body in bodies)

    assert f"exceeds {LIMIT} bytes" in refusal(large, 413)
    assert allowed.status_code == 200


def test_cut_off_gzip_stream_is_refused(raw: RawClient) -> None:
    raw.open_run("r")
    headers = {**JSON, "Content-Encoding": "gzip"}
    response = raw.http.post("/files/local/p/r/file_stream", content=gzip.compress(b"{}")[:-4], headers=headers)

    assert "not a complete gzip stream" in refusal(response)


def test_large_text_is_accepted(raw: RawClient) -> None:
    """Brackets, commas and escapes in strings do not count as complexity."""
    text = '[,{"\\' * 500_000
    response = raw.open_run("r", notes=text, config=json.dumps({"text": {"value": text}}))

    assert response["name"] == "r"
    assert raw.server.run("local/p/r").config == {"text": text}


@pytest.mark.parametrize("line", [["a"], {"_step": 0}, 1, None])
def test_row_that_is_not_a_string_is_refused(raw: RawClient, line: object) -> None:
    raw.open_run("r")

    assert "line 1 of wandb-history.jsonl" in refusal(stream_file(raw, "wandb-history.jsonl", "{}", line))
    assert raw.server.run("local/p/r").history == []


@pytest.mark.parametrize("name", ["wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json"])
def test_deeply_nested_row_is_refused(raw: RawClient, name: str) -> None:
    raw.open_run("r")

    assert f"line 0 of {name}" in refusal(stream_file(raw, name, f'{{"a": {DEEP}}}'))
    assert raw.pages.get("/local/p/runs/r").status_code == 200


@pytest.mark.parametrize("field", ["config", "summaryMetrics"])
def test_deeply_nested_document_is_refused(raw: RawClient, field: str) -> None:
    given = {"name": "r", "modelName": "p", field: f'{{"a": {DEEP}}}'}

    assert "levels deep" in refusal(raw.graphql(UPSERT, input=given))


def test_documents_at_the_limit_are_accepted(raw: RawClient) -> None:
    """Pages, queries and merges support them."""
    nested = "[" * 126 + "Infinity" + "]" * 126
    document = f'{{"a": {nested}}}'
    raw.open_run("r", config=document)
    raw.open_run("r", config=document, headers={"x-wandb-use-async-filestream": "true", "x-wandb-client-id": "one"})
    assert stream_file(raw, "wandb-summary.json", document).status_code == 200
    assert stream_file(raw, "wandb-history.jsonl", document).status_code == 200
    query = 'query Q { project(name: "p") { run(name: "r") { config summaryMetrics history(samples: 9) } } }'

    assert "Infinity" in raw.data(query)["project"]["run"]["summaryMetrics"]
    assert raw.pages.get("/local/p/runs/r").status_code == 200


@pytest.mark.parametrize("step", ["1" + "0" * 30, "-" + "9" * 400, "NaN", "Infinity", "1e300"])
def test_step_beyond_64_bits_is_refused(raw: RawClient, step: str) -> None:
    raw.open_run("r")

    assert "_step" in refusal(stream_file(raw, "wandb-history.jsonl", f'{{"_step": {step}}}'))


@pytest.mark.parametrize("exit_code", [2**63, -(2**63) - 1, 10**400])
def test_exit_code_beyond_64_bits_is_refused(raw: RawClient, exit_code: int) -> None:
    raw.open_run("r")

    assert "exitcode" in refusal(raw.stream({"complete": True, "exitcode": exit_code}))
    assert raw.server.run("local/p/r").state == "running"


@pytest.mark.parametrize("offset", [-1, 2**31, 2**70])
def test_offset_out_of_range_is_refused(raw: RawClient, offset: int) -> None:
    raw.open_run("r")

    assert "offset" in refusal(stream_file(raw, "output.log", "line", offset=offset))


def test_huge_numbers_are_stored(raw: RawClient) -> None:
    """Filters, orders and pages support them."""
    huge = {"a": 10**400}
    raw.open_run("r", config=json.dumps({"a": {"value": 10**400}}))
    assert stream_file(raw, "wandb-summary.json", json.dumps(huge)).status_code == 200
    assert stream_file(raw, "wandb-history.jsonl", json.dumps(huge)).status_code == 200
    query = """query Q($f: JSONString, $o: String) {
      project(name: "p") { runs(filters: $f, order: $o) { edges { cursor } } } }"""
    for order in ("config.a", "-summary_metrics.a"):
        assert raw.data(query, o=order, f='{"config.a": {"$gt": 1e3}}')["project"]["runs"]["edges"]
    assert raw.pages.get("/local/p/runs/r").status_code == 200


def test_lone_surrogates_in_rows_are_replaced(raw: RawClient) -> None:
    """Python's JSON writes them; like W&B, the server reads U+FFFD."""
    raw.open_run("r")
    assert stream_file(raw, "wandb-summary.json", r'{"a\ud800": "\udfff!", "b": "\ud83d\ude00"}').status_code == 200

    assert raw.server.run("local/p/r").summary == {"a\ufffd": "\ufffd!", "b": "\U0001f600"}
    assert raw.pages.get("/local/p/runs/r").status_code == 200


@pytest.mark.parametrize("node", ["Run:99999999999999999999", "Run:" + "9" * 5000, "Run:x"])
def test_id_beyond_64_bits_is_refused(raw: RawClient, node: str) -> None:
    query = "mutation D($input: DeleteRunInput!) { deleteRun(input: $input) { clientMutationId } }"
    response: Any = raw.graphql(query, input={"id": base64.b64encode(node.encode()).decode()}).json()

    assert "is not the id of a run" in response["errors"][0]["message"]


@pytest.mark.parametrize("value", ["99999999999999999999", '"1e400"', "1e400"])
def test_int64_argument_beyond_64_bits_is_refused(raw: RawClient, value: str) -> None:
    query = 'query Q($s: Int64) { project(name: "p") { run(name: "r") { history(minStep: $s) } } }'
    body = f'{{"query": {json.dumps(query)}, "variables": {{"s": {value}}}}}'

    refusal(raw.http.post("/graphql", content=body, headers=JSON))


@pytest.mark.parametrize(
    "query",
    ["{a" * 50_000, f"{{ viewer {{ {'id ' * 10_000} }} }}", "{ viewer { id } } " + "#" * 100_000, "query " * 9_000],
)
def test_oversized_graphql_document_is_refused(raw: RawClient, query: str) -> None:
    refusal(raw.graphql(query))


@pytest.mark.parametrize("size", [1, 2, 7])
def test_complexity_does_not_depend_on_the_chunk_size(size: int) -> None:
    """Strings and escapes may be cut anywhere."""
    text = json.dumps({'a"[': ["\\", '\\"[{,', {"x": [1, 2]}], "b": "]" * 9}).encode()
    meter = ComplexityMeter()
    for start in range(0, len(text), size):
        meter.feed(text[start : start + size])

    # Three objects or lists in the outer one, and four commas between elements.
    assert (meter.elements, meter.depth) == (8, 0)


def test_body_is_refused_before_its_end(raw: RawClient) -> None:
    """A body beyond a bound is not read to its end, nor held in memory."""
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'{"files": ['
        while sent < 60:
            sent += 1
            yield b"[]," * 350_000

    with contextlib.suppress(httpx.WriteError):
        response = raw.http.post("/graphql", content=endless(), headers=JSON)
        assert response.status_code == 413
    assert sent < 60
