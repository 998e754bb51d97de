"""The protocol of our own: any events come in again as they were."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.relay.tokenstream.support import Read
from tests.support.effort import examples
from tokenstream import events as told
from tokenstream._answer.accumulator import Accumulator
from tokenstream._values.event_base import is_repeat
from tokenstream.events import Event, PartDone, PartStart, Restarted, TextDelta, ToolCallStart
from tokenstream.formats._wire.tokenstream import PARTS
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
from tokenstream.relay._encoders.tokenstream import TokenStreamEncoder, read_record, record

_KEYS = {"type": "call_type", "at": "text_at"}
"""Keys of fields that are not the name of the field, which is a key of each record."""
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
    Message, id=_word, model=_word, parts=st.lists(_part, max_size=2).map(tuple), usage=_usage
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
    st.builds(told.InputTranscript, _text, _word, st.booleans(), _word, _word),
    st.builds(told.UsageUpdate, _usage, choice=_index),
    st.builds(told.Finish, st.sampled_from(get_args(FinishReason)), _word, _word, choice=_index),
    st.builds(Restarted, _message),
    st.builds(told.Resumed, st.sampled_from(["resume", "continue"]), _index, st.sampled_from([0.25, 1.0])),
    st.builds(told.Stopped, _text),
    st.builds(told.StepStart, _text, _text, _word, _word, st.none() | _call),
    st.builds(told.StepDelta, _text, _text),
    st.builds(told.ToolProgress, _text, _text, _json),
    st.builds(told.StepUpdate, _text, st.dictionaries(_text, _json, max_size=2)),
    st.builds(told.StepWaiting, _text, _json, st.booleans()),
    st.builds(told.StepDone, _text, st.sampled_from(["done", "failed"]), _word),
    st.builds(told.ToolResult, _text, _json, _word, st.booleans(), choice=_index),
    st.builds(
        told.ProviderData,
        st.dictionaries(_text, _json, max_size=2),
        st.dictionaries(_text, st.lists(_json, max_size=2), max_size=2),
        st.booleans(),
        choice=_index,
    ),
    st.builds(told.Unknown, _text, _json),
)


@given(_event, st.none() | _text)
@examples(200, suppress_health_check=[HealthCheck.too_slow])
def test_every_event_is_a_record_and_back(event: Event, step: str | None) -> None:
    if step is not None:
        event.step = step
    again: Any = read_record(record(event, raw=True))

    assert event == again
    assert event.step == again.step
    assert b"\n" not in record(event)


def _in_order(events: list[Event]) -> list[Event]:
    """Return events without those that make of a part another one, or come after the end of their call."""
    kinds: dict[Any, str] = {}
    ended: set[Any] = set()
    kept: list[Event] = []
    for event in events:
        if isinstance(event, Restarted):
            kinds.clear()
            ended.clear()
        kind = PARTS.get(type(event)) or getattr(getattr(event, "content", None), "kind", "")
        key = (event.choice, event.part)
        if key in ended:
            continue
        if isinstance(event, told.PartDelta | PartDone) and not kind:
            # Either begins a part that no event has begun.
            kinds.setdefault(key, "server_tool_call" if isinstance(event, told.PartDelta) else "text")
        is_end = isinstance(event, PartDone | told.ToolCallDone)
        if is_end and "tool_call" == kinds.get(key, kind) and kind in ("", "tool_call"):
            ended.add(key)
        if event.part is None or not kind or kinds.setdefault((event.choice, event.part), kind) == kind:
            kept.append(event)
    return kept


@given(st.lists(_event, max_size=6).map(_in_order))
@examples(100, suppress_health_check=[HealthCheck.too_slow])
def test_any_events_come_through_a_stream_as_they_were(events: list[Event]) -> None:
    encoder = TokenStreamEncoder(ids=True, raw=True)
    body = [chunk for event in events for chunk in encoder.feed(event)] + encoder.conclude("complete")
    accumulator = Accumulator()
    for event in events:
        accumulator.feed(event)
    again = Read(body, "tokenstream")

    # The reader adds the result of a part, which is not sent.
    sent = [event for event in again.events if not (isinstance(event, told.ToolResult) and is_repeat(event))]
    assert events == sent
    assert "complete" == again.stream.message.ending


def test_every_kind_of_event_and_part_is_drawn() -> None:
    from tokenstream.formats._wire.tokenstream.words import EVENTS

    kinds = set(get_args(Event))
    assert kinds == {kind.cls for kind in EVENTS.values()}
    for name, kind in EVENTS.items():
        known = {_KEYS.get(field.name, field.name) for field in fields(kind.cls)}
        keys = kind.required.keys() | kind.optional.keys()
        assert keys <= known, name
        # Any record may have these: what it is, where it stands in the answer, and of which answer it is.
        assert keys.isdisjoint({"type", "at", "answer"}), name
        assert known - {"part"} <= kind.required.keys() | kind.optional.keys(), name
    assert {"text", "reasoning"} <= {cls.model_fields["kind"].default for cls in get_args(get_args(Part)[0])}
