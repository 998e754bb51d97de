"""The protocol of our own: what goes out comes in again, event for event."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.beside import needs_recordings
from tests.support.recordings import Recorded, ours, shared
from tests.support.sampling import sampled
from tokenstream import Decoder, Limits, Stream, errors, testing
from tokenstream import events as told
from tokenstream.accumulator import Accumulator
from tokenstream.errors import (
    ConnectError,
    LimitExceeded,
    PositionLost,
    ProtocolError,
    ProviderError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.events import Event, PartDone, PartStart, Restarted, TextDelta, ToolCallStart
from tokenstream.formats import _registry as registry
from tokenstream.formats._wire import tokenstream as format_of_relays
from tokenstream.formats._wire.tokenstream.format import PARTS
from tokenstream.framing import SSEParser
from tokenstream.message import (
    Citation,
    FinishReason,
    MediaPart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
    Usage,
)
from tokenstream.relay._encoders.tokenstream import (
    End,
    NDJSONEncoder,
    TokenStreamEncoder,
    end_record,
    error_record,
    frame,
    line,
    read_record,
    record,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHARED = [recorded for recorded in shared() if recorded.format != "custom"]


class _Read:
    """What a reader of a body comes to."""

    def __init__(self, chunks: Iterable[bytes], format: Any = None) -> None:
        self.stream = Stream(iter(chunks), format=format, pings=True)
        self.events: list[Event] = []
        self.error: StreamError | None = None
        try:
            self.events.extend(self.stream)
        except StreamError as error:
            self.error = error

    @property
    def messages(self) -> list[Message]:
        return [message.model_copy(update={"format": None}) for message in self.stream.messages]

    def written(self, encoder: TokenStreamEncoder) -> list[bytes]:
        chunks = [chunk for event in self.events for chunk in encoder.feed(event)]
        return chunks + encoder.conclude(self.stream.message.ending, self.error)


def _same(sent: _Read, chunks: list[bytes]) -> None:
    again = _Read(chunks)

    assert again.stream.format == "tokenstream"
    assert sent.events == again.events
    assert [event.step for event in sent.events] == [event.step for event in again.events]
    assert sent.messages == again.messages
    assert type(sent.error) is type(again.error)
    if sent.error is not None and again.error is not None:
        for name in ("kind", "retryable", "retry_after", "code", "status", "limit"):
            assert getattr(sent.error, name, None) == getattr(again.error, name, None)
        assert again.error.partial.text == sent.error.partial.text


def _holds(recorded: Recorded) -> None:
    sent = _Read([recorded.body], recorded.format)
    _same(sent, sent.written(TokenStreamEncoder(raw=True)))
    _same(sent, sent.written(NDJSONEncoder(ids=True, raw=True)))


@pytest.mark.parametrize("recorded", ours(), ids=lambda recorded: recorded.name)
def test_an_answer_is_read_again_as_it_was(recorded: Recorded) -> None:
    """Events, messages, ending and error of each of our recordings come through both framings."""
    _holds(recorded)


@needs_recordings
@pytest.mark.parametrize("recorded", sampled(_SHARED, one_in=12), ids=lambda recorded: recorded.name)
def test_an_answer_of_a_real_server_is_read_again_as_it_was(recorded: Recorded) -> None:
    """The law above, for answers of real servers."""
    _holds(recorded)


class _Decoding(format_of_relays.TokenStream):
    """Decodes every payload."""

    fast = None


def _glances(recorded: Recorded) -> None:
    events = [event for event in _Read([recorded.body], recorded.format).events if event.part is not None]
    for number, event in enumerate(events):
        if number % 3:
            event.step = "1"
    for encoder in (
        TokenStreamEncoder(),
        TokenStreamEncoder(ids=True),
        NDJSONEncoder(ids=True),
        NDJSONEncoder(),
    ):
        chunks = [chunk for event in events for chunk in encoder.feed(event)] + encoder.conclude("complete")
        cut, plainly = chunks[: len(chunks) // 2], Stream(iter(chunks), format=_Decoding())
        expected, found = list(plainly), _Read(chunks, "tokenstream")
        assert expected == found.events
        assert [event.step for event in expected] == [event.step for event in found.events]
        assert plainly.message == found.stream.message
        stopped = _Read(cut, "tokenstream")
        place = len([chunk for chunk in cut if b'"ping"' not in chunk]) if encoder.position else 0
        assert (place or None) == stopped.stream.checkpoint().position


@pytest.mark.parametrize("recorded", sampled(ours(), one_in=4), ids=lambda recorded: recorded.name)
def test_what_is_read_at_a_glance_is_the_same(recorded: Recorded) -> None:
    """Whether deltas are decoded or not, events, steps, message and position are the same."""
    _glances(recorded)


# -- events made by hypothesis ------------------------------------------------------

_text = st.text(max_size=6).map(
    lambda text: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
)
_word = st.none() | _text
_index = st.integers(0, 3)
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _text | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_text, inner, max_size=2),
    max_leaves=4,
)
_data = st.none() | st.dictionaries(_text, _json, max_size=2)
_call: st.SearchStrategy[Any] = st.builds(
    ToolCall,
    id=_text,
    name=_text,
    arguments_text=_text,
    complete=st.booleans(),
    type=_text,
    provider_data=_data,
)
_usage = st.builds(Usage, input_tokens=st.none() | st.integers(0, 9), cost=st.none() | st.just(0.5))
_part = st.one_of(
    st.builds(TextPart, text=_text, provider_data=_data, phase=st.sampled_from([None, "commentary"])),
    st.builds(ReasoningPart, text=_text, signature=_word, redacted=_word),
    _call,
    st.builds(ServerToolCall, id=_text, name=_text, arguments_text=_text),
    st.builds(ServerToolResult, id=_text, name=_text, content=_json),
    st.builds(Citation, url=_word, start=st.none() | _index, cites=st.none() | _index),
    st.builds(MediaPart, id=_word, mime_type=_word, data=st.binary(max_size=4), url=_word, transcript=_text),
    st.builds(OpaquePart, type=_text, data=st.dictionaries(_text, _json, max_size=2)),
)
_message = st.builds(
    Message, id=_word, model=_word, parts=st.lists(_part, max_size=2).map(tuple), usage=st.none() | _usage
)
_place = {"choice": _index, "part": _index}
_event: st.SearchStrategy[Any] = st.one_of(
    st.builds(told.MessageStart, id=_word, model=_word, role=_text, another=st.booleans()),
    st.builds(TextDelta, _text, **_place),
    st.builds(told.ReasoningDelta, _text, _word, **_place),
    st.builds(told.RefusalDelta, _text, **_place),
    st.builds(ToolCallStart, _text, _text, _text, _data, **_place),
    st.builds(told.ToolCallDelta, _text, _text, **_place),
    st.builds(told.ToolCallDone, _call, **_place),
    st.builds(PartStart, _part, **_place),
    st.builds(told.PartDelta, _text, **_place),
    st.builds(PartDone, st.none() | _part, **_place),
    st.builds(told.CitationAdded, st.builds(Citation, url=_word, provider_data=_data), **_place),
    st.builds(told.MediaDelta, st.binary(max_size=4), _text, **_place),
    st.builds(told.UsageUpdate, _usage, choice=_index),
    st.builds(told.Finish, st.sampled_from(get_args(FinishReason)), _word, _word, choice=_index),
    st.builds(told.Ping),
    st.builds(Restarted, _message),
    st.builds(told.Resumed, st.sampled_from(["resume", "continue"]), _index, st.sampled_from([0.25, 1.0])),
    st.builds(told.Stopped, _text),
    st.builds(told.StepStart, _text, _text, _word, _word, st.none() | _call),
    st.builds(told.StepDone, _text, st.sampled_from(["done", "failed"]), _word),
    st.builds(told.Unknown, _text, _json, st.sampled_from(["event", "field"]), st.booleans()),
)


@given(_event, st.none() | _text)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_every_event_is_a_record_and_back(event: Event, step: str | None) -> None:
    """An event of any kind, with anything in it, is read from its record as it was, step and all."""
    if step is not None:
        event.step = step
    again: Any = read_record(record(event, raw=True))

    assert event == again
    assert event.step == again.step
    assert b"\n" not in record(event)


def _of_one_kind(events: list[Event]) -> list[Event]:
    """Return events without those that make of a part another one."""
    kinds: dict[Any, str] = {}
    kept: list[Event] = []
    for event in events:
        if isinstance(event, Restarted):
            kinds.clear()
        kind = PARTS.get(type(event)) or getattr(getattr(event, "content", None), "kind", "")
        if event.part is None or not kind or kinds.setdefault((event.choice, event.part), kind) == kind:
            kept.append(event)
    return kept


@given(st.lists(_event, max_size=6).map(_of_one_kind))
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_any_events_come_through_a_stream_as_they_were(events: list[Event]) -> None:
    """Whatever comes in whatever order, its reader is given the same, as long as parts stay what they are."""
    encoder = TokenStreamEncoder(ids=True, raw=True)
    body = [chunk for event in events for chunk in encoder.feed(event)] + encoder.conclude("complete")
    accumulator = Accumulator()
    for event in events:
        accumulator.feed(event)
    again = _Read(body, "tokenstream")

    assert events == again.events
    assert "complete" == again.stream.message.ending


def test_every_kind_of_event_and_part_is_drawn() -> None:
    """A new kind of event, or of part, is not forgotten here, and has a type."""
    from tokenstream.formats._wire.tokenstream.parts import EVENTS

    kinds = set(get_args(Event))
    assert kinds == {kind.cls for kind in EVENTS.values()}
    for name, kind in EVENTS.items():
        known = {"call_type" if field.name == "type" else field.name for field in fields(kind.cls)}
        assert kind.required.keys() | kind.optional.keys() <= known, name
        assert known - {"part"} <= kind.required.keys() | kind.optional.keys(), name
    assert {"text", "reasoning"} <= {cls.model_fields["kind"].default for cls in get_args(get_args(Part)[0])}


# -- what stays in ----------------------------------------------------------------


def test_what_is_the_providers_own_stays_in() -> None:
    """Ids and payloads of the provider are sent only where somebody asked for them."""
    data = {"secret": 1}
    events: list[Event] = [
        told.MessageStart("msg_secret", "m", raw=data),
        PartStart(TextPart(provider_data=data)),
        PartStart(OpaquePart(type="x", data=data), part=1),
        ToolCallStart("call_1", "now", provider_data=data, part=2),
        PartStart(MediaPart(id="audio_secret", mime_type="audio/wav"), part=4),
        told.UsageUpdate(Usage(output_tokens=1, provider_data=data)),
        told.CitationAdded(Citation(url="https://a.test", provider_data=data), part=3),
        Restarted(Message(id="msg_secret", provider_data=data, parts=(TextPart(provider_data=data),))),
        told.Unknown("secret", data),
    ]
    encoder, told_all = TokenStreamEncoder(), TokenStreamEncoder(raw=True)
    sent = b"".join(chunk for event in events for chunk in encoder.feed(event))

    assert b"secret" not in sent
    assert sent.count(b"data: ") == len(events) - 1
    assert all(b"secret" in b"".join(told_all.feed(event)) for event in events)


def test_a_providers_words_about_an_error_stay_in() -> None:
    """An error is told in our words; its class, kind and code come through."""
    error = ProviderError("the provider reports an error: key sk-1 is broken", code="bad", kind="server")
    sent = error_record(error)
    again = read_record(sent)

    assert b"sk-1" not in sent
    assert isinstance(again, End)
    assert isinstance(again.error, ProviderError)
    assert ("bad", "server", "failed") == (again.error.code, again.error.kind, again.ending)
    assert b"sk-1" in error_record(error, raw=True)


def test_what_events_add_up_to_is_not_sent_twice() -> None:
    """The end of a part does not repeat its text; that of a call which is no JSON has it."""
    body = testing.script().text("Hello, ", "world").finish("stop").chunks("openai-chat")
    sent = b"".join(_Read(body).written(TokenStreamEncoder()))

    assert sent.count(b"Hello") == 1
    broken = ToolCall(id="a", name="rm", arguments_text="{")
    assert b'"arguments_text":"{"' in record(PartDone(broken))


# -- errors and endings -------------------------------------------------------------

_ERRORS = [
    ConnectError("no", stage="head"),
    StatusError("no", status=429, code="slow_down", retry_after=2.0, kind="rate_limited"),
    StreamInterrupted("no"),
    StreamTruncated("no"),
    StreamStalled("no", limit="idle_content"),
    ProtocolError("no", event=3, offset=1),
    LimitExceeded(limit="text", value=7),
    PositionLost("no"),
    ProviderError("no", code="c", type="t", kind="overloaded", retry_after=0.5),
    errors.NotAStream("no"),
    errors.GuardFailed("no"),
    errors.AnswerRejected("no", outcome="empty"),
    StreamError("no", kind="authentication", retryable=True),
]


@pytest.mark.parametrize("error", _ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_raised_as_it_was(error: StreamError) -> None:
    """Every class of error is raised by the reader, with what it knows and with the partial."""
    encoder = TokenStreamEncoder(ids=True)
    body = [*encoder.feed(TextDelta("Hel")), *encoder.conclude("failed", error)]
    again = _Read(body).error

    assert again is not None
    assert type(error) is type(again)
    for name in ("kind", "retryable", "retry_after", "code", "type", "status", "limit", "value", "stage"):
        assert getattr(error, name, None) == getattr(again, name, None), name
    assert "Hel" == again.partial.text
    truncated = isinstance(error, StreamInterrupted | StreamTruncated | StreamStalled)
    assert ("truncated" if truncated else "failed") == again.partial.ending


def test_a_stopped_answer_is_stopped() -> None:
    """No error is raised for an answer that somebody has stopped; it is not complete."""
    encoder = TokenStreamEncoder()
    body = [chunk for event in (TextDelta("Hel"), told.Stopped("off topic")) for chunk in encoder.feed(event)]
    message = Stream([*body, *encoder.conclude("stopped")]).final()

    assert ("Hel", "stopped") == (message.text, message.ending)


def test_every_cut_is_told() -> None:
    """A body that ends before its last record was cut, even behind the finish reason."""
    body = testing.script().reasoning("Hm").text("Hello").tool_call("now", {"a": 1}).finish("tool_calls")
    for format in ("tokenstream", "ndjson"):
        whole = b"".join(
            _Read(body.chunks("openai-chat")).written(
                TokenStreamEncoder() if format == "tokenstream" else NDJSONEncoder()
            )
        )
        # The last line may lack its end.
        for place in range(1, len(whole) - 3, 3):
            read = _Read([whole[:place]], "tokenstream")
            assert isinstance(read.error, StreamTruncated), place
            assert "truncated" == read.stream.message.ending
        assert _Read([whole]).error is None


@pytest.mark.parametrize(
    "first", [TextDelta("a"), told.StepStart("1", "plan"), Restarted(Message()), PartDone()]
)
def test_whatever_comes_first_tells_the_format(first: Event) -> None:
    """A reader that begins in the middle, or at an error, knows the format by what it sees."""
    assert "tokenstream" == _Read([frame(7, record(first)), frame(8, end_record("complete"))]).stream.format
    read = _Read([frame(None, error_record(StreamInterrupted("no")))])
    assert isinstance(read.error, StreamInterrupted)
    assert "tokenstream" == read.stream.format
    assert _Read([frame(None, b'{"type":"live","at":3}'), frame(4, end_record("complete"))]).error is None


# -- what anybody may send ------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "text_delta", "text": 1},
        {"type": "text_delta", "text": "a", "part": -1},
        {"type": "text_delta", "text": "a", "part": True},
        {"type": "text_delta", "text": "a", "choice": 1.5},
        {"type": "text_delta", "text": "a", "step": 1},
        {"type": "tool_call_start", "id": "a"},
        {"type": "tool_call_done", "call": []},
        {"type": "part_start", "content": {"kind": "no"}},
        {"type": "part_start", "content": {"kind": "text", "text": 1}},
        {"type": "media_delta", "data": "§"},
        {"type": "finish", "reason": "why"},
        {"type": "restarted", "discarded": {"parts": 1}},
        {"type": "resumed", "confidence": "1"},
    ],
)
def test_what_is_no_event_is_refused(payload: dict[str, Any]) -> None:
    """A field of the wrong kind is an error that names it, and not its value."""
    written = json.dumps(payload).encode()
    with pytest.raises(ProtocolError, match=r"event of the type|step"):
        read_record(written)
    assert isinstance(_Read([frame(None, written)], "tokenstream").error, ProtocolError)


@pytest.mark.parametrize(
    "second", ['"type":"reasoning_delta","text":"a","signature":"b"', '"type":"media_delta"']
)
def test_a_part_stays_what_it_is(second: str) -> None:
    """Deltas of another kind are no part of it: the answer fails, and no part of two kinds is built."""
    first = '"type":"part_start","content":{"kind":"opaque","type":"x"}'
    for one, other in (
        (first, second),
        ('"type":"media_delta"', '"type":"part_start","content":{"kind":"text"}'),
    ):
        body = [frame(None, f"{{{each}}}".encode()) for each in (one, other)]
        with pytest.raises(ProtocolError, match="part 0 was"):
            Stream(body, format="tokenstream").final()


def test_what_is_not_known_is_carried() -> None:
    """A type of a later version is `Unknown`, a key of a later version is left out."""
    body = [
        frame(1, b'{"type":"text_delta","text":"a","colour":"red"}'),
        frame(2, b'{"type":"part_start","part":1,"content":{"kind":"text","colour":"red"}}'),
        frame(3, b'{"type":"hologram_delta","x":1}'),
        frame(4, end_record("complete")),
    ]
    events = _Read(body).events

    assert [TextDelta("a"), PartStart(TextPart(), part=1)] == events[:2]
    assert isinstance(events[2], told.Unknown)
    assert "hologram_delta" == events[2].name


def test_parts_choices_and_calls_are_bounded() -> None:
    """Indexes out of nowhere make nobody keep a million parts."""
    limits = Limits(parts=10, choices=2, tool_calls=1)
    far = [TextDelta("a", part=10)]
    many = [TextDelta("a", choice=choice) for choice in range(3)]
    calls = [ToolCallStart(str(number), "now", part=number) for number in range(2)]
    for events, limit in ((far, "parts"), (many, "choices"), (calls, "tool_calls")):
        decoder = Decoder("tokenstream", limits=limits)
        for event in events:
            decoder.feed(frame(None, record(event)))
        assert isinstance(decoder.error, LimitExceeded)
        assert limit == decoder.error.limit


# -- going on ------------------------------------------------------------------------


def test_what_is_sent_again_is_dropped() -> None:
    """A format that goes on reads what is behind its position, over either framing, merged deltas too."""
    records = [record(TextDelta(text)) for text in "abcd"]
    for place in (frame, line):
        for start in range(1, 4):
            reader = registry.create("tokenstream", limits=Limits(), pings=False)
            sent = [_payload(place, at, written) for at, written in enumerate(records, 1)]
            for each in sent[:2]:
                reader.feed(each)
            assert 2 == reader.position
            reader.go_on()
            events = [event for each in sent[start - 1 :] for event in reader.feed(each)]
            assert "cd" == "".join(event.text for event in events if isinstance(event, TextDelta))
            assert reader.dropped == max(0, 3 - start)


def _payload(place: Any, at: int, record: bytes) -> Any:
    written = place(at, record)
    return SSEParser().feed(written)[0] if place is frame else written


def test_where_live_begins_is_no_position() -> None:
    """A reader that is cut while it is told what had happened before asks for the rest of that."""
    for place in (frame, line):
        chunks = [place(None, b'{"type":"live","at":9}'), place(3, record(TextDelta("a")))]
        assert _Read(chunks[:1], "tokenstream").stream.checkpoint().position is None
        assert 3 == _Read(chunks, "tokenstream").stream.checkpoint().position


def test_a_gap_is_told() -> None:
    """Where the relay goes on further behind, something is missing, and nothing is skipped silently."""
    known = registry.create("tokenstream", limits=Limits(), pings=False)
    known.feed(line(2, record(TextDelta("b"))))
    known.go_on()
    known.feed(line(5, record(PartDone())))

    assert isinstance(known.error, PositionLost)


def test_an_answer_that_begins_again_begins_again() -> None:
    """Views of a relayed answer start over where it does, and give no element twice."""
    events: list[Event] = [PartStart(TextPart()), TextDelta('[{"a":1},')]
    again: list[Event] = [PartStart(TextPart()), TextDelta('[{"a":1},{"a":2}]'), told.Finish("stop")]
    told_ = Restarted(Message.model_construct())
    told_.told_before = True
    encoder = TokenStreamEncoder()
    body = [chunk for event in (*events, told_, *again) for chunk in encoder.feed(event)] + encoder.end()
    stream = Stream(iter(body))

    assert [{"a": 1}, {"a": 2}] == list(stream.items(dict[str, int], at=""))
    discarded = next(event for event in _Read(body).events if isinstance(event, Restarted)).discarded
    assert '[{"a":1},' == discarded.text


def test_half_a_character_becomes_the_replacement_character() -> None:
    """No JSON and no UTF-8 can carry one, so a message never has it, whatever a relay sends."""
    told = [
        {"type": "text_delta", "text": "a\ud83d"},
        {"type": "finish", "reason": "stop", "raw_reason": "\ud83d"},
    ]
    message = Stream([*told, {"type": "end", "ending": "complete"}], format="tokenstream").final()

    assert ("a\ufffd", "\ufffd") == (message.text, message.raw_finish_reason)
    assert message == Message.model_validate_json(message.model_dump_json())
