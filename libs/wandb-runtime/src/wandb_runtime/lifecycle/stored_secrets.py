"""Secrets in the local directory of a run, which others may read once it is stored.

The SDK quotes a server that refuses data: in its logs, and on the console, which it records. A server may have echoed
the request, with the API key.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_runtime.lifecycle.run_log import parse, read_entries, rewrite
from wandb_runtime.server.diagnostics import redactor_for

if TYPE_CHECKING:
    from wandb_artifacts.client import Connection


_CONSOLE = ("output", "output_raw", "output_logger")
"""Records of the console."""


def remove_secrets(directory: str, connection: Connection) -> None:
    """Delete the SDK's logs, which a sync does not need, and overwrite secrets in the recorded console.

    Args:
        directory: The local directory of a run that has ended, or cannot end.
        connection: How the run's server is reached.
    """
    folder, mask = Path(directory), redactor_for(connection).mask

    def masked(entry: bytes) -> bytes:
        # Of the same length, a text in an entry stays valid. Only the console quotes the server: elsewhere the text of
        # a header, such as "production", is the user's own.
        return mask(entry) if parse(entry).WhichOneof("record_type") in _CONSOLE else entry

    shutil.rmtree(folder / "logs", ignore_errors=True)
    for console in folder.glob("files/**/output*.log"):
        content = console.read_bytes()
        if (clean := mask(content)) != content:
            console.write_bytes(clean)
    for log in folder.glob("run-*.wandb"):
        with log.open("rb") as file:
            has_secrets = any(masked(entry) != entry for entry in read_entries(file))
        if has_secrets:
            rewrite(log, lambda entries: map(masked, entries))
