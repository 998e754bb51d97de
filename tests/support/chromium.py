"""Debian's headless Chromium, as fixtures: a conftest.py imports those that its tests need."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.support.proxies import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    executable = program("chromium", "chromium")
    if find_spec("playwright") is None:
        missing = pytest.fail if os.environ.get("TOKENSTREAM_REQUIRE_SDKS") == "1" else pytest.skip
        missing("needs playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # A container's root has no sandbox, and the pages are our own.
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 800, "height": 900})
    made.set_default_timeout(60_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
