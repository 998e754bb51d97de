"""The relay of the cookbook behind uvicorn: an answer arrives, an error has its status, a reader leaves."""

from __future__ import annotations

import runpy
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from tests.cookbook.programs import write_program
from tests.support.served import by_uvicorn
from tokenstream import Stream, testing

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import pytest

_QUESTION = {"messages": [{"role": "user", "content": "Why is the sky blue?"}]}


@contextmanager
def _relay(
    provider: testing.Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[httpx.Client, None, None]:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    app: Any = runpy.run_path(str(write_program("fastapi", folder)))["app"]
    with by_uvicorn(app) as url, httpx.Client(base_url=url, trust_env=False) as browser:
        yield browser


def test_the_answer_reaches_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As our own events, with the provider's finish reason."""
    script = testing.script().text("The sky ", "is blue.").finish("stop")
    with (
        testing.serve(script) as provider,
        _relay(provider, tmp_path, monkeypatch) as browser,
        browser.stream("POST", "/chat", json=_QUESTION) as response,
    ):
        message = Stream(response).final()

    assert ("The sky is blue.", "complete") == (message.text, message.ending)
    assert _QUESTION["messages"] == provider.requests[0].json["messages"]


def test_an_error_before_the_first_event_is_a_502(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser's code checks the status, as for any other request."""
    script = testing.script().text("never sent").finish("stop")
    refused = testing.serve(script, fault=testing.faults.status(500))
    with refused as provider, _relay(provider, tmp_path, monkeypatch) as browser:
        response = browser.post("/chat", json=_QUESTION)

    assert 502 == response.status_code
    assert response.json()["error"]["type"]


def test_the_provider_is_left_when_the_browser_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody pays for an answer that nobody reads."""
    script = testing.script().text("word ").pause(60).text("too late").finish("stop")
    with (
        testing.serve(script, pace="recorded") as provider,
        _relay(provider, tmp_path, monkeypatch) as browser,
    ):
        with browser.stream("POST", "/chat", json=_QUESTION) as response:
            next(response.iter_bytes())
        due = time.monotonic() + 10
        while provider.exchanges[0].outcome == "answering" and time.monotonic() < due:
            time.sleep(0.01)

        assert "abandoned" == provider.exchanges[0].outcome
