"""The backend of the cookbook and the AI SDK's own chat: an answer grows, breaks off, is stopped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cookbook.relays import Relay, relaying
from tests.support.node import node_with

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
"""The AI SDK's packages are installed only where slow tests run."""

_CHAT = Path(__file__).with_name("use_chat.mjs")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    node_with("ai")
    command = ("-m", "uvicorn", "use_chat_relay:app", "--port", "{port}")
    with relaying("use-chat", tmp_path_factory.mktemp("use_chat"), *command) as running:
        yield running


def _chat(relay: Relay, *actions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a user saw after each action in one chat."""
    folder, node = node_with("ai")
    code = _CHAT.read_text("utf-8")
    done = subprocess.run(
        [
            node,
            "--input-type=module",
            "--eval",
            code,
            "--",
            str(relay.browser.base_url.join("/api/chat")),
            json.dumps(actions),
        ],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=50,
    )
    assert 0 == done.returncode, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


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
