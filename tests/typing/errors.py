"""Errors that users catch. Never executed: read by mypy, see tests/install/test_consumers.py."""

import flyteplugins.wandb
from flyteplugins.wandb import (
    DecoratorOrderError,
    MissingApiKeyError,
    NoParentRunError,
    NoRunError,
    RunOpenError,
    UnavailableError,
)
from typing_extensions import assert_type
from wandb_artifacts import InvalidValueError, RunRef, WandbPluginError

# The root is the same class in every package; errors that derive from a builtin can be caught as it.

root: type[Exception] = WandbPluginError
same: type[WandbPluginError] = flyteplugins.wandb.WandbPluginError
as_root: type[WandbPluginError] = InvalidValueError
as_builtin: type[ValueError] = InvalidValueError
all_roots: list[type[WandbPluginError]] = [
    DecoratorOrderError,
    MissingApiKeyError,
    NoParentRunError,
    NoRunError,
    RunOpenError,
    UnavailableError,
]
order: type[TypeError] = DecoratorOrderError
parent: type[LookupError] = NoParentRunError
no_run: type[LookupError] = NoRunError
opening: tuple[type[RunOpenError], ...] = (MissingApiKeyError, UnavailableError)
unavailable: type[ConnectionError] = UnavailableError
wrong_builtin: type[LookupError] = DecoratorOrderError  # type: ignore[assignment]

try:
    RunRef.parse("")
except InvalidValueError as error:
    assert_type(error.field, str)
    assert_type(error.value, object)
    assert_type(error.reason, str)
    error.code  # type: ignore[attr-defined]  # noqa: B018
