"""Search of what a function can call: tasks that would join its run, and `wandb.init`."""

from __future__ import annotations

import contextlib
import dis
import functools
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any

import flyte

from wandb_runtime.tasks.decorating import RUN_MARKER, Decoration, decoration_of

if TYPE_CHECKING:
    from wandb_runtime.config.run import WandbConfig

# Packages that import Flyte, but never call a user's task.
_FOREIGN = frozenset({"flyte", "wandb_runtime", "wandb_sweeps"})
_INSTALLED = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


def can_be_joined(body: Callable[..., Any]) -> bool:
    """Whether a body can call a decorated task that joins its run.

    Such a task is named in the code of the body, or of functions, closures and containers named there, recursively.
    Code that is imported while the body runs is not seen.

    Args:
        body: The function of a task, as `@wandb_init` has wrapped it.
    """
    return _Search(_is_joining_task).finds_one_in(getattr(body, "__wrapped__", body))


def calls_wandb_init(body: Callable[..., Any]) -> bool:
    """Whether a body can call `wandb.init` for the run of its task, as `can_be_joined` searches.

    Not if it starts an agent, whose objective calls it for its trials, or passes `reinit`, which opens another run.

    Args:
        body: The function of a task, as `@wandb_init` has wrapped it.
    """
    named: set[str] = set()

    def note(value: object, _names: frozenset[str]) -> bool:
        if isinstance(value, FunctionType) and not value.__code__.co_filename.startswith(_INSTALLED):
            named.update(_named_of_wandb(value))
        return False

    _Search(note).finds_one_in(getattr(body, "__wrapped__", body))
    return "init" in named and named.isdisjoint({"agent", "reinit"})


def _is_joining_task(value: object, _names: frozenset[str]) -> bool:
    decoration = decoration_of(value, RUN_MARKER)
    return decoration is not None and _joins(decoration)


def _joins(decoration: Decoration[WandbConfig]) -> bool:
    """Whether it is a task that joins its parent's run if it can."""
    settings = decoration.settings
    names_its_run = settings.run_id is not None or settings.fork_from is not None
    return decoration.short_name is not None and settings.run_mode != "new" and not names_its_run


class _Search:
    """A walk over everything that a function's code names, without executing it."""

    def __init__(self, is_match: Callable[[object, frozenset[str]], bool]) -> None:
        self._is_match = is_match
        # Keeps the objects alive: the id of a deleted object can be reused.
        self._seen: dict[tuple[int, frozenset[str]], object] = {}
        self._pending: list[tuple[object, frozenset[str]]] = []
        self._foreign: dict[str, bool] = {}

    def finds_one_in(self, body: object) -> bool:
        self._visit(body)
        while self._pending:
            value, names = self._pending.pop()
            if self._is_match(value, names):
                return True
            decoration = decoration_of(value, RUN_MARKER)
            # The tasks that a decorated task calls join that task's run.
            if decoration is None or decoration.short_name is None:
                self._open(value, names)
        return False

    def _visit(self, value: object, names: frozenset[str] = frozenset()) -> None:
        """Queue a value; of a module or an object, only these names are visited."""
        if isinstance(value, flyte.AsyncFunctionTaskTemplate):
            value = value.func
        if isinstance(value, (FunctionType, type)):
            names = frozenset()
        key = (id(value), names)
        if key not in self._seen and not isinstance(value, (str, bytes, int, float, complex, NoneType)):
            self._seen[key] = value
            self._pending.append((value, names))

    def _open(self, value: object, names: frozenset[str]) -> None:
        if isinstance(value, FunctionType):
            self._open_function(value)
        elif isinstance(value, (MethodType, staticmethod, classmethod)):
            self._visit(value.__func__)
        elif isinstance(value, functools.partial):
            self._visit_all((value.func, *value.args, *value.keywords.values()))
        elif isinstance(value, dict):
            self._visit_all(value.values(), names)
        elif isinstance(value, (list, tuple, set, frozenset)):
            self._visit_all(value, names)
        elif isinstance(value, type):
            for base in value.__mro__:
                if not self._is_foreign(base):
                    self._visit_all(vars(base).values())
        elif not self._is_foreign(value):
            held = getattr(value, "__dict__", {})
            self._visit_all((held[name] for name in names & held.keys()), names)
            if not isinstance(value, ModuleType):
                self._visit_all((type(value), held.get("__wrapped__")))

    def _open_function(self, function: FunctionType) -> None:
        if self._is_foreign(function):
            return
        variables, names = _named_in(function.__code__)
        self._visit_all((function.__globals__[name] for name in variables & function.__globals__.keys()), names)
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # the variable has no value yet
                self._visit(cell.cell_contents, names)
        self._visit_all((*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()), names)

    def _is_foreign(self, value: object) -> bool:
        package = _package_of(value)
        if package not in self._foreign:
            self._foreign[package] = not _knows_tasks(package)
        return self._foreign[package]

    def _visit_all(self, values: Iterable[object], names: frozenset[str] = frozenset()) -> None:
        for value in values:
            self._visit(value, names)


def _named_in(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """Return the global variables and the attributes that code names, including the functions defined in it."""
    variables: set[str] = set()
    attributes: set[str] = set()
    for inner in _codes_in(code):
        for instruction in dis.get_instructions(inner):
            if instruction.opcode in dis.hasname:
                is_variable = instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
                (variables if is_variable else attributes).add(instruction.argval)
    return frozenset(variables), frozenset(attributes)


def _named_of_wandb(function: FunctionType) -> Iterator[str]:
    """List the attributes of wandb that a function's code names, and the argument `reinit` if it passes one."""
    for code in _codes_in(function.__code__):
        if any(isinstance(constant, tuple) and "reinit" in constant for constant in code.co_consts):
            yield "reinit"
        is_wandb = False
        for instruction in dis.get_instructions(code):
            if is_wandb and instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                yield instruction.argval
            if instruction.opname == "LOAD_GLOBAL":
                held = function.__globals__.get(instruction.argval)
                is_wandb = isinstance(held, ModuleType) and held.__name__ == "wandb"
            else:
                is_wandb = instruction.opname.startswith("LOAD_") and instruction.argval == "wandb"


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    """List code and the functions defined in it, recursively."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_in(constant)


def _package_of(value: object) -> str:
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return name.partition(".")[0] if isinstance(name, str) else ""


def _knows_tasks(package: str) -> bool:
    """Whether a package can name a task: user code can, an installed library only if it imports Flyte."""
    if package in _FOREIGN or package in sys.stdlib_module_names:
        return False
    module = sys.modules.get(package)
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    if not file.startswith(_INSTALLED):
        return True
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == package]
    return any(_package_of(value) == "flyte" for module in modules for value in list(vars(module).values()))
