"""Pytest fixtures `wandb_devserver` and `wandb_devserver_options`."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wandb_devserver._server import DevServer

_PREFIX = "WANDB_"


@pytest.fixture
def wandb_devserver_options() -> dict[str, Any]:
    """Arguments of the server that `wandb_devserver` starts, beside its data directory; override it to give some."""
    return {}


@pytest.fixture
def wandb_devserver(tmp_path: Path, wandb_devserver_options: dict[str, Any]) -> Iterator[DevServer]:
    """A W&B server for one test, in an environment where wandb knows no other.

    Every `WANDB_*` variable is put away for the length of the test and wandb is pointed at the
    server and at `tmp_path`. What wandb holds in this process is torn down before and after:
    a run that is open across the test ends.
    """
    # Not at the top: every pytest run where this package is installed loads the plugin.
    from wandb_devserver._server import DevServer

    folder = tmp_path / "wandb"
    folder.mkdir()
    with DevServer(tmp_path / "wandb-devserver", **wandb_devserver_options) as server:
        _tear_down_wandb()
        with _only_these_variables({**server.env, **_local_variables(folder)}):
            try:
                yield server
            finally:
                _tear_down_wandb()


def _local_variables(folder: Path) -> dict[str, str]:
    folders = ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR")
    return {**dict.fromkeys(folders, str(folder)), "WANDB_SILENT": "true"}


@contextmanager
def _only_these_variables(variables: dict[str, str]) -> Iterator[None]:
    before = _take_variables()
    os.environ.update(variables)
    try:
        yield
    finally:
        _take_variables()
        os.environ.update(before)


def _take_variables() -> dict[str, str]:
    return {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_PREFIX)}


def _tear_down_wandb() -> None:
    # wandb caches its settings, and keeps a service process that other servers' runs go through.
    wandb = sys.modules.get("wandb")
    if wandb is None or not hasattr(wandb, "teardown"):
        return
    # teardown() ends the run as well, but leaves it in wandb.run, where the next init() would find it.
    if wandb.run is not None:
        try:
            wandb.run.finish()
        except Exception:  # noqa: BLE001
            # Its service process has died: the tests that follow can do without the run.
            vars(wandb)["run"] = None
    with suppress(ConnectionError):  # Its service process has died.
        wandb.teardown()
