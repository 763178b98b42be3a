"""Requests over HTTP. What aiohttp raises ends here: its exceptions carry headers, and so the key, in their repr."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import urllib.request
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from wandb_artifacts._client.retry import TransientError, read_retry_after
from wandb_artifacts._errors import (
    AccessDeniedError,
    AuthenticationError,
    DownloadError,
    NotFoundError,
    ServerAnswerError,
)
from wandb_artifacts._version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_AGENT = f"wandb-artifacts/{__version__}"
_BUFFER = 1024 * 1024
_PASSING = frozenset({408, 425, 429})
_PERMANENT: dict[int, type[DownloadError]] = {401: AuthenticationError, 403: AccessDeniedError, 404: NotFoundError}
_EXCERPT = 300

GRAPHQL_TIMEOUT = 90.0
"""Seconds that one question may take in all."""
SILENCE = 60.0
"""Seconds without a byte after which a connection counts as dead."""
CONNECT_TIMEOUT = 30.0


class Http:
    """A session with one server; files may be elsewhere, and are fetched without the key there."""

    def __init__(self, host: str, key: str, *, jobs: int) -> None:
        self.host = host
        self._url = URL(host)
        self._auth = {"Authorization": f"Basic {base64.b64encode(f'api:{key}'.encode()).decode()}"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=SILENCE)
        # Not the connector's limit: time spent waiting for a connection would count as the server's silence.
        self._slots = asyncio.Semaphore(jobs)
        connector = aiohttp.TCPConnector(limit=0)
        # Neither netrc nor cookies: what is sent is said in each request.
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            headers={"User-Agent": _AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_BUFFER,
            auto_decompress=True,
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

    async def post_json(self, path: str, body: dict[str, Any], *, what: str) -> bytes:
        """Sends a question and returns the answer's body."""
        url = self._url / path
        timeout = aiohttp.ClientTimeout(total=GRAPHQL_TIMEOUT, sock_connect=CONNECT_TIMEOUT)
        async with self._slots:
            sent = self._session.post(
                url, json=body, headers=self._auth, proxy=_proxy(url), allow_redirects=False, timeout=timeout
            )
            with _translated(what):
                async with sent as response:
                    answer = await response.read()
                    _check(response, what, answer)
                    return answer

    @contextlib.asynccontextmanager
    async def get_file(
        self, url: str, *, start: int, end: int | None, what: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Begins to fetch a file, from a byte on (and up to another, which is not included)."""
        with _translated(what):
            address = self._address(url)
            # aiohttp drops the key where it is redirected to another origin.
            headers = dict(self._auth) if self.is_own(url) else {}
            if start or end is not None:
                headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            async with self._slots, self._files.get(address, headers=headers, proxy=_proxy(address)) as response:
                if response.status != 416:
                    _check(response, what, b"")
                yield response

    def _address(self, text: str) -> URL:
        # What is encoded stays as it was signed; a space or a letter beyond ASCII could not be sent as it is.
        is_encoded = text.isascii() and text.isprintable() and " " not in text
        try:
            found = self._url.join(URL(text, encoded=is_encoded))
            found.origin(), found.port
        except ValueError:
            text = ""
        if not text:
            raise aiohttp.InvalidURL(text)
        return found

    def is_own(self, text: str) -> bool:
        """Whether an address is below that of the server, and so may be sent the key."""
        try:
            url = self._address(text)
        except aiohttp.InvalidURL:
            return False
        path = self._url.path.rstrip("/")
        return url.origin() == self._url.origin() and (url.path == path or url.path.startswith(f"{path}/"))


def _check(response: aiohttp.ClientResponse, what: str, body: bytes) -> None:
    status = response.status
    if status < 300:
        return
    if status in _PASSING or status >= 500:
        retry_after = read_retry_after(response.headers.get("Retry-After"))
        is_for_all = status == 429 or (status == 503 and retry_after is not None)
        reason = f"W&B answered {status}"
        raise TransientError(reason, retry_after=retry_after, is_for_all=is_for_all, is_no_answer=True)
    raise error_of(status, what, _excerpt(body))


def error_of(status: int, what: str, detail: str = "") -> DownloadError:
    """The exception for an answer that will not change by asking again."""
    hints = {
        401: "W&B refused the API key; set WANDB_API_KEY to a valid one",
        403: "the API key has no access to it",
        404: "there is no such thing at W&B",
    }
    hint = hints.get(status, f"W&B answered {status}")
    return _PERMANENT.get(status, ServerAnswerError)(f"{what}: {hint}{f' ({detail})' if detail else ''}")


def _excerpt(body: bytes) -> str:
    text = " ".join(body.decode(errors="replace").split())
    return text[:_EXCERPT] if not text.startswith("<") else ""


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientConnectorCertificateError:
        msg = f"{what}: the certificate of the server is not valid; set SSL_CERT_FILE to your authority's certificate"
        raise ServerAnswerError(msg) from None
    except aiohttp.InvalidURL:
        msg = f"{what}: W&B gave an address that is none"
        raise ServerAnswerError(msg) from None
    except aiohttp.TooManyRedirects:
        msg = f"{what}: too many redirects"
        raise ServerAnswerError(msg) from None
    except (TimeoutError, asyncio.TimeoutError):  # the same from Python 3.11 on
        msg = "no answer in time"
        raise TransientError(msg, is_no_answer=True) from None
    except aiohttp.ClientError as error:
        raise TransientError(_reason(error), is_no_answer=True) from None
    except ConnectionError:
        msg = "the connection broke"
        raise TransientError(msg, is_no_answer=True) from None


def _reason(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        return f"no connection ({cause.strerror or type(cause).__name__})"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    return f"the connection broke ({type(error).__name__})"


def _proxy(url: URL) -> URL | None:
    """The proxy that the environment names for an address; `trust_env` of aiohttp would read netrc as well."""
    proxies = urllib.request.getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or (url.host and urllib.request.proxy_bypass(url.host)):
        return None
    return URL(found if "://" in found else f"http://{found}")
