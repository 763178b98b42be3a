"""Checks of the W&B server, the API key, and the project. They write nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wandb_artifacts import (
    AccessDeniedError,
    AuthenticationError,
    InvalidValueError,
    NotFoundError,
    ServerUnavailableError,
    WandbPluginError,
)
from wandb_artifacts.client import Redactor, find_credentials, find_setting

from wandb_runtime.cli.findings import Finding
from wandb_runtime.server.diagnostics import (
    NO_RESPONSE,
    explain_key_status,
    explain_project_refusal,
    outage_advice,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from wandb_artifacts.client import Client, Probe

_MAX_SKEW = 60.0
"""Seconds. Signed URLs and tokens tolerate some minutes."""
_VIEWER = """
query DoctorViewer { viewer { username entity teams { edges { node { name } } } } }
"""
_PROJECT = """
query DoctorProject($entity: String!, $project: String!) {
  project(name: $project, entityName: $entity) { name readOnly }
}
"""
_AFTER_HOST = "not checked: the host does not respond"
_AFTER_KEY = "not checked: the API key is not known to be valid"


@dataclass(frozen=True)
class _Owner:
    """The owner of the API key."""

    name: str
    entity: str | None
    """The default entity."""
    teams: frozenset[str]

    @classmethod
    def of(cls, viewer: dict[str, Any]) -> _Owner:
        edges = (viewer.get("teams") or {}).get("edges") or ()
        name, entity = str(viewer.get("username") or "unknown"), viewer.get("entity")
        return cls(name, entity, frozenset({name, entity or name, *(edge["node"]["name"] for edge in edges)}))


def check_server(client: Client, *, entity: str | None, project: str | None) -> Iterator[Finding]:
    """Check how the server is reached, whether it responds, the key, and the project."""
    yield _check_proxy(client)
    probe, host = _check_host(client)
    yield host
    yield _check_clock(probe) if probe else Finding.skipped("clock", _AFTER_HOST)
    key = _check_key_source(client)
    yield key
    if probe is None or key.outcome == "failed":
        reason = _AFTER_HOST if probe is None else "not checked: there is no API key"
        yield Finding.skipped("key accepted", reason)
        yield Finding.skipped("project", reason)
        return
    owner, accepted = _check_owner(client)
    yield accepted
    yield _check_project(client, owner, entity, project) if owner else Finding.skipped("project", _AFTER_KEY)


def _check_proxy(client: Client) -> Finding:
    proxy = client.proxy
    return Finding.ok("proxy", f"requests go through {proxy}" if proxy else "not used for this host")


def _check_host(client: Client) -> tuple[Probe | None, Finding]:
    check = "host"
    try:
        probe = client.probe()
    except ServerUnavailableError as error:
        return None, Finding.failed(check, str(error), _outage(client, error))
    except (WandbPluginError, OSError) as error:
        advice = "Check the host (--host, WANDB_BASE_URL), the proxy and the certificates."
        return None, Finding.failed(check, str(error), advice)
    took = f"in {probe.seconds * 1000:.0f} ms"
    if probe.status >= 500 or probe.status == 407:
        who = "the proxy refuses the request" if probe.status == 407 else "the server fails"
        advice = "Check the proxy's URL and credentials." if probe.status == 407 else "Try later; is it up?"
        return None, Finding.failed(check, f"{client.host} responded with {probe.status} {took}: {who}", advice)
    return probe, Finding.ok(check, f"{client.host} responded {took}")


def _outage(client: Client, error: Exception) -> str:
    found = outage_advice(error) or NO_RESPONSE
    proxy = "Check the proxy" if client.proxy else "Where a proxy is needed, set HTTPS_PROXY (for http: HTTP_PROXY)"
    return f"{found[0].upper()}{found[1:]}. {proxy}."


def _check_clock(probe: Probe) -> Finding:
    if probe.clock_skew is None:
        return Finding.skipped("clock", "not checked: the server's response has no date")
    if abs(probe.clock_skew) <= _MAX_SKEW:
        return Finding.ok("clock", f"agrees with the server's within {_MAX_SKEW:.0f} s")
    direction = "ahead of" if probe.clock_skew > 0 else "behind"
    text = f"this machine's clock is {abs(probe.clock_skew):.0f} s {direction} the server's"
    advice = "Set the clock (NTP): times on W&B would be wrong, and signed URLs and tokens be refused."
    return Finding.failed("clock", text, advice)


def _check_key_source(client: Client) -> Finding:
    try:
        credentials = find_credentials(client.connection)
    except AuthenticationError as error:
        in_flyte = "In Flyte, give the task's environment secrets=flyte.Secret(key, as_env_var='WANDB_API_KEY')."
        return Finding.failed("key found", str(error), in_flyte)
    kind = "API key" if credentials.api_key else "identity token"
    return Finding.ok("key found", f"{kind} in {credentials.source}")


def _check_owner(client: Client) -> tuple[_Owner | None, Finding]:
    check = "key accepted"
    try:
        viewer = client.execute(_VIEWER, {}, what=client.host).get("viewer")
    except WandbPluginError as error:
        status = getattr(error, "status", None)
        advice = (explain_key_status(status) if status else None) or "Check the host, and the server's log."
        return None, Finding.failed(check, _redacted(client, error), _sentence(advice))
    if not viewer:
        return None, Finding.failed(
            check, "the server does not know the key's owner", _sentence(explain_key_status(401) or "")
        )
    owner = _Owner.of(viewer)
    return owner, Finding.ok(check, f"owner {owner.name}, default entity {owner.entity or 'not set'}")


def _check_project(client: Client, owner: _Owner, entity: str | None, project: str | None) -> Finding:
    check = "project"
    entity, project = entity or find_setting("entity") or owner.entity, project or find_setting("project")
    if not project or not entity:
        lacking = "project" if not project else "entity"
        return Finding.skipped(check, f"not checked: no {lacking}. Pass --{lacking}, or set WANDB_{lacking.upper()}")
    name = f"{entity}/{project}"
    refusal = _sentence(explain_project_refusal(entity, project))
    try:
        found = client.execute(_PROJECT, {"entity": entity, "project": project}, what=name).get("project")
    except (AccessDeniedError, AuthenticationError) as error:
        return Finding.failed(check, _redacted(client, error), refusal)
    except NotFoundError:
        found = None
    except (WandbPluginError, InvalidValueError) as error:
        return Finding.failed(check, _redacted(client, error), "Try again; if it persists, check the server's log.")
    if found is None:
        if entity in owner.teams:
            return Finding.ok(check, f"{name} does not exist yet; the first run creates it")
        text = f"{name} does not exist, or is hidden from {owner.name}, who is not a member of {entity}"
        return Finding.failed(check, text, refusal)
    if found.get("readOnly"):
        return Finding.failed(check, f"{name} is read-only for {owner.name}", refusal)
    return Finding.ok(check, f"{owner.name} may write to {name}")


def _redacted(client: Client, error: Exception) -> str:
    """Return the text of an error without the key, which the server may have echoed."""
    return Redactor([find_credentials(client.connection).api_key])(str(error))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
