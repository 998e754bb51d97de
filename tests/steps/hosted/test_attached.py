"""A run of a hosted session over connections that break: what attach delivers, follow reads."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from tests.support.recordings import events_of
from tests.support.timing import PATIENCE
from tokenstream import Steps, aattach, attach

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_WHOLE = frozenset({"event_start", "event_delta"})
"""Types of events that no history has."""
NAMES = ["anthropic-agents/tools", "anthropic-agents/threads"]


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once."""
    monkeypatch.setattr("time.sleep", lambda _: None)

    async def sleep(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(anyio, "sleep", sleep)


class Session:
    """A recorded session that happens while it is read, over connections that break at random places."""

    def __init__(self, name: str, dice: random.Random) -> None:
        self._events = events_of(name)
        self._dice = dice
        self._happened = 0
        self.connections = 0

    def history(self) -> list[Any]:
        return [each for each in self._events[: self._happened] if each["type"] not in _WHOLE]

    def live(self) -> Iterator[Any]:
        self.connections += 1
        return self._play(self._dice.randint(0, 6))

    def _play(self, pieces: int) -> Iterator[Any]:
        while self._happened < len(self._events):
            if pieces == 0:
                raise httpx.ReadError("reset")
            pieces -= 1
            self._happened += 1
            yield self._events[self._happened - 1]


def _texts(run: Steps) -> Any:
    return [(turn.state, turn.result, turn.usage, turn.step.text) for turn in run.turns]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_over_many_connections_is_that_of_one(name: str) -> None:
    """Nothing is lost or doubled, although each connection brings back what was there before."""
    with Steps() as expected:
        list(expected.follow(events_of(name)))
    for seed in range(20):
        session = Session(name, random.Random(seed))
        with Steps() as run, attach(session.live, history=session.history) as live:
            list(run.follow(live))

        assert (run.agent, _texts(run)) == (expected.agent, _texts(expected))
        assert session.connections == live.reattached + 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_until_the_session_is_idle_ends_although_the_connection_stays(name: str, backend: str) -> None:
    """The server keeps the stream open for the next turn."""

    async def main() -> Steps:
        async def events() -> AsyncIterator[Any]:
            for event in events_of(name):
                yield event
            await anyio.sleep_forever()

        with Steps() as run:
            async with aattach(events) as live:
                with anyio.fail_after(PATIENCE):
                    async for _ in run.follow(live, until="idle"):
                        pass
        return run

    run = anyio.run(main, backend=backend)

    assert run.turns[-1].state == "done"
