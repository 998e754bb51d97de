"""Events that come twice, one right after the other, in formats whose events have ids or numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.recordings import Recorded, frames_of, ours
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.formats._detect.payloads import payload_of

_IDS = {"openai-live": "event_id", "openai-realtime": "event_id", "transcription": "event_id", "tgi": "index"}
"""The field with the id of an event, in the formats of this module."""


def _payloads(recorded: Recorded) -> list[dict[str, Any]]:
    payloads = map(payload_of, frames_of(recorded.body))
    return [json.loads(payload) for payload in payloads if isinstance(payload, bytes)]


_ANSWERS = [
    (recorded.format, payloads)
    for recorded in ours()
    if recorded.format in _IDS
    for payloads in [_payloads(recorded)]
    if all(_IDS[recorded.format] in payload for payload in payloads)
]


def _messages(payloads: list[dict[str, Any]]) -> list[Any]:
    """Return the payloads as they come over the wire, of which most are read without being decoded."""
    return [f"data: {json.dumps(payload)}\n\n".encode() for payload in payloads]


def _decoded(payloads: list[dict[str, Any]]) -> list[Any]:
    """Return the payloads as an SDK hands them out."""
    return [*payloads]


def test_there_are_answers_of_each_format() -> None:
    assert set(_IDS) == {format for format, _ in _ANSWERS}


@in_one_test("format, payloads", _ANSWERS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("source", [_messages, _decoded])
def test_an_event_with_the_id_and_content_of_the_one_before_it_is_dropped(
    format: Any, payloads: list[dict[str, Any]], source: Any
) -> None:
    once = Stream(source(payloads), format=format).final()
    for place in range(1, len(payloads) - 1):
        stream = Stream(source(payloads[: place + 1] + payloads[place:]), format=format)

        assert once.parts == stream.final().parts
        assert 1 == stream.departures.details["frame_repeated"]


@pytest.mark.parametrize("source", [_messages, _decoded])
@pytest.mark.parametrize("index", [0, 1, 7])
def test_ids_that_all_events_share_identify_none(source: Any, index: int) -> None:
    """Some servers number no token, or all alike: equal tokens are then several ones, also the first ones."""
    token = {"id": 1, "text": "la", "logprob": None, "special": False}
    tokens = [{"index": index, "token": token} for _ in range(5)]
    end = {**tokens[-1], "details": {"finish_reason": "eos_token"}}

    assert "la" * 6 == Stream(source([*tokens, end]), format="tgi").final().text
