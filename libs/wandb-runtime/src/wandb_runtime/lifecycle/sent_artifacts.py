"""Artifacts that an open run sends, with second links to their contents until W&B has stored them.

The SDK deletes the contents that it has staged as soon as it has sent them, also when W&B has refused them, and its log
of an online run has no artifacts. So a later `wandb sync` needs both from here.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from wandb_runtime.tasks.threads import submit

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from wandb import Run

_LINK = ".kept"
# Seconds: the response to the last artifact arrives with the end of the run.
_FOR_RESPONSES = 5.0
# Seconds: the response has arrived, and is about to be read. Those to other artifacts may take long.
_FOR_READING = 1.0


@dataclass(frozen=True)
class LackingArtifact:
    """An artifact that W&B has not stored."""

    record: Any
    """W&B's `ArtifactRecord`; its local paths lead to contents that still exist."""
    links: frozenset[str]
    """The local paths that this package has made, and nobody else uses."""
    reason: str


@dataclass(eq=False)
class _Sent:
    record: Any
    links: list[str] = field(default_factory=list)
    response: Future[str] | None = None
    """W&B's error message; empty if it has stored the artifact."""

    def link_contents(self) -> None:
        """Link contents that the SDK deletes. Others are the user's files (`policy="immutable"`)."""
        from wandb_runtime.server import sdk_private

        staging = sdk_private.staging_directory()
        for entry in self.record.manifest.contents:
            if os.path.dirname(entry.local_path) == staging:  # noqa: PTH120
                # A file system without links keeps nothing; the contents are then reported as lost.
                with contextlib.suppress(OSError):
                    os.link(entry.local_path, entry.local_path + _LINK)
                entry.local_path += _LINK
                self.links.append(entry.local_path)

    def keep_contents(self) -> None:
        """Link the user's files too: they may be gone when the run ends. Contents that are gone are reported then."""
        from wandb_runtime.server import sdk_private

        staging = sdk_private.staging_directory()
        for entry in self.record.manifest.contents:
            if entry.local_path and entry.local_path not in self.links:
                link = os.path.join(staging, f"{uuid.uuid4().hex}{_LINK}")  # noqa: PTH118
                with contextlib.suppress(OSError):
                    _link_or_copy(os.path.realpath(entry.local_path), link)
                    entry.local_path = link
                    self.links.append(link)

    def remove_links(self) -> None:
        for link in self.links:
            Path(link).unlink(missing_ok=True)

    @property
    def is_stored(self) -> bool:
        response = self.response
        return response is not None and response.done() and not response.exception() and not response.result()

    @property
    def reason(self) -> str:
        if self.response is None or not self.response.done():
            return "no response"
        error = self.response.exception()
        return f"{type(error).__name__}: {error}" if error else self.response.result()


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copyfile(source, target)


class SentArtifacts:
    """The artifacts that a run object has sent and that W&B may lack.

    Args:
        is_offline: Whether the run is offline: then its log has the artifacts, and their contents stay.
    """

    def __init__(self, *, is_offline: bool) -> None:
        self._is_offline = is_offline
        self._sent: list[_Sent] = []

    def observe(self, record: Any) -> Callable[[Callable[[], str]], None]:
        """Prepare for an artifact that is about to be sent.

        Args:
            record: W&B's `ArtifactRecord`. Its paths become absolute: the body may change the working directory.

        Returns:
            To be called with a function that waits for W&B's response and returns its error message.
        """
        for entry in record.manifest.contents:
            # The working directory may be gone.
            with contextlib.suppress(OSError):
                entry.local_path = entry.local_path and os.path.abspath(entry.local_path)  # noqa: PTH100
        if self._is_offline:
            return lambda _: None
        sent = _Sent(type(record).FromString(record.SerializeToString()))
        sent.link_contents()
        self._sent.append(sent)

        def await_response(wait: Callable[[], str]) -> None:
            sent.response = submit(wait)
            sent.response.add_done_callback(lambda _: self._forget_if_stored(sent))

        return await_response

    def _forget_if_stored(self, sent: _Sent) -> None:
        if sent.is_stored:
            # Both the response and `forget_stored` lead here.
            with contextlib.suppress(ValueError):
                self._sent.remove(sent)
            sent.remove_links()

    def forget_stored(self) -> None:
        """Read the responses that have arrived, and remove the links to the contents that W&B has stored."""
        sent = tuple(self._sent)
        concurrent.futures.wait([each.response for each in sent if each.response], _FOR_READING)
        for each in sent:
            self._forget_if_stored(each)

    def keep_contents(self) -> None:
        """Keep the contents of the artifacts that W&B has not stored yet, until it has."""
        for sent in tuple(self._sent):
            sent.keep_contents()
            if sent.is_stored:
                sent.remove_links()

    def lacking(self, *, has_ended: bool) -> list[LackingArtifact]:
        """Return the artifacts that W&B has not stored.

        Args:
            has_ended: Whether the run has been finished, so that every response has arrived or is about to.
        """
        # A copy: responses that arrive meanwhile remove theirs, and a loop over the list would skip the next one.
        sent = tuple(self._sent)
        if has_ended:
            concurrent.futures.wait([each.response for each in sent if each.response], _FOR_RESPONSES)
        lacking = [each for each in sent if not each.is_stored]
        return [LackingArtifact(each.record, frozenset(each.links), each.reason) for each in lacking]


_by_run: WeakKeyDictionary[Run, SentArtifacts] = WeakKeyDictionary()


def observe_artifacts(run: Run) -> None:
    """Observe the artifacts of a run that was just opened."""
    from wandb_runtime.server import sdk_private

    if not run.disabled:
        _by_run[run] = sent = SentArtifacts(is_offline=run.offline)
        sdk_private.observe_artifacts(run, sent.observe)


def lacking_artifacts(run: Run, *, has_ended: bool) -> list[LackingArtifact]:
    """Return the artifacts of a run object that W&B has not stored; see `SentArtifacts.lacking`."""
    sent = _by_run.get(run)
    return sent.lacking(has_ended=has_ended) if sent is not None else []


def keep_contents(run: Run) -> None:
    """Keep the contents of artifacts that a run object has sent and W&B has not stored; see `SentArtifacts`."""
    sent = _by_run.get(run)
    if sent is not None:
        sent.keep_contents()


def forget_stored(run: Run) -> None:
    """Remove the links to contents that W&B has stored, before others are staged; see `SentArtifacts`."""
    sent = _by_run.get(run)
    if sent is not None:
        sent.forget_stored()
