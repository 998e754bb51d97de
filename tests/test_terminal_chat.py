"""The chat of examples/terminal_chat.py: its turns are kept, and Ctrl-C stops an answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.project import PACKAGE, ROOT
from tests.support.terminals import Terminal

_COMMAND = [sys.executable, "-W", "error", str(ROOT / "examples" / "terminal_chat.py")]
_ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(PACKAGE.parent),
    "PYTHONIOENCODING": "utf-8",
    "TERM": "xterm-256color",
    "COLUMNS": "80",
    "LINES": "24",
}


@pytest.mark.slow
def test_what_was_said_goes_with_each_question() -> None:
    """Two questions in a pipe: with the second go the first and its answer."""
    done = subprocess.run(
        _COMMAND, env=_ENVIRONMENT, input="one\ntwo\n", capture_output=True, encoding="utf-8", check=True
    )

    lines = [line.split() for line in done.stdout.splitlines()]

    assert [["You", "asked:", "one"], ["You", "asked:", "two"]] == [
        words for words in lines if "asked:" in words
    ]
    assert [["1", "1"], ["3", "2"]] == [words for words in lines if words[:1] in (["1"], ["3"])]
    assert 2 == done.stdout.count("That is all 👩‍🚀.")
    assert ("", False) == (done.stderr, "\x1b" in done.stdout)


@pytest.mark.slow
def test_an_answer_that_fails_is_no_end_of_the_chat() -> None:
    """What went wrong is told, and the next question is asked."""
    done = subprocess.run(
        [*_COMMAND, "http://127.0.0.1:9/v1/chat/completions"],
        env=_ENVIRONMENT,
        input="one\ntwo\n",
        capture_output=True,
        encoding="utf-8",
        check=True,
    )

    assert 2 == done.stdout.count("\n[")
    assert 3 == done.stdout.count("you:")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="uses signals and terminals, which Windows has not")
def test_ctrl_c_stops_an_answer_and_keeps_what_came() -> None:
    """It stays on the screen and in the conversation, and the next question is asked."""
    ours, theirs = os.openpty()
    terminal = Terminal(80, 24)

    def read_until(words: str, times: int = 1) -> None:
        while "\n".join(terminal.texts).count(words) < times:
            terminal.feed(os.read(ours, 65_536).decode("utf-8", "ignore"))

    with subprocess.Popen(_COMMAND, env=_ENVIRONMENT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        read_until("you:")
        os.write(ours, b"one\n")
        read_until("You asked")
        process.send_signal(signal.SIGINT)
        read_until("[stopped]")
        read_until("you:", 2)
        os.write(ours, b"two\n")
        read_until("That is all")
        read_until("you:", 3)
        os.write(ours, b"\x04")
        assert 0 == process.wait()
    os.close(ours)
    shown = "\n".join(terminal.texts)

    assert (1, 1) == (shown.count("Answer 1"), shown.count("Answer 2"))
    assert 1 == shown.count("That is all")
    assert ["3", "2"] in [line.split() for line in terminal.texts]
    assert not terminal.cursor_is_hidden
