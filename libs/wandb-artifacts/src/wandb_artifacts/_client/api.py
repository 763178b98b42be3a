"""Questions to W&B, without the SDK, and what the answers say."""

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
from wandb_artifacts._client.credentials import configured_host, find_key
from wandb_artifacts._client.http import Http, error_of
from wandb_artifacts._client.retry import Repeater
from wandb_artifacts._errors import ServerAnswerError
from wandb_artifacts._refs import RunRef, SweepRef

if TYPE_CHECKING:
    import aiohttp
    from typing_extensions import Self

_FILES_A_RUN = 1000
_FILES_A_SWEEP_RUN = 100
_RUNS_A_PAGE = 50
_NAMES_A_PAGE = 500
_LARGE = 256 * 1024

_Object: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class RemoteFile:
    name: str
    size: int | None
    """Bytes; None where W&B does not tell."""
    md5: bytes | None
    """The digest; None where W&B does not tell."""
    url: str
    """Where it is. May carry a signature: never shown."""
    updated_at: str | None = None


@dataclass(frozen=True)
class RemoteRun:
    ref: RunRef
    state: str
    summary: str
    """JSON, as W&B keeps it: NaN may stand in it bare."""
    last_step: int
    """-1 where nothing was logged, or W&B does not say."""
    line_count: int | None
    heartbeat_at: str | None
    files: tuple[RemoteFile, ...]
    """The first of them; all, where `more_files` is None."""
    more_files: str | None


class Api:
    """A session with one W&B server, for one event loop.

    Retries what is worth it. Raises AuthenticationError, AccessDeniedError, NotFoundError, ServerUnavailableError and
    ServerAnswerError.
    """

    def __init__(self, http: Http) -> None:
        self._http = http
        self.repeat = Repeater()

    @classmethod
    async def open(cls, host: str | None, *, jobs: int) -> Self:
        """Opens a session; nothing is sent yet.

        Args:
            host: The API address; None for the configured one.
            jobs: How many connections it may have.
        """
        address, key = await to_thread(_server, host)
        return cls(Http(address, key, jobs=jobs))

    @property
    def host(self) -> str:
        """The API address."""
        return self._http.host

    async def close(self) -> None:
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(self, ref: RunRef) -> RemoteRun:
        project = await self._ask(queries.RUN, f"run {ref}", _variables(ref, run=ref.id, fileLimit=_FILES_A_RUN))
        return _run(ref, _found(project, "run", f"run {ref}"))

    async def files(self, run: RemoteRun) -> list[RemoteFile]:
        """All files of a run."""
        files, cursor, what = list(run.files), run.more_files, f"the files of run {run.ref}"
        while cursor:
            variables = _variables(run.ref, run=run.ref.id, fileLimit=_FILES_A_RUN, fileCursor=cursor)
            answer = _found(await self._ask(queries.RUN_FILES, what, variables), "run", what)
            more, following = _files(answer)
            files += more
            if following == cursor:
                raise _endless(what)
            cursor = following
        # Files that come between two pages move others from the one to the other.
        return list({file.name: file for file in files}.values())

    async def file(self, ref: RunRef, name: str, *, once: bool = False) -> RemoteFile:
        """One file, with an address that is fresh.

        Args:
            ref: The run.
            name: The file.
            once: For whoever is within an attempt that is repeated: this question is not repeated by itself.
        """
        what = f"file {name!r} of run {ref}"
        variables = _variables(ref, run=ref.id, fileNames=[name])
        answer = _found(await self._ask(queries.FILE, what, variables, once=once), "run", what)
        for file in _files(answer)[0]:
            if file.name == name:
                return file
        raise error_of(404, what)

    def is_own(self, file: RemoteFile) -> bool:
        """Whether W&B's server itself has the file, and so its answer is about the key and not about a signature."""
        return self._http.is_own(file.url)

    async def sweep_state(self, ref: SweepRef) -> str:
        project = await self._ask(queries.SWEEP, f"sweep {ref}", _variables(ref, sweep=ref.id))
        return str(_found(project, "sweep", f"sweep {ref}")["state"])

    async def runs(self, ref: SweepRef) -> AsyncIterator[tuple[str, list[RemoteRun]]]:
        """The runs of a sweep in the order in which they were created, by pages; with each, the sweep's state."""
        what, cursor = f"sweep {ref}", None
        while True:
            variables = _variables(
                ref,
                sweep=ref.id,
                filters=json.dumps({"$and": [{"sweep": ref.id}]}),
                first=_RUNS_A_PAGE,
                after=cursor,
                fileLimit=_FILES_A_SWEEP_RUN,
            )
            project = await self._ask(queries.SWEEP_RUNS, what, variables)
            state = str(_found(project, "sweep", what)["state"])
            found, edges = project["runs"], project["runs"]["edges"]
            yield state, [_run_of(ref, edge["node"]) for edge in edges if edge["node"]]
            if not edges or not found["pageInfo"]["hasNextPage"]:
                return
            if cursor == edges[-1]["cursor"]:
                raise _endless(what)
            cursor = edges[-1]["cursor"]

    async def page(self, ref: RunRef, first: int, end: int, samples: int) -> list[str]:
        """Rows of its history: see HistorySource."""
        what = f"the history of run {ref}"
        variables = _variables(ref, run=ref.id, minStep=first, maxStep=end, pageSize=samples)
        rows = _found(await self._ask(queries.HISTORY_PAGE, what, variables), "run", what)["history"]
        return list(rows or ())

    @contextlib.asynccontextmanager
    async def get(
        self, ref: RunRef, file: RemoteFile, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One attempt to fetch a file; the server may ignore the range, so the status is to be looked at."""
        what = f"file {file.name!r} of run {ref}"
        async with self._http.get_file(file.url, start=start, end=end, what=what) as answer:
            yield answer

    async def _ask(self, document: str, what: str, variables: Mapping[str, object], *, once: bool = False) -> _Object:
        """Asks, and returns what the answer says of the project."""
        project = (await self.ask(document, what, variables, once=once)).get("project")
        if not isinstance(project, dict):
            raise error_of(404, what)
        return project

    async def ask(self, document: str, what: str, variables: Mapping[str, object], *, once: bool = False) -> _Object:
        """Asks, and returns the data of the answer."""

        async def attempt() -> bytes:
            return await self._http.post_json("graphql", {"query": document, "variables": variables}, what=what)

        body = await (attempt() if once else self.repeat(attempt, what=what))
        # Large answers are parsed beside the loop: it keeps reading others meanwhile.
        answer = await to_thread(_loads, body, what) if len(body) > _LARGE else _loads(body, what)
        if errors := answer.get("errors"):
            raise _refusal(errors, what)
        data = answer.get("data")
        return data if isinstance(data, dict) else {}


def _server(host: str | None) -> tuple[str, str]:
    address = host or configured_host()
    return address, find_key(address)


def _variables(ref: RunRef | SweepRef, **more: object) -> dict[str, object]:
    return {"entity": ref.entity, "project": ref.project, **more}


def _loads(body: bytes, what: str) -> _Object:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        msg = f"{what}: the answer is not W&B's; check WANDB_BASE_URL"
        raise ServerAnswerError(msg)
    return answer


def _refusal(errors: object, what: str) -> Exception:
    entries = errors if isinstance(errors, list) else [errors]
    messages = [str(entry.get("message")) if isinstance(entry, dict) else str(entry) for entry in entries]
    text = "; ".join(messages)[:300]
    if "not found" in text.lower() or "could not find" in text.lower():
        return error_of(404, what, text)
    if "permission" in text.lower() or "access denied" in text.lower():
        return error_of(403, what, text)
    return ServerAnswerError(f"{what}: W&B refused the question ({text})")


def _found(project: _Object, field: str, what: str) -> _Object:
    found = project.get(field)
    if not isinstance(found, dict):
        raise error_of(404, what)
    return found


def _endless(what: str) -> ServerAnswerError:
    return ServerAnswerError(f"{what}: W&B's list of them does not go on")


def _run_of(sweep: SweepRef, node: _Object) -> RemoteRun:
    return _run(RunRef(sweep.entity, sweep.project, node["name"], sweep.host), node)


def _run(ref: RunRef, node: _Object) -> RemoteRun:
    files, more = _files(node)
    keys = node.get("historyKeys")
    last_step = keys.get("lastStep") if isinstance(keys, dict) else None
    return RemoteRun(
        ref=ref,
        state=str(node["state"]),
        summary=node.get("summaryMetrics") or "{}",
        last_step=last_step if isinstance(last_step, int) else -1,
        line_count=node.get("historyLineCount"),
        heartbeat_at=node.get("heartbeatAt"),
        files=tuple(files),
        more_files=more,
    )


def _files(node: _Object) -> tuple[list[RemoteFile], str | None]:
    connection = node.get("files") or {"edges": []}
    edges = connection["edges"]
    more = connection.get("pageInfo", {}).get("hasNextPage") and edges
    return [_file(edge["node"]) for edge in edges if edge["node"]], edges[-1]["cursor"] if more else None


def _file(node: _Object) -> RemoteFile:
    size = node.get("sizeBytes")
    return RemoteFile(
        name=node["name"],
        size=None if size is None else int(size),
        md5=_digest(node.get("md5")),
        url=node.get("url") or "",
        updated_at=node.get("updatedAt"),
    )


def _digest(text: str | None) -> bytes | None:
    """W&B gives the digest in base64; what is no MD5 digest tells nothing."""
    try:
        found = base64.b64decode(text or "", validate=True)
    except binascii.Error:
        return None
    return found if len(found) == 16 else None


async def list_projects(api: Api, entity: str, *, most: int | None = None) -> list[str]:
    """The projects of an entity: all, or so many."""
    what = f"the projects of {entity}"
    return await _names(api, queries.PROJECTS, ("models",), what, {"entity": entity}, most)


async def list_runs(api: Api, entity: str, project: str, *, most: int | None = None) -> list[str]:
    """The ids of a project's runs: all, or so many."""
    what = f"the runs of {entity}/{project}"
    return await _names(api, queries.RUNS, ("project", "runs"), what, {"entity": entity, "project": project}, most)


async def _names(
    api: Api, document: str, fields: tuple[str, ...], what: str, variables: dict[str, str], most: int | None
) -> list[str]:
    names: dict[str, None] = {}
    cursor = None
    while True:
        found: Any = await api.ask(document, what, {**variables, "cursor": cursor, "perPage": most or _NAMES_A_PAGE})
        for field in fields:
            found = found.get(field)
            if not isinstance(found, dict):
                raise error_of(404, what)
        edges = found["edges"]
        names.update((edge["node"]["name"], None) for edge in edges)
        following = edges[-1]["cursor"] if edges and found["pageInfo"]["hasNextPage"] else None
        if most or following in (None, cursor):
            return list(names)
        cursor = following
