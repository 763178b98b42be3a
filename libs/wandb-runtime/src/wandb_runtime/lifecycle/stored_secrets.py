"""Secrets in the local directory of a run, which others may read once it is stored.

The SDK quotes a server that refuses data: in its logs, and on the console, which it records. A server may have echoed
the request, with the API key.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_runtime.lifecycle.run_log import read_entries, rewrite
from wandb_runtime.server.diagnostics import redactor_for

if TYPE_CHECKING:
    from wandb_artifacts.client import Connection


def remove_secrets(directory: str, connection: Connection) -> None:
    """Delete the SDK's logs, which a sync does not need, and overwrite secrets in the recorded console.

    Args:
        directory: The local directory of a run that has ended, or cannot end.
        connection: How the run's server is reached.
    """
    folder, mask = Path(directory), redactor_for(connection).mask
    shutil.rmtree(folder / "logs", ignore_errors=True)
    for console in folder.glob("files/**/output*.log"):
        content = console.read_bytes()
        if (masked := mask(content)) != content:
            console.write_bytes(masked)
    for log in folder.glob("run-*.wandb"):
        with log.open("rb") as file:
            has_secrets = any(mask(entry) != entry for entry in read_entries(file))
        if has_secrets:
            # Of the same length, a text in an entry stays valid.
            rewrite(log, lambda entries: map(mask, entries))
