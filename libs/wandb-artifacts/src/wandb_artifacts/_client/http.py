"""HTTP requests. aiohttp's exceptions end here, because their text and repr may contain the key."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from yarl import URL

from wandb_artifacts._asyncio import to_thread
from wandb_artifacts._client.bodies import ACCEPTED_ENCODING, read_response
from wandb_artifacts._client.connection import Connection, ssl_context
from wandb_artifacts._client.credentials import Credentials, find_credentials, is_configured
from wandb_artifacts._client.identity_token import GRANT_TYPE, AccessTokens
from wandb_artifacts._client.proxies import Proxies
from wandb_artifacts._client.redaction import Redactor, basic_authorization
from wandb_artifacts._client.responses import AccessToken, read_json
from wandb_artifacts._client.retry import TransientError, is_transient_status, read_retry_after
from wandb_artifacts._errors import (
    AccessDeniedError,
    AuthenticationError,
    DownloadError,
    NotFoundError,
    ServerAnswerError,
)
from wandb_artifacts._refs import app_url, shown_host
from wandb_artifacts._version import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator, Mapping

_AGENT = f"wandb-artifacts/{__version__}"
_BUFFER = 1024 * 1024


class RequestRefusedError(ServerAnswerError):
    """W&B refused the contents of a request."""


_ERRORS: dict[int, type[DownloadError]] = {
    400: RequestRefusedError,
    401: AuthenticationError,
    403: AccessDeniedError,
    404: NotFoundError,
    422: RequestRefusedError,
}
_EXCERPT = 300
_MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PROXY_AUTHORIZATION = "proxy-authorization"

REQUEST_TIMEOUT = 90.0
"""Seconds that one GraphQL request may take."""
READ_TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as broken."""
CONNECT_TIMEOUT = 30.0


class Endpoint(NamedTuple):
    """A W&B server with everything that is needed to reach it."""

    connection: Connection
    """Resolved: `host` is set."""
    credentials: Credentials
    ssl: ssl.SSLContext | bool

    @property
    def host(self) -> str:
        return self.credentials.host


def find_endpoint(host: str | None, connection: Connection | None) -> Endpoint:
    """Resolve how a server is reached. Reads settings, credentials and certificates from disk.

    Args:
        host: The API base URL, if it is not that of the connection, as in a link that a user has pasted.
        connection: Explicit settings; None for the environment's.

    Raises:
        AuthenticationError: No credentials for the server were found.
    """
    credentials = find_credentials(connection, host=host)
    resolved = (connection or Connection()).resolved()
    if app_url(resolved.host) != app_url(credentials.host) and not is_configured(credentials.host):
        # The headers may hold secrets, which are for the configured server.
        proxy_only = {name: text for name, text in resolved.headers.items() if name.lower() == _PROXY_AUTHORIZATION}
        resolved = replace(resolved, host=credentials.host, headers=proxy_only)
    return Endpoint(resolved, credentials, ssl_context(resolved))


class Http:
    """A session with one server. Files may be on other hosts, which get neither the key nor the extra headers."""

    def __init__(self, endpoint: Endpoint, *, jobs: int) -> None:
        self.host = endpoint.host
        self._url = URL(endpoint.host)
        self._proxies = Proxies(endpoint.connection)
        self._headers = {
            name: text for name, text in endpoint.connection.headers.items() if name.lower() != _PROXY_AUTHORIZATION
        }
        self._proxy_headers = {
            name: text for name, text in endpoint.connection.headers.items() if name.lower() == _PROXY_AUTHORIZATION
        }
        self._key = endpoint.credentials.api_key
        self._tokens = AccessTokens(endpoint.credentials) if endpoint.credentials.identity_token_file else None
        self.redact = Redactor([self._key, *self._headers.values()])
        """Removes the key and the extra headers from a text of the server, which may have echoed them."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
        # Not the connector's limit: time spent waiting for a connection would count against the read timeout.
        self._slots = asyncio.Semaphore(jobs)
        connector = aiohttp.TCPConnector(limit=0, ssl=endpoint.ssl)
        # Neither netrc nor cookies: each request states what is sent.
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            headers={"User-Agent": _AGENT, "Accept-Encoding": ACCEPTED_ENCODING},
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_BUFFER,
            auto_decompress=False,
        )
        # As stored: sizes and digests are those of the stored bytes.
        self._files = aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            timeout=timeout,
            headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_BUFFER,
            auto_decompress=False,
        )

    async def close(self) -> None:
        await self._files.close()
        await self._session.close()

    async def post_json(self, path: str, body: Mapping[str, Any], *, what: str, timeout: float | None = None) -> bytes:
        """Send one request to the server and return the body of its response."""
        headers = await self._own_headers(what)
        return await self._post(path, what=what, timeout=timeout, json=body, headers=headers)

    async def probe(self, *, what: str) -> tuple[int, str | None]:
        """Send one request without credentials.

        Returns:
            The status of the response, whatever it is, and its `Date` header.
        """
        url = self._url / "graphql"
        with self._translated(what):
            sent = self._session.get(url, allow_redirects=False, **self._routed(url, self._headers))
            async with sent as response:
                return response.status, response.headers.get("Date")

    @contextlib.asynccontextmanager
    async def get_file(
        self,
        url: str,
        *,
        start: int,
        end: int | None,
        what: str,
        sends_key: bool = True,
        buffer: int = _BUFFER,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Begin to fetch a file, from one byte on (and up to another, which is not included).

        Args:
            url: Its URL.
            start: The first byte.
            end: The byte after the last one; None for the end of the file.
            what: What is fetched, for errors.
            sends_key: Whether a URL below that of the server gets the key. False for a signed URL: object stores
                refuse requests with two signatures.
            buffer: Bytes that may arrive before they are read.
        """
        headers = {} if not start and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        own = await self._own_headers(what) if sends_key and self.is_own(url) else {}
        with self._translated(what):
            async with self._slots, await self._follow(self._resolve(url), headers, own, buffer) as response:
                if response.status != 416:
                    self._check(response, what, b"")
                yield response

    def is_own(self, text: str) -> bool:
        """Return whether a URL is below that of the server, so that it may get the key."""
        try:
            return self._is_own(self._resolve(text))
        except aiohttp.InvalidURL:
            return False

    async def _own_headers(self, what: str) -> dict[str, str]:
        """Return the headers for the W&B server itself."""
        if self._tokens is None:
            value = basic_authorization(self._key or "")
        else:
            value = f"Bearer {await self._tokens.get(lambda token: self._exchange(token, what))}"
        return {**self._headers, "Authorization": value}

    async def _exchange(self, identity_token: str, what: str) -> tuple[str, float]:
        """Exchange an identity token for an access token (RFC 7523)."""
        form = {"grant_type": GRANT_TYPE, "assertion": identity_token}
        self.redact.add(identity_token)
        try:
            body = await self._post("oidc/token", what=what, data=form, headers=self._headers)
        except DownloadError as error:
            msg = f"{what}: W&B rejected the identity token ({error.status}); check WANDB_IDENTITY_TOKEN_FILE"
            raise _with_status(AuthenticationError(msg), error.status) from None
        found = read_json(AccessToken, body, f"{what}: the exchange of the identity token")
        self.redact.add(found.access_token)
        return found.access_token, found.expires_in

    async def _post(
        self, path: str, *, what: str, headers: Mapping[str, str], timeout: float | None = None, **body: Any
    ) -> bytes:
        url = self._url / path
        limits = aiohttp.ClientTimeout(total=timeout or REQUEST_TIMEOUT, sock_connect=CONNECT_TIMEOUT)
        with self._translated(what):
            async with self._slots:
                sent = self._session.post(
                    url, allow_redirects=False, timeout=limits, **self._routed(url, headers), **body
                )
                async with sent as response:
                    received = await read_response(response, what)
                    self._check(response, what, received)
                    return received

    async def _follow(
        self, url: URL, headers: Mapping[str, str], own: Mapping[str, str], buffer: int
    ) -> aiohttp.ClientResponse:
        """Send a GET request, and follow redirects. aiohttp would take the extra headers along to other hosts."""
        for _ in range(_MAX_REDIRECTS + 1):
            sent = {**headers, **(own if self._is_own(url) else {})}
            options = self._routed(url, sent)
            response = await self._files.get(url, allow_redirects=False, read_bufsize=buffer, **options)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return response
            response.release()
            url = self._resolve(location, base=url)
        raise aiohttp.TooManyRedirects(response.request_info, ())

    def _routed(self, url: URL, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the arguments of a request that depend on the proxy for its URL."""
        proxy = self._proxies.find(url)
        if proxy is None:
            return {"headers": headers}
        # For https the proxy receives a CONNECT request, which has separate headers; for http, the request itself.
        if url.scheme == "https":
            return {"headers": headers, "proxy": proxy, "proxy_headers": self._proxy_headers}
        return {"headers": {**headers, **self._proxy_headers}, "proxy": proxy}

    def _resolve(self, text: str, *, base: URL | None = None) -> URL:
        # A URL that is encoded stays as it was signed; spaces and non-ASCII letters cannot be sent as they are.
        is_encoded = text.isascii() and text.isprintable() and " " not in text
        try:
            found = (base or self._url).join(URL(text, encoded=is_encoded))
            found.origin(), found.port
        except ValueError:
            text = ""
        if not text or found.scheme not in ("http", "https"):
            raise aiohttp.InvalidURL(text)
        return found

    def _is_own(self, url: URL) -> bool:
        path = self._url.path.rstrip("/")
        return url.origin() == self._url.origin() and (url.path == path or url.path.startswith(f"{path}/"))

    def _check(self, response: aiohttp.ClientResponse, what: str, body: bytes) -> None:
        status = response.status
        if status < 300:
            return
        if is_transient_status(status):
            raise _transient(status, response.headers.get("Retry-After"))
        raise error_for(status, what, _excerpt(self.redact(body.decode(errors="replace"))))

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except aiohttp.ClientHttpProxyError as error:
            if is_transient_status(error.status):
                raise _transient(error.status, None, who="the proxy", may_be_applied=False) from None
            msg = f"{what}: the proxy refused the connection ({error.status}); check its URL and credentials"
            raise _with_status(ServerAnswerError(msg), error.status) from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            reason = f"the TLS certificate of {shown_host(error.host)} is not trusted"
            msg = f"{what}: {reason}; set SSL_CERT_FILE to the certificate of its authority"
            raise ServerAnswerError(msg) from None
        except aiohttp.InvalidURL:
            msg = f"{what}: W&B returned a file URL that is not valid for http or https"
            raise ServerAnswerError(msg) from None
        except aiohttp.TooManyRedirects:
            msg = f"{what}: too many redirects"
            raise ServerAnswerError(msg) from None
        except (TimeoutError, asyncio.TimeoutError):  # the same from Python 3.11 on
            msg = "no response in time"
            raise TransientError(msg, is_outage=True) from None
        except aiohttp.ClientConnectorError as error:
            cause = error.os_error
            kind = "proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else "server"
            msg = f"no connection to the {kind} {shown_host(error.host)} ({cause.strerror or type(cause).__name__})"
            raise TransientError(msg, is_outage=True, may_be_applied=False) from None
        except aiohttp.ClientPayloadError:
            msg = "the response broke off"
            raise TransientError(msg, is_outage=True) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            msg = f"the connection broke ({type(error).__name__})"
            raise TransientError(msg, is_outage=True) from None


async def open_http(host: str | None, connection: Connection | None, *, jobs: int) -> Http:
    """Open a session; nothing is sent yet.

    Raises:
        AuthenticationError: No credentials for the server were found.
    """
    return Http(await to_thread(find_endpoint, host, connection), jobs=jobs)


def error_for(status: int, what: str, detail: str = "") -> DownloadError:
    """Return the exception for a response that will not change on a retry."""
    hints = {
        401: "W&B rejected the API key; set WANDB_API_KEY to a valid one",
        403: "the API key has no access to it",
        404: "not found at W&B",
    }
    hint = hints.get(status, f"W&B responded with {status}")
    error = _ERRORS.get(status, ServerAnswerError)(f"{what}: {hint}{f' ({detail})' if detail else ''}")
    return _with_status(error, status)


def _transient(
    status: int, header: str | None, *, who: str = "W&B", may_be_applied: bool | None = None
) -> TransientError:
    retry_after = read_retry_after(header)
    is_rate_limit = status in (425, 429)
    return TransientError(
        f"{who} responded with {status}",
        status=status,
        retry_after=retry_after,
        pauses_all=status == 429 or (status == 503 and retry_after is not None),
        is_outage=True,
        may_be_applied=not is_rate_limit if may_be_applied is None else may_be_applied,
    )


def _with_status(error: DownloadError, status: int | None) -> DownloadError:
    error.status = status
    return error


def _excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text[:_EXCERPT] if not text.startswith("<") else ""
