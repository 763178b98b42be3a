"""Faults on demand, and how the SDK handles them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from wandb_devserver import DevServer, Fault, UsageError

from tests.support import loopback
from tests.wandb_devserver.support import RawClient, Scripts
from tests.wandb_devserver.test_files import upload_url

if TYPE_CHECKING:
    from pathlib import Path

LOGGING = """
with wandb.init(project="p", id="r") as run:
    run.log({"a": 1})
"""


@pytest.mark.parametrize(
    "fault",
    [
        Fault("graphql", operation="UpsertBucket", status=500),
        Fault("graphql", operation="UpsertBucket", status=429, headers={"Retry-After": "1"}),
        Fault("graphql", operation="UpsertBucket", drop=True),
        Fault("graphql", operation="UpsertBucket", drop=True, applied=True),
        Fault("file_stream", status=503, headers={"Retry-After": "1"}, count=2),
        Fault("file_stream", drop=True),
        Fault("file_stream", drop=True, applied=True),
        Fault("file_stream", status=500, applied=True),
        Fault("upload", status=500),
        Fault("upload", drop=True),
    ],
    ids=repr,
)
def test_run_is_complete_after_a_transient_fault(server: DevServer, scripts: Scripts, fault: Fault) -> None:
    """No row is stored twice."""
    server.faults.add(fault)
    # The SDK collects wandb-metadata.json on a best-effort basis, so a short run may lack it.
    scripts.run(LOGGING, WANDB_X_SAVE_REQUIREMENTS="true")
    run = server.run("local/p/r")

    assert server.faults.fired(fault) == fault.count
    assert [row["a"] for row in run.history] == [1]
    assert (run.state, len(server.runs())) == ("finished", 1)
    assert {"config.yaml", "requirements.txt", "wandb-summary.json"} <= set(run.files)


def test_init_raises_at_once_when_refused(server: DevServer, scripts: Scripts) -> None:
    """A 4xx is final, and the message of its body is shown."""
    body = '{"errors": [{"message": "out of quota"}]}'
    server.faults.add(Fault("graphql", operation="UpsertBucket", status=403, body=body, count=None))
    seen = scripts.run("""
try:
    wandb.init(project="p", id="r")
except wandb.errors.CommError as error:
    report(str(error))
""")
    assert "out of quota" in seen
    assert server.runs() == []


def test_refused_stream_drops_the_rest_of_the_run(server: DevServer, scripts: Scripts) -> None:
    """After a 4xx of file_stream the SDK sends nothing more and the program does not notice."""
    fault = server.faults.add(Fault("file_stream", status=410, count=None))
    scripts.run(LOGGING)

    assert server.faults.fired(fault) == 1
    assert server.run("local/p/r").history == []
    assert server.run("local/p/r").state == "running"


def test_download_faults_reach_the_sdk(server: DevServer, scripts: Scripts, tmp_path: Path) -> None:
    """The SDK retries a failure, reports a body that breaks off, and does not notice a short or a wrong one."""
    (tmp_path / "data.bin").write_bytes(b"0123456789" * 100)
    scripts.run("""
with wandb.init(project="p", id="r") as run:
    run.save("data.bin", base_path=".")
""")
    download = """
with wandb.Api().run("local/p/r").file("data.bin").download(root="down", replace=True) as stream:
    report(stream.buffer.read().hex())
"""
    content = (b"0123456789" * 100).hex()
    server.faults.add(Fault("download", target="data.bin", status=500))
    assert scripts.run(download) == content
    server.faults.add(Fault("download", target="data.bin", drop_after=10))
    assert "unexpected EOF" in scripts.run(
        f"""
try:
    {download.strip()}
except wandb.errors.CommError as error:
    report(str(error))
""".replace("\n    report(stream", "\n        report(stream")
    )
    server.faults.add(Fault("download", target="data.bin", truncate_to=10))
    assert scripts.run(download) == b"0123456789".hex()
    server.faults.add(Fault("download", target="data.bin", wrong_bytes=True))
    wrong = scripts.run(download)

    assert len(wrong) == len(content)
    assert wrong != content
    assert server.faults.fired() == 4


def test_wrong_md5_fault_changes_one_response(raw: RawClient, server: DevServer) -> None:
    """It changes every file in that response."""
    raw.open_run("r")
    loopback.put(upload_url(raw, "a.txt"), content=b"x")
    server.faults.add(Fault("graphql", operation="RunFiles", wrong_md5=True))
    query = 'query RunFiles { project(name: "p") { run(name: "r") { files { edges { node { md5 } } } } } }'
    responses = [raw.data(query)["project"]["run"]["files"]["edges"][0]["node"]["md5"] for _ in range(2)]

    assert responses[0] != responses[1] == server.run("local/p/r").files["a.txt"].md5


def test_drop_fault_closes_the_connection(raw: RawClient, server: DevServer) -> None:
    """`applied` decides whether the request has an effect."""
    raw.open_run("r")
    server.faults.add(Fault("file_stream", drop=True))
    server.faults.add(Fault("file_stream", drop=True, applied=True))
    for expected in ("running", "failed"):
        with pytest.raises(httpx.RemoteProtocolError):
            raw.stream({"complete": True, "exitcode": 1})
        assert server.run("local/p/r").state == expected


def test_delay_fault_delays_the_response(raw: RawClient, server: DevServer) -> None:
    raw.open_run("r")
    server.faults.add(Fault("file_stream", delay=0.5))
    started = time.monotonic()
    raw.stream({})
    delayed = time.monotonic() - started

    assert delayed >= 0.5


def test_faults_count_down_and_can_be_cleared(raw: RawClient, server: DevServer) -> None:
    """Faults apply in the order they were added; `count=None` lasts until cleared."""
    raw.open_run("r")
    first = server.faults.add(Fault("file_stream", status=500, count=2))
    second = server.faults.add(Fault("file_stream", status=503, count=None))
    statuses = [raw.stream({}).status_code for _ in range(4)]
    server.faults.clear()

    assert statuses == [500, 500, 503, 503]
    assert raw.stream({}).status_code == 200
    assert (server.faults.fired(first), server.faults.fired(second), server.faults.fired()) == (2, 2, 4)


def test_fault_applies_to_matching_requests_only(raw: RawClient, server: DevServer) -> None:
    """Kind, operation and target must match."""
    raw.open_run("r")
    raw.open_run("other")
    server.faults.add(Fault("graphql", operation="Nothing", status=500))
    server.faults.add(Fault("file_stream", target="other", status=500))

    assert raw.stream({}).status_code == 200
    assert raw.graphql("query Q { viewer { id } }").status_code == 200
    assert raw.stream({}, run="local/p/other").status_code == 500


def test_faults_and_requests_can_be_awaited(server: DevServer, scripts: Scripts) -> None:
    """After the timeout, the error counts what arrived."""
    fault = server.faults.add(Fault("file_stream", status=500))
    with scripts.start(LOGGING) as process:
        server.faults.wait(fault)
        server.requests.wait("graphql", "UpsertBucket")
        process.communicate()

    with pytest.raises(TimeoutError, match="occurred 1 times"):
        server.faults.wait(fault, count=2, timeout=0.01)
    with pytest.raises(TimeoutError, match="0 requests of graphql Nothing"):
        server.requests.wait("graphql", "Nothing", timeout=0.01)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kind": "graphq"}, "'graphq'"),
        ({"kind": "upload", "operation": "UpsertBucket"}, "'UpsertBucket'"),
        ({"kind": "upload"}, "no effect"),
        ({"kind": "upload", "status": 500, "count": 0}, "count"),
        ({"kind": "upload", "wrong_md5": True}, "wrong_md5"),
    ],
)
def test_ineffective_fault_raises(fields: dict[str, Any], named: str) -> None:
    """A test that relies on it would prove nothing."""
    with pytest.raises(UsageError, match=named):
        Fault(**fields)
