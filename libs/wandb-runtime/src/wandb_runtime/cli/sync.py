"""`flyte wandb sync`: deliver the run directories that a Flyte run has stored to W&B."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
import wandb
from flyte.io import Dir
from rich.console import Console
from wandb_artifacts import RunRef, WandbPluginError
from wandb_artifacts.client import Client, Connection

from wandb_runtime.cli.stored_runs import StoredRun, find_stored_runs
from wandb_runtime.lifecycle.delivery import find_problem
from wandb_runtime.server.references import parse_reference

if TYPE_CHECKING:
    from wandb_runtime.cli.flyte_api import FlyteCli

_TIMEOUT = 30.0
_RECEIPTS = "flyte-sync"
_RECEIPT = """
query SyncReceipt($entity: String!, $project: String!, $run: String!, $names: [String]!) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { files(names: $names, first: 1) { edges { node { name sizeBytes } } } }
  }
}
"""


def deliver(run: str, action: str | None, *, host: str | None, flyte: FlyteCli) -> None:
    """Deliver the stored directories of a Flyte run, or of one of its actions, in the order of attempts.

    Raises:
        ClickException: A directory was not delivered. Those after it are not sent, since they continue its run.
    """
    console = Console(highlight=False, soft_wrap=True)
    flyte.init()
    try:
        stored = find_stored_runs(run, action)
    except Exception as error:
        advice = "Check its name, and Flyte's configuration (endpoint, project, domain)"
        msg = f"Cannot read Flyte run {run} ({type(error).__name__}: {error}). {advice}"
        raise click.ClickException(msg) from error
    if not stored:
        console.print(f"Flyte run {run} has stored no W&B run: there is nothing to deliver", markup=False)
    for each in stored:
        if (reason := _cannot_deliver(each)) is not None:
            console.print(f"{each}: skipped. {reason}", markup=False)
            continue
        try:
            result = _deliver(each, Connection(host or each.host))
        except (WandbPluginError, OSError, wandb.errors.Error) as error:
            msg = f"Cannot deliver {each}: {error}. The same command continues with it"
            raise click.ClickException(msg) from error
        console.print(f"{each}: {result}", markup=False)


def _cannot_deliver(stored: StoredRun) -> str | None:
    """Return why a directory cannot be delivered, and what to do about it; None for one that can."""
    if not stored.uri:
        return f"Its directory was not stored, because trace {stored.trace} failed; Flyte has its error"
    if stored.host is not None:
        return None
    command = shlex.join(["wandb", *stored.sync_arguments(stored.directory)])
    why = "It was stored while the run was open, or by an older version, without the server that it is for"
    return f"{why}. If W&B lacks the run, download {stored.uri} and run `{command}` beside it"


def _deliver(stored: StoredRun, connection: Connection) -> str:
    ref = parse_reference(RunRef, "run", stored.run, (), connection)
    ref = RunRef(ref.entity, ref.project, stored.synced_id or ref.id, host=connection.host)
    if _is_delivered(stored, ref, connection):
        return f"was already delivered to {ref.url}"
    with tempfile.TemporaryDirectory(prefix="flyte-wandb-sync-") as folder:
        directory = Path(folder, stored.directory)
        Dir.from_existing_remote(stored.uri).download_sync(directory)
        _upload(stored, directory, connection)
        if problem := find_problem(ref, connection, str(directory)):
            raise OSError(problem)
        _leave_receipt(stored, ref, connection, Path(folder))
    return f"delivered to {ref.url}"


def _upload(stored: StoredRun, directory: Path, connection: Connection) -> None:
    """Run `wandb sync` in the parent of a directory, to which the paths of its artifacts are relative."""
    command = [sys.executable, "-m", "wandb", *stored.sync_arguments(directory.name)]
    env = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
    env["WANDB_BASE_URL"] = connection.host or ""
    done = subprocess.run(command, cwd=directory.parent, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        last = " ".join((done.stdout + done.stderr).split())[-300:]
        msg = f"`{shlex.join(command[2:])}` failed ({done.returncode}): {last}"
        raise OSError(msg)


def _is_delivered(stored: StoredRun, ref: RunRef, connection: Connection) -> bool:
    variables = {"entity": ref.entity, "project": ref.project, "run": ref.id, "names": [_receipt_name(stored)]}
    found = Client(connection, timeout=_TIMEOUT).execute(_RECEIPT, variables, what=f"the files of run {ref}")
    files = ((found.get("project") or {}).get("run") or {}).get("files") or {}
    return any(int(edge["node"]["sizeBytes"] or 0) for edge in files.get("edges", ()))


def _receipt_name(stored: StoredRun) -> str:
    return f"{_RECEIPTS}/{stored.flyte_run}-{stored.trace}.json"


def _leave_receipt(stored: StoredRun, ref: RunRef, connection: Connection, folder: Path) -> None:
    """Upload a file to the run by which the next call sees that a directory has been delivered."""
    receipt = folder / _receipt_name(stored)
    receipt.parent.mkdir()
    content = {"run": stored.flyte_run, "action": stored.action, "attempt": stored.attempt, "directory": stored.uri}
    receipt.write_text(json.dumps(content, indent=2))
    api = wandb.Api(overrides={"base_url": connection.host or ""})
    api.run(f"{ref.entity}/{ref.project}/{ref.id}").upload_file(str(receipt), root=str(folder))
