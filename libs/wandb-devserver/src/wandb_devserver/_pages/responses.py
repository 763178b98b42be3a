"""Responses of the pages: templates, JSON, compression and security headers."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from wandb_devserver._json import dumps_strict
from wandb_devserver._pages import static

if TYPE_CHECKING:
    from starlette.requests import Request

    from wandb_devserver._json import Json

_COMPRESSED_FROM = 1024

# Scripts and styles are files of this package; values of runs can be neither.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types default"
)

_PAGE_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not "no-referrer": forms would be sent with the origin "null", which the check of origins refuses.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie, Authorization, Accept-Encoding",
}

_templates = Environment(
    loader=PackageLoader("wandb_devserver._pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["segment"] = lambda text: quote(text, safe="")
_templates.globals.update(static=static.url, imports=static.imports)


def page(template: str, *, status: int = 200, **values: object) -> Response:
    """Render a template."""
    text = _templates.get_template(template).render(values)
    return Response(text, status, media_type="text/html", headers=_PAGE_HEADERS)


def data(request: Request, document: Json, *, status: int = 200) -> Response:
    """Send JSON, or 304 when the browser has the same already."""
    body = dumps_strict(document).encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**_PAGE_HEADERS, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if len(body) >= _COMPRESSED_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, compresslevel=4)
        headers["Content-Encoding"] = "gzip"
    return Response(body, status, media_type="application/json", headers=headers)
