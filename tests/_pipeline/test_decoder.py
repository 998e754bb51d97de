"""The machine without a loop: bytes in, events out."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import ANSWER, TOKENS, chunk
from tests.support.chunkings import per_event
from tests.support.formats import Text
from tests.support.in_turns import Plain
from tests.support.recordings import Recorded, folder_of, ours
from tests.support.tables import in_one_test
from tests.support.wire import DONE, sse
from tokenstream import Decoder, Limits, Stream, testing
from tokenstream.errors import (
    LimitExceeded,
    MisuseError,
    NotAStream,
    ProtocolError,
    ProviderError,
    StreamInterrupted,
    StreamTruncated,
)
from tokenstream.events import Event, TextDelta, Unknown
from tokenstream.formats import text


def read(chunks: list[Any], **options: Any) -> tuple[list[Event], Decoder]:
    decoder = Decoder(**options)
    events: list[Event] = []
    for now, item in enumerate(chunks):
        events += decoder.feed(item, now=float(now))
    return events + decoder.end(now=float(len(chunks))), decoder


def test_it_is_a_stage() -> None:
    """`feed` and `end` return events; what went wrong is in `error`, and `check` raises it."""
    events, decoder = read(ANSWER)

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Let me see."
    assert decoder.error is None
    assert decoder.stop == "end"
    decoder.check()
    assert (decoder.message.ending, decoder.format) == ("complete", "openai-chat")
    assert decoder.messages == [decoder.message]
    assert decoder.metrics.chunks == len(ANSWER)
    assert decoder.metrics.first_text == 2.0


def test_after_an_error_nothing_more_is_taken() -> None:
    decoder = Decoder()
    decoder.feed(ANSWER[2])
    decoder.feed(sse('{"error": {"message": "busy"}}'))
    with pytest.raises(ProviderError) as caught:
        decoder.check()

    assert decoder.feed(ANSWER[3]) == []
    assert decoder.end() == []
    assert caught.value.partial == decoder.message
    assert decoder.message.text == "Let "
    assert decoder.message.ending == "failed"


def test_the_end_is_a_verdict() -> None:
    _, decoder = read(ANSWER[:5])

    assert isinstance(decoder.error, StreamTruncated)
    assert decoder.stop == "error"
    assert decoder.error.partial == decoder.message
    assert decoder.message.ending == "truncated"
    assert decoder.feed(ANSWER[6]) == []


def test_a_format_object_may_be_given() -> None:
    joined = text(joiner=" ")
    for _ in range(2):
        assert read([sse("The"), sse("cat"), DONE], format=joined)[1].message.text == "The cat"
    assert Decoder("mistral").format == "openai-chat"
    with pytest.raises(MisuseError, match="anthropic"):
        Decoder(cast("Any", "claude"))


@pytest.mark.few_rows(4)
@in_one_test("recorded", ours(), ids=lambda recorded: recorded.name, by=folder_of)
def test_what_is_read_at_a_glance_is_what_would_have_been_read(recorded: Recorded) -> None:
    """One event per chunk: the same events, payloads, message, departures and counts as in the plain way."""
    chunks = per_event(recorded.body)
    plain, other = read(chunks, format=Plain(recorded.format))
    for format in (None, recorded.format):
        events, decoder = read(chunks, format=format)

        assert events == plain
        assert [event.raw for event in events] == [event.raw for event in plain]
        assert decoder.message == other.message
        assert dict(decoder.departures) == dict(other.departures)
        assert decoder.metrics == other.metrics


PIECES = st.sampled_from(["a", " b", "\n", '"', "é", "\U0001f600", '"},"x', "\u2028", "\\", "data: x", "\t"])
ODD = st.sampled_from(
    [
        b": comment\n\n",
        b"event: x\n",
        b"id: 7\n\n",
        b"retry: 3\n\n",
        b"data: ",
        chunk({"content": "odd"}, model="other"),
        chunk({"content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "b"}, choice=1),
    ]
)


@given(items=st.lists(st.one_of(PIECES, PIECES, ODD), min_size=3, max_size=30), data=st.data())
def test_a_glance_never_differs_from_reading(items: list[str | bytes], data: st.DataObject) -> None:
    written = [item if isinstance(item, bytes) else chunk({"content": item}) for item in items]
    body = chunk({"content": "start"}) + b"".join(written)
    bounds = sorted({data.draw(st.integers(0, len(body))) for _ in range(2)})
    whole, decoder = read([body])
    chunks = [chunk({"content": "start"}), *written]
    cut = [body[start:end] for start, end in zip([0, *bounds], [*bounds, len(body)], strict=True)]
    for way in (chunks, cut, per_event(body)):
        events, other = read(way)

        assert [event.raw for event in events] == [event.raw for event in whole]
        assert events == whole
        assert other.message == decoder.message
        assert type(other.error) is type(decoder.error)
        assert dict(other.departures) == dict(decoder.departures)


def test_the_bound_on_text_is_met_at_a_glance_too() -> None:
    chunks = [chunk({"content": "abc"}) for _ in range(9)]
    events, decoder = read(chunks, limits=Limits(text=20))

    assert isinstance(decoder.error, LimitExceeded)
    assert decoder.error.limit == "text"
    assert "abc" * 7 == "".join(event.text for event in events if isinstance(event, TextDelta))
    assert decoder.message.text == "abc" * 7
    assert isinstance(read(chunks, limits=Limits(text=27))[1].error, StreamTruncated)


@pytest.mark.parametrize("kind", ["content", "reasoning_content", "refusal", "arguments"])
@pytest.mark.parametrize(
    "limits", [Limits(), Limits(text=17), Limits(text=18), Limits(body=2_500), Limits(event=220)]
)
def test_what_is_counted_at_a_glance_is_what_would_have_been_counted(kind: str, limits: Limits) -> None:
    """Metrics with gaps and stalls, events, messages and checkpoints: for choices in turns and bounds."""

    def delta(number: int, choice: int) -> bytes:
        if kind != "arguments":
            return chunk({kind: f"a{number}"}, choice=choice)
        call: dict[str, Any] = {"index": 0, "function": {"arguments": "[" if number < 2 else f"{number},"}}
        if number < 2:
            call = {**call, "id": f"call_{choice}", "type": "function"}
            call["function"]["name"] = "look"
        return chunk({"tool_calls": [call]}, choice=choice)

    turns = [0, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0]
    chunks = [delta(number, choice) for number, choice in enumerate(turns)]

    def told(format: Any) -> Any:
        decoder = Decoder(format, limits=limits)
        now, so_far = 0.0, list[Any]()
        for number, item in enumerate(chunks):
            now += (0.5, 0.1, 2.5)[number % 3]
            events = decoder.feed(item, now=now)
            seen = [(event, event.raw, getattr(event, "partial_arguments", None)) for event in events]
            so_far.append((seen, decoder.messages, decoder.metrics))
        decoder.end(now=now)
        error = decoder.error
        assert error is not None
        rules = decoder.departures.details
        return so_far, repr(error), error.events_seen, error.checkpoint, error.bytes_seen, rules

    assert told(Plain("openai-chat")) == told("openai-chat")


class _Bytes(bytes):
    """A kind of bytes, which says of itself that it was cut where it was not."""


def test_a_kind_of_bytes_is_read_for_what_it_is() -> None:
    """Comparing tells what was cut by which object comes back; of another class it is never the same one."""
    chunks = [chunk({"content": "abc"}) for _ in range(9)]
    odd = chunk({"content": "x"}, choice=1)
    events, decoder = read([*chunks, _Bytes(odd)])

    assert read([*chunks, odd])[0] == events
    assert ["abc" * 9, "x"] == [message.text for message in decoder.messages]


class _InTurns(Text):
    """A format whose shortcut gives each delta to another part than the last one."""

    def shortcut(self, unit: Any, max_size: int, before: bytes = b"", after: bytes = b"") -> Any:
        state = iter(range(1, 9))
        return lambda chunk: TextDelta(chunk[6:-2].decode(), part=next(state) % 2, raw=chunk)


def test_a_shortcut_may_lead_anywhere() -> None:
    _, decoder = read([sse("a"), sse("b"), sse("c"), sse("d")], format=_InTurns())

    assert ["ac", "bd"] == [part.text for part in decoder.message.parts if part.kind == "text"]


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_the_bound_on_a_body_gives_the_same_wherever_chunks_end(size: int) -> None:
    body = b"".join(chunk({"content": "abc"}) for _ in range(4))
    limits = Limits(body=len(body) * 3 // 4)
    events, decoder = read([body[start : start + size] for start in range(0, len(body), size)], limits=limits)

    assert [event.text for event in events if isinstance(event, TextDelta)] == ["abc"] * 3
    assert isinstance(decoder.error, LimitExceeded)
    assert decoder.error.limit == "body"


def test_an_exception_within_never_looks_like_the_end() -> None:
    """Ctrl-C while an event is decoded passes; feeding on says that it was broken off."""

    class Interrupted(Text):
        def feed(self, frame: Any, *, now: float = 0.0) -> list[Event]:
            raise KeyboardInterrupt

    decoder = Decoder(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        decoder.feed(TOKENS[0])
    decoder.check()
    assert decoder.feed(TOKENS[1]) == []
    assert isinstance(decoder.error, StreamInterrupted)
    assert decoder.message.ending == "truncated"


def test_garbage_after_the_finish_reason_is_a_broken_end() -> None:
    """An answer with a call without arguments is not complete: the garbage may have been these.

    A provider's own error, too, is an error only while such a call waits.
    """
    whole = testing.script().text("Hm.").finish().chunks("openai-chat")
    for garbage in (sse("{bad"), sse("a few words")):
        _, decoder = read([*ANSWER[:9], garbage, *ANSWER[9:]])

        assert isinstance(decoder.error, ProtocolError)
        assert "failed" == decoder.message.ending
        assert [True, False] == [call.complete for call in decoder.message.tool_calls]
        _, decoder = read([*whole[:-1], garbage])
        assert (None, "complete") == (decoder.error, decoder.message.ending)
        assert list(decoder.departures.details) == ["broken_after_finish"]
    _, decoder = read([*ANSWER[:9], sse('{"error": {"message": "late"}}')])
    assert isinstance(decoder.error, ProviderError)
    plain = testing.script().text("Hm.").finish().chunks("openai-chat")
    _, decoder = read([*plain[:-1], sse('{"error": {"message": "late"}}')])
    assert (None, "complete") == (decoder.error, decoder.message.ending)
    assert "error_after_finish" in decoder.departures.details


@in_one_test("name", ["keepalive", "status", "end", "ping"])
@in_one_test("data", [b"2026-11-20 10:00:00", b"ok", b"1", b"[1]", b'"x"'])
def test_a_named_event_in_no_format_is_never_fatal(name: str, data: bytes) -> None:
    odd = sse(data.decode(), event=name)
    for chunks in ([odd, *ANSWER], [*ANSWER[:4], odd, *ANSWER[4:]]):
        events, decoder = read(chunks)
        unknown = [event for event in events if isinstance(event, Unknown)]

        assert decoder.error is None
        assert decoder.message.text == "Let me see."
        assert decoder.format == "openai-chat"
        assert [(event.name, event.data) for event in unknown] == (
            [] if name in ("ping", "keepalive") else [(name, data.decode())]
        )


def test_any_number_of_pings_may_come_first() -> None:
    """A model that thinks for minutes."""
    _, decoder = read([sse('{"type": "ping"}', event="ping")] * 300 + ANSWER)

    assert decoder.message.ending == "complete"


def test_a_view_of_an_answer_whose_only_choice_is_another_one() -> None:
    body = [chunk({"content": "hi"}, choice=1), chunk({}, "stop", choice=1), DONE]
    stream = Stream(body)

    assert list(stream.text) == ["hi"]
    assert stream.message.text == "hi"
    assert stream.message.choice == 1


def test_a_line_that_is_too_long_is_refused_at_a_glance_too() -> None:
    chunks = [chunk({"content": "a"}) for _ in range(5)]
    limits = Limits(line=len(chunks[0]) + 50)
    _, decoder = read([*chunks, chunk({"content": "a" * 80})], limits=limits)

    assert isinstance(decoder.error, LimitExceeded)
    assert decoder.error.limit == "line"


def test_unknown_events_say_what_is_known() -> None:
    """The error lists the formats and the keys, and shows the payload in `.body`, not in its message."""
    _, decoder = read([sse('{"key": "secret"}')])

    assert isinstance(decoder.error, NotAStream)
    assert "openai-chat" in str(decoder.error)
    assert "'key'" in str(decoder.error)
    assert "secret" not in str(decoder.error)
    assert "secret" in decoder.error.body


def test_tokens_without_a_format_named() -> None:
    """Bare text is known by not being JSON."""
    _, decoder = read(TOKENS)

    assert (decoder.message.text, decoder.format) == ("Hello you", "text")
