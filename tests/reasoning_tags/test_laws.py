"""Reasoning that a model writes into its text between tags, in any format and at any cut."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reasoning_tags.support import SCRIPT, decoded, parts_of
from tests.support.chunkings import bytewise, per_event, seeded, several, whole
from tests.support.cut_texts import any_pieces
from tests.support.encoders import load
from tests.support.reading import aread, read
from tests.support.recordings import Recorded, folder_of, ours, shared
from tests.support.sampling import part_of
from tests.support.tables import in_one_test
from tests.support.wire import DONE, chat
from tokenstream import Message, Stream, Tags, testing
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import StreamTruncated
from tokenstream.events import PartStart, ReasoningDelta, TextDelta

_TAGGED = [each for each in shared("openai-chat", "anthropic") if b"<think" in each.body]
"""Recordings of models that think in their text."""

_WORDS = ["<think>", "</think>", "<Thought>", "</thought>", "`", "```", "\n", " ", "a", "<thi", "nk>", "é"]


def _expected(message: Message) -> list[tuple[str, str]]:
    """Return what the parts of a message are to become, whose texts are read whole."""
    told: list[tuple[str, str]] = []
    for kind, said in parts_of(message):
        is_split = kind == "text" and said
        told += (
            parts_of(Stream([said], format="pieces", tags=Tags(reasoning=True)).final())
            if is_split
            else [(kind, said)]
        )
    return told


def _holds(recorded: Recorded, chunkings: list[list[bytes]]) -> None:
    options: dict[str, Any] = {"format": "text"} if recorded.format == "text" else {}
    plain, plain_events = decoded(per_event(recorded.body), **options)
    grown = [event.part for event in plain_events if isinstance(event, TextDelta | ReasoningDelta)]
    # With tags, a part begins with its first content, and not where the provider has opened it without any.
    in_order = list if [*dict.fromkeys(grown)] == sorted({*grown}) else sorted
    if not recorded.expected.get("choices"):
        return
    for chunks in chunkings:
        decoder, found = decoded(chunks, tags=Tags(reasoning=True), **options)

        assert [in_order(_expected(message)) for message in plain.messages] == [
            in_order(parts_of(each)) for each in decoder.messages
        ]
        assert type(plain.error) is type(decoder.error)
        if parts_of(plain.message) == parts_of(decoder.message):
            assert plain.messages == decoder.messages
        again = Accumulator()
        for event in found:
            again.feed(event)
        assert [each.parts for each in decoder.messages] == [each.parts for each in again.messages]


@pytest.mark.few_rows(8)
@in_one_test("recorded", ours() + _TAGGED, ids=lambda recorded: recorded.name, by=folder_of)
def test_texts_become_what_a_reader_of_the_whole_would_make_of_them(recorded: Recorded) -> None:
    """Tags are taken out, in the order of the text; an answer without them is the same."""
    _holds(recorded, [per_event(recorded.body), seeded(recorded.body, recorded.name)])


@pytest.mark.slow
@pytest.mark.parametrize("recorded", part_of(shared(), one_in=3), ids=lambda recorded: recorded.name)
def test_recordings_of_real_servers_keep_the_same_law(recorded: Recorded) -> None:
    _holds(recorded, [whole(recorded.body), seeded(recorded.body, recorded.name)])


@pytest.mark.not_quick
@pytest.mark.parametrize("recorded", _TAGGED, ids=lambda recorded: recorded.name)
def test_sync_and_async_are_the_same_at_every_cut(recorded: Recorded) -> None:
    expected = read(per_event(recorded.body), tags=Tags(reasoning=True))

    assert "<think" not in expected.message.text
    assert "<" not in expected.message.reasoning[:20]
    for chunks in several(recorded.body, recorded.name).values():
        assert expected.seen() == read(chunks, tags=Tags(reasoning=True)).seen()
        assert expected.seen() == anyio.run(partial(aread, chunks, tags=Tags(reasoning=True))).seen()


_TEXT = (
    testing.script()
    .text("<think>\nLet me", *[" see"] * 40, ".</thi", "nk>\n\nHello ", *["world "] * 40, "<thought>unclosed")
    .finish("stop")
)


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("format", testing.all_formats)
def test_every_format_tells_of_reasoning_in_its_text(format: str) -> None:
    """Parts have indexes without gaps, and calls keep their arguments, whatever the chunks."""
    with_calls = "tool_call" in load(format).expresses
    script = SCRIPT if with_calls else _TEXT
    reasoning = "Let me" + " see" * 40 + "."
    text = "Hello " + "world " * 40
    chunks = script.chunks(format)
    decoder, events = decoded(chunks, format=format, tags=Tags(reasoning=True))
    told = [each for each in parts_of(decoder.message) if each != ("text", "")]

    assert decoder.error is None
    if with_calls:
        assert [("reasoning", reasoning), ("text", text + "`<think>` is")] == told[:2]
        assert [("text", "and "), ("reasoning", "more"), ("text", "bye")] == told[-3:]
        assert decoder.message.tool_calls[0].arguments == {"zone": "UTC", "at": "x" * 50}
    else:
        assert [("reasoning", reasoning), ("text", text), ("reasoning", "unclosed")] == told
    for chunking in (bytewise(b"".join(chunks)), seeded(b"".join(chunks), format)):
        other, same = decoded(chunking, format=format, tags=Tags(reasoning=True))

        assert events == same
        assert decoder.message == other.message
    begun = [event.part for event in events if isinstance(event, PartStart)]
    assert sorted(begun) == begun


@given(pieces=any_pieces(st.sampled_from(_WORDS)), cut=st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_split_as_the_stage_splits_it(pieces: list[str], cut: bool) -> None:
    """A stream goes by the scanner; nothing is lost where the answer is cut."""
    body = [chat({"content": piece}) for piece in pieces]
    end = [] if cut else [chat({}, "stop"), DONE]
    plain, _ = decoded([chat({"role": "assistant"}), *body, *end])
    decoder, _ = decoded([chat({"role": "assistant"}), *body, *end], tags=Tags(reasoning=True))

    assert _expected(plain.message) == parts_of(decoder.message)
    assert isinstance(decoder.error, StreamTruncated) is cut
