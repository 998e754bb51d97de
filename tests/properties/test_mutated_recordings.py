"""Real streams, damaged: whatever a server sends, only errors of ours come out, and what had come is kept."""

from __future__ import annotations

import copy
import json
import random
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.anthropic.test_properties import EVERYTHING as ANTHROPIC
from tests.formats.cohere.test_properties import EVERYTHING as COHERE
from tests.formats.cohere.test_properties import EVERYTHING_V1 as COHERE_V1
from tests.formats.gemini.payloads import EVERYTHING as GEMINI
from tests.formats.gemini_interactions.test_laws import EVERYTHING as INTERACTIONS
from tests.formats.gemini_live.test_laws import EVERYTHING as LIVE
from tests.formats.ollama.test_faults import EVERYTHING as OLLAMA
from tests.formats.openai_chat.test_properties import EVERYTHING as CHAT
from tests.formats.openai_responses.test_properties import EVERYTHING as RESPONSES
from tests.formats.test_llamaindex import PAYLOADS as LLAMAINDEX
from tests.formats.test_openai_completions import PAYLOADS as COMPLETIONS
from tests.formats.test_tgi import PAYLOADS as TGI
from tests.formats.told import Told, frame_of, is_sound
from tests.support import registry
from tests.support.effort import examples, trials
from tests.support.recordings import Recorded, frames_of, ours, shared
from tokenstream.departures import Departures
from tokenstream.errors import StreamError
from tokenstream.formats import Frame
from tokenstream.framing import EventStreamMessage, ServerSentEvent
from tokenstream.limits import Limits
from tokenstream.message import Message

_LIMITS = Limits()
_MOST_FRAMES = 60
_OF_ALL_KINDS: dict[str, list[list[Any]]] = {
    "anthropic": [ANTHROPIC],
    "cohere": [COHERE, COHERE_V1],
    "gemini": [GEMINI],
    "gemini-interactions": [INTERACTIONS],
    "gemini-live": [LIVE],
    "llamaindex": [LLAMAINDEX],
    "ollama": [OLLAMA],
    "openai-chat": [CHAT],
    "openai-completions": [COMPLETIONS],
    "openai-responses": [RESPONSES],
    "tgi": [TGI],
}
"""Payloads of more kinds than the recordings of a format have."""
_TAKES_TEXT_BACK = {"a2a", "anthropic-agents", "ui-message"}
_OTHER_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, -(2**63), 10**400, 1.5, float("inf"), "", "0", "x", "\ud83d",
    [], [None], [[]], ["x"], [{}], {}, {"": None}, {"type": 1}, {"text": {"text": "x"}}, {"index": "x"},
)  # fmt: skip
"""What stands where something else was expected."""


@cache
def _by_format() -> dict[str, list[list[Frame]]]:
    """Return the frames of recordings by format: ours, and short ones of real servers."""
    found: dict[str, list[list[Frame]]] = {}
    for recorded in [*ours(), *_few(shared())]:
        frames = frames_of(recorded.body)
        if recorded.format in registry.names() and frames:
            found.setdefault(recorded.format, []).append(frames[:_MOST_FRAMES])
    return found


def _few(recordings: list[Recorded]) -> list[Recorded]:
    """Return the recordings that are short: the long ones hold the same kinds of events, many times."""
    return [recorded for recorded in recordings if len(recorded.body) < 40_000]


class _Damage:
    """Changes frames as chance has it.

    Args:
        chance: Decides what is changed, and how.
        others: Payloads of other streams, to put values of theirs where they do not belong.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def frames(self, frames: list[Frame]) -> list[Frame]:
        """Drop, double, swap, mix and cut frames, and damage what is in some of them."""
        damaged = list(frames)
        for _ in range(self._chance.randrange(1, 6)):
            if not damaged:
                break
            at = self._chance.randrange(len(damaged))
            other = self._chance.randrange(len(damaged))
            match self._chance.randrange(10):
                case 0:
                    del damaged[at]
                case 1:
                    damaged.insert(other, damaged[at])
                case 2:
                    damaged[at], damaged[other] = damaged[other], damaged[at]
                case 3:
                    del damaged[at:]
                case 4:
                    self._chance.shuffle(damaged)
                case _:
                    damaged[at] = self.frame(damaged[at], damaged[other])
        return damaged

    def frame(self, frame: Frame, other: Frame) -> Frame:
        payload = frame if isinstance(frame, bytes | dict) else frame.payload
        try:
            value = json.loads(payload) if isinstance(payload, bytes) else copy.deepcopy(payload)
        except ValueError:
            return frame
        for _ in range(self._chance.randrange(1, 4)):
            value = self._value(value, other)
        if isinstance(value, dict) and self._chance.random() < 0.2:
            # As an SDK hands it out.
            return value
        changed = json.dumps(value).encode()
        if isinstance(frame, ServerSentEvent):
            return ServerSentEvent(changed, self._chance.choice([frame.event, frame.event, "message", "x"]))
        if isinstance(frame, EventStreamMessage):
            return EventStreamMessage(changed, frame.event, frame.kind, frame.headers)
        return changed

    def _value(self, value: Any, other: Frame) -> Any:
        """Change something within a value: a field goes, comes twice, or gets another type."""
        places = _places(value)
        if not places:
            return value
        holder, key = self._chance.choice(places)
        match self._chance.randrange(6):
            case 0:
                del holder[key]
            case 1 if isinstance(holder[key], str):
                holder[key] = holder[key][: self._chance.randrange(len(holder[key]) + 1)]
            case 2 if isinstance(holder[key], list):
                holder[key] = holder[key] * 2
            case 3:
                holder[key] = {"a": holder[key]}
            case 4:
                elsewhere, place = self._chance.choice(places)
                holder[key] = copy.deepcopy(elsewhere.get(place) if isinstance(elsewhere, dict) else 0)
            case _:
                holder[key] = copy.deepcopy(self._chance.choice(_OTHER_VALUES))
        return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place within a value: what holds it, and its key or index."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict):
            inner = list(holder.items())
        elif isinstance(holder, list):
            inner = list(enumerate(holder))
        else:
            continue
        found += [(holder, key) for key, _ in inner]
        waiting += [each for _, each in inner]
    return found


def _tell(name: str, frames: list[Frame], *, shortcuts: bool) -> Told:
    format = registry.create(name, limits=_LIMITS)
    format.departures, format.shortcuts = Departures(), shortcuts
    return Told(format).read(copy.deepcopy(frames))


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("name", sorted(set(registry.names()) - {"pieces", "text"}))
@examples(trials(2_000, one_in=100))
@given(seed=st.integers(0, 2**32), pick=st.integers(0, 10_000))
def test_a_damaged_stream_ends_in_an_error_of_ours_or_in_none(name: str, seed: int, pick: int) -> None:
    """Events and fields dropped, doubled, swapped, cut, of other types: nothing else ever comes out.

    No text is lost, no call is handed out twice, and what is read at a glance is what decoding gives.
    """
    recordings = _by_format()[name]
    if name in _OF_ALL_KINDS and pick % 2:
        recordings = [[*map(frame_of, payloads)] for payloads in _OF_ALL_KINDS[name]]
    frames = _Damage(random.Random(seed)).frames(recordings[pick // 2 % len(recordings)])
    told = _tell(name, frames, shortcuts=True)

    assert told.error is None or isinstance(told.error, StreamError)
    # Our own protocol passes on what a relay says of a call.
    if name != "tokenstream":
        is_sound(told, whole=name not in _TAKES_TEXT_BACK)
    for message in told.messages:
        assert message == Message.model_validate_json(message.model_dump_json())
    # Models of Bedrock have their own count of frames, by which a departure has its place.
    if name != "bedrock-invoke":
        assert _tell(name, frames, shortcuts=False).outcome == told.outcome
    for frame in frames:
        if isinstance(frame, dict):
            place, ends = told.format.place_of(frame)
            assert (place is None or isinstance(place, str), ends) == (True, bool(ends))


@given(seed=st.integers(0, 2**32), pick=st.integers(0, 10_000))
def test_a_damaged_first_payload_is_of_one_format_or_of_none(seed: int, pick: int) -> None:
    recordings = [frames for found in _by_format().values() for frames in found]
    frames = recordings[pick % len(recordings)]
    frame = _Damage(random.Random(seed)).frame(frames[0], frames[-1])
    event = "" if isinstance(frame, bytes | dict) else frame.event
    payload = frame if isinstance(frame, bytes | dict) else frame.payload
    value = payload if isinstance(payload, dict) else _object_in(payload)
    if value is not None:
        name, wait = registry.detect(value, event)

        assert name is None or name in registry.names()
        assert not (name and wait)


def _object_in(payload: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(payload)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
