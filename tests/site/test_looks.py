"""The site in headless Chromium, narrow and wide: it fits, its pictures load, and its search finds."""

from __future__ import annotations

import functools
import http.server
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = [pytest.mark.site, pytest.mark.timeout(300)]

_PAGES = ["index.html", "reference/tokenstream.stream.html", "ui.html", "conformance.html", "errors.html"]
_BROKEN = (
    "[...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.src)"
)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """The site's address: its search does not read files."""
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("width", [390, 1_280])
@pytest.mark.parametrize("name", _PAGES)
def test_a_page_fits_its_window(served: str, page: Page, name: str, width: int) -> None:
    """Tables and code scroll by themselves; the page does not."""
    said = list[str]()
    page.on("pageerror", lambda error: said.append(error.message))
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{served}/{name}")
    page.wait_for_load_state("networkidle")

    assert width >= page.evaluate("document.documentElement.scrollWidth")
    assert [] == page.evaluate(_BROKEN)
    assert [] == said


@pytest.mark.parametrize(
    "question, answer",
    [
        ("StreamTruncated", "errors"),
        ("useChat", "ui-message"),
        ("disconnect", "relay"),
        ("compresses", "doctor"),
        ("recordings", "testing"),
    ],
)
def test_the_search_finds_the_page(served: str, page: Page, question: str, answer: str) -> None:
    """Among the first results is the page that answers."""
    page.goto(f"{served}/search.html?q={question}")
    first = page.locator("#search-results li a").first
    first.wait_for()
    # The summary comes when all results are listed.
    page.wait_for_function("document.querySelector('.search-summary')?.textContent.includes('found')")
    found = page.locator("#search-results > ul > li > a").evaluate_all(
        "links => links.map(link => link.href)"
    )

    assert any(f"/{answer}.html" in link or f"{answer}" in link for link in found[:10]), found[:10]
