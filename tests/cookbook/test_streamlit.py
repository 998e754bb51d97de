"""The chat of the cookbook in Streamlit: an answer arrives, breaks off, is stopped, is followed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cookbook.programs import serving, write_program
from tests.support.packages import needed
from tests.support.timing import wait_for
from tokenstream import testing

if TYPE_CHECKING:
    from playwright.sync_api import Page


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


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 5.0], ids=["arriving", "silent"])
def test_a_second_question_comes_after_the_half_answer(seconds: float, tmp_path: Path, page: Page) -> None:
    """Streamlit's server, unlike its test client, runs the script anew beside the run that still reads."""
    needed("streamlit")
    script = testing.script().text("The sky is ")
    for _ in range(int(20 / seconds)):
        script = script.silence(seconds).text("very ")
    greeting = testing.script().text("Hello.").finish("stop")
    program = str(write_program("streamlit", tmp_path).rename(tmp_path / "streamlit_chat.py"))
    options = "--server.headless", "true", "--server.port", "{port}"
    questions = {"Why?": "The sky is", "Hello?": "Hello.", "And now?": "Hello."}
    with (
        testing.serve([script.finish("stop"), greeting, greeting], pace="recorded") as provider,
        serving(
            tmp_path, "-m", "streamlit", "run", program, *options, OPENAI_BASE_URL=f"{provider.url}/v1"
        ) as url,
    ):
        page.goto(url)
        for question, answer in questions.items():
            page.get_by_placeholder("Ask anything").fill(question)
            page.get_by_placeholder("Ask anything").press("Enter")
            page.get_by_text(answer).last.wait_for()
        assert provider.exchanges[0].over.wait(10)
        outcome = provider.exchanges[0].outcome
        wait_for(lambda: len(provider.requests) == len(questions))
        asked = [each["content"] for each in provider.requests[2].json["messages"]]

    assert "abandoned" == outcome
    assert ["Why?", "Hello?", "Hello.", "And now?"] == [asked[0], *asked[2:]]
    assert asked[1].startswith("The sky is")
