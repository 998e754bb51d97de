"""Nothing of an answer that failed waits for the garbage collector, whichever reader raised its error.

A kept error would hold its traceback, the traceback the frames that have read, and those the stream.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import anyio
import httpx
import pytest
from pydantic import BaseModel

from tests.support.either import Each, at_once, got, inside
from tests.support.tables import in_one_test
from tests.support.uncollected import areading, left_by, left_by_async
from tests.support.wire import DONE, chat, chat_call, sse
from tokenstream import AsyncStream, Retry, Router, Stream, aconnect, connect, relay
from tokenstream.errors import StreamError, TokenStreamError
from tokenstream.message import Message

BEGUN = [
    chat({"role": "assistant", "content": ""}),
    *(chat({"content": each}) for each in ('{"a": ', "1", "2")),
]
CALL = chat(chat_call(0, '{"a":', id="c1", name="f"))
FAILING = {
    "cut": BEGUN,
    "cut inside a payload": [*BEGUN, chat({"content": "3"})[:-9]],
    "a payload that is not JSON": [*BEGUN, chat({"content": "3"}).replace(b"[", b"[}")],
    "a call cut": [*BEGUN, CALL],
    "an error": [*BEGUN, sse({"error": {"message": "overloaded", "type": "server_error"}})],
    "nothing": [],
    "not the JSON that is asked for": [*BEGUN[:1], chat({"content": '{"a": "x"}'}), chat({}, "stop"), DONE],
}
"""The chunks of answers that fail."""


class Answer(BaseModel):
    a: int


def reset(chunks: list[bytes]) -> Iterator[bytes]:
    yield from chunks
    raise ConnectionResetError("the peer is gone")


def wrapped(chunks: list[bytes]) -> Iterator[bytes]:
    """Fail with an error that has others as its arguments, its attribute and its members."""
    yield from chunks
    try:
        raise ConnectionResetError("the peer is gone")
    except ConnectionResetError as error:
        raise grouped(error) from error


def grouped(error: Exception) -> Exception:
    group = ExceptionGroup("both", [error])
    group.args = ("both", [error], error)
    return group


class Reset:
    """The same, from an object of the application's, whose method is a frame of its own for each chunk."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = iter(chunks)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise ConnectionResetError("the peer is gone") from ValueError("a byte is missing")
        return chunk


async def reset_later(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await anyio.lowlevel.checkpoint()
        yield chunk
    raise ConnectionResetError("the peer is gone")


async def read_each(items: Any) -> None:
    async for _ in Each(items):
        pass


async def answers(stream: Any) -> None:
    async for response in Each(stream.responses):
        await got(response.final())


READERS: dict[str, Callable[[Any], Coroutine[Any, Any, object]]] = {
    "answers": answers,
    "events": read_each,
    "final": lambda stream: got(stream.final()),
    "text": lambda stream: read_each(stream.text.words()),
    "calls": lambda stream: read_each(stream.tool_calls),
    "drafts": lambda stream: read_each(stream.partials(Answer)),
    "result": lambda stream: got(stream.result(Answer)),
    "relay": lambda stream: read_each(relay.encode(stream, "openai-chat")),
}


async def read_by(reader: Callable[[Any], Coroutine[Any, Any, object]], stream: Any) -> None:
    try:
        async with inside(stream):
            await reader(stream)
    except (TokenStreamError, ExceptionGroup):
        pass


@in_one_test("reader", READERS.values())
@in_one_test("chunks", FAILING.values())
@pytest.mark.parametrize(
    "source", [list, iter, reset, wrapped, Reset], ids=["list", "iterator", "reset", "wrapped", "object"]
)
def test_a_failed_stream_leaves_nothing(
    source: Callable[[list[bytes]], Any], chunks: list[bytes], reader: Any
) -> None:
    left = left_by(lambda: at_once(read_by(reader, Stream(source(chunks), format="openai-chat"))))

    assert left == {}


def test_an_error_that_is_raised_again_is_the_same_to_its_reader() -> None:
    stream = Stream(BEGUN, format="openai-chat")

    def ask() -> StreamError:
        with pytest.raises(StreamError) as caught:
            stream.final()
        return caught.value

    first = ask()
    first.add_note("seen")
    assert ask() is first
    words, partial = str(first), first.partial
    del first
    again = ask()
    assert (str(again), again.__notes__) == (words, ["seen"])
    assert again.partial is partial


class Odd(StreamError):
    """An error of the application, which can be made in one way only, and is like others."""

    def __new__(cls, *, code: int) -> Self:
        return super().__new__(cls, code)

    def __init__(self, *, code: int) -> None:
        super().__init__("the same words")
        self.code = code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd)

    __hash__ = None  # type: ignore[assignment]


def test_an_error_of_the_application_is_raised_itself() -> None:
    odd = [Odd(code=1), Odd(code=2), StreamError("mine")]
    raised: list[BaseException] = []
    for error in odd:

        def source(error: StreamError = error) -> Iterator[bytes]:
            yield from BEGUN
            raise error

        stream = Stream(source(), format="openai-chat")
        for _ in range(2):
            with pytest.raises(StreamError) as caught:
                stream.final()
            raised.append(caught.value)

    assert [*map(id, raised)] == [id(error) for error in odd for _ in range(2)]


def test_the_cause_tells_where_the_source_failed() -> None:
    with pytest.raises(StreamError) as caught:
        Stream(reset(BEGUN), format="openai-chat").final()

    cause = caught.value.__cause__
    assert isinstance(cause, ConnectionResetError)
    assert cause.__traceback__ is not None
    assert cause.__traceback__.tb_frame.f_code is reset.__code__


class Refused(Exception):
    """An error of the application that needs more than words."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Frozen(Exception):
    """An error that lets nobody change it."""

    code: int


class Slotted(Exception):
    """An error that keeps its code beside its attributes."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code

    def __str__(self) -> str:
        return f"code {self.code}"


class Several(ExceptionGroup[Exception]):
    """A group with one more argument, as Python's documentation makes it."""

    def __new__(cls, errors: list[Exception], code: int) -> Self:
        made = super().__new__(cls, "several", errors)
        made.code = code
        return made

    code: int


def chained() -> Exception:
    error: Exception = ValueError("0")
    for number in range(600):
        error, error.__cause__ = ValueError(str(number)), error
    return error


def wrapping() -> Exception:
    """Wrap an error as urllib3 does: it is the cause, an argument and an attribute."""
    try:
        raise ConnectionResetError("the peer is gone")
    except ConnectionResetError as error:
        wrapper = Refused("gone", code=1)
        wrapper.args = ("gone", error)
        wrapper.__cause__ = error
        return wrapper


def changed() -> Exception:
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    error.args = ("while reading",)
    return error


def circular() -> Exception:
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    return first


CAUSES: list[Callable[[], Exception]] = [
    lambda: ConnectionResetError(104, "Connection reset by peer"),
    lambda: FileNotFoundError(2, "No such file", "answer.sse"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    lambda: httpx.ReadError("gone", request=httpx.Request("GET", "https://api.example/")),
    lambda: Refused("no", code=7),
    lambda: ExceptionGroup("both", [OSError(5, "a"), ExceptionGroup("inner", [Refused("no", code=1)])]),
    lambda: ExceptionGroup("missing", [ImportError("no brotli", name="brotli")]),
    lambda: Frozen(7),
    lambda: Slotted(7),
    lambda: Several([OSError(5, "a")], 7),
    chained,
    wrapping,
    changed,
    circular,
]


@pytest.mark.parametrize(
    "make_cause", CAUSES, ids=lambda make: make.__name__.replace("<lambda>", type(make()).__name__)
)
def test_an_error_that_is_raised_again_has_equal_causes(make_cause: Callable[[], Exception]) -> None:
    def source() -> Iterator[bytes]:
        yield from BEGUN
        try:
            raise KeyError("earlier")
        except KeyError as earlier:
            raise make_cause() from earlier

    def ask() -> BaseException:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - compared below
            stream.final()
        # What no transport has raised comes out itself.
        error = caught.value
        return error.__cause__ or error if isinstance(error, StreamError) else error

    def tell(error: BaseException | None, seen: tuple[BaseException, ...] = ()) -> Any:
        if error is None or any(error is each for each in seen) or len(seen) > 50:
            return error and type(error)
        inner = error.exceptions if isinstance(error, ExceptionGroup) else ()
        context = None if error.__suppress_context__ else error.__context__
        linked = [tell(each, (*seen, error)) for each in (error.__cause__, context, *inner)]
        code = [str(getattr(error, name, None)) for name in ("code", "errno", "reason", "name", "_request")]
        return type(error), str(error), repr(error), code, error.__suppress_context__, linked

    stream = Stream(source(), format="openai-chat")
    first = ask()
    told = tell(first)
    assert first.__traceback__ is not None
    del first
    gc.collect()  # pytest has kept the first one
    again = ask()
    assert tell(again) == told


def test_a_partial_answer_keeps_nothing_else() -> None:
    kept: list[Message | None] = []

    def run() -> None:
        kept.clear()
        try:
            Stream(BEGUN, format="openai-chat").final()
        except StreamError as error:
            kept.append(error.partial)

    assert "Stream" not in left_by(run)
    assert [message.text for message in kept if message] == ['{"a": 12']


@pytest.mark.anyio
@pytest.mark.parametrize("source", [areading, reset_later])
@pytest.mark.parametrize("reader", [READERS[name] for name in ("events", "final", "text", "relay")])
async def test_a_failed_asynchronous_stream_leaves_nothing(source: Any, reader: Any) -> None:
    for chunks in FAILING.values():

        async def run(chunks: list[bytes] = chunks) -> None:
            await read_by(reader, AsyncStream(source(chunks), format="openai-chat"))

        assert await left_by_async(run) == {}


class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of a response whose connection is reset."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        raise httpx.ReadError("the peer is gone") from OSError(104, "Connection reset by peer")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def cut(chunks: list[bytes]) -> httpx.ByteStream:
    return httpx.ByteStream(b"".join(chunks))


def answering(
    status: int, chunks: list[bytes], body: Callable[[list[bytes]], Any] = cut
) -> httpx.MockTransport:
    headers = {"content-type": "text/event-stream"}
    return httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, stream=body(chunks)))


ADDRESS = "https://api.example/v1/chat/completions"
ASKED = {"model": "m", "messages": []}


async def ask(connecting: Callable[..., Any], client: Any, retry: Retry | None) -> None:
    with suppress(TokenStreamError):
        async with inside(connecting(ADDRESS, json=ASKED, client=client, retry=retry)) as stream:
            await got(stream.final())


@pytest.mark.parametrize("body", [cut, Broken])
@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("retry", [None, Retry(attempts=2, wait=0)], ids=["once", "retried"])
def test_a_failed_request_leaves_nothing(status: int, retry: Retry | None, body: Any) -> None:
    client = httpx.Client(transport=answering(status, BEGUN, body))

    assert {*left_by(lambda: at_once(ask(connect, client, retry)))} <= {"TimedCall"}


@pytest.mark.anyio
@pytest.mark.parametrize("body", [cut, Broken])
@pytest.mark.parametrize("retry", [None, Retry(attempts=2, wait=0)], ids=["once", "retried"])
async def test_a_failed_asynchronous_request_leaves_nothing(retry: Retry | None, body: Any) -> None:
    client = httpx.AsyncClient(transport=answering(200, BEGUN, body))

    assert await left_by_async(lambda: ask(aconnect, client, retry)) == {}


def test_a_failed_tool_leaves_nothing() -> None:
    router = Router()

    @router.tool
    def f(a: int) -> str:
        """Find a city."""
        raise ValueError(f"{a} is no city")

    whole = [*BEGUN[:1], CALL, chat(chat_call(0, " 1}")), chat({}, "tool_calls"), DONE]

    def run() -> None:
        with suppress(TokenStreamError, ValueError), Stream(whole, format="openai-chat") as stream:
            stream.run(router)

    assert left_by(run) == {}


@pytest.mark.parametrize(
    "failing", [answering(503, BEGUN), answering(200, [], Broken)], ids=["status", "reset"]
)
@pytest.mark.parametrize("wait", [0, 0.001])
def test_a_retried_answer_leaves_nothing(wait: float, failing: httpx.MockTransport) -> None:
    replies = [failing, answering(200, [*BEGUN, chat({}, "stop"), DONE])]

    def run() -> None:
        left = iter(replies)
        transport = httpx.MockTransport(lambda request: next(left).handle_request(request))
        with httpx.Client(transport=transport) as client:
            with connect(ADDRESS, json=ASKED, client=client, retry=Retry(wait=wait)) as stream:
                assert stream.final().text == '{"a": 12'
            assert [attempt.number for attempt in stream.attempts] == [1, 2]

    # A timer that was cancelled is an empty object, which the thread of timers drops with the next ones.
    assert {*left_by(run)} <= {"TimedCall"}
