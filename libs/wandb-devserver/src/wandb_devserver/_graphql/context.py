"""Per-request context of the resolvers."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wandb_devserver._errors import NotFoundError, UsageError
from wandb_devserver._json import is_int64
from wandb_devserver._storage import projects as project_table
from wandb_devserver._storage import runs as run_table
from wandb_devserver._storage import users as user_table

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from typing import TypeAlias

    from graphql import GraphQLResolveInfo

    from wandb_devserver._backend import Backend
    from wandb_devserver._json import JsonObject
    from wandb_devserver._storage.projects import StoredProject
    from wandb_devserver._storage.runs import StoredRun

    Info: TypeAlias = "GraphQLResolveInfo[Context]"


class AgentGoneError(NotFoundError):
    """The sweep of an agent was deleted. Only the status 404 ends the SDK's agents."""


class UnsupportedError(UsageError):
    """The server lacks a part of W&B. The SDK hides some of these failures, hence the status 400 and a warning."""


class SlowWork(Exception):  # noqa: N818 - no error
    """Ends a transaction for work that must be done outside of it."""

    def __init__(self, work: Callable[[sqlite3.Connection], JsonObject]) -> None:
        super().__init__()
        self.work = work


@dataclass(slots=True)
class Context:
    """One GraphQL request: a single transaction, read-only unless it is a mutation."""

    backend: Backend
    connection: sqlite3.Connection
    base_url: str
    """The base URL by which the client reached this server, with a trailing slash."""

    writer: str | None = None
    """The id of the client if it is one of several writers of a run."""

    wrong_md5: bool = False
    """A fault: lie about every MD5."""

    hides_line_count: bool = False
    """Whether the client must not learn how many lines the history has."""

    unused_blobs: list[str] = field(default_factory=list)
    """Blobs to remove once the transaction is on disk."""

    new_blobs: list[str] = field(default_factory=list)
    """Blobs to remove if the transaction fails."""

    computed: JsonObject | None = None
    """The result of the work that an earlier `SlowWork` requested."""

    def slowly(self, work: Callable[[sqlite3.Connection], JsonObject]) -> JsonObject:
        """Return the result of `work`, which takes too long to be done while nobody else can write.

        Raises:
            SlowWork: when it is still to be done: outside of the transaction, after which the request starts again.
        """
        if self.computed is None:
            raise SlowWork(work)
        return self.computed

    @property
    def default_entity(self) -> str:
        """The entity of requests that name none."""
        return user_table.default_entity(self.connection) or self.backend.entity

    def project(self, entity: str | None, name: str | None) -> StoredProject | None:
        return project_table.find(self.connection, entity or self.default_entity, name or DEFAULT_PROJECT)

    def run(self, entity: str, project: str, name: str) -> StoredRun:
        """Return a run that must exist.

        Raises:
            NotFoundError: if it does not.
        """
        run = run_table.find_by_path(self.connection, entity, project, name)
        if run is None:
            msg = f"run '{entity}/{project}/{name}' does not exist"
            raise NotFoundError(msg)
        return run

    def run_by_id(self, node_id: str) -> StoredRun:
        """Return the run with a storage id.

        Raises:
            NotFoundError: if it was deleted.
        """
        run = run_table.find_by_id(self.connection, decode_id("Run", node_id))
        if run is None:
            msg = f"run {node_id!r} does not exist"
            raise NotFoundError(msg)
        return run


DEFAULT_PROJECT = "uncategorized"
"""Where runs go that name no project, as at W&B."""


def encode_id(kind: str, number: int) -> str:
    """Return the opaque id that clients see for a row."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


def decode_id(kind: str, node_id: str) -> int:
    """Return the row behind an opaque id.

    Raises:
        UsageError: if it is not the id of such a thing.
    """
    try:
        found, _, number = base64.b64decode(node_id, validate=True).decode().partition(":")
        if found == kind and is_int64(int(number)):
            return int(number)
    except (binascii.Error, ValueError):
        pass
    msg = f"{node_id!r} is not the id of a {kind.lower()}"
    raise UsageError(msg)
