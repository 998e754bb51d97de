"""The browser's reader in Chromium: its parser, its WebSocket, and the frameworks with adapters."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute

from tests.browser.agents import Agents
from tests.browser.bundled import routes_of
from tests.browser.chat.support import until
from tests.browser.chats import make_app
from tests.browser.docs_code import block_with
from tests.docs.pages import blocks
from tests.project import ROOT
from tests.support.line import Line
from tests.support.node import bundle, node_with
from tests.support.served import by_uvicorn, lifespan_in
from tokenstream import AsyncStream, relay, testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.sync_api import Page
    from starlette.requests import Request
    from starlette.websockets import WebSocket

pytestmark = [pytest.mark.browser]

_CASES = ROOT.parent / "shared" / "cases" / "sse_cases.json"
_FOLDER = ROOT / "tests" / "browser"
_LETTERS = "abcdefghijklmnopqrstuvwxyz" * 3
_TEXT = "Let me look it up. \U0001f327 Done."


async def _page_of_the_guide(_: Request) -> Response:
    """Serve the page of docs/guides/relay.md."""
    guide = (ROOT / "docs" / "guides" / "relay.md").read_text("utf-8")
    (module,) = [block.code.replace("/answers/", "/shared/") for block in blocks(guide, "js")]
    ids = "".join(f"<button id={id}>{id}</button>" for id in ("askButton", "stopButton"))
    return HTMLResponse(f"<!doctype html><p id=place></p>{ids}<script type=module>{module}</script>")


async def _cases(_: Request) -> Response:
    return FileResponse(_FOLDER / "sse_cases.mjs", media_type="text/javascript")


async def _slow_chunks() -> AsyncIterator[bytes]:
    for chunk in testing.script().text(*_LETTERS).finish().chunks("openai-chat"):
        await anyio.sleep(0.05)
        yield chunk


async def _socket(ws: WebSocket) -> None:
    """Answer questions until the page leaves: with themselves, or slowly."""
    await ws.accept()
    connected = True
    while connected:
        question = (await ws.receive_json())["question"]
        answer = (
            AsyncStream(_slow_chunks()) if question == "slowly" else AsyncStream([question], format="pieces")
        )
        connected = await relay.websocket(ws, answer)


def _answer_slowly(_: object) -> AsyncStream:
    return AsyncStream(_slow_chunks())


def _share_with_other_origins(app: Any) -> CORSMiddleware:
    """Allow what docs/guides/browser.md names, besides the content type of the question, and nothing else."""
    return CORSMiddleware(
        app,
        allow_origins=["*"],
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Answer-Id"],
        expose_headers=["X-Answer-Id", "Location", "Retry-After"],
    )


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Bundle pages of React with the hooks of docs/guides/browser.md, as an application does."""
    folder, node = node_with("esbuild", "react-dom", "@ai-sdk/react")
    project = tmp_path_factory.mktemp("project")
    (project / "node_modules").mkdir()
    (project / "node_modules" / "llm-tokenstream").symlink_to(relay.assets.directory)
    shutil.copy(_FOLDER / "frameworks.jsx", project)
    for name in ("useAnswer", "useRelayChat"):
        (project / f"{name}.js").write_text(block_with(f"export function {name}"), "utf-8")
    return bundle(project / "frameworks.jsx", folder, node, "--jsx=automatic")


@pytest.fixture(scope="module")
def url(script: bytes) -> Iterator[str]:
    """Serve the package, the cases, a socket, a journal, and relays with chats and with an agent."""
    chats, agents, journal = make_app(), Agents().app, relay.MemoryJournal(drain=0)

    async def start(_: Request) -> Response:
        return JSONResponse(await journal.start(AsyncStream(_slow_chunks())))

    async def answer(request: Request) -> Any:
        return relay.follow(journal, request.path_params["id"], request.headers.get("last-event-id"))

    lifespans = [app.router.lifespan_context(app) for app in (chats, agents)]
    routes = [
        *routes_of(script),
        Route("/relay.html", _page_of_the_guide),
        Route("/sse_cases.mjs", _cases),
        Route("/answers", start, methods=["POST"]),
        Route("/answers/{id}", answer),
        WebSocketRoute("/socket", _socket),
        Mount("/shared", _share_with_other_origins(relay.endpoints(journal, _answer_slowly))),
        Mount("/tokenstream", relay.assets),
        Mount("/", routes=[*agents.routes, *chats.routes]),
    ]
    app = Starlette(routes=routes, lifespan=lifespan_in(journal, *lifespans))
    with by_uvicorn(app, lifespan="on") as served:
        yield served.rstrip("/")


@pytest.mark.skipif(not _CASES.exists(), reason="the cases are not there")
def test_every_case_of_server_sent_events_is_read_as_the_standard_says(page: Page, url: str) -> None:
    cases = json.loads(_CASES.read_text("utf-8"))["cases"]
    page.goto(f"{url}/sse_cases.mjs")
    wrong = page.evaluate(
        """async cases => {
          const { wrongCases } = await import("/sse_cases.mjs");
          const { Frames } = await import("/tokenstream/sse.js");
          return wrongCases(Frames, cases);
        }""",
        cases,
    )

    assert len(cases) >= 195
    assert wrong == []


def test_a_follower_folds_a_long_answer_in_little_memory(page: Page, url: str) -> None:
    """100,000 deltas in Chromium, with a listener that reads the text at each."""
    page.goto(f"{url}/sse_cases.mjs")
    text, milliseconds = page.evaluate(
        """async () => {
          const { follow } = await import("/tokenstream/tokenstream.js");
          const delta = 'data: {"type":"text_delta","text":"word "}\\n\\n';
          const end = 'data: {"type":"end","ending":"complete"}\\n\\n';
          const body = new Blob([delta.repeat(100_000), end]).stream();
          const fetch = async () => new Response(body, { headers: { "Content-Type": "text/event-stream" } });
          const begun = performance.now();
          const answer = follow("/none", { fetch });
          let seen = 0;
          answer.subscribe(() => (seen = answer.message.text.length));
          await answer.done;
          return [seen, performance.now() - begun];
        }"""
    )

    assert text == 500_000
    assert milliseconds < 20_000


def test_answers_come_over_one_socket_and_one_is_stopped(page: Page, url: str) -> None:
    """`followSocket` at `relay.websocket`: stopped before it is asked, stopped later, whole, and cut."""
    page.goto(f"{url}/sse_cases.mjs")
    told = page.evaluate(
        """async () => {
          const { followSocket } = await import("/tokenstream/websocket.js");
          const socket = new WebSocket("/socket");
          const early = followSocket(socket, { ask: { question: "slowly" } });
          await early.stop();
          const slow = followSocket(socket, { ask: { question: "slowly" } });
          while (!slow.message.text) await new Promise(resolve => setTimeout(resolve, 5));
          await slow.stop();
          const stopped = await slow.done;
          const next = await followSocket(socket, { ask: { question: "Grüße 🌧" } }).done;
          const cut = followSocket(socket, { ask: { question: "slowly" } });
          while (!cut.message.text) await new Promise(resolve => setTimeout(resolve, 5));
          socket.close();
          const lost = await cut.done;
          return [early.message, stopped, next, lost].map(({ text, ending }) => [text, ending]);
        }"""
    )

    assert [ending for _, ending in told] == ["stopped", "stopped", "complete", "truncated"]
    assert told[0][0] == ""
    assert 0 < len(told[1][0]) < len(_LETTERS)
    assert told[2][0] == "Gr\u00fc\u00dfe \U0001f327"


def test_the_page_of_the_guide_goes_on_after_a_reload_and_stops(page: Page, url: str) -> None:
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.goto(f"{url}/relay.html")
    place = page.locator("#place")
    page.locator("#askButton").click()
    until(lambda: len(place.inner_text()) > 2)
    before = place.inner_text()
    page.reload()
    until(lambda: len(place.inner_text()) > len(before))
    assert asked == [f"{url}/shared/"]
    page.locator("#stopButton").click()
    until(lambda: len(asked) == 2)
    page.reload()
    until(lambda: len(place.inner_text()) > len(before))

    assert asked[1].endswith("/stop")
    assert _LETTERS.startswith(place.inner_text())
    assert len(place.inner_text()) < len(_LETTERS)


def test_a_component_of_react_shows_an_answer_in_a_store(page: Page, url: str) -> None:
    id = httpx.post(f"{url}/answers").json()
    requests = list[str]()
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"{url}/?kind=store&value=/answers/{id}")
    text = page.locator(".text")
    until(lambda: 0 < len(text.inner_text()) < len(_LETTERS))
    page.locator("article[data-state=complete]").wait_for()

    assert text.inner_text() == _LETTERS
    assert sum(id in request for request in requests[1:]) == 1


def test_a_chat_of_the_ai_sdk_goes_on_after_a_reload(page: Page, url: str) -> None:
    """`useChat` with `resume`: the running answer from its beginning, its tool call, and a stop."""
    page.goto(f"{url}/?kind=chat&value=one")
    text = page.locator(".text")
    page.locator(".ask").click()
    until(lambda: len(text.inner_text()) > 5)
    page.reload()
    page.locator("code").wait_for()
    page.locator("article[data-state=ready]").wait_for()
    assert text.inner_text() == _TEXT
    assert page.locator("code").inner_text() == '{"city":"Oslo"}'

    page.goto(f"{url}/?kind=chat&value=two")
    page.locator(".ask").click()
    until(lambda: len(text.inner_text()) > 0)
    page.locator(".stop").click()
    page.locator("article[data-state=ready]").wait_for()
    assert 0 < len(text.inner_text()) < len(_TEXT)


_AGENT = """
import { follow } from "/tokenstream/tokenstream.js";
const answer = follow("/agent/tokenstream", { method: "POST", body: "{}" });
const draw = () => {
  const root = document.querySelector("main");
  root.replaceChildren();
  for (const { text, toolCalls } of answer.messages) {
    root.append(text);
    for (const { name, result } of toolCalls) {
      root.append(`[${name}: ${result ? JSON.stringify(result.output) : "…"}]`);
    }
  }
  for (const { id, request } of answer.waiting) {
    const allow = root.appendChild(document.createElement("button"));
    allow.textContent = `Allow ${request.command}`;
    allow.onclick = () => fetch(`/replies/${answer.id}`, { method: "POST", body: '{"allowed": true}' });
  }
};
answer.subscribe(() => requestAnimationFrame(draw));
"""


def test_a_page_shows_an_agents_question_and_what_its_tool_returns(page: Page, url: str) -> None:
    with Line(url) as line:
        page.goto(f"{line.url}/sse_cases.mjs")
        page.set_content("<main></main>")
        page.add_script_tag(content=_AGENT, type="module")
        button = page.get_by_role("button", name="Allow rm -r build")
        button.wait_for()
        assert page.locator("main").inner_text().startswith("Let me see. [remove: …]")
        line.cut()
        button.click()
        page.get_by_text('Let me see. Done.[remove: {"files":3}]').wait_for()

        assert button.count() == 0


def test_a_page_of_another_origin_continues_an_answer_and_stops_it(page: Page, url: str) -> None:
    start = """async url => {
      const { follow } = await import("/tokenstream/tokenstream.js");
      const headers = { Accept: "text/event-stream", "Content-Type": "application/json" };
      window.answer = follow(url, { method: "POST", body: "{}", headers, wait: 0.05 });
      while (!answer.message.text) await new Promise(resolve => setTimeout(resolve, 5));
    }"""
    with Line(url) as line:
        page.goto(f"{url}/sse_cases.mjs")
        page.evaluate(start, f"{line.url}/shared/")
        for connections in (2, 3):
            line.cut()
            page.wait_for_function(f"answer.connections === {connections} && answer.state === 'open'")
        text, id = page.evaluate("answer.done.then(({ text }) => [text, answer.id])")
        assert text == _LETTERS
        assert id

        page.evaluate(start, f"{line.url}/shared/")
        assert page.evaluate("answer.stop()") == {"state": "stopped"}
        assert page.evaluate("answer.done.then(({ ending }) => ending)") == "stopped"
