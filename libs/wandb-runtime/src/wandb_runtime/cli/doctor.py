"""`flyte wandb doctor`: run the checks, and print what they found."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text
from wandb_artifacts import InvalidValueError
from wandb_artifacts.client import Client, Connection

from wandb_runtime.cli import local_checks, server_checks
from wandb_runtime.cli.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb_runtime.cli.flyte_api import FlyteCli

_TIMEOUT = 10.0
_MARKS = {"ok": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "dim")}


def examine(*, project: str | None, entity: str | None, host: str | None, flyte: FlyteCli | None, as_json: bool) -> int:
    """Run all checks and print them.

    Returns:
        The exit code: 1 if a check failed.
    """
    console, findings = Console(highlight=False, soft_wrap=True), []
    for finding in _findings(project=project, entity=entity, host=host, flyte=flyte):
        findings.append(finding)
        if not as_json:
            _print(console, finding)
    is_ok = not any(finding.outcome == "failed" for finding in findings)
    if as_json:
        document = {"ok": is_ok, "checks": [asdict(finding) for finding in findings]}
        console.print(json.dumps(document, indent=2), markup=False)
    return 0 if is_ok else 1


def _findings(
    *, project: str | None, entity: str | None, host: str | None, flyte: FlyteCli | None
) -> Iterator[Finding]:
    yield from local_checks.check_versions()
    yield local_checks.check_flyte(flyte)
    yield from local_checks.check_directories()
    yield local_checks.check_certificates()
    try:
        client = Client(Connection(host).resolved(), timeout=_TIMEOUT)
    except InvalidValueError as error:
        # Neither the host nor a proxy is known: no request can be sent.
        yield Finding.failed("connection", str(error), "Correct this setting.")
        return
    yield from server_checks.check_server(client, entity=entity, project=project)


def _print(console: Console, finding: Finding) -> None:
    mark, style = _MARKS[finding.outcome]
    console.print(Text(f"{mark} ", style).append(f"{finding.check}: {finding.text}", ""))
    if finding.advice:
        console.print(Text(f"    {finding.advice}"))
