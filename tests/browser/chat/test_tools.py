"""The chat of examples/ in headless Chromium: tool calls and forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chat.support import ask, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser]


def test_a_tool_call_appears_and_is_not_done_again(page: Page, url: str) -> None:
    """The remark before it is folded. What the page does for it is done once, and not after a reload."""
    page.add_init_script("""new MutationObserver(() => {
      const told = document.querySelector(".call .arguments")?.textContent;
      if (told) (window.given ??= new Set()).add(told);
    }).observe(document, { subtree: true, childList: true, characterData: true })""")
    article = ask(page, url, "a tool call")
    page.locator("article[data-state=complete]").wait_for()
    call = article.locator(".call")

    assert page.evaluate("window.given.size") >= 2
    assert call.locator(".name").text_content() == "get_weather"
    assert article.locator(".remarks p").text_content() == "Let me look it up."
    assert not article.locator(".remarks p").is_visible()
    assert article.locator(".text").inner_text() == ""
    assert '"city": "Oslo"' in str(call.locator(".arguments").text_content())
    article.locator(".call.now").wait_for()
    page.reload()
    page.locator("article[data-state=complete]").wait_for()
    assert page.locator(".call").count() == 1
    assert page.locator(".call.now").count() == 0


def test_a_form_fills_in_over_a_reload(page: Page, url: str) -> None:
    """What comes are patches, and behind the reload those that were missing."""
    ask(page, url, "a form")
    name = page.locator(".recipe h3")
    until(lambda: (name.text_content() or "").startswith("Crê"))
    until(lambda: page.locator(".steps li").count() == 1)
    page.reload()
    page.locator("article[data-state=complete]").wait_for()

    assert name.text_content() == "Crêpes with lemon"
    assert page.locator(".ingredients li").all_text_contents() == [
        "250 g flour",
        "½ l milk",
        "3 eggs",
        " lemon",
    ]
    assert (
        page.locator(".steps li").last.text_content() == "Bake: Thinly, in a hot pan, a minute on each side."
    )
    assert page.locator(".tip").text_content() == "The first one is for the cook."
