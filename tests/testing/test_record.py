"""`record` around loops and streams: what the application sees stays, and what it saw is in the file."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stream.bodies import AsyncSource, Source
from tokenstream import AsyncStream, Stream, testing
from tokenstream.errors import MisuseError, StreamInterrupted, StreamStalled
from tokenstream.limits import Deadlines
from tokenstream.testing import Arrival, Recording, VirtualClock
from tokenstream.testing._errors import RecordingRefused
from tokenstream.testing._record import record
from tokenstream.testing._record_filters import compiled, filtered, replaced
from tokenstream.testing._replay import Playback

ANSWER = testing.script().text("Hel").text("lo").finish("stop")
CHAT = ANSWER.chunks("openai-chat")
KEY = "sk-" + "proj-" + "aB3dE6gH9" * 4
SECRET = [b"data: sk-proj-aB3dE6", KEY.encode()[14:], b"\n\n"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answer.rec"


def load(path: Path) -> Recording:
    return Recording.load(path)


def there(path: Path) -> bool:
    return path.exists()


class Waiting:
    """An iterator in which time passes before each chunk."""

    def __init__(self, clock: VirtualClock, chunks: list[bytes], seconds: float) -> None:
        self._clock = clock
        self._chunks = iter(chunks)
        self._seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._clock.advance(self._seconds)
        return next(self._chunks)


def generator(chunks: list[Any], error: BaseException | None = None) -> Generator[Any]:
    yield from chunks
    if error is not None:
        raise error


async def async_generator(chunks: list[Any], error: BaseException | None = None) -> AsyncGenerator[Any]:
    for chunk in chunks:
        yield chunk
    if error is not None:
        raise error


# -- loops -----------------------------------------------------------------


def test_a_loop_over_bytes_is_recorded(path: Path) -> None:
    """The loop gets the very chunks, and the file has them, when the loop is over and not before."""
    got = []
    for chunk in record(Source(CHAT), path):
        got.append(chunk)
        assert not path.exists()

    assert all(ours is theirs for ours, theirs in zip(got, CHAT, strict=True))
    assert CHAT == load(path).chunks()
    assert "Hello" == load(path).stream().final().text


@pytest.mark.anyio
async def test_an_async_loop_over_bytes_is_recorded(path: Path) -> None:
    """The same for `async for`."""
    got = [chunk async for chunk in record(AsyncSource(CHAT), path)]

    assert CHAT == got
    assert CHAT == load(path).chunks()


def test_each_chunk_has_the_time_at_which_it_was_read(path: Path) -> None:
    """In seconds since the call, to the microsecond."""
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


def test_next_reads_as_a_loop_does(path: Path) -> None:
    """One chunk at a time."""
    chunks = record(iter([b"a", b"b"]), path)
    pulled = [next(chunks), next(chunks), next(chunks, None)]

    assert [b"a", b"b", None] == pulled
    assert [b"a", b"b"] == load(path).chunks()


def test_a_loop_that_is_left_records_what_it_has_read(path: Path) -> None:
    """When the source is closed, which reaches the source."""
    source = Source(CHAT)
    recorded = record(source, path)
    for _ in recorded:
        break
    assert not path.exists()
    recorded.close()

    assert CHAT[:1] == load(path).chunks()
    assert 1 == source.closed


@pytest.mark.anyio
async def test_an_async_loop_that_is_left_records_what_it_has_read(path: Path) -> None:
    """The same for `aclose`."""
    source = AsyncSource(CHAT)
    recorded = record(source, path)
    async for _ in recorded:
        break
    await recorded.aclose()

    assert CHAT[:1] == load(path).chunks()
    assert 1 == source.closed


@pytest.mark.anyio
async def test_with_closes_a_generator_and_ends_the_recording(tmp_path: Path) -> None:
    """A generator has no `with` of its own, and is closed by that of the recording."""
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
    """Attributes and methods are its own."""
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


@pytest.mark.parametrize("error, ended", ENDS, ids=lambda value: type(value).__name__)
def test_a_body_that_breaks_is_recorded_with_how_it_broke(
    path: Path, error: Exception, ended: str | None
) -> None:
    """The loop meets the very error, and a replay of the recording breaks alike."""
    got = []
    with pytest.raises(type(error)) as raised:
        for chunk in record(generator(CHAT[:2], error), path):
            got.append(chunk)

    assert raised.value is error
    assert CHAT[:2] == got == load(path).chunks()
    assert ended == load(path).breaks


@pytest.mark.anyio
async def test_an_async_body_that_breaks_is_recorded_with_how_it_broke(path: Path) -> None:
    """The same for `async for`; a replay gives the error that the answer gave."""
    with pytest.raises(ConnectionResetError):
        async for _ in record(AsyncSource(CHAT[:2], ConnectionResetError()), path):
            pass

    with pytest.raises(StreamInterrupted):
        await load(path).astream().final()


def test_a_generator_that_ctrl_c_ends_is_recorded_as_far_as_it_came(path: Path) -> None:
    """Nothing can follow."""
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
    """Before anything is read; the error says how to replace it."""
    path.write_text("mine")
    source = Source(CHAT)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        record(source, path)

    assert 0 == source.reads
    list(record(source, path, overwrite=True))
    assert CHAT == load(path).chunks()


def test_a_missing_folder_is_made(path: Path) -> None:
    """With the folders above it."""
    list(record(Source(CHAT), str(path.parent / "a" / "b" / "c.rec")))

    assert "c" == load(path.parent / "a" / "b" / "c.rec").name


def test_a_name_that_could_not_be_loaded_is_refused_at_the_call(tmp_path: Path) -> None:
    """By its extension."""
    with pytest.raises(MisuseError, match=r"end it with \.rec"):
        record([b"a"], tmp_path / "answer.html")


def test_the_number_may_stand_in_the_name(tmp_path: Path) -> None:
    """Where several are recorded, or one."""
    list(record(Source(CHAT), tmp_path / "answer-{n}.rec"))

    assert ["answer-1.rec"] == [found.name for found in tmp_path.iterdir()]


@pytest.mark.parametrize("broken", [False, True])
def test_a_recording_that_cannot_be_written_is_told_of_at_the_end(tmp_path: Path, broken: bool) -> None:
    """The loop has everything by then; an error that is on its way stays, and is told of it."""
    (tmp_path / "file").write_text("")
    error = ConnectionError("gone") if broken else None
    got = []
    with pytest.raises(ConnectionError if broken else MisuseError) as raised:
        for chunk in record(Source(CHAT, error), tmp_path / "file" / "a.rec"):
            got.append(chunk)

    assert CHAT == got
    assert "could not be written" in "".join([str(raised.value), *getattr(raised.value, "__notes__", ())])


# -- secrets ---------------------------------------------------------------


def test_a_secret_is_told_of_at_the_end_and_nothing_is_written(path: Path) -> None:
    """The loop has everything already."""
    got = []
    with pytest.raises(RecordingRefused, match=r"a key of OpenAI.*byte 6 of the body") as raised:
        for chunk in record(Source(SECRET), path):
            got.append(chunk)

    assert SECRET == got
    assert KEY not in str(raised.value)
    assert not path.parent.exists() or [] == list(path.parent.iterdir())


@pytest.mark.anyio
async def test_a_secret_is_told_of_when_the_source_is_closed(path: Path) -> None:
    """Which closes it all the same."""
    sync, later = Source(SECRET), AsyncSource(SECRET)
    recorded = record(sync, path)
    next(recorded), next(recorded)
    with pytest.raises(RecordingRefused):
        recorded.close()
    recorded_later = record(later, path)
    await anext(recorded_later), await anext(recorded_later)
    with pytest.raises(RecordingRefused):
        await recorded_later.aclose()

    assert (1, 1) == (sync.closed, later.closed)
    assert not there(path)


@pytest.mark.anyio
async def test_a_secret_is_no_reason_to_lose_another_error(path: Path) -> None:
    """Neither one of the source nor one of the code within `with`: they are told of it in a note."""
    with pytest.raises(ConnectionError) as broken:
        list(record(Source(SECRET, ConnectionError()), path))
    within: Any = record(generator(SECRET), path)
    with pytest.raises(ZeroDivisionError) as left, within as chunks:
        _ = next(chunks), next(chunks), 1 / 0
    later: Any = record(async_generator(SECRET), path)
    with pytest.raises(ZeroDivisionError) as left_later:
        async with later as chunks:
            _ = await anext(chunks), await anext(chunks), 1 / 0

    for raised in (broken, left, left_later):
        assert ["a key of OpenAI"] == re.findall("a key of OpenAI", "".join(raised.value.__notes__))
    assert not there(path)


@pytest.mark.parametrize(
    "options",
    [
        {"replace": {r"sk-[\w-]+": "sk-…"}},
        {"replace": {re.compile("SK-[a-z0-9-]+", re.IGNORECASE): "sk-…"}},
        {"replace": {rb"(sk)-[\w-]+": b"\\1-\xe2\x80\xa6"}},
        {"filter": lambda body: re.sub(rb"sk-[\w-]+", "sk-…".encode(), body)},
    ],
    ids=["str", "compiled", "bytes", "filter"],
)
def test_a_secret_can_be_taken_out(path: Path, options: dict[str, Any]) -> None:
    """Also where it came in several chunks; the loop still gets what came."""
    assert SECRET == list(record(Source(SECRET), path, **options))
    assert "data: sk-…\n\n".encode() == load(path).body
    assert b"data: " == load(path).chunks()[0][:6]


def test_the_head_is_replaced_too(path: Path) -> None:
    """The request line and the headers."""
    request = httpx.Request("POST", "https://example.com/mine/v1?key=1")
    response = httpx.Response(200, content=b"mine", headers={"x-request-id": "mine"}, request=request)
    record(response, path, replace={"mine": "yours"})

    assert "POST https://example.com/yours/v1" == load(path).request
    assert {"x-request-id": "yours"} == load(path).headers
    assert b"yours" == load(path).body


@pytest.mark.parametrize(
    "options, words",
    [
        ({"replace": {"(": ""}}, "no regular expression"),
        ({"replace": {"a": 3}}, "and not int"),
        ({"headers": "x-mine"}, r'headers=\("x-mine",\)'),
        ({"headers": ["Authorization"]}, "authorization is never stored"),
    ],
)
def test_options_that_mean_nothing_are_refused_at_the_call(
    path: Path, options: dict[str, Any], words: str
) -> None:
    """Where the mistake is, and not when the answer is over."""
    with pytest.raises(MisuseError, match=words):
        record([b"a"], path, **options)


def test_a_filter_that_returns_no_bytes_is_told_of(path: Path) -> None:
    """When it is called, at the end."""
    no_bytes: Any = len
    with pytest.raises(MisuseError, match="as bytes and not as int"):
        list(record(Source(CHAT), path, filter=no_bytes))


PIECES = st.lists(st.text("ab-", max_size=5).map(str.encode), max_size=6)


@given(
    PIECES,
    st.sampled_from(["a+", "ab", "b?", "a|-b", "-", "(a)(b)", "$", "x"]),
    st.sampled_from(["", "X", "long", "-"]),
)
@settings(max_examples=200)
def test_replacing_is_that_of_the_whole_body(pieces: list[bytes], pattern: str, text: str) -> None:
    """Borders mean nothing to a pattern, and outside of what was replaced they stay."""
    recording = Recording.of(pieces)
    found = replaced(recording, compiled({pattern: text}))

    assert re.sub(pattern, text, recording.body.decode()).encode() == found.body
    assert len(found.arrivals) <= max(1, len(pieces))
    if found.body == recording.body:
        assert pieces == [data for _, data in found.arrivals]


@given(PIECES, st.text("ab-", max_size=12).map(str.encode))
@settings(max_examples=200)
def test_a_filter_decides_about_the_body_alone(pieces: list[bytes], body: bytes) -> None:
    """What it returns is the body; borders before and behind what it changed stay."""
    recording = Recording.of([b"<before>", *pieces, b"<behind>"])
    new = b"<before>" + body + b"<behind>"
    changed = filtered(recording, lambda _: new)

    assert new == changed.body
    assert [b"<before>", b"<behind>"] == [changed.arrivals[0].data[:8], changed.arrivals[-1].data[-8:]]
    assert recording == filtered(recording, bytes)


# -- streams of this library -----------------------------------------------


def test_a_stream_is_recorded_under_its_events(path: Path) -> None:
    """The stream gives what it would give, and the file has the bytes and the format."""
    stream = Stream(Source(CHAT))
    recorded = record(stream, path)

    assert recorded is stream
    assert list(Stream(Source(CHAT))) == list(stream)
    assert CHAT == load(path).chunks()
    assert "openai-chat" == load(path).format


@pytest.mark.anyio
@pytest.mark.parametrize("at_hand", [False, True])
async def test_an_async_stream_is_recorded_under_its_events(path: Path, at_hand: bool) -> None:
    """The same for an AsyncStream, of what comes and of what is there already."""
    async with record(AsyncStream(CHAT if at_hand else AsyncSource(CHAT)), path) as stream:
        assert "Hello" == (await stream.final()).text

    assert CHAT == load(path).chunks()


@pytest.mark.anyio
async def test_a_stream_that_opens_its_source_later_is_recorded_from_then_on(tmp_path: Path) -> None:
    """A context manager, and an awaitable."""
    clock = VirtualClock()

    @contextlib.contextmanager
    def opened() -> Iterator[Waiting]:
        yield Waiting(clock, CHAT, 0.5)

    async def awaited() -> AsyncSource:
        return AsyncSource(CHAT)

    stream = record(Stream(opened(), clock=clock), tmp_path / "sync.rec", clock=clock)
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


@pytest.mark.anyio
@pytest.mark.parametrize("world", ["sync", "async"])
async def test_a_secret_under_a_stream_is_told_of_at_its_end(path: Path, world: str) -> None:
    """The message is whole by then, and the source is closed."""
    chunks = testing.script().text(KEY).finish("stop").chunks("openai-chat")
    source = Source(chunks) if world == "sync" else AsyncSource(chunks)
    stream: Any = Stream(source) if isinstance(source, Source) else AsyncStream(source)
    record(stream, path)
    with pytest.raises(RecordingRefused):
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
    deadlines = Deadlines(first_event=60, idle_bytes=60, idle_content=100)

    for name, recording in {"stalled": stalled, "slow": slow}.items():
        playback = Playback(recording, pace="recorded")
        stream = record(playback.stream(deadlines=deadlines), tmp_path / f"{name}.rec", clock=playback.clock)
        with contextlib.suppress(StreamStalled):
            stream.final()
        later = Playback(recording, pace="recorded").astream(deadlines=deadlines)
        record(later, tmp_path / f"{name}-async.rec")
        with contextlib.suppress(StreamStalled):
            await later.final()

    assert ["stall", "stall"] == [load(tmp_path / f"stalled{kind}.rec").breaks for kind in ("", "-async")]
    assert CHAT[:2] == load(tmp_path / "stalled.rec").chunks()
    assert [None, None] == [load(tmp_path / f"slow{kind}.rec").breaks for kind in ("", "-async")]
    assert slow.arrivals == load(tmp_path / "slow.rec").arrivals


def test_a_stream_that_has_begun_cannot_be_recorded(path: Path) -> None:
    """Its beginning would be missing; nor can one that is over."""
    begun, over = Stream(Source(CHAT)), Stream(Source(CHAT))
    next(iter(begun))
    over.final()
    for stream in (begun, over):
        with pytest.raises(MisuseError, match="was read or closed before"):
            record(stream, path)
    begun.close()


def test_a_stream_of_an_sdks_objects_cannot_be_recorded(path: Path) -> None:
    """The bytes beneath are not to be seen; the error says what can be recorded instead."""
    payloads = [{"choices": []}]
    for source in (Stream(payloads), payloads):
        with pytest.raises(MisuseError, match=r"gives dict .* testing\.record\(httpx2\.Client\(\), path\)"):
            list(record(source, path))

    assert not path.exists()


# -- managers and awaitables -----------------------------------------------


@pytest.mark.anyio
async def test_what_a_manager_gives_is_recorded(tmp_path: Path) -> None:
    """A loop within `with`, and one within `async with`; also by the Stream that enters it."""

    @contextlib.contextmanager
    def sync() -> Iterator[Iterator[bytes]]:
        yield generator(CHAT)

    @contextlib.asynccontextmanager
    async def later() -> AsyncIterator[AsyncIterator[bytes]]:
        yield async_generator(CHAT)

    with record(sync(), tmp_path / "1.rec") as chunks:
        assert CHAT == list(chunks)
    async with record(later(), tmp_path / "2.rec") as chunks_later:
        assert CHAT == [chunk async for chunk in chunks_later]
    assert "Hello" == Stream(record(sync(), tmp_path / "3.rec")).final().text
    async with AsyncStream(record(later(), tmp_path / "4.rec")) as stream:
        assert "Hello" == (await stream.final()).text

    assert [CHAT] * 4 == [load(tmp_path / f"{number}.rec").chunks() for number in (1, 2, 3, 4)]


class Both:
    """A manager of both kinds, as some SDKs have them."""

    def __enter__(self) -> Iterator[bytes]:
        return iter(CHAT)

    def __exit__(self, *raised: object) -> None:
        pass

    async def __aenter__(self) -> AsyncSource:
        return AsyncSource(CHAT)

    async def __aexit__(self, *raised: object) -> None:
        pass


@pytest.mark.anyio
async def test_a_manager_of_both_kinds_is_entered_as_it_is_asked(tmp_path: Path) -> None:
    """And what can be looped over in both ways is."""
    with record(Both(), tmp_path / "1.rec") as chunks:
        list(chunks)
    async with record(Both(), tmp_path / "2.rec") as later:
        assert CHAT == [chunk async for chunk in later]

    class Loops(Source):
        def __aiter__(self) -> AsyncIterator[bytes]:
            return async_generator(CHAT)

    assert CHAT == [chunk async for chunk in record(Loops([]), tmp_path / "3.rec")]

    assert [CHAT] * 3 == [load(tmp_path / f"{number}.rec").chunks() for number in (1, 2, 3)]


@pytest.mark.anyio
async def test_what_is_awaited_is_recorded(path: Path) -> None:
    """From the moment at which it is awaited, when the request goes out."""
    clock = VirtualClock()

    async def awaited() -> Waiting:
        clock.advance(2)
        return Waiting(clock, CHAT[:1], 0.5)

    pending = record(awaited(), path, clock=clock)
    clock.advance(100)
    assert CHAT[:1] == list(await pending)
    assert 2.5 == load(path).arrivals[0].at


@pytest.mark.anyio
async def test_what_does_not_open_leaves_no_file(path: Path) -> None:
    """The error is the manager's or the awaitable's own."""

    async def refused() -> AsyncSource:
        raise ConnectionRefusedError("nobody there")

    @contextlib.contextmanager
    def also_refused() -> Iterator[Source]:
        raise ConnectionRefusedError("nobody there")
        yield Source([])

    with pytest.raises(ConnectionRefusedError):
        await record(refused(), path)
    with pytest.raises(ConnectionRefusedError), record(also_refused(), path):
        pass

    assert not there(path)


# -- what cannot be recorded -----------------------------------------------


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: b"data: a", r"at hand already: Recording\.load.* Recording\.of"),
        (lambda: "data: a", "at hand already"),
        (lambda: io.BytesIO(b"a"), "at hand already"),
        (lambda: 3, "nothing that can be recorded.* stream=True"),
        (lambda: {"choices": []}, "nothing that can be recorded"),
    ],
)
def test_what_is_no_source_is_refused_at_the_call(path: Path, make: Callable[[], Any], words: str) -> None:
    """The error lists what is one."""
    with pytest.raises(MisuseError, match=words):
        record(make(), path)


def test_a_manager_is_entered_before_it_is_read(path: Path) -> None:
    """What a manager gives is there only within `with`."""
    unopened: Any = record(contextlib.nullcontext(CHAT), path)

    with pytest.raises(TypeError):
        iter(unopened)


@pytest.mark.anyio
async def test_a_cancelled_read_does_not_end_the_recording(path: Path) -> None:
    """Where the source survives it."""
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
