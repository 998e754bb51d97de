"""Hosted sessions: each event once, however often the connection breaks."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.replies import at_once, reply
from tokenstream import aattach, attach, testing
from tokenstream.errors import MisuseError, StreamInterrupted, StreamTruncated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tokenstream.testing import Recording, Request


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once; how long they wait is tested with `Retry`."""
    monkeypatch.setattr(time, "sleep", lambda _: None)

    async def sleep(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(anyio, "sleep", sleep)


def event(number: int, kind: str = "agent.message") -> dict[str, Any]:
    return {"type": kind, "id": f"evt_{number}"}


class Session:
    """A session of a provider: it goes on while nobody listens, and each connection breaks at some place.

    Args:
        total: The number of its events; the last one says that it is idle.
        cuts: For each connection, the number of live events after which it breaks.
        ahead: The number of events that happen between two connections.
    """

    def __init__(self, total: int, cuts: list[int], ahead: int) -> None:
        self._all = [event(n) for n in range(total - 1)] + [event(total - 1, "session.status_idle")]
        self._happened = 0
        self._cuts = iter(cuts)
        self._ahead = ahead
        self.closed = 0

    def ids(self) -> list[str]:
        return [each["id"] for each in self._all]

    def history(self) -> list[dict[str, Any]]:
        """Return what has happened, with an event that happens while the question is on its way."""
        self._happened = min(self._happened + 1, len(self._all))
        return self._all[: self._happened]

    def live(self) -> Iterator[dict[str, Any]]:
        return self._play(self._happened, next(self._cuts, None))

    def _play(self, place: int, cut: int | None) -> Iterator[dict[str, Any]]:
        try:
            while place < len(self._all):
                if cut == 0:
                    self._happened = min(max(place, self._happened) + self._ahead, len(self._all))
                    raise httpx.ReadError("the connection was reset")
                cut = None if cut is None else cut - 1
                self._happened = max(self._happened, place + 1)
                yield self._all[place]
                place += 1
        finally:
            self.closed += 1


@given(st.integers(1, 20), st.lists(st.integers(0, 6), max_size=6), st.integers(0, 4))
def test_each_event_arrives_once_and_in_order_wherever_the_connections_break(
    total: int, cuts: list[int], ahead: int
) -> None:
    """Events that happen while no connection is open come from the history."""
    session = Session(total, cuts, ahead)
    with attach(session.live, history=session.history) as live:
        ids = [each["id"] for each in live]

    assert ids == session.ids()
    assert session.closed == live.reattached + 1


@given(st.integers(1, 12), st.lists(st.integers(0, 4), max_size=4), st.sampled_from(["asyncio", "trio"]))
def test_the_same_holds_for_async_for(total: int, cuts: list[int], backend: str) -> None:
    """The functions may return iterables, asynchronous ones, or awaitables."""
    session = Session(total, cuts, 1)

    async def live() -> AsyncIterator[Any]:
        async def events() -> AsyncIterator[Any]:
            for each in session.live():
                await anyio.lowlevel.checkpoint()
                yield each

        return events()

    async def main() -> list[str]:
        async with aattach(live, history=session.history) as found:
            return [each["id"] async for each in found]

    assert anyio.run(main, backend=backend) == session.ids()


def test_a_task_of_a2a_that_comes_again_is_news() -> None:
    task = {"kind": "task", "id": "t", "status": {"state": "working"}}
    done = {"kind": "task", "id": "t", "status": {"state": "completed"}}
    connections = iter([[task], [done]])

    assert list(attach(lambda: next(connections))) == [task, done]


def test_a_preview_of_an_event_that_is_known_is_dropped() -> None:
    """After a new connection, the whole event may be in the history while its pieces still arrive."""
    pieces = [
        {"type": "event_start", "event": {"type": "agent.message", "id": "evt_0"}},
        {"type": "event_delta", "event_id": "evt_0", "delta": {"content": {"text": "Hel"}}},
        {"type": "event_delta", "event_id": "evt_1", "delta": {"content": {"text": "Yes"}}},
        event(1, "session.status_idle"),
    ]

    found = list(attach(lambda: pieces, history=lambda: [event(0)]))

    assert found == [event(0), *pieces[2:]]


def test_an_error_that_is_not_of_the_connection_is_raised_at_once() -> None:
    def live() -> Any:
        raise ValueError("401")

    with pytest.raises(ValueError, match="401"):
        next(attach(live))


def test_too_many_failures_without_anything_new_are_an_error() -> None:
    def live() -> Any:
        raise httpx.ConnectError("refused")

    attached = attach(live, retries=3)
    with pytest.raises(StreamInterrupted, match="3 attempts") as raised:
        next(attached)

    assert isinstance(raised.value.__cause__, httpx.ConnectError)
    assert attached.reattached == 3
    assert list(attached) == []


def test_a_server_that_closes_in_the_middle_of_a_turn_is_asked_again() -> None:
    """A proxy closes connections that last; the end of the events is where nothing is going on."""
    with pytest.raises(StreamTruncated, match="in the middle of a turn"):
        list(attach(lambda: [event(0)], retries=2))
    assert list(attach(lambda: [event(0), event(1, "session.status_idle")])) == [
        event(0),
        event(1, "session.status_idle"),
    ]


def test_a_session_that_waits_for_a_result_has_not_ended() -> None:
    """Some servers close the events then: the result and the rest come over the next connection."""
    waits = {**event(1, "session.status_idle"), "stop_reason": {"type": "requires_action"}}
    ends = {**event(3, "session.status_idle"), "stop_reason": {"type": "end_turn"}}
    connections = iter([[event(0), waits], [event(2), ends]])
    events = attach(lambda: next(connections))

    assert list(events) == [event(0), waits, event(2), ends]
    assert events.reattached == 1


@pytest.mark.parametrize(
    "first",
    [
        {"jsonrpc": "2.0", "id": 1, "result": {"kind": "task", "id": "t", "status": {"state": "working"}}},
        {"type": "agent.session.in_progress"},
    ],
)
def test_the_state_that_each_connection_begins_with_is_nothing_new(first: dict[str, Any]) -> None:
    """A server that tells the state and then closes the events is not asked for ever."""
    connections = 0

    def live() -> list[dict[str, Any]]:
        nonlocal connections
        connections += 1
        assert connections < 10
        return [first if "jsonrpc" in first else {**first, "event_id": f"e{connections}"}]

    with pytest.raises(StreamTruncated, match="2 attempts"):
        list(attach(live, retries=2))


@pytest.mark.parametrize(
    "last",
    [
        {"type": "agent.session.idle", "event_id": "1"},
        {
            "jsonrpc": "2.0",
            "id": 1,
            "result": {"kind": "status-update", "status": {"state": "completed"}, "final": True},
        },
        {
            "jsonrpc": "2.0",
            "id": 1,
            "result": {"statusUpdate": {"status": {"state": "TASK_STATE_INPUT_REQUIRED"}}},
        },
        {"task": {"id": "t", "status": {"state": "TASK_STATE_FAILED"}}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "no such task"}},
    ],
)
def test_the_end_of_each_kind_of_session_is_known(last: dict[str, Any]) -> None:
    """OpenAI's sessions, and tasks of A2A in both versions."""
    working = {"jsonrpc": "2.0", "id": 1, "result": {"kind": "status-update", "status": {"state": "working"}}}

    assert list(attach(lambda: [working, last])) == [working, last]


def test_a_resource_of_an_sdk_needs_the_id_of_the_session() -> None:
    session = Session(4, [2], 1)

    class Events:
        def stream(self, id: str) -> Any:
            assert id == "s"
            return session.live()

        def list(self, id: str, *, order: str = "desc") -> Any:
            assert (id, order) == ("s", "asc")
            return session.history()

    assert [each["id"] for each in attach(Events(), "s")] == session.ids()
    with pytest.raises(MisuseError, match="needs the id"):
        attach(Events())
    with pytest.raises(MisuseError, match="or a function"):
        attach([event(0)])


@pytest.mark.slow
def test_a_real_server_that_resets_its_connections_loses_nothing() -> None:
    """Over HTTP: events go on while the reader is away."""
    total, dice = 200, random.Random(7)
    events = [event(n) for n in range(total - 1)] + [event(total - 1, "session.status_idle")]
    place = 0

    def play(request: Request) -> Recording:
        nonlocal place
        if request.path == "/history":
            return at_once([json.dumps(events[:place]).encode()], content_type="application/json")
        lines = [json.dumps(each).encode() + b"\n" for each in events[place : place + dice.randint(1, 40)]]
        place = min(place + len(lines) + dice.randint(0, 5), total)
        # Without an end of its own, the connection is reset.
        cut: Any = "reset" if place < total and dice.random() < 0.5 else None
        return reply(((0.0, line) for line in lines), content_type="application/x-ndjson", cut=cut)

    with testing.serve(play) as server, httpx.Client(base_url=server.url) as client:

        def live() -> Iterator[Any]:
            response = client.send(client.build_request("GET", "/live"), stream=True)
            return (json.loads(line) for line in response.iter_lines())

        found = [each["id"] for each in attach(live, history=lambda: client.get("/history").json())]

    assert found == [each["id"] for each in events]
