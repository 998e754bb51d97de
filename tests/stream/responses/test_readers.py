"""`stream.responses`: who reads the answers, and what is left unread."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import websockets.asyncio.client as asyncio_client

from tests._sources.sockets import answer, open_socket
from tests.stream.responses.support import FAILED, SESSION, AsyncItems, Items, error_of, on_asyncio
from tests.support.either import Each, got, in_each_loop, inside, stream_in
from tests.support.raised import misuse
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError, ProviderError, StreamInterrupted, StreamTruncated

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

pytestmark = pytest.mark.anyio


def opened_in(colour: str, *items: Any) -> tuple[Any, Items]:
    source = (Items if colour == "sync" else AsyncItems)(*items)
    return stream_in(colour)(source), source


def answers(*names: str) -> list[str]:
    return [SESSION, *[each for name in names for each in answer(name, "Hel", "lo")]]


one_and_two = pytest.mark.parametrize("names", [["resp_1"], ["resp_1", "resp_2"]])


@in_each_loop
async def test_what_is_left_unread_is_read_before_the_next(colour: str) -> None:
    messages = [
        *answer("resp_1", "Hel", "lo"),
        *answer("resp_2", "x", status="failed", **FAILED),
        *answer("resp_3", "Bye"),
    ]
    stream, _ = opened_in(colour, *messages)
    responses = [response async for response in Each(stream.responses)]

    assert [(one.message.text, one.message.ending) for one in responses] == [
        ("Hello", "complete"),
        ("x", "failed"),
        ("Bye", "complete"),
    ]
    with pytest.raises(ProviderError):
        await got(responses[1].final())


@one_and_two
@in_each_loop
async def test_an_answer_that_is_shared_is_read_to_its_end_before_the_next(
    colour: str, names: list[str]
) -> None:
    stream, _ = opened_in(colour, *answers(*names))
    async with inside(stream):
        heard = [
            await anext(Each(response.broadcast().reader().text)) async for response in Each(stream.responses)
        ]

    assert ["Hel"] * len(names) == heard


@one_and_two
@in_each_loop
async def test_an_answer_of_which_only_readers_are_kept_goes_on(colour: str, names: list[str]) -> None:
    stream, _ = opened_in(colour, *answers(*names))
    responses, readers = Each(stream.responses), list[Any]()
    while len(readers) < len(names):
        readers.append((await anext(responses)).tee(1)[0])
        await anext(Each(readers[-1].text))

    assert [each async for each in responses] == []
    assert ["Hello"] * len(names) == [reader.message.text for reader in readers]


@one_and_two
@in_each_loop
async def test_an_answer_whose_readers_are_all_gone_is_read_to_its_end(colour: str, names: list[str]) -> None:
    stream, _ = opened_in(colour, *answers(*names))
    responses = Each(stream.responses)
    heard = [await anext(Each((await anext(responses)).tee(2)[0].text)) for _ in names]

    assert ["Hel"] * len(names) == heard
    assert [each async for each in responses] == []


@in_each_loop
async def test_a_view_of_a_stream_that_is_shared_no_more_goes_on(colour: str) -> None:
    stream = stream_in(colour)(["The", " quick", " fox"], format="pieces")
    text = Each(stream.text)
    assert await anext(text) == "The"
    readers = stream.tee(2)
    del stream, readers

    assert [each async for each in text] == [" quick", " fox"]


@in_each_loop
async def test_the_answers_of_a_shared_stream_are_refused(colour: str) -> None:
    stream, _ = opened_in(colour, *answers("resp_1"))
    async with inside(stream):
        responses = Each(stream.responses)
        stream.broadcast()
        with pytest.raises(MisuseError, match="share each stream of an unshared"):
            await anext(responses)


async def test_the_stream_itself_cannot_be_read_beside_its_answers() -> None:
    with Stream(Items(SESSION, *answer("resp_1", "Hello"))) as stream:
        response = next(stream.responses)
        with pytest.raises(MisuseError, match=r"read what `stream\.responses` gives"):
            next(stream)

        assert response.final().text == "Hello"


async def test_two_readers_are_one_too_many() -> None:
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
        with misuse("concurrent"):
            await stream.responses._reader.read()  # noqa: SLF001 - what both would do
        gate.set()


def test_two_threads_are_one_too_many() -> None:
    gate, reading = threading.Event(), threading.Event()

    def slow() -> Iterator[str]:
        yield from answer("resp_1", "Hello")[:2]
        reading.set()
        gate.wait(PATIENCE)

    stream = Stream(slow())
    response = next(stream.responses)
    thread = threading.Thread(target=lambda: error_of(response))
    thread.start()
    reading.wait(PATIENCE)
    with misuse("concurrent"):
        stream.responses._reader.read()  # noqa: SLF001 - what both would do
    gate.set()
    thread.join()

    assert response.message.ending == "truncated"


@in_each_loop
async def test_a_session_that_was_closed_gives_nothing_more(colour: str) -> None:
    stream, source = opened_in(colour, *answers("resp_1", "resp_2"))
    response = await anext(Each(stream.responses))
    await got(stream.close() if colour == "sync" else stream.aclose())

    assert (await got(response.final())).ending == "stopped"
    with misuse("closed"):
        _ = [one async for one in Each(stream.responses)]
    assert source.closed


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_answers_that_nobody_closes_warn_of_nothing() -> None:
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


@in_each_loop
async def test_a_stream_that_was_read_before_goes_on_with_the_next_answers(colour: str) -> None:
    stream, _ = opened_in(colour, *answers("resp_1"), *answer("resp_2", "Bye"))
    assert await anext(Each(stream.text)) == "Hel"
    texts = [(await got(response.final())).text async for response in Each(stream.responses)]

    assert texts == ["lo", "Bye"]


@on_asyncio
async def test_a_reader_that_somebody_else_cancelled_is_reported() -> None:
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
async def test_a_source_that_does_not_survive_a_cancelled_read_is_reported() -> None:
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


@on_asyncio
async def test_a_connection_that_is_opened_by_the_stream_gives_its_answers() -> None:
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


async def test_an_answer_that_waits_is_given_by_the_next_loop() -> None:
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
    stream = AsyncStream(AsyncItems(SESSION, *answer("resp_1", "Hello")))
    response = await anext(stream.responses)
    stream._driver.verdict.request_end("enough")  # noqa: SLF001 - what `stop` does in another thread

    assert (await response.final()).ending == "stopped"
    await stream.aclose()


@pytest.mark.slow
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
