"""The inputs of a call, as values for the config of its run."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import os
from collections.abc import Mapping
from datetime import date, time
from enum import Enum
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from wandb_runtime.config.values import is_credential

if TYPE_CHECKING:
    from wandb_runtime.tasks.decorating import Call

_logger = logging.getLogger("wandb_runtime")

# A list of more elements is data rather than a setting.
_MOST_ITEMS = 1000


class _UnsupportedError(Exception):
    """A value has no form for a config."""


def inputs_of(call: Call) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included.

    Scalars, lists, dictionaries, dataclasses and pydantic models are kept. Credentials, long lists and objects of other
    types are left out, and a log line names them. Never raises.
    """
    try:
        bound = inspect.signature(call.function).bind(*call.args, **call.kwargs)
    except TypeError:
        # The call itself raises it in a moment.
        return {}
    bound.apply_defaults()
    left_out: list[str] = []
    kept = _convert_items("", bound.arguments, left_out)
    if left_out:
        _logger.info("Inputs that are not in the config of the W&B run: %s", ", ".join(left_out))
    return kept


def _convert_items(path: str, items: Mapping[Any, Any], left_out: list[str]) -> dict[str, Any]:
    kept = {}
    for key, value in items.items():
        name = f"{path}.{key}" if path else str(key)
        if is_credential(str(key), value):
            left_out.append(f"{name} (looks like a credential)")
            continue
        try:
            kept[str(key)] = _convert(name, value, left_out)
        except _UnsupportedError as error:
            left_out.append(f"{name} ({error})")
        except Exception as error:  # noqa: BLE001 - code of the value's class
            left_out.append(f"{name} ({type(error).__name__})")
    return kept


def _convert(path: str, value: Any, left_out: list[str]) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Enum):
        return _convert(path, value.value, left_out)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if (fields := _fields_of(value)) is not None:
        return _convert_items(path, fields, left_out)
    if isinstance(value, (list, tuple, set, frozenset)):
        if len(value) > _MOST_ITEMS:
            msg = f"{len(value)} elements"
            raise _UnsupportedError(msg)
        if any(is_credential("", item) for item in value):
            msg = "looks like a credential"
            raise _UnsupportedError(msg)
        return [_convert(f"{path}[{index}]", item, left_out) for index, item in enumerate(value)]
    raise _UnsupportedError(type(value).__name__)


def _fields_of(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    # Of pydantic, which is not imported for it.
    names = getattr(type(value), "model_fields", None)
    return {name: getattr(value, name) for name in names} if isinstance(names, Mapping) else None
