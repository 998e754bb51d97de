"""The example of `useChat`: the AI SDK's own chat at its backend, and its page in Chromium."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.cookbook.relays import Relay, relaying
from tests.support.node import bundle, node_with
from tests.support.served import by_wsgi
from tests.support.use_chat import make_project
from tokenstream import Stream, relay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import StartResponse

    from playwright.sync_api import Page, Response

pytestmark = pytest.mark.slow
"""The AI SDK's packages are installed only where slow tests run."""

_CHAT = Path(__file__).with_name("use_chat.mjs")
_ASK = """async ([url, text]) => {
  const messages = [{ id: "1", role: "user", parts: [{ type: "text", text }] }];
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ id: "1", messages }) });
  const read = ["x-answer-id", "location"].map(name => response.headers.get(name));
  return [response.status, await response.text(), ...read];
}"""


class _Front:
    """A server of the front end: a page that has nothing but what a test puts there."""

    def __init__(self) -> None:
        self.script = b""

    def __call__(self, _: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [b'<!doctype html><div id="root"></div><script type="module">', self.script, b"</script>"]


@pytest.fixture(scope="module")
def front() -> _Front:
    return _Front()


@pytest.fixture(scope="module")
def port(front: _Front) -> Iterator[int]:
    """Port of a page: on localhost, the backend knows it, and on 127.0.0.1, it is a stranger."""
    with by_wsgi(front) as url:
        yield urlsplit(url).port or 80


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Relay]:
    command = ("-m", "uvicorn", "examples.use_chat.app:app", "--port", "{port}")
    origin = f"http://localhost:{port}"
    with relaying("use-chat", tmp_path_factory.mktemp("use_chat"), *command, PAGE_ORIGIN=origin) as running:
        yield running


@pytest.fixture(scope="module")
def chat_page(
    backend: Relay, front: _Front, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of the page with the component, bundled as an application does."""
    npm, node = node_with("esbuild", "react-dom", "@ai-sdk/react", "ai")
    source = make_project(tmp_path_factory.mktemp("page"), npm, str(backend.browser.base_url).rstrip("/"))
    front.script = bundle(source, npm, node, "--jsx=automatic").replace(b"</script", b"<\\/script")
    yield f"http://localhost:{port}/"
    front.script = b""


def _chat(backend: Relay, *actions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a user saw after each action in one chat."""
    folder, node = node_with("ai")
    code = _CHAT.read_text("utf-8")
    given = [
        str(relay.assets.directory),
        str(backend.browser.base_url.join("/api/chat")),
        json.dumps(actions),
    ]
    printed = _run(folder, node, "--input-type=module", "--eval", code, "--", *given)
    told: list[dict[str, Any]] = json.loads(printed)
    return told


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=50)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_an_answer_becomes_a_message(backend: Relay) -> None:
    told, _ = _chat(backend, {"text": "Answer"}, {"text": "Answer"})

    assert ("ready", None) == (told["status"], told["error"])
    assert [["user", "Answer"], ["assistant", "The sky is blue."]] == told["messages"]
    assert [
        {"role": "user", "content": "Answer"},
        {"role": "assistant", "content": "The sky is blue."},
        {"role": "user", "content": "Answer"},
    ] == backend.provider.requests[-1].json["messages"]


def test_a_broken_answer_stays_until_it_is_regenerated(backend: Relay) -> None:
    broken, whole = _chat(backend, {"text": "Break"}, {"regenerate": True})

    assert "error" == broken["status"]
    assert broken["error"]
    assert [["user", "Break"], ["assistant", "The sky "]] == broken["messages"]
    assert ("ready", None) == (whole["status"], whole["error"])
    assert [["user", "Break"], ["assistant", "The sky is blue."]] == whole["messages"]


def test_an_answer_grows_until_the_user_stops_it(backend: Relay) -> None:
    """The message keeps the text so far, the chat is ready for the next question, the provider is left."""
    (told,) = _chat(backend, {"text": "Go on", "stop": "word " * 15})
    grown = [text for text in told["shown"] if text]

    assert len(grown[0]) < len(grown[-1])
    assert ("ready", None) == (told["status"], told["error"])
    assert [["user", "Go on"], ["assistant", grown[-1]]] == told["messages"]
    assert "abandoned" == backend.outcome()


def test_the_page_may_read_the_answers(backend: Relay, page: Page, port: int) -> None:
    page.goto(f"http://localhost:{port}/")
    url = str(backend.browser.base_url.join("/api/chat"))
    status, body, id, location = page.evaluate(_ASK, [url, "Answer"])
    refused, *_ = page.evaluate(_ASK, [url, "Refuse"])

    assert (200, 429) == (status, refused)
    assert "The sky is blue." == Stream(body.encode()).final().text
    assert id
    assert "/api/chat/1/stream" == location


def test_a_page_of_another_origin_may_not_even_ask(backend: Relay, page: Page, port: int) -> None:
    """The browser asks for leave before it sends the question, and the backend gives none."""
    page.goto(f"http://127.0.0.1:{port}/")
    before = len(backend.provider.requests)
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate(_ASK, [str(backend.browser.base_url.join("/api/chat")), "Answer"])

    assert before == len(backend.provider.requests)


def test_a_reader_that_names_its_answer_gets_the_rest_even_after_the_end(backend: Relay) -> None:
    """A page whose connection was lost must not miss it; one that was reloaded has nothing to follow."""
    message = {"id": "1", "role": "user", "parts": [{"type": "text", "text": "Answer"}]}
    whole = backend.browser.post("/api/chat", json={"id": "named", "messages": [message]})
    after = {"x-answer-id": whole.headers["x-answer-id"], "last-event-id": "2"}
    rest = backend.browser.get(whole.headers["location"], headers=after)
    reloaded = backend.browser.get(whole.headers["location"])

    assert (200, 204) == (rest.status_code, reloaded.status_code)
    assert whole.text.endswith(rest.text[-200:])
    assert "[DONE]" in rest.text
    assert len(rest.text) < len(whole.text)


def _send(page: Page, text: str) -> None:
    page.locator("input").fill(text)
    page.locator("input").press("Enter")


def test_an_answer_goes_on_over_a_reload_of_the_page(backend: Relay, page: Page, chat_page: str) -> None:
    asked = len(backend.provider.requests)
    resumed = list[int]()

    def note(response: Response) -> None:
        if response.url.endswith("/stream"):
            resumed.append(response.status)

    page.on("response", note)
    page.goto(chat_page)
    _send(page, "Take your time")
    answer = page.locator(".assistant")
    answer.get_by_text("It goes").wait_for()
    page.reload()
    answer.get_by_text("It goes").wait_for()
    backend.provider.go_on()
    page.locator("form[data-status=ready]").wait_for()
    answer.get_by_text("It goes on and on.", exact=True).wait_for()
    assert [204, 200] == resumed
    assert 1 == answer.count() == len(backend.provider.requests) - asked

    with page.expect_response(lambda response: response.url.endswith("/stream")):
        page.reload()
    answer.get_by_text("It goes on and on.", exact=True).wait_for()
    assert [204, 200, 204] == resumed
    _send(page, "Answer")
    answer.get_by_text("The sky is blue.", exact=True).wait_for()
    assert ["Take your time", "It goes on and on."] == page.locator("article").all_inner_texts()[:2]
    assert 3 == len(backend.provider.requests[-1].json["messages"])


def test_a_reload_keeps_an_answer_that_was_stopped(backend: Relay, page: Page, chat_page: str) -> None:
    page.goto(chat_page)
    _send(page, "Go on")
    page.locator(".assistant", has_text=re.compile("(word ){5}")).wait_for()
    page.get_by_text("Stop").click()
    page.locator("form[data-status=ready]").wait_for()
    shown = page.locator(".assistant").inner_text()
    assert "abandoned" == backend.outcome()

    page.reload()
    page.locator(".assistant").wait_for()
    assert shown == page.locator(".assistant").inner_text()


def test_the_component_compiles(tmp_path: Path) -> None:
    """TypeScript accepts it as strictly as it can, with the types of the AI SDK and of React."""
    folder, node = node_with("typescript", "ai", "@ai-sdk/react", "@types/react")
    make_project(tmp_path, folder, "")
    tsc = folder / "node_modules" / "typescript" / "bin" / "tsc"
    options = ["--strict", "--noEmit", "--skipLibCheck", "--jsx", "react-jsx", "--target", "es2022"]
    options += ["--lib", "es2022,dom,dom.iterable", "--module", "esnext", "--moduleResolution", "bundler"]
    _run(tmp_path, node, str(tsc), *options, "page.tsx")
