"""A request without credentials: whether a server responds, how fast, and the time that its clock shows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import urlsplit

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._client.connection import Connection, ssl_context
from wandb_artifacts._client.credentials import Credentials


@dataclass(frozen=True)
class Probe:
    """A response to a request without credentials."""

    status: int
    """The HTTP status; without credentials, a refusal is normal."""
    seconds: float
    """The time from the request to the response, connecting included."""
    clock_skew: float | None
    """Seconds by which the clock of this machine is ahead of the server's; None if the response has no date.

    A server states its time in whole seconds.
    """


async def send_probe(connection: Connection, timeout: float) -> Probe:
    """Send the request once.

    Raises:
        ServerUnavailableError: There was no response in time.
        ServerAnswerError: The proxy refused the request, or the server's TLS certificate is not trusted.
    """
    from wandb_artifacts._client.http import Endpoint, Http
    from wandb_artifacts._client.retry import TransientError, unavailable

    resolved = await to_thread(connection.resolved)
    host = resolved.host or ""
    endpoint = Endpoint(resolved, Credentials(host, source=""), await to_thread(ssl_context, resolved))
    http = Http(endpoint, jobs=1)
    begin = time.monotonic()
    try:
        status, date = await asyncio.wait_for(http.probe(what=host), timeout)
    except (TimeoutError, asyncio.TimeoutError):
        msg = f"{host}: no response within {timeout:g} s"
        raise unavailable(msg, None) from None
    except TransientError as error:
        msg = f"{host}: {error}"
        raise unavailable(msg, error.status) from None
    finally:
        await http.close()
    return Probe(status, time.monotonic() - begin, _clock_skew(date))


def _clock_skew(date: str | None) -> float | None:
    from email.utils import parsedate_to_datetime

    with contextlib.suppress(TypeError, ValueError):
        shown = parsedate_to_datetime(date or "")
        # A date without a time zone is in UTC, like every date of HTTP.
        shown = shown if shown.tzinfo else shown.replace(tzinfo=timezone.utc)
        return (datetime.now(timezone.utc) - shown).total_seconds()
    return None


def proxy_host(connection: Connection) -> str | None:
    """Return the URL of the proxy for a server, without credentials; None for a direct connection. Reads files."""
    from yarl import URL

    from wandb_artifacts._client.proxies import Proxies

    resolved = connection.resolved()
    proxy = Proxies(resolved).find(URL(resolved.host or ""))
    if proxy is None:
        return None
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
