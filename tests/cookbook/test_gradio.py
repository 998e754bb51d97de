"""The chat of the cookbook on Gradio's own server: an answer grows, breaks off, is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.cookbook.programs import serving, write_program
from tests.support.packages import needed
from tests.support.timing import wait_for
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
"""Gradio alone takes seconds to import."""

_GROWING = testing.script().text("The sky ", "is").silence(0.5).text(" blue.").finish("stop")
_endless = testing.script()
for _ in range(200):
    _endless = _endless.text("word ").silence(0.1)
_ANSWERS = {
    "Why is the sky blue?": _GROWING.recording("openai-chat"),
    "And at night?": testing.script().text("It is dark.").finish("stop").recording("openai-chat"),
    "Go on and on": _endless.finish("stop").recording("openai-chat"),
}


class _Served(NamedTuple):
    provider: testing.Server
    url: str
    client: Any


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Served]:
    needed("gradio")
    folder = tmp_path_factory.mktemp("gradio")
    program = write_program("gradio", folder).rename(folder / "gradio_chat.py")
    breaks = iter([_GROWING.recording("openai-chat").with_fault(testing.faults.close(event=3))])

    def answer(request: testing.Request) -> testing.Recording:
        question = request.json["messages"][-1]["content"]
        return next(breaks, _ANSWERS["Why is the sky blue?"]) if question == "Break!" else _ANSWERS[question]

    with (
        testing.serve(answer, pace="recorded") as provider,
        serving(
            folder,
            str(program),
            GRADIO_ANALYTICS_ENABLED="False",
            GRADIO_SERVER_PORT="{port}",
            OPENAI_BASE_URL=f"{provider.url}/v1",
        ) as url,
    ):
        client = needed("gradio_client").Client(url, verbose=False, analytics_enabled=False)
        yield _Served(provider, url, client)
        client.close()


def test_the_answer_grows(served: _Served) -> None:
    assert "It is dark." == served.client.predict("And at night?", api_name="/answer")
    job = served.client.submit("Why is the sky blue?", api_name="/answer")
    assert "The sky is blue." == job.result(timeout=20)

    assert ["The sky ", "The sky is", "The sky is blue."] == list(dict.fromkeys(job.outputs()))
    assert [
        {"role": "user", "content": "And at night?"},
        {"role": "assistant", "content": "It is dark."},
        {"role": "user", "content": "Why is the sky blue?"},
    ] == served.provider.requests[-1].json["messages"]


def test_a_broken_answer_stays_until_it_is_tried_again(served: _Served, page: Page) -> None:
    page.goto(served.url)
    page.locator("textarea").first.fill("Break!")
    page.locator("textarea").first.press("Enter")
    page.get_by_text("The answer broke off (network).").wait_for()
    page.get_by_role("button", name="Retry").wait_for()

    assert ["The sky is"] == page.locator(".bot.message").all_inner_texts()
    broken = served.provider.requests[-1]
    page.get_by_role("button", name="Retry").dispatch_event("click")
    page.locator(".bot.message").get_by_text("The sky is blue.").wait_for()

    assert broken is not served.provider.requests[-1]
    assert broken.json == served.provider.requests[-1].json


def test_the_provider_is_left_when_the_user_stops(served: _Served) -> None:
    """Nobody pays for an answer that nobody reads."""
    job = served.client.submit("Go on and on", api_name="/answer")
    wait_for(job.outputs, seconds=10)
    job.cancel()
    exchange = served.provider.exchanges[-1]
    exchange.over.wait(10)

    assert "abandoned" == exchange.outcome
