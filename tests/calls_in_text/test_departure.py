"""A call that a server left in a text, or the opening of its markup alone, is told as a departure."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.calls_in_text.support import BARE, WRITERS, Call
from tests.reasoning_tags.support import decoded, parts_of
from tests.support.chunkings import several
from tests.support.tables import in_one_test
from tests.support.wire import chat
from tokenstream import Stream, Tags, testing
from tokenstream._pipeline.machine import may_have_markup
from tokenstream.events import ToolCallStart
from tokenstream.stages._calls.dialects import DANGLING, DIALECTS, THOUGHTS, UNMARKED, UNMARKED_CALLS

LEAKS = {
    written: (dialect, write([Call("look", {"text": "x"})]))
    for written, (dialect, write) in WRITERS.items()
    if dialect not in BARE | {"gemma"}
}
TALK = [
    "Set `<tool_call>{` as the start word.",
    "It looks so:\n```xml\n<tool_call>\n{...}\n</tool_call>\n```\nThat is all.",
    "```python\nPARSER = '<|python_tag|>'\n```",
    "a < b, [TOOL_CALLS] and <function> are words, and so is <invoke>.",
    "The first tag is <tool_call>, the last one </tool_call>.",
    "x <tool_callbacks>{",
]


def _body(text: str) -> bytes:
    third = len(text) // 3
    return chat({"content": text[:third]}) + chat({"content": text[third:]}) + chat({}, "stop")


@pytest.mark.parametrize("written", LEAKS)
@pytest.mark.parametrize("around", ["{}", "Let me look.\n{}", "```py\n1\n```\n{} So."])
def test_the_departure_names_the_dialect(written: str, around: str) -> None:
    dialect, markup = LEAKS[written]
    text = around.replace("{}", markup)
    body = _body(text)
    cuts = random.Random(written).sample(range(len(body)), 3)
    for chunks in [[body], *[[body[:cut], body[cut:]] for cut in cuts]]:
        stream = Stream(chunks)
        message = stream.final()

        assert f"({dialect})" in stream.departures["call_in_text"].rule
        assert (text, ()) == (message.text, message.tool_calls)
        assert 1 == stream.departures.details["call_in_text"]


@pytest.mark.parametrize("dialect", ["llama_json", "pythonic", "gemma"])
def test_a_whole_text_is_a_call_of_an_offered_tool_alone(dialect: str) -> None:
    """Structured output may look the same, and so may code."""
    text = f" {WRITERS[dialect][1]([Call('look', {'text': 'x'})])}"
    for told, sent, tools in [
        (True, text, ["look"]),
        (False, text, ["see"]),
        (False, text, None),
        (False, f"{text}\nThat is all.", ["look"]),
        (False, text[:-4], ["look"]),
    ]:
        stream = Stream([_body(sent)], tools=tools)
        stream.final()

        assert told is ("call_in_text" in stream.departures.details)
        assert not told or f"({dialect})" in stream.departures["call_in_text"].rule


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ('Ok.\ncall:look{text:<|"|>x<|"|>}', "gemma4"),
        ('<call>look{text:<|"|>x<|"|>}', "gemma4"),
        ('functools[{"name": "look", "arguments": {"text": "x"}}]', "llama_json"),
        ('<tool_calls>\n<look text="x" />\n</tool_calls>', "tool_calls"),
        ('So: assistantcommentary to=functions.look json{"text": "x"}', "harmony"),
    ],
)
def test_a_form_that_is_not_read_is_reported(text: str, dialect: str) -> None:
    stream = Stream([_body(text)], tools=["look"])
    stream.final()

    assert f"({dialect})" in stream.departures["call_in_text"].rule


def test_a_call_of_a_tool_that_was_not_offered_is_reported() -> None:
    stream = Stream([_body(LEAKS["hermes"][1])], tools=["see"])
    stream.final()

    assert "(hermes)" in stream.departures["call_in_text"].rule


LONG = ["```" + LEAKS["hermes"][1] * 2_000, "<tool_call>" + " " * 20_000, "<tool_call" * 5_000]


@pytest.mark.parametrize("text", [*TALK, *LONG], ids=lambda text: text[:40])
def test_a_text_about_the_markup_is_no_call(text: str) -> None:
    stream = Stream([_body(text)])
    stream.final()

    assert "call_in_text" not in stream.departures.details


def test_harmony_may_name_the_tool_before_the_channel() -> None:
    stream = Stream([_body("<|start|>assistant to=functions.look<|channel|>commentary json<|message|>{}")])
    stream.final()

    assert "(harmony)" in stream.departures["call_in_text"].rule


OPENINGS = [opening for row in DIALECTS if not row.named_only for opening in row.openings]
FORMATS = ("openai-chat", "anthropic", "bedrock-converse", "gemini", "openai-responses")
BEFORE = "Let me look.\n\n"
CALL = '{"at":"x"}'
READING: dict[str, Any] = {"tags": Tags(calls=True), "tools": ["look"]}


def body(*texts: str, format: Any = "openai-chat", calls: bool = True) -> list[bytes]:
    script = testing.script().text(*texts)
    if calls:
        script = script.tool_call("look", CALL)
    return [*script.finish("tool_calls" if calls else "stop").chunks(format)]


def read(chunks: list[bytes], **options: Any) -> tuple[list[tuple[str, str]], set[str]]:
    decoder, _ = decoded(chunks, **options)
    parts = [
        (kind, said.replace(" ", "") if kind == "tool_call" else said)
        for kind, said in parts_of(decoder.message)
    ]
    return parts, {*decoder.departures.details}


def _is_left_out_or_told(format: Any, opening: str) -> None:
    for left in (opening, opening[:-1], opening + "\n"):
        for pieces in ([BEFORE + left], [BEFORE, *left]):
            sent = body(*pieces, format=format)
            parts, departures = read(sent, **READING)

            assert [("text", BEFORE), ("tool_call", CALL)] == parts
            assert "opening_left" not in departures
            assert "opening_left" in read(sent)[1]


@in_one_test(
    ("format", "opening"), [(each, one) for each in FORMATS for one in OPENINGS[FORMATS.index(each) :: 70]]
)
def test_an_opening_in_front_of_a_call_of_the_api_is_left_out_or_reported(format: str, opening: str) -> None:
    _is_left_out_or_told(format, opening)


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_every_opening_is_left_out_or_reported(format: str) -> None:
    for opening in OPENINGS:
        _is_left_out_or_told(format, opening)


@pytest.mark.parametrize("format", FORMATS)
def test_every_cut_gives_the_same(format: Any) -> None:
    sent = b"".join(body(BEFORE, "<tool_", "call>", format=format))
    for chunks in several(sent, format).values():
        assert [("text", BEFORE), ("tool_call", CALL)] == read(chunks, **READING)[0]


@pytest.mark.parametrize("format", FORMATS)
def test_an_opening_without_a_call_of_the_api_stays(format: Any) -> None:
    for text, calls in (
        (BEFORE + "<tool_call>", False),
        ("It begins with <tool_call> and goes on.", True),
        ("```\n<tool_call>\n```", True),
    ):
        parts, departures = read(body(text, format=format, calls=calls), **READING)

        assert ("text", text) == parts[0]
        assert not departures & {"opening_left"}
        assert "opening_left" not in read(body(text, format=format, calls=calls))[1]


@pytest.mark.parametrize("format", FORMATS)
def test_an_answer_that_is_cut_keeps_the_opening(format: Any) -> None:
    """Nobody knows if a call would have followed."""
    sent = body(BEFORE + "<tool_", "call>", format=format, calls=False)
    for count in range(1, len(sent) + 1):
        assert read(sent[:count])[0] == read(sent[:count], **READING)[0]


def test_a_stream_that_is_stopped_keeps_the_opening() -> None:
    sent = body(BEFORE + "<tool_call>", format="anthropic")
    for count in range(1, 9):
        with Stream(iter(sent), **READING) as stream:
            for number, event in enumerate(stream, 1):
                if number == count and not isinstance(event, ToolCallStart):
                    stream.stop()

        assert (BEFORE + "<tool_call>").startswith(stream.message.text)
        assert [part.kind for part in stream.message.parts if part.kind == "text"] in ([], ["text"])


def test_each_markup_has_what_is_searched_for_first() -> None:
    """A text without that is not searched for calls and reasoning, whose readers are then not loaded."""
    rows = (*DIALECTS, *THOUGHTS.values(), UNMARKED, UNMARKED_CALLS)
    marks = [*DANGLING, *(opening for row in rows for opening in row.openings)]
    marks += [end for row in (*THOUGHTS.values(), UNMARKED) for end in (*row.ends, *row.closes)]
    assert [] == [mark for mark in marks if may_have_markup(mark) is None]
