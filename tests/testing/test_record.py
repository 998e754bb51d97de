"""`record` around loops: what the application sees stays, and what it saw is in the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stream.bodies import AsyncSource, Source
from tests.support.either import Each
from tests.testing.recorded import CHAT, Waiting, async_generator, generator, there
from tokenstream.errors import MisuseError
from tokenstream.testing import Arrival, Recording, VirtualClock, record

load = Recording.load


# -- loops -----------------------------------------------------------------


async def _pull(recorded: Any) -> Any:
    return await anext(recorded) if hasattr(recorded, "__anext__") else next(recorded)


both = pytest.mark.parametrize("make", [Source, AsyncSource])


@pytest.mark.anyio
@both
async def test_a_loop_over_bytes_is_recorded(path: Path, make: Any) -> None:
    """The loop gets the very chunks, and the file has them, when the loop is over and not before."""
    got = []
    async for chunk in Each(record(make(CHAT), path)):
        got.append(chunk)
        assert not there(path)

    assert all(ours is theirs for ours, theirs in zip(got, CHAT, strict=True))
    assert CHAT == load(path).chunks()
    assert "Hello" == load(path).stream().final().text


def test_each_chunk_has_the_time_at_which_it_was_read(path: Path) -> None:
    clock = VirtualClock(1000.0)
    list(record(Waiting(clock, [b"a", b"b"], 0.25), path, clock=clock))

    assert (Arrival(0.25, b"a"), Arrival(0.5, b"b")) == load(path).arrivals


def test_text_and_other_bytes_are_recorded_as_the_bytes_that_they_are(path: Path) -> None:
    """Lines of text, as some libraries give them, are in UTF-8; the loop gets what it would get."""
    chunks = ["café", bytearray(b"b"), memoryview(b"c")]

    assert chunks == list(record(chunks, path))
    assert ["café".encode(), b"b", b"c"] == load(path).chunks()


def test_an_answer_of_nothing_is_a_recording_of_nothing(path: Path) -> None:
    """A server that says nothing is worth a test, too."""
    assert [] == list(record(iter([]), path))
    assert Recording(name="answer") == load(path)


def test_a_loop_that_begins_anew_is_recorded_once(tmp_path: Path) -> None:
    """A list can be looped over again, and other iterables can; the recording is that of the first loop."""

    class Again:
        def __iter__(self) -> Iterator[bytes]:
            return iter(CHAT)

    sources: list[Any] = [CHAT, Again()]
    for number, source in enumerate(sources):
        recorded = record(source, tmp_path / f"{number}.rec")
        assert CHAT == list(recorded) == list(recorded)

    assert CHAT == load(tmp_path / "0.rec").chunks() == load(tmp_path / "1.rec").chunks()


def test_next_reads_as_a_loop_does(path: Path) -> None:
    chunks = record(iter([b"a", b"b"]), path)
    pulled = [next(chunks), next(chunks), next(chunks, None)]

    assert [b"a", b"b", None] == pulled
    assert [b"a", b"b"] == load(path).chunks()


@pytest.mark.anyio
@both
async def test_a_loop_that_is_left_records_what_it_has_read(path: Path, make: Any) -> None:
    source = make(CHAT)
    recorded: Any = record(source, path)
    await _pull(recorded)
    assert not there(path)
    if make is Source:
        recorded.close()
    else:
        await recorded.aclose()

    assert CHAT[:1] == load(path).chunks()
    assert 1 == source.closed


@pytest.mark.anyio
async def test_with_closes_a_generator_and_ends_the_recording(tmp_path: Path) -> None:
    sync: Any = record(generator(CHAT), tmp_path / "sync.rec")
    with sync as chunks:
        next(chunks)
    later: Any = record(async_generator(CHAT), tmp_path / "async.rec")
    async with later as chunks:
        await anext(chunks)

    assert CHAT[:1] == load(tmp_path / "sync.rec").chunks() == load(tmp_path / "async.rec").chunks()
    assert [] == list(sync)
    assert [] == [chunk async for chunk in later]


def test_what_is_closed_unread_leaves_no_file(path: Path) -> None:
    """Nothing was seen of an answer, and nothing is claimed of it."""
    record(generator(CHAT), path).close()

    assert not path.exists()


def test_whatever_else_is_asked_of_a_source_reaches_it(path: Path) -> None:
    source = Source(CHAT)
    recorded: Any = record(source, path)
    list(recorded)

    assert len(CHAT) == recorded.reads
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = recorded.nothing_like_it


# -- how it ends -----------------------------------------------------------


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


ENDS = [
    (ConnectionResetError("reset"), "reset"),
    (chained(httpx.ReadError("gone"), ConnectionResetError("reset")), "reset"),
    (httpx.ReadError("gone"), "close"),
    (httpx.RemoteProtocolError("peer closed connection"), "close"),
    (ValueError("anything"), "close"),
    (httpx.ReadTimeout("silence"), "stall"),
    (TimeoutError(), "stall"),
    (httpx.StreamConsumed(), None),
]


@pytest.mark.anyio
@pytest.mark.parametrize("make", [generator, async_generator])
@pytest.mark.parametrize("error, ended", ENDS, ids=lambda value: type(value).__name__)
async def test_a_body_that_breaks_is_recorded_with_how_it_broke(
    path: Path, error: Exception, ended: str | None, make: Any
) -> None:
    """The loop meets the very error, and a replay of the recording breaks alike."""
    got = []
    with pytest.raises(type(error)) as raised:
        async for chunk in Each(record(make(CHAT[:2], error), path)):
            got.append(chunk)

    assert raised.value is error
    assert CHAT[:2] == got == load(path).chunks()
    assert ended == load(path).breaks


def test_a_generator_that_ctrl_c_ends_is_recorded_as_far_as_it_came(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(record(generator(CHAT[:1], KeyboardInterrupt()), path))

    assert Recording.of(CHAT[:1]).body == load(path).body
    assert load(path).breaks is None


def test_a_loop_goes_on_after_ctrl_c_where_its_source_does(path: Path) -> None:
    """An iterator that can be asked again is recorded to its end."""

    class Interrupted(Source):
        def __next__(self) -> bytes:
            if self.reads == 1:
                self.reads += 1
                raise KeyboardInterrupt
            return super().__next__()

    recorded = record(Interrupted([b"a", b"b"]), path)
    with pytest.raises(KeyboardInterrupt):
        list(recorded)
    list(recorded)

    assert [b"a", b"b"] == load(path).chunks()


# -- files -----------------------------------------------------------------


def test_a_file_that_is_there_is_refused_at_the_call(path: Path) -> None:
    path.write_text("mine")
    source = Source(CHAT)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        record(source, path)

    assert 0 == source.reads
    list(record(source, path, overwrite=True))
    assert CHAT == load(path).chunks()


def test_a_missing_folder_is_made(path: Path) -> None:
    list(record(Source(CHAT), str(path.parent / "a" / "b" / "c.rec")))

    assert "c" == load(path.parent / "a" / "b" / "c.rec").name


def test_a_name_that_could_not_be_loaded_is_refused_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"end it with \.rec"):
        record([b"a"], tmp_path / "answer.html")


def test_the_number_may_be_in_the_name(tmp_path: Path) -> None:
    list(record(Source(CHAT), tmp_path / "answer-{n}.rec"))

    assert ["answer-1.rec"] == [found.name for found in tmp_path.iterdir()]


@pytest.mark.parametrize("broken", [False, True])
def test_a_recording_that_cannot_be_written_is_reported_at_the_end(tmp_path: Path, broken: bool) -> None:
    """The loop has everything by then; an error that is on its way stays, and is told of it."""
    (tmp_path / "file").write_text("")
    error = ConnectionError("gone") if broken else None
    got = []
    with pytest.raises(ConnectionError if broken else MisuseError) as raised:
        for chunk in record(Source(CHAT, error), tmp_path / "file" / "a.rec"):
            got.append(chunk)

    assert CHAT == got
    assert "could not be written" in "".join([str(raised.value), *getattr(raised.value, "__notes__", ())])
