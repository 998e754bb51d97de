"""The chat of examples/ from end to end, in headless Chromium."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from examples.chat.replayed import BRIDGE
from tests.docs_pages import blocks
from tests.project import ROOT
from tests.support.line import Line
from tests.support.proxies import nginx

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def ask(page: Page, url: str, question: str = "a long answer") -> Locator:
    """Begin a chat and ask; returns the place of the answer."""
    page.goto(url)
    page.locator("body[data-ready]").wait_for()
    page.get_by_text(question, exact=True).click()
    page.locator("article").wait_for()
    return page.locator("article")


def come(page: Page, length: int) -> str:
    """Wait until so many characters are shown; returns them all."""
    text = ""

    def is_there() -> bool:
        nonlocal text
        text = page.locator(".text").inner_text()
        return len(text) >= length

    until(is_there)
    return text


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    due = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.02)


def shown(page: Page, ending: str = "complete") -> str:
    """Wait for the end; returns all that the answer has become in the page."""
    page.locator(f"article[data-state={ending}]").wait_for()
    return page.locator(".text").inner_html()


@pytest.fixture(scope="module")
def whole(chromium: Browser, url: str) -> str:
    """The long answer as it looks where nothing happens to it."""
    with chromium.new_context() as context:
        page = context.new_page()
        ask(page, url)
        return shown(page)


def test_text_grows_before_the_end(page: Page, url: str) -> None:
    """It is shown as it comes, and nothing that was shown goes away."""
    article = ask(page, url)
    lengths = list[int]()
    while article.get_attribute("data-state") != "complete":
        lengths.append(len(page.locator(".text").inner_text()))
        time.sleep(0.1)

    assert len(set(lengths)) > 10
    assert lengths[len(lengths) // 2] < lengths[-1]
    assert page.locator(".reasoning p").text_content() == "They ask about flow. An image helps, and a table."


def test_what_a_model_writes_is_text(page: Page, url: str) -> None:
    """No HTML, no script and no picture of a model's: nothing is run, and nothing is asked for elsewhere."""
    asked, said = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(error.message))
    ask(page, url)
    shown(page)
    text = page.locator(".text")

    assert '<b onclick="alert(1)">HTML</b>' in text.inner_text()
    assert text.locator("b, img, script, [onclick]").count() == 0
    assert text.locator("strong").text_content() == "not"
    assert text.locator("td").count() == 9
    assert text.locator("pre").count() == 1
    assert [link.get_attribute("href") for link in text.locator("a").all()] == [
        "https://en.wikipedia.org/wiki/K%C3%A1rm%C3%A1n_vortex_street",
        "https://example.com/spy.png",
    ]
    assert all(address.startswith(url) for address in asked)
    assert said == []


_HOSTILE = """\
<img src=x onerror=alert(1)> &lt;b&gt; <script>alert(1)</script>

[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,x) [d](//evil.test/x)
[e](&#106;avascript:x)
![p](https://evil.test/p.png) ![p][r] [**f**](https://ok.test/"onclick="x) [g](mailto:a@b.c) <https://evil.test/q>

[r]: https://evil.test/r.png

| a | <img src=https://evil.test/t.png> |
|---|---|
| [x](vbscript:x) | `<b>` |

```"><img/src=https://evil.test/f.png>
</code></pre><iframe src=https://evil.test></iframe>
```
"""


def test_no_text_is_a_danger_to_the_page(page: Page, url: str) -> None:
    """What injects HTML, leads elsewhere or is nested without end is shown, and asks for nothing."""
    asked, said = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(error.message))
    page.goto(url)
    quotes = "\n".join(">" * depth + "a" for depth in range(400))
    show = """async text => {
      const { show } = await import("./markdown.js");
      const place = document.createElement("div");
      document.body.append(place);
      show(place, text);
      let depth = 0;
      for (let inner = place; (inner = inner.querySelector("blockquote")); ) depth += 1;
      const hrefs = [...place.querySelectorAll("a")].map(link => link.getAttribute("href"));
      const names = [...new Set([...place.querySelectorAll("*")].map(made => made.localName))].sort();
      return [hrefs, names, depth, place.querySelectorAll("[onclick], [onerror], [src]").length];
    }"""
    hrefs, names, _, active = page.evaluate(show, _HOSTILE)

    assert hrefs == ["https://evil.test/p.png", 'https://ok.test/"onclick="x', "mailto:a@b.c"]
    assert names == ["a", "code", "p", "pre", "table", "td", "th", "tr"]
    assert active == 0
    assert page.evaluate(show, quotes)[2] <= 10
    assert all(address.startswith((url, "data:")) for address in asked)
    assert said == []


def test_what_could_not_be_asked_is_told(page: Page, url: str) -> None:
    """Question, partial and button are still there; a chat that is gone gives way to a new one."""
    page.goto(f"{url}/?chat=gone")
    notice = page.locator("#notice")
    until(lambda: "no such chat" in notice.inner_text())
    assert "gone" not in page.url
    page.route("**/turns", lambda route: route.abort())
    page.locator("input").fill("What is the weather?")
    page.get_by_text("Ask", exact=True).click()
    until(lambda: "could not be asked" in notice.inner_text())
    assert page.locator("input").input_value() == "What is the weather?"
    page.unroute("**/turns")
    # One in two bridges breaks.
    until(lambda: _breaks(page))
    partial = page.locator("article").last.locator(".text").inner_text()
    article = page.locator("article").last
    page.route("**/again", lambda route: route.abort())
    for _ in range(2):
        article.locator(".retry").click()
        until(lambda: "can't be asked again" in article.locator(".status").inner_text())
        assert article.locator(".given-up").inner_text() == partial
    page.unroute("**/again")
    article.locator(".retry").click()
    until(lambda: article.get_attribute("data-state") == "complete")
    assert article.locator(".given-up").is_hidden()
    assert notice.inner_text() == ""


def _breaks(page: Page) -> bool:
    """Ask for a bridge; returns whether it broke."""
    count = page.locator("article").count()
    page.get_by_text("an answer that breaks", exact=True).click()
    until(lambda: page.locator("article").count() > count)
    article = page.locator("article").last
    until(lambda: article.get_attribute("data-state") in ("complete", "truncated", "failed"))
    return article.get_attribute("data-state") != "complete"


def test_stop_ends_the_answer_for_all_who_follow(page: Page, context: BrowserContext, url: str) -> None:
    """It ends at once, says so, and is the same for the second tab and after a reload."""
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
    """Nor do three of them, each further in the answer's middle, nor who goes away and comes back."""
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
    """It is opened in the middle, and a stranger is shown nothing."""
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
    """Connections that are reset again and again cost no character."""
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
    """The partial stays to be seen, and gives way to the new answer."""
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


def test_a_tool_call_appears_and_is_not_done_again(page: Page, url: str) -> None:
    """Its arguments grow; what the page does for it is done once, and not for a page that was reloaded."""
    page.add_init_script("""new MutationObserver(() => {
      const told = document.querySelector(".call .arguments")?.textContent;
      if (told) (window.given ??= new Set()).add(told);
    }).observe(document, { subtree: true, childList: true, characterData: true })""")
    article = ask(page, url, "a tool call")
    page.locator("article[data-state=complete]").wait_for()
    call = article.locator(".call")

    assert page.evaluate("window.given.size") > 2
    assert call.locator(".name").text_content() == "get_weather"
    assert '"city": "Oslo"' in str(call.locator(".arguments").text_content())
    article.locator(".call.now").wait_for()
    page.reload()
    page.locator("article[data-state=complete]").wait_for()
    assert page.locator(".call").count() == 1
    assert page.locator(".call.now").count() == 0


def test_a_form_fills_in_over_a_reload(page: Page, url: str) -> None:
    """What comes are patches, and behind the reload those that were missing."""
    ask(page, url, "a form")
    name = page.locator(".recipe h2")
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


_BLOCKS = [block.code for block in blocks((ROOT / "docs" / "browser.md").read_text("utf-8"), "js")]
_FOLLOW, _LOOP, _EVENT_SOURCE, _SHARE = _BLOCKS
_ASK = """async question => {
  const post = async (path, body = {}) => (await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body)
  })).json();
  const { id } = await post("api/chats");
  return (await post(`api/chats/${id}/turns`, { question })).answer;
}"""


def _inline(code: str, answer: str) -> str:
    """Have a block of the docs run in a page, about an answer that there is."""
    code = code.replace('import { follow } from "./tokenstream.js";', "")
    given = 'const { follow } = await import("./tokenstream.js");'
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
        "WHAT",
        f'window.given = []; share("api/answers/{answer}", event => window.given.push(event));',
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

    assert sum(request.endswith(answer) for request in requests) == 2
    assert positions(late) == positions(tabs[1]) == list(range(1, len(positions(late)) + 1))
