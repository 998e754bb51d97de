"""Advice on where a stream or a run is read: a mistake that it answers, and what the message says to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.followed_advice import CHUNKS, asynchronous, hello
from tests.support.followed_advice_testing import check
from tokenstream import AsyncStream, Steps, aconnect, testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.followed_advice import Program

_WHOLE = testing.script().text(*"Hello").finish("stop").recording("openai-chat")
_ENDLESS = testing.script().text("Hel").recording("openai-chat").replaced(breaks="stall")


async def _chunks() -> AsyncIterator[bytes]:
    for chunk in CHUNKS:
        await asyncio.sleep(0)
        yield chunk


async def _begin(stream: AsyncStream) -> str:
    return await anext(aiter(stream.text))


async def _end(stream: AsyncStream) -> str:
    await stream.final()
    await stream.aclose()
    return stream.message.text


async def _begin_and_end(stream: AsyncStream) -> str:
    await _begin(stream)
    return await _end(stream)


def _read_served(recording: testing.Recording, *, once: bool) -> str:
    with testing.serve(recording) as server:
        stream = aconnect(f"{server.url}/v1/chat/completions", json={})
        if once:
            return asyncio.run(_begin_and_end(stream))
        asyncio.run(_begin(stream))
        return asyncio.run(_end(stream))


async def _read_in_two_loops() -> str:
    stream = AsyncStream(_chunks())
    await _begin(stream)
    try:
        return await asyncio.to_thread(asyncio.run, _end(stream))
    finally:
        await stream.aclose()


async def _read_in_one_loop() -> str:
    return await _begin_and_end(AsyncStream(_chunks()))


def _view(*, anew: bool) -> str:
    with hello() as stream:
        view = stream.text
        view.close()
        return "".join((stream.text if anew else view).words())


def _reply(*, to: list[object] | None) -> list[object]:
    with Steps() as run, run.step("ask") as step:
        step.wait_for("q", "May I?", send=None if to is None else to.append)
        run.reply("q", "yes")
    return to or []


LOOPS: dict[str, tuple[Program, Program]] = {
    "the event loop that": (
        lambda: _read_served(_ENDLESS, once=False),
        lambda: check(_read_served(_WHOLE, once=True), "Hello"),
    ),
    "the stream is read": (
        lambda: asynchronous(_read_in_two_loops),
        lambda: check(asynchronous(_read_in_one_loop), "Hello"),
    ),
    "this view was closed:": (lambda: _view(anew=False), lambda: check(_view(anew=True), "Hello")),
    "the run cannot send": (lambda: _reply(to=None), lambda: check(_reply(to=[]), ["yes"])),
}
"""First words of a message, a mistake that it answers, and what the message says to do."""
