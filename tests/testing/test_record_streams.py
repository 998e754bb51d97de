"""`record` around streams of this library, context managers and awaitables."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.stream.bodies import AsyncSource, Source
from tests.support.clocks import on
from tests.support.playing import Playback
from tests.testing.recorded import CHAT, KEY, Waiting, generator, there
from tokenstream import AsyncStream, Stream, testing
from tokenstream.errors import MisuseError, StreamStalled
from tokenstream.formats import custom
from tokenstream.limits import Deadlines
from tokenstream.testing import Arrival, Recording, RecordingInvalid, VirtualClock, record

load = Recording.load


# -- streams of this library -----------------------------------------------


def test_a_stream_is_recorded_under_its_events(path: Path) -> None:
    stream = Stream(Source(CHAT))
    recorded = record(stream, path)

    assert recorded is stream
    assert list(Stream(Source(CHAT))) == list(stream)
    assert CHAT == load(path).chunks()
    assert "openai-chat" == load(path).format


def test_a_stream_in_a_format_of_ones_own_is_recorded(path: Path) -> None:
    format = custom(text="words", finish="over", finish_reasons={"yes": "stop"})
    body = [b'{"words": "Hello"}\n', b'{"words": "", "over": "yes"}\n']
    assert "Hello" == record(Stream(Source(body), format=format), path).final().text

    assert "custom" == load(path).format
    assert "Hello" == load(path).stream(format=format).final().text


@pytest.mark.anyio
async def test_a_stream_that_opens_its_source_later_is_recorded_from_then_on(tmp_path: Path) -> None:
    """A context manager, and an awaitable."""
    clock = VirtualClock()

    @contextlib.contextmanager
    def opened() -> Generator[Waiting]:
        yield Waiting(clock, CHAT, 0.5)

    async def awaited() -> AsyncSource:
        return AsyncSource(CHAT)

    stream = record(on(clock, Stream, opened()), tmp_path / "sync.rec", clock=clock)
    clock.advance(100)
    with stream:
        stream.final()
    async with record(AsyncStream(awaited()), tmp_path / "async.rec") as later:
        await later.final()

    assert 0.5 == load(tmp_path / "sync.rec").arrivals[0].at
    assert CHAT == load(tmp_path / "async.rec").chunks()


def test_a_stream_that_is_closed_early_records_what_it_has_read(path: Path) -> None:
    """Read, not decoded: a chunk is recorded whole."""
    with record(Stream(Source([b"".join(CHAT[:2]), *CHAT[2:]])), path) as stream:
        next(iter(stream))

    assert [b"".join(CHAT[:2])] == load(path).chunks()


@pytest.mark.parametrize("make", [list, iter, generator], ids=["list", "iterator", "generator"])
def test_an_iterable_that_is_left_early_is_recorded_once_it_is_closed(
    make: Callable[[list[bytes]], Any], path: Path
) -> None:
    with Stream(record(make(CHAT), path), format="openai-chat") as stream:
        next(iter(stream))
    assert CHAT[:1] == load(path).chunks()

    path.unlink()
    recorded = record(make(CHAT), path)
    next(iter(recorded))
    recorded.close()
    assert CHAT[:1] == load(path).chunks()


@pytest.mark.anyio
@pytest.mark.parametrize("world", ["sync", "async"])
async def test_a_secret_under_a_stream_is_reported_at_its_end(path: Path, world: str) -> None:
    """The message is whole by then, and the source is closed."""
    chunks = testing.script().text(KEY).finish("stop").chunks("openai-chat")
    source = Source(chunks) if world == "sync" else AsyncSource(chunks)
    stream: Any = Stream(source) if isinstance(source, Source) else AsyncStream(source)
    record(stream, path)
    with pytest.raises(RecordingInvalid):
        if world == "sync":
            stream.final()
        else:
            await stream.final()

    assert (KEY, "complete") == (stream.message.text, stream.message.ending)
    assert 1 == source.closed
    assert not there(path)


@pytest.mark.anyio
async def test_a_stalled_stream_is_recorded_as_one(tmp_path: Path) -> None:
    """A deadline that ends the stream ends the recording; one that passes in between does not."""
    stalled = Recording.of(CHAT[:2], breaks="stall")
    slow = Recording(tuple(Arrival(at * 30.0, data) for at, data in enumerate(CHAT)))
    deadlines = Deadlines(first_event=60, idle_bytes=60, idle_content=100, after_finish=None)

    for name, recording in {"stalled": stalled, "slow": slow}.items():
        playback = Playback(recording, pace="recorded")
        stream = record(playback.stream(deadlines=deadlines), tmp_path / f"{name}.rec", clock=playback.clock)
        with contextlib.suppress(StreamStalled):
            stream.final()
        later = recording.astream(pace="recorded", deadlines=deadlines)
        record(later, tmp_path / f"{name}-async.rec")
        with contextlib.suppress(StreamStalled):
            await later.final()

    assert ["stall", "stall"] == [load(tmp_path / f"stalled{kind}.rec").breaks for kind in ("", "-async")]
    assert CHAT[:2] == load(tmp_path / "stalled.rec").chunks()
    assert [None, None] == [load(tmp_path / f"slow{kind}.rec").breaks for kind in ("", "-async")]
    assert slow.arrivals == load(tmp_path / "slow.rec").arrivals


def test_a_stream_that_has_begun_cannot_be_recorded(path: Path) -> None:
    begun, over = Stream(Source(CHAT)), Stream(Source(CHAT))
    next(iter(begun))
    over.final()
    for stream in (begun, over):
        with pytest.raises(MisuseError, match="was read or closed before"):
            record(stream, path)
    begun.close()


def test_a_stream_of_an_sdks_objects_cannot_be_recorded(path: Path) -> None:
    """The bytes beneath are not to be seen; the error says what can be recorded instead."""
    payloads: Any = [{"choices": []}]
    for source in (Stream(payloads), payloads):
        with pytest.raises(
            MisuseError, match=r"an iterable of dict .* testing\.record\(httpx2\.Client\(\), path\)"
        ):
            list(record(source, path))

    assert not path.exists()


class Awaited:
    def __await__(self) -> Generator[Any, Any, list[bytes]]:
        yield
        return CHAT


# -- what cannot be recorded -----------------------------------------------


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: io.BytesIO(b"a"), "complete already"),
        (lambda: b"data: Hel\n\n", "complete already"),
        (lambda: Path("answer.sse"), r"is complete already: Recording\.load\(path\) reads a file"),
        (lambda: 3, "cannot be recorded itself.* stream=True"),
        (lambda: {"choices": []}, "cannot be recorded"),
        (
            lambda: contextlib.nullcontext(CHAT),
            r"record the Stream .* testing\.record\(Stream\(source\), path\)",
        ),
        (Awaited, "record the Stream or AsyncStream around it"),
    ],
)
def test_what_is_no_source_is_refused_at_the_call(path: Path, make: Callable[[], Any], words: str) -> None:
    with pytest.raises(MisuseError, match=words):
        record(make(), path)


@pytest.mark.anyio
async def test_a_cancelled_read_does_not_end_the_recording(path: Path) -> None:
    send, receive = anyio.create_memory_object_stream[bytes](10)
    recorded = record(receive, path)
    async with send:
        await send.send(b"a")
        assert b"a" == await anext(aiter(recorded))
        with anyio.move_on_after(0.01):
            await anext(aiter(recorded))
        await send.send(b"b")
    assert [b"b"] == [chunk async for chunk in recorded]

    assert [b"a", b"b"] == load(path).chunks()
    receive.close()
