"""The backend of the cookbook and the AI SDK's own chat: an answer grows, breaks off, is stopped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.cookbook.programs import FOLDER
from tests.cookbook.relays import Relay, relaying
from tests.docs_pages import blocks
from tests.support.node import node_with
from tests.support.served import by_wsgi
from tokenstream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import StartResponse

    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
"""The AI SDK's packages are installed only where slow tests run."""

_CHAT = Path(__file__).with_name("use_chat.mjs")
_ASK = """async ([url, text]) => {
  const body = JSON.stringify({ id: "1", messages: [{ role: "user", parts: [{ type: "text", text }] }] });
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body });
  return [response.status, await response.text()];
}"""


def _page(_: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"A page that asks."]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Port of a page: on localhost, the backend knows it, and on 127.0.0.1, it is a stranger."""
    with by_wsgi(_page) as url:
        yield urlsplit(url).port or 80


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Relay]:
    command = ("-m", "uvicorn", "use_chat_relay:app", "--port", "{port}")
    origin = f"http://localhost:{port}"
    with relaying("use-chat", tmp_path_factory.mktemp("use_chat"), *command, PAGE_ORIGIN=origin) as running:
        yield running


def _chat(relay: Relay, *actions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a user saw after each action in one chat."""
    folder, node = node_with("ai")
    code = _CHAT.read_text("utf-8")
    address = str(relay.browser.base_url.join("/api/chat"))
    printed = _run(folder, node, "--input-type=module", "--eval", code, "--", address, json.dumps(actions))
    told: list[dict[str, Any]] = json.loads(printed)
    return told


def _run(folder: Path, *command: str) -> str:
    """Run a program to its end, which must be a good one, and return what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=50)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_an_answer_becomes_a_message(relay: Relay) -> None:
    """The next question is sent with the messages before it, in the provider's form."""
    told, _ = _chat(relay, {"text": "Answer"}, {"text": "Answer"})

    assert ("ready", None) == (told["status"], told["error"])
    assert [["user", "Answer"], ["assistant", "The sky is blue."]] == told["messages"]
    assert [
        {"role": "user", "content": "Answer"},
        {"role": "assistant", "content": "The sky is blue."},
        {"role": "user", "content": "Answer"},
    ] == relay.provider.requests[-1].json["messages"]


def test_a_refusal_is_an_error_without_a_message(relay: Relay) -> None:
    """The chat sees the status of the response."""
    (told,) = _chat(relay, {"text": "Refuse"})

    assert "error" == told["status"]
    assert "rate_limited" in told["error"]
    assert [["user", "Refuse"]] == told["messages"]


def test_a_broken_answer_stays_until_it_is_regenerated(relay: Relay) -> None:
    """The text so far stays, next to the error; another attempt replaces it."""
    broken, whole = _chat(relay, {"text": "Break"}, {"regenerate": True})

    assert "error" == broken["status"]
    assert broken["error"]
    assert [["user", "Break"], ["assistant", "The sky "]] == broken["messages"]
    assert ("ready", None) == (whole["status"], whole["error"])
    assert [["user", "Break"], ["assistant", "The sky is blue."]] == whole["messages"]


def test_an_answer_grows_until_the_user_stops_it(relay: Relay) -> None:
    """The message keeps the text so far, the chat is ready for the next question, the provider is left."""
    (told,) = _chat(relay, {"text": "Go on", "stop": "word " * 15})
    grown = [text for text in told["shown"] if text]

    assert len(grown[0]) < len(grown[-1])
    assert ("ready", None) == (told["status"], told["error"])
    assert [["user", "Go on"], ["assistant", grown[-1]]] == told["messages"]
    assert "abandoned" == relay.outcome()


def test_the_page_may_read_the_answers(relay: Relay, page: Page, port: int) -> None:
    """Its origin is another one than the backend's; it also sees the status of a refusal."""
    page.goto(f"http://localhost:{port}/")
    url = str(relay.browser.base_url.join("/api/chat"))
    status, body = page.evaluate(_ASK, [url, "Answer"])
    refused, _ = page.evaluate(_ASK, [url, "Refuse"])

    assert (200, 429) == (status, refused)
    assert "The sky is blue." == Stream(body.encode()).final().text


def test_a_page_of_another_origin_may_not_even_ask(relay: Relay, page: Page, port: int) -> None:
    """The browser asks for leave before it sends the question, and the backend gives none."""
    page.goto(f"http://127.0.0.1:{port}/")
    before = len(relay.provider.requests)
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate(_ASK, [str(relay.browser.base_url.join("/api/chat")), "Answer"])

    assert before == len(relay.provider.requests)


def test_the_component_compiles(tmp_path: Path) -> None:
    """TypeScript accepts it as strictly as it can, with the types of the AI SDK and of React."""
    folder, node = node_with("typescript", "ai", "@ai-sdk/react", "@types/react")
    (component,) = blocks((FOLDER / "use-chat.md").read_text(encoding="utf-8"), "tsx")
    (tmp_path / "page.tsx").write_text(component.code, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    tsc = folder / "node_modules" / "typescript" / "bin" / "tsc"
    options = ["--strict", "--noEmit", "--skipLibCheck", "--jsx", "react-jsx", "--target", "es2022"]
    options += ["--lib", "es2022,dom,dom.iterable", "--module", "esnext", "--moduleResolution", "bundler"]
    _run(tmp_path, node, str(tsc), *options, "page.tsx")
