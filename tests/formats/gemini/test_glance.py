"""Gemini: what is read at a glance, as an event or as an element of an array, and the counts beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.gemini.payloads import STOP, Payload, chunk, text, thought
from tokenstream import Decoder, Stream
from tokenstream.errors import ProtocolError
from tokenstream.events import ReasoningDelta, TextDelta, UsageUpdate

Way: TypeAlias = Callable[[list[Payload]], list[bytes]]


def counted(part: Payload, count: int) -> Payload:
    report = {"promptTokenCount": 7, "candidatesTokenCount": count, "totalTokenCount": 7 + count}
    return {**chunk(part), "usageMetadata": report}


def answer(thoughts: int, texts: int) -> list[Payload]:
    """Return an answer in small pieces, each with the counts so far."""
    parts = [thought(f"hm{n} ") for n in range(thoughts)] + [text(f"word{n} ") for n in range(texts)]
    return [counted(part, n + 1) for n, part in enumerate(parts)]


def _events(foot: bytes) -> Way:
    return lambda payloads: [b"data: " + json.dumps(payload).encode() + foot for payload in payloads]


def _array(before: bytes, after: bytes, indent: int | None) -> Way:
    """Return what writes elements of an array, with these bytes around each but the first."""

    def write(payloads: list[Payload]) -> list[bytes]:
        written = [json.dumps(payload, indent=indent).encode() for payload in payloads]
        return [b"[" + written[0] + after, *[before + each + after for each in written[1:]]]

    return write


WAYS: dict[str, Way] = {
    "events, LF": _events(b"\n\n"),
    "events, CRLF": _events(b"\r\n\r\n"),
    "array, comma first": _array(b",\n", b"\n", 2),
    "array, comma first, CRLF": _array(b",\r\n", b"", 2),
    "array, comma last": _array(b"", b"\n,\r\n", 1),
    "array of lines": _array(b",", b"", None),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@each_way
def test_whole_chunks_read_at_a_glance_give_what_decoding_gives(way: Way) -> None:
    chunks = way([*answer(40, 300), *answer(5, 5), STOP])
    glanced, whole = Decoder("gemini"), Decoder("gemini")
    events = [event for each in chunks for event in glanced.feed(each)] + glanced.end()
    expected = whole.feed(b"".join(chunks)) + whole.end()

    assert events == expected
    assert [event.raw for event in events] == [event.raw for event in expected]
    assert glanced.message == whole.message
    assert sum(isinstance(event, ReasoningDelta) for event in events) == 45
    assert sum(isinstance(event, TextDelta) for event in events) == 305


@each_way
def test_the_message_has_the_counts_of_the_last_piece_at_any_time(way: Way) -> None:
    stream = Stream(iter(way(answer(30, 200))), format="gemini")
    counts = [0]
    reports = pieces = 0
    for event in stream:
        reports += isinstance(event, UsageUpdate)
        counts.append(stream.message.usage.output_tokens or 0)
        if isinstance(event, TextDelta | ReasoningDelta):
            pieces += 1
            assert counts[-1] == pieces
        if pieces == 177:
            stream.stop()
            break

    assert reports < 25
    assert counts == sorted(counts)
    assert stream.message.ending == "stopped"
    assert (stream.message.usage.output_tokens, stream.message.usage.basis) == (177, "partial")
    assert stream.checkpoint().messages[0].usage == stream.message.usage


@given(st.lists(st.sampled_from(["a", "\n", "é", '"', "\\", "}", ",", "]", "🌊"]), min_size=1, max_size=4))
def test_any_text_in_an_element_is_read_as_it_was_written(pieces: list[str]) -> None:
    decoder = Decoder("gemini")
    for each in WAYS["array, comma first"]([*answer(0, 9), *[chunk(text(piece)) for piece in pieces]]):
        decoder.feed(each)

    assert decoder.message.text == "".join([f"word{n} " for n in range(9)] + pieces)


@pytest.mark.parametrize("way", ["array, comma first", "array, comma last"])
def test_the_place_of_a_fault_counts_what_was_read_at_a_glance(way: str) -> None:
    """The offset is that of the body."""
    chunks = [*WAYS[way](answer(0, 60)), b"?"]
    decoder = Decoder("gemini")
    for each in chunks:
        decoder.feed(each)

    assert isinstance(decoder.error, ProtocolError)
    assert decoder.error.offset == sum(map(len, chunks)) - 1
    assert decoder.message.text == "".join([f"word{n} " for n in range(60)])
