"""Files that a download makes of what W&B knows of a run: its identity, its config and its summary."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from wandb_artifacts._client.responses import read_config
from wandb_artifacts._errors import ServerAnswerError
from wandb_artifacts._json import dump, to_strict

if TYPE_CHECKING:
    from wandb_artifacts._client.remote import RemoteRun
    from wandb_artifacts._destination.base import Target

SUMMARY = "summary.json"
CONFIG = "config.json"
IDENTITY = "run.json"
CONSOLE = "output.log"
_CONSOLE_FILE = re.compile(r"output.*\.log", re.IGNORECASE)
METADATA = "wandb-metadata.json"
"""The SDK's file about the machine of a run."""


def has_console_file(names: Iterable[str]) -> bool:
    """Return whether a run has a file with its console output: of several writers, each has one, with a suffix."""
    return any(_CONSOLE_FILE.fullmatch(name) for name in names)


def summary_json(run: RemoteRun) -> bytes:
    """Return the contents of `summary.json`.

    Raises:
        ServerAnswerError: The summary is not JSON.
    """
    return _encode(_parse(run.summary, "the summary"), "the summary")


def config_json(run: RemoteRun) -> bytes:
    """Return the contents of `config.json`: values by key.

    Raises:
        ServerAnswerError: The config is not a JSON object.
    """
    return _encode(read_config(run.config, f"run {run.ref}"), "the config")


def identity_json(run: RemoteRun, metadata: bytes | None) -> bytes:
    """Return the contents of `run.json`.

    Args:
        run: The run.
        metadata: The contents of `wandb-metadata.json`, if the run has one.

    Raises:
        ServerAnswerError: The config is not a JSON object.
    """
    document = {
        "entity": run.ref.entity,
        "project": run.ref.project,
        **facts(run),
        "notes": run.notes,
        # W&B's API returns no exit code; only that of a finished run is known.
        "exit_code": 0 if run.state == "finished" else None,
        "host": _host(metadata),
        "config": read_config(run.config, f"run {run.ref}"),
        "url": run.ref.url,
    }
    return _encode(document, "the config")


def facts(run: RemoteRun) -> dict[str, object]:
    """Return the facts about a run that `run.json` and the index of a project have in common."""
    return {
        "id": run.ref.id,
        "name": run.name,
        "state": run.state,
        "created_at": run.created_at,
        "updated_at": run.heartbeat_at,
        "user": run.user,
        "tags": list(run.tags),
        "group": run.group,
        "job_type": run.job_type,
        "sweep": run.sweep,
    }


def preserve(target: Target, name: str) -> str | None:
    """Copy a file that is about to be replaced, if it exists, and return the path of the copy."""
    data = target.read(name)
    if data is None:
        return None
    path = PurePosixPath(name)
    copy = f"{path.stem}.preserved-{hashlib.sha256(data).hexdigest()[:8]}{path.suffix}"
    target.write(copy, data)
    return copy


def _host(metadata: bytes | None) -> str | None:
    try:
        found = json.loads(metadata or b"{}")
    except (ValueError, RecursionError):
        return None
    host = found.get("host") if isinstance(found, dict) else None
    return host if isinstance(host, str) else None


def _parse(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid(what) from None


def _encode(document: object, what: str) -> bytes:
    try:
        return dump(to_strict(document), indent=2) + b"\n"
    except (ValueError, RecursionError):
        raise _invalid(what) from None


def _invalid(what: str) -> ServerAnswerError:
    return ServerAnswerError(f"W&B returned {what} in a form that is not JSON, or nested too deeply")
