"""Files of a listing that are made of what W&B knows of a run, where the run has no such file."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._client.api import Api
from wandb_artifacts._client.remote import RemoteFile, RemoteRun
from wandb_artifacts._download.records import CONFIG, CONSOLE, config_json, has_console_file
from wandb_artifacts._errors import ServerAnswerError

if TYPE_CHECKING:
    from wandb_artifacts._destination.base import Part

_EMPTY = b"{}\n"


@dataclass(frozen=True)
class GeneratedFile(RemoteFile):
    """A file without a URL."""

    pieces: Callable[[Api], AsyncIterator[bytes]] = field(kw_only=True, compare=False)
    """Yields the contents."""

    async def write_to(self, part: Part, api: Api) -> None:
        """Write the contents piece by piece, and commit them."""
        try:
            async for piece in self.pieces(api):
                await to_thread(part.write, piece)
            await to_thread(part.commit)
        except BaseException:
            await to_thread(part.discard)
            raise


def with_generated(run: RemoteRun, files: Iterable[RemoteFile]) -> list[RemoteFile]:
    """Return the files with `config.json` and `output.log`, if the run has a config and console lines."""
    found = {file.name: file for file in files}
    if CONFIG not in found and (config := _config(run)):
        found[CONFIG] = config
    if run.log_line_count and not has_console_file(found):
        found[CONSOLE] = _console(run)
    return list(found.values())


def _config(run: RemoteRun) -> GeneratedFile | None:
    async def pieces(_: Api) -> AsyncIterator[bytes]:
        yield config_json(run)

    try:
        data = config_json(run)
    except ServerAnswerError:
        # Who reads the file gets the error.
        return GeneratedFile(CONFIG, None, None, "", run.heartbeat_at, pieces=pieces)
    if data == _EMPTY:
        return None
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    return GeneratedFile(CONFIG, len(data), md5, "", run.heartbeat_at, pieces=pieces)


def _console(run: RemoteRun) -> GeneratedFile:
    async def pieces(api: Api) -> AsyncIterator[bytes]:
        async for page in api.console(run):
            yield "".join(f"{line}\n" for line in page).encode(errors="backslashreplace")

    return GeneratedFile(CONSOLE, None, None, "", run.heartbeat_at, pieces=pieces)
