"""Why a W&B run cannot be opened, in words that say what to do about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_runtime._errors import MissingApiKeyError, RunOpenError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROBE_TIMEOUT = 10
_LONGEST_REASON = 300
_NO_REASON = "<no message>"
_UNAUTHORIZED = 401

# What the texts of an outage tell about its cause, most telling first, and what to do about each.
_CHECK_HOST = "Check the host (host=, WANDB_BASE_URL)"
_OUTAGES = (
    (("no such host", "name resolution"), f"there is no host of this name. {_CHECK_HOST}, or the network's DNS"),
    (("connection refused",), f"nothing listens there. {_CHECK_HOST} and its port, and whether the server runs"),
    (("http response to https client",), f"it speaks http, not https. {_CHECK_HOST}"),
    (("x509", "certificate", "tls:"), "its TLS certificate is not trusted here. Install that of its authority"),
    (("http 429",), "it takes no more requests for now. Try later, or open fewer runs at once"),
    (("http 409", "http 5"), "the server fails. Try later, and see whether others have trouble with it"),
)
_SILENCE = "it does not answer in time. Check the network between here and there: firewall, proxy, DNS"
_KEY_FROM_FLYTE = "in Flyte: secrets=flyte.Secret(key, as_env_var='WANDB_API_KEY') of the TaskEnvironment"


@dataclass(frozen=True)
class RunRequest:
    """The run that is to be opened, as far as it is known before."""

    run_id: str | None
    host: str
    """The API address of the server."""
    entity: str | None
    project: str | None

    @classmethod
    def of(cls, init: Mapping[str, Any], host: str) -> RunRequest:
        """The run that these arguments of `wandb.init()` open."""
        entity, project = (init.get(name) or os.environ.get(f"WANDB_{name.upper()}") for name in ("entity", "project"))
        return cls(init.get("id"), host, entity, project)

    def __str__(self) -> str:
        return f"W&B run {self.run_id or 'of this function'} at {self.host} cannot be opened"


def require_api_key(request: RunRequest, mode: str | None) -> None:
    """Fails before wandb.init would ask for a key on the terminal of whoever runs the task.

    Raises:
        MissingApiKeyError: There is none, and the run needs one.
        wandb.errors.AuthenticationError: There is a key that cannot be one.
    """
    from wandb_runtime.server import sdk_private

    mode = mode or os.environ.get("WANDB_MODE")
    if mode in ("offline", "disabled", "dryrun") or sdk_private.has_credentials(request.host):
        return
    msg = f'No W&B API key: set WANDB_API_KEY ({_KEY_FROM_FLYTE}), or set mode="offline" to log without W&B'
    raise MissingApiKeyError(msg)


def require_credentials(host: str | None) -> str:
    """Fails before the SDK would ask for a key on a terminal; for what cannot be done without the server.

    Args:
        host: The API address of the server, if one was given.

    Returns:
        The address, which the SDK may know by itself.

    Raises:
        MissingApiKeyError: There is no key.
        wandb.errors.AuthenticationError: There is a key that cannot be one.
    """
    from wandb_runtime.server import sdk_private

    address = sdk_private.resolve_host(host)
    if not sdk_private.has_credentials(address):
        msg = f"No W&B API key: set WANDB_API_KEY ({_KEY_FROM_FLYTE})"
        raise MissingApiKeyError(msg)
    return address


def outage_advice(error: Exception) -> str | None:
    """What to check, if the text of an exception tells of an outage."""
    text = str(error).lower()
    return next((advice for marks, advice in _OUTAGES if any(mark in text for mark in marks)), None)


def explain_failure(error: Exception, request: RunRequest) -> RunOpenError:
    """What to raise where wandb.init has raised `error`. May ask the server, once and not for long."""
    from wandb_runtime.server import sdk_private

    if sdk_private.is_unavailable(error):
        return UnavailableError(f"{request}: {outage_advice(error) or _SILENCE}{_quoted(error)}")
    if sdk_private.is_refusal(error):
        return RunOpenError(f"{request}: {_refusal(request)}{_quoted(error)}")
    return RunOpenError(f"{request}: {type(error).__name__}: {summarize_error(error)}")


def _refusal(request: RunRequest) -> str:
    """The refusal of wandb.init carries no status: a request that names no project tells key and project apart."""
    from wandb_runtime.server import queries

    status = queries.key_status(request.host, timeout=_PROBE_TIMEOUT)
    if status is None:
        return "the server refuses it. Check WANDB_API_KEY, the entity and the project"
    if status == _UNAUTHORIZED:
        return (
            "the server refuses the API key (401). Check that WANDB_API_KEY is whole, not revoked, and of this server "
            f"({_KEY_FROM_FLYTE})"
        )
    if status != queries.ACCEPTED:
        return (
            f"the server refuses whatever is asked ({status}). {_CHECK_HOST}: is it a W&B server, and does a proxy "
            "stand before it?"
        )
    entity = f"entity {request.entity!r}" if request.entity else "the default entity"
    project = f"project {request.project!r}" if request.project else "the default project"
    return (
        f"the server knows the API key, but refuses {project} of {entity}. Check that both are spelled as on W&B, and "
        "that the key's owner may write to the project"
    )


def _quoted(error: Exception) -> str:
    reason = summarize_error(error)
    return "" if reason == _NO_REASON else f". W&B says: {reason}"


def summarize_error(error: Exception) -> str:
    """The SDK's text without its last paragraph, which tells how to call wandb.init; never with the key."""
    text = " ".join(str(error).partition("\nConsider increasing")[0].split())
    key = os.environ.get("WANDB_API_KEY")
    text = (text.replace(key, "***") if key else text).rstrip(" :")
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."
