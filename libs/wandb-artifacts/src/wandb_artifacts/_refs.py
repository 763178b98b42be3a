"""References to W&B runs and sweeps: `RunRef`, `SweepRef`, and the rules for hosts and names behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import quote, unquote, urlsplit

from wandb_artifacts._errors import InvalidValueError

if TYPE_CHECKING:
    from typing_extensions import Self

DEFAULT_HOST = "https://api.forge.coreweave.com"
"""The SDK's default API base URL."""

# How API and app URLs relate is the rule of `wandb.Settings(base_url=...).app_url`, repeated because importing wandb
# takes 0.4 s; a test compares the two.
_CLOUD_APP = "https://forge.coreweave.com/wandb"
_CLOUD_HOSTS = ("api.forge.coreweave.com", "forge.coreweave.com", "api.wandb.ai", "wandb.ai")

# Names that make `wandb.init` raise a UsageError; the length is that of its documentation of `id`.
_ID_FORBIDDEN = ":;,#?/'"
_PROJECT_FORBIDDEN = "/\\#?%:"
_MAX_LENGTH = 128


def check_host(value: str, *, field: str = "host") -> str:
    """Return `value` without a trailing slash if it is an http(s) URL.

    Raises:
        InvalidValueError: It is not a URL, or contains a user name or password.
    """
    if not isinstance(value, str):
        raise InvalidValueError(field, value, f"must be a string, not {type(value).__name__}")
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise InvalidValueError(
            field, None, "must not contain a user name or password; set the API key in WANDB_API_KEY"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidValueError(field, value, "must be the URL of a W&B server, such as https://wandb.example.com")
    return value.rstrip("/")


def app_url(host: str | None) -> str:
    """Return the URL of the web app for an API base URL.

    Args:
        host: The API base URL, as in `WANDB_BASE_URL`; None for the SDK's default.

    Returns:
        The URL of the app, without a trailing slash.
    """
    host = (host or DEFAULT_HOST).rstrip("/")
    if urlsplit(host).hostname in _CLOUD_HOSTS:
        return _CLOUD_APP
    if "://api.wandb." in host and "://api.wandb.test" not in host:
        return host.replace("://api.", "://", 1)
    return host.replace("://api.", "://app.", 1)


def shown_host(host: str) -> str:
    """Return an API base URL, or the name of a host, with the name by which users know it."""
    is_cloud = (urlsplit(host).hostname or host) in _CLOUD_HOSTS
    return f"{host} (the API of W&B's cloud, wandb.ai)" if is_cloud else host


def api_url(app: str) -> str | None:
    """Return the API base URL for a URL of the web app: the reverse of `app_url`.

    Args:
        app: The part of a page's URL before `/entity/project/...`.

    Returns:
        The API base URL, or None for the SDK's default.
    """
    app = app.rstrip("/")
    if urlsplit(app).hostname in _CLOUD_HOSTS:
        return None
    return app.replace("://app.", "://api.", 1)


def check_id(value: str, *, field: str = "id") -> str:
    """Return `value` if W&B accepts it as the id of a run or sweep.

    Raises:
        InvalidValueError: It is empty, too long, padded with white space or has a character that W&B refuses.
    """
    return check_text(value, field=field, forbidden=_ID_FORBIDDEN)


def check_project(value: str, *, field: str = "project") -> str:
    """Return `value` if W&B accepts it as the name of a project.

    Raises:
        InvalidValueError: It is empty, too long, padded with white space or has a character that W&B refuses.
    """
    return check_text(value, field=field, forbidden=_PROJECT_FORBIDDEN)


def check_entity(value: str, *, field: str = "entity") -> str:
    """Return `value` if it can be the name of a W&B user or team.

    Raises:
        InvalidValueError: It is empty, too long, padded with white space or has a slash.
    """
    return check_text(value, field=field, forbidden="/")


def check_text(value: str, *, field: str, forbidden: str) -> str:
    """Return `value` if it is a name that W&B accepts, without certain characters.

    Raises:
        InvalidValueError: It is empty, too long, padded with white space or has one of the characters.
    """
    if not isinstance(value, str):
        raise InvalidValueError(field, value, f"must be a string, not {type(value).__name__}")
    if not value:
        raise InvalidValueError(field, value, "must not be empty; omit it to use the default")
    if value != value.strip():
        raise InvalidValueError(field, value, "must not start or end with white space; strip it")
    if len(value) > _MAX_LENGTH:
        raise InvalidValueError(field, value, f"has {len(value)} characters; W&B accepts {_MAX_LENGTH}, shorten it")
    if not _is_text(value):
        raise InvalidValueError(field, value, "has half of a surrogate pair, which is not valid Unicode; remove it")
    if found := sorted(set(forbidden).intersection(value)):
        characters = " ".join(found)
        raise InvalidValueError(field, value, f"W&B does not allow {characters} here; replace it, for example with '-'")
    return value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


ARTIFACT = "an artifact; use download_artifact, or 'wandb-artifacts artifact'"
RUN = "a run; use download_run, or 'wandb-artifacts run'"
SWEEP = "a sweep; use download_sweep, or 'wandb-artifacts sweep'"
_PROJECT = "use download_runs, or 'wandb-artifacts runs'"
_PAGES = {
    "artifacts": ARTIFACT,
    "reports": "a report; open one of its runs, and paste the URL of that page",
    "runs": RUN,
    "sweeps": SWEEP,
}
"""The content of a page of the W&B app, by a part of its path."""


def describe_page(url: str) -> str | None:
    """Return what the page of a URL of the W&B app shows, and what to do with it; None if that is unknown."""
    parts = urlsplit(url).path.strip("/").split("/")
    for at, part in enumerate(parts[2:], start=3):
        if part in _PAGES:
            # Without an id, or the type and name of an artifact, it is a list of the project.
            return _PAGES[part] if len(parts[at:]) >= (2 if part == "artifacts" else 1) else None
    return None


_FORMS = {
    "artifact": ("entity/project/name:alias", "the name of an artifact"),
    "project": ("entity/project", ""),
    "run": ("entity/project/run-id", "the id of a run"),
    "sweep": ("entity/project/sweep-id", "the id of a sweep"),
}
"""The full form of each kind of reference, and its last part."""


def given_part(kind: str, field: str, value: str | None, text: str) -> str:
    """Return a part of a reference.

    Raises:
        InvalidValueError: It is missing.
    """
    if value is None:
        form, last = _FORMS[kind]
        reason = f"has no {field}; write {form}, or pass {field}=..."
        if last and text.count("/") == 1:
            reason += f". If it is entity/project, add {last}, or {_PROJECT}"
        raise InvalidValueError(kind, text, reason)
    return value


class SdkObject(Protocol):
    """A run or sweep of the wandb SDK."""

    @property
    def entity(self) -> str: ...

    @property
    def project(self) -> str: ...

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> object: ...


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
        """Parse a reference in any form that people paste.

        Args:
            text: `entity/project/id`, `project/id`, a bare `id`, or the URL of a page of the W&B app (which also
                sets the host; anything after the id is ignored).
            entity: The entity, if `text` has none.
            project: The project, if `text` has none.
            host: The API base URL, if `text` is not a URL; None for the SDK's default.

        Raises:
            InvalidValueError: `text` is not a reference, or has no entity or project and no default was given.
        """
        if "://" in text:
            return cls._parse_url(text)
        parts = text.strip("/").split("/")
        if ":" in parts[-1]:
            raise InvalidValueError(cls._kind, text, f"is not a {cls._kind} but {ARTIFACT}")
        if len(parts) == 4 and parts[2] == cls._collection:
            del parts[2]
        if len(parts) > 3:
            raise cls._unreadable(text)
        found = dict(zip(("id", "project", "entity"), reversed(parts), strict=False))
        return cls(
            entity=given_part(cls._kind, "entity", found.get("entity", entity), text),
            project=given_part(cls._kind, "project", found.get("project", project), text),
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
    def _unreadable(cls, text: str) -> InvalidValueError:
        example = f"https://wandb.ai/entity/project/{cls._collection}/id"
        reason = f"is not a {cls._kind}; write entity/project/id, or paste {example}"
        if "://" in text:
            page = describe_page(text) or f"a page of a project; {_PROJECT}, or paste {example}"
            reason = f"is not a {cls._kind} but {page}"
        return InvalidValueError(cls._kind, text, reason)

    @property
    def url(self) -> str:
        """The URL of its page in the W&B app; every part is percent-encoded."""
        entity, project, ref_id = (quote(part, safe="") for part in (self.entity, self.project, self.id))
        return f"{app_url(self.host)}/{entity}/{project}/{self._collection}/{ref_id}"

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.id}"


class RunRef(_Ref):
    """A reference to a W&B run. Prints as `entity/project/id`, as `wandb.Api().run()` takes it.

    Args:
        entity: The user or team that owns the project.
        project: The name of the project.
        id: The id of the run: the last part of its URL, not its display name.
        host: The API base URL, as in `WANDB_BASE_URL`; None for the SDK's default.

    Raises:
        InvalidValueError: W&B would refuse one of the parts.
    """

    _kind = "run"
    _collection = "runs"


class SweepRef(_Ref):
    """A reference to a W&B sweep. Prints as `entity/project/id`, as `wandb.Api().sweep()` takes it.

    Args:
        entity: The user or team that owns the project.
        project: The name of the project.
        id: The id of the sweep, as `wandb.sweep()` returns it.
        host: The API base URL, as in `WANDB_BASE_URL`; None for the SDK's default.

    Raises:
        InvalidValueError: W&B would refuse one of the parts.
    """

    _kind = "sweep"
    _collection = "sweeps"
