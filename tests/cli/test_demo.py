"""The demo, as a user meets it: piped, in a terminal, without rich, interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from importlib import metadata
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import COMMAND, RECORDINGS, posix, started
from tests.project import PYPROJECT, ROOT
from tests.support.packages import needed
from tokenstream import Stream
from tokenstream.cli import _demo as demo
from tokenstream.cli import main
from tokenstream.cli._demo import screen
from tokenstream.cli._demo.screen import RichScreen, Screen
from tokenstream.testing._serve.replies import refusal
from tokenstream.testing._serve.server import ReplayServer

if TYPE_CHECKING:
    from pathlib import Path

_COMMAND = [*COMMAND, "demo"]
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "httpx is a Python library for HTTP. It has the same calls",
        """>>> [call.run() for call in stream.validated_calls(version)]
# The same answer goes on with two calls of a function:
# version(package="httpx") runs in this process
# version(package="pydantic") runs in this process
""",
        f"| [{metadata.version('httpx')!r}, {metadata.version('pydantic')!r}]",
        "reasoning: A picnic in Oslo on Saturday.",
        "call: get_forecast {'city': 'Oslo', 'day': 'Saturday'}".replace("'", '"'),
        "name Pancakes serves 4 vegetarian True ingredient 1 250 g flour",
        "step 3 Fry thin pancakes in hot butter.",
        "## Reading a large file",
        ">>> show(error.partial) ending: truncated text: 177 characters call: delete_folder, not complete",
        "have to stay, # Cut here; a second request asked the model to go on. because the nightly report",
        'call: delete_folder {"path": "/srv/logs/2023/archive", "force": true}',
        "openai-chat complete 58 + 90 ",
        "anthropic complete 88 + 115 ",
        "gemini complete 52 + ",
        "openai-responses complete 95 + 88 ",
        "openai-chat truncated - ",
    ],
)
def test_a_pipe_gets_every_answer_and_the_table(shown: str, words: str) -> None:
    assert _joined(words) in _joined(shown)


def _joined(text: str) -> str:
    """Return a text without line breaks and without the margin of answers."""
    return " ".join(re.sub(r"^\|", "", text, flags=re.MULTILINE).split())


@pytest.mark.slow
def test_each_part_begins_with_the_line_that_it_runs(shown: str) -> None:
    firsts = re.findall(r"^-- \d/\d .*\n\n>>> (.*)$", shown, re.MULTILINE)
    expected = [part.code[0] if part.opening == demo.OPENING else part.opening for part in demo.PARTS]

    assert expected == firsts
    assert f">>> {demo.OPENING}\n" in shown


def test_the_code_that_is_shown_is_what_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = demo.PARTS[0]._replace(code=("sum(len(text) for text in stream.text)",))
    monkeypatch.setattr(demo, "PARTS", (part,))

    assert 0 == main(["demo", "--fast"])
    lines = capsys.readouterr().out.splitlines()
    code, *_, answer = lines[lines.index(f">>> {part.code[0]}") :][:3]
    length = len(Stream((RECORDINGS / "openai-chat.sse").read_bytes()).final().text)

    assert (f">>> {part.code[0]}", f"| {length}") == (code, answer)


@pytest.mark.slow
def test_what_is_said_of_the_sdks_is_what_was_measured(shown: str) -> None:
    """The numbers are those of docs/reports/conformance.md."""
    page = (ROOT / "docs" / "reports" / "conformance.md").read_text("utf-8")
    claimed = re.findall(r"(\d+) of (\d+)", _joined(shown.replace("#", "")))
    openai, anthropic = (f"{cuts} | {unnoticed} |" for unnoticed, cuts in claimed)

    assert "Here openai and anthropic return half an answer" in _joined(shown.replace("#", ""))
    assert f"| openai-chat | openai create(stream=True) | {openai}" in page
    assert f"| anthropic | anthropic stream() | {anthropic}" in page


def test_an_sdk_takes_the_cut_of_the_demo_for_an_end() -> None:
    """The bytes that the demo says this of, read as openai's documents say."""
    openai = needed("openai")
    cut = next(part.answer for part in demo.PARTS if part.ending == "truncated")
    assert cut is not None
    with (
        ReplayServer({"/v1/chat/completions": cut.replies(fast=True)[0]}) as server,
        openai.OpenAI(api_key="made-up", base_url=f"{server.url}/v1", max_retries=0) as client,
    ):
        chunks = list(client.chat.completions.create(model="demo-1", messages=[], stream=True))

    assert [] == [chunk for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]


@pytest.mark.slow
def test_a_pipe_gets_plain_text_of_sixty_columns(shown: str) -> None:
    """No control sequences, and nothing that a narrow terminal would break."""
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 60


@pytest.mark.slow
def test_the_end_says_where_to_go_on(shown: str) -> None:
    last = shown.splitlines()[-2:]

    assert [
        "Read on:    https://github.com/llm-tokenstream/tokenstream",
        "Try yours:  python -m tokenstream inspect --help",
    ] == last
    assert PYPROJECT["project"]["urls"]["Source"] in last[0]


@pytest.mark.slow
def test_what_was_shown_before_a_cut_is_not_shown_again(shown: str) -> None:
    retried = _joined(shown.partition("retry=Retry()")[2])

    assert 1 == retried.count("The logs of 2023") == retried.count("the old ones.")
    assert 1 == retried.count("call: delete_folder")


@pytest.mark.slow
def test_the_demo_does_without_rich() -> None:
    """The extra is missing, and the demo is as complete as in a pipe."""
    done = _piped(_WITHOUT_RICH)

    assert (0, "") == (done.returncode, done.stderr)
    assert 2 == done.stdout.count("openai-chat       complete")


@pytest.mark.slow
def test_characters_that_the_output_lacks_become_question_marks() -> None:
    """An output that knows ASCII alone is no reason to fail."""
    done = _piped([*_COMMAND, "--fast"], PYTHONUTF8="0", PYTHONIOENCODING="ascii")

    assert (0, "") == (done.returncode, done.stderr)
    assert re.search(r"ingredient 2 +\? l milk", done.stdout)


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


@pytest.mark.slow
@posix
def test_a_terminal_is_drawn_on_by_rich() -> None:
    """Remarks and reasoning are dimmed, endings are coloured, and answers have no margin."""
    status, output = _in_a_terminal([*_COMMAND, "--fast"])

    assert 0 == status
    assert "\x1b[2m# Asked: " in output
    assert "\x1b[2mreasoning: " in output
    assert "\r\nhttpx" in output
    assert "\x1b[32mcomplete" in output
    assert "\x1b[1mline by line\x1b[0m" in output
    assert "✓" in output
    assert "pip install" not in output


@pytest.mark.slow
@posix
def test_a_terminal_without_rich_gets_plain_text_and_one_hint() -> None:
    status, output = _in_a_terminal(_WITHOUT_RICH)

    assert 0 == status
    assert 1 == output.count("pip install rich")
    assert "\x1b" not in output


@pytest.mark.slow
@posix
def test_ctrl_c_in_the_middle_of_an_answer_ends_the_demo() -> None:
    """Words are out before the answer is over; then one word, no traceback, and the status of shells."""
    with started("demo") as process:
        output = b""
        while b"httpx is a" not in output:
            output += os.read(process.stdout.fileno(), 65_536)
        process.send_signal(signal.SIGINT)
        complaint = process.stderr.read()
        status = process.wait()

    assert (130, b"\ninterrupted\n") == (status, complaint)
    assert b"2/7" not in output


@pytest.mark.slow
@posix
def test_a_pipe_that_closes_early_ends_the_demo_quietly() -> None:
    with started("demo", "--fast") as process:
        process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()
        status = process.wait()

    assert (141, b"") == (status, complaint)


def _ends_with(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> int:
    def ends(**_: object) -> int:
        raise error

    monkeypatch.setattr(demo, "run", ends)
    return main(["demo"])


def test_an_interruption_gives_the_status_of_shells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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


@pytest.mark.slow
def test_any_text_stream_may_stand_in_for_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", output := StringIO())

    assert 0 == main(["demo", "--fast"])
    assert "½ l milk" in output.getvalue()


def test_the_status_tells_that_an_answer_did_not_end_as_it_should(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A demo whose server fails says so, and shows the rest all the same."""
    monkeypatch.setattr(demo.RecordedAnswer, "replies", lambda *_, **__: [refusal(400, "out of order")])

    assert 1 == main(["demo", "--fast"])
    assert len(demo.PARTS) == capsys.readouterr().out.count("StatusError: ")


def test_the_demo_takes_less_than_forty_seconds() -> None:
    """The pauses that the server makes add up to about thirty."""
    answers = [part.answer for part in demo.PARTS if part.answer is not None]
    replies = [reply for answer in answers for reply in answer.replies(fast=False)]
    pauses = [delay for reply in replies for delay, _ in reply.chunks]

    assert 20 < sum(pauses) < 36
    assert max(pauses) <= 2


def _printed(screen: Any, output: StringIO) -> str:
    screen.print_answer("one two")
    screen.print_answer(" three", "dim")
    screen.print_answer("\n\nfour")
    screen.print_caption("a remark of several words, and more")
    screen.print_code("code()")
    screen.print_line("five " * 20)
    screen.print_title("six")
    screen.print_table(("a\nb", "cd"), [[("1", "good"), ("2", "")]])
    return output.getvalue()


def test_words_move_to_the_next_line_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen's width is kept, at most 80 columns of it; a table is as wide as its cells."""
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys, "stdout", output := StringIO())

    assert (
        "| one two three\n|\n| four\n# a remark of several words,\n# and more\n>>> code()\n"
        "five five five five five five\nfive five five five five five\n"
        "five five five five five five\nfive five \n"
        "\n-- six -----------------------\n\n\n"
        "a\nb  cd\n-  --\n1  2\n"
    ) == _printed(Screen(), output)


def test_rich_draws_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    console = needed("rich.console")
    monkeypatch.setenv("COLUMNS", "30")
    output = StringIO()
    drawn = _printed(RichScreen(console.Console(file=output, force_terminal=True, width=30)), output)

    assert "\x1b[2m three\x1b[0m" in drawn
    assert "\nfive five five five five five\nfive" in drawn
    assert "six" in drawn
    assert "\x1b[32m1" in drawn


def test_a_terminal_is_given_to_rich_if_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    needed("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)

    assert RichScreen is type(screen.open_screen())

    monkeypatch.setenv("TERM", "dumb")

    assert Screen is type(screen.open_screen())

    monkeypatch.setitem(sys.modules, "rich.console", None)

    assert Screen is type(screen.open_screen())
    assert "pip install rich" in terminal.getvalue()
