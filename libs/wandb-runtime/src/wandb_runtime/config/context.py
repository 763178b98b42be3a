"""Typed configuration that travels in Flyte's custom context.

The base of `wandb_config` and of `wandb_sweep_config` in wandb-sweeps. Flyte passes a `dict[str, str]` from a task to
the tasks it calls; a `ContextConfig` is such a dictionary, with typed attributes.
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

from wandb_runtime.config.values import refuse_credentials

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Never, Self

# Keys that a task passes to the tasks it calls, beside configuration.
RUN_ID_KEY = "_wandb_run_id"
"""The id of the nearest decorated ancestor's W&B run."""
RUN_KEY = "_wandb_run"
"""The `RunLocation` of that run, as JSON."""
SWEEP_ID_KEY = "_wandb_sweep_id"
"""The id of the current sweep."""

T = TypeVar("T")
S = TypeVar("S", bound=str)

# Not a context variable: those are not inherited by the threads that need it.
_override: Mapping[str, str] = MappingProxyType({})


def flyte_context() -> dict[str, str]:
    """Return Flyte's custom context; outside of Flyte, the one that `override_flyte_context` has set."""
    return flyte.get_custom_context() if flyte.ctx() else dict(_override)


@contextlib.contextmanager
def override_flyte_context(context: Mapping[str, str]) -> Iterator[None]:
    """Set a context for code that Flyte's context does not reach, such as the threads of a sweep agent.

    Args:
        context: The context that `flyte_context` returns there.
    """
    global _override  # noqa: PLW0603
    before, _override = _override, dict(context)
    try:
        yield
    finally:
        _override = before


def decode_record(kind: type[T], carried: str) -> T:
    """Read a dataclass that the Flyte context carries as JSON. Fields that a newer version adds are ignored."""
    found = json.loads(carried)
    return kind(**{field.name: found[field.name] for field in fields(cast(Any, kind)) if field.name in found})


# What leaving a `with` block undoes, innermost last. Not an attribute of the object: one object can be entered twice,
# and by several coroutines at once, each of which has a separate context.
_entered: ContextVar[tuple[contextlib.ExitStack, ...]] = ContextVar("wandb_runtime_entered", default=())


class Field(Generic[T]):
    """A field of a `ContextConfig`, carried as JSON; reads as None if it was not given.

    Args:
        validate: Called with the field's name and the given value; returns the value to carry or raises
            `InvalidValueError`.
        merge: Merges an outer and a nearer value; by default the nearer one replaces the outer one.
    """

    name: str
    key: str
    """The key of the Flyte context that carries the field."""

    def __init__(self, validate: Callable[[str, Any], Any], *, merge: Callable[[T, T], T] | None = None) -> None:
        self.validate = validate
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
        """Return the carried form of a validated value."""
        return json.dumps(value)

    def decode(self, key: str, carried: str) -> T:
        """Return the value of a carried form.

        Raises:
            InvalidValueError: `carried` is not JSON: this class has not written it.
        """
        try:
            value: T = json.loads(carried)
        except ValueError as error:
            msg = "is not JSON in the Flyte context; set it with wandb_config(...)"
            raise InvalidValueError(key, carried, msg) from error
        return value

    @lru_cache(maxsize=64)  # noqa: B019 - fields live as long as the process
    def decode_untrusted(self, carried: str) -> T:
        """Return the validated value of a carried form, which anybody may have written. Do not change the value.

        Cached, because every task of a process reads the same few strings.

        Raises:
            InvalidValueError: The value is invalid.
        """
        value: T = self.validate(self.key, self.decode(self.key, carried))
        return value


class TextField(Field[S]):
    """A string field, carried verbatim."""

    def encode(self, value: S) -> str:
        """Return the string itself."""
        return value

    def decode(self, key: str, carried: str) -> S:  # noqa: ARG002
        """Return the string itself."""
        return cast("S", carried)


class ContextConfig(dict[str, str]):
    """An immutable dictionary for Flyte's custom context that holds only the fields that were given.

    Fields are the `Field` attributes of a subclass. As a context manager around calls of child tasks, inside a task,
    it passes its fields to them, on top of the current ones.
    """

    __slots__ = ("_values",)

    function: ClassVar[str]
    """The name of the public function that creates one, for messages."""
    prefix: ClassVar[str]
    """The prefix of the keys of carried fields."""
    fields: ClassVar[Mapping[str, Field[Any]]] = {}
    """The fields by name."""
    _by_key: ClassVar[Mapping[str, Field[Any]]] = {}

    def __init__(
        self, carried: Mapping[str, str] = MappingProxyType({}), values: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        super().__init__(carried)
        # Decoded and validated values by key; those of a plain dictionary are added when they are read.
        self._values: dict[str, Any] = dict(values)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fields = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        cls._by_key = {field.key: field for field in cls.fields.values()}

    @classmethod
    def key(cls, field: str) -> str:
        """Return the key of the Flyte context that carries a field."""
        return f"{cls.prefix}{field}"

    @classmethod
    def from_values(cls, **values: object) -> Self:
        """Create a configuration of the values that are not None.

        Raises:
            InvalidValueError: A name is not that of a field, or a value is invalid.
        """
        validated = {}
        for name, value in values.items():
            if name not in cls.fields:
                raise InvalidValueError(name, value, cls.unknown_field(name))
            if value is not None:
                field = cls.fields[name]
                checked = validated[field.key] = field.validate(name, value)
                refuse_credentials(name, checked)
        return cls({key: cls._by_key[key].encode(value) for key, value in validated.items()}, validated)

    @classmethod
    def unknown_field(cls, name: str) -> str:
        """Return why a name is refused, and what to write instead."""
        return f"{name} is not a field of {cls.__name__}; it takes {', '.join(sorted(cls.fields))}"

    @classmethod
    def from_context(cls, context: Mapping[str, str]) -> Self:
        """Read the configuration from a Flyte context or a plain dictionary; other keys are ignored."""
        return cls({key: value for key, value in context.items() if key in cls._by_key})

    @classmethod
    def current(cls) -> Self:
        """Return the configuration in the current Flyte context; an empty (falsy) one outside a task."""
        return cls.from_context(flyte_context())

    def values_under(self, nearer: Self) -> dict[str, object]:
        """Return the values of the fields by name, with a nearer configuration on top: the values of `merged`.

        They belong to these objects: do not change them.
        """
        values = {**self._all_values(), **nearer._all_values(), **self._joined(nearer)}
        return {self._by_key[key].name: value for key, value in values.items()}

    def _all_values(self) -> dict[str, Any]:
        if len(self._values) == len(self):
            return self._values
        return {key: self._value(self._by_key[key]) for key in self if key in self._by_key}

    def read(self, field: Field[T]) -> T:
        """Return the value of a given field: a copy each time, so that changing it does not change the configuration.

        Raises:
            InvalidValueError: The value is invalid: the configuration was read from a plain dictionary.
        """
        value = self._value(field)
        return field.decode(field.key, self[field.key]) if isinstance(value, (dict, list)) else value

    def _value(self, field: Field[T]) -> T:
        if field.key not in self._values:
            self._values[field.key] = field.decode_untrusted(self[field.key])
        value: T = self._values[field.key]
        return value

    def merged(self, nearer: Self) -> Self:
        """Return this configuration with a nearer one on top."""
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
        """Return what a `with` block adds to the Flyte context.

        Args:
            effective: This configuration on top of the current one.
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
        # With the values, so that they are not decoded and validated again.
        return type(self), (dict(self), self._values)

    def copy(self) -> Self:
        """Return the object itself: it cannot change."""
        return self

    def refuse_change(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse to change the object; replaces all methods of `dict` that would.

        Raises:
            TypeError: Always.
        """
        msg = f"{self.function}(...) is immutable; create another one with the values you want"
        raise TypeError(msg)

    __setitem__ = __delitem__ = __ior__ = refuse_change
    clear = pop = popitem = setdefault = update = refuse_change
