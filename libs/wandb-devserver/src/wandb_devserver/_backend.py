"""Shared state of one server, passed to every request handler."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wandb_devserver._http.connections import Connections
from wandb_devserver._http.sessions import Sessions
from wandb_devserver._http.signing import Signer
from wandb_devserver._storage import blobs as blob_store
from wandb_devserver._storage.blobs import BlobStore
from wandb_devserver._storage.database import Database
from wandb_devserver._testing.faults import Faults
from wandb_devserver._testing.request_log import RequestLog

if TYPE_CHECKING:
    from wandb_devserver._data_dir import DataDir


logger = logging.getLogger("wandb_devserver")


@dataclass(frozen=True, slots=True)
class Backend:
    """The data of one server, and the credentials that open it."""

    entity: str
    api_key: str = field(repr=False)
    database: Database
    blobs: BlobStore
    signer: Signer = field(repr=False)
    sessions: Sessions = field(repr=False)
    faults: Faults = field(default_factory=Faults)
    requests: RequestLog = field(default_factory=RequestLog)
    connections: Connections = field(default_factory=Connections)
    export_after: int | None = None
    """How many of the last rows of a running run are not exported to Parquet; None for no exports."""
    export_lock: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one thread that exports history."""

    @classmethod
    def open(
        cls,
        data_dir: DataDir,
        *,
        entity: str,
        api_key: str | None,
        heartbeat_timeout: float,
        export_after: int | None = None,
    ) -> Backend:
        """Open a data directory, creating in it what is missing."""
        key, signer = api_key or data_dir.api_key(), Signer(data_dir.signing_secret())
        backend = cls(
            entity=entity,
            api_key=key,
            database=Database(data_dir.database, heartbeat_timeout=heartbeat_timeout),
            blobs=BlobStore(data_dir.blobs),
            signer=signer,
            sessions=Sessions(signer, key),
            export_after=export_after,
        )
        with backend.database.read() as connection:
            # A server that was killed may have stored contents without their record, or deleted only the record.
            collected = backend.blobs.collect(blob_store.names(connection))
        logger.info("%d blobs without a record removed", collected)
        return backend
