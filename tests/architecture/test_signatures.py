"""No `Any` in what the packages offer: it would silence the type checker of everybody who uses them."""

import ast
import functools
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import pytest
from typing_extensions import get_overloads

from tests.architecture.packages import FACADE, PACKAGES, Package

OPEN = {
    # What is logged as the run's config, and what W&B takes as settings, is the user's and the SDK's.
    "wandb_runtime.InitOptions.settings",
    "wandb_runtime.RunOptions.config",
    "wandb_runtime.RunOptions.settings",
    "wandb_runtime.WandbConfig.config",
    "wandb_runtime.WandbConfig.settings",
    "wandb_runtime.wandb_config.config",
    # The search space and related keys are W&B's own language.
    "wandb_sweeps.SweepOptions.controller",
    "wandb_sweeps.SweepOptions.early_terminate",
    "wandb_sweeps.SweepOptions.scheduler",
    "wandb_sweeps.SweepSettings.controller",
    "wandb_sweeps.SweepSettings.early_terminate",
    "wandb_sweeps.SweepSettings.metric",
    "wandb_sweeps.SweepSettings.parameters",
    "wandb_sweeps.SweepSettings.scheduler",
    "wandb_sweeps.WandbSweepConfig.controller",
    "wandb_sweeps.WandbSweepConfig.early_terminate",
    "wandb_sweeps.WandbSweepConfig.metric",
    "wandb_sweeps.WandbSweepConfig.parameters",
    "wandb_sweeps.WandbSweepConfig.scheduler",
    "wandb_sweeps.wandb_sweep_config.metric",
    "wandb_sweeps.wandb_sweep_config.parameters",
    # What a run's config and summary hold is the user's.
    "wandb_sweeps.Trial.__init__.config",
    "wandb_sweeps.Trial.__init__.summary",
    "wandb_sweeps.Trial.config",
    "wandb_sweeps.Trial.summary",
    # A task with these parameters, whatever it returns: a type for that would have to name Flyte's type variables.
    "wandb_sweeps.AgentTask",
    "wandb_sweeps.fan_out_sweep_agents.agent_task",
    "wandb_sweeps.sweep_agent.return",
    "wandb_sweeps.TrialTask",
    "wandb_sweeps.fan_out_sweep_trials.trial_task",
    # The parameters of a sweep have the types that the user gives them.
    "wandb_sweeps.SweepTrial.__init__.parameters",
    "wandb_sweeps.SweepTrial.parameters",
    # A mapping of fields with different types: Python's type system cannot express that.
    "wandb_runtime.WandbConfig.fields",
    "wandb_sweeps.WandbSweepConfig.fields",
}
"""Fields that are open on purpose, as `<module>.<name>.<parameter>`. Every entry must be in use."""

OFFERED_DUNDERS = {"__init__", "__new__", "__call__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__iter__"}

libraries = pytest.mark.parametrize(
    "package", [package for package in PACKAGES if package != FACADE], ids=lambda package: package.dist
)


def mentions_any(hint: object) -> bool:
    if isinstance(hint, list):
        return any(mentions_any(part) for part in hint)
    if isinstance(hint, str):  # An alias that refers to itself can only be written as text.
        return "Any" in re.findall(r"\w+", hint)
    return hint is Any or any(mentions_any(part) for part in typing.get_args(hint))


@functools.cache
def names_for_type_checkers(module: str) -> dict[str, object]:
    """The names that a module imports under TYPE_CHECKING: its annotations need them."""
    names: dict[str, object] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            exec("\n".join(ast.unparse(statement) for statement in node.body), names)
    return names


def hints_of(thing: type | types.FunctionType) -> dict[str, object]:
    # An alias in a string is inspected separately; `alias | None` cannot be evaluated.
    aliases = {name: object for name, value in vars(sys.modules[thing.__module__]).items() if isinstance(value, str)}
    return typing.get_type_hints(thing, localns={**aliases, **names_for_type_checkers(thing.__module__)})


OURS = {package.module.split(".")[0] for package in PACKAGES} | {"tests"}


def is_ours(kind: type) -> bool:
    return kind.__module__.split(".")[0] in OURS


def functions_of(member: object) -> list[types.FunctionType]:
    """The functions behind a member of a class, however it is decorated."""
    found: list[object]
    if isinstance(member, property):
        found = [member.fget, member.fset]
    elif isinstance(member, functools.cached_property):
        found = [member.func]
    elif isinstance(member, classmethod | staticmethod):
        found = [member.__func__]
    else:
        found = [member]
    return [function for function in found if isinstance(function, types.FunctionType)]


def offered_functions(name: str, thing: object) -> Iterator[tuple[str, types.FunctionType]]:
    """Every function that a user can call by a public name, with its dotted path."""
    if isinstance(thing, type):
        for kind in filter(is_ours, thing.__mro__):
            for attribute, member in vars(kind).items():
                if not attribute.startswith("_") or attribute in OFFERED_DUNDERS:
                    yield from ((f"{name}.{attribute}", function) for function in functions_of(member))
    elif isinstance(thing, types.FunctionType):
        yield name, thing
        yield from ((name, overload) for overload in get_overloads(thing) if isinstance(overload, types.FunctionType))


def type_of_descriptor(value: object) -> object:
    """The subscript of a typed descriptor: `Field[dict[str, Any]](...)` remembers it."""
    return getattr(value, "__orig_class__", None)


def typed_attributes(kind: type) -> dict[str, object]:
    """The types of a class's annotated attributes and typed descriptors."""
    descriptors = {field: type_of_descriptor(value) for field, value in vars(kind).items()}
    return {field: hint for field, hint in {**descriptors, **hints_of(kind)}.items() if not field.startswith("_")}


def open_fields(name: str, thing: object) -> set[str]:
    """Where a public name and its parts are typed `Any`."""
    hints: list[tuple[str, object]] = [
        (f"{path}.{field}", hint)
        for path, function in offered_functions(name, thing)
        for field, hint in hints_of(function).items()
    ]
    if isinstance(thing, type):
        for kind in filter(is_ours, thing.__mro__):
            hints += [(f"{name}.{field}", hint) for field, hint in typed_attributes(kind).items()]
    else:
        hints.append((name, thing))
    return {path for path, hint in hints if mentions_any(hint)}


@libraries
def test_public_signatures_have_no_any(package: Package) -> None:
    """No public signature, field or alias mentions `Any`, except where a field is open on purpose."""
    module = importlib.import_module(package.module)

    found = {
        field
        for name in module.__all__
        if name != "__version__"
        for field in open_fields(f"{package.module}.{name}", getattr(module, name))
    }

    assert found == {field for field in OPEN if field.startswith(f"{package.module}.")}


T = TypeVar("T")


class Typed(Generic[T]):
    """A descriptor, as those of the configurations."""


class Leaky:
    field: dict[str, Any]
    described = Typed[list[Any]]()

    def __init__(self, **options: Any) -> None:
        self.options = options

    @property
    def item(self) -> list[Any]:
        return []

    @classmethod
    def make(cls, call: typing.Callable[[Any], int]) -> "Leaky":
        return cls(call=call)

    def fine(self, value: object) -> object:
        return value


def test_any_in_a_signature_is_found() -> None:
    """The inspection finds `Any` in fields, properties, parameters and inside other types."""
    expected = {"L.field", "L.described", "L.__init__.options", "L.item.return", "L.make.call"}

    assert open_fields("L", Leaky) == expected
    assert open_fields("alias", "dict[str, alias | Any]") == {"alias"}
