"""`Api`: a session with one W&B server, for the requests about runs, sweeps and projects."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._client import queries, responses
from wandb_artifacts._client.http import Http, RequestRefusedError, error_for, open_http
from wandb_artifacts._client.options import ClientOptions, current_options
from wandb_artifacts._client.pages import Fitting, Page, iterate_pages, to_page
from wandb_artifacts._client.remote import HistoryExports, RemoteFile, RemoteRun
from wandb_artifacts._client.responses import OfProject, OfRun, invalid, read, read_json
from wandb_artifacts._client.retry import Retrier
from wandb_artifacts._errors import DownloadError, InvalidValueError, NotFoundError, ServerAnswerError
from wandb_artifacts._project_refs import ProjectRef
from wandb_artifacts._refs import RunRef, SweepRef

if TYPE_CHECKING:
    import aiohttp
    from typing_extensions import Self


_LARGE = 256 * 1024
"""Bytes; a larger response is parsed in a thread, so that the loop keeps reading others meanwhile."""

_EXPORT_BUFFER = 128 * 1024
"""Bytes: many files of exported history arrive at once, and must fit in the memory."""

T = TypeVar("T")


class Api:
    """A session with one W&B server, for one event loop. Retries transient failures.

    Its methods raise AuthenticationError, AccessDeniedError, NotFoundError, ServerUnavailableError and
    ServerAnswerError.
    """

    def __init__(self, http: Http, options: ClientOptions | None = None) -> None:
        options = options or current_options()
        self._http = http
        self._pages = options.pages
        self._has_exports: bool | None = None
        self._first_exports = asyncio.Lock()
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
    def files_of_each(self) -> int:
        """How many files a list of runs has of each run."""
        return self._pages.files_of_each

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
        variables = _variables(ref, run=ref.id, fileLimit=self._pages.files)
        return RemoteRun.of(ref, await self._run(OfRun[responses.Run], queries.RUN, what, variables))

    async def has_run(self, ref: RunRef) -> bool:
        """Return whether a run exists; True unless W&B clearly reports that it does not."""
        try:
            await self._run(OfRun[responses.RunState], queries.RUN_STATE, f"run {ref}", _variables(ref, run=ref.id))
        except NotFoundError as error:
            return not error.is_absent
        except DownloadError:
            return True
        return True

    async def files(self, run: RemoteRun) -> list[RemoteFile]:
        """Fetch all files of a run."""
        what = f"the files of run {run.ref}"

        async def fetch(cursor: str | None) -> Page[responses.File]:
            variables = _variables(run.ref, run=run.ref.id, fileLimit=self._pages.files, fileCursor=cursor)
            return to_page((await self._run(OfRun[responses.RunFiles], queries.RUN_FILES, what, variables)).files, what)

        files = list(run.files)
        async for nodes in iterate_pages(fetch, what=what, first=Page([], run.more_files)):
            files += map(RemoteFile.of, nodes)
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
        found = await self._run(OfRun[responses.RunFiles], queries.FILE, what, variables, retries=retries)
        for edge in found.files.edges:
            if edge.node.name == name:
                return RemoteFile.of(edge.node)
        raise error_for(404, what)

    def is_own(self, url: str) -> bool:
        """Return whether the W&B server itself serves the file, so that a refusal is about the key."""
        return self._http.is_own(url)

    async def sweep_state(self, ref: SweepRef) -> str:
        what = f"sweep {ref}"
        variables = _variables(ref, sweep=ref.id)
        project = await self._project(OfProject[responses.ProjectWithSweep], queries.SWEEP, what, variables)
        return _existing(project.sweep, what).state

    async def runs(self, ref: SweepRef, *, outlines: bool = False) -> AsyncIterator[tuple[str, list[RemoteRun]]]:
        """Yield the runs of a sweep by pages, in the order of creation; with each page, the state of the sweep.

        Args:
            ref: The sweep.
            outlines: Whether to request only what shows whether a run has changed; see `RemoteRun.is_outline`.
        """
        what, state = f"sweep {ref}", ""
        query = queries.SWEEP_OUTLINES if outlines else queries.SWEEP_RUNS
        variables = _variables(ref, sweep=ref.id, filters=json.dumps({"$and": [{"sweep": ref.id}]}))

        async def fetch(variables: dict[str, object]) -> responses.PagedList[responses.Run]:
            nonlocal state
            found = await self._project(OfProject[responses.ProjectWithSweepRuns], query, what, variables)
            state = _existing(found.sweep, what).state
            return found.runs

        async for runs in self._runs_by_pages(ref, variables, fetch, what, outlines=outlines):
            yield state, runs

    async def project_runs(
        self, ref: ProjectRef, filters: Mapping[str, object], *, limit: int | None = None, outlines: bool = False
    ) -> AsyncIterator[list[RemoteRun]]:
        """Yield the runs of a project that match W&B's filters by pages, in the order of creation; see `runs`."""
        what, query = f"project {ref}", queries.PROJECT_OUTLINES if outlines else queries.PROJECT_RUNS
        shape = OfProject[responses.ProjectWithRuns[responses.Run]]

        async def fetch(variables: dict[str, object]) -> responses.PagedList[responses.Run]:
            return (await self._project(shape, query, what, variables)).runs

        variables = _variables(ref, filters=json.dumps(filters))
        async for runs in self._runs_by_pages(ref, variables, fetch, what, limit=limit, outlines=outlines):
            yield runs

    async def _runs_by_pages(
        self,
        ref: SweepRef | ProjectRef,
        variables: dict[str, object],
        fetch: Callable[[dict[str, object]], Awaitable[responses.PagedList[responses.Run]]],
        what: str,
        *,
        outlines: bool,
        limit: int | None = None,
    ) -> AsyncIterator[list[RemoteRun]]:
        # The configs of runs may be as large as 15 MB.
        fitting, left = Fitting(self._pages.outlines if outlines else self._pages.runs), limit

        async def page(cursor: str | None) -> Page[responses.Run]:
            given = {**variables, "after": cursor, "fileLimit": self.files_of_each}
            return to_page(await fitting(lambda count: fetch({**given, "first": count}), limit=left), listed)

        listed = f"the runs of {what}"
        async for nodes in iterate_pages(page, what=listed):
            runs = [RemoteRun.of(_run_ref(ref, node.name, what), node, outline=outlines) for node in nodes[:left]]
            left = None if left is None else left - len(runs)
            yield runs
            if left == 0:
                return

    async def project_names(self, entity: str, *, limit: int | None = None) -> list[str]:
        """Fetch the names of an entity's projects: all, or so many."""
        what = f"the projects of {entity}"

        async def fetch(cursor: str | None) -> Page[responses.Named]:
            variables = {"entity": entity, "cursor": cursor, "perPage": limit or self._pages.names}
            found = await self._read(responses.Projects, queries.PROJECTS, what, variables)
            return to_page(_existing(found.models, what), what)

        return await _names(fetch, what, limit)

    async def run_ids(self, entity: str, project: str, *, limit: int | None = None) -> list[str]:
        """Fetch the ids of a project's runs: all, or so many."""
        what = f"the runs of {entity}/{project}"

        async def fetch(cursor: str | None) -> Page[responses.Named]:
            wanted = limit or self._pages.names
            variables = {"entity": entity, "project": project, "cursor": cursor, "perPage": wanted}
            shape = OfProject[responses.ProjectWithRuns[responses.Named]]
            found = await self._project(shape, queries.RUNS, what, variables)
            return to_page(found.runs, what)

        return await _names(fetch, what, limit)

    async def page(self, ref: RunRef, first: int, end: int, samples: int) -> list[str]:
        """Fetch rows of a run's history: see HistorySource."""
        what = f"the history of run {ref}"
        variables = _variables(ref, run=ref.id, minStep=first, maxStep=end, pageSize=samples)
        return (await self._run(OfRun[responses.RunHistory], queries.HISTORY_PAGE, what, variables)).history

    async def history_exports(self, ref: RunRef, *, retries: bool = True) -> HistoryExports | None:
        """Fetch the URLs of a run's exported history; None if the server is too old to export any.

        Args:
            ref: The run.
            retries: False within an attempt that is retried as a whole.
        """
        if self._has_exports is None:
            # One request finds out, however many runs are read at once.
            async with self._first_exports:
                if self._has_exports is None:
                    return await self._find_exports(ref, retries=retries)
        return await self._find_exports(ref, retries=retries) if self._has_exports else None

    async def _find_exports(self, ref: RunRef, *, retries: bool) -> HistoryExports | None:
        what, shape = f"the exported history of run {ref}", OfRun[responses.RunExports]
        try:
            variables = _variables(ref, run=ref.id)
            run = await self._run(shape, queries.HISTORY_EXPORTS, what, variables, retries=retries)
        except ServerAnswerError as error:
            if "parquetHistory" not in str(error):
                raise
            self._has_exports = False
            return None
        self._has_exports = True
        found = run.parquet_history or responses.ParquetHistory()
        steps = [int(row.step) for row in found.live_data or ()]
        return HistoryExports(tuple(found.parquet_urls or ()), (min(steps), max(steps)) if steps else None)

    @contextlib.asynccontextmanager
    async def get_export(self, url: str, *, start: int, what: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Make one attempt to fetch a file of exported history. The server may ignore the range: check the status."""
        sent = self._http.get_file(url, start=start, end=None, what=what, sends_key=False, buffer=_EXPORT_BUFFER)
        async with sent as response:
            yield response

    async def console(self, run: RemoteRun) -> AsyncIterator[list[str]]:
        """Yield the console lines of a run by pages."""
        what = f"the console lines of run {run.ref}"

        async def fetch(cursor: str | None) -> Page[responses.LogLine]:
            variables = _variables(run.ref, run=run.ref.id, after=cursor)
            found = await fitting(
                lambda count: self._run(shape, queries.CONSOLE_PAGE, what, {**variables, "first": count})
            )
            return to_page(found.log_lines, what)

        shape, fitting = OfRun[responses.RunConsole], Fitting(self._pages.lines)
        try:
            first = await fetch(None)
        except ServerAnswerError as error:
            if "useImprovedPagination" not in str(error):
                raise
            # A server older than 0.77, which cannot return pages from the start.
            variables = _variables(run.ref, run=run.ref.id, last=run.log_line_count or 0)
            found = (await self._run(shape, queries.CONSOLE_TAIL, what, variables)).log_lines
            first = Page([edge.node for edge in found.edges], None)
        async for nodes in iterate_pages(fetch, what=what, first=first):
            yield [f"[{node.label}] {node.line}" if node.label else node.line for node in nodes]

    @contextlib.asynccontextmanager
    async def get(
        self, url: str, *, what: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Make one attempt to fetch a file. The server may ignore the range: check the status."""
        async with self._http.get_file(url, start=start, end=end, what=what) as response:
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
    ) -> dict[str, Any]:
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
        is_large = len(body) > _LARGE
        response = await to_thread(_parse, body, what) if is_large else _parse(body, what)
        if response.errors:
            raise self._refusal(response.messages, what)
        if response.data is None:
            raise invalid(what, "it has neither data nor errors")
        return response.data

    async def _read(
        self, kind: type[T], document: str, what: str, variables: Mapping[str, object], *, retries: bool = True
    ) -> T:
        """Send a GraphQL request and return the data of the response as a typed value."""
        return read(kind, await self.execute(document, variables, what=what, retries=retries), what)

    async def _project(
        self,
        kind: type[OfProject[T]],
        document: str,
        what: str,
        variables: Mapping[str, object],
        *,
        retries: bool = True,
    ) -> T:
        """Send a GraphQL request about a project, and return what the response has of it."""
        return _existing((await self._read(kind, document, what, variables, retries=retries)).project, what)

    async def _run(
        self, kind: type[OfRun[T]], document: str, what: str, variables: Mapping[str, object], *, retries: bool = True
    ) -> T:
        """Send a GraphQL request about a run, and return what the response has of it."""
        return _existing((await self._project(kind, document, what, variables, retries=retries)).run, what)

    def _refusal(self, messages: list[str], what: str) -> DownloadError:
        text = self._http.redact("; ".join(messages))[:300]
        if "not found" in text.lower() or "could not find" in text.lower():
            return _absent(what, text)
        if "permission" in text.lower() or "access denied" in text.lower():
            return error_for(403, what, text)
        return RequestRefusedError(f"{what}: W&B refused the request ({text})")


def _variables(ref: RunRef | SweepRef | ProjectRef, **more: object) -> dict[str, object]:
    return {"entity": ref.entity, "project": ref.project, **more}


def _parse(body: bytes, what: str) -> responses.Envelope:
    return read_json(responses.Envelope, body, what)


def _existing(found: T | None, what: str) -> T:
    """Return an object of a response; null means that it does not exist."""
    if found is None:
        raise _absent(what)
    return found


def _absent(what: str, detail: str = "") -> DownloadError:
    error = error_for(404, what, detail)
    if isinstance(error, NotFoundError):
        error.is_absent = True
    return error


async def _names(
    fetch: Callable[[str | None], Awaitable[Page[responses.Named]]], what: str, limit: int | None
) -> list[str]:
    names: dict[str, None] = {}
    async for nodes in iterate_pages(fetch, what=what):
        names.update((node.name, None) for node in nodes)
        if limit:
            break
    return list(names)


def _run_ref(ref: SweepRef | ProjectRef, name: str, what: str) -> RunRef:
    try:
        return RunRef(ref.entity, ref.project, name, ref.host)
    except InvalidValueError as error:
        raise invalid(what, f"the id of a run: {error.reason}") from None
