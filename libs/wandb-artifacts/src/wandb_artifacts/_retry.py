from __future__ import annotations

_TRANSIENT_STATUS = frozenset({408, 429})
_DEPTH = 8


def is_transient(error: BaseException) -> bool:
    """Tells whether the same request may succeed a moment later.

    Pure: it looks at the exception only, through what wraps or caused it. The status codes are read where wandb
    (`exc.response.http_status`), httpx and requests (`response.status_code`) keep them, without importing either.

    Args:
        error: What a request to W&B raised.

    Returns:
        True for a timeout, a broken or refused connection, HTTP 408, 429 and 5xx. False for everything else: a wrong
        key, a missing run and a bad argument do not go away by trying again.
    """
    for link in _chain(error):
        status = _http_status(link)
        if status:
            return status in _TRANSIENT_STATUS or 500 <= status <= 599
        if isinstance(link, (ConnectionError, TimeoutError)) or _is_transport_error(link):
            return True
    return False


def _chain(error: BaseException) -> list[BaseException]:
    """The exception and what stands behind it; `exc` is where wandb.errors.CommError keeps its own."""
    links: list[BaseException] = []
    link: object = error
    while isinstance(link, BaseException) and link not in links and len(links) < _DEPTH:
        links.append(link)
        link = getattr(link, "exc", None) or link.__cause__
    return links


def _http_status(error: BaseException) -> int:
    response = getattr(error, "response", None)
    status = getattr(response, "http_status", None) or getattr(response, "status_code", None)
    return status if isinstance(status, int) else 0


def _is_transport_error(error: BaseException) -> bool:
    """True for httpx's and requests' own connection errors, which do not derive from the builtin ones."""
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    return not kinds.isdisjoint({"httpx.TransportError", "requests.ConnectionError", "requests.Timeout"})
