"""Laws of chats of the cookbook whose answers survive a reload; a recipe's tests run them by a subclass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from tests.cookbook.held import HELD, HeldServer
from tests.cookbook.programs import serving, write_page, write_program
from tests.support.cut_fetch import CUT_FETCH
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

_ANSWERS = {
    "How does it go?": (
        testing.script().text("It goes ").silence(HELD).text("on and ").silence(0.2).text("on.").finish()
    ),
    "Go on": testing.script().text("It goes ").silence(60).text("too long.").finish(),
}
WHOLE = "It goes on and on."


class Chat(NamedTuple):
    """A chat of the cookbook, and the provider behind it."""

    url: str
    provider: HeldServer

    def ask(self, page: Page, question: str = "How does it go?") -> str:
        """Ask in a new page, and return the answer's id once it has begun; the page's address has it.

        The answer pauses until `provider.go_on()`.
        """
        page.goto(self.url)
        page.locator("input").fill(question)
        page.get_by_text("Ask").click()
        page.locator("p", has_text="It goes").wait_for()
        return page.url.partition("#")[2]


def answer(request: testing.Request) -> testing.Recording:
    return _ANSWERS[request.json["messages"][-1]["content"]].recording("openai-chat")


def chat_in(recipe: str, application: str) -> Any:
    """Return the fixture of a module: the recipe's program in uvicorn, with the page of FastAPI and Redis."""

    @pytest.fixture(scope="module")
    def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
        folder = tmp_path_factory.mktemp(recipe)
        program = write_program(recipe, folder)
        write_page("fastapi-redis", folder, "page.html", "html")
        command = ("-m", "uvicorn", f"{program.stem}:{application}", "--port", "{port}")
        with (
            HeldServer(answer) as provider,
            serving(folder, *command, OPENAI_BASE_URL=f"{provider.url}/v1") as url,
        ):
            yield Chat(url, provider)

    return chat


def ended(page: Page, ending: str) -> Locator:
    answer = page.locator(f"p[data-ending={ending}]")
    answer.wait_for()
    return answer


def assert_hidden(id: str, chat: Chat, stranger: Page) -> None:
    """Check that an answer does not exist for another user, and for a client without a page."""
    stranger.goto(f"{chat.url}/#{id}")
    assert "It goes" not in ended(stranger, "failed").inner_text()
    assert 404 == stranger.request.get(f"{chat.url}/answers/{id}").status
    assert 404 == stranger.request.post(f"{chat.url}/answers/{id}/stop").status
    with httpx.Client(base_url=chat.url, trust_env=False) as nobody:
        assert 403 == nobody.get(f"/answers/{id}").status_code
        assert 403 == nobody.post("/answers/", json="How does it go?").status_code


class ChatLaws:
    """The laws. A subclass's module has a fixture `chat`."""

    def test_an_answer_goes_on_over_a_reload(self, page: Page, chat: Chat) -> None:
        """The page has the whole text once, also if it comes late; the model was asked once."""
        asked = len(chat.provider.requests)
        chat.ask(page)
        page.reload()
        page.locator("p", has_text="It goes").wait_for()
        chat.provider.go_on()
        assert WHOLE == ended(page, "complete").inner_text()

        page.reload()
        assert WHOLE == ended(page, "complete").inner_text()
        assert 1 == len(chat.provider.requests) - asked

    def test_an_answer_goes_on_when_its_page_has_lost_the_connection(self, page: Page, chat: Chat) -> None:
        """The page follows it at the address that the response to its question has."""
        page.add_init_script(f'{CUT_FETCH} window.fetch = cutFetch(window.fetch, "goes");')
        asked = len(chat.provider.requests)
        id = chat.ask(page)
        page.wait_for_function("fetch.requests.length == 2")
        chat.provider.go_on()
        assert WHOLE == ended(page, "complete").inner_text()

        address = f"{chat.url}/answers/"
        assert [f"POST {address}", f"GET {address}{id}"] == page.evaluate("fetch.requests")
        assert 1 == len(chat.provider.requests) - asked

    def test_an_answer_does_not_exist_for_another_user(
        self, page: Page, chromium: Browser, chat: Chat
    ) -> None:
        id = chat.ask(page)
        with chromium.new_context() as other:
            assert_hidden(id, chat, other.new_page())

        chat.provider.go_on()
        assert WHOLE == ended(page, "complete").inner_text()

    def test_a_stop_reaches_the_provider(self, page: Page, chat: Chat) -> None:
        id = chat.ask(page, "Go on")
        stopped = page.request.post(f"{chat.url}/answers/{id}/stop")
        exchange = chat.provider.exchanges[-1]

        assert {"state": "stopped"} == stopped.json()
        assert "It goes " == ended(page, "stopped").text_content()
        assert exchange.over.wait(10)
        assert "abandoned" == exchange.outcome
