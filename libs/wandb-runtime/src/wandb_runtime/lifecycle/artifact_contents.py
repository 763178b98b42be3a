"""Contents of artifacts in the local directory of a run, so that a copy of it is all that `wandb sync` needs."""

from __future__ import annotations

import logging
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wandb_runtime.lifecycle.run_log import artifact_entry, parse, rewrite, scan_to_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from wandb_runtime.lifecycle.sent_artifacts import LackingArtifact

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
            rewrite(log, lambda entries: _with_copies(entries, folder))


def add_artifacts(directory: str, artifacts: Sequence[LackingArtifact]) -> None:
    """Add artifacts to the log of an online run, which has none, and move their contents into its directory.

    Args:
        directory: The local directory of a run that has ended, or cannot end.
        artifacts: What W&B has not stored.
    """
    folder = Path(directory)
    for artifact in artifacts:
        for entry in artifact.record.manifest.contents:
            take = shutil.move if entry.local_path in artifact.links else shutil.copyfile
            _take_content(entry, artifact.record.name, folder, take)
    for log in folder.glob("run-*.wandb"):
        scan_to_end(log, lambda _: ())
        rewrite(log, lambda entries: _with_added(entries, [artifact.record for artifact in artifacts]))


def _with_added(entries: Iterator[bytes], artifacts: Iterable[Any]) -> Iterator[bytes]:
    """Add artifacts where `wandb sync` reads them: before the end of the run, if the log has it."""
    added = list(map(artifact_entry, artifacts))
    for entry in entries:
        if parse(entry).WhichOneof("record_type") == "exit":
            yield from added
            added = []
        yield entry
    yield from added


def _is_artifact(record: Any) -> bool:
    return bool(record.WhichOneof("record_type") == "artifact")


def _with_copies(entries: Iterator[bytes], folder: Path) -> Iterator[bytes]:
    for entry in entries:
        record = parse(entry)
        if _is_artifact(record):
            _copy_contents(record.artifact, folder)
            yield record.SerializeToString()
        else:
            yield entry


def _copy_contents(artifact: Any, folder: Path) -> None:
    for entry in artifact.manifest.contents:
        _take_content(entry, artifact.name, folder, shutil.copyfile)
        content = Path(entry.local_path)
        if content.parent == folder / _FOLDER:
            entry.local_path = str(content.relative_to(folder.parent))


def _take_content(entry: Any, artifact: str, folder: Path, take: Callable[[str, Path], object]) -> None:
    """Copy or move the content of an entry into the folder of its run, unless it is there or a reference."""
    contents = folder / _FOLDER
    if not entry.local_path or (folder.parent / entry.local_path).parent == contents:
        return
    contents.mkdir(exist_ok=True)
    target = contents / f"{uuid.uuid4().hex}{Path(entry.path).suffix}"
    try:
        take(entry.local_path, target)
    except OSError as error:
        _logger.error("File %r of W&B artifact %s is lost with this container: %s", entry.path, artifact, error)
    else:
        entry.local_path = str(target)
