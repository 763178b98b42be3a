"""W&B run directories that a Flyte run has stored as outputs of traces, found by Flyte's public API."""

from __future__ import annotations

from dataclasses import dataclass

from flyte.remote import Action, ActionDetails
from flyte.syncify import syncify

from wandb_runtime.lifecycle.sync_command import sync_arguments, sync_id

_TRACES = frozenset({"wandb_run_directory", "wandb_run_directory_sync"})


@dataclass(frozen=True)
class StoredRun:
    """A stored directory of a W&B run, and what is needed to deliver it."""

    flyte_run: str
    action: str
    """The action whose task has stored it."""
    trace: str
    """The action of the trace; unique in the Flyte run."""
    attempt: str
    uri: str
    """The stored directory; empty if the trace failed."""
    run: str
    """`entity/project/id` of the W&B run, as far as the task knew them."""
    host: str | None
    """The API base URL of its server; None if the task did not store it."""
    shared_by: str
    """The label of this writer, for a run with several; else empty."""

    @property
    def directory(self) -> str:
        """The name that `wandb sync` requires."""
        return self.uri.rstrip("/").rpartition("/")[2]

    @property
    def synced_id(self) -> str | None:
        """The id of the run on W&B, if it is not its own."""
        return sync_id(self.run, self.shared_by) if self.shared_by else None

    def sync_arguments(self, directory: str) -> list[str]:
        """Return the arguments of `wandb` that upload a copy of the directory."""
        is_offline = self.directory.startswith("offline-")
        return sync_arguments(directory, is_offline=is_offline, run_id=self.synced_id)

    def __str__(self) -> str:
        return f"W&B run {self.run or self.directory or '(unnamed)'} of action {self.action}, attempt {self.attempt}"


@syncify
async def find_stored_runs(run: str, action: str | None) -> list[StoredRun]:
    """Return what a Flyte run has stored, in the order of attempts.

    Args:
        run: The name of the Flyte run.
        action: Only what the task of this action has stored; None for all.
    """
    actions = [each async for each in Action.listall.aio(for_run_name=run)]
    traces = [each for each in actions if _trace_name(each) in _TRACES and action in (None, each.parent_name)]
    return [await _read(each) for each in sorted(traces, key=lambda each: each.start_time)]


def _trace_name(action: Action) -> str:
    return str(action.pb2.metadata.trace.name)


async def _read(trace: Action) -> StoredRun:
    """Read what a trace has stored."""
    details = await ActionDetails.get.aio(run_name=trace.run_name, name=trace.name)
    inputs, outputs = await details.input_literals(), await details.output_literals()
    given = {name: literal.scalar.primitive.string_value for name, literal in inputs.items()}
    uri = next((literal.scalar.blob.uri for literal in outputs.values()), "")
    return StoredRun(
        flyte_run=trace.run_name,
        action=trace.parent_name or "",
        trace=trace.name,
        attempt=given.get("attempt", ""),
        uri=uri,
        run=given.get("run", ""),
        host=given.get("host") or None,
        shared_by=given.get("shared_by", ""),
    )
