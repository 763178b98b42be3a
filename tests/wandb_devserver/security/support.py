"""The command in a separate process, under the limits of a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.preloaded.client import popen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.preloaded.client import Interpreter


@dataclass(frozen=True)
class RunningCommand:
    """The URL and the credentials of a server in another process."""

    url: str
    api_key: str
    errors: Path
    """The file with its standard error."""


def start_command(data_dir: Path, *arguments: str, first: str = "") -> Interpreter | subprocess.Popen[str]:
    """Start the command; its process executes `first` before, which may set limits."""
    program = f"import os, resource\n{first}\nfrom wandb_devserver._cli import main\nmain(prog_name='wandb-devserver')"
    command = [sys.executable, "-c", program, "--port", "0", "--data-dir", str(data_dir), *arguments]
    return popen(command, {**os.environ, "PYTHONUNBUFFERED": "1"}, data_dir.parent)


@contextmanager
def running_command(data_dir: Path, *arguments: str, first: str = "") -> Iterator[RunningCommand]:
    """Run the command until the block ends."""
    errors = data_dir.with_name("stderr")
    # A pipe that nobody reads would stop a server that logs much.
    first += f"\nos.dup2(os.open({str(errors)!r}, os.O_WRONLY | os.O_CREAT), 2)"
    with start_command(data_dir, *arguments, first=first) as process:
        assert process.stdout is not None
        values = [process.stdout.readline().partition("=")[2].strip() for _ in range(2)]
        try:
            yield RunningCommand(values[0], values[1], errors)
        finally:
            process.send_signal(signal.SIGTERM)
