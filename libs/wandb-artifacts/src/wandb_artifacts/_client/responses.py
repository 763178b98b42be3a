"""The shapes of W&B's responses, and `read`, the one function that checks a response against its shape.

msgspec: it is maintained, has no dependencies, and imports in a fifth of pydantic's time. Responses are decoded by the
standard library before, because msgspec refuses halves of surrogate pairs, which names at W&B may have.

A field that may be null may also be missing. Fields that are not named here are ignored.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from wandb_artifacts._errors import ServerAnswerError

T = TypeVar("T")
N = TypeVar("N")

_MAX_STEP = 2**53
_MAX_COUNT = 2**63 - 1

Count = Annotated[int, Meta(ge=0, le=_MAX_COUNT)]
CountText = Annotated[str, Meta(pattern=r"^[0-9]{1,18}$")]
"""W&B encodes a 64-bit number as a number or as a string."""
Name = Annotated[str, Meta(min_length=1)]


class _Shape(Struct, rename="camel", frozen=True):
    pass


class Edge(_Shape, Generic[N], frozen=True):
    node: N
    cursor: str | None = None


class PageInfo(_Shape, frozen=True):
    has_next_page: bool
    end_cursor: str | None = None


class PagedList(_Shape, Generic[N], frozen=True):
    """One page of a GraphQL connection."""

    edges: list[Edge[N]]
    page_info: PageInfo


class File(_Shape, frozen=True):
    name: str
    url: str | None = None
    size_bytes: Count | CountText | None = None
    md5: str | None = None
    updated_at: str | None = None

    @property
    def size(self) -> int | None:
        return None if self.size_bytes is None else int(self.size_bytes)

    @property
    def digest(self) -> bytes | None:
        """The MD5 digest, which W&B encodes in base64; None if it is not one."""
        try:
            found = base64.b64decode(self.md5 or "", validate=True)
        except (binascii.Error, ValueError):
            return None
        return found if len(found) == 16 else None


class HistoryKeys(_Shape, frozen=True):
    last_step: Annotated[int, Meta(ge=-1, le=_MAX_STEP)] | None = None


class User(_Shape, frozen=True):
    username: str | None = None


class RunSnapshot(_Shape, frozen=True):
    state: str
    display_name: str | None = None
    config: str | None = None
    tags: list[str] | None = None
    notes: str | None = None
    group: str | None = None
    job_type: str | None = None
    sweep_name: str | None = None
    created_at: str | None = None
    heartbeat_at: str | None = None
    summary_metrics: str | None = None
    history_line_count: Count | None = None
    history_keys: HistoryKeys | None = None


class Run(RunSnapshot, frozen=True, kw_only=True):
    name: Name
    files: PagedList[File]
    user: User | None = None
    log_line_count: Count | None = None
    file_count: Count | None = None


class RunState(_Shape, frozen=True):
    state: str


class RunFiles(_Shape, frozen=True):
    files: PagedList[File]


class RunHistory(_Shape, frozen=True):
    history: list[str]


class LiveRow(Struct, frozen=True):
    """A row that is not exported yet."""

    step: Annotated[float, Meta(ge=0, le=_MAX_STEP)] = msgspec.field(name="_step")


class ParquetHistory(_Shape, frozen=True):
    parquet_urls: list[str] | None = None
    live_data: list[LiveRow] | None = None


class RunExports(_Shape, frozen=True):
    parquet_history: ParquetHistory | None = None


class LogLine(_Shape, frozen=True):
    line: str
    label: str | None = None


class RunConsole(_Shape, frozen=True):
    log_lines: PagedList[LogLine]


class Sweep(_Shape, frozen=True):
    state: str


class Named(_Shape, frozen=True):
    name: Name


class ProjectWithRun(_Shape, Generic[N], frozen=True):
    run: N | None


class ProjectWithSweep(_Shape, frozen=True):
    sweep: Sweep | None


class ProjectWithSweepRuns(_Shape, frozen=True):
    sweep: Sweep | None
    runs: PagedList[Run]


class ProjectWithRuns(_Shape, Generic[N], frozen=True):
    runs: PagedList[N]


class OfProject(_Shape, Generic[N], frozen=True):
    """The data of a response about a project; null means that it does not exist."""

    project: N | None


OfRun: TypeAlias = OfProject[ProjectWithRun[N]]
"""The data of a response about a run."""


class Projects(_Shape, frozen=True):
    models: PagedList[Named] | None


class Viewer(_Shape, frozen=True):
    entity: str | None = None


class OfViewer(_Shape, frozen=True):
    viewer: Viewer | None


class GraphQLError(_Shape, frozen=True):
    message: str = ""


class Envelope(_Shape, frozen=True):
    data: dict[str, Any] | None = None
    errors: list[GraphQLError | str] | None = None

    @property
    def messages(self) -> list[str]:
        return [error if isinstance(error, str) else error.message for error in self.errors or ()]


class AccessToken(Struct, frozen=True):
    access_token: Name
    expires_in: Annotated[float, Meta(ge=0, le=1e9)]


def read(kind: type[T], value: object, what: str) -> T:
    """Return a decoded response as a typed value.

    Args:
        kind: The expected type.
        value: What a JSON parser returned.
        what: What was requested, for the error.

    Raises:
        ServerAnswerError: The response has another shape; the error names the field, not its value.
    """
    try:
        return msgspec.convert(value, kind)
    except UnicodeEncodeError:
        # From msgspec, for half of a surrogate pair in a text with a restricted form.
        raise invalid(what, "a text is not valid Unicode") from None
    except (msgspec.ValidationError, RecursionError) as error:
        raise invalid(what, _reason(error)) from None


def read_json(kind: type[T], text: str | bytes, what: str) -> T:
    """Decode JSON, as `read` does.

    Raises:
        ServerAnswerError: It is not JSON, is nested too deeply, or has another shape.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise invalid(what, "it is nested too deeply") from None
    except ValueError:
        msg = f"{what}: the response is not W&B's; check WANDB_BASE_URL"
        raise ServerAnswerError(msg) from None
    return read(kind, value, what)


def read_config(text: str | None, what: str) -> dict[str, Any]:
    """Decode W&B's form of a config, `{"key": {"value": ..., "desc": ...}}`, without W&B's own entry `_wandb`.

    Raises:
        ServerAnswerError: It is not a JSON object.
    """
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise invalid(what, "config: it is not a JSON object")
    items = ((key, entry.get("value") if isinstance(entry, dict) else entry) for key, entry in found.items())
    return {key: value for key, value in items if key != "_wandb"}


def invalid(what: str, reason: str) -> ServerAnswerError:
    """Return the error for a response of the wrong shape."""
    return ServerAnswerError(f"{what}: W&B returned an invalid response: {reason}")


def _reason(error: Exception) -> str:
    """Return msgspec's message with the path of the field before it."""
    message, _, path = str(error).replace("`", "").partition(" - at ")
    field = path.removeprefix("$").lstrip(".")
    text = message[:1].lower() + message[1:]
    return f"{field}: {text}" if field else text
