from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from wandb_devserver import DevServer

from tests.architecture.packages import ROOT
from tests.support.preloaded import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TIMEOUT = 240.0


@dataclass(frozen=True)
class Site:
    """A server with the runs that the documents name, and the environment of a user's shell."""

    server: DevServer
    folder: Path
    sweep: str
    """The id of the sweep that the documents call x7k2."""

    def localized(self, code: str) -> str:
        """Replace what the documents name and a test does not have: W&B itself, an object store, the id of a sweep."""
        for written, replacement in (("https://wandb.ai", self.server.url), ("s3://", "file:///tmp/"), ("x7k2", self.sweep)):
            code = code.replace(written, replacement)
        return code


def environment(server: DevServer, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "FLYTE", "_U_"))}
    return {**kept, **server.env, "HOME": str(home), "WANDB_SILENT": "true", "PYTHONPATH": str(ROOT), "TMPDIR": str(home)}


def run(command: list[str], env: dict[str, str], folder: Path) -> str:
    """Run a program to its end and return its output; it must succeed."""
    with client.popen(command, env, folder) as process:
        output, errors = process.communicate(timeout=_TIMEOUT)
    assert process.returncode == 0, f"{output[-3000:]}\n{errors[-6000:]}"
    return output
