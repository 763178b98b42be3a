"""`wandb-artifacts ls`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wandb_artifacts._artifact_refs import ArtifactRef
from wandb_artifacts._asyncio import started
from wandb_artifacts._cli import output
from wandb_artifacts._cli.list_artifacts import list_artifact
from wandb_artifacts._cli.messages import Exit
from wandb_artifacts._cli.output import put, put_json
from wandb_artifacts._cli.signals import run
from wandb_artifacts._client.api import Api
from wandb_artifacts._client.remote import RemoteFile, RemoteRun
from wandb_artifacts._download.options import Ref
from wandb_artifacts._download.other_kinds import LISTED, existing, find_other
from wandb_artifacts._errors import NotFoundError
from wandb_artifacts._refs import DEFAULT_HOST, RunRef, SweepRef

if TYPE_CHECKING:
    from wandb_artifacts._project_refs import ProjectRef

_JOBS = 2


def list_run(ref: RunRef, *, as_json: bool) -> int:
    """List the files of a run. If W&B has no such run, but a sweep or an artifact, list that."""
    listed = run(lambda: _run(ref))
    if isinstance(listed, SweepRef):
        return list_sweep(listed, as_json=as_json)
    if isinstance(listed, ArtifactRef):
        return list_artifact(listed, as_json=as_json)
    found, files = listed
    if as_json:
        put_json({**_run_values(found), "files": [_file_values(file) for file in files]})
    else:
        put(_files_table(files))
    return Exit.COMPLETE


def list_sweep(ref: SweepRef, *, as_json: bool) -> int:
    state, runs = run(lambda: _sweep(ref))
    if as_json:
        put_json({"sweep": _ref_values(ref), "state": state, "runs": [_run_values(each) for each in runs]})
    else:
        put(_runs_table(runs))
    return Exit.COMPLETE


def list_project(ref: ProjectRef, *, as_json: bool) -> int:
    """List the runs of a project."""
    ids = run(lambda: _project(ref))
    if as_json:
        put_json({"entity": ref.entity, "project": ref.project, "runs": ids})
    else:
        put("\n".join(["RUN", *map(output.printable, ids)]))
    return Exit.COMPLETE


async def _project(ref: ProjectRef) -> list[str]:
    async with await Api.open(ref.host, jobs=_JOBS) as api:
        return await existing(api, ref, api.run_ids(ref.entity, ref.project))


async def _run(ref: RunRef) -> tuple[RemoteRun, list[RemoteFile]] | SweepRef | ArtifactRef:
    async with await Api.open(ref.host, jobs=_JOBS) as api:
        try:
            found = await api.run(_at(ref, api.host))
        except NotFoundError as error:
            if not error.is_absent:
                raise
            other = await find_other(api, ref)
            if isinstance(other, (SweepRef, ArtifactRef)):
                return other
            advice = "'wandb-artifacts ls ENTITY/PROJECT' lists the runs of a project"
            msg = f"W&B has neither a run nor a sweep or artifact {ref}; {advice}"
            raise NotFoundError(msg) from None
        return found, sorted(await api.files(found), key=lambda file: file.name)


async def _sweep(ref: SweepRef) -> tuple[str, list[RemoteRun]]:
    state, runs = "", list[RemoteRun]()
    async with await Api.open(ref.host, jobs=_JOBS) as api:
        at = _at(ref, api.host)
        async for state, page in await existing(api, at, started(api.runs(at)), LISTED):  # noqa: B007
            runs += page
    return state, runs


def _at(ref: Ref, host: str) -> Ref:
    """Return the reference with the host of the server, as in results of downloads."""
    return replace(ref, host=None if host == DEFAULT_HOST else host)


def _ref_values(ref: RunRef | SweepRef) -> dict[str, Any]:
    return {"entity": ref.entity, "project": ref.project, "id": ref.id, "host": ref.host}


def _run_values(found: RemoteRun) -> dict[str, Any]:
    return {
        "run": _ref_values(found.ref),
        "state": found.state,
        "rows": found.line_count,
        "last_step": found.last_step if found.last_step >= 0 else None,
        "heartbeat_at": found.heartbeat_at,
    }


def _file_values(file: RemoteFile) -> dict[str, Any]:
    # Without the URL, which may be signed.
    md5 = None if file.md5 is None else file.md5.hex()
    return {"name": file.name, "size": file.size, "md5": md5, "updated_at": file.updated_at}


def _files_table(files: list[RemoteFile]) -> str:
    rows = [
        (
            "-" if file.size is None else output.size(file.size),
            output.time(file.updated_at),
            output.printable(file.name),
        )
        for file in files
    ]
    return output.table(("SIZE", "UPDATED (UTC)", "NAME"), rows, right=frozenset({0}))


def _runs_table(runs: list[RemoteRun]) -> str:
    rows = [
        (
            output.printable(found.state),
            "-" if found.line_count is None else f"{found.line_count:,}",
            f"{len(found.files):,}{'+' if found.more_files else ''}",
            output.time(found.heartbeat_at),
            output.printable(found.ref.id),
        )
        for found in runs
    ]
    return output.table(("STATE", "ROWS", "FILES", "HEARTBEAT (UTC)", "RUN"), rows, right=frozenset({1, 2}))
