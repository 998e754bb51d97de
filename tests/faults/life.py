"""How a stream in a loop of either kind is left and interrupted, measured over real sockets."""

from __future__ import annotations

import threading
import time

import anyio

from tests.faults.driver import END, HELLO, MORE
from tests.faults.matrix import Result, World, saw, state_of
from tests.stream.async_sources import open_after, serving
from tests.support.either import Each, connect_in, got, inside
from tokenstream import Deadlines
from tokenstream.errors import MisuseError


async def break_in_a_block(world: World) -> Result:
    with open_after(HELLO) as server:
        async with inside(connect_in(world)(server.url)) as stream:
            async for _ in Each(stream.text):
                break
            open_until_then = server.connection().open_after(0.03)
        return state_of(stream, server, saw("the source stays open until the block ends", open_until_then))


async def exception_in_a_block(world: World) -> Result:
    mine = ZeroDivisionError("mine")
    with open_after(HELLO) as server:
        stream = connect_in(world)(server.url)
        try:
            async with inside(stream):
                async for _ in Each(stream.text):
                    raise mine
        except ZeroDivisionError as error:
            return state_of(stream, server, saw("it propagates unchanged", error is mine), error=error)
        raise LookupError


async def read_after_close(world: World) -> Result:
    with open_after(HELLO) as server:
        stream = connect_in(world)(server.url)
        async for _ in Each(stream.text):
            break
        await got((stream.close if world == "sync" else stream.aclose)())
        try:
            Each(stream)
        except MisuseError as error:
            rest = [piece async for piece in Each(stream.text)]
            told = saw("the views return what has arrived", rest == ["Hel"])
            return state_of(stream, server, told, error=error)
        raise LookupError


async def break_and_read_on(world: World) -> Result:
    gate = threading.Event()
    with serving(HELLO, gate, MORE + END) as server:
        stream = connect_in(world)(server.url)
        async for _ in Each(stream.text):
            break
        still_open = server.connection().open_after(0.03)
        gate.set()
        await got(stream.final())
        return state_of(stream, server, saw("the source stays open until the end is read", still_open))


async def interrupted_by_keyboard(world: World) -> Result:
    with open_after(HELLO, MORE[:40]) as server:
        stream = connect_in(world)(server.url)
        try:
            async with inside(stream):
                async for _ in Each(stream.text):
                    if stream.message.text == "Hello €":
                        raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            once = [piece async for piece in Each(stream.text)] == ["Hello €"]
            return state_of(stream, server, saw("no event comes twice", once), error=error)
        raise LookupError


async def slow_loop(world: World) -> Result:
    gate, deadlines = threading.Event(), Deadlines(idle_bytes=0.5, idle_content=0.5)
    with serving(HELLO, gate, MORE + END) as server:
        async with inside(connect_in(world)(server.url, deadlines=deadlines)) as stream:
            async for _ in Each(stream.text):
                if not gate.is_set():
                    # The rest arrives while the loop's body takes its time.
                    gate.set()
                    await got((time if world == "sync" else anyio).sleep(0.6))
        return state_of(stream, server)
