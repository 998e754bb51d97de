"""The chat of examples/ in headless Chromium: text is text, and errors are told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.browser.chat.support import ask, listen, shown, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser]


def test_text_grows_before_the_end(page: Page, url: str) -> None:
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
    asked, said = listen(page)
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
    asked, said = listen(page)
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


def test_what_could_not_be_asked_is_reported(page: Page, url: str) -> None:
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
    count = page.locator("article").count()
    page.get_by_text("an answer that breaks", exact=True).click()
    until(lambda: page.locator("article").count() > count)
    article = page.locator("article").last
    until(lambda: article.get_attribute("data-state") in ("complete", "truncated", "failed"))
    return article.get_attribute("data-state") != "complete"
