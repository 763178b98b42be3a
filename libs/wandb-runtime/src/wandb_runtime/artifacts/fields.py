"""The fields of an artifact that a user logs, and W&B's limits on them.

| field | limit | source |
|---|---|---|
| `name` | 1 to 128 letters, digits, `-`, `_`, `.` | checks of `wandb.Artifact` |
| `type` | 1 to 128 characters, without `/` and `:`, not reserved | checks of `wandb.Artifact` and of W&B's API |
| `aliases` | 1 to 128 characters, without `/` and `:`, not a version | checks of `run.log_artifact` |
| `tags` | letters, digits, `-`, `_`, single words separated by spaces | checks of `run.log_artifact` |
| `metadata` | at most 100 keys, JSON without infinite numbers | checks of `wandb.Artifact` |
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_artifacts import InvalidValueError

from wandb_runtime.config import limits, validators, values

if TYPE_CHECKING:
    from typing_extensions import Self

_LONGEST = 128
_MOST_METADATA_KEYS = 100
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_VERSION = re.compile(r"v[0-9]+")
_TAG = re.compile(r"[-\w]+( +[-\w]+)*")
_SEPARATOR = re.compile(r"[/:]")
# Types that the SDK uses itself, by the names of their artifacts.
_RESERVED_TYPES = {"job": "", "run_table": "run-", "code": "source-"}


@dataclass(frozen=True)
class ArtifactFields:
    """The fields of an artifact that is to be logged."""

    name: str
    type: str
    aliases: tuple[str, ...]
    tags: tuple[str, ...]
    description: str | None
    metadata: Mapping[str, Any]

    @classmethod
    def checked(
        cls,
        name: object,
        type_: object,
        aliases: Sequence[str] | None,
        tags: Sequence[str] | None,
        description: object,
        metadata: object,
    ) -> Self:
        """Check what a user gives.

        Raises:
            InvalidValueError: W&B would refuse or lose a value, or it is a credential.
        """
        known = _check_name(name)
        return cls(
            name=known,
            type=_check_type(type_, known),
            aliases=tuple(_check_alias(f"aliases[{i}]", item) for i, item in enumerate(_given("aliases", aliases))),
            tags=tuple(_check_tags(_given("tags", tags))),
            description=None if description is None else validators.string("description", description),
            metadata=_check_metadata({} if metadata is None else metadata),
        )


def _given(field: str, value: Sequence[str] | None) -> list[str]:
    return [] if value is None else validators.string_list(field, value)


def _check_text(field: str, value: object, example: str) -> str:
    text = validators.string(field, value)
    if not text.strip():
        raise InvalidValueError(field, value, f"must not be empty; give one, such as {example!r}")
    if len(text) > _LONGEST:
        raise InvalidValueError(field, value, f"has {len(text)} characters; W&B accepts at most {_LONGEST}, shorten it")
    return text


def _check_name(value: object) -> str:
    name = _check_text("name", value, "dataset")
    if ":" in name:
        reason = "must not contain ':'; W&B assigns the version, and aliases=[...] sets aliases"
        raise InvalidValueError(field="name", value=value, reason=reason)
    if not _NAME.fullmatch(name):
        reason = "W&B accepts letters, digits, '-', '_' and '.' only; replace the others, for example with '-'"
        raise InvalidValueError(field="name", value=value, reason=reason)
    return name


def _check_type(value: object, name: str) -> str:
    if value is None:
        raise InvalidValueError(field="type", value=None, reason="is missing; give one, such as 'dataset' or 'model'")
    kind = _refuse_separators("type", _check_text("type", value, "dataset"))
    prefix = _RESERVED_TYPES.get(kind)
    if kind.startswith("wandb-") or (prefix is not None and name.startswith(prefix)):
        reason = f"is reserved for W&B itself, for the name {name!r}; choose another one"
        raise InvalidValueError(field="type", value=value, reason=reason)
    return kind


def _check_alias(field: str, value: str) -> str:
    alias = _refuse_separators(field, _check_text(field, value, "best"))
    if _VERSION.fullmatch(alias):
        raise InvalidValueError(field, value, "has the form of a version, which W&B assigns; choose another one")
    return alias


def _refuse_separators(field: str, value: str) -> str:
    if found := _SEPARATOR.search(value):
        raise InvalidValueError(field, value, f"must not contain {found[0]!r}; replace it, for example with '-'")
    return value


def _check_tags(tags: list[str]) -> list[str]:
    for index, tag in enumerate(limits.check_tags("tags", tags)):
        if not _TAG.fullmatch(tag):
            reason = "W&B accepts letters, digits, '-', '_', and spaces between words only; change it"
            raise InvalidValueError(field=f"tags[{index}]", value=tag, reason=reason)
    return tags


def _check_metadata(value: object) -> dict[str, Any]:
    metadata = values.mapping("metadata", value)
    if len(metadata) > _MOST_METADATA_KEYS:
        reason = f"has {len(metadata)} keys; W&B accepts at most {_MOST_METADATA_KEYS}, nest some of them"
        raise InvalidValueError(field="metadata", value=None, reason=reason)
    try:
        json.dumps(metadata, allow_nan=False)
    except ValueError:
        reason = "has an infinite number, which W&B refuses; replace it"
        raise InvalidValueError(field="metadata", value=None, reason=reason) from None
    return metadata
