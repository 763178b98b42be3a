"""Explanations of failures to open a W&B run, with what to do about them."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wandb_artifacts import AuthenticationError
from wandb_artifacts.client import Client, Connection, Redactor, find_credentials

from wandb_runtime._errors import MissingApiKeyError, RunOpenError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROBE_TIMEOUT = 10.0
_SHORT_PROBE_TIMEOUT = 5.0
_LONGEST_REASON = 300
_NO_REASON = "<no message>"
# Refusals that may be about key, entity or project; of others, the server's own text states the reason.
_ABOUT_ACCESS = re.compile(
    r"<no message>|returned error 40[134]|permission|denied|forbidden|unauthori[sz]ed|access", re.I
)
_OK = 200
_UNAUTHORIZED = 401

# Causes of an outage by substrings of the SDK's error text, most specific first, with what to do.
_CHECK_HOST = "Check the host (host=, WANDB_BASE_URL)"
_OUTAGES = (
    (
        ("no such host", "name resolution", "name or service not known", "nodename nor servname"),
        f"the host name cannot be resolved. {_CHECK_HOST}, or the network's DNS",
    ),
    (
        ("connection refused", "connect call failed"),
        f"nothing listens there. {_CHECK_HOST} and its port, and whether the server runs",
    ),
    (("http response to https client",), f"it speaks http, not https. {_CHECK_HOST}"),
    (("x509", "certificate", "tls:"), "its TLS certificate is not trusted here. Install its authority's certificate"),
    (("http 429",), "it limits the rate of requests. Try later, or open fewer runs at once"),
    (("http 409", "http 5"), "the server fails. Try later, and check whether it is up"),
)
# SDKs before 0.31 report every outage as a timeout.
NO_RESPONSE = f"it did not respond in time. {_CHECK_HOST}, and the network in between: firewall, proxy, DNS"
_KEY_FROM_FLYTE = "in Flyte: secrets=flyte.Secret(key, as_env_var='WANDB_API_KEY') of the TaskEnvironment"


@dataclass(frozen=True)
class RunRequest:
    """A run to open, as far as it is known before."""

    run_id: str | None
    connection: Connection
    """How the server is reached; with its host."""
    entity: str | None
    project: str | None

    @classmethod
    def of(cls, init: Mapping[str, Any], connection: Connection) -> RunRequest:
        """Describe the run that these arguments of `wandb.init()` open."""
        entity, project = (init.get(name) or os.environ.get(f"WANDB_{name.upper()}") for name in ("entity", "project"))
        return cls(init.get("id"), connection, entity, project)

    @property
    def host(self) -> str:
        """The API base URL of the server."""
        return self.connection.host or ""

    def is_server_responding(self) -> bool:
        """Whether the server responds to a small request, with whatever status."""
        return Client(self.connection, timeout=_SHORT_PROBE_TIMEOUT).key_status() is not None

    def __str__(self) -> str:
        return f"Cannot open W&B run {self.run_id or 'of this function'} at {self.host}"


def require_api_key(request: RunRequest, mode: str | None) -> None:
    """Fail before wandb.init would prompt for a key on the terminal of the task.

    Raises:
        MissingApiKeyError: The API key is missing, and the run needs one.
    """
    mode = mode or os.environ.get("WANDB_MODE")
    if mode not in ("offline", "disabled", "dryrun"):
        try:
            find_credentials(request.connection)
        except AuthenticationError as error:
            msg = f'{error} ({_KEY_FROM_FLYTE}), or set mode="offline" to log without W&B'
            raise MissingApiKeyError(msg) from None


def outage_advice(error: Exception) -> str | None:
    """Return what to check, if the text of an exception describes an outage."""
    text = str(error).lower()
    return next((advice for marks, advice in _OUTAGES if any(mark in text for mark in marks)), None)


def explain_failure(error: Exception, request: RunRequest) -> RunOpenError:
    """Map a `wandb.init` failure to a `RunOpenError`; may probe the server once, within bounds of time."""
    from wandb_runtime.server import sdk_private

    if sdk_private.is_unavailable(error):
        return UnavailableError(f"{request}: {outage_advice(error) or NO_RESPONSE}{_quoted(error, request)}")
    reason = _summarize(error, request)
    if sdk_private.is_refusal(error):
        if not _ABOUT_ACCESS.search(reason):
            return RunOpenError(f"{request}: the server refuses the run: {reason}")
        return RunOpenError(f"{request}: {_refusal(request)}{_quoted(error, request)}")
    return RunOpenError(f"{request}: {type(error).__name__}: {reason}")


def _refusal(request: RunRequest) -> str:
    """Explain a refusal. It carries no status: a request that names no project distinguishes key and project."""
    status = Client(request.connection, timeout=_PROBE_TIMEOUT).key_status()
    if status is None:
        return "the server refuses the run"
    return explain_key_status(status) or explain_project_refusal(request.entity, request.project)


def explain_key_status(status: int) -> str | None:
    """Explain the status of a request that needs only the API key; None if the server accepts the key."""
    if status == _UNAUTHORIZED:
        return (
            "the server refuses the API key (401). Check that WANDB_API_KEY is complete, not revoked, and belongs to "
            f"this server ({_KEY_FROM_FLYTE})"
        )
    if status != _OK:
        return (
            f"the server refuses every request ({status}). {_CHECK_HOST}: is it a W&B server, and is there a proxy "
            "in front of it?"
        )
    return None


def explain_project_refusal(entity: str | None, project: str | None) -> str:
    """Explain that the server accepts the key, but refuses to write to a project."""
    where = f"entity {entity!r}" if entity else "the default entity"
    what = f"project {project!r}" if project else "the default project"
    return (
        f"the server accepts the API key, but refuses {what} of {where}. Check that both are spelled as on W&B, "
        "and that the key's owner may write to the project"
    )


def _quoted(error: Exception, request: RunRequest) -> str:
    reason = _summarize(error, request)
    return "" if reason == _NO_REASON else f". W&B's error: {reason}"


def _summarize(error: Exception, request: RunRequest) -> str:
    """Return the SDK's error text in one line, without its advice on calling wandb.init, and without the key.

    The server may have echoed the request, with the key in any encoding.
    """
    text = " ".join(str(error).partition("\nConsider increasing")[0].split())
    text = redactor_for(request.connection)(text).rstrip(" :")
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."


def redactor_for(connection: Connection) -> Redactor:
    """Return what removes API key and extra headers from texts of a server, which may have echoed a request."""
    redact = Redactor([os.environ.get("WANDB_API_KEY"), *connection.resolved().headers.values()])
    with contextlib.suppress(AuthenticationError):
        redact.add(find_credentials(connection).api_key)
    return redact
