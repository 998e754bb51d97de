"""An answer printed as it comes."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tokenstream import AsyncStream, Stream, testing
from tokenstream.errors import StreamTruncated

SCRIPT = testing.script().reasoning("Clouds, ", "so: ").text("It ", "rains.").finish("stop")
CHUNKS = SCRIPT.chunks("anthropic")


class Terminal(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self.shown.append(self.getvalue())


class Narrow(io.StringIO):
    encoding = "ascii"


@pytest.fixture(autouse=True)
def _colourful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def printed(chunks: list[bytes], file: Any, format: Any = "anthropic") -> str:
    with Stream(chunks, format=format) as stream:
        message = stream.print(file)
        assert stream.message == message
    return str(file.getvalue())


def test_each_piece_is_shown_when_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    printed(CHUNKS, terminal)
    with Stream(CHUNKS, format="anthropic") as stream:
        stream.print()

    assert "Clouds, so: \n\nIt rains.\n" == capsys.readouterr().out
    assert len(terminal.shown) >= 5
    assert "It " in terminal.shown[-3]


def test_reasoning_is_dimmed_where_the_terminal_can(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = "Clouds, so: \n\nIt rains.\n"

    assert "\x1b[2mClouds, so: \x1b[22m\n\nIt rains.\n" == printed(CHUNKS, Terminal())
    assert plain == printed(CHUNKS, io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert plain == printed(CHUNKS, Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert plain == printed(CHUNKS, Terminal())


def test_what_a_terminal_would_obey_is_printed_as_escapes() -> None:
    """Colours, titles, and the direction of writing are none of a model's business."""
    hostile = testing.script().text("a\x1b[31mb", "\u202ec\n").finish("stop").chunks("openai-chat")

    assert "a\\u001b[31mb\\u202ec\n" == printed(hostile, io.StringIO(), "openai-chat")


def test_a_letter_that_the_file_lacks_breaks_nothing() -> None:
    chunks = testing.script().text("Malmö ☂").finish("stop").chunks("openai-chat")

    assert "Malm\\xf6 \\u2602\n" == printed(chunks, Narrow(), "openai-chat")


def test_an_answer_that_breaks_off_ends_its_line() -> None:
    file = Terminal()
    with Stream(CHUNKS[:4], format="anthropic") as stream, pytest.raises(StreamTruncated):
        stream.print(file)

    assert file.getvalue().startswith("\x1b[2mCloud")
    assert file.getvalue().endswith("\x1b[22m\n")


def test_an_empty_answer_prints_nothing() -> None:
    assert "" == printed(testing.script().finish("stop").chunks("openai-chat"), io.StringIO(), "openai-chat")


@pytest.mark.anyio
async def test_an_async_stream_prints_the_same() -> None:
    file = io.StringIO()
    async with AsyncStream(CHUNKS, format="anthropic") as stream:
        assert "It rains." == (await stream.print(file)).text
    assert printed(CHUNKS, io.StringIO()) == file.getvalue()
