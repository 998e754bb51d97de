"""The chat in an emulated terminal: an answer grows, breaks off, is stopped."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.cookbook.programs import run_program
from tests.cookbook.watched import watch_program
from tokenstream import testing

_PATH = "/v1/chat/completions"


def test_the_answer_grows_as_markdown(tmp_path: Path) -> None:
    script = testing.script().text("# The sky\n\nIt is **bl").silence(2).text("ue**.").finish("stop")
    second = testing.script().text("Then it is dark.").finish("stop")
    with (
        testing.serve([script, second], pace="recorded") as provider,
        watch_program("terminal-chat", tmp_path, provider.url + _PATH) as program,
    ):
        program.see("you:")
        program.type("Why?\n")
        assert program.see("It is bl").endswith("It is bl")
        program.see("It is blue.\n\nyou:")
        program.type("And at night?\n")
        shown = program.see("Then it is dark.\n\nyou:")

    assert 1 == shown.count("The sky")
    assert ["Why?", "# The sky\n\nIt is **blue**.", "And at night?"] == [
        message["content"] for message in provider.requests[1].json["messages"]
    ]


def test_a_broken_answer_stays_with_the_error(tmp_path: Path) -> None:
    """The text so far is printed and kept; a question without an answer is not sent again."""
    script = testing.script().text("The sky ", "is ", "blue.").finish("stop").recording("openai-chat")
    broken = script.with_fault(testing.faults.close(event=3))
    refused = script.with_fault(testing.faults.status(500))
    with testing.serve([broken, refused, script]) as provider:
        url = provider.url + _PATH
        done = run_program("terminal-chat", tmp_path, url, stdin="One?\nTwo?\nThree?\n")
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip(" you:")]

    assert ["The sky is", "[", "[", "The sky is blue."] == [
        line[:1] if line.startswith("[") else line for line in lines
    ]
    assert not done.stderr
    assert ["One?", "The sky is ", "Three?"] == [
        message["content"] for message in provider.requests[2].json["messages"]
    ]


def test_ctrl_c_stops_the_answer_and_not_the_chat(tmp_path: Path) -> None:
    endless = testing.script().text("The sky").silence(60).text(" is blue.").finish("stop")
    second = testing.script().text("It is dark.").finish("stop")
    with (
        testing.serve([endless, second], pace="recorded") as provider,
        watch_program("terminal-chat", tmp_path, provider.url + _PATH) as program,
    ):
        program.see("you:")
        program.type("Why?\n")
        program.see("The sky")
        program.process.send_signal(signal.SIGINT)
        program.see("The sky\n[stopped]\n\nyou:")
        provider.exchanges[0].over.wait(10)
        assert "abandoned" == provider.exchanges[0].outcome
        program.type("At night?\n")
        program.see("It is dark.\n\nyou:")
        program.type("\x04")

        assert 0 == program.process.wait(timeout=10)
    assert ["Why?", "The sky", "At night?"] == [
        message["content"] for message in provider.requests[1].json["messages"]
    ]


def test_without_an_address_answers_are_scripted(tmp_path: Path) -> None:
    """With the second question go the first and its answer; in a pipe, nothing is drawn."""
    done = run_program("terminal-chat", tmp_path, stdin="one\ntwo\n")
    lines = [line.split() for line in done.stdout.splitlines()]

    assert [["1", "1"], ["3", "2"]] == [words for words in lines if words[:1] in (["1"], ["3"])]
    assert 2 == done.stdout.count("That is all 👩‍🚀.")
    assert ("", False) == (done.stderr, "\x1b" in done.stdout)
