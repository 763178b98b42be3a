"""The command `wandb-artifacts` in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.preloaded.client import popen


def command(*arguments: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in a folder and with additional variables."""
    line = [sys.executable, "-m", "wandb_artifacts", *arguments]
    with popen(line, {**os.environ, **environment}, folder or Path.cwd()) as process:
        output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(line, process.returncode or 0, output, errors)
