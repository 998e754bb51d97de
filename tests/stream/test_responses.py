"""`stream.responses`: the answers on one connection, one after the other, each with its own ending."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import threading
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import websockets.asyncio.client as asyncio_client
import websockets.sync.client as sync_client

from tests.sources.sockets import ASK, BYE, answer, event, open_socket, talk
from tests.support.wire import DONE, sse
from tokenstream import AsyncStream, Limits, Stream
from tokenstream.errors import (
    ConcurrentRead,
    LimitExceeded,
    MisuseError,
    ProtocolError,
    ProviderError,
    StreamClosed,
    StreamConsumed,
    StreamError,
    StreamInterrupted,
    StreamTruncated,
)
from tokenstream.events import TextDelta, Unknown

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
SESSION = event("session.created", session={"model": "gpt-realtime"})
LIMITS = event("rate_limits.updated", rate_limits=[{"name": "tokens"}])
FAILED = {"status_details": {"error": {"code": "rate_limit_exceeded", "message": "busy"}}}


@contextmanager
def opened(script: Callable[[ServerConnection], None] = talk) -> Generator[Any]:
    with open_socket(script) as url, sync_client.connect(url) as connection:
        yield connection


@asynccontextmanager
async def aopened(script: Callable[[ServerConnection], None] = talk) -> AsyncGenerator[Any]:
    with open_socket(script) as url:
        async with asyncio_client.connect(url) as connection:
            yield connection


def saying(*messages: str, code: int = 1000) -> Callable[[ServerConnection], None]:
    """Send messages, and close the connection."""

    def script(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)
        connection.close(code, "why" if code != 1000 else "")

    return script


def hanging(*messages: str) -> Callable[[ServerConnection], None]:
    """Send messages, and nothing more."""

    def script(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)
        for _ in connection:
            pass

    return script


class Items:
    """A source of either colour that gives items and knows whether it was closed."""

    def __init__(self, *items: Any, error: Exception | None = None) -> None:
        self.items = list(items)
        self.error = error
        self.closed = False
        self.given = 0

    def next(self) -> Any:
        if self.items:
            self.given += 1
            return self.items.pop(0)
        if self.error is not None:
            raise self.error
        return None

    def __iter__(self) -> Iterator[Any]:
        while (item := self.next()) is not None:
            yield item

    def close(self) -> None:
        self.closed = True


class AsyncItems(Items):
    """The same for an event loop."""

    __iter__: Any = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (item := self.next()) is not None:
            await anyio.lowlevel.checkpoint()
            yield item


async def both(*items: Any, **options: Any) -> list[Any]:
    """Read all answers through either driver, and return what each came to; they must be equal."""
    told = []
    for response in Stream(Items(*items), **options).responses:
        told.append(tell(response, error_of(response)))
    atold = []
    async for answered in AsyncStream(AsyncItems(*items), **options).responses:
        error = None
        try:
            await answered.final()
        except StreamError as caught:
            error = caught
        atold.append(tell(answered, error))

    assert told == atold
    return told


def error_of(response: Stream) -> StreamError | None:
    try:
        response.final()
    except StreamError as error:
        return error
    return None


def tell(response: Stream | AsyncStream, error: StreamError | None) -> tuple[Any, ...]:
    message = response.message
    return message.id, message.text, message.ending, None if error is None else type(error)


# -- real connections ------------------------------------------------------


def test_the_loops_body_asks_for_the_next_answer() -> None:
    """Each is a stream with an ending of its own; the loop ends with the connection."""
    with opened() as connection:
        connection.send(ASK)
        told = []
        with Stream(connection) as stream:
            for response in stream.responses:
                pieces = list(response.text)
                told.append((pieces, response.message.id, response.message.ending, response.format))
                assert not stream.closed
                connection.send(ASK if len(told) < 3 else BYE)

        assert told == [
            (["Hel", "lo"], f"resp_{number}", "complete", "openai-realtime") for number in (1, 2, 3)
        ]
        assert (stream.closed, stream.format, stream.message.ending) == (True, "openai-realtime", "complete")
        assert connection.close_code == 1000


@on_asyncio
async def test_the_asynchronous_loops_body_asks_for_the_next_answer() -> None:
    """Likewise."""
    async with aopened() as connection:
        await connection.send(ASK)
        told = []
        async with AsyncStream(connection) as stream:
            async for response in stream.responses:
                told.append(([piece async for piece in response.text], response.message.ending))
                assert not stream.closed
                await connection.send(ASK if len(told) < 3 else BYE)

        assert told == [(["Hel", "lo"], "complete")] * 3
        assert (stream.closed, stream.message.ending) == (True, "complete")


@pytest.mark.parametrize("code, kind", [(1000, StreamTruncated), (1011, StreamInterrupted)])
def test_a_cut_inside_an_answer_is_raised_by_that_answer(code: int, kind: type[StreamError]) -> None:
    """With its partial; the answers before it are untouched, and the loop then ends."""
    script = saying(SESSION, *answer("resp_1", "Hello"), *answer("resp_2", "Hel")[:-3], code=code)
    told = []
    with opened(script) as connection:
        stream = Stream(connection)
        for response in stream.responses:
            error = error_of(response)
            told.append(tell(response, error))
            if error is not None:
                assert (error.partial.text, error.partial.ending) == ("Hel", "truncated")

    assert told == [("resp_1", "Hello", "complete", None), ("resp_2", "Hel", "truncated", kind)]
    assert (stream.closed, stream.message.ending) == (True, "truncated")


@on_asyncio
@pytest.mark.parametrize("code, kind", [(1000, StreamTruncated), (1011, StreamInterrupted)])
async def test_a_cut_inside_an_asynchronous_answer_is_raised_by_that_answer(
    code: int, kind: type[StreamError]
) -> None:
    """Likewise."""
    script = saying(SESSION, *answer("resp_1", "Hello"), *answer("resp_2", "Hel")[:-3], code=code)
    texts = []
    async with aopened(script) as connection:
        stream = AsyncStream(connection)
        with pytest.raises(kind) as caught:
            async for response in stream.responses:
                texts.append((await response.final()).text)

    assert (texts, caught.value.partial.text) == (["Hello"], "Hel")
    assert (stream.closed, stream.message.ending) == (True, "truncated")


@on_asyncio
async def test_a_break_between_answers_is_raised_by_the_loop() -> None:
    """No answer is coming any more; a clean end ends the loop."""
    script = saying(SESSION, *answer("resp_1", "Hello"), code=1011)
    texts = []
    with opened(script) as connection:
        stream = Stream(connection)
        with pytest.raises(StreamInterrupted, match="code 1011"):
            for response in stream.responses:
                texts.append(response.final().text)
        with pytest.raises(StreamConsumed):
            list(stream.responses)
    async with aopened(script) as connection:
        astream = AsyncStream(connection)
        with pytest.raises(StreamInterrupted, match="code 1011"):
            async for answered in astream.responses:
                texts.append((await answered.final()).text)

    assert texts == ["Hello", "Hello"]
    assert (stream.closed, astream.closed) == (True, True)


def test_stop_from_another_thread_ends_the_answer_and_the_loop() -> None:
    """At once, although the answer's own read blocks."""
    with opened(hanging(SESSION, *answer("resp_1", "Hello"), *answer("resp_2", "Hel")[:-3])) as connection:
        stream = Stream(connection)
        timer = threading.Timer(0.1, stream.stop)
        timer.start()
        told = [(list(response.text), response.message.ending) for response in stream.responses]
        timer.join()

    assert told == [(["Hello"], "complete"), (["Hel"], "stopped")]
    assert (stream.closed, stream.message.ending) == (True, "stopped")


@on_asyncio
async def test_stop_from_another_task_ends_the_answer_and_the_loop() -> None:
    """Likewise, and also while no answer is being given."""
    script = hanging(SESSION, *answer("resp_1", "Hello"), *answer("resp_2", "Hel")[:-3])
    async with aopened(script) as connection:
        stream = AsyncStream(connection)
        asyncio.get_running_loop().call_later(0.1, stream.stop)
        told = []
        async for response in stream.responses:
            told.append(([piece async for piece in response.text], response.message.ending))
    async with aopened(hanging(SESSION)) as connection:
        waiting = AsyncStream(connection)
        asyncio.get_running_loop().call_later(0.1, waiting.stop)

        assert [response async for response in waiting.responses] == []

    assert told == [(["Hello"], "complete"), (["Hel"], "stopped")]
    assert (stream.closed, waiting.closed) == (True, True)


def test_an_answer_that_is_stopped_leaves_the_connection_open() -> None:
    """What is still to come of it is passed over."""
    with opened() as connection:
        connection.send(ASK)
        endings = []
        with Stream(connection) as stream:
            for response in stream.responses:
                for _ in response.text:
                    response.stop("enough")
                endings.append((response.message.text, response.message.ending))
                connection.send(ASK if len(endings) < 2 else BYE)

    assert endings == [("Hel", "stopped"), ("Hel", "stopped")]


@on_asyncio
async def test_an_asynchronous_answer_that_is_closed_leaves_the_connection_open() -> None:
    """Likewise."""
    async with aopened() as connection:
        await connection.send(ASK)
        endings = []
        async with AsyncStream(connection) as stream:
            async for response in stream.responses:
                async with response:
                    assert await anext(response.text) == "Hel"
                endings.append((response.message.text, response.message.ending))
                await connection.send(ASK if len(endings) < 2 else BYE)

    assert endings == [("Hel", "stopped"), ("Hel", "stopped")]


@on_asyncio
async def test_a_timeout_around_an_answers_anext_loses_nothing() -> None:
    """Nor one around the loop's own."""
    gate = threading.Event()

    def script(connection: ServerConnection) -> None:
        for message in (SESSION, *answer("resp_1", "Hel", "lo"), *answer("resp_2", "Bye")):
            gate.wait(2)
            gate.clear()
            connection.send(message)

    async def patiently(step: Callable[[], Any]) -> Any:
        while True:
            try:
                async with asyncio.timeout(0.02):
                    return await step()
            except TimeoutError:
                gate.set()

    told = []
    async with aopened(script) as connection:
        responses = AsyncStream(connection).responses
        with pytest.raises(StopAsyncIteration):
            while True:
                response = await patiently(responses.__anext__)
                view = response.text
                with pytest.raises(StopAsyncIteration):
                    while True:
                        told.append(await patiently(view.__anext__))
                assert response.message.ending == "complete"

    assert told == ["Hel", "lo", "Bye"]


def test_nothing_is_read_beyond_the_end_of_an_answer() -> None:
    """The next message is read when it is asked for."""
    source = Items(SESSION, *answer("resp_1", "Hel", "lo"), LIMITS, *answer("resp_2", "Bye"))
    responses = Stream(source).responses
    first = next(responses)
    begun = source.given
    first.final()

    assert (begun, source.given) == (2, 1 + len(answer("resp_1", "Hel", "lo")))
    assert next(responses).final().text == "Bye"
    assert not list(responses)
    assert source.closed


# -- either driver ---------------------------------------------------------


async def test_answers_have_ids_texts_and_endings_of_their_own() -> None:
    """From messages, from payloads, and from the body of a recording."""
    messages = [SESSION, *answer("resp_1", "Hel", "lo"), LIMITS, *answer("resp_2", "Bye")]
    payloads = [json.loads(message) for message in messages]
    body = b"".join([sse(message) for message in messages])
    wanted = [("resp_1", "Hello", "complete", None), ("resp_2", "Bye", "complete", None)]

    assert wanted == await both(*messages)
    assert wanted == await both(*[message.encode() for message in messages], format="openai-realtime")
    assert wanted == await both(*payloads)
    assert wanted == await both(body)
    assert wanted == await both(*[body[place : place + 50] for place in range(0, len(body), 50)])


async def test_answers_that_are_given_in_turns_are_told_apart() -> None:
    """By their ids; what is of neither goes to the older one."""
    one, two = answer("resp_1", "a", "b"), answer("resp_2", "1", "2")
    mixed = [one[0], two[0], LIMITS, *[each for pair in zip(one[1:], two[1:], strict=True) for each in pair]]

    assert await both(SESSION, *mixed) == [
        ("resp_1", "ab", "complete", None),
        ("resp_2", "12", "complete", None),
    ]
    with Stream(Items(SESSION, *mixed)) as stream:
        first = next(stream.responses)
        assert [one.name for one in first if isinstance(one, Unknown)] == ["session.created", "rate_limits"]


async def test_an_answer_that_fails_does_not_end_the_connection() -> None:
    """Its error is its own."""
    failed = answer("resp_1", "Hel", status="failed", **FAILED)

    assert await both(*failed, *answer("resp_2", "Hello")) == [
        ("resp_1", "Hel", "failed", ProviderError),
        ("resp_2", "Hello", "complete", None),
    ]


async def test_what_is_no_payload_fails_the_answer_that_it_came_in() -> None:
    """The next one is not touched by it."""
    one = answer("resp_1", "Hel")

    assert await both(*one[:4], "{", *one[4:], *answer("resp_2", "Hello"), format="openai-realtime") == [
        ("resp_1", "Hel", "failed", ProtocolError),
        ("resp_2", "Hello", "complete", None),
    ]


async def test_late_messages_of_an_answer_begin_no_other() -> None:
    """They go where the asides go."""
    late = event("response.output_text.delta", response_id="resp_1", delta="late")

    told = await both(*answer("resp_1", "Hello"), late, *answer("resp_2", "Bye"))

    assert [each[0] for each in told] == ["resp_1", "resp_2"]


async def test_turns_of_gemini_are_answers() -> None:
    """What the user said comes before the turn that answers it; a call does not end it."""

    def content(**fields: Any) -> str:
        return json.dumps({"serverContent": fields})

    messages = [
        json.dumps({"setupComplete": {}}),
        content(inputTranscription={"text": "Hi"}),
        json.dumps({"toolCall": {"functionCalls": [{"id": "a", "name": "now"}]}}),
        content(modelTurn={"parts": [{"text": "Hello"}]}),
        content(generationComplete=True),
        content(turnComplete=True),
        json.dumps({"sessionResumptionUpdate": {"newHandle": "h"}}),
        content(modelTurn={"parts": [{"text": "Bye"}]}),
        content(interrupted=True),
        content(turnComplete=True),
    ]

    assert await both(*messages) == [(None, "Hello", "complete", None), (None, "Bye", "complete", None)]
    first, second = [response.final() for response in Stream(Items(*messages)).responses]
    assert [call.name for call in first.tool_calls] == ["now"]
    assert (first.finish_reason, second.finish_reason) == ("tool_calls", "cancelled")
    assert second.provider_data == {"sessionResumptionUpdate": {"newHandle": "h"}}


async def test_an_answer_has_the_whole_interface_of_a_stream() -> None:
    """Events, views, messages, metrics, departures; and the loop may leave it and come back."""
    source = Items(SESSION, *answer("resp_1", "Hel", "lo"), *answer("resp_2", "Bye"))
    stream = Stream(source)
    for response in stream.responses:
        assert [one.text for one in response if isinstance(one, TextDelta)] == ["Hel", "lo"]
        assert list(response.reasoning) == []
        assert list(response.tool_calls) == []
        assert list(response.text) == ["Hello"]
        assert [message.text for message in response.messages] == ["Hello"]
        assert (response.metrics.chunks, dict(response.departures), response.response) == (9, {}, None)
        assert response.checkpoint().format == "openai-realtime"
        with pytest.raises(StreamConsumed):
            iter(response)
        break

    assert [response.final().text for response in stream.responses] == ["Bye"]
    with pytest.raises(StreamConsumed):
        for _ in stream.responses:
            pass


async def test_what_is_left_unread_is_read_before_the_next() -> None:
    """So a list of all answers holds whole ones."""
    messages = [
        *answer("resp_1", "Hel", "lo"),
        *answer("resp_2", "x", status="failed", **FAILED),
        *answer("resp_3", "Bye"),
    ]
    kept = list(Stream(Items(*messages)).responses)
    akept = [response async for response in AsyncStream(AsyncItems(*messages)).responses]

    for responses in (kept, akept):
        assert [(one.message.text, one.message.ending) for one in responses] == [
            ("Hello", "complete"),
            ("x", "failed"),
            ("Bye", "complete"),
        ]
    with pytest.raises(ProviderError):
        kept[1].final()


async def test_a_cut_in_what_was_left_unread_is_raised_by_the_loop() -> None:
    """Nobody else would tell why there are no more."""
    messages = [*answer("resp_1", "Hello"), *answer("resp_2", "Hel")[:-3]]
    with pytest.raises(StreamTruncated) as caught:
        list(Stream(Items(*messages)).responses)
    with pytest.raises(StreamTruncated):
        _ = [response async for response in AsyncStream(AsyncItems(*messages)).responses]

    assert caught.value.partial.text == "Hel"


async def test_a_source_that_breaks_is_told_where_it_broke() -> None:
    """Inside the answer, or by the loop; both have what had arrived."""
    broken = OSError("cable")
    inside, outside = answer("resp_1", "Hel")[:-3], answer("resp_1", "Hello")
    with pytest.raises(StreamInterrupted, match="cable") as caught:
        next(Stream(Items(*inside, error=broken)).responses).final()
    assert caught.value.partial.text == "Hel"
    with pytest.raises(StreamInterrupted, match="cable"):
        list(Stream(Items(*outside, error=broken)).responses)
    with pytest.raises(StreamInterrupted, match="cable"):
        _ = [one async for one in AsyncStream(AsyncItems(*outside, error=broken)).responses]
    with pytest.raises(StreamInterrupted, match="cable"):
        await (await anext(AsyncStream(AsyncItems(*inside, error=broken)).responses)).final()


ONE = sse('{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}') + DONE


@pytest.mark.parametrize("options", [{}, {"format": "openai-chat"}])
async def test_a_stream_of_one_answer_gives_itself(options: dict[str, Any]) -> None:
    """Once, unread, whatever had been looked at; an answer left unread is read."""
    source, asource = Items(ONE[:30], ONE[30:]), AsyncItems(ONE[:30], ONE[30:])
    stream, astream = Stream(source, **options), AsyncStream(asource, **options)

    assert [list(response.text) for response in stream.responses] == [["Hi"]]
    assert [[piece async for piece in response.text] async for response in astream.responses] == [["Hi"]]
    assert (stream.message.ending, astream.message.ending) == ("complete", "complete")
    assert (stream.format, source.closed, asource.closed) == ("openai-chat", True, True)
    kept = Stream(Items(ONE), **options)
    assert list(kept.responses) == [kept]
    assert kept.message.text == "Hi"


async def test_a_stream_that_is_none_says_so_itself() -> None:
    """An empty body, a web page, a source that breaks at once, an answer that is cut."""
    strays = [
        Items(),
        Items(b"<html></html>"),
        Items(error=OSError("cable")),
        Items(ONE[:-20], error=OSError("x")),
    ]
    for stray in strays:
        with pytest.raises(StreamError):
            next(Stream(stray).responses).final()
    for chunks in ([], [b"<html></html>"], [ONE[:40]]):
        with pytest.raises(StreamError):
            _ = [response async for response in AsyncStream(AsyncItems(*chunks)).responses]
    with pytest.raises(StreamError):
        list(Stream(Items(ONE[:60])).responses)
    with pytest.raises(StreamInterrupted, match="cable"):
        await (await anext(AsyncStream(AsyncItems(error=OSError("cable"))).responses)).final()


async def test_what_looks_like_no_format_for_long_is_given_as_it_is() -> None:
    """It is not held back for ever."""
    pings = [sse('{"type": "ping"}')] * 80

    assert [response.final().text for response in Stream(Items(*pings, ONE)).responses] == ["Hi"]


async def test_the_body_of_an_error_is_read_by_the_stream_itself() -> None:
    """By its status."""
    httpx: Any = __import__("httpx")
    response = httpx.Response(
        500, json={"error": {"message": "broken"}}, request=httpx.Request("GET", "http://x")
    )

    with pytest.raises(StreamError, match="broken"):
        next(Stream(response).responses).final()


async def test_a_wrong_item_is_misuse() -> None:
    """As for the stream itself."""
    with pytest.raises(MisuseError, match="is not a piece of a body"):
        list(Stream(Items(*answer("resp_1", "Hello"), 7)).responses)
    with pytest.raises(MisuseError, match="is not a piece of a body"):
        _ = [one async for one in AsyncStream(AsyncItems(*answer("resp_1", "Hello"), 7)).responses]


async def test_the_stream_itself_cannot_be_read_beside_its_answers() -> None:
    """The error says what can be."""
    with Stream(Items(SESSION, *answer("resp_1", "Hello"))) as stream:
        response = next(stream.responses)
        with pytest.raises(MisuseError, match=r"read what `stream\.responses` gives"):
            next(stream)

        assert response.final().text == "Hello"


async def test_two_readers_are_one_too_many() -> None:
    """A read in another task meets the one in progress."""
    gate = anyio.Event()

    async def slow() -> AsyncIterator[str]:
        for message in answer("resp_1", "Hello")[:2]:
            yield message
        await gate.wait()

    stream = AsyncStream(slow())
    response = await anext(stream.responses)
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            with pytest.raises(StreamTruncated):
                await response.final()

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ConcurrentRead):
            await stream.responses._read()  # noqa: SLF001 - what both would do
        gate.set()


def test_two_threads_are_one_too_many() -> None:
    """A read in another thread meets the one in progress."""
    gate, reading = threading.Event(), threading.Event()

    def slow() -> Iterator[str]:
        yield from answer("resp_1", "Hello")[:2]
        reading.set()
        gate.wait(3)

    stream = Stream(slow())
    response = next(stream.responses)
    thread = threading.Thread(target=lambda: error_of(response))
    thread.start()
    reading.wait(3)
    with pytest.raises(ConcurrentRead):
        stream.responses._read()  # noqa: SLF001 - what both would do
    gate.set()
    thread.join()

    assert response.message.ending == "truncated"


async def test_what_nobody_reads_is_bounded() -> None:
    """Answers that wait, and what comes between two."""
    limits = Limits(body=2_000)
    waiting = [answer("resp_1", "a")[0], *answer("resp_2", *["x" * 100] * 30)]
    for messages in (waiting, [SESSION, *[LIMITS] * 50], [SESSION, *[json.loads(LIMITS)] * 50]):
        with pytest.raises(LimitExceeded, match=r"Limits\.body"):
            for response in Stream(Items(*messages), limits=limits).responses:
                response.final()


async def test_a_message_beyond_its_bound_fails_the_answer() -> None:
    """As it would fail the stream."""
    messages = answer("resp_1", "x" * 3_000)

    with opened(saying(*messages)) as connection, pytest.raises(LimitExceeded):
        list(Stream(connection, limits=Limits(event=1_000)).responses)


async def test_a_session_that_was_closed_gives_nothing_more() -> None:
    """Neither new answers nor the rest of one."""
    source = Items(SESSION, *answer("resp_1", "Hel", "lo"), *answer("resp_2", "Bye"))
    stream = Stream(source)
    response = next(stream.responses)
    stream.close()

    assert response.final().ending == "stopped"
    with pytest.raises(StreamClosed):
        list(stream.responses)
    asource = AsyncItems(SESSION, *answer("resp_1", "Hel", "lo"), *answer("resp_2", "Bye"))
    astream = AsyncStream(asource)
    answered = await anext(astream.responses)
    await astream.aclose()
    assert (await answered.final()).ending == "stopped"
    with pytest.raises(StreamClosed):
        _ = [one async for one in astream.responses]
    assert (source.closed, asource.closed) == (True, True)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_answers_that_nobody_closes_warn_of_nothing() -> None:
    """There is nothing of their own to be closed."""
    with Stream(Items(SESSION, *answer("resp_1", "Hel", "lo"))) as stream:
        response = next(stream.responses)
        assert next(response.text) == "Hel"
        del response
    async with AsyncStream(AsyncItems(SESSION, *answer("resp_1", "Hel", "lo"))) as astream:
        answered = await anext(astream.responses)
        assert await anext(answered.text) == "Hel"
        del answered
    del stream, astream
    gc.collect()


async def test_a_stream_that_was_read_before_goes_on_with_the_next_answers() -> None:
    """What is left of the answer that was being read is one."""
    messages = [SESSION, *answer("resp_1", "Hel", "lo"), *answer("resp_2", "Bye")]
    stream, astream = Stream(Items(*messages)), AsyncStream(AsyncItems(*messages))
    assert (next(stream.text), await anext(astream.text)) == ("Hel", "Hel")

    assert [response.final().text for response in stream.responses] == ["lo", "Bye"]
    assert [(await response.final()).text async for response in astream.responses] == ["lo", "Bye"]


@on_asyncio
async def test_a_reader_that_somebody_else_cancelled_is_told() -> None:
    """The source is not asked again."""

    async def endless() -> AsyncIterator[str]:
        yield answer("resp_1", "Hello")[0]
        await anyio.sleep_forever()

    async with AsyncStream(endless()) as stream:
        response = await anext(stream.responses)

        async def cancel() -> None:
            await anyio.wait_all_tasks_blocked()
            for task in asyncio.all_tasks():
                if task.get_name() == "tokenstream reader":
                    task.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel)
            with pytest.raises(StreamInterrupted, match="broken off"):
                await response.final()


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_source_that_does_not_survive_a_cancelled_read_is_told() -> None:
    """On trio, outside a block, there is no task that could read it."""

    async def endless() -> AsyncIterator[str]:
        yield answer("resp_1", "Hello")[0]
        await anyio.sleep_forever()

    stream = AsyncStream(endless())
    response = await anext(stream.responses)
    with anyio.move_on_after(0.05):
        await response.final()
    with pytest.raises(StreamInterrupted, match="broken off"):
        await response.final()

    assert response.message.ending == "truncated"


async def test_messages_of_an_answer_are_an_iterator_of_their_own() -> None:
    """As whoever reads a source expects."""
    with Stream(Items(SESSION, *answer("resp_1", "Hello"))) as stream:
        source: Any = next(stream.responses)._driver.pump.source  # noqa: SLF001 - what it reads
        assert [json.loads(message)["type"] for message in source.chunks][:2] == [
            "session.created",
            "response.created",
        ]
    async with AsyncStream(AsyncItems(SESSION, *answer("resp_1", "Hello"))) as astream:
        asource: Any = (await anext(astream.responses))._driver.pump.source  # noqa: SLF001 - as above
        assert len([message async for message in asource.chunks]) == 8


@on_asyncio
async def test_a_connection_that_is_opened_by_the_stream_gives_its_answers() -> None:
    """The loop over them opens it."""

    def script(connection: ServerConnection) -> None:
        for message in (SESSION, *answer("resp_1", "Hel", "lo"), *answer("resp_2", "Bye")):
            connection.send(message)

    with open_socket(script) as url:
        stream = AsyncStream(asyncio_client.connect(url))
        told = [(await response.final()).text async for response in stream.responses]

    @contextmanager
    def manager() -> Generator[Any]:
        yield Items(SESSION, *answer("resp_1", "Hel", "lo"), *answer("resp_2", "Bye"))

    source: Any = manager()

    assert told == [response.final().text for response in Stream(source).responses] == ["Hello", "Bye"]


async def test_a_source_that_cannot_be_opened_says_so() -> None:
    """As when the stream itself is read."""

    class Manager:
        def __enter__(self) -> None:
            raise OSError("no cable")

        def __exit__(self, *error: object) -> None: ...

    source: Any = Manager()
    with pytest.raises(StreamError, match="no cable"):
        next(Stream(source).responses).final()


async def test_an_answer_that_waits_is_given_by_the_next_loop() -> None:
    """And closing it drops what has come of it."""
    one, two = answer("resp_1", "a"), answer("resp_2", "1", "2")
    mixed = [one[0], two[0], *two[1:-1], *one[1:], two[-1]]
    with Stream(Items(*mixed)) as stream:
        for response in stream.responses:
            assert response.final().text == "a"
            break
        for response in stream.responses:
            response.close()
            assert (response.message.text, response.message.ending) == ("", "stopped")

        assert stream.closed


@on_asyncio
async def test_a_stop_that_the_loop_has_not_come_to_counts() -> None:
    """Another thread has asked for it."""
    stream = AsyncStream(AsyncItems(SESSION, *answer("resp_1", "Hello")))
    response = await anext(stream.responses)
    stream._driver.verdict.ask("enough")  # noqa: SLF001 - what `stop` does in another thread

    assert (await response.final()).ending == "stopped"
    await stream.aclose()


async def test_answers_without_any_id_are_told_apart_by_their_ends() -> None:
    """As long as one is given at a time."""
    messages = [json.loads(message) for message in (*answer("", "Hel", "lo"), *answer("", "Bye"))]
    for message in messages:
        message.pop("response_id", None)
        message.get("response", {}).pop("id", None)

    assert await both(SESSION, *[json.dumps(message) for message in messages]) == [
        (None, "Hello", "complete", None),
        (None, "Bye", "complete", None),
    ]


REFUSED = event(
    "error", error={"type": "invalid_request_error", "code": "invalid_value", "message": "no voice"}
)


async def test_an_error_that_no_answer_follows_is_raised_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """It says why none came; the log told of it at once, without its text."""
    for stream in (Stream(Items(SESSION, REFUSED)), AsyncStream(AsyncItems(SESSION, REFUSED))):
        with pytest.raises(ProviderError, match="no voice"):
            if isinstance(stream, Stream):
                list(stream.responses)
            else:
                _ = [response async for response in stream.responses]
        assert (stream.message.ending, stream.closed) == ("failed", True)

    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == ["the server reported an error between two answers: invalid_value"] * 2


async def test_an_error_before_or_inside_an_answer_is_an_event_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It tells of one of the client's own events, and the session goes on; the log has what no answer had."""
    inside = answer("resp_2", "Bye")
    inside.insert(2, REFUSED)
    stream = Stream(Items(SESSION, REFUSED, *answer("resp_1", "Hello"), *inside, REFUSED))
    names = [[one.name for one in response if isinstance(one, Unknown)] for response in stream.responses]

    assert names == [["session.created", "error"], ["error"]]
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 2


async def test_the_failure_of_a_transcription_is_no_error_of_the_sessions() -> None:
    """What the user said was not understood; no answer was asked for."""
    failed = event("conversation.item.input_audio_transcription.failed", error={"message": "noise"})

    assert list(Stream(Items(SESSION, failed)).responses) == []


def test_ctrl_c_inside_a_source_that_it_ends_is_told() -> None:
    """A generator is over then, and silently so: that is no end of the connection."""

    def interrupted() -> Iterator[str]:
        yield from answer("resp_1", "Hello")
        raise KeyboardInterrupt

    stream = Stream(interrupted())
    assert next(stream.responses).final().text == "Hello"
    with pytest.raises(KeyboardInterrupt):
        next(stream.responses)
    with pytest.raises(StreamInterrupted, match="broken off"):
        next(stream.responses)
    assert stream.closed


def test_ctrl_c_inside_an_answer_ends_that_answer_alone() -> None:
    """A connection of websockets survives it, and the session goes on."""
    gate = threading.Event()

    def script(connection: ServerConnection) -> None:
        for message in answer("resp_1", "Hel")[:4]:
            connection.send(message)
        gate.wait(3)
        for message in (*answer("resp_1", "Hel")[4:], *answer("resp_2", "Bye")):
            connection.send(message)

    main = threading.get_ident()

    def interrupt() -> None:
        signal.pthread_kill(main, signal.SIGINT)

    told: list[Any] = []
    with opened(script) as connection, Stream(connection) as stream:
        response = next(stream.responses)
        timer = threading.Timer(0.1, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            told.extend(response.text)
        timer.join()
        gate.set()
        with pytest.raises(StreamInterrupted):
            response.final()
        rest = [(each.final().text, each.message.ending) for each in stream.responses]

    assert (told, response.message.ending, rest) == (["Hel"], "truncated", [("Bye", "complete")])


def test_the_results_of_tools_are_sent_between_answers() -> None:
    """The everyday loop: calls are answered as they come, until an answer has none."""

    def script(connection: ServerConnection) -> None:
        for number, message in enumerate(connection, 1):
            where = {"response_id": f"resp_{number}", "output_index": 0}
            item = {
                "id": "i",
                "type": "function_call",
                "call_id": f"call_{number}",
                "name": "now",
                "arguments": "{}",
            }
            response = {"id": f"resp_{number}", "object": "realtime.response"}
            if json.loads(message).get("result") == 2:
                for each in answer(f"resp_{number}", "noon"):
                    connection.send(each)
                return
            connection.send(event("response.created", response=response))
            connection.send(event("response.output_item.added", item={**item, "arguments": ""}, **where))
            connection.send(event("response.output_item.done", item={**item, "status": "completed"}, **where))
            connection.send(
                event("response.done", response={**response, "status": "completed", "output": [item]})
            )

    calls: list[str] = []
    texts: list[str] = []
    with opened(script) as connection, Stream(connection) as stream:
        connection.send(ASK)
        for response in stream.responses:
            for call in response.tool_calls:
                calls.append(call.id)
                connection.send(json.dumps({"result": len(calls)}))
            texts.append(response.message.text)

    assert (calls, texts) == (["call_1", "call_2"], ["", "", "noon"])


def test_what_is_over_is_not_kept() -> None:
    """A session may have any number of answers."""

    def session() -> Iterator[str]:
        for number in range(500):
            yield from answer(f"resp_{number}", "x" * 20_000)

    tracemalloc.start()
    sizes = []
    for number, response in enumerate(Stream(session()).responses):
        response.final()
        if number in (100, 450):
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()

    assert sizes[1] - sizes[0] < 1_000_000
