"""The page of `inspect --html` in headless Chromium: it renders, fits, and holds no element of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import RECORDINGS, chat
from tests.cli.hostile import HOSTILE, hostile
from tokenstream.cli import main
from tokenstream.testing import Arrival, Recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser]

_TAGS = "[...document.querySelectorAll('*')].map(e => e.localName + ' ' + e.getAttributeNames().join())"
_WRITTEN = """
html head meta title style body section div h1 h2 h3 p strong span small dl dt dd ul ol li i
table thead tbody tr th td details summary pre code svg rect
"""
"""The names of the elements that the library writes."""


@pytest.fixture
def opened(page: Page, tmp_path: Path) -> Callable[[Recording], tuple[Page, list[str]]]:
    """Write the page of a recording and open it; returns it with what the console said."""
    said = list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(error.message))
    page.on("dialog", lambda dialog: said.append(dialog.message))

    def open_page(recording: Recording) -> tuple[Page, list[str]]:
        recording.save(tmp_path / "answer.rec", overwrite=True)
        main(["inspect", str(tmp_path / "answer.rec"), "--html", str(tmp_path / "page.html")])
        page.goto((tmp_path / "page.html").as_uri())
        return page, said

    return open_page


def _stalled() -> Recording:
    pieces = [chat({"content": f"word {number} "}) for number in range(40)]
    arrivals = [
        Arrival(0.4 + number / 20 + (3 if number > 20 else 0), data) for number, data in enumerate(pieces)
    ]
    return Recording((*arrivals, Arrival(9.0, b": still there\n\n")), breaks="reset")


@pytest.mark.parametrize("width", [360, 1_400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_and_says_nothing_to_the_console(
    width: int, scheme: str, opened: Callable[[Recording], tuple[Page, list[str]]], page: Page
) -> None:
    """No line is wider than the window, and each scheme has its own colours."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for recording in (_stalled(), Recording.load(RECORDINGS / "anthropic.sse")):
        shown, said = opened(recording)
        box = shown.locator("svg").bounding_box()

        assert [] == said
        assert width >= shown.evaluate("document.documentElement.scrollWidth")
        assert box is not None
        assert box["width"] > width * 0.7
        assert box["height"] > 100
        back = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (scheme == "light") is (back == "rgb(255, 255, 255)")


def test_a_click_opens_a_payload(opened: Callable[[Recording], tuple[Page, list[str]]]) -> None:
    shown, _ = opened(_stalled())
    payload = shown.locator("details pre").first

    assert not payload.is_visible()
    shown.locator("summary").first.click()
    assert payload.is_visible()


def test_hostile_text_makes_no_element(opened: Callable[[Recording], tuple[Page, list[str]]]) -> None:
    """As the browser parses the page: the elements of a harmless answer, one by one, and no alert."""
    shown, said = opened(hostile("harmless"))
    expected = shown.evaluate(_TAGS)
    for text in HOSTILE:
        if "\ud800" in text:
            continue
        shown, said = opened(hostile(text))
        found = shown.evaluate(_TAGS)

        assert [] == said
        assert expected == found
        assert {tag.split()[0] for tag in found} <= set(_WRITTEN.split())
