"""URLs of pages and files."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from wandb_devserver._json import Json
    from wandb_devserver._storage.runs import StoredRun


def path(*segments: str) -> str:
    """Return the path of a page, each segment quoted."""
    return "".join("/" + quote(segment, safe="") for segment in segments)


def run_url(run: StoredRun) -> str:
    return path(run.entity, run.project, "runs", run.name)


def file_url(run: StoredRun, name: str) -> str:
    """Return the path of a file's download."""
    return f"{path('files', run.entity, run.project, run.name)}/{quote(name)}"


def web_link(url: Json) -> str | None:
    """Return a URL that a client gave if following it is safe: no script, no file."""
    return url if isinstance(url, str) and url.startswith(("http://", "https://")) else None
