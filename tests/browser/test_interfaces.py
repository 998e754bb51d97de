"""CopilotKit and assistant-ui show what a relay sends: one's client in Node, the other in Chromium."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.bundled import routes_of
from tests.browser.chat.support import until
from tests.browser.interfaces import PIECES, TEXT, make_relay
from tests.steps.news import PLANS, RESULTS, TEXTS
from tests.support.node import bundle, node_with
from tests.support.served import by_uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

_FOLDER = Path(__file__).parent
_REASONED = "Let me see."


# -- CopilotKit ----------------------------------------------------------------


@pytest.fixture(scope="module")
def copilotkit() -> dict[str, Any]:
    """What the user of CopilotKit saw, by question, and the bodies of all requests."""
    folder, node = node_with("@copilotkit/core", "zod")
    asked: list[dict[str, Any]] = []
    questions = ["Answer", "Work", "Break", "Fail", "Approve"]
    with by_uvicorn(make_relay(asked)) as url:
        done = subprocess.run(
            [node, str(_FOLDER / "copilotkit.mjs"), f"{url}relay/ag-ui", json.dumps(questions)],
            env={**os.environ, "TOKENSTREAM_NODE": str(folder)},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    return {**dict(zip(questions, json.loads(done.stdout), strict=True)), "asked": asked}


def _said(told: dict[str, Any], role: str) -> list[str]:
    return [
        message["content"] for message in told["messages"] if message["role"] == role and "content" in message
    ]


@pytest.mark.slow
def test_copilotkit_shows_an_answer_as_it_grows(copilotkit: dict[str, Any]) -> None:
    told = copilotkit["Answer"]

    assert len(told["shown"]) > 1
    assert all(TEXT.startswith(text) for text in told["shown"])
    assert (_said(told, "reasoning"), _said(told, "assistant")) == ([_REASONED], [TEXT])
    assert (told["errors"], told["running"]) == ([], False)


@pytest.mark.slow
def test_copilotkit_shows_the_tools_that_the_server_has_run(copilotkit: dict[str, Any]) -> None:
    """Calls, results, the plan and the question that was answered; it runs none of the calls again."""
    told = copilotkit["Work"]
    calls = [call for message in told["messages"] for call in message.get("toolCalls", ())]
    activities = {
        message["activityType"]: message["content"]
        for message in told["messages"]
        if "activityType" in message
    }

    assert [text for text in _said(told, "assistant") if text] == list(TEXTS)
    assert [call["function"]["name"] for call in calls] == ["shell", "read"]
    assert _said(told, "tool") == [json.dumps(RESULTS[0], separators=(",", ":")), RESULTS[1]]
    assert [message["toolCallId"] for message in told["messages"] if message["role"] == "tool"] == [
        call["id"] for call in calls
    ]
    assert activities["PLAN"] == PLANS[-1]
    assert (activities["WAITING"]["request"], activities["WAITING"]["answered"]) == (
        {"command": "pytest"},
        True,
    )
    assert (told["errors"], told["ran"]) == ([], [])
    assert [body["threadId"] for body in copilotkit["asked"]].count("Work") == 1


@pytest.mark.slow
def test_copilotkit_tells_of_an_error(copilotkit: dict[str, Any]) -> None:
    broken, refused = copilotkit["Break"], copilotkit["Fail"]
    [error] = broken["errors"]

    assert _said(broken, "assistant") == ["".join(PIECES[:2])]
    assert error == ["agent_run_error_event", "Rate limit exceeded"]
    assert _said(refused, "assistant") == []
    assert all("HTTP 429" in message for _, message in refused["errors"])
    assert len(refused["errors"]) > 0
    assert "sk-secret" not in json.dumps([broken, refused])


@pytest.mark.slow
def test_copilotkit_asks_its_user_and_sends_the_answer(copilotkit: dict[str, Any]) -> None:
    """A tool of the page: its result is in the next request, to which the relay answers."""
    told = copilotkit["Approve"]
    *_, request = [body for body in copilotkit["asked"] if body["threadId"] == "Approve"]

    assert told["ran"] == ["rm x"]
    assert (request["messages"][-1]["role"], request["messages"][-1]["toolCallId"]) == ("tool", "call_1")
    assert [text for text in _said(told, "assistant") if text] == ["May I?", 'You said: {"approved":true}']


# -- assistant-ui --------------------------------------------------------------


@pytest.fixture(scope="module")
def script() -> bytes:
    folder, node = node_with(
        "esbuild", "react-dom", "ai", "zod", "@assistant-ui/react", "@assistant-ui/react-ai-sdk"
    )
    production = '--define:process.env.NODE_ENV="production"'
    return bundle(_FOLDER / "assistant_ui.jsx", folder, node, "--jsx=automatic", production)


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def url(script: bytes, asked: list[dict[str, Any]]) -> Iterator[str]:
    with by_uvicorn(make_relay(asked, *routes_of(script))) as served:
        yield served


@pytest.fixture
def ask(page: Page, url: str) -> Callable[..., None]:
    def open_and_ask(question: str, *, search: str = "") -> None:
        page.goto(url + search)
        page.get_by_role("textbox").fill(question)
        page.get_by_text("Ask", exact=True).click()

    return open_and_ask


def _texts(page: Page, selector: str = ".text") -> list[str]:
    """Return the texts of the assistant's message."""
    return page.locator(f"article:nth-of-type(2) {selector}").all_text_contents()


@pytest.mark.browser
def test_assistant_ui_shows_an_answer_as_it_grows(page: Page, ask: Callable[..., None]) -> None:
    page.add_init_script(
        """window.seen = [];
        new MutationObserver(() => {
          const text = document.querySelector("article:nth-of-type(2) .text")?.textContent;
          if (text && text !== window.seen.at(-1)) window.seen.push(text);
        }).observe(document, { subtree: true, childList: true, characterData: true });"""
    )
    ask("Answer")
    until(lambda: _texts(page) == [TEXT])
    seen = page.evaluate("window.seen")

    assert _texts(page, "em") == [_REASONED]
    assert len(seen) > 1
    assert all(TEXT.startswith(text) for text in seen)
    assert page.get_by_role("alert").count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("search", ["", "?tools"])
def test_assistant_ui_shows_the_tools_that_the_server_has_run(
    page: Page, ask: Callable[..., None], asked: list[dict[str, Any]], search: str
) -> None:
    """Calls, results, the plan and an answered question; a page with tools sends none of the results back."""
    ask("Work", search=search)
    until(lambda: _texts(page)[-1:] == [TEXTS[-1]])
    [waiting] = _texts(page, ".waiting")

    assert _texts(page) == list(TEXTS)
    assert [json.loads(text) for text in _texts(page, "fieldset[data-state=complete] output")] == list(
        RESULTS
    )
    assert [json.loads(text) for text in _texts(page, "legend")] == [{"command": "pytest"}, {"path": "a.py"}]
    assert [json.loads(text) for text in _texts(page, ".plan")] == [PLANS[-1]]
    assert (json.loads(waiting)["request"], json.loads(waiting)["answered"]) == ({"command": "pytest"}, True)
    # Ready for the next question, it would have sent them.
    page.get_by_text("Ask", exact=True).wait_for()
    assert len(asked) == 1


@pytest.mark.browser
@pytest.mark.parametrize(
    "question, texts, error",
    [
        ("Break", ["".join(PIECES[:2])], "Rate limit exceeded"),
        ("Fail", [], "The provider asks to wait before the next request."),
    ],
)
def test_assistant_ui_tells_of_an_error(
    page: Page, ask: Callable[..., None], question: str, texts: list[str], error: str
) -> None:
    ask(question)
    alert = page.get_by_role("alert")
    alert.wait_for()

    assert _texts(page) == texts
    assert error in alert.inner_text()
    assert "sk-secret" not in page.content()


@pytest.mark.browser
@pytest.mark.parametrize("search", ["?tools", "?tools&relay"])
def test_assistant_ui_asks_its_user_and_sends_the_answer(
    page: Page, ask: Callable[..., None], asked: list[dict[str, Any]], search: str
) -> None:
    """A tool of the page: its result is in the next request; with our transport, its message goes on."""
    ask("Approve", search=search)
    allow = page.get_by_text("Run rm x?")
    allow.wait_for()
    assert len(asked) == 1
    allow.click()
    page.get_by_text('You said: {"approved": true}').wait_for()

    assert _texts(page, ".answered") == ['{"approved":true}']
    if "relay" in search:
        assert _texts(page) == ["May I?", 'You said: {"approved": true}']
    assert len(asked) == 2
