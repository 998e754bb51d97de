"""Deadlines on sessions: between two answers nothing is silent for too long, inside one it is."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import websockets.asyncio.client as asyncio_client
import websockets.sync.client as sync_client

from tests._sources.sockets import answer, event, open_socket
from tests.support.clocks import on
from tests.support.playing import Playback, read, silent_after, three_worlds
from tests.support.wire import sse
from tokenstream import AsyncStream, Deadlines, Stream
from tokenstream.errors import StreamStalled
from tokenstream.events import Finish

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection


pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
SESSION = event("session.created", session={"model": "gpt-realtime"})
LIMITS = event("rate_limits.updated", rate_limits=[{"name": "tokens"}])
BRIEF = Deadlines(first_event=0.1, idle_bytes=0.1, idle_content=0.1)
FIRST, SECOND = answer("resp_1", "Hel", "lo"), answer("resp_2", "Bye")
LONG = 1_000.0
"""Seconds on a clock of the tests' own; more than any deadline that is the default."""


def hesitant(connection: ServerConnection) -> None:
    """Pause before, between and after the events of the session, and inside the third answer for ever."""
    time.sleep(0.2)
    connection.send(SESSION)
    for each in (*answer("resp_1", "Hel", "lo"), LIMITS):
        connection.send(each)
    time.sleep(0.2)
    for each in answer("resp_2", "Bye"):
        connection.send(each)
    time.sleep(0.2)
    for each in answer("resp_3", "cut")[:4]:
        connection.send(each)
    for _ in connection:
        pass


@contextmanager
def opened(script: Callable[[ServerConnection], None] = hesitant) -> Generator[Any]:
    with open_socket(script) as url, sync_client.connect(url) as connection:
        yield connection


@pytest.mark.slow
def test_a_session_may_be_silent_between_its_answers() -> None:
    """Users speak when they like; a read of an answer that blocks is ended by its deadline."""
    told = []
    with opened() as connection, Stream(connection, deadlines=BRIEF) as stream:
        with pytest.raises(StreamStalled) as caught:
            for response in stream.responses:
                told.append(response.final().text)
        assert not stream.closed

    assert told == ["Hello", "Bye"]
    assert (caught.value.partial.text, caught.value.partial.ending) == ("cut", "truncated")


@pytest.mark.slow
@on_asyncio
async def test_an_asynchronous_session_may_be_silent_between_its_answers() -> None:
    told = []
    with open_socket(hesitant) as url:
        async with (
            asyncio_client.connect(url) as connection,
            AsyncStream(connection, deadlines=BRIEF) as stream,
        ):
            with pytest.raises(StreamStalled) as caught:
                async for response in stream.responses:
                    told.append((await response.final()).text)
            assert not stream.closed

    assert (told, caught.value.partial.text) == (["Hello", "Bye"], "cut")


def session(*steps: str | float) -> Playback:
    """Play the messages and pauses of a session on a clock of its own; then it is silent for ever."""
    return silent_after(*steps, messages=True)


@three_worlds
def test_so_it_is_where_all_answers_are_read_at_once(world: str) -> None:
    """The stream itself knows when an answer is being given."""
    third = answer("resp_3", "cut")[:4]
    playback = session(LONG, SESSION, *FIRST, LIMITS, LONG, *SECOND, LONG, *third)
    error = read(world, playback, deadlines=BRIEF).error

    assert isinstance(error, StreamStalled)
    assert error.partial.text == "HelloByecut"


def test_an_answer_that_stalled_is_passed_over() -> None:
    told = []
    with session(*FIRST[:4], 0.3, *FIRST[4:], *SECOND).stream(deadlines=BRIEF) as stream:
        for response in stream.responses:
            with suppress(StreamStalled):
                response.final()
            told.append((response.message.text, response.message.ending))
            if len(told) == 2:
                break

    assert told == [("Hel", "truncated"), ("Bye", "complete")]


@three_worlds
def test_the_time_for_everything_also_counts_between_answers(world: str) -> None:
    """`Deadlines.total` is of the session, where it is read at once."""
    playback = session(LONG, SESSION, *FIRST)
    error = read(world, playback, deadlines=Deadlines(total=700)).error

    assert isinstance(error, StreamStalled)
    assert error.limit == "total"
    assert playback.clock() == pytest.approx(700)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def playing(self, *steps: Any) -> Iterator[Any]:
        for step in steps:
            if isinstance(step, float):
                self.now += step
            else:
                yield step


ABOUT = [SESSION, *FIRST, LONG, LIMITS, LONG, *SECOND[:4]]
"""A session that is silent before its second answer, of which it gives a part."""


@pytest.mark.parametrize("rest, limit", [([60.0, *SECOND[4:]], None), ([LONG, *SECOND[4:]], "idle_content")])
def test_an_answers_clock_begins_with_the_answer(rest: list[Any], limit: str | None) -> None:
    clock, error = Clock(), None
    stream = on(clock.read, Stream, clock.playing(*ABOUT, *rest))
    try:
        stream.final()
    except StreamStalled as stalled:
        error = stalled

    assert (None if error is None else error.limit) == limit
    assert stream.message.text == "HelloBye"


def test_a_loop_that_was_away_between_answers_has_used_up_no_silence() -> None:
    """An answer that is silent is given no longer for that."""
    clock = Clock()
    stream = on(clock.read, Stream, clock.playing(SESSION, *FIRST, *SECOND[:2], 700.0, *SECOND[2:]))
    for each in stream:
        if isinstance(each, Finish):
            break
    clock.now += LONG
    with pytest.raises(StreamStalled):
        stream.final()


def content(**fields: Any) -> dict[str, Any]:
    return {"serverContent": fields}


@pytest.mark.parametrize(
    "steps, waits",
    [
        ([{"setupComplete": {}}], True),
        ([content(inputTranscription={"text": "Hi"})], True),
        ([content(modelTurn={"parts": [{"text": "a"}]})], False),
        ([content(modelTurn={"parts": [{"text": "a"}]}), content(generationComplete=True)], True),
        ([content(modelTurn={"parts": [{"text": "a"}]}), content(turnComplete=True)], True),
        ([{"toolCall": {"functionCalls": [{"id": "a", "name": "now"}]}}], True),
        (
            [
                {"toolCall": {"functionCalls": [{"id": "a", "name": "now"}]}},
                content(modelTurn={"parts": [{"text": "a"}]}),
            ],
            False,
        ),
    ],
)
def test_gemini_may_be_silent_while_it_waits(steps: list[Any], waits: bool) -> None:
    clock = Clock()
    more = content(modelTurn={"parts": [{"text": "b"}]})
    stream = on(
        clock.read,
        Stream,
        clock.playing(
            *steps, LONG, {"sessionResumptionUpdate": {"newHandle": "h"}}, more, content(turnComplete=True)
        ),
    )
    if waits:
        assert stream.final().text.endswith("b")
    else:
        with pytest.raises(StreamStalled):
            stream.final()


@three_worlds
def test_messages_of_one_answer_have_deadlines_once_it_has_begun(world: str) -> None:
    """Whoever answers over a WebSocket in another format is waited for as ever, but for the first message."""
    chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    error = read(world, session(LONG, json.dumps(chunk)), deadlines=BRIEF).error

    assert isinstance(error, StreamStalled)
    assert error.partial.text == "Hi"


async def test_a_stream_of_one_answer_keeps_its_deadlines_when_asked_for_answers() -> None:
    begun = sse('{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hi"}}]}')
    for chunks, limit in (([], "first_event"), ([begun[:20]], "first_event"), ([begun], "idle_content")):
        stream = silent_after(*chunks).astream(deadlines=Deadlines(first_event=90, idle_content=90))
        with pytest.raises(StreamStalled) as caught:
            async for response in stream.responses:
                await response.final()
        assert (caught.value.limit, stream.closed) == (limit, True)


@on_asyncio
async def test_it_is_the_streams_own_clock_that_counts() -> None:
    """What wakes the reader may go faster: then it waits on."""

    async def silent() -> AsyncIterator[bytes]:
        await anyio.sleep_forever()
        yield b""

    def half() -> float:
        return time.monotonic() / 2

    stream = on(half, AsyncStream, silent(), deadlines=Deadlines(first_event=0.05))
    began = time.monotonic()
    with pytest.raises(StreamStalled):
        await (await anext(stream.responses)).final()

    assert time.monotonic() - began > 0.1
