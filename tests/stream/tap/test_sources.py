"""`tap`: what can be tapped, and what is asked of it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import MagicMock

import aiohttp
import pytest

from tests.stream.bodies import ANSWER
from tests.stream.tap.support import PAYLOADS, WHOLE, Chunk, Items, later, payloads
from tests.support.loopback import Loopback, chunked
from tokenstream import tap
from tokenstream.errors import MisuseError


def test_attributes_and_methods_are_the_streams() -> None:
    """What is not ours is asked of what is tapped, and what that lacks is lacking."""
    source = Items(payloads())
    tapped = tap(source)
    next(tapped)

    assert tapped.reads == 1
    with pytest.raises(AttributeError, match="get_final_message"):
        tapped.get_final_message()
    assert "Items: openai-chat, streaming" in repr(tapped)
    assert copy.copy(tapped).message == tapped.message


def test_a_mock_is_tapped_as_what_it_gives() -> None:
    """It has every attribute, those of a whole answer and of a response, too."""
    mock = MagicMock()
    mock.__iter__.return_value = iter(payloads())
    tapped: Any = tap(mock)

    assert list(tapped) == PAYLOADS
    assert tapped.message == WHOLE


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_awaited_is_tapped_for_an_async_loop() -> None:
    """Futures can be iterated over, too, but only by the event loop."""
    asked: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    asked.set_result(later(payloads()))
    tapped: Any = tap(asked)
    async with tapped:
        assert PAYLOADS == [item async for item in tapped]

    assert tapped.message == WHOLE


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_request_of_aiohttp_is_entered_by_the_tap() -> None:
    """What it gives is aiohttp's own response."""
    with Loopback(chunked(ANSWER)) as server:
        async with aiohttp.ClientSession() as session:
            tapped: Any = tap(session.post(server.url))
            async with tapped:
                assert b"".join(ANSWER) == await tapped.read()


def test_a_source_that_is_read_in_both_ways_can_be() -> None:
    """Some SDKs have one class for both; the tap has both loops then."""

    class Both(Items):
        def __aiter__(self) -> AsyncIterator[Any]:
            return later(self)

    async def read(tapped: Any) -> list[Any]:
        return [item async for item in tapped]

    tapped = tap(Both(payloads()))

    assert [next(tapped), *asyncio.run(read(tapped))] == PAYLOADS
    assert tapped.message == WHOLE


@pytest.mark.parametrize(
    "source",
    [b"data: a", "data: a", {"choices": []}, Chunk({}), 7, None],
    ids=lambda source: type(source).__name__,
)
def test_what_is_no_stream_is_refused(source: Any) -> None:
    """A whole answer, or nothing that can be looped over, is a mistake of the code that taps."""
    with pytest.raises(MisuseError, match="cannot be tapped"):
        tap(source)


def test_a_format_can_be_named() -> None:
    """Pieces of text that somebody else decoded are no wire text."""
    got = list(tapped := tap(iter(["Hel", "lo"]), format="pieces"))

    assert ["Hel", "lo"] == got
    assert ("Hello", "complete") == (tapped.message.text, tapped.message.ending)


def test_bytes_are_chunks_of_a_body() -> None:
    """A loop over the chunks of a body can be tapped, too."""
    assert ANSWER == list(tapped := tap(iter(ANSWER)))
    assert tapped.message == WHOLE
    assert tapped.metrics.started == "wrapped"
