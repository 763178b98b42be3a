"""Sign-in of browsers: sessions, one-time links, forms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wandb_devserver import DevServer

    from tests.wandb_devserver.support import RawClient

BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Mode": "navigate"}


@pytest.fixture
def browser(server: DevServer) -> Iterator[httpx.Client]:
    with loopback.Client(base_url=server.url, headers=BROWSER) as client:
        yield client


def sign_in(browser: httpx.Client, key: str, target: str = "/") -> httpx.Response:
    return browser.post("/-/sign-in", data={"key": key, "next": target})


def test_page_without_a_session_is_the_sign_in_page(browser: httpx.Client) -> None:
    """The browser shows no password dialog."""
    response = browser.get("/local/p/runs/r?x=1")

    assert response.status_code == 401
    assert "www-authenticate" not in response.headers
    assert 'name="next" value="/local/p/runs/r?x=1"' in response.text


def test_api_request_without_a_key_names_the_scheme(server: DevServer) -> None:
    """Programs learn how to authenticate."""
    response = loopback.post(f"{server.url}/graphql", json={"query": "{ viewer { id } }"})

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("path", ["/", "/local/p/runs/r", "/-/data/run/local/p/r"])
def test_pages_refuse_basic_credentials(raw: RawClient, path: str) -> None:
    """A browser keeps them, and sends them along with requests that other sites make."""
    raw.open_run("r")

    response = raw.http.get(path)

    assert response.status_code == 401
    assert "www-authenticate" not in response.headers
    assert raw.pages.get(path).status_code == 200


def test_api_key_starts_a_session(server: DevServer, browser: httpx.Client) -> None:
    """The cookie is out of reach of scripts and of other sites."""
    response = sign_in(browser, server.api_key, "/?page=2")
    cookie = response.headers["set-cookie"]

    assert (response.status_code, response.headers["location"]) == (303, "/?page=2")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert server.api_key not in cookie
    assert browser.get("/").status_code == 200


def test_link_signs_in_once(server: DevServer, browser: httpx.Client) -> None:
    """The code of a link is used up; the fragment keeps it out of requests for pages."""
    page, code = server.sign_in_url().split("#")

    assert page == f"{server.url}/-/sign-in"
    assert sign_in(browser, code).status_code == 303
    assert sign_in(browser, code).status_code == 401


@pytest.mark.parametrize("key", ["", "wrong", "k" * 40])
def test_wrong_key_is_refused(browser: httpx.Client, key: str) -> None:
    """The page has a message, and no cookie is set."""
    response = sign_in(browser, key)

    assert response.status_code == 401
    assert 'role="alert"' in response.text
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example"])
def test_sign_in_does_not_redirect_elsewhere(server: DevServer, browser: httpx.Client, target: str) -> None:
    """A link to the sign-in page cannot send the reader to another site."""
    assert sign_in(browser, server.api_key, target).headers["location"] == "/"


def test_session_cannot_write(server: DevServer, browser: httpx.Client, raw: RawClient) -> None:
    """The API needs the key: a forged request of another site changes nothing."""
    raw.open_run("r")
    sign_in(browser, server.api_key)

    assert browser.post("/graphql", json={"query": "{ viewer { entity } }"}).status_code == 401
    assert browser.post("/files/local/p/r/file_stream", json={"complete": True}).status_code == 401
    assert server.run("local/p/r").state == "running"


def test_sign_out_needs_the_token_of_a_page(server: DevServer, browser: httpx.Client) -> None:
    """The token is different for each session."""
    sign_in(browser, server.api_key)
    found = re.search(r'name="token" value="(\w+)"', browser.get("/").text)
    assert found

    assert browser.post("/-/sign-out", data={"token": "forged"}).status_code == 403
    assert browser.get("/").status_code == 200
    assert browser.post("/-/sign-out", data={"token": found[1]}).status_code == 303
    assert browser.get("/").status_code == 401


@pytest.mark.parametrize("forge", ["{}0", "x", "a.b", ""])
def test_forged_cookie_is_refused(server: DevServer, browser: httpx.Client, forge: str) -> None:
    """Only the server signs sessions."""
    sign_in(browser, server.api_key)
    ((name, value),) = browser.cookies.items()
    cookie = f"{name}={forge.format(value)}"

    assert loopback.get(server.url, headers={**BROWSER, "Cookie": f"{name}={value}"}).status_code == 200
    assert loopback.get(server.url, headers={**BROWSER, "Cookie": cookie}).status_code == 401


def test_forms_send_their_origin(browser: httpx.Client) -> None:
    """Under "no-referrer" a browser sends the origin "null", which is refused."""
    assert browser.get("/-/sign-in").headers["referrer-policy"] == "same-origin"


def test_cross_site_navigation_loads_an_intermediate_page(server: DevServer, browser: httpx.Client) -> None:
    """Browsers withhold the cookie on such a navigation; the one that this page starts carries it."""
    response = browser.get("/local/p%20x", headers={"Sec-Fetch-Site": "cross-site"})

    assert '<meta http-equiv="refresh" content="0; url=/local/p%20x">' in response.text


def test_static_paths_serve_no_page(server: DevServer) -> None:
    """Only static files need no session."""
    for path in ("/-/static/x", "/-/static/x/style.css", "/-/static/local/p", "/-/static/../../local/p"):
        response = loopback.get(server.url + path, headers=BROWSER)

        assert response.status_code in (401, 404)
        assert 'id="view"' not in response.text
