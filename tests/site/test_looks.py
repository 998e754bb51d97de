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

pytestmark = [pytest.mark.site]

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


_QUESTIONS = {
    # Asked by users of other libraries, each in a public thread.
    "fastapi/fastapi#1342": ("stop client disconnects", "relay", "closes the connection to the provider"),
    "mostlygeek/llama-swap#236": ("streaming buffered nginx", "doctor", "proxy_buffering off;"),
    "dstackai/dstack#4269": ("one lump", "doctor", "which setting to change"),
    "BerriAI/litellm#316": ("mock streaming response", "testing", "testing.script()"),
    "gpustack/gpustack#4874": ("include_usage", "getting-started", "to report usage"),
    "567-labs/instructor#665": ("structured output", "structured-output", "stream.partials("),
    "konveyor/kai#622": ("incomplete chunked read", "errors-index", "Keep .partial, ask again"),
    "openclaw/openclaw#68655": ("markdown flickers", "ui", "markdown_blocks()"),
    "vercel/chatbot#1466": ("resume after reload", "browser", "Last-Event-ID"),
    "LibreChat-AI/agents#40": ("think tags", "ui", 'split_tags("think")'),
    "openai/openai-python#3201": ("arguments fragments", "tool-calls", "stream.tool_calls"),
}
"""For each thread: the words to search for, the page that answers, and a part of the answer."""


@pytest.mark.parametrize(("words", "name", "answer"), _QUESTIONS.values(), ids=_QUESTIONS)
def test_a_question_is_answered_by_one_search(
    served: str, page: Page, words: str, name: str, answer: str
) -> None:
    """The answer stands on one of the first six pages that the search lists."""
    page.goto(f"{served}/search.html?q={words}")
    # The summary comes when all results are listed.
    page.wait_for_function("document.querySelector('.search-summary')?.textContent.includes('found')")
    found = page.locator("#search-results > ul > li > a").evaluate_all(
        "links => links.map(link => new URL(link.href).pathname)"
    )
    assert f"/{name}.html" in list(dict.fromkeys(found))[:6]

    page.goto(f"{served}/{name}.html")
    assert answer in page.locator("article").inner_text()
