"""`flyte wandb doctor`: each check fails for its cause, says what to do, and shows no secret."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from click.testing import CliRunner
from wandb_devserver import DevServer, Fault
from wandb_runtime.cli.main import wandb

from tests.support.forward_proxy import ForwardProxy
from tests.wandb_runtime.cli.scripted_server import Script, serve

PROJECT = ("--project", "p")


def examine(*options: str) -> dict[str, dict[str, Any]]:
    """Run the doctor; return its checks by name. Exit code and `ok` agree with them."""
    result = CliRunner().invoke(wandb, ["doctor", "--json", *options], catch_exceptions=False)
    document = json.loads(result.stdout)
    checks = {check["check"]: check for check in document["checks"]}
    has_failed = any(check["outcome"] == "failed" for check in checks.values())
    assert (document["ok"], result.exit_code) == (not has_failed, int(has_failed)), result.stdout
    return checks


def failure(name: str, *options: str) -> str:
    """Run the doctor, which finds one check to fail; return its text and advice."""
    checks = examine(*options)
    assert [check["check"] for check in checks.values() if check["outcome"] == "failed"] == [name], checks
    assert checks[name]["advice"]
    return f"{checks[name]['text']} {checks[name]['advice']}"


def outcomes(checks: dict[str, dict[str, Any]], *names: str) -> list[str]:
    return [checks[name]["outcome"] for name in names]


def test_everything_is_ok(server: DevServer) -> None:
    """Each check has passed, and names what it has found."""
    checks = examine(*PROJECT)

    assert {check["outcome"] for check in checks.values()} == {"ok"}
    assert server.url in checks["host"]["text"]
    assert checks["key found"]["text"] == "API key in WANDB_API_KEY"
    assert "owner local, default entity local" in checks["key accepted"]["text"]
    assert "local/p does not exist yet" in checks["project"]["text"]
    assert "supported" in checks["wandb"]["text"]
    assert server.runs() == []


def test_lines_have_marks_and_advice(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --json, each check is a line, followed by what to do."""
    monkeypatch.delenv("WANDB_API_KEY")
    result = CliRunner().invoke(wandb, ["doctor"], catch_exceptions=False)

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert f"✓ host: {server.url} responded in " in result.stdout
    (index,) = (index for index, line in enumerate(lines) if line.startswith("✗ key found: No W&B API key for"))
    assert lines[index + 1].startswith("    In Flyte, give the task's environment secrets=flyte.Secret(")
    assert "- project: not checked: there is no API key" in lines


def test_missing_key_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    assert "set WANDB_API_KEY, or run 'wandb login'" in failure("key found")


def test_key_of_netrc_is_found(server: DevServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    line = f"machine {urlsplit(server.url).netloc} login user password {server.api_key}\n"
    (tmp_path / "netrc").write_text(line)

    checks = examine(*PROJECT)

    assert checks["key found"]["text"] == f"API key in {tmp_path / 'netrc'}"
    assert outcomes(checks, "key accepted", "project") == ["ok", "ok"]


def test_wrong_key_fails_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "w" * 40)
    found = failure("key accepted", *PROJECT)

    assert "refuses the API key (401). Check that WANDB_API_KEY is complete" in found
    assert "w" * 40 not in json.dumps(examine())


def test_unresolvable_host_fails() -> None:
    found = failure("host", "--host", "http://wandb.invalid")
    assert "no connection to the server wandb.invalid" in found
    assert "Check the host" in found
    assert "HTTP_PROXY" in found


def test_host_without_wandb_fails() -> None:
    """It responds to every request with 404."""
    with serve(Script(status=404, body=b"no such page")) as url:
        found = failure("key accepted", "--host", url)

    assert "refuses every request (404)" in found
    assert "is it a W&B server" in found


def test_invalid_host_fails() -> None:
    assert "Correct this setting" in failure("connection", "--host", "ftp://wandb.test")


def test_server_that_is_down_fails() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        checks = examine("--host", f"http://127.0.0.1:{taken.getsockname()[1]}")

    assert outcomes(checks, "host", "clock", "key accepted", "project") == ["failed", *["skipped"] * 3]
    assert "Nothing listens there" in checks["host"]["advice"]


def test_failing_server_fails() -> None:
    with serve(Script(status=503, body=b"")) as url:
        assert "responded with 503" in failure("host", "--host", url)


def test_host_behind_a_proxy_needs_the_proxy(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the proxy resolves it. The password of the proxy is not shown."""
    host = ("--host", "http://wandb.test")
    with serve(Script()) as url, ForwardProxy({"wandb.test": target(url)}, "user:password") as proxy:
        assert "Where a proxy is needed, set HTTPS_PROXY" in failure("host", *host)

        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert "the proxy refuses the request" in failure("host", *host)

        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:password@"))
        checks = examine(*host, *PROJECT)

    assert {check["outcome"] for check in checks.values()} == {"ok"}
    assert checks["proxy"]["text"] == f"requests go through {proxy.url}"
    assert "password" not in json.dumps(checks)


def target(url: str) -> tuple[str, int]:
    return "127.0.0.1", urlsplit(url).port or 0


def test_unknown_certificate_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with serve(Script(tls=tls)) as url:
        assert "is not trusted; set SSL_CERT_FILE" in failure("host", "--host", url)

        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert examine("--host", url)["host"]["outcome"] == "ok"


def test_missing_certificate_file_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    assert "SSL_CERT_FILE names /nowhere/ca.pem" in failure("certificates")


@pytest.mark.parametrize(("ahead", "words"), [(3600, "s behind the server's"), (-3600, "s ahead of the server's")])
def test_clock_off_by_an_hour_fails(ahead: float, words: str) -> None:
    with serve(Script(ahead=ahead)) as url:
        found = failure("clock", "--host", url, *PROJECT)

    assert words in found
    assert "NTP" in found


@pytest.mark.parametrize(
    ("variable", "check"),
    [
        ("WANDB_DIR", "run directory"),
        ("WANDB_DATA_DIR", "artifact staging"),
        ("WANDB_CACHE_DIR", "artifact cache"),
    ],
)
def test_unwritable_directory_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, check: str) -> None:
    """No user, not even root, can create a directory below a file."""
    (tmp_path / "file").touch()
    monkeypatch.setenv(variable, str(tmp_path / "file" / "folder"))

    found = failure(check)

    assert f"{tmp_path / 'file' / 'folder'} is not writable" in found
    assert f"set {variable}" in found


def test_directories_are_not_created(tmp_path: Path) -> None:
    examine()
    assert list(tmp_path.iterdir()) == []


def test_read_only_project_fails() -> None:
    with serve(Script(is_read_only=True)) as url:
        found = failure("project", "--host", url, *PROJECT)

    assert "ada/p is read-only for ada" in found
    assert "the key's owner may write to the project" in found


def test_project_of_another_entity_fails() -> None:
    """W&B does not distinguish a project that is hidden from one that does not exist."""
    found = failure("project", "--entity", "others", *PROJECT)
    assert "is hidden from local, who is not a member of others" in found


def test_refused_project_fails(server: DevServer) -> None:
    server.faults.add(Fault("graphql", operation="DoctorProject", status=403))
    assert "refuses project 'p' of entity 'local'" in failure("project", *PROJECT)


def test_project_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examine()["project"]["outcome"] == "skipped"

    monkeypatch.setenv("WANDB_PROJECT", "from-environment")
    assert "local/from-environment" in examine()["project"]["text"]
