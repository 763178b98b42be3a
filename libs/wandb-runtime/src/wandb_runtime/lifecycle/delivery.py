"""Verification that a finished run has arrived at W&B: its state and files."""

from __future__ import annotations

import concurrent.futures
import time
from pathlib import Path
from typing import TYPE_CHECKING

from wandb_artifacts.client import Client

from wandb_runtime.lifecycle.run_log import scan_to_end
from wandb_runtime.tasks.threads import submit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wandb_artifacts import RunRef
    from wandb_artifacts.client import Connection

_TIMEOUT = 10.0
# A server may need a moment until it shows that a run has ended.
_PAUSES = (0.2, 0.5, 1.0, 2.0)
# `crashed`: the server has received nothing from the run for long, not even its end.
_OPEN_STATES = frozenset({"running", "pending", "crashed", "missing"})
_MOST_NAMES = 3
# Bytes. Reading a larger log would take longer than a task should wait: of such runs, only the state is verified.
_LARGEST_LOG = 16 * 1024**2
_FILES = """
query RunFiles($entity: String!, $project: String!, $run: String!, $names: [String]!, $cursor: String) {
  project(name: $project, entityName: $entity) {
    run(name: $run) {
      files(names: $names, first: 100, after: $cursor) {
        edges { node { name sizeBytes } cursor }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""


def find_problem(run: RunRef, connection: Connection, directory: str) -> str | None:
    """Return what has not arrived at W&B; None if all has. The SDK reports neither refused data nor refused files.

    Args:
        run: The run, which has ended.
        connection: How the server is reached.
        directory: The run's local directory.
    """
    request = submit(lambda: _find_problem(run, connection, directory))
    try:
        return request.result(_TIMEOUT)
    except concurrent.futures.TimeoutError:
        return f"the server did not return the run's state within {_TIMEOUT:g} s"
    except Exception as error:  # noqa: BLE001 - the work is done, and its result must not be lost
        return f"the server did not return the run's state, {type(error).__name__}: {error}"


def _find_problem(run: RunRef, connection: Connection, directory: str) -> str | None:
    client = Client(connection, timeout=_TIMEOUT)
    state = _final_state(run, client)
    if state in _OPEN_STATES:
        return f"it is {state} on the server"
    lacking = _lacking_files(run, client, directory)
    return f"the server lacks {listed(lacking)}" if lacking else None


def _lacking_files(run: RunRef, client: Client, directory: str) -> set[str]:
    sent = _sent_files(directory)
    if not sent:
        return sent
    variables = {"entity": run.entity, "project": run.project, "run": run.id, "names": sorted(sent)}
    path = ("project", "run", "files")
    pages = client.iterate_pages(_FILES, variables, path, what=f"the files of run {run}")
    # W&B lists a file that it expects, with size 0. It writes numbers of 64 bits as numbers or as texts.
    return sent - {file["name"] for page in pages for file in page if int(file["sizeBytes"] or 0)}


def _final_state(run: RunRef, client: Client) -> str:
    for pause in (*_PAUSES, None):
        state = client.run_state(run) or "missing"
        if pause is None or state not in _OPEN_STATES:
            break
        time.sleep(pause)
    return state


def _sent_files(directory: str) -> set[str]:
    """Return the names of the files that the run has sent, as far as they exist and are not empty."""
    folder = Path(directory)
    sent: set[str] = set()
    for log in folder.glob("run-*.wandb"):
        if log.stat().st_size > _LARGEST_LOG:
            continue
        sent |= scan_to_end(log, lambda record: [item.path for item in record.files.files])
    files = ((name, folder / "files" / name) for name in sent)
    return {name for name, file in files if file.is_file() and file.stat().st_size}


def listed(names: Iterable[str]) -> str:
    """Return the first of some names, and how many more there are."""
    first, *rest = sorted(names)
    shown = [first, *rest[: _MOST_NAMES - 1]]
    more = len(rest) + 1 - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
