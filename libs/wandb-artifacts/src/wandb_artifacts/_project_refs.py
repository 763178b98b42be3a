"""`ProjectRef`: a reference to a W&B project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._refs import (
    ARTIFACT,
    api_url,
    app_url,
    check_entity,
    check_host,
    check_project,
    describe_page,
    given_part,
)

if TYPE_CHECKING:
    from typing_extensions import Self

_KIND = "project"
_THINGS = frozenset({"artifacts", "groups", "reports", "runs", "sweeps"})
"""Parts of a path that are followed by something that is not a project."""
_PAGES = frozenset({*_THINGS, "workspace", "table", "overview", "jobs", "launch", "automations", "weave"})
"""Parts of a path that follow a project."""


@dataclass(frozen=True)
class ProjectRef:
    """A reference to a W&B project. Prints as `entity/project`, as `wandb.Api().runs()` takes it.

    Args:
        entity: The user or team that owns the project.
        project: The name of the project.
        host: The API base URL, as in `WANDB_BASE_URL`; None for the SDK's default.

    Raises:
        InvalidValueError: W&B would refuse one of the parts.
    """

    entity: str
    project: str
    host: str | None = None

    def __post_init__(self) -> None:
        check_entity(self.entity)
        check_project(self.project)
        if self.host is not None:
            object.__setattr__(self, "host", check_host(self.host))

    @classmethod
    def parse(cls, text: str, *, entity: str | None = None, host: str | None = None) -> Self:
        """Parse a reference in any form that people paste.

        Args:
            text: `entity/project`, a bare `project`, or the URL of a page of the project in the W&B app (which also
                sets the host).
            entity: The entity, if `text` has none.
            host: The API base URL, if `text` is not a URL; None for the SDK's default.

        Raises:
            InvalidValueError: `text` is not a reference to a project, or has no entity and no default was given.
        """
        if "://" in text:
            return cls._parse_url(text)
        parts = text.strip("/").split("/")
        if ":" in parts[-1] or len(parts) > 2:
            page = ARTIFACT if ":" in parts[-1] else describe_page(f"//host/{'/'.join(parts)}")
            raise _other(text, page or "a run or sweep of one")
        found = parts[0] if len(parts) == 2 else entity
        return cls(given_part(_KIND, "entity", found, text), parts[-1], host)

    @classmethod
    def _parse_url(cls, text: str) -> Self:
        url = urlsplit(text)
        parts = [unquote(part) for part in url.path.split("/") if part]
        end = next((at for at, part in enumerate(parts) if at >= 2 and part in _PAGES), len(parts))
        if end < 2:
            reason = "is not a project; write entity/project, or paste https://wandb.ai/entity/project"
            raise InvalidValueError(_KIND, text, reason)
        if parts[end:-1] and parts[end] in _THINGS:
            raise _other(text, describe_page(text) or "a page of one")
        prefix = "".join(f"/{part}" for part in parts[: end - 2])
        host = api_url(check_host(f"{url.scheme}://{url.netloc}{prefix}"))
        return cls(parts[end - 2], parts[end - 1], host)

    @property
    def url(self) -> str:
        """The URL of its page in the W&B app; every part is percent-encoded."""
        return f"{app_url(self.host)}/{quote(self.entity, safe='')}/{quote(self.project, safe='')}"

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}"


def _other(text: str, what: str) -> InvalidValueError:
    return InvalidValueError(_KIND, text, f"is not a project but {what}. For the project, write entity/project")
