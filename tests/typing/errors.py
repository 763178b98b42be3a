"""Errors that users catch. Never executed: read by mypy, see tests/install/test_consumers.py."""

import flyteplugins.wandb
from typing_extensions import assert_type
from wandb_artifacts import InvalidValueError, RunRef, WandbPluginError

# The root is one class, wherever it is imported from; what derives from a builtin is caught by it.

root: type[Exception] = WandbPluginError
same: type[WandbPluginError] = flyteplugins.wandb.WandbPluginError
as_root: type[WandbPluginError] = InvalidValueError
as_builtin: type[ValueError] = InvalidValueError

try:
    RunRef.parse("")
except InvalidValueError as error:
    assert_type(error.field, str)
    assert_type(error.value, object)
    assert_type(error.reason, str)
    error.code  # type: ignore[attr-defined]  # noqa: B018
