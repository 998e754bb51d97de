"""A process that was stopped, while bytes arrived: they are delivered before a deadline ends the stream."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from tests.support.loopback import LAST_CHUNK, OPEN, Loopback, Script, chunked_head, http_chunk
from tests.support.timing import PATIENCE
from tokenstream import Deadlines, aconnect, connect, testing
from tokenstream.errors import StreamStalled

BODY = testing.script().text("Hello", " you", " there").finish("stop").chunks("openai-chat")
IDLE = 0.1
BYTES = {"idle_bytes": IDLE}
CONTENT = {"idle_content": IDLE}
AFTER = {"after_finish": IDLE}


class Freezer:
    """Stops this process's event loop for longer than a deadline, while the server goes on sending."""

    def __init__(self, *rest: bytes, ends: bool) -> None:
        self.gate, self.sent = threading.Event(), threading.Event()
        ending = [LAST_CHUNK] if ends else []
        head = [chunked_head(), http_chunk(BODY[0]), http_chunk(BODY[1])]
        self.script: Script = [*head, self.gate, *map(http_chunk, rest), *ending, _Signal(self.sent), OPEN]

    def freeze(self) -> None:
        self.gate.set()
        assert self.sent.wait(PATIENCE)
        time.sleep(2 * IDLE)


class _Signal(threading.Event):
    """A gate that is open, and tells that the script has come so far."""

    def __init__(self, reached: threading.Event) -> None:
        super().__init__()
        self._reached = reached

    def wait(self, timeout: float | None = None) -> bool:
        self._reached.set()
        return True


async def _read(url: str, freezer: Freezer, deadlines: Deadlines) -> tuple[str, str, str | None]:
    limit: str | None = None
    async with aconnect(url, format="openai-chat", deadlines=deadlines) as stream:
        try:
            async for _ in stream.text:
                if not freezer.gate.is_set():
                    # Within the next read.
                    asyncio.get_running_loop().call_later(IDLE / 4, freezer.freeze)
        except StreamStalled as error:
            limit = error.limit
    return stream.message.text, stream.message.ending, limit


@pytest.mark.slow
@pytest.mark.parametrize("deadlines", [BYTES, CONTENT, AFTER], ids=lambda each: next(iter(each)))
def test_what_has_arrived_meanwhile_is_delivered(deadlines: dict[str, Any]) -> None:
    freezer = Freezer(*BODY[2:], ends=True)
    with Loopback(freezer.script) as server:
        found = asyncio.run(_read(server.url, freezer, Deadlines(**deadlines)))

    assert found == ("Hello you there", "complete", None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "deadlines, rest", [({"total": IDLE}, BODY[2:3]), (BYTES, BODY[2:3]), (BYTES, [])], ids=repr
)
def test_the_deadline_counts_after_it(deadlines: dict[str, Any], rest: list[bytes]) -> None:
    freezer = Freezer(*rest, ends=False)
    with Loopback(freezer.script) as server:
        found = asyncio.run(_read(server.url, freezer, Deadlines(**deadlines)))

    assert found == ("Hello you" if rest else "Hello", "truncated", next(iter(deadlines)))


@pytest.mark.slow
def test_a_loop_without_an_event_loop_gets_what_has_arrived_too() -> None:
    """Before the total ends the stream, the bytes of the connection are read."""
    freezer = Freezer(*BODY[2:], ends=True)
    with (
        Loopback(freezer.script) as server,
        connect(server.url, format="openai-chat", deadlines=Deadlines(total=IDLE)) as stream,
    ):
        text = iter(stream.text)
        assert next(text) == "Hello"
        freezer.freeze()
        assert "".join(text) == " you there"
        assert stream.message.ending == "complete"
