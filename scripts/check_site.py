"""Checks a built site: every link within it leads to a page and an anchor, and no page loads anything from the network.

python -m scripts.check_site docs/_build
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

# Elements whose URL the browser requests when it shows the page.
_LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "object": "data"}


@dataclass
class Page(HTMLParser):
    """The anchors of a page, its links, and the URLs that it loads."""

    file: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if values.get(_LOADED.get(tag, "")):
            self.loaded.append(values[_LOADED[tag]])


def main(folder: str) -> int:
    site = Path(folder).resolve()
    pages = {file: Page(file) for file in sorted(site.rglob("*.html")) if "_static" not in file.parts}
    problems = [
        f"{page.file.relative_to(site)}: {problem}" for page in pages.values() for problem in check(page, pages)
    ]
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(pages)} pages, {sum(len(page.links) for page in pages.values())} links, {len(problems)} problems")
    return 1 if problems or not pages else 0


def check(page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    """Yield the problems of a page."""
    for url in page.loaded:
        if is_external(url):
            yield f"loads {url} from the network"
        elif not target(page, url)[0].exists():
            yield f"loads {url}, which does not exist"
    for url in page.links:
        if is_external(url) or url.startswith("mailto:"):
            continue
        file, anchor = target(page, url)
        if not file.exists():
            yield f"links to {url}, which does not exist"
        elif anchor and file in pages and anchor not in pages[file].anchors:
            yield f"links to {url}, which has no such anchor"


def is_external(url: str) -> bool:
    return bool(urlsplit(url).netloc)


def target(page: Page, url: str) -> tuple[Path, str]:
    """Return the file and the anchor that a relative URL leads to."""
    path, anchor = urldefrag(url)
    file = (page.file.parent / unquote(path.partition("?")[0])).resolve() if path else page.file
    return file, unquote(anchor)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
