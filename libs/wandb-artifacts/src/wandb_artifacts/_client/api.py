"""`Api`: a session with one W&B server, and what its responses say of runs, sweeps and files."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._client import queries
from wandb_artifacts._client.http import Http, error_for, open_http
from wandb_artifacts._client.options import ClientOptions, current_options
from wandb_artifacts._client.pages import Node, Page, iterate_pages, read_page
from wandb_artifacts._client.retry import Retrier
from wandb_artifacts._errors import ServerAnswerError
from wandb_artifacts._refs import RunRef, SweepRef

if TYPE_CHECKING:
    import aiohttp
    from typing_extensions import Self

_LARGE = 256 * 1024
"""Bytes; a larger response is parsed in a thread, so that the loop keeps reading others meanwhile."""

_Object: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class RemoteFile:
    """A file of a run at W&B."""

    name: str
    size: int | None
    """Bytes; None if W&B does not report it."""
    md5: bytes | None
    """The digest; None if W&B does not report it."""
    url: str
    """May carry a signature: never shown."""
    updated_at: str | None = None


@dataclass(frozen=True)
class RemoteRun:
    """A run at W&B."""

    ref: RunRef
    state: str
    summary: str
    """JSON, as W&B stores it: may contain NaN as a bare word."""
    last_step: int
    """-1 if nothing was logged, or W&B does not report it."""
    line_count: int | None
    heartbeat_at: str | None
    files: tuple[RemoteFile, ...]
    """The first page of them; all, if `more_files` is None."""
    more_files: str | None
    """The cursor of the next page."""


class Api:
    """A session with one W&B server, for one event loop. Retries transient failures.

    Its methods raise AuthenticationError, AccessDeniedError, NotFoundError, ServerUnavailableError and
    ServerAnswerError.
    """

    def __init__(self, http: Http, options: ClientOptions | None = None) -> None:
        options = options or current_options()
        self._http = http
        self._pages = options.pages
        self.retry = Retrier(options.retry)

    @classmethod
    async def open(cls, host: str | None, *, jobs: int) -> Self:
        """Open a session; nothing is sent yet.

        Args:
            host: The API base URL; None for that of the current connection.
            jobs: How many connections it may have.
        """
        options = current_options()
        return cls(await open_http(host, options.connection, jobs=jobs), options)

    @property
    def host(self) -> str:
        """The API base URL."""
        return self._http.host

    async def close(self) -> None:
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(self, ref: RunRef) -> RemoteRun:
        """Fetch a run with its first files."""
        what = f"run {ref}"
        project = await self._project(queries.RUN, what, _variables(ref, run=ref.id, fileLimit=self._pages.files))
        return _read_run(ref, _child(project, "run", what), what)

    async def files(self, run: RemoteRun) -> list[RemoteFile]:
        """Fetch all files of a run."""
        what = f"the files of run {run.ref}"

        async def fetch(cursor: str | None) -> Page:
            variables = _variables(run.ref, run=run.ref.id, fileLimit=self._pages.files, fileCursor=cursor)
            found = _child(await self._project(queries.RUN_FILES, what, variables), "run", what)
            return read_page(found.get("files"), what)

        files = list(run.files)
        async for nodes in iterate_pages(fetch, what=what, first=Page([], run.more_files)):
            files += map(_read_file, nodes)
        # A file that is added between two pages can move another one to the next page.
        return list({file.name: file for file in files}.values())

    async def file(self, ref: RunRef, name: str, *, retries: bool = True) -> RemoteFile:
        """Fetch the current details of one file, with a new URL.

        Args:
            ref: The run.
            name: The file.
            retries: False within an attempt that is retried as a whole.
        """
        what = f"file {name!r} of run {ref}"
        variables = _variables(ref, run=ref.id, fileNames=[name])
        found = _child(await self._project(queries.FILE, what, variables, retries=retries), "run", what)
        edges = (found.get("files") or {}).get("edges") or ()
        for file in (_read_file(edge["node"]) for edge in edges if edge and edge.get("node")):
            if file.name == name:
                return file
        raise error_for(404, what)

    def is_own(self, file: RemoteFile) -> bool:
        """Return whether the W&B server itself serves the file, so that a refusal is about the key."""
        return self._http.is_own(file.url)

    async def sweep_state(self, ref: SweepRef) -> str:
        what = f"sweep {ref}"
        project = await self._project(queries.SWEEP, what, _variables(ref, sweep=ref.id))
        return str(_child(project, "sweep", what)["state"])

    async def runs(self, ref: SweepRef) -> AsyncIterator[tuple[str, list[RemoteRun]]]:
        """Yield the runs of a sweep by pages, in the order of creation; with each page, the state of the sweep."""
        what, state = f"sweep {ref}", ""

        async def fetch(cursor: str | None) -> Page:
            nonlocal state
            variables = _variables(
                ref,
                sweep=ref.id,
                filters=json.dumps({"$and": [{"sweep": ref.id}]}),
                first=self._pages.runs,
                after=cursor,
                fileLimit=self._pages.sweep_files,
            )
            project = await self._project(queries.SWEEP_RUNS, what, variables)
            state = str(_child(project, "sweep", what)["state"])
            return read_page(project.get("runs"), f"the runs of {what}")

        async for nodes in iterate_pages(fetch, what=f"the runs of {what}"):
            refs = (RunRef(ref.entity, ref.project, node["name"], ref.host) for node in nodes)
            yield state, [_read_run(run, node, f"run {run}") for run, node in zip(refs, nodes, strict=True)]

    async def project_names(self, entity: str, *, limit: int | None = None) -> list[str]:
        """Fetch the names of an entity's projects: all, or so many."""
        variables = {"entity": entity}
        return await self._names(queries.PROJECTS, ("models",), f"the projects of {entity}", variables, limit)

    async def run_ids(self, entity: str, project: str, *, limit: int | None = None) -> list[str]:
        """Fetch the ids of a project's runs: all, or so many."""
        variables = {"entity": entity, "project": project}
        what = f"the runs of {entity}/{project}"
        return await self._names(queries.RUNS, ("project", "runs"), what, variables, limit)

    async def _names(
        self, document: str, fields: tuple[str, ...], what: str, variables: Mapping[str, str], limit: int | None
    ) -> list[str]:
        async def fetch(cursor: str | None) -> Page:
            wanted = {**variables, "cursor": cursor, "perPage": limit or self._pages.names}
            found: Any = await self.execute(document, wanted, what=what)
            for field in fields:
                found = found.get(field)
                if found is None:
                    # W&B reports an unknown entity or project as null.
                    raise error_for(404, what)
            return read_page(found, what)

        names: dict[str, None] = {}
        async for nodes in iterate_pages(fetch, what=what):
            names.update((node["name"], None) for node in nodes)
            if limit:
                break
        return list(names)

    async def page(self, ref: RunRef, first: int, end: int, samples: int) -> list[str]:
        """Fetch rows of a run's history: see HistorySource."""
        what = f"the history of run {ref}"
        variables = _variables(ref, run=ref.id, minStep=first, maxStep=end, pageSize=samples)
        rows = _child(await self._project(queries.HISTORY_PAGE, what, variables), "run", what)["history"]
        return list(rows or ())

    @contextlib.asynccontextmanager
    async def get(
        self, ref: RunRef, file: RemoteFile, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Make one attempt to fetch a file. The server may ignore the range: check the status."""
        what = f"file {file.name!r} of run {ref}"
        async with self._http.get_file(file.url, start=start, end=end, what=what) as response:
            yield response

    async def execute(
        self,
        document: str,
        variables: Mapping[str, object],
        *,
        what: str,
        retries: bool = True,
        is_repeatable: bool = True,
        attempt_timeout: float | None = None,
    ) -> _Object:
        """Send a GraphQL request and return the `data` of the response.

        Args:
            document: The GraphQL document.
            variables: Its variables.
            what: What is requested, for errors.
            retries: Whether to retry transient failures.
            is_repeatable: Whether a request may be sent again after its response may have been lost.
            attempt_timeout: Seconds that each attempt may take.
        """

        async def attempt() -> bytes:
            body = {"query": document, "variables": dict(variables)}
            return await self._http.post_json("graphql", body, what=what, timeout=attempt_timeout)

        body = await (self.retry(attempt, what=what, is_repeatable=is_repeatable) if retries else attempt())
        response = await to_thread(_parse, body, what) if len(body) > _LARGE else _parse(body, what)
        if errors := response.get("errors"):
            raise self._refusal(errors, what)
        data = response.get("data")
        return data if isinstance(data, dict) else {}

    async def _project(
        self, document: str, what: str, variables: Mapping[str, object], *, retries: bool = True
    ) -> _Object:
        """Send a GraphQL request and return its `project`."""
        return _child(await self.execute(document, variables, what=what, retries=retries), "project", what)

    def _refusal(self, errors: object, what: str) -> Exception:
        entries = errors if isinstance(errors, list) else [errors]
        messages = [str(entry.get("message")) if isinstance(entry, dict) else str(entry) for entry in entries]
        text = self._http.redact("; ".join(messages)[:300])
        if "not found" in text.lower() or "could not find" in text.lower():
            return error_for(404, what, text)
        if "permission" in text.lower() or "access denied" in text.lower():
            return error_for(403, what, text)
        return ServerAnswerError(f"{what}: W&B refused the request ({text})")


def _variables(ref: RunRef | SweepRef, **more: object) -> dict[str, object]:
    return {"entity": ref.entity, "project": ref.project, **more}


def _parse(body: bytes, what: str) -> _Object:
    try:
        response = json.loads(body)
    except ValueError:
        response = None
    if not isinstance(response, dict):
        msg = f"{what}: the response is not W&B's; check WANDB_BASE_URL"
        raise ServerAnswerError(msg)
    return response


def _child(parent: _Object, field: str, what: str) -> _Object:
    """Return an object of a response; null means that it does not exist."""
    found = parent.get(field)
    if not isinstance(found, dict):
        raise error_for(404, what)
    return found


def _read_run(ref: RunRef, node: Node, what: str) -> RemoteRun:
    page = read_page(node.get("files"), f"the files of {what}")
    keys = node.get("historyKeys")
    last_step = keys.get("lastStep") if isinstance(keys, dict) else None
    return RemoteRun(
        ref=ref,
        state=str(node["state"]),
        summary=node.get("summaryMetrics") or "{}",
        last_step=last_step if isinstance(last_step, int) else -1,
        line_count=node.get("historyLineCount"),
        heartbeat_at=node.get("heartbeatAt"),
        files=tuple(map(_read_file, page.nodes)),
        more_files=page.next_cursor,
    )


def _read_file(node: Node) -> RemoteFile:
    size = node.get("sizeBytes")
    return RemoteFile(
        name=node["name"],
        size=None if size is None else int(size),
        md5=_read_digest(node.get("md5")),
        url=node.get("url") or "",
        updated_at=node.get("updatedAt"),
    )


def _read_digest(text: str | None) -> bytes | None:
    """Decode an MD5 digest, which W&B encodes in base64; None if it is not one."""
    try:
        found = base64.b64decode(text or "", validate=True)
    except binascii.Error:
        return None
    return found if len(found) == 16 else None
