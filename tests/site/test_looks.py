"""The site in headless Chromium, narrow and wide: it fits, its pictures load, and its search finds."""

from __future__ import annotations

import functools
import http.server
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.site.test_search import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

# The site is built for the first of them, which takes minutes on a busy machine.
pytestmark = [pytest.mark.site, pytest.mark.timeout(900)]

_PAGES = [
    "index.html",
    "reference/api/tokenstream.stream.Stream.html",
    "guides/ui.html",
    "reference/departures.html",
    "guides/errors.html",
]
_BROKEN = (
    "[...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.src)"
)


_WIDE = """
(document.querySelectorAll("[role=tabpanel]").forEach(panel => (panel.hidden = false)),
 [...document.querySelectorAll("pre")].filter(block => block.scrollWidth > block.clientWidth)
   .map(block => block.textContent))
"""
_TALL = """
(document.querySelectorAll(".toctree-checkbox").forEach(box => (box.checked = true)),
 [...document.querySelectorAll(".sidebar-tree a")].filter(link => link.getBoundingClientRect().height > 40)
   .map(link => link.textContent))
"""


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


def test_no_block_of_code_scrolls(site: Path, served: str, page: Page) -> None:
    """In a window of 1,280 pixels, each line is seen to its end, also in the tabs that are hidden."""
    page.set_viewport_size({"width": 1_280, "height": 900})
    wide: dict[str, list[str]] = {}
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site).as_posix()
        page.goto(f"{served}/{name}")
        if found := page.evaluate(_WIDE):
            wide[name] = found

    assert {} == wide


def test_a_title_in_the_sidebar_is_one_line(served: str, page: Page) -> None:
    """Whoever looks for a page reads down one column."""
    page.set_viewport_size({"width": 1_280, "height": 900})
    page.goto(f"{served}/index.html")

    assert [] == page.evaluate(_TALL)


def test_the_first_page_does_not_repeat_the_sidebar(served: str, page: Page) -> None:
    """A forge has no sidebar, so that the page has lists there."""
    page.goto(f"{served}/index.html")
    side, lists = page.locator(".sidebar-tree a"), page.locator("article li a")

    assert side.count() > 60
    assert 0 == lists.count()


@pytest.mark.parametrize("scheme, ground", [("light", "rgb(255, 255, 255)"), ("dark", "rgb(21, 23, 27)")])
def test_a_picture_is_drawn_for_the_page_that_has_it(
    served: str, page: Page, scheme: Any, ground: str
) -> None:
    """A white picture on a dark page blinds."""
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{served}/pictures/cut.svg")

    assert ground == page.locator(".page").evaluate("box => getComputedStyle(box).fill")


def test_a_picture_follows_the_colours_that_a_reader_chooses(served: str, page: Page) -> None:
    """The button above the page counts more than the system."""
    page.goto(f"{served}/guides/recovery.html")
    page.evaluate("document.body.dataset.theme = 'dark'")

    picture = page.locator("img[src$='cut.svg']")
    assert "dark" == picture.evaluate("image => getComputedStyle(image).colorScheme")


def test_the_terminal_begins_with_its_last_moment(served: str, page: Page) -> None:
    """Whoever scrolls past has seen what it shows."""
    page.goto(f"{served}/pictures/terminal.svg")
    shown = page.locator("g").evaluate_all("groups => groups.map(group => getComputedStyle(group).opacity)")

    assert {"1"} == set(shown)


def test_the_words_of_a_picture_can_be_read_on_a_phone(served: str, page: Page) -> None:
    """A wide picture is not made smaller than it was drawn: it scrolls."""
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{served}/guides/recovery.html")
    picture = page.locator("img[src$='cut.svg']")

    assert picture.evaluate("image => image.clientWidth >= image.naturalWidth")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_sync_and_async_are_two_tabs(served: str, page: Page) -> None:
    """Each of the twelve tasks shows one; who chooses the other has chosen it for all, and for later."""
    page.goto(f"{served}/guides/tasks.html")
    tabs = page.get_by_role("tablist")
    panels = page.get_by_role("tabpanel")

    assert tabs.count() == 12
    assert [False] * 12 == [_is_async(text) for text in panels.all_inner_texts()]

    tabs.nth(3).get_by_role("tab", name="async", exact=True).click()
    assert [True] * 12 == [_is_async(text) for text in panels.all_inner_texts()]

    page.reload()
    assert [True] * 12 == [_is_async(text) for text in panels.all_inner_texts()]

    tabs.nth(5).get_by_role("tab", selected=True).focus()
    page.keyboard.press("ArrowLeft")
    assert [False] * 12 == [_is_async(text) for text in panels.all_inner_texts()]


def test_tabs_work_in_a_browser_that_keeps_nothing(served: str, page: Page) -> None:
    """With site data blocked, `localStorage` raises an error; a choice then lasts as long as the page."""
    blocked = "get() { throw new DOMException('', 'SecurityError') }"
    page.add_init_script(f"Object.defineProperty(window, 'localStorage', {{ {blocked} }})")
    page.goto(f"{served}/guides/tasks.html")
    panels = page.get_by_role("tabpanel")
    assert [False] * 12 == [_is_async(text) for text in panels.all_inner_texts()]

    page.get_by_role("tab", name="async", exact=True).nth(3).click()
    assert [True] * 12 == [_is_async(text) for text in panels.all_inner_texts()]
    # The arrow keys move the focus as well.
    page.get_by_role("tab", selected=True).nth(5).press("ArrowLeft")
    assert [False] * 12 == [_is_async(text) for text in panels.all_inner_texts()]
    assert page.get_by_role("tab", selected=True).nth(5).evaluate("tab => tab === document.activeElement")


def _is_async(code: str) -> bool:
    return "async " in code or "await " in code


_ENOUGH = 30
"""The number of results that a search is waited for: the page of each is loaded, to show its words there."""


def _found(served: str, page: Page, words: str) -> list[str]:
    """Return the first addresses that a search lists, the best first, without the site's own."""
    page.goto(f"{served}/search.html?{urlencode({'q': words})}")
    # The summary comes when all results are listed, hundreds for a common word.
    page.wait_for_function(
        "enough => document.querySelectorAll('#search-results > ul > li').length >= enough"
        " || document.querySelector('.search-summary')?.textContent.includes('found')",
        arg=_ENOUGH,
    )
    links: list[str] = page.locator("#search-results > ul > li > a").evaluate_all(
        "links => links.map(link => link.href)"
    )
    return [link.removeprefix(f"{served}/") for link in links]


def _names(found: list[str]) -> list[str]:
    """Return the names of the pages that addresses lead to, each once."""
    return list(dict.fromkeys(link.partition("#")[0].removesuffix(".html") for link in found))


@pytest.mark.parametrize(
    ("name", "answer"), sorted({item for _, answers in THREADS.values() for item in answers.items()})
)
def test_the_page_that_a_search_finds_has_the_answer(served: str, page: Page, name: str, answer: str) -> None:
    page.goto(f"{served}/{name}.html")

    assert answer in page.locator("article").inner_text()


@pytest.mark.parametrize("words", ["retry", "stream", "why is my stream truncated", "partial", "tool call"])
def test_guides_come_before_names(served: str, page: Page, words: str) -> None:
    names = _names(_found(served, page, words))[:5]

    assert [] == [name for name in names if name.startswith("reference/api/")]


def test_a_name_is_found_as_well(served: str, page: Page) -> None:
    """Who knows the name gets its entry, after the guides."""
    found = _found(served, page, "tokenstream.Stream.validated_calls")

    assert any(link.endswith("#tokenstream.Stream.validated_calls") for link in found)


def test_a_message_is_found_with_its_numbers_filled_in(served: str, page: Page) -> None:
    """Pasted from a traceback, it leads to the row of the index of errors that explains it."""
    first, *_ = _found(
        served, page, "tokenstream.errors.LimitExceeded: the input outgrew Limits.line = 1,024"
    )
    page.goto(f"{served}/{first}")
    row = page.locator("tr", has=page.locator(":target"))

    assert first.startswith("reference/errors-index.html#")
    assert "A line, an event, the answer or something in it is larger" in row.inner_text()


def test_each_message_of_the_index_of_errors_is_found(served: str, page: Page) -> None:
    """With something in place of each "…", it is among the first three, with an anchor of its own."""
    page.goto(f"{served}/reference/errors-index.html")
    messages: dict[str, str] = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('td:first-child code[id]')].map("
        "message => [`#${message.id}`, message.textContent]))"
    )
    page.goto(f"{served}/search.html")
    rank = "text => Search._performSearch(text, new Set(), new Set(), new Set(), new Set()).slice(-3)"
    lost = [
        text
        for anchor, text in messages.items()
        if anchor
        not in [row[2] for row in page.evaluate(rank, f"Error: {text.replace('…', 'x1')} and so on")]
    ]

    assert len(messages) > 150
    assert [] == lost
