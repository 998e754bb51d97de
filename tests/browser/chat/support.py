"""Asking in the chat, and waiting for its answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page


def ask(page: Page, url: str, question: str = "a long answer") -> Locator:
    """Begin a chat and ask; returns the place of the answer."""
    page.goto(url)
    page.locator("body[data-ready]").wait_for()
    page.get_by_text(question, exact=True).click()
    page.locator("article").wait_for()
    return page.locator("article")


def listen(page: Page) -> tuple[list[str], list[str]]:
    """Return the addresses that a page asks, and what it prints or raises."""
    asked, said = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(error.message))
    return asked, said


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    due = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.02)


def shown(page: Page, ending: str = "complete") -> str:
    """Wait for the end; returns all that the answer has become in the page."""
    page.locator(f"article[data-state={ending}]").wait_for()
    return page.locator(".text").inner_html()
