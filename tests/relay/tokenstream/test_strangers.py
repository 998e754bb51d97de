"""The protocol of our own: what anybody may send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.relay.tokenstream.support import END, Read, frame, record
from tests.support.tables import in_one_test
from tokenstream import Decoder, Limits, Stream
from tokenstream import events as told
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.events import PartStart, TextDelta, ToolCallStart
from tokenstream.message import TextPart


@in_one_test(
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
    sent = [frame(None, json.dumps(payload).encode())]

    with pytest.raises(ProtocolError, match=r"event of the type|step"):
        Stream(sent, format="tokenstream").final()


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
        frame(4, END),
    ]
    events = Read(body).events

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
