"""A text that the server repeats whole: a lost end is given, and any other difference is an error."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.openai_responses.payloads import (
    added,
    created,
    delta,
    done,
    ended,
    event,
    message,
    numbered,
    output_text,
    part_added,
)
from tests.support.chunkings import bytewise
from tests.support.wire import sse, sses
from tokenstream import Decoder, Job, Retry, Stream, Tags, resilient, testing
from tokenstream.errors import ProtocolError
from tokenstream.events import Event, PartDone, TextDelta
from tokenstream.formats._kit.whole_text import WholeText, settle

REPEATING = ["openai-responses", "openai-realtime"]
"""Formats whose end events repeat the text."""
COHERE_END: dict[str, Any] = {
    "is_finished": True,
    "event_type": "stream-end",
    "finish_reason": "COMPLETE",
    "response": {"text": "Hello there you all", "finish_reason": "COMPLETE"},
}


def response(deltas: list[str], *, done: str | None = None, completed: str | None = None) -> list[bytes]:
    """Return the events of a response with one text, told in deltas and again in its end events."""
    ends = [] if done is None else [event("output_text.done", content_index=0, text=done)]
    output = [] if completed is None else [message(output_text(completed))]
    begun = created(), added(message()), part_added()
    payloads = numbered(*begun, *map(delta, deltas), *ends, ended(output=output))
    return [sse(payload, event=payload["type"]) for payload in payloads]


def without_last_delta(format: Any) -> list[bytes]:
    texts = ("Hello there", " you", " all")
    chunks = testing.script().text(*texts).finish("stop").chunks(format)
    return [chunk for chunk in chunks if b" all" not in chunk or b"Hello" in chunk]


def read(chunks: list[bytes], format: Any = None) -> tuple[Decoder, list[Event]]:
    decoder = Decoder(format)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return decoder, events + decoder.end()


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("format", REPEATING)
def test_a_last_delta_that_was_lost_is_given(format: Any) -> None:
    """The reader's deltas add up to the message, which is the whole text, whatever the chunks are."""
    for chunks in (without_last_delta(format), [b"".join(without_last_delta(format))]):
        decoder, events = read(chunks, format)

        assert decoder.error is None
        assert "Hello there you all" == decoder.message.text == text_of(events)
        assert ("complete", 1) == (decoder.message.ending, decoder.departures.details["text_completed"])


def test_the_end_of_coheres_first_version_repeats_the_text() -> None:
    pieces = [
        {"is_finished": False, "event_type": "text-generation", "text": text} for text in ("Hello", " there")
    ]
    start = {"is_finished": False, "event_type": "stream-start", "generation_id": "g"}
    decoder, events = read([json.dumps(payload).encode() + b"\n" for payload in (start, *pieces, COHERE_END)])

    assert ("cohere", None) == (decoder.format, decoder.error)
    assert "Hello there you all" == decoder.message.text == text_of(events)


@given(
    st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=6), st.data(), st.booleans(), st.booleans()
)
def test_any_deltas_lost_at_the_end_come_with_the_whole_text(
    pieces: list[str], data: st.DataObject, in_done: bool, bytes_alone: bool
) -> None:
    """Only where all that is lost is white space does the message stay as it came."""
    whole = "".join(pieces)
    kept = pieces[: data.draw(st.integers(1, len(pieces)))]
    body = b"".join(response(kept, done=whole if in_done else None, completed=whole))
    decoder, events = read(bytewise(body) if bytes_alone else [body])

    assert decoder.error is None
    assert decoder.message.text == text_of(events)
    assert whole.strip() == decoder.message.text.strip()
    if whole.strip() != "".join(kept).strip():
        assert whole == decoder.message.text


@pytest.mark.parametrize(
    ("deltas", "whole", "arrived", "position"),
    [
        (["Hex"], "Hello", 3, 2),
        (["Hel", "lo", "lo"], "Hello", 7, 5),
        (["lo"], "Hello", 2, 0),
        (["Jello"], "Hello", 5, 0),
    ],
)
@pytest.mark.parametrize("field", ["done", "completed"])
def test_another_text_than_the_deltas_is_an_error(
    deltas: list[str], whole: str, arrived: int, position: int, field: Any
) -> None:
    texts: dict[str, Any] = {field: whole}
    for chunks in (response(deltas, **texts), [b"".join(response(deltas, **texts))]):
        decoder, events = read(chunks)

        assert type(decoder.error) is ProtocolError
        assert not decoder.error.retryable
        assert f"{arrived} characters arrived" in str(decoder.error)
        assert f"repeats {len(whole)}, and the first difference is at character {position}" in str(
            decoder.error
        )
        assert whole not in str(decoder.error)
        assert ("failed", "".join(deltas)) == (decoder.message.ending, decoder.message.text)
        assert text_of(events) == "".join(deltas)


@pytest.mark.parametrize(
    ("deltas", "whole"), [(["Hello\n"], "Hello"), (["\n\nHel", "lo"], "Hello"), (["Hello"], "Hello ")]
)
def test_white_space_at_the_ends_is_only_counted(deltas: list[str], whole: str) -> None:
    """Servers trim what they repeat."""
    decoder, _ = read(response(deltas, completed=whole))

    assert (None, "complete") == (decoder.error, decoder.message.ending)
    assert ("".join(deltas), ["text_rewritten"]) == (decoder.message.text, list(decoder.departures.details))


def test_white_space_at_the_start_hides_no_lost_end() -> None:
    """The missing end follows what was shown."""
    decoder, _ = read(response(["\nHel"], completed="Hello"))

    assert ("\nHello", None) == (decoder.message.text, decoder.error)


def test_the_given_end_comes_before_the_end_of_its_part() -> None:
    """A reader of events sees a text that grows, and then ends whole."""
    _, events = read(response(["Hel"], completed="Hello"))
    kinds = [event.__class__ for event in events if isinstance(event, TextDelta | PartDone)]
    done = next(event for event in events if isinstance(event, PartDone))

    assert [TextDelta, TextDelta, PartDone] == kinds
    assert done.content is not None
    assert "Hello" == getattr(done.content, "text", None)


def test_a_checkpoint_between_the_missing_end_and_the_rest_loses_nothing() -> None:
    """The end that was given counts as an event like any other."""
    chunks = response(["Hel"], completed="Hello")
    _, events = read(chunks)
    for place in range(1, len(events)):
        with Stream([b"".join(chunks)]) as stream:
            for _ in range(place):
                next(stream)
            checkpoint = stream.checkpoint()
        rest = chunks[int(checkpoint.position or 0) + 1 :]
        with Stream(rest, job=Job("job", checkpoint=checkpoint)) as restored:
            assert "Hello" == restored.final().text


@pytest.mark.parametrize("completed", ["Hello", "Hel"])
def test_the_end_of_a_response_may_have_more_than_the_end_of_its_item(completed: str) -> None:
    """The item's end was sent before the text was whole; the part still ends once more after its text."""
    chunks = response(["Hel"], done="Hel", completed=completed)
    chunks.insert(-1, sse(event("content_part.done", content_index=0, part=output_text("Hel"))))
    decoder, events = read(chunks)

    assert (completed, completed, "complete") == (
        decoder.message.text,
        text_of(events),
        decoder.message.ending,
    )
    assert decoder.message.parts[0].complete
    assert ("text_completed" in decoder.departures.details) == (completed == "Hello")


def test_a_text_with_tags_is_compared_with_its_tags() -> None:
    """The end that was lost is split like any text, and another text is an error."""
    deltas = ["<think>a</think>", "Hel"]
    whole = "<think>a</think>Hello"
    lost = Stream(response(deltas, done=whole, completed=whole), tags=Tags(reasoning=True)).final()
    tagged = Stream(response(["<think>a"], done="<think>ab</think>Hi!"), tags=Tags(reasoning=True)).final()

    assert ("a", "Hello") == (lost.reasoning, lost.text)
    assert ("ab", "Hi!") == (tagged.reasoning, tagged.text)
    for other in ("<think>a</think>Goodbye", "<think>b</think>Hello", "<think>a</think>He1"):
        with pytest.raises(ProtocolError, match="differs from its deltas") as caught:
            Stream(response(deltas, done=other), tags=Tags(reasoning=True)).final()
        assert ("a", "Hel") == (caught.value.partial.reasoning, caught.value.partial.text)


def test_after_the_end_of_an_item_with_tags_any_other_text_is_an_error() -> None:
    whole = "<think>a</think>Hel"
    end = sse(done(message(output_text(whole), status="completed")))
    for other in (whole + "lo", "<think>a</think>HALLO"):
        chunks = response([whole], done=whole, completed=other)
        chunks.insert(-1, end)
        stream = Stream(chunks, tags=Tags(reasoning=True))
        with pytest.raises(ProtocolError, match="differs from its deltas"):
            stream.final()

        assert ("a", "Hel") == (stream.message.reasoning, stream.message.text)


@given(st.text("ab<think>/ ", max_size=30), st.data())
def test_any_lost_end_of_a_text_with_tags_is_given(whole: str, data: st.DataObject) -> None:
    ends = sorted(data.draw(st.lists(st.integers(0, len(whole)), min_size=1, max_size=4)))
    deltas = [whole[start:end] for start, end in pairwise([0, *ends])]
    lost = Stream(response(deltas, done=whole), tags=Tags(reasoning=True)).final()
    plain = Stream(response([whole], done=whole), tags=Tags(reasoning=True)).final()

    assert (plain.reasoning, plain.text) == (lost.reasoning, lost.text)


@pytest.mark.parametrize(
    ("tokens", "whole", "text"),
    [(["Hel"], "Hello", "Hello"), (["Hel", "lo###"], "Hello", "Hello###"), (["Hello "], "Hello", "Hello ")],
)
def test_tgi_may_cut_the_text_that_it_repeats_but_not_add_to_it(
    tokens: list[str], whole: str, text: str
) -> None:
    """Stop sequences are cut off by design; a token that was lost is given."""
    details = {"finish_reason": "eos_token", "generated_tokens": 2, "seed": None}
    payloads: list[dict[str, Any]] = [
        {"index": 1, "token": {"id": 1, "text": token, "special": False}, "generated_text": None}
        for token in tokens
    ]
    end = {"index": 9, "token": {"id": 2, "text": "</s>", "special": True}}
    payloads.append({**end, "generated_text": whole, "details": details})
    decoder, events = read(sses(*payloads), "tgi")

    assert (text, text, None) == (decoder.message.text, text_of(events), decoder.error)


def test_an_end_that_was_lost_is_given_in_a_resumed_answer() -> None:
    chunks = response(["Hello", " there"], done="Hello there you", completed="Hello there you")
    chunks = [chunk.replace(b'"response": {', b'"response": {"background": true, ') for chunk in chunks]
    positions: list[Any] = []

    def opened(attempt: Any) -> list[bytes]:
        positions.append(attempt.sequence)
        return chunks[:4] if attempt.mode == "start" else chunks[4:]

    stream = resilient(opened, Retry(wait=0), format="openai-responses")

    assert "Hello there you" == "".join(stream.text) == stream.message.text
    assert [None, 3] == positions


def test_the_whole_texts_of_many_parts_take_linear_time() -> None:
    """One payload may repeat thousands; eight times as many take eight times as long, and not sixty-four."""

    def seconds(count: int) -> float:
        wholes: list[Any] = [WholeText("a", 0, part=part) for part in range(count)]
        begun = time.thread_time()
        settle(wholes, lambda _: "", lambda _: None)
        return time.thread_time() - begun

    assert min(seconds(8_000) for _ in range(3)) < 24 * max(0.002, *[seconds(1_000) for _ in range(3)])
