"""pytest plugin: puts back names that newer SDKs lack, for tests that were written for an older one.

Without it a missing import would skip whole files of tests. A test that uses a removed name raises `RemovedError` and
fails; renamed functions work under their old name too. Assertions stay as they are.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import NoReturn

# Modules that wandb 0.31 removed, and what the tests import from them.
_REMOVED = {
    "wandb.sdk.internal.internal_api": ("Api",),
    "wandb.sdk.internal.sender": (),
    "wandb.apis.internal": ("Api", "InternalApi"),
}


class RemovedError(Exception):
    """A test uses something that this version of wandb does not have."""


class _Removed:
    def __new__(cls, *_: object, **__: object) -> NoReturn:
        msg = f"{cls.__module__}.{cls.__qualname__} was removed from this version of wandb"
        raise RemovedError(msg)


def _removed(name: str, module: str) -> type[_Removed]:
    return type(name, (_Removed,), {"__module__": module})


def _add_module(name: str, members: tuple[str, ...]) -> None:
    module = types.ModuleType(name)
    for member in members:
        setattr(module, member, _removed(member, name))
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    setattr(importlib.import_module(parent), child, module)


def _add_missing(module: str, name: str, value: object) -> None:
    target = importlib.import_module(module)
    if not hasattr(target, name):
        setattr(target, name, value)


def _rename_back() -> None:
    cache = importlib.import_module("wandb.sdk.artifacts.artifact_file_cache").ArtifactFileCache
    if not hasattr(cache, "check_md5_obj_path") and hasattr(cache, "check_digest_obj_path"):
        cache.check_md5_obj_path = cache.check_digest_obj_path


def pytest_configure() -> None:
    # Not on import: wandb must be imported after pytest has replaced the standard streams, or it bypasses capturing.
    for name, members in _REMOVED.items():
        if not importlib.util.find_spec(name):
            _add_module(name, members)
    _add_missing("wandb.apis", "InternalApi", _removed("InternalApi", "wandb.apis"))
    # A fixture of the sweep tests resets this cache.
    _add_missing("wandb.cli.cli", "_api", None)
    _rename_back()
