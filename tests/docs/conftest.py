from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from wandb_devserver import DevServer

from tests.support.documents import ROOT
from tests.support.preloaded.client import popen
from tests.support.sdk_settings import LIGHT_RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.documents import Block

_TIMEOUT = 240.0


@dataclass
class Shell:
    """A user's shell, with a W&B server."""

    server: DevServer
    home: Path

    @cached_property
    def sweep(self) -> str:
        """The id of the sweep that the documents call x7k2, made together with the other data of that project."""
        return self.run([sys.executable, "-m", "tests.docs.seed"], self.home).splitlines()[-1]

    def execute(self, page: Sequence[Block], folder: Path) -> str:
        """Execute blocks in a folder, as one program, and return what they print."""
        blocks = folder / "blocks"
        blocks.write_bytes(pickle.dumps([replace(block, code=self._localized(block.code, folder)) for block in page]))
        return self.run([sys.executable, "-m", "tests.docs.page", str(blocks)], folder)

    def run(self, command: Sequence[str], folder: Path) -> str:
        """Run a command, which must succeed, and return what it prints."""
        with popen(command, self._environment(folder), folder) as process:
            try:
                output, errors = process.communicate(timeout=_TIMEOUT)
            except BaseException:
                process.kill()
                raise
        assert process.returncode == 0, f"{output[-3000:]}\n{errors[-6000:]}"
        return output

    def _localized(self, code: str, folder: Path) -> str:
        """Replace what the documents name and a test does not have: W&B, an object store, the id of the sweep."""
        local = {"https://wandb.ai": self.server.url, "s3://": f"file://{folder}/"}
        if "my-team/my-project" in code:
            local["x7k2"] = self.sweep
        for written, replacement in local.items():
            code = code.replace(written, replacement)
        return code

    def _environment(self, folder: Path) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "FLYTE", "PYTEST"))}
        executables = str(Path(sys.executable).parent)
        return {
            **kept,
            **self.server.env,
            **LIGHT_RUNS,
            "HOME": str(self.home),
            "PATH": os.pathsep.join([executables, kept.get("PATH", os.defpath)]),
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder),
            "WANDB_DIR": str(folder),
            "WANDB_SILENT": "true",
        }


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell that all documents share."""
    home = tmp_path_factory.mktemp("home")
    with DevServer() as server:
        yield Shell(server, home)
