"""Config values and tags that a task adds to a run that it joins."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_artifacts import RunRef
from wandb_artifacts.client import Client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb import Run
    from wandb_artifacts.client import Connection

    from wandb_runtime.lifecycle.plans import RunUpdate

_logger = logging.getLogger("wandb_runtime")

_TIMEOUT = 10.0


@dataclass(frozen=True)
class _Existing:
    """The config and tags that a run already has."""

    config: Mapping[str, Any]
    tags: tuple[str, ...]


def add(update: RunUpdate, run: Run) -> None:
    """Add to a run that is open in this process."""
    _add(update, run, _Existing(dict(run.config), run.tags or ()))


def add_as_writer(update: RunUpdate, run: Run, connection: Connection) -> None:
    """Add to a run of another process, whose config and tags the run object of this process does not have."""
    if not update.inherited_config and not update.tags:
        update_config(run, update.config)
    elif existing := _look_up(run, connection):
        _add(update, run, existing)
    else:
        update_config(run, update.config)


def restore_tags(run: Run, connection: Connection | None, tags: tuple[str, ...]) -> None:
    """Add tags again that another writer has replaced: W&B keeps the list that was sent last."""
    if tags and (existing := _look_up(run, connection)):
        _add_tags(run, existing, tags)


def update_config(run: Run, values: Mapping[str, Any]) -> None:
    """Set values of `run.config`, including existing ones."""
    if values:
        run.config.update(dict(values), allow_val_change=True)  # type: ignore[no-untyped-call]


def _add(update: RunUpdate, run: Run, existing: _Existing) -> None:
    inherited = {key: value for key, value in update.inherited_config.items() if key not in existing.config}
    update_config(run, {**inherited, **update.config})
    _add_tags(run, existing, update.tags)


def _add_tags(run: Run, existing: _Existing, tags: tuple[str, ...]) -> None:
    if set(tags) - set(existing.tags):
        run.tags = tuple(dict.fromkeys((*existing.tags, *tags)))


def _look_up(run: Run, connection: Connection | None) -> _Existing | None:
    ref = RunRef(run.entity, run.project, run.id)
    try:
        found = Client(connection, timeout=_TIMEOUT).find_run(ref)
    except Exception as error:  # noqa: BLE001 - tags are not worth a task
        reason: object = error
    else:
        if found is not None:
            return _Existing(found.config, found.tags)
        reason = "the server does not have the run"
    _logger.warning("Cannot read the tags of W&B run %s, so none are added to it: %s", ref, reason)
    return None
