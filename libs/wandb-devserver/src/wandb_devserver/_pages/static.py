"""Static files of the pages: scripts, styles and the charting library."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request

_FOLDER = Path(__file__).parent / "static"
_IMPORT = re.compile(r"""\bimport\b[^"\n]*"\./([\w./-]+)"\)?;$""", re.MULTILINE)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}


def serve(request: Request) -> Response:
    """`GET /-/static/{digest}/{name}`, in a thread: compressing the charting library takes a while, once."""
    content = _files().get(request.path_params["name"])
    if content is None or request.path_params["digest"] != _digest():
        return PlainTextResponse("not found", status_code=404)
    name = request.path_params["name"]
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = _compressed(name), "gzip"
    return Response(content, media_type=_media_type(name), headers={**headers, "Vary": "Accept-Encoding"})


def url(name: str) -> str:
    """Return the URL of a static file; it changes when any of them does."""
    return f"/-/static/{_digest()}/{name}"


@lru_cache(maxsize=32)
def imports(name: str) -> tuple[str, ...]:
    """Return the URLs of all modules that a script imports, for browsers to load at once and not one after another."""
    found: list[str] = []
    pending = [name]
    while pending:
        module = _files()[pending.pop()].decode()
        added = [path for path in _IMPORT.findall(module) if path in _files() and path not in found]
        found.extend(added)
        pending.extend(path for path in added if not path.startswith("vendor/"))
    # The charting library is the longest.
    return tuple(url(path) for path in sorted(found, key=lambda path: not path.startswith("vendor/")))


@lru_cache(maxsize=1)
def _files() -> dict[str, bytes]:
    # Only names listed here are served: no path of a request reaches the file system.
    return {path.relative_to(_FOLDER).as_posix(): path.read_bytes() for path in _FOLDER.rglob("*") if path.is_file()}


@lru_cache(maxsize=1)
def _digest() -> str:
    digest = hashlib.sha256()
    for name, content in sorted(_files().items()):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()[:16]


@lru_cache(maxsize=64)
def _compressed(name: str) -> bytes:
    return gzip.compress(_files()[name], compresslevel=6, mtime=0)


def _media_type(name: str) -> str:
    known = _TYPES.get(Path(name).suffix)
    return known or mimetypes.guess_type(name)[0] or "application/octet-stream"
