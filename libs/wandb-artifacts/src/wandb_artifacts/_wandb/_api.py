"""Questions to W&B, without the SDK: GraphQL with the fields that the SDK's own documents name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

    from wandb_artifacts._refs import RunRef, SweepRef


@dataclass(frozen=True)
class RemoteFile:
    name: str
    size: int
    md5: bytes | None
    """The digest; None where W&B does not tell it."""
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
    line_count: int | None
    heartbeat_at: str | None
    files: tuple[RemoteFile, ...]
    """All of them, but for those that `more_files` is the cursor of."""
    more_files: str | None


class Api:
    """A session with one W&B server. Retries what is worth it; its errors are those of `_errors`."""

    @classmethod
    async def open(cls, host: str | None, *, jobs: int, deadline: float | None = None) -> Self:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    async def run(self, ref: RunRef) -> RemoteRun:
        raise NotImplementedError

    async def files(self, run: RemoteRun) -> list[RemoteFile]:
        """All files of a run."""
        raise NotImplementedError

    async def sweep_state(self, ref: SweepRef) -> str:
        raise NotImplementedError

    def runs(self, ref: SweepRef) -> AsyncIterator[RemoteRun]:
        """The runs of a sweep, in the order in which they were created."""
        raise NotImplementedError

    async def page(self, ref: RunRef, first: int, end: int, samples: int) -> list[str]:
        """Rows of its history: see HistorySource."""
        raise NotImplementedError

    async def read_range(self, ref: RunRef, file: RemoteFile, start: int, end: int) -> bytes:
        """Bytes of a file, retried; whether the server knows ranges or not."""
        raise NotImplementedError
