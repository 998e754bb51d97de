"""A tool call that a model has written in its text, where the server has not read it, is a departure."""

from __future__ import annotations

import random

import pytest

from tests.calls_in_text.support import BARE, WRITERS, Call
from tests.support.wire import chat
from tokenstream import Stream

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
