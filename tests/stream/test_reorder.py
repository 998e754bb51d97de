"""A stream whose frames come out of order or twice: `Stream(…, reorder=Reorder(…))`."""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest

from tests.recovery.attempts import in_each_world
from tests.support.either import Each, inside, run_in, stream_in
from tokenstream import AsyncStream, Deadlines, Stream, testing
from tokenstream.errors import MisuseError, ProtocolError, StreamError
from tokenstream.stages import Reorder

SCRIPT = testing.script().text("Hello wonderful world").tool_call("now", {"zone": "UTC"}).finish("tool_calls")
CHUNKS = SCRIPT.chunks("openai-responses")


def read(world: str, chunks: list[bytes], reorder: Reorder, **options: Any) -> tuple[list[Any], Any]:
    events: list[Any] = []

    async def later_body() -> Any:
        for chunk in chunks:
            await anyio.lowlevel.checkpoint()
            yield chunk

    async def main() -> Any:
        body = chunks if world == "sync" else later_body()
        made = stream_in(world)(body, reorder=reorder, format="openai-responses", **options)
        async with inside(made) as stream:
            try:
                async for event in Each(stream):
                    events.append(event)
            except StreamError as error:
                return error
            return stream

    return events, run_in(world, main)


@in_each_world
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("joined", [False, True], ids=["an event a chunk", "all in one chunk"])
def test_the_answer_is_the_one_that_was_sent(world: str, seed: int, joined: bool) -> None:
    plain, _ = read(world, CHUNKS, Reorder())
    chance = random.Random(seed)
    shuffled = [*CHUNKS, *chance.choices(CHUNKS, k=5)]
    chance.shuffle(shuffled)
    events, stream = read(world, [b"".join(shuffled)] if joined else shuffled, Reorder())

    assert events == plain
    assert (stream.message.text, stream.message.complete) == ("Hello wonderful world", True)
    assert stream.departures.details["frame_reordered"] > 0


@in_each_world
def test_f57_without_it_the_whole_text_at_the_end_shows_the_disorder(world: str) -> None:
    """Nobody said that the frames have an order, but their text is another one than the server's."""
    swapped = [*CHUNKS[:5], CHUNKS[6], CHUNKS[5], *CHUNKS[7:]]
    put_right, _ = read(world, swapped, Reorder())
    with pytest.raises(ProtocolError, match="differs from its deltas: 21 characters arrived") as caught:
        list(Stream(swapped, format="openai-responses"))

    assert "Hello wonderful world" != caught.value.partial.text
    assert "Hello wonderful world" == "".join(getattr(event, "text", "") for event in put_right)


@in_each_world
def test_a_frame_that_never_comes_is_an_error_after_what_came_before_it(world: str) -> None:
    events, error = read(world, [*CHUNKS[:6], *CHUNKS[7:]], Reorder())
    before, _ = read(world, CHUNKS[:6], Reorder())

    assert isinstance(error, ProtocolError)
    assert "frame number 6 never came" in str(error)
    assert [event for event in events if event.part is not None] == [
        event for event in before if event.part is not None
    ][: len([event for event in events if event.part is not None])]
    assert error.partial.text == "Hello wonder"[: len(error.partial.text)]


@pytest.mark.anyio
async def test_a_source_that_waits_is_read_until_the_gap_is_too_old() -> None:
    async def body() -> Any:
        for chunk in [*CHUNKS[:6], *CHUNKS[7:9]]:
            yield chunk
        await anyio.sleep(30)

    reorder = Reorder(timeout=0.05)
    async with AsyncStream(body(), reorder=reorder, format="openai-responses") as stream:
        with pytest.raises(ProtocolError, match="never came"):
            await stream.final()
    assert stream.closed


@pytest.mark.anyio
async def test_an_answer_that_begins_at_one_is_given_after_the_wait() -> None:
    async def body() -> Any:
        for chunk in CHUNKS[1:8]:
            yield chunk
        await anyio.sleep(30)

    reorder = Reorder(timeout=0.05)
    deadlines = Deadlines(total=20)
    stream = AsyncStream(body(), reorder=reorder, format="openai-responses", deadlines=deadlines)
    async with stream:
        assert await anext(stream.text) == "Hello"


def test_one_belongs_to_one_stream() -> None:
    reorder = Reorder()
    Stream(CHUNKS, reorder=reorder).final()

    with pytest.raises(MisuseError, match="belongs to another stream"):
        Stream(CHUNKS, reorder=reorder)
    with pytest.raises(MisuseError, match="takes a tokenstream"):
        Stream(CHUNKS, reorder="sequence_number")  # type: ignore[arg-type]
