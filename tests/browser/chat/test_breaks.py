"""The chat of examples/ in headless Chromium: stops, reloads, tabs, cuts and proxies."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from examples.chat.replayed import BRIDGE
from tests.browser.chat.support import ask, shown, until
from tests.support.line import Line
from tests.support.proxies import nginx

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page, Route

pytestmark = [pytest.mark.browser]


def come(page: Page, length: int) -> str:
    """Wait until so many characters are shown; returns them all."""
    text = ""

    def is_there() -> bool:
        nonlocal text
        text = page.locator(".text").inner_text()
        return len(text) >= length

    until(is_there)
    return text


@pytest.fixture(scope="module")
def whole(chromium: Browser, url: str) -> str:
    """The long answer as it looks where nothing happens to it."""
    with chromium.new_context() as context:
        page = context.new_page()
        ask(page, url)
        return shown(page)


def test_stop_ends_the_answer_for_all_who_follow(page: Page, context: BrowserContext, url: str) -> None:
    article = ask(page, url)
    come(page, 100)
    other = context.new_page()
    other.goto(page.url)
    come(other, 100)
    article.locator(".stop").click()
    stopped = shown(page, "stopped")

    assert shown(other, "stopped") == stopped
    assert article.locator(".status").inner_text().startswith("Stopped")
    assert article.locator(".stop").is_hidden()
    page.reload()
    assert shown(page, "stopped") == stopped
    assert "stone → gravel" not in stopped


def test_a_reload_loses_nothing_and_doubles_nothing(page: Page, url: str, whole: str) -> None:
    ask(page, url)
    for length in (30, 200, 400):
        come(page, length)
        page.reload()
    come(page, 450)
    page.goto("about:blank")
    page.go_back()

    assert shown(page) == whole
    page.reload()
    assert shown(page) == whole


def test_a_second_tab_shows_the_same(
    page: Page, context: BrowserContext, chromium: Browser, url: str, whole: str
) -> None:
    ask(page, url)
    come(page, 150)
    other = context.new_page()
    other.goto(page.url)
    with chromium.new_context() as elsewhere:
        stranger = elsewhere.new_page()
        stranger.goto(page.url)
        stranger.locator("body[data-ready]").wait_for()
        assert stranger.locator("article").count() == 0

    assert shown(page) == shown(other) == whole


def test_a_cut_is_mended(page: Page, url: str, whole: str) -> None:
    with Line(url) as line:
        ask(page, line.url)
        for length in (30, 200, 400):
            come(page, length)
            line.cut()

        assert shown(page) == whole


@pytest.mark.parametrize("event", ["online", "pageshow"])
def test_a_dead_socket_that_looks_open_is_left_at_once(page: Page, url: str, whole: str, event: str) -> None:
    """No FIN comes, and no error: the browser would wait for minutes, but the page is told to look."""
    with Line(url) as line:
        ask(page, line.url)
        seen = come(page, 150)
        line.go_dead()
        time.sleep(0.5)
        stuck = come(page, len(seen))
        time.sleep(0.5)
        assert come(page, len(seen)) == stuck
        page.evaluate(
            "name => dispatchEvent(name === 'online' ? new Event(name)"
            " : new PageTransitionEvent(name, {persisted: true}))",
            event,
        )

        assert shown(page) == whole


@contextmanager
def frozen(browser: Browser) -> Generator[None]:
    """Stop the processes of all pages, and let them go on.

    A headless browser has no pages in the background, and so none to freeze by DevTools.
    """
    told = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    pages = [process["id"] for process in told["processInfo"] if process["type"] == "renderer"]
    for process in pages:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in pages:
            os.kill(process, signal.SIGCONT)


def test_a_page_that_was_frozen_goes_on(page: Page, chromium: Browser, url: str, whole: str) -> None:
    """The system freezes it, its socket dies meanwhile, and it is shown again: it has all at once."""
    with Line(url) as line:
        ask(page, line.url)
        come(page, 150)
        with frozen(chromium):
            line.go_dead()
            # The answer goes on without it, and ends.
            time.sleep(6)
        begun = time.monotonic()
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

        assert shown(page) == whole
        assert time.monotonic() - begun < 15


def test_a_proxy_in_between_holds_nothing_back(page: Page, url: str, whole: str, tmp_path: Path) -> None:
    """A nginx that nobody has told of streams, and that buffers what it is not told to let through."""
    with nginx(tmp_path, url, {"chat": "proxy_buffering on; gzip on; gzip_types *;"}) as proxy:
        article = ask(page, f"{proxy}/chat/")
        lengths = set[int]()
        while article.get_attribute("data-state") != "complete":
            lengths.add(len(page.locator(".text").inner_text()))
            time.sleep(0.05)

        assert len(lengths) > 10
        assert shown(page) == whole


def test_trying_again_shows_what_had_come_until_there_is_more(page: Page, url: str) -> None:
    article = ask(page, url, "an answer that breaks")
    article.locator(".retry").wait_for()
    partial = page.locator(".text").inner_text()
    assert 0 < len(partial) < 2 * len(BRIDGE)
    assert "It broke off" in article.locator(".status").inner_text()
    # The button's own words: what is given up is seen from the moment that it is asked again.
    given_up = article.locator(".given-up")

    def answer_late(route: Route) -> None:
        time.sleep(0.3)
        route.continue_()

    page.route("**/again", answer_late)
    article.locator(".retry").click()
    given_up.wait_for()

    assert given_up.inner_text() == partial
    shown(page)
    assert page.locator(".text").inner_text() == (BRIDGE * 3).strip()
    assert given_up.is_hidden()
    page.reload()
    shown(page)
    assert page.locator(".text").inner_text() == (BRIDGE * 3).strip()
