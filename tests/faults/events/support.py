"""Bodies of each format, and what a user can see of reading them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.stream.bodies import Source, chunk
from tests.stream.drivers import read_async, read_sync
from tests.support import wire
from tests.support.chunkings import bytewise, whole
from tests.support.wire import DONE
from tokenstream import Stream
from tokenstream.errors import ProviderError, StreamError
from tokenstream.events import Event, UsageUpdate
from tokenstream.message import Message, Usage

_MOST_BYTEWISE = 20_000


@dataclass
class Body:
    """An answer of two pieces of text, "Hel" and "lo €", in one format."""

    first: list[bytes]
    last: bytes
    """The second piece of text."""
    finish: bytes
    end: bytes

    @property
    def all(self) -> list[bytes]:
        return self.around()

    def around(self, *middle: bytes) -> list[bytes]:
        """Return the chunks with others between the two pieces of text."""
        return [*self.first, *middle, self.last, self.finish, self.end]


CLAUDE_END = wire.claude_end("end_turn")
_CLAUDE_STOP = wire.claude("message_stop")
BODIES = {
    "openai-chat": Body(
        [chunk({"role": "assistant"}), chunk({"content": "Hel"})],
        chunk({"content": "lo €"}),
        chunk({}, "stop"),
        DONE,
    ),
    "anthropic": Body(
        [
            wire.claude_start(),
            wire.claude_open(0, type="text", text=""),
            wire.claude_delta(0, "text_delta", text="Hel"),
        ],
        wire.claude_delta(0, "text_delta", text="lo €"),
        wire.claude_close(0) + CLAUDE_END.removesuffix(_CLAUDE_STOP),
        _CLAUDE_STOP,
    ),
}

every_format = pytest.mark.parametrize("format", BODIES)


@dataclass
class Outcome:
    """What a user can see of a stream that was read to its end."""

    events: list[Event]
    message: Message
    error: StreamError | None
    departures: dict[str, int]


def _all_events(stream: Any) -> Any:
    return stream


def _seen(reading: dict[str, Any]) -> dict[str, Any]:
    # How much was read before an error, and in how many chunks, does depend on the chunks.
    seen = {name: value for name, value in reading.items() if name not in ("bytes", "chunks")}
    if reading["error"] is not ProviderError:
        return seen
    # So do the token counts behind the provider's error: those in the same chunk are read.
    uncounted = {"usage": Usage()}
    return seen | {
        "seen": None,
        "items": [item for item in seen["items"] if not isinstance(item, UsageUpdate)],
        "message": seen["message"].model_copy(update=uncounted),
        "messages": [message.model_copy(update=uncounted) for message in seen["messages"]],
        "partial": seen["partial"].model_copy(update=uncounted),
    }


def outcome(chunks: list[bytes], cause: Exception | None = None, **options: Any) -> Outcome:
    """Read a body in both drivers, at several chunkings: the same is seen, and the source is closed once."""
    expected = read_sync(chunks, _all_events, cause, **options)
    for backend in ("asyncio", "trio"):
        assert expected == read_async(chunks, _all_events, cause, backend, **options)
    body = b"".join(chunks)
    for cut in (whole, bytewise) if len(body) < _MOST_BYTEWISE else (whole,):
        assert _seen(expected) == _seen(read_sync(cut(body), _all_events, cause, **options))
    assert expected["closed"] == 1
    stream, error = Stream(Source(chunks, cause), **options), None
    events: list[Event] = []
    try:
        for event in stream:
            events.append(event)
    except StreamError as caught:
        error = caught
    departures = stream.departures.details
    return Outcome(events, stream.message, error, departures)


def check_whole(found: Outcome, departures: dict[str, int] | None = None, text: str = "Hello €") -> None:
    """The answer is whole: no error, and these departures alone."""
    assert (text, "complete", "stop", None) == (
        found.message.text,
        found.message.ending,
        found.message.finish_reason,
        found.error,
    )
    assert (departures or {}) == found.departures
