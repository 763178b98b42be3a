"""Typed configuration that travels in Flyte's custom context.

The base of `wandb_config` and of `wandb_sweep_config` in wandb-sweeps. Flyte hands a `dict[str, str]` from a task to
the tasks it calls; a `ContextConfig` is such a dictionary, with typed attributes to read it by.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import fields
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, TypeVar, cast, overload

import flyte
from wandb_artifacts import InvalidValueError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Never, Self

# What a task hands to the tasks it calls, beside configuration.
RUN_ID_KEY = "_wandb_run_id"
"""The id of the nearest decorated ancestor's W&B run."""
RUN_KEY = "_wandb_run"
"""The full address of that run, as JSON."""
SWEEP_ID_KEY = "_wandb_sweep_id"
"""The id of the sweep in force."""

T = TypeVar("T")
S = TypeVar("S", bound=str)

# Not a context variable: those do not reach the threads that it is for.
_stand_in: Mapping[str, str] = MappingProxyType({})


def flyte_context() -> dict[str, str]:
    """What Flyte's context carries to the current code; where there is none, what stands in for it."""
    return flyte.get_custom_context() if flyte.ctx() else dict(_stand_in)


@contextlib.contextmanager
def override_flyte_context(context: Mapping[str, str]) -> Iterator[None]:
    """Gives code of this process that Flyte's context does not reach, such as a sweep agent's thread, another one.

    Args:
        context: What `carried` returns there.
    """
    global _stand_in  # noqa: PLW0603
    before, _stand_in = _stand_in, dict(context)
    try:
        yield
    finally:
        _stand_in = before


def decode_record(kind: type[T], carried: str) -> T:
    """Read a dataclass that the Flyte context carries as JSON. Fields that a newer version adds are ignored."""
    found = json.loads(carried)
    return kind(**{field.name: found[field.name] for field in fields(cast(Any, kind)) if field.name in found})


# What `with` has to undo, innermost last. Not an attribute of the object: one object can be entered twice, and by
# several coroutines at once, each of which has a context of its own.
_entered: ContextVar[tuple[contextlib.ExitStack, ...]] = ContextVar("wandb_runtime_entered", default=())


class Field(Generic[T]):
    """One field of a `ContextConfig`, carried as JSON; reads None where it was not given.

    Args:
        check: Called with the field's name and the value given; returns the value to carry or raises
            `InvalidValueError`.
        merge: Joins an outer and a nearer value; the nearer one replaces the outer one by default.
    """

    name: str
    key: str
    """The key of the Flyte context that carries the field."""

    def __init__(self, check: Callable[[str, Any], Any], *, merge: Callable[[T, T], T] | None = None) -> None:
        self.check = check
        self.merge = merge

    def __set_name__(self, owner: type[ContextConfig], name: str) -> None:
        self.name = name
        self.key = owner.key(name)

    @overload
    def __get__(self, instance: None, owner: type[ContextConfig]) -> Self: ...
    @overload
    def __get__(self, instance: ContextConfig, owner: type[ContextConfig]) -> T | None: ...
    def __get__(self, instance: ContextConfig | None, owner: type[ContextConfig]) -> Self | T | None:
        if instance is None:
            return self
        value: T | None = instance.read(self) if self.key in instance else None
        return value

    def __set__(self, instance: ContextConfig, value: Never) -> NoReturn:
        instance.refuse_change()

    def encode(self, value: T) -> str:
        """The carried form of a checked value."""
        return json.dumps(value)

    def decode(self, key: str, carried: str) -> T:
        """The value of its carried form.

        Raises:
            InvalidValueError: `carried` is not JSON: it was written by something else.
        """
        try:
            value: T = json.loads(carried)
        except ValueError as error:
            msg = "is a key of the Flyte context that does not hold JSON; set it by wandb_config(...)"
            raise InvalidValueError(key, carried, msg) from error
        return value

    @lru_cache(maxsize=64)  # noqa: B019 - fields live as long as the process
    def checked(self, carried: str) -> T:
        """The value of its carried form, if the field takes it; not to be changed.

        The same few strings come again with every task of a process.

        Raises:
            InvalidValueError: It does not: it was written by something else.
        """
        value: T = self.check(self.key, self.decode(self.key, carried))
        return value


class TextField(Field[S]):
    """A field that is a string and is carried verbatim."""

    def encode(self, value: S) -> str:
        """The carried form: the string itself."""
        return value

    def decode(self, key: str, carried: str) -> S:  # noqa: ARG002
        """The value of its carried form: the string itself."""
        return cast("S", carried)


class ContextConfig(dict[str, str]):
    """An immutable dictionary for Flyte's custom context that holds the fields that were given, and only those.

    Fields are the `Field` attributes of a subclass. As a context manager around calls of child tasks, inside a task,
    it hands its fields to them on top of those already in force.
    """

    __slots__ = ("_values",)

    function: ClassVar[str]
    """The name of the function that makes one, for messages."""
    prefix: ClassVar[str]
    """What the keys of the carried fields start with."""
    fields: ClassVar[Mapping[str, Field[Any]]] = {}
    """The fields by name."""
    _by_key: ClassVar[Mapping[str, Field[Any]]] = {}

    def __init__(
        self, carried: Mapping[str, str] = MappingProxyType({}), values: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        super().__init__(carried)
        # Decoded and checked, by key, as far as it has been asked for.
        self._values: dict[str, Any] = dict(values)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fields = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        cls._by_key = {field.key: field for field in cls.fields.values()}

    @classmethod
    def key(cls, field: str) -> str:
        """The key of the Flyte context that carries a field."""
        return f"{cls.prefix}{field}"

    @classmethod
    def from_values(cls, **values: object) -> Self:
        """Makes a configuration of the values that are not None.

        Raises:
            InvalidValueError: A name is no field, or a field does not take its value.
        """
        checked = {}
        for name, value in values.items():
            if name not in cls.fields:
                raise InvalidValueError(name, value, cls.unknown_field(name))
            if value is not None:
                field = cls.fields[name]
                checked[field.key] = field.check(name, value)
        return cls({key: cls._by_key[key].encode(value) for key, value in checked.items()}, checked)

    @classmethod
    def unknown_field(cls, name: str) -> str:
        """Why a name is refused, and what to write instead."""
        return f"{name} is not a field of {cls.__name__}; it takes {', '.join(sorted(cls.fields))}"

    @classmethod
    def from_context(cls, context: Mapping[str, str]) -> Self:
        """Reads the configuration out of a Flyte context, a plain dictionary too; other keys are ignored."""
        return cls({key: value for key, value in context.items() if key in cls._by_key})

    @classmethod
    def current(cls) -> Self:
        """The configuration in force in the current Flyte context; an empty (falsy) one outside a task."""
        return cls.from_context(flyte_context())

    def values_under(self, nearer: Self) -> dict[str, object]:
        """The values of the fields by name, with a nearer configuration on top: what `merged` would read.

        What they hold belongs to these objects and is not to be changed.
        """
        values = {**self._all_values(), **nearer._all_values(), **self._joined(nearer)}
        return {self._by_key[key].name: value for key, value in values.items()}

    def _all_values(self) -> dict[str, Any]:
        if len(self._values) == len(self):
            return self._values
        return {key: self._value(self._by_key[key]) for key in self if key in self._by_key}

    def read(self, field: Field[T]) -> T:
        """The value of a field that was given: a new one each time, so that changing it changes nothing here.

        Raises:
            InvalidValueError: It is not what the field takes: a plain dictionary was made into this configuration.
        """
        value = self._value(field)
        return field.decode(field.key, self[field.key]) if isinstance(value, (dict, list)) else value

    def _value(self, field: Field[T]) -> T:
        if field.key not in self._values:
            self._values[field.key] = field.checked(self[field.key])
        value: T = self._values[field.key]
        return value

    def merged(self, nearer: Self) -> Self:
        """This configuration with a nearer one on top."""
        joined = self._joined(nearer)
        encoded = {key: self._by_key[key].encode(value) for key, value in joined.items()}
        values = {key: value for key, value in self._values.items() if key not in nearer}
        return type(self)({**self, **nearer, **encoded}, {**values, **nearer._values, **joined})

    def _joined(self, nearer: Self) -> dict[str, Any]:
        fields = (self._by_key[key] for key in nearer if key in self and key in self._by_key)
        return {
            field.key: field.merge(self._value(field), nearer._value(field))
            for field in fields
            if field.merge is not None
        }

    def entered(self, effective: Self) -> dict[str, str]:
        """What a `with` block adds to the Flyte context.

        Args:
            effective: This configuration on top of those that were in force.
        """
        return effective

    def __enter__(self) -> Self:
        undo = contextlib.ExitStack()
        if flyte.ctx():
            effective = self.current().merged(self)
            undo.enter_context(flyte.custom_context(**self.entered(effective)))
        else:
            msg = (
                f"`with {self.function}(...)` has no effect outside a task; to configure a whole run write "
                f"flyte.with_runcontext(custom_context={self.function}(...))"
            )
            warnings.warn(msg, stacklevel=2)
        _entered.set((*_entered.get(), undo))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        *outer, undo = _entered.get()
        _entered.set(tuple(outer))
        undo.close()

    def __repr__(self) -> str:
        given = ", ".join(f"{self._by_key[key].name}={value!r}" for key, value in self._all_values().items())
        return f"{self.function}({given})"

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, str], dict[str, Any]]]:
        # With the values, so that they are not decoded and checked again.
        return type(self), (dict(self), self._values)

    def copy(self) -> Self:
        """Returns the object itself: it cannot change."""
        return self

    def refuse_change(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Stands in for everything that would change the object.

        Raises:
            TypeError: Always.
        """
        msg = f"{self.function}(...) cannot be changed; make another one with the values you want"
        raise TypeError(msg)

    __setitem__ = __delitem__ = __ior__ = refuse_change
    clear = pop = popitem = setdefault = update = refuse_change
