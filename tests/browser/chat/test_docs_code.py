"""The code of docs/guides/browser.md in headless Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from examples.chat.replayed import BRIDGE
from tests.browser.chat.support import until
from tests.browser.docs_code import block_with

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = [pytest.mark.browser]

_FOLLOW = block_with("answer.subscribe")
_LOOP = block_with("run(event.call)")
_EVENT_SOURCE = block_with("new EventSource")
_SHARE = block_with("function share")
_ASK = """async question => {
  const post = async (path, body = {}) => (await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body)
  })).json();
  const { id } = await post("api/chats");
  return (await post(`api/chats/${id}/turns`, { question })).answer;
}"""

_TEXT = """async answer => {
  const { follow } = await import("./tokenstream/tokenstream.js");
  return (await follow(`api/answers/${answer}`).done).text;
}"""
_SHARED_TEXT = "window.given.map(event => event.type === 'text_delta' ? event.text : '').join('')"


def _inline(code: str, answer: str) -> str:
    """Have a block of the docs run in a page, about an answer that there is."""
    code = code.replace('import { follow } from "/tokenstream/tokenstream.js";', "")
    given = 'const { follow } = await import("./tokenstream/tokenstream.js");'
    given += 'const place = document.querySelector("header p");'
    return f"async () => {{ {given} {code.replace('7Jx', answer)} WHAT }}"


def test_the_code_of_the_page_of_docs_runs(page: Page, url: str) -> None:
    """A follower and a loop over its events; EventSource, which asks no more once the end has come."""
    requests = list[str]()
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url)
    answer = page.evaluate(_ASK, "What is the weather?")
    code = _inline(_FOLLOW + "const calls = []; const run = call => calls.push(call.name);" + _LOOP, answer)
    done = page.evaluate(code.replace("WHAT", "return [ending, error, calls, place.textContent]"))
    assert done == ["complete", None, ["get_weather"], "Let me look it up."]

    answer = page.evaluate(_ASK, "A bridge, please: no break.")
    page.evaluate(_inline(_EVENT_SOURCE, answer).replace("WHAT", "window.source = source;"))
    until(lambda: page.evaluate("window.source.readyState") == 2)
    text = page.locator("header p").text_content() or ""
    assert (BRIDGE * 3).startswith(text)
    assert len(text) > len(BRIDGE)
    assert sum(answer in request for request in requests) == 1


def test_tabs_share_one_stream(page: Page, context: BrowserContext, url: str) -> None:
    """Three tabs and one connection; the first one is closed, and another goes on where it was."""
    requests = list[str]()
    context.on("request", lambda request: requests.append(request.url))
    tabs = [page, context.new_page()]
    for tab in tabs:
        tab.goto(url)
    answer = page.evaluate(_ASK, "How?")
    shared = _inline(_SHARE, answer).replace(
        "WHAT", f'window.given = []; share("api/answers/{answer}", event => window.given.push(event));'
    )

    def positions(tab: Page) -> list[int]:
        return list(tab.evaluate("window.given.map(event => event.position)"))

    for tab in tabs:
        tab.evaluate(shared)
    until(lambda: len(positions(tabs[1])) > 20)
    late = context.new_page()
    late.goto(url)
    late.evaluate(shared)
    until(lambda: len(positions(late)) > 20)
    assert sum(request.endswith(answer) for request in requests) == 1
    page.close()
    for tab in (tabs[1], late):
        until(lambda: tab.evaluate("window.given.at(-1)?.type === 'end'"))  # noqa: B023 - it is asked at once

    # A tab that gets the lock before it has heard of the end asks once more, and hears that nothing is left.
    # On a busy machine, the first tab may have read the end before it is closed: then nobody asks again.
    assert 1 <= sum(request.endswith(answer) for request in requests) <= 3
    unshared = context.new_page()
    unshared.goto(url)
    whole = unshared.evaluate(_TEXT, answer)
    assert whole
    for tab in (tabs[1], late):
        assert tab.evaluate(_SHARED_TEXT) == whole
        assert positions(tab) == sorted(positions(tab))
