"""The folder of a run: a copy of wandb's tests, an environment with the SDK under test, and the logs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.conformance.scope import Scope

HERE = Path(__file__).parent
COPIED = ("tests", "tools", "pyproject.toml")
REQUIREMENTS = "requirements/requirements_test.txt"
# The name by which the tests look for their server, and the file that starts and finds it.
SERVER_NAME = "wandb-local-testcontainer"
SERVER_TOOL = "tools/local_wandb_server.py"
# Notebooks of the tests name this kernel.
KERNEL = "wandb_python"


@dataclass(frozen=True)
class Workspace:
    """A folder outside of any repository: wandb's tests run git, and must find no repository above them."""

    root: Path
    sdk: str

    @property
    def suite(self) -> Path:
        return self.root / "suite"

    @property
    def environment(self) -> Path:
        return self.root / f"sdk-{self.sdk}"

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def report(self) -> Path:
        return self.logs / "report.jsonl"

    def prepare(self, source: Path, scope: Scope) -> None:
        """Copy the tests, and create the environment or update it."""
        self.root.mkdir(parents=True, exist_ok=True)
        if repository := next((folder for folder in self.root.resolve().parents if (folder / ".git").exists()), None):
            sys.exit(f"--workdir {self.root}: is inside the repository {repository}; name a folder outside of any")
        copy_suite(source, self.suite)
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir()
        self._install(source / REQUIREMENTS, scope.requirements)

    def _install(self, requirements: Path, more: tuple[str, ...]) -> None:
        run("uv", "venv", "--quiet", "--allow-existing", f"--python={sys.executable}", self.environment)
        packages = [*more, f"wandb[media]=={self.sdk}"]
        # Tests allow the processes that they start few seconds, which compiling the packages would take.
        options = ("--quiet", "--compile-bytecode", f"--python={self.python}")
        run("uv", "pip", "install", *options, "-r", requirements, *packages)
        kernel = (f"--prefix={self.environment}", f"--name={KERNEL}")
        run(self.python, "-m", "ipykernel", "install", *kernel, stdout=subprocess.DEVNULL)

    def test(self, arguments: list[str]) -> int:
        """Run pytest in the copy.

        Returns:
            The exit code of pytest.
        """
        options = [
            *("-p", "conformance_report", "-p", "conformance_compat", "-p", "conformance_order"),
            *("-q", "--no-header", "--no-summary", "--tb=short", "--timeout=120", "--numprocesses=2"),
            *("-o", "addopts=", "-o", "console_output_style=classic"),
        ]
        command = [str(self.python), "-m", "pytest", *options, *arguments]
        return subprocess.run(command, cwd=self.suite, env=self._variables(), check=False).returncode

    def _variables(self) -> dict[str, str]:
        """The environment variables of the tests: the developer's, less the settings of W&B and of CI services."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_") and name != "CI"}
        return {
            **kept,
            "PATH": f"{self.python.parent}{os.pathsep}{kept['PATH']}",
            "PYTHONPATH": str(HERE / "plugins"),
            "NO_PROXY": "127.0.0.1,localhost",
            "WANDB_ERROR_REPORTING": "false",
            "CONFORMANCE_REPORT": str(self.report),
        }

    @contextmanager
    def gateway(self, server_python: str) -> Iterator[None]:
        """Serve the tests, by the wandb-devserver of the environment with this interpreter."""
        command = [server_python, str(HERE / "gateway.py"), str(self.logs)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
                if not line:
                    sys.exit(f"the gateway did not start; exit code {process.wait()}: {' '.join(command)}")
                self._announce(*json.loads(line))
                yield
            finally:
                process.terminate()

    def _announce(self, base_port: int, fixture_port: int) -> None:
        """Write the URL of the server, as wandb's tool does for a server that it did not start."""
        ports = (f"--base-port={base_port}", f"--fixture-port={fixture_port}")
        command = ("start", f"--name={SERVER_NAME}", "--hostname=localhost", *ports)
        run(self.python, self.suite / SERVER_TOOL, *command, stderr=subprocess.DEVNULL)


def copy_suite(source: Path, target: Path) -> None:
    """Copy the tests out of a checkout, whose folder `wandb` would hide the installed SDK."""
    missing = [name for name in (*COPIED, REQUIREMENTS) if not (source / name).exists()]
    if missing:
        sys.exit(f"--suite {source}: is not a checkout of wandb's sources; it lacks {', '.join(missing)}")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)
        else:
            shutil.copy2(source / name, target / name)


def run(*command: str | Path, stdout: int | None = None, stderr: int | None = None) -> None:
    subprocess.run(command, check=True, stdout=stdout, stderr=stderr)
