"""The cookbook's two elements of htmx, in Chromium: the blocks replace each other, and the end closes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cookbook.programs import section_of
from tests.support.node import node_with

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.slow

_FOUR, _TWO = re.findall(r"`(<main .*?>)`", section_of("fastapi-markdown"))
_URL = "http://app.test/"
_SCRIPTS = {
    _FOUR: ("htmx.org/dist/htmx.js", "htmx.org/dist/ext/hx-sse.js"),
    _TWO: ("htmx2/dist/htmx.js", "htmx-ext-sse/dist/sse.js"),
}


_ANSWER = "data: <p>The sky</p>\n\ndata: <p>The sky\ndata: is blue.</p>\n\nevent: ending\ndata: complete\n\n"


@pytest.mark.parametrize("element", _SCRIPTS, ids=["htmx 4", "htmx 2"])
def test_an_element_shows_each_event_and_closes_at_the_end(element: str, page: Page) -> None:
    folder, _ = node_with("htmx.org", "htmx2", "htmx-ext-sse")
    texts = [(folder / "node_modules" / name).read_text(encoding="utf-8") for name in _SCRIPTS[element]]
    html, asked = "".join(f"<script>{text}</script>" for text in texts) + element, list[str]()

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        is_page = route.request.url == _URL
        kind = "text/html" if is_page else "text/event-stream"
        route.fulfill(body=html if is_page else _ANSWER, content_type=kind)

    page.route("**/*", answer)
    page.goto(_URL)
    page.get_by_text("The sky is blue.").wait_for()
    page.wait_for_timeout(2_000)

    assert page.locator("main").inner_text() == "The sky is blue."
    assert sum("/answer" in url for url in asked) == 1
