"""What a task adds to a run that it joins: values of `run.config` and tags."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wandb import Run

    from wandb_runtime._plan import Additions, RunAddress

_logger = logging.getLogger("wandb_runtime")

_TIMEOUT = 10


@dataclass(frozen=True)
class _Found:
    """What a run has already."""

    config: Mapping[str, Any]
    tags: tuple[str, ...]


def add(additions: Additions, run: Run) -> None:
    """Adds to a run that this process has open."""
    _add(additions, run, _Found(dict(run.config), run.tags or ()))


def add_as_writer(additions: Additions, run: Run, address: RunAddress) -> None:
    """Adds to a run of another process, whose config and tags this one's run object does not know."""
    if not additions.inherited_config and not additions.tags:
        update_config(run, additions.config)
    elif found := _look_up(address):
        _add(additions, run, found)
    else:
        update_config(run, additions.config)


def keep_tags(run: Run, address: RunAddress, tags: tuple[str, ...]) -> None:
    """Adds tags again that another writer has replaced: W&B takes the whole list from whoever sends it last."""
    if tags and (found := _look_up(address)):
        _add_tags(run, found, tags)


def update_config(run: Run, values: Mapping[str, Any]) -> None:
    """Sets values of `run.config`, existing ones too."""
    if values:
        run.config.update(dict(values), allow_val_change=True)  # type: ignore[no-untyped-call]


def _add(additions: Additions, run: Run, found: _Found) -> None:
    inherited = {key: value for key, value in additions.inherited_config.items() if key not in found.config}
    update_config(run, {**inherited, **additions.config})
    _add_tags(run, found, additions.tags)


def _add_tags(run: Run, found: _Found, tags: tuple[str, ...]) -> None:
    if set(tags) - set(found.tags):
        run.tags = tuple(dict.fromkeys((*found.tags, *tags)))


def _look_up(address: RunAddress) -> _Found | None:
    from wandb_runtime import _sdk, _server

    try:
        host = _sdk.api_address(address.host)
        run = _server.find_run(host, f"{address.entity}/{address.project}/{address.id}", timeout=_TIMEOUT)
        return _Found(dict(run.config), tuple(run.tags))
    except Exception as error:  # noqa: BLE001 - tags are not worth a task
        _logger.warning("The tags of W&B run %s cannot be read, none are added to it: %s", address.id, error)
        return None
