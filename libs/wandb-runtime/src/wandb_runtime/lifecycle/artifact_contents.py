"""Contents of artifacts in the local directory of a run, so that a copy of it is all that `wandb sync` needs."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wandb_runtime.lifecycle.run_log import parse, read_entries, scan_to_end, write_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

_logger = logging.getLogger("wandb_runtime")

_FOLDER = "artifacts"


def collect_artifacts(directory: str) -> None:
    """Copy the contents of the artifacts that an offline run has logged into its directory.

    The SDK stages them elsewhere on this machine, or leaves them where they are (`policy="immutable"`), and its log
    names these places. Afterwards the log names the copies, relative to the parent of the directory.

    Args:
        directory: The local directory of a run that has ended.
    """
    folder = Path(directory)
    for log in folder.glob("run-*.wandb"):
        if scan_to_end(log, lambda record: [record.artifact.name] if _is_artifact(record) else []):
            _rewrite(log, folder)


def _is_artifact(record: Any) -> bool:
    return bool(record.WhichOneof("record_type") == "artifact")


def _rewrite(log: Path, folder: Path) -> None:
    new = log.with_suffix(".new")
    with log.open("rb") as old_file, new.open("wb") as new_file:
        write_entries(new_file, _with_copies(read_entries(old_file), folder))
    os.replace(new, log)  # noqa: PTH105


def _with_copies(entries: Iterator[bytes], folder: Path) -> Iterator[bytes]:
    for entry in entries:
        record = parse(entry)
        if _is_artifact(record):
            _copy_contents(record.artifact, folder)
            yield record.SerializeToString()
        else:
            yield entry


def _copy_contents(artifact: Any, folder: Path) -> None:
    contents = folder / _FOLDER
    contents.mkdir(exist_ok=True)
    for entry in artifact.manifest.contents:
        if not entry.local_path or Path(entry.local_path).parts[:2] == (folder.name, _FOLDER):
            continue
        target = contents / f"{uuid.uuid4().hex}{Path(entry.path).suffix}"
        try:
            shutil.copyfile(entry.local_path, target)
        except OSError as error:
            _logger.error(
                "File %r of W&B artifact %s is lost with this container: %s", entry.path, artifact.name, error
            )
        else:
            entry.local_path = f"{folder.name}/{_FOLDER}/{target.name}"
