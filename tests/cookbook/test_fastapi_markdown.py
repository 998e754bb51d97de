"""The cookbook's page of Markdown, from a scripted provider through uvicorn to a client and to Chromium."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from tests.cookbook.programs import serving, write_page, write_program
from tests.support.packages import needed
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

needed("fastapi")
needed("markdown_it")

_RAW = "<img src=x onerror=\"document.title='attacked'\"><b>bold</b>"
_ANSWER = (
    testing.script().text("# Sky\n\nIt is **bl").silence(0.3).text("ue**.\n\n", _RAW, "\n\n![](/pixel.png)\n")
)
_WHOLE = _ANSWER.finish("stop").recording("openai-chat")
_ANSWERS = {
    "Answer": _WHOLE,
    "Break": _WHOLE.with_fault(testing.faults.close(event=6)),
    "Refuse": _WHOLE.with_fault(testing.faults.status(500)),
}


class _Served(NamedTuple):
    """The program's address, and the provider behind it."""

    url: str
    provider: testing.Server


def _answer(request: testing.Request) -> testing.Recording:
    return _ANSWERS[request.json["messages"][-1]["content"]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Served]:
    folder = tmp_path_factory.mktemp("fastapi_markdown")
    write_program("fastapi-markdown", folder)
    write_page("fastapi-markdown", folder, "page.html", "html")
    command = ("-m", "uvicorn", "fastapi_markdown:app", "--port", "{port}")
    with (
        testing.serve(_answer, pace="recorded") as provider,
        serving(folder, *command, OPENAI_BASE_URL=f"{provider.url}/v1") as url,
    ):
        yield _Served(url, provider)


def _ask(served: _Served, question: str) -> httpx.Response:
    address = f"{served.url}/answer"
    return httpx.get(address, params={"question": question}, timeout=20, trust_env=False)


def _events(response: httpx.Response) -> list[tuple[str, str]]:
    parts = [part.rpartition("data: ") for part in response.text.split("\n\n") if part]
    return [(head.removeprefix("event: ").strip(), data) for head, _, data in parts]


def test_each_event_has_the_blocks_that_changed_and_the_last_one_has_the_ending(served: _Served) -> None:
    response = _ask(served, "Answer")
    [*sent, ending] = _events(response)
    shown: dict[str, str] = {}
    for _, data in sent:
        shown |= json.loads(data)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert "no-transform" in response.headers["cache-control"]
    assert shown["0"] == "<h1>Sky</h1>\n"
    assert list(shown) == ["0", "1", "2", "3"]
    assert shown["1"] == "<p>It is <strong>blue</strong>.</p>\n"
    assert ending == ("ending", "complete")


def test_html_of_the_model_is_shown_as_text_and_no_image_is_loaded(served: _Served) -> None:
    """What the model repeats from elsewhere can neither run nor load anything."""
    text = _ask(served, "Answer").text

    assert "&lt;img src=x" in text
    for tag in ("<img", "<b>"):
        assert tag not in text


def test_a_broken_answer_keeps_its_text_and_says_its_error(served: _Served) -> None:
    """The open block is closed before the ending comes."""
    [*sent, ending] = _events(_ask(served, "Break"))

    assert json.loads(sent[-1][1]) == {"1": "<p>It is **bl</p>\n"}
    assert ending == ("ending", "network")


@pytest.mark.slow
def test_the_page_replaces_blocks_and_asks_once(page: Page, served: _Served) -> None:
    asked = len(served.provider.requests)
    page.goto(served.url)
    page.locator("input").fill("Answer")
    page.get_by_role("button").click()
    page.get_by_text("complete", exact=True).wait_for()

    assert page.locator("main > section").count() == 4
    assert page.locator("h1").inner_text() == "Sky"
    assert page.locator("strong").inner_text() == "blue"
    assert page.locator("main img").count() == 0
    assert page.title() == "Markdown, block by block"
    page.wait_for_timeout(4_000)
    assert 1 == len(served.provider.requests) - asked

    page.locator("input").fill("Refuse")
    page.get_by_role("button").click()
    page.get_by_text("can't be read").wait_for()
    assert page.locator("main > section").count() == 0
