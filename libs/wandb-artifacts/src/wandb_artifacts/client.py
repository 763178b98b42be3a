"""Requests to W&B without the SDK: `Client`, `Connection`, and the credentials that they use.

Importing this module imports neither wandb nor aiohttp; a client does when it sends its first request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from wandb_artifacts._asyncio import run_sync
from wandb_artifacts._client import queries
from wandb_artifacts._client.connection import Connection, SystemSettings
from wandb_artifacts._client.credentials import Credentials, find_credentials, has_credentials
from wandb_artifacts._client.options import ClientOptions, current_options, use_options
from wandb_artifacts._client.probing import Probe, proxy_host, send_probe
from wandb_artifacts._client.redaction import Redactor
from wandb_artifacts._errors import (
    AccessDeniedError,
    AuthenticationError,
    DownloadError,
    NotFoundError,
    ServerAnswerError,
)
from wandb_artifacts._refs import RunRef, SweepRef

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from wandb_artifacts._artifact_refs import ArtifactRef
    from wandb_artifacts._client import responses
    from wandb_artifacts._client.api import Api
    from wandb_artifacts._client.pages import Node, Page

__all__ = [
    "Client",
    "Connection",
    "Credentials",
    "Probe",
    "Redactor",
    "RunSnapshot",
    "find_credentials",
    "find_setting",
    "has_credentials",
    "read_response",
    "use_connection",
]

R = TypeVar("R")
T = TypeVar("T")

_STATUSES: tuple[tuple[type[DownloadError], int], ...] = (
    (AuthenticationError, 401),
    (AccessDeniedError, 403),
    (NotFoundError, 404),
    (ServerAnswerError, 200),
)


def read_response(kind: type[T], value: object, what: str) -> T:
    """Return a decoded response, or a part of one, as a typed value; msgspec checks it.

    Args:
        kind: The expected type, such as a `msgspec.Struct`.
        value: What a JSON parser returned.
        what: What was requested, for the error.

    Raises:
        ServerAnswerError: The response has another shape; the error names the field, not its value.
    """
    from wandb_artifacts._client.responses import read

    return read(kind, value, what)


@dataclass(frozen=True)
class RunSnapshot:
    """A run as W&B has it at one moment."""

    ref: RunRef
    state: str
    name: str | None
    """The display name."""
    config: dict[str, Any] = field(default_factory=dict)
    """Values by key, without W&B's own entry `_wandb`."""
    tags: tuple[str, ...] = ()
    notes: str | None = None
    group: str | None = None
    job_type: str | None = None
    sweep: str | None = None
    """The id of its sweep."""
    created_at: str | None = None
    heartbeat_at: str | None = None
    summary: str = "{}"
    """JSON, as W&B stores it: may contain NaN as a bare word."""
    line_count: int | None = None
    """The number of logged rows."""
    last_step: int = -1
    """The highest logged step; -1 if nothing was logged."""


class Client:
    """A client of one W&B server: blocking, with awaitable twins. Can be used by several threads at once.

    Creating one sends nothing and reads nothing. Each call opens its own connection, so neither forks nor
    `wandb.teardown()` affect it.

    Args:
        connection: How the server is reached, or its API base URL; None for the configured server.
        timeout: Seconds that a call may take, retries included.

    Raises:
        InvalidValueError: The URL is invalid.
    """

    def __init__(self, connection: Connection | str | None = None, *, timeout: float = 30.0) -> None:
        if isinstance(connection, str):
            connection = Connection(host=connection)
        self.connection = connection or current_options().connection or Connection()
        self.timeout = timeout
        self._pages = current_options().pages

    @property
    def host(self) -> str:
        """The API base URL of the server. May read W&B's settings files."""
        return self.connection.host or self.connection.resolved().host or ""

    def execute(
        self,
        document: str,
        variables: Mapping[str, object],
        *,
        what: str,
        timeout: float | None = None,
        is_repeatable: bool = True,
    ) -> dict[str, Any]:
        """Send a GraphQL request.

        Args:
            document: The GraphQL document.
            variables: Its variables.
            what: What is requested, to begin an error with, such as "run a/b/c".
            timeout: Seconds, retries included; None for the client's timeout.
            is_repeatable: False for a mutation that must not be sent again once its response may have been lost.

        Returns:
            The `data` of the response.

        Raises:
            AuthenticationError: No API key was found, or W&B rejected it.
            AccessDeniedError: The API key has no access.
            NotFoundError: W&B reports that it was not found.
            ServerUnavailableError: There was no response in time, or only transient errors.
            ServerAnswerError: W&B refused the request, or the response is invalid.
        """
        return run_sync(
            self.execute_async(document, variables, what=what, timeout=timeout, is_repeatable=is_repeatable)
        )

    async def execute_async(
        self,
        document: str,
        variables: Mapping[str, object],
        *,
        what: str,
        timeout: float | None = None,
        is_repeatable: bool = True,
    ) -> dict[str, Any]:
        """Await `execute`."""
        seconds = self.timeout if timeout is None else timeout
        # A connection that hangs must leave time for another attempt.
        limit = seconds / 2 if is_repeatable else seconds

        async def send(api: Api) -> dict[str, Any]:
            return await api.execute(document, variables, what=what, is_repeatable=is_repeatable, attempt_timeout=limit)

        return await self._within(send, what, seconds)

    def iterate_pages(
        self,
        document: str,
        variables: Mapping[str, object],
        path: tuple[str, ...],
        *,
        what: str,
        cursor: str = "cursor",
        timeout: float | None = None,
    ) -> Iterator[list[Node]]:
        """Yield the items of a paged list, page by page.

        Args:
            document: A GraphQL document that requests `edges { node cursor }` and `pageInfo { hasNextPage }`.
            variables: Its variables, without the cursor.
            path: The fields that lead from `data` to the list, such as `("project", "runs")`.
            what: What is listed, for errors.
            cursor: The name of the variable for the cursor.
            timeout: Seconds per page, retries included; None for the client's timeout.

        Raises:
            DownloadError: See `execute`; NotFoundError also for a field of `path` that is null. ServerAnswerError also
                for pages that are null or have null items, and for cursors that are missing or repeated.
        """
        from wandb_artifacts._client.pages import Cursors, fetch_page

        fetch = self._page_fetcher(document, variables, path, what=what, cursor=cursor, timeout=timeout)
        page, cursors = run_sync(fetch(None)), Cursors(what)
        while True:
            following = cursors.after(page)
            yield page.nodes
            if following is None:
                return
            page = run_sync(fetch_page(fetch, following, what))

    async def iterate_pages_async(
        self,
        document: str,
        variables: Mapping[str, object],
        path: tuple[str, ...],
        *,
        what: str,
        cursor: str = "cursor",
        timeout: float | None = None,
    ) -> AsyncIterator[list[Node]]:
        """Yield the items of a paged list without blocking; see `iterate_pages`."""
        from wandb_artifacts._client.pages import iterate_pages

        fetch = self._page_fetcher(document, variables, path, what=what, cursor=cursor, timeout=timeout)
        async for nodes in iterate_pages(fetch, what=what):
            yield nodes

    def _page_fetcher(
        self,
        document: str,
        variables: Mapping[str, object],
        path: tuple[str, ...],
        *,
        what: str,
        cursor: str,
        timeout: float | None,
    ) -> Callable[[str | None], Coroutine[Any, Any, Page[Node]]]:
        from wandb_artifacts._client.pages import read_page
        from wandb_artifacts._client.responses import read

        async def fetch(at: str | None) -> Page[Node]:
            found = await self.execute_async(document, {**variables, cursor: at}, what=what, timeout=timeout)
            for name in path[:-1]:
                if (value := found.get(name)) is None:
                    raise _not_found(what)
                found = read(dict[str, Any], value, what)
            return read_page(found.get(path[-1]), what)

        return fetch

    def default_entity(self) -> str | None:
        """Return the entity that W&B uses for this key if none is given."""
        return run_sync(self.default_entity_async())

    async def default_entity_async(self) -> str | None:
        """Await `default_entity`."""
        from wandb_artifacts._client.responses import OfViewer, read

        what = "the default entity"
        viewer = read(OfViewer, await self.execute_async(queries.VIEWER, {}, what=what), what).viewer
        return viewer.entity if viewer else None

    @property
    def proxy(self) -> str | None:
        """The URL of the proxy through which the server is reached, without credentials; None for a direct connection.

        May read W&B's settings files.
        """
        return proxy_host(self.connection)

    def probe(self) -> Probe:
        """Send one request without credentials, which are not looked for, and describe the response.

        Raises:
            ServerUnavailableError: There was no response in time.
            ServerAnswerError: The proxy refused the request, or the server's TLS certificate is not trusted.
        """
        return run_sync(self.probe_async())

    async def probe_async(self) -> Probe:
        """Await `probe`."""
        return await send_probe(self.connection, self.timeout)

    def key_status(self) -> int | None:
        """Return the HTTP status of one request that needs only the API key; None if there was no response.

        W&B may accept a request with a wrong key, and report nobody as its owner: that counts as 401, like no key.
        """
        return run_sync(self.key_status_async())

    async def key_status_async(self) -> int | None:
        """Await `key_status`."""

        async def send(api: Api) -> dict[str, Any]:
            return await api.execute(queries.VIEWER, {}, what="the API key", retries=False)

        try:
            found = await self._within(send, "the API key", self.timeout)
        except DownloadError as error:
            default = next((status for kind, status in _STATUSES if isinstance(error, kind)), None)
            return error.status or default
        return 200 if found.get("viewer") else 401

    def run_state(self, ref: RunRef) -> str | None:
        """Return the state of a run, such as `running`; None if it does not exist."""
        return run_sync(self.run_state_async(ref))

    async def run_state_async(self, ref: RunRef) -> str | None:
        """Await `run_state`."""
        from wandb_artifacts._client import responses

        found = await self._run(responses.OfRun[responses.RunState], queries.RUN_STATE, ref)
        return None if found is None else found.state

    def sweep_state(self, ref: SweepRef) -> str | None:
        """Return the state of a sweep, such as `finished`; None if it does not exist."""
        return run_sync(self.sweep_state_async(ref))

    async def sweep_state_async(self, ref: SweepRef) -> str | None:
        """Await `sweep_state`."""
        try:
            return await self._within(lambda api: api.sweep_state(ref), f"sweep {ref}", self.timeout)
        except NotFoundError:
            return None

    def find_run(self, ref: RunRef) -> RunSnapshot | None:
        """Return a run as W&B has it; None if it does not exist."""
        return run_sync(self.find_run_async(ref))

    async def find_run_async(self, ref: RunRef) -> RunSnapshot | None:
        """Await `find_run`."""
        from wandb_artifacts._client import responses

        found = await self._run(responses.OfRun[responses.RunSnapshot], queries.RUN_SNAPSHOT, ref)
        return None if found is None else _snapshot(ref, found)

    async def _run(self, kind: type[responses.OfRun[T]], document: str, ref: RunRef) -> T | None:
        from wandb_artifacts._client.responses import read

        variables, what = {"entity": ref.entity, "project": ref.project, "run": ref.id}, f"run {ref}"
        try:
            found = read(kind, await self.execute_async(document, variables, what=what), what)
        except NotFoundError:
            return None
        return found.project.run if found.project else None

    def resolve_artifact(self, ref: ArtifactRef) -> ArtifactRef:
        """Return a reference to an artifact with the version in place of an alias, and with the type.

        Raises:
            NotFoundError: It does not exist, was deleted, or is not committed.
            DownloadError: See `execute`.
        """
        return run_sync(self.resolve_artifact_async(ref))

    async def resolve_artifact_async(self, ref: ArtifactRef) -> ArtifactRef:
        """Await `resolve_artifact`."""
        from wandb_artifacts._client.artifacts import ArtifactApi

        async def find(api: Api) -> ArtifactRef:
            return (await ArtifactApi(api).artifact(ref)).ref

        return await self._within(find, f"artifact {ref}", self.timeout)

    async def _within(self, work: Callable[[Api], Awaitable[R]], what: str, seconds: float) -> R:
        """Open a session for some work that may take so many seconds."""
        from wandb_artifacts._client.api import Api
        from wandb_artifacts._client.http import open_http
        from wandb_artifacts._client.retry import TransientError, unavailable

        options = current_options()
        # Here, time alone ends the retries.
        options = ClientOptions(self.connection, replace(options.retry, attempts=None), self._pages)
        async with Api(await open_http(None, self.connection, jobs=1), options) as api:
            try:
                return await asyncio.wait_for(work(api), seconds)
            except (TimeoutError, asyncio.TimeoutError):
                last = api.retry.last_error
                detail = f" (last error: {last})" if last else ""
                msg = f"{what}: no {'success' if last else 'response'} within {seconds:g} s{detail}"
                raise unavailable(msg, last.status if last else None) from None
            except TransientError as error:
                msg = f"{what}: {error}"
                raise unavailable(msg, error.status) from None


@contextmanager
def use_connection(connection: Connection | None) -> Iterator[None]:
    """Reach W&B by a connection in the block: downloads, waits, clients, and `wandb://` filesystems that are created.

    Args:
        connection: How the server is reached; None for the environment's settings.
    """
    with use_options(connection=connection):
        yield


def find_setting(name: str) -> str | None:
    """Return a setting of the SDK, such as `project`, from the environment, then from W&B's settings files."""
    return SystemSettings().get(name)[0]


def _not_found(what: str) -> NotFoundError:
    error = NotFoundError(f"{what}: not found at W&B")
    error.status = 404
    return error


def _snapshot(ref: RunRef, found: responses.RunSnapshot) -> RunSnapshot:
    from wandb_artifacts._client.responses import read_config

    last_step = found.history_keys.last_step if found.history_keys else None
    return RunSnapshot(
        ref=ref,
        state=found.state,
        name=found.display_name,
        config=read_config(found.config, f"run {ref}"),
        tags=tuple(found.tags or ()),
        notes=found.notes,
        group=found.group,
        job_type=found.job_type,
        sweep=found.sweep_name,
        created_at=found.created_at,
        heartbeat_at=found.heartbeat_at,
        summary=found.summary_metrics or "{}",
        line_count=found.history_line_count,
        last_step=-1 if last_step is None else last_step,
    )
