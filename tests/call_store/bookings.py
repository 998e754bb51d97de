"""An answer with calls that book rooms, and the tool: processes that tests start load it without pytest."""

from __future__ import annotations

from tokenstream.testing import script

CALLS = (12, 12, 13)
"""The rooms that the calls of `BODY` book: the first two calls are equal."""
BODY = (
    script()
    .tool_call("book", {"room": 12})
    .tool_call("book", {"room": 12})
    .tool_call("book", {"room": 13})
    .finish("tool_calls")
    .chunks("openai-chat")
)
RESULTS = ["room 12, number 1", "room 12, number 2", "room 13, number 3"]


class Rooms:
    def __init__(self) -> None:
        self.booked: list[int] = []

    def book(self, room: int) -> str:
        self.booked.append(room)
        return f"room {room}, number {len(self.booked)}"
