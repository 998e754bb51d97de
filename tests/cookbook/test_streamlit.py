"""The chat of the cookbook in Streamlit's own test client: an answer arrives, breaks off, is stopped."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cookbook.programs import write_program
from tests.support.packages import needed
from tokenstream import testing


@contextmanager
def _chat(provider: testing.Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Any]:
    app_test = needed("streamlit.testing.v1").AppTest
    monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    program = write_program("streamlit", folder).rename(folder / "streamlit_chat.py")
    yield app_test.from_file(str(program), default_timeout=20).run()


def _shown(chat: Any) -> list[tuple[str, str]]:
    """Return what a user sees: each message with its author."""
    assert not chat.exception
    return [
        (message.name, " ".join(text.value for text in message.markdown)) for message in chat.chat_message
    ]


def test_the_answer_is_shown_while_it_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = needed("streamlit.runtime.forward_msg_queue").ForwardMsgQueue
    sent: list[str] = []
    monkeypatch.setattr(
        queue, "_before_enqueue_msg", lambda message: sent.append(message.delta.new_element.markdown.body)
    )
    greeting = testing.script().text("Hello.").finish("stop")
    script = testing.script().text("The sky ", "is").silence(0.5).text(" blue.").finish("stop")
    with (
        testing.serve([greeting, script], pace="recorded") as provider,
        _chat(provider, tmp_path, monkeypatch) as chat,
    ):
        chat.chat_input[0].set_value("Hello?").run()
        chat.chat_input[0].set_value("Why is the sky blue?").run()
    seen = list(dict.fromkeys(text for text in sent if text.startswith("The sky")))

    assert ["The sky", "The sky is", "The sky is blue."] == seen
    asked = [("user", "Hello?"), ("assistant", "Hello."), ("user", "Why is the sky blue?")]
    assert [*asked, ("assistant", "The sky is blue.")] == _shown(chat)
    assert asked == [(each["role"], each["content"]) for each in provider.requests[1].json["messages"]]


def test_a_broken_answer_stays_until_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = testing.script().text("The sky ", "is ", "blue.").finish("stop").recording("openai-chat")
    broken = script.with_fault(testing.faults.close(event=3))
    with testing.serve([broken, script]) as provider, _chat(provider, tmp_path, monkeypatch) as chat:
        chat.chat_input[0].set_value("Why?").run()

        assert [("user", "Why?"), ("assistant", "The sky is")] == _shown(chat)
        assert ["The answer broke off (network)."] == [each.value for each in chat.error]
        chat.button[0].click().run()

    assert [("user", "Why?"), ("assistant", "The sky is blue.")] == _shown(chat)
    assert not chat.error
    assert provider.requests[0].json == provider.requests[1].json


def test_an_answer_that_never_began_is_not_sent_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = testing.script().text("Hello.").finish("stop").recording("openai-chat")
    refused = script.with_fault(testing.faults.status(500))
    with testing.serve([refused, script]) as provider, _chat(provider, tmp_path, monkeypatch) as chat:
        chat.chat_input[0].set_value("Why?").run()
        assert chat.error
        chat.chat_input[0].set_value("Hello?").run()

    assert ["Why?", "Hello?"] == [each["content"] for each in provider.requests[1].json["messages"]]


def test_a_script_that_is_stopped_keeps_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit stops it when the user does something else; the provider is left, and the text is kept."""
    greeting = testing.script().text("Hello.").finish("stop")
    script = testing.script()
    for _ in range(100):
        script = script.text("word ").silence(0.1)
    with (
        testing.serve([greeting, script.finish("stop")], pace="recorded") as provider,
        _chat(provider, tmp_path, monkeypatch) as chat,
    ):
        chat.chat_input[0].set_value("Hello?").run()
        with pytest.raises(RuntimeError, match="timed out"):
            chat.chat_input[0].set_value("Why?").run(timeout=1)
        # The server notices it when it writes the next piece.
        assert provider.exchanges[1].over.wait(20)
        outcome = provider.exchanges[1].outcome
        kept = chat.session_state["messages"][-1]

    assert "abandoned" == outcome
    assert "assistant" == kept["role"]
    assert kept["content"].startswith("word ")
