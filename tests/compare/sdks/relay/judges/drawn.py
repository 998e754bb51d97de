"""Recorded answers for clients of others: of all formats, with everything rare, and some that break off."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice, zip_longest
from typing import Any

from tests.support.effort import trials
from tests.support.recordings import Recorded, ours, shared
from tokenstream import Stream
from tokenstream.errors import StreamError
from tokenstream.events import Event
from tokenstream.message import Message

READ = trials(400, one_in=3)
"""The number of recordings of real servers: the 130 that have something rare, and others."""
CUT = trials(40, one_in=3)
"""The number of those that are read once more, broken off at some place."""
_COMMON = {"text", "reasoning", "tool_call"}
_ORDINARY = {"stop", "tool_calls"}


@dataclass(frozen=True)
class RecordedAnswer:
    """An answer as our reader gives it; for an encoder, a stream that is read to its end."""

    name: str
    events: list[Event]
    error: StreamError | None
    messages: tuple[Message, ...]
    """The message of each choice."""

    @property
    def message(self) -> Message:
        return self.messages[0]

    def __iter__(self) -> Iterator[Event]:
        yield from self.events
        if self.error is not None:
            raise self.error


def _read(name: str, body: bytes, format: Any) -> RecordedAnswer:
    stream: Stream = Stream([body], format=format)
    events: list[Event] = []
    error: StreamError | None = None
    try:
        for event in stream:
            events.append(event)
    except StreamError as caught:
        error = caught
    return RecordedAnswer(name, events, error, tuple(stream.messages) or (stream.message,))


def _is_rare(answer: RecordedAnswer) -> bool:
    """Return True for an answer with what few have: other parts, choices, calls, reasons, or an error."""
    message = answer.message
    return (
        not {part.kind for part in message.parts} <= _COMMON
        or len(answer.messages) > 1
        or answer.error is not None
        or message.finish_reason not in _ORDINARY
        or any(call.type == "custom" or not call.complete for call in message.tool_calls)
    )


def _cut(recorded: Recorded) -> RecordedAnswer | None:
    """Return an answer that breaks off in its second half; None if it seems whole wherever it is cut."""
    chance = random.Random(recorded.name)
    size = len(recorded.body)
    for _ in range(4):
        at = chance.randrange(size // 2, size)
        answer = _read(f"{recorded.name}, cut at {at}", recorded.body[:at], recorded.format)
        if answer.error is not None and answer.message.parts:
            return answer
    return None


def _in_turn(recordings: Iterable[Recorded]) -> list[Recorded]:
    by_format: dict[str, list[Recorded]] = {}
    for each in recordings:
        by_format.setdefault(each.name.partition("/")[0], []).append(each)
    return [each for each in chain.from_iterable(zip_longest(*by_format.values())) if each is not None]


@cache
def drawn() -> list[RecordedAnswer]:
    """Return the answers, always the same ones.

    Of the recordings of real servers, all that have something rare come first, then some of each format.
    Those made for this project have what is rarer still.
    """
    recordings = _in_turn(each for each in shared() if each.format != "custom")
    answers = [_read(each.name, each.body, each.format) for each in recordings]
    first = sorted(answers, key=_is_rare, reverse=True)[:READ]
    broken = (cut for cut in map(_cut, recordings) if cut is not None)
    return [*first, *islice(broken, CUT), *(_read(each.name, each.body, each.format) for each in ours())]
