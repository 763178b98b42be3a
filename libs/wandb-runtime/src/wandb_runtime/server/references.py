"""References to runs, sweeps and artifacts, as users write them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from wandb_artifacts import ArtifactRef, InvalidValueError, RunRef, SweepRef
from wandb_artifacts.client import Client, Connection

Ref = TypeVar("Ref", RunRef, SweepRef, ArtifactRef)

_TIMEOUT = 10.0


def parse_reference(
    kind: type[Ref],
    field: str,
    text: str,
    defaults: Iterable[tuple[str | None, str | None]],
    connection: Connection | str | None,
) -> Ref:
    """Parse an id, a path, or the URL of a page. May request the default entity of the API key. Blocks.

    Args:
        kind: The class of the reference.
        field: The name of the parameter that holds the text.
        text: What the user wrote.
        defaults: Entity and project for a text that lacks them, the most likely first; then those of the environment,
            then the default entity of the API key.
        connection: How the server is reached, or its API base URL, unless the text names another one; None for the
            configured server.

    Raises:
        InvalidValueError: The text is invalid, or lacks a project without a default.
    """
    if not isinstance(text, str):
        raise InvalidValueError(field, text, "must be an id, entity/project/id, or the URL of a page")
    environment = (os.environ.get("WANDB_ENTITY") or None, os.environ.get("WANDB_PROJECT") or None)
    known = [*defaults, environment]
    host = connection.host if isinstance(connection, Connection) else connection
    entity = next((entity for entity, _ in known if entity), None)
    project = next((project for _, project in known if project), None)
    try:
        # Only the parser knows whether an entity is missing: this one is not a valid name.
        ref = kind.parse(text, entity=entity or _UNKNOWN, project=project, host=host)
    except InvalidValueError as error:
        reason = error.reason.partition(", or pass project=")[0]
        raise InvalidValueError(field, text, reason) from error
    return ref if ref.entity != _UNKNOWN else replace(ref, entity=_default_entity(field, text, connection))


_UNKNOWN = "<unknown>"


def _default_entity(field: str, text: str, connection: Connection | str | None) -> str:
    entity = Client(connection, timeout=_TIMEOUT).default_entity()
    if not entity:
        reason = "names no entity, and the API key has no default one; write entity/project/id"
        raise InvalidValueError(field, text, reason)
    return entity
