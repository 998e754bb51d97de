"""A page of another origin than the relay's asks, with the CORS settings of docs/guides/relay.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.docs.pages import blocks
from tests.project import ROOT
from tests.support.cut_fetch import CUT_FETCH
from tests.support.packages import needed
from tests.support.served import by_uvicorn, by_wsgi, lifespan_in
from tokenstream import AsyncStream, relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from wsgiref.types import StartResponse

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser]

_EXPOSED = 'expose_headers=["Idempotency-Key", "X-Answer-Id", "Location", "Retry-After"]'
_ASK = (
    f"async url => {{{CUT_FETCH}"
    """
  const { RelayChatTransport } = await import(`${url}tokenstream/use-chat.js`);
  const cut = cutFetch(fetch, "goes");
  const transport = new RelayChatTransport({ api: `${url}answers/`, fetch: cut, wait: 0.05, attempts: 3 });
  const chunks = await transport.sendMessages({ chatId: "1", trigger: "submit-message", messages: [] });
  const told = ["", "complete"];
  try {
    for await (const chunk of chunks) told[0] += chunk.delta ?? "";
  } catch (error) {
    told[1] = error.error;
  }
  return told;
}"""
)


async def _pieces() -> AsyncIterator[str]:
    for piece in ("It ", "goes ", "on and ", "on."):
        yield piece
        await anyio.sleep(0.2)


def _page(_: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"A page of another origin."]


def _backend(origin: str, exposed: str) -> Any:
    """Return the application of docs/guides/relay.md for pages of an origin, with a journal."""
    [code] = [
        block.code
        for block in blocks((ROOT / "docs" / "guides" / "relay.md").read_text("utf-8"), "python")
        if _EXPOSED in block.code
    ]
    names = {"FastAPI": needed("fastapi").FastAPI}
    exec(code.replace("https://page.example", origin).replace(_EXPOSED, exposed), names)
    backend: Any = names["backend"]
    journal = relay.MemoryJournal(drain=0)
    backend.router.lifespan_context = lifespan_in(journal)
    answers = relay.endpoints(
        journal, lambda _: AsyncStream(_pieces(), format="pieces"), protocol="ui-message"
    )
    backend.mount("/answers", answers)
    backend.mount("/tokenstream", relay.assets)
    return backend


@pytest.fixture
def origin() -> Iterator[str]:
    with by_wsgi(_page) as url:
        yield url.rstrip("/")


@pytest.mark.parametrize(
    "exposed, told",
    [
        (_EXPOSED, ["It goes on and on.", "complete"]),
        (_EXPOSED.replace('"X-Answer-Id", ', ""), ["It goes ", "StreamInterrupted"]),
    ],
)
def test_a_page_of_another_origin_continues_an_answer(
    page: Page, origin: str, exposed: str, told: list[str]
) -> None:
    page.goto(origin)
    with by_uvicorn(_backend(origin, exposed), lifespan="on") as url:
        assert told == page.evaluate(_ASK, url)
