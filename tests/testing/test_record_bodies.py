"""`record` around the responses of HTTP libraries, over real connections."""

from __future__ import annotations

import copy
import gzip
import http.client
import urllib.request
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.loopback import FIN, RST, Loopback, Script, chunked, chunked_head, http_chunk, sized
from tests.support.packages import needed
from tests.testing.recorded import CHAT, KEY
from tokenstream import AsyncStream, Stream
from tokenstream.errors import StreamInterrupted
from tokenstream.testing import Recording, RecordingRefused, VirtualClock, record

BODY = b"".join(CHAT)

requests: Any = needed("requests")
urllib3: Any = needed("urllib3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answer.rec"


def body_of(path: Path) -> bytes:
    return Recording.load(path).body


def there(path: Path) -> list[str]:
    return sorted(found.name for found in path.iterdir())


# -- requests, urllib3, http.client ----------------------------------------


@contextmanager
def of_requests(url: str) -> Generator[Any]:
    with requests.post(url, stream=True) as response:
        yield response


@contextmanager
def of_urllib3(url: str) -> Generator[Any]:
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", url, preload_content=False, retries=False)
        yield response
        response.close()


@contextmanager
def of_http_client(url: str) -> Generator[Any]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    with closing(connection):
        connection.request("POST", "/v1")
        with connection.getresponse() as response:
            yield response


@contextmanager
def of_urllib(url: str) -> Generator[Any]:
    with urllib.request.urlopen(url, b"") as response:
        yield response


def into_a_buffer(response: Any) -> bytes:
    buffer, found = bytearray(100), b""
    assert 0 == response.readinto(bytearray())
    while count := response.readinto(buffer):
        found += buffer[:count]
    return found


def in_lines(response: Any) -> bytes:
    return b"".join(iter(response.readline, b""))


def piecewise(name: str, size: int, **options: Any) -> Callable[[Any], bytes]:
    def read(response: Any) -> bytes:
        method = getattr(response, name)
        return b"".join(iter(lambda: method(size, **options), b""))

    return read


READS: list[Any] = [
    pytest.param(of_requests, lambda response: b"".join(response.iter_content(None)), id="requests"),
    pytest.param(of_requests, lambda response: response.content, id="requests-content"),
    pytest.param(
        of_requests, lambda response: b"\n".join([*response.iter_lines(), b""]), id="requests-lines"
    ),
    pytest.param(of_requests, lambda response: response.raw.read(), id="requests-raw"),
    pytest.param(of_urllib3, lambda response: b"".join(response.stream()), id="urllib3"),
    pytest.param(of_urllib3, lambda response: response.data, id="urllib3-data"),
    pytest.param(of_urllib3, lambda response: response.read(), id="urllib3-read"),
    pytest.param(of_urllib3, piecewise("read", 50), id="urllib3-read-50"),
    pytest.param(of_urllib3, piecewise("read1", 50), id="urllib3-read1"),
    pytest.param(of_urllib3, piecewise("read", 50, decode_content=False), id="urllib3-undecoded"),
    pytest.param(of_urllib3, into_a_buffer, id="urllib3-readinto"),
    pytest.param(of_urllib3, b"".join, id="urllib3-loop"),
    pytest.param(of_http_client, lambda response: response.read(), id="http-client"),
    pytest.param(of_http_client, piecewise("read", 50), id="http-client-read"),
    pytest.param(of_http_client, piecewise("read1", 50), id="http-client-read1"),
    pytest.param(of_http_client, into_a_buffer, id="http-client-readinto"),
    pytest.param(of_http_client, in_lines, id="http-client-lines"),
    pytest.param(of_http_client, b"".join, id="http-client-loop"),
    pytest.param(of_urllib, lambda response: response.read(), id="urllib"),
]


@pytest.mark.parametrize("opened, read", READS)
@pytest.mark.parametrize("framing", ["chunked", "sized"])
def test_whatever_is_read_of_a_response_is_recorded(
    path: Path, framing: str, opened: Callable[[str], Any], read: Callable[[Any], bytes]
) -> None:
    """By whichever method: the application gets its bytes, and the file has them."""
    script = chunked(CHAT) if framing == "chunked" else sized(BODY)
    with Loopback(script) as server, opened(server.url) as response:
        assert record(response, path) is response
        got = read(response)

    assert BODY == got == body_of(path)
    assert "text/event-stream; charset=utf-8" == Recording.load(path).content_type
    assert Recording.load(path).breaks is None


def test_the_chunks_are_those_that_were_read(path: Path) -> None:
    clock = VirtualClock()
    with Loopback(chunked(CHAT)) as server, of_requests(server.url) as response:
        for _ in record(response, path, clock=clock).iter_content(None):
            clock.advance(0.5)

    assert CHAT == Recording.load(path).chunks()
    assert [0.5 * number for number in range(len(CHAT))] == [at for at, _ in Recording.load(path).arrivals]


PACKED = gzip.compress(BODY)
GZIP = [("Content-Encoding", "gzip")]


@pytest.mark.parametrize(
    "read",
    [
        lambda response: b"".join(response.iter_content(None)),
        lambda response: response.raw.read(decode_content=True),
        lambda response: gzip.decompress(response.raw.read(decode_content=False)),
        lambda response: gzip.decompress(b"".join(response.raw.stream(9, decode_content=False))),
        lambda response: gzip.decompress(b"".join(response.raw.read_chunked(9))),
        lambda response: gzip.decompress(piecewise("read1", 9, decode_content=False)(response.raw)),
    ],
)
def test_the_content_coding_is_undone_whoever_undoes_it(path: Path, read: Callable[[Any], bytes]) -> None:
    """The file holds the body, in what the application read decoded and in what it did not."""
    script: Script = [chunked_head(GZIP), *map(http_chunk, [PACKED[:30], PACKED[30:]]), b"0\r\n\r\n"]
    with Loopback(script) as server, of_requests(server.url) as response:
        got = read(record(response, path))

    assert BODY == got == body_of(path)
    assert "content-encoding" not in Recording.load(path).headers


@pytest.mark.parametrize("opened", [of_requests, of_urllib3, of_http_client])
def test_a_response_that_is_left_records_what_was_read(path: Path, opened: Callable[[str], Any]) -> None:
    """The recording is written when the response is closed."""
    with Loopback(sized(BODY)) as server, opened(server.url) as response:
        raw = getattr(record(response, path), "raw", response)
        raw.read(20)
        assert not path.exists()

    assert BODY[:20] == body_of(path)


def by_reading_on(response: Any) -> None:
    raw = getattr(response, "raw", response)
    while raw.read1(len(CHAT[0])):
        pass


@pytest.mark.parametrize(
    "opened, read",
    [
        (of_requests, by_reading_on),
        (of_urllib3, by_reading_on),
        (of_http_client, by_reading_on),
        # urllib3 closes the response itself before it raises.
        (of_requests, lambda response: response.content),
        (of_urllib3, lambda response: list(response.stream())),
    ],
)
@pytest.mark.parametrize("end", [FIN, RST])
def test_a_response_that_breaks_is_recorded_with_its_end(
    path: Path, opened: Callable[[str], Any], read: Callable[[Any], Any], end: Any
) -> None:
    """The application meets its library's own error."""
    with (
        Loopback([chunked_head(), http_chunk(CHAT[0]), 0.05, end]) as server,
        opened(server.url) as response,
    ):
        recorded = record(response, path)
        with pytest.raises((urllib3.exceptions.ProtocolError, http.client.HTTPException, OSError)):
            read(recorded)

    assert Recording.load(path).breaks in ("close", "reset")
    assert CHAT[:1] == Recording.load(path).chunks()


@pytest.mark.parametrize("opened", [of_requests, of_urllib3])
def test_a_response_that_was_read_is_recorded_at_once(path: Path, opened: Callable[[str], Any]) -> None:
    """Its body is complete already, and becomes one chunk."""
    with Loopback(sized(BODY)) as server, opened(server.url) as response:
        _ = response.content if opened is of_requests else response.data
        record(response, path)

    assert [BODY] == Recording.load(path).chunks()


@pytest.mark.parametrize("opened", [of_requests, of_urllib3])
def test_a_stream_around_a_recorded_response_reads_it(path: Path, opened: Callable[[str], Any]) -> None:
    """A response that is recorded is a source all the same."""
    with Loopback(chunked(CHAT)) as server, opened(server.url) as response:
        assert "Hello" == Stream(record(response, path)).final().text

    assert CHAT == Recording.load(path).chunks()


def test_a_secret_is_told_of_at_the_end_of_the_body(path: Path) -> None:
    """And where the response is closed before; it is closed."""
    reads: list[Callable[[Any], Any]] = [lambda raw: raw.read(), lambda raw: raw.read(60)]
    for read in reads:
        with (
            Loopback(sized(f"data: {KEY} and so on, and so on\n\n".encode())) as server,
            pytest.raises(RecordingRefused),
            of_urllib3(server.url) as response,
        ):
            read(record(response, path))

        assert not path.exists()


# -- aiohttp ---------------------------------------------------------------

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


async def by_reading(content: Any) -> bytes:
    return b"".join([piece async for piece in content.iter_chunked(50)])


async def in_chunks(content: Any) -> bytes:
    return b"".join([piece async for piece, _ in content.iter_chunks()])


async def to_an_end(content: Any) -> bytes:
    found = b""
    while not content.at_eof():
        found += await content.readuntil(b"\n")
    rest: bytes = await content.readany()
    return found + rest


async def exactly(content: Any) -> bytes:
    start: bytes = await content.readexactly(20)
    try:
        await content.readexactly(10**6)
    except EOFError as error:
        start += getattr(error, "partial", b"")
    return start


async def at_once(content: Any) -> bytes:
    start: bytes = await content.read(1)
    assert b"" == await content.read(0)
    rest: bytes = content.read_nowait() + await content.read()
    return start + rest


async def in_lines_of(content: Any) -> bytes:
    return b"".join([line async for line in content])


AIOHTTP: list[Any] = [
    pytest.param(lambda response: response.read(), id="read"),
    pytest.param(lambda response: by_reading(response.content), id="iter_chunked"),
    pytest.param(lambda response: in_chunks(response.content), id="iter_chunks"),
    pytest.param(lambda response: in_lines_of(response.content), id="lines"),
    pytest.param(lambda response: to_an_end(response.content), id="readuntil"),
    pytest.param(lambda response: exactly(response.content), id="readexactly"),
    pytest.param(lambda response: at_once(response.content), id="read_nowait"),
]


@pytest.mark.anyio
@on_asyncio
@pytest.mark.parametrize("read", AIOHTTP)
async def test_whatever_is_read_of_aiohttps_response_is_recorded(path: Path, read: Any) -> None:
    """By whichever method of its body."""
    aiohttp = needed("aiohttp")
    script: Script = [chunked_head(), *map(http_chunk, CHAT), b"0\r\n\r\n"]
    with Loopback(script) as server:
        async with aiohttp.ClientSession() as session, session.post(server.url) as response:
            assert record(response, path) is response
            got = await read(response)

    assert BODY == got == body_of(path)


@pytest.mark.anyio
@on_asyncio
async def test_aiohttps_response_is_recorded_in_each_state(tmp_path: Path) -> None:
    """Compressed, read before, left, and broken after bytes that nobody has read yet."""
    aiohttp = needed("aiohttp")
    async with aiohttp.ClientSession() as session:
        with Loopback(sized(PACKED, headers=GZIP)) as server:
            async with session.post(server.url) as response:
                await record(response, tmp_path / "packed.rec").read()
        with Loopback(sized(BODY)) as server:
            async with session.post(server.url) as response:
                await response.read()
                record(response, tmp_path / "read.rec")
        with Loopback(sized(BODY)) as server:
            async with session.post(server.url) as response:
                await record(response, tmp_path / "left.rec").content.read(20)
                assert copy.copy(response.content).total_bytes >= 20
        with Loopback([chunked_head(), http_chunk(CHAT[0]), 0.05, http_chunk(CHAT[1]), FIN]) as server:
            async with session.post(server.url) as response:
                record(response, tmp_path / "broken.rec")
                with pytest.raises(aiohttp.ClientPayloadError):
                    while await response.content.readany():
                        pass

    found = {path.stem: Recording.load(path) for path in (tmp_path / name for name in there(tmp_path))}
    assert BODY == found["packed"].body == found["read"].body
    assert BODY[:20] == found["left"].body
    assert ("close", b"".join(CHAT[:2])) == (found["broken"].breaks, found["broken"].body)


@pytest.mark.anyio
@on_asyncio
async def test_a_stream_around_aiohttps_recorded_response_reads_it(path: Path) -> None:
    """To its end, and to where it breaks with the bytes before that."""
    aiohttp = needed("aiohttp")
    async with aiohttp.ClientSession() as session:
        with Loopback([chunked_head(), b"".join(map(http_chunk, CHAT[:3])), FIN]) as server:
            async with AsyncStream(record(await session.post(server.url), path)) as stream:
                with pytest.raises(StreamInterrupted) as raised:
                    await stream.final()

    assert b"".join(CHAT[:3]) == body_of(path)
    assert "Hello" == raised.value.partial.text
