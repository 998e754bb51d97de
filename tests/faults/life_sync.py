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
from tokenstream import Stream, connect
from tokenstream.errors import MisuseError


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
        refused: list[MisuseError] = []
        with Loop(stream.text) as loop:
            loop.got(2)
            try:
                next(stream)
            except MisuseError as error:
                refused.append(error)
            gate.set()
            loop.ended()
        return state_of(stream, server, saw("the first reader continues", not loop.error), error=refused[0])


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


def read_within_a_read() -> Result:
    refused: list[MisuseError] = []

    def body() -> Iterator[bytes]:
        yield HELLO
        try:
            next(stream)
        except MisuseError as error:
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
