"""Two workers of the cookbook's chat with one Redis, in Chromium, with a scripted provider behind them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cookbook.held import HELD, HeldServer
from tests.cookbook.programs import serving, write_page, write_program
from tests.support.packages import needed
from tests.support.redis_servers import RedisServer
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

needed("fastapi")
needed("redis")
pytestmark = pytest.mark.slow
_ANSWER = testing.script().text("It goes ").silence(HELD).text("on and ").silence(0.2).text("on.").finish()
_WHOLE = "It goes on and on."


@pytest.fixture(scope="module")
def provider() -> Iterator[HeldServer]:
    with HeldServer(_ANSWER) as server:
        yield server


@pytest.fixture(scope="module")
def workers(provider: HeldServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    folder = tmp_path_factory.mktemp("fastapi_redis")
    write_program("fastapi-redis", folder)
    write_page("fastapi-redis", folder, "page.html", "html")
    command = ("-m", "uvicorn", "fastapi_redis:app", "--port", "{port}")
    with RedisServer(tmp_path_factory.mktemp("redis")) as redis, ExitStack() as running:
        variables = {"OPENAI_BASE_URL": f"{provider.url}/v1", "REDIS_URL": f"unix://{redis.path}"}
        yield [running.enter_context(serving(folder, *command, **variables)) for _ in range(2)]


def _ask(page: Page, url: str) -> str:
    """Ask, and return the answer's address in the page as soon as its first words have come."""
    page.goto(url)
    page.locator("input").fill("How does it go?")
    page.get_by_text("Ask").click()
    page.locator("p", has_text="It goes").wait_for()
    return page.url.partition("#")[2]


def test_an_answer_goes_on_over_a_reload_and_at_another_worker(
    page: Page, workers: list[str], provider: HeldServer
) -> None:
    """Each page has the whole text, once, and the model was asked once."""
    asked = len(provider.requests)
    id = _ask(page, workers[0])
    page.reload()
    page.locator("p", has_text="It goes").wait_for()
    # Cookies don't depend on the port.
    page.goto(f"{workers[1]}/#{id}")
    page.locator("p", has_text="It goes").wait_for()
    provider.go_on()
    page.locator("p[data-ending=complete]").wait_for()
    assert _WHOLE == page.locator("p").inner_text()

    page.goto(f"{workers[0]}/#{id}")
    page.locator("p[data-ending=complete]").wait_for()
    assert _WHOLE == page.locator("p").inner_text()
    assert 1 == len(provider.requests) - asked


def test_an_answer_does_not_exist_for_another_user(
    page: Page, chromium: Browser, workers: list[str], provider: HeldServer
) -> None:
    id = _ask(page, workers[0])
    with chromium.new_context() as other:
        for url in workers:
            stranger = other.new_page()
            stranger.goto(f"{url}/#{id}")
            stranger.locator("p[data-ending=failed]").wait_for()
            assert "It goes" not in stranger.locator("p").inner_text()
            assert 404 == stranger.request.get(f"{url}/answers/{id}").status
            assert 404 == stranger.request.post(f"{url}/answers/{id}/stop").status
    with httpx.Client(trust_env=False) as nobody:
        assert 403 == nobody.get(f"{workers[0]}/answers/{id}").status_code
        assert 403 == nobody.post(f"{workers[0]}/answers/", json="How?").status_code

    provider.go_on()
    page.locator("p[data-ending=complete]").wait_for()
    assert _WHOLE == page.locator("p").inner_text()


def test_a_question_that_is_no_text_is_refused(page: Page, workers: list[str], provider: HeldServer) -> None:
    page.goto(workers[0])
    asked = len(provider.requests)

    assert 400 == page.request.post(f"{workers[0]}/answers/", data={"role": "system"}).status
    assert asked == len(provider.requests)
