"""`wandb-artifacts ls`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wandb_artifacts._cli import output
from wandb_artifacts._cli.messages import Exit
from wandb_artifacts._cli.output import put, put_json
from wandb_artifacts._cli.signals import run
from wandb_artifacts._client.api import Api
from wandb_artifacts._client.remote import RemoteFile, RemoteRun
from wandb_artifacts._download.call import is_sweep
from wandb_artifacts._download.options import Ref
from wandb_artifacts._errors import NotFoundError
from wandb_artifacts._refs import DEFAULT_HOST, RunRef, SweepRef

_JOBS = 2


def list_run(ref: RunRef, *, as_json: bool) -> int:
    """List the files of a run. If W&B has a sweep of this id and no such run, list that."""
    listed = run(lambda: _run(ref))
    if listed is None:
        return list_sweep(SweepRef(ref.entity, ref.project, ref.id, ref.host), as_json=as_json)
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


def list_project(entity: str, project: str, host: str | None, *, as_json: bool) -> int:
    """List the runs of a project."""
    ids = run(lambda: _project(entity, project, host))
    if as_json:
        put_json({"entity": entity, "project": project, "runs": ids})
    else:
        put("\n".join(["RUN", *map(output.printable, ids)]))
    return Exit.COMPLETE


async def _project(entity: str, project: str, host: str | None) -> list[str]:
    async with await Api.open(host, jobs=_JOBS) as api:
        return await api.run_ids(entity, project)


async def _run(ref: RunRef) -> tuple[RemoteRun, list[RemoteFile]] | None:
    async with await Api.open(ref.host, jobs=_JOBS) as api:
        try:
            found = await api.run(_at(ref, api.host))
        except NotFoundError as error:
            if not error.is_absent:
                raise
            if await is_sweep(api, ref):
                return None
            advice = "'wandb-artifacts ls ENTITY/PROJECT' lists the runs of a project"
            msg = f"W&B has neither a run nor a sweep {ref}; {advice}"
            raise NotFoundError(msg) from None
        return found, sorted(await api.files(found), key=lambda file: file.name)


async def _sweep(ref: SweepRef) -> tuple[str, list[RemoteRun]]:
    state, runs = "", list[RemoteRun]()
    async with await Api.open(ref.host, jobs=_JOBS) as api:
        async for state, page in api.runs(_at(ref, api.host)):  # noqa: B007
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
