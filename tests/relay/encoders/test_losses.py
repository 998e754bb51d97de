"""What every encoder owes: a place or an error for all that happens, whatever its shape."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.relay.encoders.support import each_format, each_provider
from tests.support.scripts import told
from tests.support.sent import decoded, losses_of, relayed
from tests.support.tables import in_one_test
from tokenstream import testing
from tokenstream.errors import NotExpressible
from tokenstream.events import (
    Event,
    Finish,
    PartDone,
    PartStart,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.message import MediaPart, OpaquePart, ServerToolCall, ToolCall

# -- what has no place ---------------------------------------------------------------------------


ABSENT: dict[str, tuple[str, Sequence[Event], str]] = {
    "reasoning": ("tgi", [ReasoningDelta("Hm", part=2)], "reasoning (part 2 of the answer)"),
    "tool_call": ("tgi", [ToolCallStart("c", "f")], "a tool call (part 0 of the answer)"),
    "custom_tool_call": (
        "anthropic",
        [ToolCallStart("c", "f", type="custom")],
        "a call of a custom tool (part 0 of the answer)",
    ),
    "server_tool_call": (
        "cohere",
        [PartStart(ServerToolCall(id="s", name="search"))],
        "a call of a tool that the provider runs (part 0 of the answer)",
    ),
    "opaque": (
        "openai-chat",
        [PartStart(OpaquePart(type="x", data={}))],
        "a part that only its own provider knows (part 0 of the answer)",
    ),
    "signature": ("openai-chat", [ReasoningDelta("", "sig")], "a signature of reasoning"),
    "invalid_tool_call": (
        "ollama",
        [
            ToolCallStart("c", "f"),
            ToolCallDone(ToolCall(id="c", name="f", arguments_text="free text", complete=True)),
        ],
        "arguments of a tool call that are no JSON object (part 0 of the answer)",
    ),
}


@pytest.mark.parametrize("kind", ABSENT)
def test_an_error_says_in_good_words_what_has_no_place(kind: str) -> None:
    format, events, named = ABSENT[kind]
    with pytest.raises(NotExpressible) as caught:
        relayed(format, *events)

    expected = f"the format {format!r} has no place for {named}: leave it out, or take another format"
    assert (expected, {kind}) == (str(caught.value), {*losses_of(format, *events, Finish("stop"))})
    assert "Hi" == decoded(relayed(format, *events, TextDelta("Hi", part=3), lossy=True), format).message.text


@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "gemini", "cohere"])
def test_half_a_surrogate_pair_is_sent_as_an_escape(format: str) -> None:
    """Bytes have no other way to say it."""
    sent = b"".join(relayed(format, TextDelta("a\ud83d"), Finish("stop")))

    assert b"a\\ud83d" in sent


@each_provider
def test_arguments_of_a_call_that_never_began_are_nothing(format: str) -> None:
    events = TextDelta("Hi"), Finish("stop")
    lost = ToolCallDelta("c", "{}", part=1)

    assert relayed(format, *events) == relayed(format, events[0], lost, events[1])


@pytest.mark.parametrize("format", ["gemini", "gemini-live", "gemini-interactions", "ui-message"])
def test_a_medium_whose_start_comes_twice_is_sent_once(format: str) -> None:
    """A start that comes again tells more of what it is, and nothing new that it holds."""
    start = PartStart(MediaPart(data=b"abc", mime_type="image/png"))
    (found,) = decoded(relayed(format, start, start, PartDone(), Finish("stop")), format).message.parts

    assert isinstance(found, MediaPart)
    assert (b"abc", "image/png") == (found.data, found.mime_type)


# -- scripts of odd shapes -------------------------------------------------------------------------


SHAPES: dict[str, testing.Script] = {
    "nothing": testing.script(),
    "only a finish": testing.script().finish(),
    "only usage": testing.script().usage(input_tokens=1, output_tokens=2).finish(),
    "text after calls": testing.script().text("A").tool_call("f", {"a": 1}).text("B").tool_call("g").finish(),
    "reasoning between": testing.script().reasoning("R").text("A").reasoning("S").text("B").finish(),
    "no arguments": testing.script().tool_call("f").tool_call("f", "").finish(),
    "no end": testing.script().text("A").tool_call("f", {"a": 1}),
}


@each_format
@in_one_test("shape", SHAPES)
def test_scripts_of_odd_shapes_are_read_as_they_are(format: str, shape: str) -> None:
    script = SHAPES[shape]
    try:
        chunks = script.chunks(format)
    except NotExpressible:
        assert format not in script.formats
        return
    again = decoded(chunks, format).message
    expected, found = told(script.message, format), told(again, format)
    if shape == "no end":
        # Whether the last call is whole is not told yet.
        expected.pop("tool_calls")
        found.pop("tool_calls")

    assert expected == found
