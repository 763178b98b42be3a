"""The downloads of the command `wandb-artifacts`, for other commands that offer them.

`download_options` are the options; `run_command` ends the process with the exit codes of `wandb-artifacts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import click

from wandb_artifacts._artifact_refs import ArtifactRef
from wandb_artifacts._cli.commands import group, is_artifact, read_artifact_at, read_ref_at, use_host
from wandb_artifacts._cli.main import end, guarded
from wandb_artifacts._download.options import read_project, read_ref
from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._project_refs import ProjectRef
from wandb_artifacts._refs import RunRef, SweepRef

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

__all__ = [
    "Reference",
    "download",
    "download_options",
    "download_project",
    "find_reference",
    "read_project",
    "read_ref",
    "run_command",
    "use_host",
]

Reference: TypeAlias = RunRef | SweepRef | ArtifactRef

_TIMEOUT = 30.0
_FOR_HISTORIES = {"no_history": False, "history_format": "json"}
_FOR_ARTIFACTS = {"no_references": False}
"""Options that have no meaning for other downloads, and their defaults."""


def download_options() -> list[click.Parameter]:
    """Return the options of `wandb-artifacts run` and `artifact`, for a command that downloads either."""
    commands = [group.commands[name] for name in ("run", "artifact")]
    options = [option for command in commands for option in command.params if isinstance(option, click.Option)]
    return list({option.name: option for option in options}.values())


def run_command(work: Callable[[], int], *, as_json: bool) -> NoReturn:
    """Do the work of a command, report an exception in one line, and end the process with the exit code.

    Args:
        work: Returns the exit code.
        as_json: Whether errors are reported as a JSON document too.
    """
    end(guarded(work, wants_json=as_json))


def find_reference(text: str, host: str | None = None, *, deadline: float | None = None) -> Reference | None:
    """Return what a text refers to; None if W&B has neither a run nor a sweep of this id.

    Args:
        text: `entity/project/id` of a run or sweep, `entity/project/name:alias` of an artifact, the URL of a page, or a
            shorter form that WANDB_ENTITY and WANDB_PROJECT complete.
        host: The value of the option --host.
        deadline: The value of the option --deadline.

    Raises:
        InvalidValueError: It is not a reference, or W&B has a run and a sweep of this id.
        DownloadError: W&B could not be read.
    """
    if is_artifact(text):
        return read_artifact_at(text, host)
    if "/sweeps/" in text:
        return read_ref_at(SweepRef, text, host)
    if "://" in text or "/runs/" in text:
        return read_ref_at(RunRef, text, host)
    from wandb_artifacts.client import Client

    client = Client(timeout=min(deadline or _TIMEOUT, _TIMEOUT))
    run, sweep = read_ref_at(RunRef, text, host), read_ref_at(SweepRef, text, host)
    is_run, is_sweep = client.run_state(run) is not None, client.sweep_state(sweep) is not None
    if is_run and is_sweep:
        reason = f"is both a run and a sweep; write {run.url} or {sweep.url}"
        raise InvalidValueError(field="run", value=text, reason=reason)
    return run if is_run else sweep if is_sweep else None


def download(ref: Reference, given: Mapping[str, Any]) -> int:
    """Download a run, a sweep or an artifact, and print the result.

    Args:
        ref: What to download.
        given: `dest`, and the values of `download_options` without the host.

    Returns:
        The exit code.
    """
    from wandb_artifacts._cli.download import download_artifact_to, download_run_to, download_sweep_to

    if isinstance(ref, ArtifactRef):
        return download_artifact_to(ref, **_without(given, _FOR_HISTORIES, "an artifact"))
    if isinstance(ref, SweepRef):
        return download_sweep_to(ref, **_without(given, _FOR_ARTIFACTS, "a sweep"))
    return download_run_to(ref, **_without(given, _FOR_ARTIFACTS, "a run"))


def download_project(ref: ProjectRef, given: Mapping[str, Any], *, filters: Mapping[str, object]) -> int:
    """Download the runs of a project that match W&B's filters; see `download`."""
    from wandb_artifacts._cli.download import download_runs_to

    options = _without(given, _FOR_ARTIFACTS, "a run")
    return download_runs_to(ref, dry_run=False, filters=dict(filters), **options)


def _without(given: Mapping[str, Any], defaults: Mapping[str, object], what: str) -> dict[str, Any]:
    """Return options without those of another kind of download.

    Raises:
        UsageError: One of these was given.
    """
    for name, default in defaults.items():
        if given[name] != default:
            option = f"--{name.replace('_', '-')}"
            msg = f"{option} has no meaning for {what}; omit it"
            raise click.UsageError(msg)
    return {name: value for name, value in given.items() if name not in defaults}
