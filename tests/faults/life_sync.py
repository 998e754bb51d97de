"""How a stream in a `for` loop is left, interrupted and shared, measured over real sockets."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Generator, Iterator

from tests.faults.driver import END, HELLO, MORE
from tests.faults.matrix import Result, dropped, saw, state_of
from tests.stream.async_sources import open_after, serving
from tests.stream.blocked import Loop
from tests.support.timing import AT_ONCE
from tokenstream import Deadlines, Stream, connect
from tokenstream.errors import ConcurrentRead, StreamClosed


def break_in_a_block() -> Result:
    with open_after(HELLO) as server:
        with connect(server.url) as stream:
            for _ in stream.text:
                break
            open_until_then = server.connection().open_after(0.03)
        return state_of(stream, server, saw("the source stays open until the block ends", open_until_then))


def break_and_drop() -> Result:
    with open_after(HELLO) as server, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        stream = connect(server.url)
        for _ in stream.text:
            break
        message = stream.message
        del stream
        gc.collect()
        return dropped(message, server, warned)


def exception_in_a_block() -> Result:
    mine = ZeroDivisionError("mine")
    with open_after(HELLO) as server:
        stream = connect(server.url)
        try:
            with stream:
                for _ in stream.text:
                    raise mine
        except ZeroDivisionError as error:
            return state_of(stream, server, saw("it propagates unchanged", error is mine), error=error)
        raise LookupError


def read_after_close() -> Result:
    with open_after(HELLO) as server:
        stream = connect(server.url)
        for _ in stream.text:
            break
        stream.close()
        try:
            iter(stream)
        except StreamClosed as error:
            told = saw("the views return what has arrived", list(stream.text) == ["Hel"])
            return state_of(stream, server, told, error=error)
        raise LookupError


def ended_by(how: str) -> Result:
    """End a loop that waits, out of another thread."""
    with open_after(HELLO) as server:
        stream = connect(server.url)
        with Loop(stream.text) as loop:
            loop.got(2)
            begun = time.monotonic()
            getattr(stream, how)()
            soon = loop.ended() - begun < AT_ONCE
        return state_of(stream, server, saw("the loop ends at once", soon and not loop.error))


def stop_in_another_thread() -> Result:
    return ended_by("stop")


def close_in_another_thread() -> Result:
    return ended_by("close")


def second_reader() -> Result:
    gate = threading.Event()
    with serving(HELLO, gate, MORE + END) as server:
        stream = connect(server.url)
        refused: list[ConcurrentRead] = []
        with Loop(stream.text) as loop:
            loop.got(2)
            try:
                next(stream)
            except ConcurrentRead as error:
                refused.append(error)
            gate.set()
            loop.ended()
        return state_of(stream, server, saw("the first reader continues", not loop.error), error=refused[0])


def break_and_read_on() -> Result:
    gate = threading.Event()
    with serving(HELLO, gate, MORE + END) as server:
        stream = connect(server.url)
        for _ in stream.text:
            break
        still_open = server.connection().open_after(0.03)
        gate.set()
        stream.final()
        return state_of(stream, server, saw("the source stays open until the end is read", still_open))


def generator_closed() -> Result:
    with open_after(HELLO) as server:
        stream = connect(server.url)

        def pieces() -> Generator[str]:
            with stream:
                yield from stream.text

        around = pieces()
        next(around)
        around.close()
        return state_of(stream, server)


def interrupted_by_keyboard() -> Result:
    with open_after(HELLO, MORE[:40]) as server:
        stream = connect(server.url)
        try:
            with stream:
                for _ in stream.text:
                    if stream.message.text == "Hello €":
                        raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            once = list(stream.text) == ["Hello €"]
            return state_of(stream, server, saw("no event comes twice", once), error=error)
        raise LookupError


def slow_loop() -> Result:
    gate = threading.Event()
    with serving(HELLO, gate, MORE + END) as server:
        with connect(server.url, deadlines=Deadlines(idle_bytes=0.2, idle_content=0.2)) as stream:
            for _ in stream.text:
                if not gate.is_set():
                    time.sleep(0.25)
                gate.set()
        return state_of(stream, server)


def read_within_a_read() -> Result:
    refused: list[ConcurrentRead] = []

    def body() -> Iterator[bytes]:
        yield HELLO
        try:
            next(stream)
        except ConcurrentRead as error:
            refused.append(error)
        yield END

    stream = Stream(body())
    text = stream.final().text
    return state_of(stream, None, saw("the first read continues", text == "Hello €"), error=refused[0])


PROGRAM = """
import sys
from tokenstream import connect
stream = connect(sys.argv[1])
print(next(stream.text))
"""
