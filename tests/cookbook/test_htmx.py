"""The cookbook's two elements of htmx, in Chromium: the blocks replace each other, and the end closes."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.cookbook.programs import section_of
from tests.support.node import node_with

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

_FOUR, _TWO = re.findall(r"`(<main .*?>)`", section_of("fastapi-markdown"))
_SCRIPTS = {
    _FOUR: ("htmx.org/dist/htmx.js", "htmx.org/dist/ext/hx-sse.js"),
    _TWO: ("htmx2/dist/htmx.js", "htmx-ext-sse/dist/sse.js"),
}


@pytest.mark.parametrize("element", _SCRIPTS, ids=["htmx 4", "htmx 2"])
def test_an_element_shows_each_event_and_closes_at_the_end(element: str, page: Page) -> None:
    folder, _ = node_with("htmx.org", "htmx2", "htmx-ext-sse")
    texts = [(folder / "node_modules" / name).read_text(encoding="utf-8") for name in _SCRIPTS[element]]
    scripts = "".join(f"<script>{text}</script>" for text in texts)

    class Handler(BaseHTTPRequestHandler):
        asked: ClassVar[list[str]] = []

        def do_GET(self) -> None:
            self.asked.append(self.path)
            is_answer = self.path.startswith("/answer")
            events = [["data: <p>The sky</p>"], ["data: <p>The sky", "data: is blue.</p>"]]
            lines = [
                line for event in [*events, ["event: ending", "data: complete"]] for line in (*event, "")
            ]
            body = "\n".join([*lines, ""]) if is_answer else scripts + element
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if is_answer else "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.get_by_text("The sky is blue.").wait_for()
        page.wait_for_timeout(2_000)
        assert "The sky is blue." == page.locator("main").inner_text()
        assert 1 == sum(path.startswith("/answer") for path in Handler.asked)
        server.shutdown()
