"""`ArtifactRef`: a reference to a version of a W&B artifact."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote, urlsplit

from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._refs import (
    api_url,
    app_url,
    check_entity,
    check_host,
    check_project,
    check_text,
    describe_page,
    given_part,
)

if TYPE_CHECKING:
    from typing_extensions import Self

LATEST = "latest"
"""The alias of the newest version."""

_PAGES = "artifacts"
_VERSION = re.compile(r"v[0-9]+")
_FORBIDDEN = "/:"


class SdkArtifact(Protocol):
    """An artifact of the wandb SDK that was logged."""

    @property
    def entity(self) -> str: ...

    @property
    def project(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str: ...


@dataclass(frozen=True)
class ArtifactRef:
    """A reference to a version of a W&B artifact. Prints as `entity/project/name:alias`.

    Args:
        entity: The user or team that owns the project.
        project: The name of the project.
        name: The name of the artifact, without an alias.
        alias: A version, such as `v3`, or an alias, such as `best`.
        host: The API base URL, as in `WANDB_BASE_URL`; None for the SDK's default.
        type: The type of the artifact if it is known, for `url`. It does not identify the artifact: a download of an
            artifact that has another type raises.

    Raises:
        InvalidValueError: W&B would refuse one of the parts.
    """

    entity: str
    project: str
    name: str
    alias: str = LATEST
    host: str | None = None
    type: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_entity(self.entity)
        check_project(self.project)
        check_text(self.name, field="name", forbidden=_FORBIDDEN)
        check_text(self.alias, field="alias", forbidden=_FORBIDDEN)
        if self.host is not None:
            object.__setattr__(self, "host", check_host(self.host))

    @classmethod
    def parse(
        cls, text: str, *, entity: str | None = None, project: str | None = None, host: str | None = None
    ) -> Self:
        """Parse a reference in any form that people paste.

        Args:
            text: `entity/project/name:alias`, `project/name:alias`, `name:alias`, or the URL of a page of the W&B app
                (which also sets the host). The alias may be a version, such as `v3`; it defaults to `latest`.
            entity: The entity, if `text` has none.
            project: The project, if `text` has none.
            host: The API base URL, if `text` is not a URL; None for the SDK's default.

        Raises:
            InvalidValueError: `text` is not a reference, or has no entity or project and no default was given.
        """
        if "://" in text:
            return cls._parse_url(text)
        parts = text.strip("/").split("/")
        if len(parts) > 3:
            raise _unreadable(text)
        found = dict(zip(("name", "project", "entity"), reversed(parts), strict=False))
        name, colon, alias = found["name"].partition(":")
        return cls(
            entity=given_part("artifact", "entity", found.get("entity", entity), text),
            project=given_part("artifact", "project", found.get("project", project), text),
            name=name,
            alias=alias if colon else LATEST,
            host=host,
        )

    @classmethod
    def _parse_url(cls, text: str) -> Self:
        url = urlsplit(text)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        # The type and the name follow; the alias may be missing.
        if _PAGES not in parts[2:-2]:
            raise _unreadable(text)
        at = parts.index(_PAGES, 2)
        prefix = "".join(f"/{part}" for part in parts[: at - 2])
        host = api_url(check_host(f"{url.scheme}://{url.netloc}{prefix}"))
        kind, name, alias = [*parts[at + 1 : at + 4], LATEST][:3]
        return cls(parts[at - 2], parts[at - 1], name, alias, host, kind)

    @property
    def version(self) -> str | None:
        """The version, such as `v3`; None if the reference has an alias, which may move to another version."""
        return self.alias if _VERSION.fullmatch(self.alias) else None

    @property
    def url(self) -> str:
        """The URL of its page in the W&B app; if the type is unknown, that of the project's artifacts."""
        kind = () if self.type is None else (self.type, self.name, self.alias)
        parts = (self.entity, self.project, _PAGES, *kind)
        return "/".join([app_url(self.host), *(quote(part, safe="") for part in parts)])

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}:{self.alias}"


def _unreadable(text: str) -> InvalidValueError:
    example = "https://wandb.ai/entity/project/artifacts/type/name/v0"
    reason = f"is not an artifact; write entity/project/name:alias, or paste {example}"
    if "://" in text:
        reason = f"is not an artifact but {describe_page(text) or f'a page of a project; paste {example}'}"
    return InvalidValueError("artifact", text, reason)
