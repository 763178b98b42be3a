"""The driver: a user's script, in a separate process.

`flyte.init` configures a whole process, and cannot be undone: with an endpoint, every `flyte.run` without a mode goes
to the control plane. Tests of Flyte's local mode share the pytest process; so drivers do not run in it. It is also
what users do, and lets a test choose the driver's environment, where links of top-level tasks are computed.

The test's process writes a `Job`; this module (`python -m tests.support.control_plane.driver FOLDER`) runs it and
writes the result.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flyte.remote import Run

ORG, PROJECT, DOMAIN = "test-org", "test-project", "development"
_JOB, _RESULT = "job.pickle", "result.pickle"


@dataclass(frozen=True)
class Job:
    """One `flyte.run`."""

    endpoint: str
    root: Path
    """The folder whose modules make up the code bundle."""
    task: str
    """`module:name`."""
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    overrides: Mapping[str, Any]
    """For `task.override(...)`."""
    options: Mapping[str, Any]
    """For `flyte.with_runcontext(...)`."""
    then: str = field(default=f"{__name__}:outputs")
    """A function, as `module:name`, that gets the run; what it returns is the result."""

    def write(self, folder: Path) -> list[str]:
        """Prepare a folder for the driver and return its command."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _JOB).write_bytes(pickle.dumps(self))
        return [sys.executable, "-m", __name__, str(folder)]


def reference(value: Any) -> str:
    """Return the name by which another process imports a task or function at the top level of a module."""
    if isinstance(value, str):
        return value
    function = getattr(value, "func", value)
    return f"{function.__module__}:{function.__name__}"


def read_result(folder: Path) -> Any:
    """Read the return value of the driver's function."""
    return pickle.loads((folder / _RESULT).read_bytes())


def outputs(run: Run) -> tuple[Any, ...]:
    """Wait for a run and return its outputs; none if it did not succeed."""
    from flyte.models import ActionPhase

    run.wait(quiet=True)
    return tuple(run.outputs()) if run.phase == ActionPhase.SUCCEEDED else ()


def completion(run: Run) -> tuple[Any, ...]:
    """Wait for a run and discard its outputs, whose types a test may not know."""
    run.wait(quiet=True)
    return ()


def _main(folder: Path) -> None:
    import flyte
    from flyte.storage import S3

    job: Job = pickle.loads((folder / _JOB).read_bytes())
    flyte.init(
        endpoint=job.endpoint,
        insecure=True,
        org=ORG,
        project=PROJECT,
        domain=DOMAIN,
        root_dir=job.root,
        storage=S3.auto(),
        # The control plane reports every image as existing; the local builder would look for Docker.
        image_builder="remote",
    )
    task = _find(job.task)
    if job.overrides:
        task = task.override(**job.overrides)
    run = flyte.with_runcontext(mode="remote", **job.options).run(task, *job.args, **job.kwargs)
    then: Callable[[Any], Any] = _find(job.then)
    (folder / _RESULT).write_bytes(pickle.dumps(then(run)))


def _find(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _leave(folder: Path) -> NoReturn:
    """Exit without finalizing the interpreter, where the SDK's threads sometimes abort the process."""
    try:
        _main(folder)
    except BaseException:  # noqa: BLE001 - the test's process must see every failure
        # Flyte's hook for uncaught exceptions omits the message.
        traceback.print_exc()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    # Under its own name, so that what is pickled is found by the test's process too.
    importlib.import_module("tests.support.control_plane.driver")._leave(Path(sys.argv[1]))
