"""The conversation of the cookbook, in Chromium, with a scripted provider behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cookbook.programs import serving, write_program
from tests.support.packages import needed
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

needed("fastapi")
needed("websockets")
ANSWERS = [
    testing.script().text("Let me see. ").tool_call("get_temperature", {"city": "Oslo"}).finish(),
    testing.script().text("It is cold.").finish(),
    testing.script().text("Once ").silence(60).text("upon a time").finish(),
    testing.script().text("Yes?").finish(),
    testing.script().text("Well ").silence(60).text("then").finish(),
]


@pytest.fixture
def provider() -> Iterator[testing.Server]:
    with testing.serve(ANSWERS, sessions=True, pace="recorded") as server:
        yield server


@pytest.fixture
def url(provider: testing.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("conversation")
    write_program("conversation", folder)
    command = ("-m", "uvicorn", "conversation:app", "--port", "{port}")
    with serving(folder, *command, OPENAI_BASE_URL=f"{provider.url}/v1") as address:
        yield address


@pytest.mark.slow
def test_a_page_asks_and_interrupts(page: Page, url: str, provider: testing.Server) -> None:
    page.goto(url)

    def ask(text: str) -> None:
        page.locator("input").fill(text)
        page.get_by_text("Ask").click()

    def see(number: int, text: str, ending: str | None = None) -> None:
        shown = f"p:nth-of-type({number})" + (f"[data-ending={ending}]" if ending else "")
        page.locator(shown, has_text=text).wait_for()

    ask("How cold is it?")
    see(1, "Let me see. It is cold.", "complete")
    ask("Tell me a story.")
    see(2, "Once")
    ask("Wait!")
    see(2, "Once", "stopped")
    see(3, "Yes?", "complete")
    ask("Go on.")
    see(4, "Well")
    page.get_by_text("Stop").click()
    see(4, "Well", "stopped")
    page.close()

    [exchange] = provider.exchanges
    assert exchange.over.wait(10)
    sent = [message for message in exchange.received_json if message["type"] == "response.create"]
    assert "7 °C in Oslo" in json.dumps(sent[1], ensure_ascii=False)
    assert [len(message["input"]) for message in sent[:3]] == [1, 1, 1]


@pytest.mark.slow
def test_a_page_of_another_site_opens_nothing(url: str, provider: testing.Server) -> None:
    client = needed("websockets.sync.client")
    refused = needed("websockets.exceptions").InvalidStatus
    address = f"{url.rstrip('/')}/chat".replace("http", "ws", 1)
    with pytest.raises(refused) as caught:
        client.connect(address, origin="https://evil.example")

    assert 403 == caught.value.response.status_code
    assert [] == list(provider.requests)
