"""Bodies that are at hand: bytes, text, files; and iterables."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stream.bodies import ANSWER, TOKENS, AsyncSource, Source
from tests.support.timing import own_threads
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError, NotAStream, StreamTruncated

pytestmark = pytest.mark.anyio

BODY = b"".join(ANSWER)
EXPECTED = Stream(ANSWER).final()

BODIES: dict[str, Any] = {
    "bytes": BODY,
    "bytearray": bytearray(BODY),
    "memoryview": memoryview(BODY),
    "text": BODY.decode(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_finished_body_is_a_source_of_both_colours(body: Any) -> None:
    assert EXPECTED == Stream(body).final()
    assert EXPECTED == await AsyncStream(body).final()


async def test_a_finished_body_is_read_in_an_async_loop_without_a_task() -> None:
    """What is at hand needs no `async with` on trio, and survives any timeout."""
    pieces = [piece async for piece in AsyncStream(BODY).text]

    assert ["Let ", "me ", "see."] == pieces


def test_a_body_that_is_changed_later_is_read_as_it_was() -> None:
    """The stream keeps a copy of what can change."""
    body = bytearray(BODY)
    stream = Stream(body)
    body[:] = b""

    assert EXPECTED == stream.final()


def test_text_is_pieces_where_the_format_says_so() -> None:
    assert "data: a" == Stream("data: a", format="pieces").final().text


async def test_a_path_is_a_finished_body(tmp_path: Path) -> None:
    """The file is opened when it is read; any path-like object will do."""
    path = tmp_path / "answer.sse"
    path.write_bytes(BODY)

    class Like:
        def __fspath__(self) -> str:
            return str(path)

    assert EXPECTED == Stream(path).final()
    assert EXPECTED == await AsyncStream(path).final()
    assert EXPECTED == Stream(Like()).final()


async def test_a_path_is_asked_once_where_it_leads(tmp_path: Path) -> None:
    """The file that was found is the file that is read; as bytes, too."""
    path = tmp_path / "answer.sse"
    path.write_bytes(BODY)
    said = iter([bytes(path)])

    class Once:
        def __fspath__(self) -> bytes:
            return next(said)

    once: Any = Once()

    assert EXPECTED == Stream(once).final()


async def test_a_path_that_leads_nowhere_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Stream(tmp_path / "none.sse")
    with pytest.raises(FileNotFoundError):
        AsyncStream(tmp_path / "none.sse")


async def test_a_path_that_cannot_be_opened_is_misuse(tmp_path: Path) -> None:
    """A folder say: no connection broke."""
    with pytest.raises(MisuseError, match="cannot be opened"):
        Stream(tmp_path).final()
    async with AsyncStream(tmp_path) as stream:
        with pytest.raises(MisuseError, match="cannot be opened"):
            await stream.final()


def test_a_file_that_is_opened_by_its_path_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "answer.sse"
    path.write_bytes(BODY + b": more\n" * 20_000)
    with Stream(path) as stream:
        next(iter(stream.text))

    assert "stopped" == stream.message.ending


def _opened(path: Path, how: str) -> Any:
    return _pipe(os.open(path, os.O_RDONLY), how)


def _pipe(reading: int, how: str) -> Any:
    if how == "text":
        return os.fdopen(reading, encoding="latin-1")
    return os.fdopen(reading, "rb", buffering=0 if how == "unbuffered" else -1)


@pytest.mark.parametrize("how", ["binary", "unbuffered", "text"])
async def test_an_open_file_is_read_and_closed(tmp_path: Path, how: str) -> None:
    """A stream closes what it was given; of a text file the bytes are read, whatever its encoding."""
    path = tmp_path / "answer.sse"
    path.write_bytes(BODY.replace(b"see.", "see – 🌊".encode()))
    file = _opened(path, how)

    assert "Let me see – 🌊" == Stream(file).final().text
    assert file.closed

    file = _opened(path, how)

    assert "Let me see – 🌊" == (await AsyncStream(file).final()).text
    assert file.closed


@pytest.mark.parametrize("how", ["binary", "text"])
def test_a_file_is_read_from_where_its_user_is(tmp_path: Path, how: str) -> None:
    """Lines that were read before are not read again, and none is missed."""
    path = tmp_path / "answer.sse"
    path.write_bytes(b"# notes: \xc3\xa9\n" + BODY)
    file = _opened(path, how)
    file.readline()

    assert EXPECTED == Stream(file).final()


def test_a_text_file_in_a_loop_is_refused(tmp_path: Path) -> None:
    """A loop over its lines reads ahead, and nobody can tell how far."""
    path = tmp_path / "answer.sse"
    path.write_bytes(BODY)
    with path.open(encoding="utf-8") as file:
        next(file)
        with pytest.raises(MisuseError, match="pass it before that"):
            Stream(file)


def test_files_in_memory_are_read() -> None:
    assert EXPECTED == Stream(io.BytesIO(BODY)).final()
    assert EXPECTED == Stream(io.StringIO(BODY.decode())).final()


def test_a_file_that_cannot_be_read_is_misuse(tmp_path: Path) -> None:
    file = (tmp_path / "answer.sse").open("wb")
    with pytest.raises(MisuseError, match="not open for reading"):
        Stream(file)
    file.close()
    with pytest.raises(MisuseError, match="pass it open"):
        Stream(file)


@pytest.mark.parametrize("how", ["binary", "text"])
def test_a_pipe_is_read_as_it_comes(how: str) -> None:
    """Behind `curl -N` each event is there at once, also in the text that standard input is."""
    reading, writing = os.pipe()
    file = _pipe(reading, how)
    stream = Stream(file, format="text")
    pieces = iter(stream.text)
    for token, piece in zip(TOKENS, ["Hel", "lo", " you"], strict=False):
        os.write(writing, token)

        assert piece == next(pieces)

    os.write(writing, TOKENS[-1])
    os.close(writing)

    assert "Hello you" == stream.final().text
    assert file.closed


async def test_a_pipe_is_none_for_an_async_loop() -> None:
    """Reading a pipe would block the event loop."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as file, pytest.raises(MisuseError, match=r"read it with Stream, in `for`"):
        AsyncStream(file)
    os.close(writing)


@pytest.mark.parametrize("how", ["binary", "unbuffered", "text"])
def test_a_pipe_that_does_not_block_is_misuse(how: str) -> None:
    """The "nothing yet" of such a pipe would look like its end."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, TOKENS[0])
    with _pipe(reading, how) as file:
        with pytest.raises(MisuseError, match="non-blocking"):
            Stream(file)

        assert TOKENS[0] == os.read(reading, 100)
    os.close(writing)


def test_the_file_of_a_socket_with_a_timeout_is_read() -> None:
    """The socket does not block beneath, but its file waits all the same."""
    ours, theirs = socket.socketpair()
    ours.settimeout(3)
    with ours, theirs:
        stream = Stream(ours.makefile("rb"), format="text")
        pieces = iter(stream.text)
        theirs.sendall(TOKENS[0])

        assert "Hel" == next(pieces)

        theirs.sendall(b"".join(TOKENS[1:]))
        theirs.shutdown(socket.SHUT_WR)

        assert "Hello you" == stream.final().text


def test_a_file_in_memory_of_any_kind_is_read() -> None:
    """A file of a class that knows nothing of blocking, and one that has only what is needed."""

    class Minimal:
        def __init__(self) -> None:
            self._file = io.BytesIO(BODY)
            self.read = self._file.read
            self.readable = self._file.readable
            self.seekable = lambda: False
            self.close = self._file.close

    minimal: Any = Minimal()

    assert EXPECTED == Stream(minimal).final()


def test_an_empty_file_is_a_truncated_answer() -> None:
    with pytest.raises(StreamTruncated):
        Stream(b"").final()
    with pytest.raises(NotAStream):
        Stream("an answer").final()


async def test_an_iterable_is_closed_at_the_end_and_by_close() -> None:
    """A stream closes what it was given, once."""
    source = Source(ANSWER)
    Stream(source).final()

    assert 1 == source.closed

    waiting = AsyncSource(ANSWER)
    await AsyncStream(waiting).aclose()

    assert 1 == waiting.closed


class Body:
    """An iterable that makes its iterators, and has something of its own to close."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from ANSWER
        finally:
            self.closed.append("the iterator")

    def close(self) -> None:
        self.closed.append("the iterable")


class AsyncBody:
    """The same, asynchronous; its `close` is a coroutine, as those of SDKs are."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for chunk in ANSWER:
                yield chunk
        finally:
            self.closed.append("the iterator")

    async def close(self) -> None:
        self.closed.append("the iterable")


async def test_an_iterable_is_closed_with_the_iterator_that_it_made() -> None:
    """First the one that is being read, then the one it came from."""
    body = Body()
    with Stream(body) as stream:
        next(stream)

    assert ["the iterator", "the iterable"] == body.closed

    waiting = AsyncBody()
    async with AsyncStream(waiting) as asynchronous:
        await anext(asynchronous)

    assert ["the iterator", "the iterable"] == waiting.closed


def test_a_list_stays_as_it_is() -> None:
    body = list(ANSWER)

    assert Stream(body).final() == Stream(body).final()


def test_an_iterator_is_read_by_one_thread_at_a_time_without_a_thread_of_ours() -> None:
    """Nothing runs in the background for what a loop can read itself."""
    before = own_threads()
    with Stream(Source(ANSWER)) as stream:
        next(stream)

        assert own_threads() <= before
