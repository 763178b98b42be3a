"""URLs of W&B pages for Flyte links."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, urlsplit, urlunsplit

from wandb_artifacts import app_url

# The backend replaces {{.runName}} and similar placeholders; quoted braces would stay as they are.
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
    """Return the URL of the W&B app for an API base URL, `WANDB_BASE_URL` or the SDK's default, in this order.

    `WANDB_APP_URL` overrides all of them, as in the SDK.

    Args:
        host: The API base URL; None if none was given.
    """
    override = os.environ.get("WANDB_APP_URL")
    return without_user(override.rstrip("/") if override else app_url(host or os.environ.get("WANDB_BASE_URL")))


def without_user(url: str) -> str:
    """Return a URL without user name and password: everybody can see a link."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def project_url(host: str | None, entity: str | None, project: str | None, *rest: str) -> str:
    """Return the URL of a page below a project, or of the nearest page above it that is known.

    Args:
        host: The API base URL; None if none was given.
        entity: The user or team, else `WANDB_ENTITY`.
        project: The project, else `WANDB_PROJECT`.
        *rest: The rest of the path. Everything is percent-encoded, except `{{.…}}` placeholders.

    Returns:
        The URL of the page; without a project that of the entity, without an entity that of the app: W&B would take
            the project for an entity.
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
