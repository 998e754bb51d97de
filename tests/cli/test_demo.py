"""The demo, as a user meets it: piped, in a terminal, without rich, interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.packages import needed
from tokenstream.cli import _demo as demo
from tokenstream.cli import _screen, main
from tokenstream.cli._screen import RichScreen, Screen
from tokenstream.testing._serve.server import refusal

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(
    os.name != "posix", reason="uses signals, terminals and pipes, which Windows has not"
)

_COMMAND = [sys.executable, "-m", "tokenstream", "demo"]
_WITHOUT_RICH = [
    sys.executable,
    "-c",
    (
        "import sys; sys.modules['rich'] = None\n"
        "from tokenstream.cli import main; sys.exit(main(['demo', '--fast']))"
    ),
]


def _environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONUTF8": "1", "COLUMNS": "80", "TERM": "xterm-256color", **changes}


def _piped(command: list[str], **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        env=_environment(**changes),
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def shown() -> str:
    done = _piped([*_COMMAND, "--fast"])

    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


@pytest.mark.parametrize(
    "words",
    [
        "From the outside, two things look alike.",
        "An answer arrives in **pieces**, and a piece may end *anywhere*",
        "name Pancakes serves 4 vegetarian True ingredient 1 250 g flour",
        "step 3 Fry thin pancakes in hot butter.",
        'tool call: measure_gaps {"url": "https://chat.example.com/v1", "seconds": 30}',
        "reasoning: What survives when a stream is cut?",
        "Keep the text, and say that it is unfinished.",
        "A naïve café in 東京 arrives whole all the same. 🚀",
        "have to stay, [StreamInterrupted; asking again in 0.0 s] because they lie",
        "now. [StreamTruncated; asking again in 0.0 s] [StatusError; asking again in 0.0 s] tool call: ",
        'tool call: delete_folder {"path": "/srv/recordings/older/2024-winter", "force": true}',
        "stream.attempts: StreamInterrupted, StreamTruncated, StatusError, whole",
        "finish tool usage time to tokens answer reason ending calls in + out first token per second",
        "openai-chat tool_calls complete 2 61 + 135 ",
        "anthropic tool_calls complete 1 88 + 146 ",
        "text - complete 0 - ",
        "gemini stop complete 0 52 + 173 ",
        "openai-responses stop complete 0 95 + 88 ",
        "openai-chat tool_calls complete 1 74 + 76 ",
    ],
)
def test_a_pipe_gets_every_answer_and_the_table(shown: str, words: str) -> None:
    """Text, reasoning, calls, what a cut leaves, and a row for each answer."""
    assert words in " ".join(shown.split())


def test_each_answer_is_followed_by_its_metrics(shown: str) -> None:
    """Times of the first of each kind, the gaps, and the tokens with the source of their count."""
    marks = re.findall(r"^first: byte [\d.]+ s, token [\d.]+ s, text [\d.]+ s", shown, re.MULTILINE)
    gaps = re.findall(r"^gaps: p50 [\d,.]+ ms, p95 [\d,.]+ ms, p99 [\d,.]+ ms, max", shown, re.MULTILINE)
    tokens = re.findall(r"^([\d,]+) tokens, (\w+), [\d,]+ per second$", shown, re.MULTILINE)

    assert 6 == len(marks) == len(gaps)
    assert 3 == shown.count(", tool call 0.")
    assert [("135", "reported"), ("146", "reported")] == tokens[:2]
    assert "estimated" == tokens[2][1]


def test_a_pipe_gets_plain_text_of_eighty_columns(shown: str) -> None:
    """No control sequences, and nothing that a terminal of the usual width would break."""
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_what_was_shown_before_a_cut_is_not_shown_again(shown: str) -> None:
    """The last answer broke off in its text and in its call, and is shown once: four calls in all."""
    assert 1 == shown.count("The recordings of last winter") == shown.count("the old ones now.")
    assert 4 == shown.count("tool call: ")
    assert 1 == shown.count("tool call: delete_folder")


def test_the_demo_does_without_rich() -> None:
    """The extra is missing, and the demo is as complete as in a pipe."""
    done = _piped(_WITHOUT_RICH)

    assert (0, "") == (done.returncode, done.stderr)
    assert 2 == done.stdout.count("openai-chat       tool_calls  complete")


@pytest.mark.slow
def test_characters_that_the_output_lacks_become_question_marks() -> None:
    """An output that knows ASCII alone is no reason to fail."""
    done = _piped([*_COMMAND, "--fast"], PYTHONUTF8="0", PYTHONIOENCODING="ascii")

    assert (0, "") == (done.returncode, done.stderr)
    assert "A na?ve caf? in ?? arrives whole" in done.stdout


def _in_a_terminal(command: list[str]) -> tuple[int, str]:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=_environment()
    ) as process:
        os.close(theirs)
        output = b""
        try:
            while piece := os.read(ours, 65_536):
                output += piece
        except OSError:
            # Linux's way to say that the terminal's other side is closed.
            pass
        finally:
            os.close(ours)
    return process.returncode, output.decode()


@posix
def test_a_terminal_is_drawn_on_by_rich() -> None:
    """Reasoning is dimmed, headings and endings are coloured."""
    status, output = _in_a_terminal([*_COMMAND, "--fast"])

    assert 0 == status
    assert "\x1b[2mreasoning: " in output
    assert "\x1b[32mcomplete" in output
    assert "\x1b[1mpieces\x1b[0m" in output
    assert "✓" in output
    assert "pip install" not in output


@pytest.mark.slow
@posix
def test_a_terminal_without_rich_gets_plain_text_and_one_hint() -> None:
    """The hint names the extra; nothing else changes."""
    status, output = _in_a_terminal(_WITHOUT_RICH)

    assert 0 == status
    assert 1 == output.count("pip install 'llm-tokenstream[rich]'")
    assert "\x1b" not in output


@posix
def test_ctrl_c_in_the_middle_of_an_answer_ends_the_demo() -> None:
    """Words are out before the answer is over; then one word, no traceback, and the status of shells."""
    with subprocess.Popen(
        _COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        output = b""
        while b"From the outside" not in output:
            output += os.read(process.stdout.fileno(), 65_536)
        process.send_signal(signal.SIGINT)
        complaint = process.stderr.read()

    assert (130, b"\ninterrupted\n") == (process.wait(), complaint)
    assert b"2/6" not in output


@posix
def test_a_pipe_that_closes_early_ends_the_demo_quietly() -> None:
    """As in `… demo | head -1`."""
    with subprocess.Popen(
        [*_COMMAND, "--fast"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()

    assert (141, b"") == (process.wait(), complaint)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["dmeo"], "invalid choice: 'dmeo'"),
        (["demo", "--quick"], "unrecognized arguments: --quick"),
    ],
)
def test_a_wrong_command_line_is_explained(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Argparse names what is wrong, and the status is 2."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert 2 == caught.value.code
    assert complaint in capsys.readouterr().err


def test_the_demo_can_be_run_from_a_program(shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`main` prints what the command prints, up to the times, and returns the status."""
    assert 0 == main(["demo", "--fast"])
    assert _timeless(shown) == _timeless(capsys.readouterr().out)


def _timeless(shown: str) -> str:
    return re.sub(r"\d[\d,.]*( m?s| per second)", "", shown.partition("finish  ")[0])


def _ends_with(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> int:
    def ends(**_: object) -> int:
        raise error

    monkeypatch.setattr(demo, "run", ends)
    return main(["demo"])


def test_an_interruption_gives_the_status_of_shells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """128 and the signal's number; one word on standard error."""
    assert 130 == _ends_with(KeyboardInterrupt, monkeypatch)
    assert ("", "\ninterrupted\n") == capsys.readouterr()


def test_after_a_broken_pipe_nothing_is_written_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Output still held at exit is discarded, so that Python has no reason to complain."""
    with (tmp_path / "output").open("w", encoding="utf-8") as output:
        monkeypatch.setattr(sys, "stdout", output)

        assert 141 == _ends_with(BrokenPipeError, monkeypatch)
        output.write("late")

    assert "" == (tmp_path / "output").read_text(encoding="utf-8")


def test_any_text_stream_may_stand_in_for_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one in memory, which has no encoding to soften."""
    monkeypatch.setattr(sys, "stdout", output := StringIO())

    assert 0 == main(["demo", "--fast"])
    assert "naïve café" in output.getvalue()


def test_the_status_tells_that_an_answer_did_not_end_as_it_should(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A demo whose server fails says so, and shows the rest all the same."""
    monkeypatch.setattr(demo.DemoRun, "replies", lambda *_, **__: [refusal(400, "out of order")])

    assert 1 == main(["demo", "--fast"])
    assert 6 == capsys.readouterr().out.count("StatusError: ")


def test_the_demo_takes_less_than_twenty_five_seconds() -> None:
    """The pauses that the server makes add up to about fifteen."""
    pauses = [delay for run in demo.RUNS for reply in run.replies(fast=False) for delay, _ in reply.chunks]

    assert 10 < sum(pauses) < 18
    assert max(pauses) < 1


def _printed(screen: Any, output: StringIO) -> str:
    screen.print_piece("one two")
    screen.print_piece(" three", "dim")
    screen.print_piece("\n\nfour")
    screen.print_line("five " * 20)
    screen.print_title("six")
    screen.print_table(("a\nb", "cd"), [[("1", "good"), ("2", "")]])
    return output.getvalue()


def test_words_move_to_the_next_line_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen's width is kept, at most 80 columns of it; a table is as wide as its cells."""
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys, "stdout", output := StringIO())

    assert (
        "one two three\n\nfour\n"
        "five five five five five five\nfive five five five five five\n"
        "five five five five five five\nfive five \n"
        "\n-- six -----------------------\n\n\n"
        "a\nb  cd\n-  --\n1  2\n"
    ) == _printed(Screen(), output)


def test_rich_draws_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Style is all that rich adds."""
    console = needed("rich.console")
    monkeypatch.setenv("COLUMNS", "30")
    output = StringIO()
    drawn = _printed(RichScreen(console.Console(file=output, force_terminal=True, width=30)), output)

    assert "\x1b[2m three\x1b[0m" in drawn
    assert "\nfive five five five five five\nfive" in drawn
    assert "six" in drawn
    assert "\x1b[32m1" in drawn


def test_a_terminal_is_given_to_rich_if_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the plain screen stands in, and says once what is missing."""
    needed("rich")
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)

    assert RichScreen is type(_screen.open_screen())

    monkeypatch.setitem(sys.modules, "rich.console", None)

    assert Screen is type(_screen.open_screen())
    assert "llm-tokenstream[rich]" in terminal.getvalue()
