"""The fsspec filesystem for files of W&B runs: `wandb://entity/project/run_id/path`.

Installing this package registers it with fsspec: `pandas.read_csv("wandb://...")` works without an import of this
module.
"""

from __future__ import annotations

import asyncio
import errno
import io
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from fsspec.asyn import AsyncFileSystem, sync
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._download.options import DEFAULT_JOBS
from wandb_artifacts._download.other_kinds import OPENED, existing
from wandb_artifacts._download.sources import file_of_run
from wandb_artifacts._errors import InvalidValueError, NotFoundError
from wandb_artifacts._filesystem.generated import GeneratedFile, with_generated
from wandb_artifacts._filesystem.listing import Listing, PathParts, decode_part, encode_part, folder_info
from wandb_artifacts._filesystem.reading import BLOCK_SIZE, BufferedFile, StreamedFile, fetch, fetch_range
from wandb_artifacts._filesystem.sessions import ContextToken, Sessions
from wandb_artifacts._filesystem.sinks import LocalFile, Memory
from wandb_artifacts._project_refs import ProjectRef
from wandb_artifacts._refs import RunRef, check_host

if TYPE_CHECKING:
    import datetime
    from collections.abc import AsyncIterator, Awaitable, Callable

    from wandb_artifacts._client.api import Api
    from wandb_artifacts._client.remote import RemoteFile, RemoteRun
    from wandb_artifacts._download.sources import Source
    from wandb_artifacts._filesystem.listing import Info, Owner

__all__ = ["WandbFileSystem"]

T = TypeVar("T")

EXPIRY = 30.0
"""Seconds that a listing is cached by default; a running run gets more files."""

_DIRCACHE_OPTIONS = frozenset({"use_listings_cache", "max_paths"})
_SECRETS = frozenset({"api_key", "key", "password", "secret", "token"})


class WandbFileSystem(AsyncFileSystem):  # type: ignore[misc]  # fsspec is not typed
    """The files of runs, read-only.

    Paths are `entity/project/run_id/path`. A run with a config has `config.json`, and one with console lines
    `output.log`, also if it has no such files. Slashes in the names of files make folders. Unsafe names are encoded;
    the name at W&B leads to the file as well. Whole files are verified by size and MD5 digest, and fetched again if
    they differ. `ls` of an entity lists its projects, `ls` of a project its runs. The details of a file include `md5`
    (hexadecimal) and `mtime`.

    The API key comes from `WANDB_API_KEY` or `wandb login`. It is not an option, because fsspec stores options
    together with objects that are made from a filesystem.

    Args:
        host: The API base URL of the W&B server; None for the configured server (`WANDB_BASE_URL`).
        listings_expiry_time: Seconds after which a cached listing expires; None for never. `ls(..., refresh=True)` and
            `invalidate_cache()` ignore the cache.
        asynchronous: Whether its coroutines are awaited on the caller's loop.
        loop: The loop that runs blocking calls; None for fsspec's.
        batch_size: The number of files that are fetched at the same time.
        **options: `use_listings_cache` and `max_paths`, as fsspec describes them.

    Raises:
        InvalidValueError: `host` is not a URL, or an option is unknown.
    """

    protocol = "wandb"
    _context_token = ContextToken()
    _extra_tokenize_attributes = ("_context_token",)

    def __init__(
        self,
        host: str | None = None,
        *,
        listings_expiry_time: float | None = EXPIRY,
        asynchronous: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        batch_size: int | None = None,
        **options: object,
    ) -> None:
        _check_options(options)
        self.host = None if host is None else check_host(host)
        super().__init__(
            asynchronous=asynchronous,
            loop=loop,
            batch_size=batch_size or DEFAULT_JOBS,
            listings_expiry_time=listings_expiry_time,
            **options,
        )
        self._sessions = Sessions(self.host, DEFAULT_JOBS, self.dircache.clear)
        weakref.finalize(self, self._sessions.close)

    @property
    def fsid(self) -> str:
        """An identifier that is equal for instances of the same server."""
        return f"wandb+{self.host}" if self.host else "wandb"

    async def aclose(self) -> None:
        """Close the connections of the running loop; for an asynchronous instance, before its loop ends."""
        await self._sessions.close_here()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        found = super()._strip_protocol(path)
        return found.lstrip("/") if isinstance(found, str) else found

    def invalidate_cache(self, path: str | None = None) -> None:
        """Drop cached listings of a path, or all."""
        if path is None:
            self.dircache.clear()
            return
        parts = PathParts.of(self._strip_protocol(path))
        for known in (parts.entity, f"{parts.entity}/{parts.project}", parts.run_path):
            self.dircache.pop(known, None)
        super().invalidate_cache(path)

    def modified(self, path: str) -> datetime.datetime | None:
        """Return when a file was updated; None if W&B does not report it."""
        found: datetime.datetime | None = self.info(path).get("mtime")
        return found

    # Listing

    async def _info(self, path: str, *, refresh: bool = False, **_: object) -> Info:
        path = self._strip_protocol(path)
        parts = PathParts.of(path)
        if parts.run:
            return await self._run_info(path, parts, refresh=refresh)
        if parts.entity:
            async with self._sessions.use() as session:
                await self._names(session.api, parts, limit=1)
        return folder_info(path)

    async def _run_info(self, path: str, parts: PathParts, *, refresh: bool) -> Info:
        info = (await self._listing(parts, refresh=refresh)).info(parts.rest)
        if info is None:
            raise _missing(path)
        # Under the requested path, if that is the name at W&B.
        return {**info, "name": path}

    async def _ls(self, path: str, detail: bool = True, *, refresh: bool = False, **_: object) -> list[Any]:
        path = self._strip_protocol(path)
        parts = PathParts.of(path)
        if parts.run:
            found = (await self._listing(parts, refresh=refresh)).children(parts.rest)
            if found is None:
                found = [await self._run_info(path, parts, refresh=False)]
        elif parts.entity:
            names = await self._fetch_once(path, lambda api: self._names(api, parts), refresh=refresh)
            found = [folder_info(f"{path}/{encode_part(name)}") for name in names]
        else:
            reason = f"W&B has no list of all entities; start at {self.protocol}://entity"
            raise OSError(errno.EOPNOTSUPP, reason)
        return found if detail else [info["name"] for info in found]

    async def _walk(
        self, path: str, maxdepth: int | None = None, on_error: Any = None, *, inherited: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        # By default, fsspec skips folders that it cannot list: an incomplete copy would look complete.
        on_error = on_error or inherited or _raise_unless_missing
        # fsspec does not pass `on_error` on to subfolders.
        async for found in super()._walk(path, maxdepth=maxdepth, on_error=on_error, inherited=on_error, **kwargs):
            yield found

    async def _listing(self, parts: PathParts, *, refresh: bool = False) -> Listing:
        path = parts.run_path

        async def fetch_listing(api: Api) -> Listing:
            return await self._fetch_listing(api, parts)

        known = self.dircache.get(path)
        found = await self._fetch_once(path, fetch_listing, refresh=refresh)
        if found is known and found.info(parts.rest) is None:
            # The file may have been logged meanwhile.
            found = await self._fetch_once(path, fetch_listing, refresh=True)
        return found

    async def _fetch_listing(self, api: Api, parts: PathParts) -> Listing:
        if ":" in parts.run:
            reason = f"is not a run but an artifact; open wandb-artifact://{parts.run_path}"
            raise InvalidValueError(field="path", value=parts.run_path, reason=reason)
        ref = RunRef(parts.entity, decode_part(parts.project), parts.run, self.host)
        run = await existing(api, ref, _run(api, ref), OPENED)
        return Listing(run.ref, parts.run_path, with_generated(run, await api.files(run)))

    async def _names(self, api: Api, parts: PathParts, limit: int | None = None) -> list[str]:
        """Fetch what a project or an entity contains: all, or so many."""
        if parts.project:
            ref = ProjectRef(parts.entity, decode_part(parts.project), self.host)
            return await existing(api, ref, api.run_ids(ref.entity, ref.project, limit=limit))
        return await api.project_names(parts.entity, limit=limit)

    async def _source(self, api: Api, ref: Owner, file: RemoteFile) -> Source:
        """Return the contents of a file of a listing."""
        assert isinstance(ref, RunRef)
        return file_of_run(api, ref, file)

    async def _fetch_once(self, path: str, request: Callable[[Api], Awaitable[T]], *, refresh: bool) -> T:
        """Return the cached listing of a path, or fetch it; concurrent callers share one request."""
        async with self._sessions.use() as session:
            known = self.dircache.get(path)
            async with session.lock(path):
                now: T | None = self.dircache.get(path)
                if now is not None and (not refresh or now is not known):
                    return now
                found = await request(session.api)
                self.dircache[path] = found
                return found

    # Reading

    async def _file(self, path: str) -> tuple[Owner, RemoteFile, Info]:
        path = self._strip_protocol(path)
        parts = PathParts.of(path)
        if not parts.run:
            raise IsADirectoryError(errno.EISDIR, "not a file at W&B", path)
        listing = await self._listing(parts)
        file = listing.file(parts.rest)
        if file:
            return listing.ref, file, await self._run_info(path, parts, refresh=False)
        if listing.info(parts.rest):
            raise IsADirectoryError(errno.EISDIR, "is a folder", path)
        raise _missing(path)

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: object) -> bytes:
        ref, file, _info = await self._file(path)
        if file.size is None:
            return (await self._read_whole(ref, file))[start:end]
        begin, stop, _step = slice(start, end).indices(file.size)
        if (begin, stop) == (0, file.size):
            return await self._read_whole(ref, file)
        return await self._read(ref, file, begin, stop)

    async def _read_whole(self, ref: Owner, file: RemoteFile) -> bytes:
        sink = Memory(file.size)
        async with self._sessions.use() as session:
            if isinstance(file, GeneratedFile):
                await file.write_to(sink.part(file.name), session.api)
                return sink.data
            await fetch(session.api, await self._source(session.api, ref, file), sink)
        return sink.data

    async def _read(self, ref: Owner, file: RemoteFile, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        if isinstance(file, GeneratedFile):
            return (await self._read_whole(ref, file))[start:end]
        if (start, end) == (0, file.size):
            found = await self._read_whole(ref, file)
            if len(found) == end:
                return found
            msg = f"file {file.name!r} of {ref} was replaced at W&B while it was read; open it again"
            raise OSError(errno.ESTALE, msg)
        async with self._sessions.use() as session:
            return await fetch_range(session.api, await self._source(session.api, ref, file), start, end)

    async def _get_file(self, rpath: str, lpath: Any, callback: Any = DEFAULT_CALLBACK, **_: object) -> None:
        if not isfilelike(lpath) and await self._isdir(rpath):
            await to_thread(Path(lpath).mkdir, parents=True, exist_ok=True)
            return
        ref, file, _info = await self._file(rpath)
        callback.set_size(file.size)
        async with self._sessions.use() as session:
            if isfilelike(lpath):
                if isinstance(file, GeneratedFile):
                    async for piece in file.pieces(session.api):
                        lpath.write(piece)
                    return
                with tempfile.TemporaryDirectory() as folder:
                    copy = Path(folder, "file")
                    source = await self._source(session.api, ref, file)
                    await fetch(session.api, source, LocalFile(copy), callback.absolute_update)
                    await to_thread(_copy, copy, lpath)
                return
            final = Path(lpath)
            await to_thread(final.parent.mkdir, parents=True, exist_ok=True)
            sink = LocalFile(final)
            if isinstance(file, GeneratedFile):
                await file.write_to(await to_thread(sink.part, file.name), session.api)
                return
            try:
                source = await self._source(session.api, ref, file)
                await fetch(session.api, source, sink, callback.absolute_update)
            finally:
                await to_thread(sink.discard)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        *,
        cache_type: str = "blockcache",
        cache_options: dict[str, Any] | None = None,
        **_: object,
    ) -> Any:
        if mode != "rb":
            raise _read_only(self.protocol)
        ref, file, info = sync(self.loop, self._file, path)
        if file.size is None:
            return io.BytesIO(sync(self.loop, self._read_whole, ref, file))
        return BufferedFile(
            self,
            info,
            lambda start, end: bytes(sync(self.loop, self._read, ref, file, start, end)),
            block_size=block_size,
            cache_type=cache_type,
            cache_options=cache_options,
        )

    async def open_async(self, path: str, mode: str = "rb", *, block_size: int | None = None, **_: object) -> Any:
        """Open a file whose `read` is awaited, from start to end."""
        if mode != "rb":
            raise _read_only(self.protocol)
        ref, file, info = await self._file(path)
        if file.size is None:
            data = await self._read_whole(ref, file)

            async def fetch_part(start: int, end: int) -> bytes:
                return data[start:end]

            info = {**info, "size": len(data)}
        else:

            async def fetch_part(start: int, end: int) -> bytes:
                return await self._read(ref, file, start, end)

        return StreamedFile(self, info, fetch_part, block_size or BLOCK_SIZE, file.digest, file.algorithm)

    # Writing

    async def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise _read_only(self.protocol)

    _put_file = _put = _pipe_file = _pipe = _cp_file = _copy = _rm_file = _rm = _mkdir = _makedirs = _refuse

    def rmdir(self, path: str) -> NoReturn:  # noqa: ARG002
        """Raise, because the filesystem is read-only."""
        raise _read_only(self.protocol)


def _check_options(options: dict[str, object]) -> None:
    for name in sorted(options.keys() - _DIRCACHE_OPTIONS):
        if name in _SECRETS:
            reason = "is not an option, because fsspec stores options; set WANDB_API_KEY, or run 'wandb login'"
        else:
            reason = (
                "is not an option of this filesystem; use host, listings_expiry_time, max_paths or use_listings_cache"
            )
        raise InvalidValueError(field=name, value=None, reason=reason)


async def _run(api: Api, ref: RunRef) -> RemoteRun:
    try:
        return await api.run(ref)
    except NotFoundError:
        hidden = decode_part(ref.id)
        if hidden == ref.id:
            raise
        return await api.run(RunRef(ref.entity, ref.project, hidden, ref.host))


def _missing(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "no such file or folder at W&B", path)


def _read_only(protocol: str) -> OSError:
    return OSError(errno.EROFS, f"{protocol}:// is read-only")


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _copy(path: Path, file: Any) -> None:
    with path.open("rb") as copy:
        shutil.copyfileobj(copy, file)
