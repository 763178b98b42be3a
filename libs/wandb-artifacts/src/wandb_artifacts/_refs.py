"""References to W&B runs and sweeps: `RunRef`, `SweepRef`, and the rules for hosts and names behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, unquote, urlsplit

from wandb_artifacts._errors import InvalidValueError

if TYPE_CHECKING:
    from typing_extensions import Self

DEFAULT_HOST = "https://api.forge.coreweave.com"
"""The API address the SDK uses when none is given."""

_CLOUD_APP = "https://forge.coreweave.com/wandb"
_CLOUD_HOSTS = ("api.forge.coreweave.com", "forge.coreweave.com", "api.wandb.ai", "wandb.ai")


_ID_FORBIDDEN = ":;,#?/'"
_PROJECT_FORBIDDEN = "/\\#?%:"
_MAX_LENGTH = 128


def check_host(value: str, *, field: str = "host") -> str:
    """Returns `value` without a trailing slash if it is an http(s) address.

    Raises:
        InvalidValueError: It is no address, or it carries a user name or password.
    """
    if not isinstance(value, str):
        raise InvalidValueError(field, value, f"must be a string, not {type(value).__name__}")
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise InvalidValueError(field, None, "must not carry a user name or password; give the key in WANDB_API_KEY")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidValueError(field, value, "must be the address of a W&B server, such as https://wandb.example.com")
    return value.rstrip("/")


def app_url(host: str | None) -> str:
    """The address of the web app that belongs to an API address.

    Args:
        host: The API address as `WANDB_BASE_URL` takes it; None for the SDK's default.

    Returns:
        The address of the app, without a trailing slash.
    """
    host = (host or DEFAULT_HOST).rstrip("/")
    if urlsplit(host).hostname in _CLOUD_HOSTS:
        return _CLOUD_APP
    if "://api.wandb." in host and "://api.wandb.test" not in host:
        return host.replace("://api.", "://", 1)
    return host.replace("://api.", "://app.", 1)


def api_url(app: str) -> str | None:
    """The API address behind an address of the web app: the reverse of `app_url`.

    Args:
        app: What stands before `/entity/project/...` in the address of a page.

    Returns:
        The API address, or None for the SDK's default.
    """
    app = app.rstrip("/")
    if urlsplit(app).hostname in _CLOUD_HOSTS:
        return None
    return app.replace("://app.", "://api.", 1)


def check_id(value: str, *, field: str = "id") -> str:
    """Returns `value` if W&B accepts it as the id of a run or sweep.

    Raises:
        InvalidValueError: It is empty, too long, padded with white space or holds a character W&B refuses.
    """
    return _check(value, field=field, forbidden=_ID_FORBIDDEN)


def check_project(value: str, *, field: str = "project") -> str:
    """Returns `value` if W&B accepts it as the name of a project.

    Raises:
        InvalidValueError: It is empty, too long, padded with white space or holds a character W&B refuses.
    """
    return _check(value, field=field, forbidden=_PROJECT_FORBIDDEN)


def check_entity(value: str, *, field: str = "entity") -> str:
    """Returns `value` if it can be the name of a W&B user or team.

    Raises:
        InvalidValueError: It is empty, too long, padded with white space or holds a slash.
    """
    return _check(value, field=field, forbidden="/")


def _check(value: str, *, field: str, forbidden: str) -> str:
    if not isinstance(value, str):
        raise InvalidValueError(field, value, f"must be a string, not {type(value).__name__}")
    if not value:
        raise InvalidValueError(field, value, "must not be empty; leave it out to use the default")
    if value != value.strip():
        raise InvalidValueError(field, value, "must not start or end with white space; strip it")
    if len(value) > _MAX_LENGTH:
        raise InvalidValueError(field, value, f"has {len(value)} characters; W&B accepts {_MAX_LENGTH}, shorten it")
    if found := sorted(set(forbidden).intersection(value)):
        characters = " ".join(found)
        raise InvalidValueError(field, value, f"W&B refuses the character(s) {characters} here; replace them, with '-'")
    return value


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
