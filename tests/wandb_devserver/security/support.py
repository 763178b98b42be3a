"""The command in a separate process, under the limits of a test."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STOP_TIMEOUT = 30.0
COMMAND = [sys.executable, "-m", "wandb_devserver", "--port", "0", "--data-dir"]


@dataclass(frozen=True)
class RunningCommand:
    """The URL and the credentials of a server in another process."""

    url: str
    api_key: str
    process: subprocess.Popen[str]


@contextmanager
def running_command(data_dir: Path, *arguments: str, **options: Any) -> Iterator[RunningCommand]:
    """Run the command until the block ends; kill it if it does not stop."""
    with subprocess.Popen(
        [*COMMAND, str(data_dir), *arguments], stdout=subprocess.PIPE, text=True, **options
    ) as process:
        assert process.stdout is not None
        values = [process.stdout.readline().partition("=")[2].strip() for _ in range(2)]
        try:
            yield RunningCommand(values[0], values[1], process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
