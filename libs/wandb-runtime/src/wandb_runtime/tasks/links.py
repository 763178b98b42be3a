"""How the addresses behind Flyte links are made; shared with wandb-sweeps."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

from wandb_artifacts import app_url

__all__ = ["ICON_URI", "find_app_url", "project_url"]

# The backend replaces {{.runName}} and its kin; quoted braces would stay as they are.
_PLACEHOLDER = re.compile(r"(\{\{\s*\.\w+\s*\}\})")

_DOTS = "".join(
    f"%3Ccircle cx='{x}' cy='{y}' r='{2.6 if (x + y) % 3 else 1.8}'/%3E" for x in (4, 12, 20) for y in (4, 12, 20)
)
ICON_URI = (
    "data:image/svg+xml,"
    f"%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='%23fb3'%3E{_DOTS}%3C/svg%3E"
)
"""The icon of the links, as a data URI: it shows on an air-gapped cluster too."""


def find_app_url(host: str | None) -> str:
    """The address of the W&B app behind an API address, `WANDB_BASE_URL` or the SDK's default, in this order.

    `WANDB_APP_URL` is taken as it is, as the SDK does.

    Args:
        host: The API address; None where none was given.
    """
    override = os.environ.get("WANDB_APP_URL")
    return override.rstrip("/") if override else app_url(host or os.environ.get("WANDB_BASE_URL"))


def project_url(host: str | None, entity: str | None, project: str | None, *rest: str) -> str:
    """The address of a page below a project, or the nearest one above it that can be named.

    Args:
        host: The API address; None where none was given.
        entity: The user or team, else `WANDB_ENTITY`.
        project: The project, else `WANDB_PROJECT`.
        *rest: What follows in the path. Everything is percent-encoded, but for `{{.…}}` placeholders.

    Returns:
        The address of the page; without a project that of the entity, without an entity that of the app: W&B would
        take the project for an entity.
    """
    entity = entity or os.environ.get("WANDB_ENTITY")
    project = project or os.environ.get("WANDB_PROJECT")
    parts: list[str] = []
    if entity:
        parts = [entity, project, *rest] if project else [entity]
    return "/".join((find_app_url(host), *map(_encode, parts)))


def _encode(part: str) -> str:
    pieces = _PLACEHOLDER.split(part)
    return "".join(piece if _PLACEHOLDER.fullmatch(piece) else quote(piece, safe="") for piece in pieces)
