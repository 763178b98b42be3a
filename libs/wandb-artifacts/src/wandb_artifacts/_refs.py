from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, unquote, urlsplit

from wandb_artifacts._errors import InvalidValueError
from wandb_artifacts._hosts import api_url, app_url, check_host
from wandb_artifacts._names import check_entity, check_id, check_project

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class _Ref:
    entity: str
    project: str
    id: str
    host: str | None = None

    _kind: ClassVar[str]
    _collection: ClassVar[str]

    def __post_init__(self) -> None:
        check_entity(self.entity)
        check_project(self.project)
        check_id(self.id)
        if self.host is not None:
            object.__setattr__(self, "host", check_host(self.host))

    @classmethod
    def parse(
        cls, text: str, *, entity: str | None = None, project: str | None = None, host: str | None = None
    ) -> Self:
        """Reads an address as people paste it.

        Args:
            text: `entity/project/id`, `project/id`, a bare `id`, or the address of a page of the W&B app (which also
                tells the host; what follows the id in it is ignored).
            entity: The entity of an address that names none.
            project: The project of an address that names none.
            host: The API address of the W&B server, for an address that is not a page's; None for the SDK's default.

        Raises:
            InvalidValueError: `text` is no such address, or names no entity or project and no default was given.
        """
        if "://" in text:
            return cls._parse_url(text)
        parts = text.strip("/").split("/")
        if len(parts) == 4 and parts[2] == cls._collection:
            del parts[2]
        if len(parts) > 3:
            raise cls._unreadable(text)
        found = dict(zip(("id", "project", "entity"), reversed(parts), strict=False))
        return cls(
            entity=cls._given("entity", found.get("entity", entity), text),
            project=cls._given("project", found.get("project", project), text),
            id=found["id"],
            host=host,
        )

    @classmethod
    def _parse_url(cls, text: str) -> Self:
        url = urlsplit(text)
        parts = url.path.strip("/").split("/")
        if cls._collection not in parts[2:-1]:
            raise cls._unreadable(text)
        at = parts.index(cls._collection, 2)
        prefix = "".join(f"/{part}" for part in parts[: at - 2])
        host = api_url(check_host(f"{url.scheme}://{url.netloc}{prefix}"))
        entity, project, ref_id = (unquote(part) for part in (parts[at - 2], parts[at - 1], parts[at + 1]))
        return cls(entity=entity, project=project, id=ref_id, host=host)

    @classmethod
    def _given(cls, field: str, value: str | None, text: str) -> str:
        if value is None:
            reason = f"names no {field}; write entity/project/{cls._kind}-id, or give {field}=..."
            raise InvalidValueError(cls._kind, text, reason)
        return value

    @classmethod
    def _unreadable(cls, text: str) -> InvalidValueError:
        example = f"https://wandb.ai/entity/project/{cls._collection}/id"
        return InvalidValueError(cls._kind, text, f"is not a {cls._kind}; write entity/project/id, or paste {example}")

    @property
    def url(self) -> str:
        """The address of its page in the W&B app; every part is percent-encoded."""
        entity, project, ref_id = (quote(part, safe="") for part in (self.entity, self.project, self.id))
        return f"{app_url(self.host)}/{entity}/{project}/{self._collection}/{ref_id}"

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.id}"


class RunRef(_Ref):
    """The address of a W&B run. Prints as `entity/project/id`, as `wandb.Api().run()` takes it.

    Args:
        entity: The user or team that owns the project.
        project: The name of the project.
        id: The id of the run: the last part of its address, not its display name.
        host: The API address of the W&B server as `WANDB_BASE_URL` takes it; None for the SDK's default.

    Raises:
        InvalidValueError: W&B would refuse one of the parts.
    """

    _kind = "run"
    _collection = "runs"


class SweepRef(_Ref):
    """The address of a W&B sweep. Prints as `entity/project/id`, as `wandb.Api().sweep()` takes it.

    Args:
        entity: The user or team that owns the project.
        project: The name of the project.
        id: The id of the sweep, as `wandb.sweep()` returns it.
        host: The API address of the W&B server as `WANDB_BASE_URL` takes it; None for the SDK's default.

    Raises:
        InvalidValueError: W&B would refuse one of the parts.
    """

    _kind = "sweep"
    _collection = "sweeps"
