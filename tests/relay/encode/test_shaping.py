"""A stream as the bytes of a protocol: its text is shaped on its way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.encoders import read_as
from tokenstream import Stream, relay, testing
from tokenstream.errors import MisuseError, StreamError, StreamInterrupted
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    Restarted,
    Stopped,
    TextDelta,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import Citation, Message, ReasoningPart, TextPart, Usage


def _text_of(chunks: Any) -> list[str]:
    return [event.text for event in Stream([b"".join(chunks)]) if isinstance(event, TextDelta)]


def test_text_is_shaped_on_its_way() -> None:
    """A number that comes in pieces is redacted, and words come whole; nobody is told of what was there."""
    said = testing.script().text("card 1234_5", "678_123", "4_5678 is", " his").text(" own").finish("stop")
    for name in ("tokenstream", "ndjson", "ui-message", "openai-responses", "anthropic"):
        body = b"".join(
            relay.encode(
                said.stream("openai-chat"), name, shape=lambda text: text.redact(r"[\d_]{19}").words()
            )
        )
        assert "card [redacted] is his own" == Stream([body], format=read_as(name)).final().text
        # No id has such a piece, whatever its digits.
        assert not re.search(rb"\d_\d", body)
    pieces = _text_of(relay.encode(said.stream("openai-chat"), shape=lambda text: text.words()))
    assert ["card", " 1234_5678_1234_5678", " is", " his", " own"] == pieces


def test_what_is_said_of_a_part_stays_after_its_text() -> None:
    """Ends and citations wait for the text before them; other parts do not."""
    events: list[Event] = [
        PartStart(TextPart(text="Hel")),
        TextDelta("lo wor"),
        CitationAdded(Citation(url="https://a.test"), part=1),
        ToolCallStart("c", "now", part=2),
        UsageUpdate(Usage(output_tokens=1)),
        TextDelta("ld"),
        PartDone(TextPart(text="Hello world")),
        Finish("stop"),
    ]
    found = list(relay.payloads(iter(events), shape=lambda text: text.words()))

    assert [
        "part_start",
        "text_delta",
        "tool_call_start",
        "usage_update",
        "text_delta",
        "citation_added",
        "part_done",
        "finish",
        "end",
    ] == [each["type"] for each in found]
    assert ["Hello", " world"] == [each["text"] for each in found if each["type"] == "text_delta"]


def test_held_text_comes_before_whatever_ends_the_answer() -> None:
    """A stop and an error let go of it; an answer that begins again drops it."""

    def shaped(*events: Event, error: StreamError | None = None) -> list[str]:
        def source() -> Iterator[Event]:
            yield from events
            if error is not None:
                raise error

        pieces = relay.payloads(source(), shape=lambda text: text.words())
        return [each.get("text", each["type"]) for each in pieces]

    assert ["a", "stopped", "end"] == shaped(TextDelta("a"), Stopped("no"))
    assert ["a", "error"] == shaped(TextDelta("a"), error=StreamInterrupted("no"))
    assert ["a", "end"] == shaped(TextDelta("a"))
    assert ["restarted", "b", "end"] == shaped(TextDelta("a"), Restarted(Message()), TextDelta("b"))


def test_a_part_that_ends_after_the_finish_is_not_sent_twice() -> None:
    """Gemini may name the finish reason before the last text has ended."""
    whole = TextPart(text="secret word", complete=True)
    restart: list[Event] = [Restarted(Message(), StreamInterrupted("cut")), TextDelta("secret word")]
    for again in (list[Event](), restart):
        events: list[Event] = [
            PartStart(TextPart()),
            TextDelta("secret wo"),
            TextDelta("rd"),
            Finish("stop"),
            *again,
            PartDone(whole),
        ]
        chunks = list(relay.encode(iter(events), shape=lambda text: text.redact("secret").words()))

        assert "[redacted] word" == Stream([b"".join(chunks)]).final().text


def test_text_after_a_finish_reason_is_redacted_like_any_other() -> None:
    """Gemini may name a reason with every chunk: the word after it began before it."""
    events: list[Event] = [
        PartStart(TextPart()),
        TextDelta("my sec"),
        Finish("stop"),
        TextDelta("ret word"),
        PartDone(TextPart(text="my secret word", complete=True)),
    ]
    chunks = list(relay.encode(iter(events), shape=lambda text: text.redact("secret")))
    message = Stream([b"".join(chunks)]).final()

    assert ("my [redacted] word", "stop") == (message.text, message.finish_reason)
    assert b"sec" not in b"".join(chunks)


def test_a_message_ends_before_another_one_of_its_step_begins() -> None:
    events: list[Event] = [
        MessageStart(),
        TextDelta("public words"),
        Finish("stop"),
        MessageStart(another=True),
        PartStart(ReasoningPart()),
        ReasoningDelta("hm"),
        PartDone(ReasoningPart(text="hm", complete=True)),
        Finish("stop"),
    ]
    found = list(relay.payloads(iter(events), shape=lambda text: text.words()))

    kinds = [each["type"] for each in found]
    assert ["message_start", "text_delta", "text_delta", "finish", "message_start"] == kinds[:5]
    assert "public words" not in str(found[5:])


def test_a_shape_gives_text_in_pieces() -> None:
    """What gives something else is refused where it stands, and so are payloads that it cannot reach."""
    for shape in (lambda text: text.accumulate(), lambda text: text.markdown_blocks(), lambda _: "text"):
        with pytest.raises(MisuseError, match="shape="):
            relay.encode([], shape=shape)
    with pytest.raises(MisuseError, match="raw=True"):
        relay.encode([], raw=True, shape=lambda text: text.words())


def test_choices_and_steps_hold_their_own_text() -> None:
    first, second = TextDelta("a", part=0), TextDelta("b", part=1)
    first.step, second.step = "1", "2"
    done = Finish("stop")
    done.step = "1"
    steps: list[Event] = [first, second, done]
    choices: list[Event] = [TextDelta("a"), TextDelta("b", choice=1), Finish("stop")]
    for events in (steps, choices):
        found = list(relay.payloads(events, shape=lambda text: text.words()))
        assert ["a", "finish", "b", "end"] == [each.get("text", each["type"]) for each in found]


@pytest.mark.parametrize("end", [Stopped("off topic"), Restarted(Message(), StreamInterrupted("cut"))])
def test_what_ends_one_step_leaves_the_text_of_another(end: Event) -> None:
    events: list[Event] = [
        TextDelta("a"), TextDelta("key 12", part=1), end, TextDelta("34", part=1), Finish("stop")
    ]  # fmt: skip
    for event, step in zip(events, "12122", strict=True):
        event.step = step
    found = list(relay.payloads(events, shape=lambda text: text.redact(r"\d{4}")))
    assert "key [redacted]" == "".join(each["text"] for each in found if each.get("part") == 1)
