"""The page of examples/chat without its Content-Security-Policy: nothing that a model writes is run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from tests.browser.chat.payloads import PAYLOADS
from tests.browser.chat.support import listen
from tests.project import ROOT
from tests.support.served import by_uvicorn
from tokenstream import relay, testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page
    from starlette.requests import Request

pytestmark = [pytest.mark.browser]

_FOLDER = ROOT / "examples" / "chat"
_RAN = "window.given = []; window.ran = (...told) => window.given.push(told.join() || 'ran');"
_PREFIXES = """async payloads => {
  const { show } = await import("/markdown.js");
  for (const payload of payloads) {
    const place = document.createElement("div");
    document.body.append(place);
    for (let length = 1; length <= payload.length; length++) show(place, payload.slice(0, length));
  }
}"""
_TOUCH = """() => {
  for (const made of document.querySelectorAll("main *, body > div *")) {
    for (const name of ["mouseover", "pointerenter", "focus"]) made.dispatchEvent(new Event(name));
    made.focus?.();
    // These links open another page or a program, and run nothing here.
    if (made.localName !== "button" && !/^(https?|mailto):/.test(made.href)) made.click?.();
  }
}"""
_MADE = """() => [...document.querySelectorAll("main *, body > div *")].flatMap(made =>
  [...made.attributes].map(({ name, value }) => [made.localName, name, value]))"""
_NAMES = """() =>
  [...new Set([...document.querySelectorAll(".text *, body > div *")].map(made => made.localName))]"""


def _frame(event: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()


def _answer(payload: str) -> bytes:
    """Return an answer that says a payload wherever a model can, a character at a time."""
    script = testing.script().reasoning(payload).text(*payload).tool_call(payload, {payload: payload})
    *chunks, _ = script.finish().chunks("tokenstream")
    error = {"error": payload, "kind": payload, "message": payload, "retryable": True, "ending": "truncated"}
    return b"".join([*chunks, _frame({"type": "error", **error})])


async def _page(_: Request) -> Response:
    html = re.sub(r"<meta http-equiv=.*>", "", (_FOLDER / "index.html").read_text("utf-8"))
    assert "Content-Security-Policy" not in html
    return HTMLResponse(html)


async def _file(request: Request) -> Response:
    return FileResponse(_FOLDER / request.path_params["name"])


async def _turns(_: Request) -> Response:
    turns: list[dict[str, Any]] = [
        {"id": number, "question": payload, "answer": str(number), "form": number % 10 == 9}
        for number, payload in enumerate(PAYLOADS)
    ]
    return JSONResponse(turns)


async def _send(request: Request) -> Response:
    body = _answer(PAYLOADS[request.path_params["number"]])
    return Response(body, headers=dict(relay.headers("tokenstream")))


async def _send_form(request: Request) -> Response:
    payload = PAYLOADS[request.path_params["number"]]
    step = {"title": payload, "text": payload}
    recipe = {"name": payload, "ingredients": [{"name": payload}], "steps": [step], "tip": payload}
    patch = {"type": "patch", "patch": [{"op": "replace", "path": "", "value": recipe}]}
    body = _frame(patch) + _frame({"type": "end", "ending": "complete"})
    return Response(body, headers=dict(relay.headers("tokenstream")))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve the page without its policy, and one answer for each payload."""
    routes = [
        Route("/", _page),
        Route("/api/chats/{chat}", _turns),
        Route("/api/answers/{number:int}", _send),
        Route("/api/answers/{number:int}/form", _send_form),
        Mount("/tokenstream", relay.assets),
        Route("/{name}", _file),
    ]
    with by_uvicorn(Starlette(routes=routes)) as served:
        yield served


def test_there_are_payloads_of_every_kind() -> None:
    text = "\n".join(PAYLOADS)

    assert len(set(PAYLOADS)) >= 100
    for kind in ("<svg", "<math", "onerror", "href=", "](javascript:", "srcdoc", "<style", "&#"):
        assert text.count(kind) >= 1, kind


def test_nothing_that_a_model_writes_is_run(page: Page, url: str) -> None:
    asked, said = listen(page)
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.add_init_script(_RAN)
    # The payloads' own way to tell works, or the test would prove nothing.
    page.goto(url)
    page.evaluate("document.body.innerHTML += '<img src=data: onerror=ran(1)>'")
    page.wait_for_function("window.given.length")
    page.goto(f"{url}?chat=all")
    page.wait_for_function(
        "count => document.querySelectorAll('article:is([data-state=complete], [data-state=failed],"
        " [data-state=truncated])').length === count",
        arg=len(PAYLOADS),
    )
    asked.clear()
    said.clear()
    page.evaluate(_PREFIXES, PAYLOADS)
    page.evaluate(_TOUCH)
    page.wait_for_timeout(500)
    made = page.evaluate(_MADE)

    assert page.evaluate("window.given") == []
    assert (asked, said) == ([], [])
    assert [each for each in made if each[1].startswith("on")] == []
    assert [each for each in made if each[1] in ("src", "srcdoc", "style", "srcset", "action")] == []
    links = [value for _, name, value in made if name == "href"]
    assert len(links) > 10
    assert [value for value in links if not re.match(r"(https?://|mailto:)", value)] == []
    blocks = {"blockquote", "h3", "li", "ol", "p", "pre", "table", "td", "th", "tr", "ul"}
    assert {*page.evaluate(_NAMES)} <= blocks | {"a", "code", "em", "strong"}
