"""The inputs of a trial task: how the parameters of a sweep become arguments of the types that the task declares."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import flyte
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from wandb_artifacts import InvalidValueError
from wandb_runtime.tasks.decorating import RUN_MARKER, decoration_of
from wandb_runtime.tasks.distributed import declared_size

from wandb_sweeps._trials.trial import SweepTrial

if TYPE_CHECKING:
    from wandb_runtime import WandbConfig

TrialTask = flyte.AsyncFunctionTaskTemplate[..., Any, Any]
"""A Flyte task with `@wandb_init` that is a trial; it takes parameters of the sweep by name, or one `SweepTrial`."""

_STRICT = ConfigDict(strict=True)


@dataclass(frozen=True)
class Binding:
    """The inputs of a trial task."""

    task: TrialTask
    whole: str | None
    """The name of the input that takes the `SweepTrial`; None if the task takes parameters by name."""
    adapters: Mapping[str, TypeAdapter[Any]]

    def arguments(self, trial: SweepTrial) -> dict[str, Any]:
        """Return the arguments of the task for a trial.

        Raises:
            InvalidValueError: A parameter does not have the type that the task declares.
        """
        if self.whole is not None:
            return {self.whole: trial}
        chosen = trial.parameters
        return {name: self.convert(name, chosen[name]) for name in self.adapters if name in chosen}

    def convert(self, name: str, value: object) -> Any:
        """Return the value of a parameter in the type of the input of this name.

        Raises:
            InvalidValueError: It cannot be converted without a change of its value.
        """
        adapter = self.adapters[name]
        # W&B's quantized distributions choose whole numbers as floats.
        candidates = [value, int(value)] if isinstance(value, float) and value.is_integer() else [value]
        for candidate in candidates:
            with contextlib.suppress(ValidationError):
                return adapter.validate_json(json.dumps(candidate))
        declared = _name_of(self.task.interface.inputs[name][0])
        reason = f"is not of type {declared}, which task {self.task.name!r} declares; change the type or the sweep"
        raise InvalidValueError(name, value, reason)


def bind(task: object, space: Mapping[str, Any]) -> Binding:
    """Check that a task can be the trial of a sweep.

    Args:
        task: The task.
        space: The `parameters` of the sweep's configuration.

    Raises:
        InvalidValueError: It cannot; the error names the input and what to change.
    """
    checked = _checked_task(task)
    inputs = checked.interface.inputs
    whole = [name for name, (kind, _) in inputs.items() if kind is SweepTrial]
    required = {name for name, (_, default) in inputs.items() if default is inspect.Parameter.empty}
    if whole:
        if others := sorted(required - {whole[0]}):
            _refuse(checked.name, f"takes a SweepTrial and requires {_list(others)} too; read trial.parameters")
        return Binding(checked, whole[0], {})
    if unknown := sorted(required - set(space)):
        known = _list(sorted(space)) or "none"
        _refuse(checked.name, f"requires {_list(unknown)}, which the sweep does not choose; its parameters are {known}")
    binding = Binding(checked, None, {name: _adapter(checked, name) for name in inputs if name in space})
    for name in binding.adapters:
        for value in examples_of(space[name]):
            binding.convert(name, value)
    return binding


def examples_of(parameter: object) -> Iterator[object]:
    """Yield values that a sweep may choose for a parameter: all that are listed, one of a distribution."""
    if not isinstance(parameter, Mapping):
        return
    if "value" in parameter:
        yield parameter["value"]
    elif "values" in parameter:
        yield from parameter["values"]
    elif isinstance(nested := parameter.get("parameters"), Mapping):
        yield {name: next(examples_of(inner), None) for name, inner in nested.items()}
    else:
        yield _example_of_distribution(parameter)


def _example_of_distribution(parameter: Mapping[str, Any]) -> float:
    low, high = parameter.get("min", 0.0), parameter.get("max", 1.0)
    distribution = str(parameter.get("distribution") or "")
    if distribution == "int_uniform" or (not distribution and isinstance(low, int) and isinstance(high, int)):
        return int(low)
    if distribution.startswith("q_"):
        return float(parameter.get("q", 1))
    return 0.5


def _checked_task(task: object) -> TrialTask:
    if not isinstance(task, flyte.AsyncFunctionTaskTemplate):
        _refuse(task, "must be a Flyte task with @wandb_init above @env.task")
    decoration = decoration_of(task.func, RUN_MARKER)
    if decoration is None:
        _refuse(task.name, "has no @wandb_init, so it opens no W&B run; put it above @env.task")
    settings: WandbConfig = decoration.settings
    if settings.run_id is not None:
        _refuse(task.name, f"has @wandb_init(id={settings.run_id!r}), but W&B chooses the id of each trial; remove id=")
    if settings.run_mode == "shared":
        _refuse(task.name, 'has @wandb_init(run_mode="shared"), but each trial is a separate run; remove run_mode=')
    environment = task.parent_env() if task.parent_env else None
    if declared_size(getattr(task, "plugin_config", None), environment).ranks > 1 and (
        settings.run_mode == "new" or settings.rank_scope == "worker"
    ):
        _refuse(task.name, "opens several runs, but a trial is one; remove run_mode= and rank_scope= from @wandb_init")
    return task


def _adapter(task: TrialTask, name: str) -> TypeAdapter[Any]:
    kind = task.interface.inputs[name][0]
    try:
        try:
            return TypeAdapter(kind, config=_STRICT)
        except PydanticUserError:  # a type that has a configuration of its model
            return TypeAdapter(kind)
    except Exception as error:  # noqa: BLE001 - whatever the type raises
        reason = f"has the input {name!r} of type {_name_of(kind)}, which no parameter of a sweep can have: {error}"
        _refuse(task.name, reason)


def _refuse(task: object, reason: str) -> NoReturn:
    error = InvalidValueError("trial_task", task, reason)
    raise error from None


def _name_of(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _list(names: list[str]) -> str:
    return ", ".join(map(repr, names))
