"""Exceptions that are no transport's: a job's time limit, an exit, a bug. They go out as they came."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest

from tests.stream.foreign_cells import COLUMNS, PLACES
from tests.support.tables import in_one_test
from tokenstream import Retry, Stream, resilient, testing
from tokenstream.errors import StreamInterrupted, StreamStalled

BODY = testing.script().text("Hello", " you").finish("stop").chunks("openai-chat")
BEFORE_THE_HEAD = ("import", "before the head")


@pytest.mark.slow
@pytest.mark.parametrize("color", ["sync", "asyncio", "trio"])
def test_every_exception_goes_out_of_every_place_as_it_came(color: str) -> None:
    program = Path(__file__).with_name("foreign_cells.py")
    ran = subprocess.run(
        [sys.executable, "-W", "error", program, color], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    found: dict[str, Any] = json.loads(ran.stdout)

    for name, (came, text, requests, is_closed) in found.items():
        column, place = name.split(", ")
        # These two leave an event loop at once, maybe before anything else is read.
        is_at_once = color != "sync" and column in ("KeyboardInterrupt", "SystemExit")
        arrived = "" if place in (*BEFORE_THE_HEAD, "head") else "Hello"
        assert came == "itself", name
        assert text in ({arrived, ""} if is_at_once else {arrived}), name
        assert (requests, is_closed) == (place not in BEFORE_THE_HEAD, True), name
    assert len(found) == len(COLUMNS) * len(PLACES)


class Limit(Exception):
    """The time limit of a job."""


class TimeIsUp(TimeoutError):
    """The same, as a kind of TimeoutError."""


def _in_package(package: str, text: str, **names: Any) -> Callable[[], Any]:
    code: dict[str, Any] = {"__name__": package, **names}
    exec(text, code)
    function: Callable[[], Any] = code["function"]
    return function


def _wrapped(cause: BaseException, wrapper: BaseException, package: str, *, how: str) -> Callable[[], Any]:
    """Return a client's function that raises `wrapper` in place of what interrupts it."""

    def interrupted() -> None:
        raise cause

    text = f"""
def function():
    try:
        interrupted()
    except BaseException as error:
        raise wrapper {how}
"""
    return _in_package(package, text, interrupted=interrupted, wrapper=wrapper)


WRAPPERS: dict[str, tuple[BaseException, str, str]] = {
    "httpcore's": (httpcore.ReadTimeout("the job has 1 second"), "httpcore._exceptions", "from error"),
    "httpx's": (httpx.ReadError("the job has 1 second"), "httpx._transports.default", "from error"),
    "an SDK's": (type("APIConnectionError", (Exception,), {})("no"), "openai._base_client", "from error"),
    "urllib3's": (ConnectionError("broken"), "urllib3.response", ""),
}


@in_one_test("wrapper, package, how", WRAPPERS.values(), ids=WRAPPERS)
@in_one_test("cause", [Limit("1 s"), TimeIsUp("1 s"), TimeoutError("1 s"), LookupError("a bug")], ids=repr)
def test_what_a_client_has_wrapped_goes_out_as_it_was(
    cause: BaseException, wrapper: BaseException, package: str, how: str
) -> None:
    """Clients take the exception of a signal's handler for a failure of the socket that they read."""
    opened = 0

    def body() -> Iterator[bytes]:
        nonlocal opened
        opened += 1
        yield from BODY[:2]
        _wrapped(cause, wrapper, package, how=how)()

    stream = resilient(body, Retry(wait=0))
    with pytest.raises(type(cause)) as caught:
        stream.final()

    assert caught.value is cause
    assert (opened, stream.message.text, stream.message.ending) == (1, "Hello", "stopped")


def test_what_the_program_was_handling_before_is_not_raised_again() -> None:
    """A read in an `except` block fails as any other; Python links its error to the one that is handled."""

    def body() -> Iterator[bytes]:
        yield from BODY[:2]
        raise ConnectionResetError("gone")

    try:
        raise LookupError("an earlier one")
    except LookupError:
        with pytest.raises(StreamInterrupted):
            Stream(body()).final()


def test_a_sockets_timeout_is_a_silence() -> None:
    """The standard library raises it, without a class of its own."""
    function = _in_package("socket", "def function():\n    raise TimeoutError('timed out')")

    def body() -> Iterator[bytes]:
        yield from BODY[:2]
        function()

    with pytest.raises(StreamStalled):
        Stream(body()).final()


def test_every_later_reader_gets_the_exception() -> None:
    """A list of an answer that is not whole would look like a whole one."""

    def body() -> Iterator[bytes]:
        yield from BODY[:2]
        raise LookupError("a bug")

    stream = Stream(body())
    for read in (lambda: list(stream.text), stream.final, lambda: list(stream)):
        with pytest.raises(LookupError, match="a bug"):
            read()
    assert (stream.message.text, stream.closed) == ("Hello", True)


def test_a_limit_that_strikes_while_a_source_is_closed_goes_out() -> None:
    """Other failures of closing are no errors: nothing of the answer is missing."""
    import signal

    def handler(*_: object) -> None:
        raise Limit("1 s")

    class Source(list[bytes]):
        def close(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        stream = Stream(iter(Source(BODY)))
        assert stream.final().text == "Hello you"
        with pytest.raises(Limit):
            Stream(_Closing(Source(BODY))).final()
    finally:
        signal.signal(signal.SIGTERM, before)


class _Closing:
    def __init__(self, items: Any) -> None:
        self.close = items.close
        self._items: Iterator[bytes] = iter(items)

    def __iter__(self) -> Iterator[bytes]:
        return self._items
