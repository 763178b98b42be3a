"""Which run or sweep somebody means."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from wandb_artifacts import InvalidValueError, RunRef, SweepRef

Ref = TypeVar("Ref", RunRef, SweepRef)

_TIMEOUT = 10


def parse_reference(
    kind: type[Ref], field: str, text: str, places: Iterable[tuple[str | None, str | None]], host: str | None
) -> Ref:
    """The run or sweep of an id, a path, or the address of a page. May ask W&B whose the API key is. Blocks.

    Args:
        kind: Which of them.
        field: The name of the parameter that has the text.
        text: What the user wrote.
        places: The entity and project that may be meant where the text names none, the likeliest first; the environment
            comes after them, and the entity of the API key last.
        host: The API address of the server, unless the text names one; None for the SDK's default.

    Raises:
        InvalidValueError: It is none, or names no project and there is none to be had.
    """
    if not isinstance(text, str):
        raise InvalidValueError(field, text, "must be an id, entity/project/id, or the address of a page")
    environment = (os.environ.get("WANDB_ENTITY") or None, os.environ.get("WANDB_PROJECT") or None)
    known = [*places, environment]
    entity = next((entity for entity, _ in known if entity), None)
    project = next((project for _, project in known if project), None)
    try:
        # Whether an entity is missing is known to the parser: this one cannot be anybody's.
        ref = kind.parse(text, entity=entity or _UNKNOWN, project=project, host=host)
    except InvalidValueError as error:
        reason = error.reason.partition(", or pass project=")[0]
        raise InvalidValueError(field, text, reason) from error
    return ref if ref.entity != _UNKNOWN else replace(ref, entity=_default_entity(field, text, host))


_UNKNOWN = "<unknown>"


def _default_entity(field: str, text: str, host: str | None) -> str:
    from wandb_runtime.server.diagnostics import require_credentials
    from wandb_runtime.server.queries import default_entity

    entity = default_entity(require_credentials(host), timeout=_TIMEOUT)
    if not entity:
        reason = "names no entity, and the API key has no default one; write entity/project/id"
        raise InvalidValueError(field, text, reason)
    return entity
