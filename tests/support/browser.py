"""Headless Chromium for tests of the pages."""

from __future__ import annotations

import asyncio
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wandb_devserver import DevServer

_ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)

# Messages of Chromium itself; everything else in its console is an error of the pages.
_REMARKS = re.compile(r"Password forms should have|An iframe which has both|the server responded with a status of 401")


@dataclass
class Tab:
    """A signed-in page in the browser, with the problems that it reported."""

    page: Any
    server: DevServer
    problems: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        """Open a page, by its path or its URL, and return it when the script has shown it."""
        self.page.goto(path if path.startswith("http") else self.server.url + path)
        self.page.wait_for_selector("#view > :not(h1, p)")
        return self.page

    def watch(self) -> None:
        """Note errors in the page's console, exceptions of its scripts, and dialogs."""
        for event, handler in self._handlers():
            self.page.on(event, handler)

    def leave(self) -> None:
        """Undo what a test has changed, and show a page that sends no requests."""
        self.page.unroute_all()
        self.page.goto(f"{self.server.url}/-/sign-in")
        for event, handler in self._handlers():
            self.page.remove_listener(event, handler)

    def _handlers(self) -> list[tuple[str, Callable[[Any], None]]]:
        return [("console", self._on_console), ("pageerror", self._on_error), ("dialog", self._on_dialog)]

    def _on_error(self, error: Any) -> None:
        self.problems.append(str(error))

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning") and not _REMARKS.search(message.text):
            self.problems.append(message.text)

    def _on_dialog(self, dialog: Any) -> None:
        self.problems.append(f"a dialog opened: {dialog.message}")
        dialog.dismiss()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start Chromium for one module: until it ends, Playwright's event loop runs in this thread."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        pytest.skip("no Chromium on this machine: install it (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS.split())
        yield browser
        browser.close()
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


@contextmanager
def open_tab(chromium: Any, server: DevServer) -> Iterator[Tab]:
    """Open a signed-in tab; problems that it reports fail the test.

    A browser has one such tab: its process and its cache have the compiled scripts of the pages, by their URLs. With a
    server on the port of the previous one, that halves the CPU time of a test.
    """
    (page,) = [page for context in chromium.contexts for page in context.pages] or [chromium.new_page()]
    page.set_default_timeout(45_000)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    page.context.clear_cookies()
    # The previous server has closed connections that the context would use again.
    signed_in = page.context.request.post(f"{server.url}/-/sign-in", form={"key": server.api_key}, max_retries=2)
    assert signed_in.ok
    opened = Tab(page, server)
    opened.watch()
    yield opened
    opened.leave()
    assert opened.problems == []


def chart(page: Any, key: str) -> Any:
    """Return the box of a chart once it is drawn."""
    page.wait_for_selector(f'[data-key="{key}"] .chart[data-drawn]')
    return page.locator(f'[data-key="{key}"] .chart')


def colours_in(box: Any) -> int:
    """Return how many different colours the canvas of a chart shows."""
    return int(
        box.locator("canvas").first.evaluate(
            """canvas => {
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                const colours = new Set();
                for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200) {
                    colours.add((data[at] << 16) + (data[at + 1] << 8) + data[at + 2]);
                }
                return colours.size;
            }"""
        )
    )
