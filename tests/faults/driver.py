"""Reads one answer over a real socket, through either driver, and holds what every fault owes the user."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.support import wire
from tests.support.either import Each, connect_in, inside, run_in
from tests.support.loopback import Loopback
from tokenstream.departures import Departures
from tokenstream.errors import StreamError
from tokenstream.events import Event, TextDelta
from tokenstream.message import Message

both_colours = pytest.mark.parametrize("colour", ["sync", "async"])
"""Runs a row through `connect` and through `aconnect`."""

HELLO = wire.chat({"role": "assistant", "content": "Hel"}) + wire.chat({"content": "lo €"})
TEXT = "Hello €"
MORE = wire.chat({"content": "!"})
HALF = wire.chat({"content": "lost"})[:60]
"""An event that is cut in its middle."""
END = wire.chat({}, "stop") + wire.DONE


@dataclass
class Outcome:
    """What a user had in hand at the end of the loop, and the server saw."""

    message: Message
    departures: Departures
    events: list[Event] = field(default_factory=list[Event])
    error: StreamError | None = None
    left: bool = False
    """Whether the client's side of the last connection was closed, before any `with` block ended."""


def read(
    colour: str,
    server: Loopback | str,
    *,
    on_text: Callable[[str], object] = str,
    client: Mapping[str, Any] | None = None,
    library: Any = httpx,
    patience: float = 1,
    **options: Any,
) -> Outcome:
    """Read an answer to its end, or to its error.

    Args:
        colour: "sync", "async" (by asyncio), or one of the asynchronous worlds, "asyncio" or "trio".
        server: Where to ask.
        on_text: Is told each piece of text as it comes; opens gates.
        client: Settings of a client of the caller's own, None for none.
        library: Whose client that is: httpx or httpx2.
        patience: Seconds to wait for the client's side to close.
        options: What `connect` takes.
    """
    url = server if isinstance(server, str) else server.url
    options.setdefault("json", {"stream": True})
    make_client = library.Client if colour == "sync" else library.AsyncClient

    async def main() -> Outcome:
        async with nullcontext() if client is None else inside(make_client(**client)) as own:
            asked = options if own is None else {**options, "client": own}
            stream = connect_in(colour)(url, **asked)
            return await _read(stream, server, on_text, patience)

    outcome: Outcome = run_in(colour, main)
    _look_at(outcome)
    return outcome


def failed(colour: str, server: Loopback | str, kind: type[StreamError], **options: Any) -> Any:
    """Read an answer that fails in one way, and return the error, whose attributes its class tells."""
    outcome = read(colour, server, **options)

    assert type(outcome.error) is kind, outcome.error
    if not isinstance(server, str):
        assert outcome.left
    return outcome.error


async def _read(
    opened: Any, server: Loopback | str, on_text: Callable[[str], object], patience: float
) -> Outcome:
    async with inside(opened) as stream:
        outcome = Outcome(stream.message, stream.departures)
        try:
            async for event in Each(stream):
                outcome.events.append(event)
                if isinstance(event, TextDelta):
                    on_text(event.text)
        except StreamError as error:
            outcome.error = error
        assert stream.closed
        outcome.left = _left(server, patience)
        outcome.message = stream.message
    return outcome


def _left(server: Loopback | str, patience: float) -> bool:
    if isinstance(server, str):
        return False
    # A client may be gone before the server has taken note of it.
    server.connection()
    return server.connections[-1].closed_within(patience)


def _look_at(outcome: Outcome) -> None:
    """Hold what is the same in every row: nothing that came is lost, and nothing is made up."""
    text = "".join(event.text for event in outcome.events if isinstance(event, TextDelta))
    assert outcome.message.text == text
    assert "�" not in text or {"invalid_utf8", "lone_surrogate"} & outcome.departures.details.keys()
    error = outcome.error
    if error is None:
        assert outcome.message.ending == "complete"
        return
    assert error.partial == outcome.message
    assert error.events_seen == len(outcome.events)
    assert error.tool_calls_delivered == ()
    assert outcome.message.ending in ("truncated", "failed")
    assert outcome.message.finish_reason is None
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.__dict__) == (type(error), str(error), error.__dict__)
