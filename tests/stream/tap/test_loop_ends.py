"""`tap`: how the loop ends, or what breaks, and what the message says of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import MagicMock

import anyio
import pytest

from tests.stream.bodies import TOKENS, later
from tests.stream.tap.support import PAYLOADS, WHOLE, Failing, Items, payloads
from tests.support.clocks import on
from tests.support.formats import Text
from tokenstream import tap
from tokenstream.errors import (
    NotAStream,
    ProviderError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)


@pytest.mark.anyio
async def test_closing_early_is_stopped() -> None:
    source, generator = Items(payloads()), later(payloads())
    first, second = tap(source), tap(generator)
    next(first)
    await anext(second)
    first.close()
    await second.aclose()

    assert source.closed == 1
    assert ["stopped"] * 2 == [first.message.ending, second.message.ending]
    assert first.message.reasoning == "Hm. "
    with pytest.raises(StopAsyncIteration):
        await anext(second)


def test_closing_after_the_finish_reason_is_complete() -> None:
    """What is left then is the usage and the sentinel; the answer itself is whole."""
    tapped = tap(Items(payloads()))
    for item in tapped:
        if item["choices"] and item["choices"][0]["finish_reason"]:
            break
    tapped.close()

    assert tapped.message.ending == "complete"
    assert not tapped.message.usage


@pytest.mark.anyio
async def test_with_closes_a_generator() -> None:
    begun = later(payloads())
    with pytest.raises(KeyError), tap(source := Items(payloads())) as first:
        next(first)
        raise KeyError
    async with tap(begun) as second:
        await anext(second)
    left = [item async for item in begun]

    assert (1, []) == (source.closed, left)
    assert ["stopped"] * 2 == [first.message.ending, second.message.ending]


def test_a_source_that_cannot_be_closed_is_left_alone() -> None:
    """A list has no `close`, and `with` asks for none."""
    with tap(payloads()) as tapped:
        pass

    assert tapped.message.ending == "stopped"
    assert not hasattr(tapped, "close")


class _APIError(Exception):
    def __init__(self, body: object) -> None:
        super().__init__("said by the provider")
        self.body = body


_APIError.__name__ = "APIError"


@pytest.mark.parametrize(
    "raised, kind, ending",
    [
        (ConnectionResetError("reset"), StreamInterrupted, "truncated"),
        (ValueError("a bug of the SDK"), StreamInterrupted, "truncated"),
        (TimeoutError(), StreamStalled, "truncated"),
        (_APIError({"message": "Overloaded", "type": "overloaded_error"}), ProviderError, "failed"),
    ],
    ids=["connection", "bug", "timeout", "provider"],
)
def test_what_the_source_raises_passes_unchanged(
    raised: Exception, kind: type[StreamError], ending: str
) -> None:
    tapped = tap(Items(payloads()[:4], raised))
    with pytest.raises(type(raised)) as met:
        list(tapped)
    error = tapped.error

    assert met.value is raised
    assert isinstance(error, kind)
    assert error.__cause__ is raised
    assert error.partial == tapped.message
    assert (ending, "Let me ") == (tapped.message.ending, tapped.message.text)


@pytest.mark.anyio
async def test_an_answer_that_ends_too_early_is_truncated() -> None:
    first, second = tap(payloads()[:4]), tap(later(payloads()[:4]))
    got = list(first)
    assert got == [item async for item in second]

    assert ["truncated"] * 2 == [first.message.ending, second.message.ending]
    assert isinstance(first.error, StreamTruncated)
    assert isinstance(second.error, StreamTruncated)


def test_the_mocks_of_a_test_are_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """A program with a tap passes its own tests, whatever they have in place of chunks."""
    theirs, seen = [MagicMock(), MagicMock()], caplog.records
    with caplog.at_level(logging.INFO):
        assert theirs == list(tapped := tap(theirs))

    assert (None, "streaming", 1) == (tapped.error, tapped.message.ending, len(seen))


@pytest.mark.parametrize(
    "strange, kind, ending",
    [(object(), NotAStream, "failed"), (Failing(), StreamInterrupted, "truncated")],
    ids=["no object", "a bug"],
)
def test_what_cannot_be_read_disturbs_nobody(strange: object, kind: type[StreamError], ending: str) -> None:
    theirs = [*payloads()[:4], strange, *payloads()[4:]]
    got = list(tapped := tap(theirs))

    assert got == theirs
    assert isinstance(tapped.error, kind)
    assert (ending, "Let me ") == (tapped.message.ending, tapped.message.text)


def test_a_fault_of_the_tap_itself_disturbs_nobody() -> None:
    readings = iter([0.0, 1.0, 2.0])

    def clock() -> float:
        for reading in readings:
            return reading
        if not failed:
            failed.append(ZeroDivisionError())
            raise failed[0]
        return 3.0

    failed: list[ZeroDivisionError] = []
    got = list(tapped := on(clock, tap, payloads()))

    assert got == PAYLOADS
    assert tapped.error is not None
    assert tapped.error.__cause__ is failed[0]
    assert tapped.message.reasoning == "Hm. Weather."


@pytest.mark.parametrize("method", ["feed", "end"])
def test_a_faulty_format_of_the_applications_disturbs_nobody(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(Text): ...

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Faulty, method, fail)
    got = list(tapped := tap(iter(TOKENS), format=Faulty()))

    assert got == TOKENS
    assert tapped.error is not None
    assert isinstance(tapped.error.__cause__, ZeroDivisionError)
    assert tapped.message.ending == "truncated"


def test_ctrl_c_in_the_tap_is_the_programs() -> None:
    def clock() -> float:
        if tapped.metrics.chunks == 1 and not struck:
            struck.append(1)
            raise KeyboardInterrupt
        return 1.0

    struck: list[int] = []
    tapped = tap(payloads())
    tapped = on(clock, tap, source := Items(payloads()))
    next(tapped)
    with pytest.raises(KeyboardInterrupt):
        next(tapped)
    rest = list(tapped)

    assert (2, len(PAYLOADS) - 2) == (source.reads - len(rest), len(rest))
    assert isinstance(tapped.error, StreamInterrupted)


@pytest.mark.parametrize("alive", [True, False], ids=["goes on", "ends"])
def test_ctrl_c_in_the_source_is_no_end_of_the_answer(*, alive: bool) -> None:
    """A source that goes on is seen on; one that ends with it has not ended cleanly."""
    rest = payloads()

    class Interrupted(Items):
        def __next__(self) -> Any:
            if self.reads == 1:
                self.reads += 1
                raise KeyboardInterrupt
            if self.reads > 1 and not alive:
                raise StopIteration
            return super().__next__()

    tapped = tap(Interrupted(rest))
    with pytest.raises(KeyboardInterrupt):
        list(tapped)
    between = tapped.message.ending
    got = list(tapped)

    assert (between, rest[1:] if alive else []) == ("streaming", got)
    assert tapped.message.ending == ("complete" if alive else "truncated")
    assert isinstance(tapped.error, StreamInterrupted) is not alive


def test_a_generator_is_over_after_ctrl_c() -> None:
    """Nothing can follow, so the message says that it was stopped."""

    def theirs() -> Iterator[Any]:
        yield PAYLOADS[0]
        raise KeyboardInterrupt

    tapped = tap(theirs())
    with pytest.raises(KeyboardInterrupt):
        list(tapped)

    assert tapped.message.ending == "stopped"
    assert tapped.error is None


class _Slow:
    """An asynchronous source that survives a cancelled read."""

    def __init__(self) -> None:
        self._items = payloads()
        self.gate = anyio.Event()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await self.gate.wait()
        if not self._items:
            raise StopAsyncIteration
        return self._items.pop(0)


@pytest.mark.anyio
async def test_a_timeout_around_a_read_loses_nothing() -> None:
    tapped = tap(source := _Slow())
    with anyio.move_on_after(0.01) as scope:
        await anext(tapped)
    source.gate.set()
    got = [item async for item in tapped]

    assert scope.cancelled_caught
    assert got == PAYLOADS
    assert tapped.message == WHOLE


@pytest.mark.anyio
async def test_a_cancelled_generator_is_stopped() -> None:
    async def theirs() -> AsyncIterator[Any]:
        yield PAYLOADS[0]
        await anyio.sleep_forever()

    tapped = tap(theirs())
    with anyio.move_on_after(0.01):
        async for _ in tapped:
            pass

    assert tapped.message.ending == "stopped"
