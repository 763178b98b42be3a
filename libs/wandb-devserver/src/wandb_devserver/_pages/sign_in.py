"""Sign-in and sign-out of browsers."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse, RedirectResponse, Response

from wandb_devserver._http.auth import SIGN_IN_PATH
from wandb_devserver._http.body import read_body
from wandb_devserver._http.sessions import SESSION_LIFETIME
from wandb_devserver._pages.responses import page

if TYPE_CHECKING:
    from starlette.requests import Request

    from wandb_devserver._backend import Backend

_FORM_LIMIT = 16 * 1024


def sign_in_page(request: Request) -> Response:
    """Return the response to a browser that is not signed in."""
    target = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        # The browser followed a link of another site, and held back a cookie that is SameSite=Strict. A navigation that
        # starts on this site carries it.
        return page("bounce.html", status=401, target=_own_path(target))
    return page("sign_in.html", status=401, target=_own_path(target), problem="")


async def show(request: Request) -> Response:
    """`GET /-/sign-in`. The code is in the fragment of the URL, which never reaches a server or its logs."""
    return page("sign_in.html", target=_own_path(request.query_params.get("next", "/")), problem="")


async def sign_in(request: Request) -> Response:
    """`POST /-/sign-in`."""
    backend: Backend = request.app.state.backend
    form = await _form(request)
    target = _own_path(form.get("next", "/"))
    if not backend.sessions.is_admitted(form.get("key", "").strip()):
        problem = "Invalid API key, or a sign-in link that was used already."
        return page("sign_in.html", status=401, target=target, problem=problem)
    response = RedirectResponse(target, status_code=303)
    response.set_cookie(
        backend.sessions.cookie_name,
        backend.sessions.start(),
        max_age=SESSION_LIFETIME,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


async def sign_out(request: Request) -> Response:
    """`POST /-/sign-out`."""
    backend: Backend = request.app.state.backend
    session = backend.sessions.find(request.headers.get("cookie", ""))
    token = (await _form(request)).get("token", "")
    if session is None or not hmac.compare_digest(token.encode(), backend.sessions.form_token(session).encode()):
        return PlainTextResponse("this form was not sent by a page of this server: reload the page", status_code=403)
    response = RedirectResponse(SIGN_IN_PATH, status_code=303)
    response.delete_cookie(backend.sessions.cookie_name)
    return response


async def _form(request: Request) -> dict[str, str]:
    # Anybody may send a form: it is read before its key is known.
    body = await read_body(request, limit=_FORM_LIMIT)
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _own_path(target: str) -> str:
    """Return `target` if it leads to this server, the start page otherwise."""
    is_own = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if is_own else "/"
