"""A handler is proved at every chunking and at every cut."""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tokenstream import testing
from tokenstream.errors import MisuseError, OutputIncomplete, StreamError, StreamTruncated
from tokenstream.events import TextDelta
from tokenstream.testing import Recording, Seed, aassert_stream, assert_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream import AsyncStream, Stream

_HELLO = testing.script().text("Hello, ", "wörld").tool_call("rm", {"path": "/srv/x"}).finish()


def _read(stream: Stream) -> str:
    with stream:
        return "".join(stream.text)


async def _aread(stream: AsyncStream) -> str:
    async with stream:
        return "".join([piece async for piece in stream.text])


def _handed_on(function: Any, stream: Stream) -> Any:
    return function(stream)


class _Broken:
    """A handler that does something else from some call on."""

    def __init__(self, does: Callable[[Stream], Any], *, after: int) -> None:
        self.calls = 0
        self._does = does
        self._after = after

    def __call__(self, stream: Stream) -> Any:
        self.calls += 1
        text = _read(stream)
        return text if self.calls <= self._after else self._does(stream)


def _cut_off(stream: Stream) -> str:
    return stream.message.text[:5]


@pytest.mark.slow
def test_it_returns_what_the_handler_returns() -> None:
    """A handler that copes is proved, and its value comes back to be compared."""
    assert "Hello, wörld" == assert_stream(_read, _HELLO)


@pytest.mark.slow
@pytest.mark.parametrize("backends", ["trio", ("asyncio",), ("trio", "asyncio")])
def test_an_async_handler_is_proved_on_the_event_loops_that_are_named(backends: Any) -> None:
    assert "Hello, wörld" == assert_stream(_aread, _HELLO, cuts=16, backends=backends)


@pytest.mark.slow
@pytest.mark.anyio
async def test_within_an_event_loop_it_is_awaited() -> None:
    assert "Hello, wörld" == await aassert_stream(_aread, _HELLO, cuts=16)


@pytest.mark.anyio
async def test_within_an_event_loop_a_plain_handler_is_proved_as_anywhere() -> None:
    assert "Hello, wörld" == assert_stream(_read, _HELLO, cuts=8)


def test_an_async_callable_object_is_an_async_handler() -> None:
    class Handler:
        async def __call__(self, stream: AsyncStream) -> str:
            return (await stream.final()).text

    assert "Hello, wörld" == assert_stream(Handler(), _HELLO, cuts=8)


def test_no_event_loop_is_no_proof() -> None:
    with pytest.raises(MisuseError, match="names no event loop"):
        assert_stream(_aread, _HELLO, backends=())


def test_options_go_to_the_stream() -> None:
    body = Recording.of([b"data: Hel\n\n", b"data: lo\n\n", b"data: [DONE]\n\n"])

    assert "Hello" == assert_stream(_read, body, format="text")


# -- what a handler does wrong -------------------------------------------------


def _failure(handler: Any, recording: Any = _HELLO, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_stream(handler, recording, **options)
    return str(caught.value)


def test_another_value_at_a_chunking_is_reported_with_the_difference() -> None:
    told = _failure(_Broken(_cut_off, after=2))

    assert (
        "chunking='whole': the handler returned another value\n"
        "the value: expected 'Hello, wörld', came 'Hello'\n"
        "to see it again: handler(recording.stream(chunking='whole'))"
    ) == told


def test_the_chunkings_that_are_given_are_tried() -> None:
    """Each is tried once, after the unchanged recording, and no others are."""
    handler = _Broken(_cut_off, after=3)
    told = _failure(handler, chunkings=[2, "bytes", Seed(5)], cuts=0)

    assert told.startswith("chunking=Seed(number=5): ")
    assert 4 == handler.calls


def test_one_chunking_is_given_as_it_is() -> None:
    told = [
        _failure(_Broken(_cut_off, after=1), chunkings=chunking, cuts=0) for chunking in ("bytes", 3, Seed(4))
    ]

    assert ["chunking='bytes'", "chunking=3", "chunking=Seed(number=4)"] == [
        each.partition(":")[0] for each in told
    ]


def test_what_a_handler_keeps_does_not_hide_what_differs() -> None:
    """A list that grows from stream to stream equals itself, but not its earlier copy."""
    kept: list[str] = []

    def keep(stream: Stream) -> list[str]:
        kept.append(_read(stream))
        return kept

    told = _failure(keep)

    assert (
        "chunking='events': the handler returned the same list as before, and has changed it: have it make a "
        "new one for each stream\n"
        "[1]: only came has 'Hello, wörld'\n"
        "to see it again: handler(recording.stream(chunking='events'))"
    ) == told


def test_objects_that_are_equal_to_nothing_else_are_misuse() -> None:
    """Such objects would differ at any chunking, whatever they hold."""

    class Screen:
        def __init__(self, text: str) -> None:
            self.text = text

    with pytest.raises(MisuseError, match=r"the type Screen, .* give them an __eq__"):
        assert_stream(lambda stream: Screen(_read(stream)), _HELLO)


def test_what_there_is_one_of_is_a_value() -> None:
    """Enumeration members and None equal only themselves, yet each is the only one of its kind."""

    class Verdict(Enum):
        FINE = "fine"
        CUT = "cut"

    verdicts = iter([Verdict.FINE, Verdict.CUT])

    def show(stream: Stream) -> object:
        _read(stream)
        return next(verdicts, None)

    assert "chunking='events': the handler returned another value" in _failure(show)


def test_what_a_chunk_holds_is_no_business_of_a_handler() -> None:
    """A handler that counts chunks instead of events fails."""
    told = _failure(lambda stream: [len(_read(stream)), stream.metrics.first_byte, id(stream)])

    assert told.startswith("chunking='events': the handler returned another value\n[2]:")


def test_an_error_that_is_not_allowed_is_reported_with_its_cut() -> None:
    """At a cut a handler returns, or raises what `allow` permits; its own error is the cause."""

    def first_call(stream: Stream) -> Any:
        with suppress(StreamError):
            stream.final()
        return stream.message.tool_calls[0].name

    with pytest.raises(AssertionError) as caught:
        assert_stream(first_call, _HELLO)

    assert (
        "fault=faults.cut(at=0): the handler raised IndexError: tuple index out of range, "
        "which `allow` does not permit\n"
        "to see it again: handler(recording.stream(fault=faults.cut(at=0)))"
    ) == str(caught.value)
    assert isinstance(caught.value.__cause__, IndexError)


def test_a_failed_assertion_of_the_handler_is_reported_in_one_line() -> None:
    def sure(stream: Stream) -> None:
        with suppress(StreamError):
            stream.final()
        if stream.message.ending != "complete":
            raise AssertionError("assert '' == 'x'\n  - x\n  +")

    assert (
        "fault=faults.cut(at=0): the handler raised AssertionError: assert '' == 'x', "
        "which `allow` does not permit\n"
        "to see it again: handler(recording.stream(fault=faults.cut(at=0)))"
    ) == _failure(sure)


@pytest.mark.slow
def test_allow_may_permit_more_and_less() -> None:
    """By default the library's errors for failed and for cut answers are permitted."""
    assert "rm" == assert_stream(
        lambda stream: list(stream.tool_calls)[0].name,  # noqa: RUF015 - it reads to the end
        _HELLO,
        allow=(StreamError, IndexError),
    )
    assert "which `allow` does not permit" in _failure(_read, allow=OutputIncomplete)


def test_a_reset_is_tried_at_each_place_too() -> None:
    """A body that ends cleanly and a connection that is reset are two things."""

    def forgives_an_end(stream: Stream) -> str:
        try:
            return _read(stream)
        except StreamTruncated:
            return ""

    assert _failure(forgives_an_end, allow=StreamTruncated).startswith("fault=faults.reset(at=0): ")


def test_a_stream_that_is_left_open_is_reported() -> None:
    """`break` does not close: a handler reads to the end, or uses `with`."""

    def first(stream: Stream) -> str:
        return next(iter(stream.text), "")

    assert _failure(first).startswith("as recorded: the handler left the stream open")


def test_a_stream_that_an_error_leaves_open_is_reported() -> None:
    """A handler must close the stream before it raises, even if the error is permitted."""

    def strict(stream: Stream) -> str:
        for event in stream:
            if isinstance(event, TextDelta) and event.text != "Hello, ":
                raise ValueError("unexpected")
        return "read"

    assert _failure(strict, allow=ValueError).startswith("as recorded: the handler left the stream open")


@pytest.mark.parametrize("value, kind", [(iter([1]), "list_iterator"), ((n for n in [1]), "generator")])
def test_a_value_that_cannot_be_compared_is_misuse(value: Any, kind: str) -> None:
    """An iterator is equal to nothing but itself."""

    def handler(stream: Stream) -> Any:
        _read(stream)
        return value

    with pytest.raises(MisuseError, match=f"the handler returned a value of the type {kind}"):
        assert_stream(handler, _HELLO)


def test_an_async_generator_is_no_value() -> None:
    """The error comes before the check that the stream was read, which nobody has done."""

    async def pieces(stream: AsyncStream) -> Any:
        async for piece in stream.text:
            yield piece

    handler: Any = pieces
    with pytest.raises(MisuseError, match="the type async_generator"):
        assert_stream(handler, _HELLO)


def test_a_coroutine_is_no_value() -> None:
    """A plain function that returns one is to be an `async def`."""
    with pytest.raises(MisuseError, match="a handler that awaits is an `async def`"):
        assert_stream(partial(_handed_on, _aread), _HELLO, cuts=0)


def test_what_the_handler_raises_of_the_whole_recording_comes_out() -> None:
    """A handler that is wrong from the start fails as itself, with a note."""

    def wrong(stream: Stream) -> None:
        with stream:
            raise KeyError("x")

    with pytest.raises(KeyError) as caught:
        assert_stream(wrong, _HELLO)

    assert ["to see it again: handler(recording.stream())"] == caught.value.__notes__


def test_what_is_no_error_goes_through() -> None:
    """An interrupt ends the test, as anywhere."""

    def interrupted(stream: Stream) -> None:
        with stream:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        assert_stream(interrupted, _HELLO)


def test_a_recording_that_fails_fails_the_same_way_at_every_chunking() -> None:
    """The allowed error of the unchanged recording is raised at the end."""
    with pytest.raises(StreamTruncated):
        assert_stream(_read, testing.script().text("Hel"), cuts=4)


def test_failing_at_one_chunking_only_is_reported() -> None:
    """An error at one chunking must be raised at all of them."""

    def fails(stream: Stream) -> None:
        raise StreamTruncated(f"now that {stream.format} is known")

    told = _failure(_Broken(fails, after=1))

    assert told.startswith(
        "chunking='events': the handler raised StreamTruncated: now that openai-chat is known, "
        "where it returned a value at first"
    )


# -- what is tried --------------------------------------------------------------


def test_a_websocket_is_proved_message_by_message() -> None:
    script = testing.script().text("Hello").finish()

    assert "Hello" == assert_stream(_read, script.recording("openai-realtime"), allow=StreamError)


@pytest.mark.slow
def test_a_large_recording_is_not_replayed_byte_by_byte() -> None:
    """The default chunkings stay bounded."""
    calls = 0

    def count(stream: Stream) -> int:
        nonlocal calls
        calls += 1
        return len(_read(stream))

    body = b"".join([b"data: %06d\n\n" % number for number in range(6_000)] + [b"data: [DONE]\n\n"])

    assert 36_000 == assert_stream(count, Recording.of([body], format="text"), cuts=1)
    assert 7 == calls
