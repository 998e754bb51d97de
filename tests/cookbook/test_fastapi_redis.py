"""Two workers of the cookbook's chat with one Redis, in Chromium, with a scripted provider behind them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.cookbook.chat_laws import WHOLE, Chat, answer, assert_hidden, ended
from tests.cookbook.held import HeldServer
from tests.cookbook.programs import serving, write_page, write_program
from tests.support.packages import needed
from tests.support.redis_servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

needed("fastapi")
needed("redis")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Chat]]:
    folder = tmp_path_factory.mktemp("fastapi_redis")
    write_program("fastapi-redis", folder)
    write_page("fastapi-redis", folder, "page.html", "html")
    command = ("-m", "uvicorn", "fastapi_redis:app", "--port", "{port}")
    with (
        RedisServer(tmp_path_factory.mktemp("redis")) as redis,
        HeldServer(answer) as provider,
        ExitStack() as running,
    ):
        variables = {"OPENAI_BASE_URL": f"{provider.url}/v1", "REDIS_URL": f"unix://{redis.path}"}
        urls = [running.enter_context(serving(folder, *command, **variables)) for _ in range(2)]
        yield [Chat(url, provider) for url in urls]


def test_an_answer_goes_on_over_a_reload_and_at_another_worker(page: Page, workers: list[Chat]) -> None:
    """Each page has the whole text, once, and the model was asked once."""
    first, second = workers
    asked = len(first.provider.requests)
    id = first.ask(page)
    page.reload()
    page.locator("p", has_text="It goes").wait_for()
    # Cookies don't depend on the port.
    page.goto(f"{second.url}/#{id}")
    page.locator("p", has_text="It goes").wait_for()
    first.provider.go_on()
    assert WHOLE == ended(page, "complete").inner_text()

    page.goto(f"{first.url}/#{id}")
    assert WHOLE == ended(page, "complete").inner_text()
    assert 1 == len(first.provider.requests) - asked


def test_an_answer_does_not_exist_for_another_user(
    page: Page, chromium: Browser, workers: list[Chat]
) -> None:
    id = workers[0].ask(page)
    with chromium.new_context() as other:
        for worker in workers:
            assert_hidden(id, worker, other.new_page())
    workers[0].provider.go_on()
    assert WHOLE == ended(page, "complete").inner_text()


def test_a_question_that_is_no_text_is_refused(page: Page, workers: list[Chat]) -> None:
    url, provider = workers[0]
    page.goto(url)
    asked = len(provider.requests)

    assert 400 == page.request.post(f"{url}/answers/", data={"role": "system"}).status
    assert asked == len(provider.requests)
