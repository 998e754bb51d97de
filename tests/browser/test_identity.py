"""One answer in two tabs of a real browser, reloaded at every event, by a server that may forget it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from tests.browser.chat.support import until
from tests.support.line import Line
from tests.support.served import by_uvicorn, lifespan_in
from tokenstream import AsyncStream, relay, testing
from tokenstream.relay import MemoryJournal, Timing, follow

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page
    from starlette.requests import Request

pytestmark = [pytest.mark.browser]

WORDS = [f"word{number} " for number in range(8)]
PAGE = """
<!doctype html><pre id="text"></pre><p id="state">waiting</p>
<script type="module">
import { follow } from "/tokenstream/tokenstream.js";
const text = document.querySelector("#text"), state = document.querySelector("#state");
const answer = follow(location.hash.slice(1), { wait: 0.05, attempts: 3 });
answer.subscribe(() => { text.textContent = answer.message.text; });
await answer.done.catch(() => {});
text.textContent = answer.message.text;
state.textContent = answer.message.ending ?? answer.ending;
</script>
"""


class Gate:
    """A server whose model writes a word whenever the test lets it, and whose journal can be lost."""

    def __init__(self) -> None:
        self.asked = 0
        """Number of times that the model was asked."""
        self._allowed = threading.Semaphore(0)
        self._journal, self._other = MemoryJournal(drain=0), MemoryJournal(drain=0)
        self.app = Starlette(
            routes=[
                Route("/", self.page),
                Mount("/tokenstream", relay.assets),
                Route("/answers", self.ask, methods=["POST"]),
                Route("/answers/{id}", self.answer),
                Route("/forget", self.forget, methods=["POST"]),
            ],
            lifespan=lifespan_in(self._journal, self._other),
        )

    def let(self) -> None:
        """Let the model write the next word."""
        self._allowed.release()

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in testing.script().text(*WORDS).finish().chunks("openai-chat"):
            if b"word" in chunk:
                await anyio.to_thread.run_sync(self._allowed.acquire, abandon_on_cancel=True)
            yield chunk

    async def page(self, _: Request) -> Response:
        return HTMLResponse(PAGE)

    async def ask(self, _: Request) -> Response:
        self.asked += 1
        return JSONResponse(await self._journal.start(AsyncStream(self.chunks())))

    async def answer(self, request: Request) -> Response:
        last_event_id = request.headers.get("last-event-id")
        answer = request.path_params["id"]
        return follow(self._journal, answer, last_event_id, timing=Timing(keep_alive=0.1))

    async def forget(self, _: Request) -> Response:
        self._journal = self._other
        return Response(status_code=204)


@contextmanager
def served() -> Generator[tuple[Gate, str]]:
    gate = Gate()
    with by_uvicorn(gate.app, lifespan="on") as url:
        try:
            yield gate, url.rstrip("/")
        finally:
            # A thread that waited for a word would keep the tests from ending.
            for _ in WORDS:
                gate.let()


def text(page: Page) -> str:
    return page.locator("#text").inner_text().rstrip()


def shows(page: Page, expected: str) -> bool:
    return expected == text(page)


def has_ended(page: Page, ending: str) -> bool:
    return ending == page.locator("#state").inner_text()


def test_two_tabs_that_are_reloaded_at_every_event_show_one_answer(
    page: Page, context: BrowserContext
) -> None:
    other = context.new_page()
    with served() as (gate, url):
        id = httpx.post(f"{url}/answers").json()
        for tab in (page, other):
            tab.goto(f"{url}/#/answers/{id}")
        for count in range(1, len(WORDS) + 1):
            gate.let()
            so_far = "".join(WORDS[:count]).rstrip()
            for tab in (page, other):
                until(partial(shows, tab, so_far))
            (page, other)[count % 2].reload()

        for tab in (page, other):
            until(partial(has_ended, tab, "complete"))
            assert "".join(WORDS).rstrip() == text(tab)
        assert 1 == gate.asked


@pytest.mark.parametrize("then", ["a reload", "a cut"])
def test_a_server_that_forgets_an_answer_never_gives_another_one(page: Page, then: str) -> None:
    """What a page shows stays, and the page is told; the model is not asked again."""
    with served() as (gate, url), Line(url) as line:
        id = httpx.post(f"{url}/answers").json()
        page.goto(f"{line.url}/#/answers/{id}")
        for _ in range(3):
            gate.let()
        so_far = "".join(WORDS[:3]).rstrip()
        until(partial(shows, page, so_far))
        httpx.post(f"{url}/forget")
        if then == "a reload":
            page.reload()
        else:
            line.cut()

        until(partial(has_ended, page, "failed"))
        assert ("" if then == "a reload" else so_far) == text(page)
        assert 1 == gate.asked
