"""`record` around responses and clients of httpx and httpx2."""

from __future__ import annotations

import gzip
import importlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from tests.support.loopback import Loopback, sized
from tests.testing.recorded import CHAT, KEY
from tokenstream.errors import MisuseError
from tokenstream.testing import Recording, RecordingInvalid, VirtualClock, record

BODY = b"".join(CHAT)
PACKED = gzip.compress(BODY)
GZIP = [("Content-Encoding", "gzip")]

libraries = pytest.mark.parametrize("library", ["httpx", "httpx2"])


def body_of(path: Path) -> bytes:
    return Recording.load(path).body


def there(path: Path) -> list[str]:
    return sorted(found.name for found in path.iterdir())


def answering(library: str, *answers: Any) -> Any:
    left = iter(answers)
    return importlib.import_module(library).MockTransport(lambda _: next(left))


def streamed(library: str, chunks: list[bytes], status: int = 200) -> Any:
    module = importlib.import_module(library)

    async def later(_: object) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    # A class of either library, which no type checker can follow.
    bases = (module.SyncByteStream, module.AsyncByteStream)
    body = type("Body", bases, {"__iter__": lambda _: iter(chunks), "__aiter__": later})
    return module.Response(status, stream=body())


@libraries
def test_every_answer_of_a_client_is_recorded(tmp_path: Path, library: str) -> None:
    """Each into a file of its own, streamed or not, and what has no body into none."""
    module = importlib.import_module(library)
    transport = answering(
        library,
        streamed(library, CHAT),
        streamed(library, [], 204),
        module.Response(404, json={"error": "no"}),
        streamed(library, CHAT[:1]),
    )
    client = module.Client(transport=transport)
    assert record(client, tmp_path / "a.rec") is client
    with client:
        with client.stream("POST", "https://example.com/v1/chat") as response:
            assert CHAT == list(response.iter_raw())
        client.get("https://example.com/nothing")
        client.get("https://example.com/missing")
        client.get("https://example.com/again")

    assert ["a-2.rec", "a-3.rec", "a.rec"] == there(tmp_path)
    assert CHAT == Recording.load(tmp_path / "a.rec").chunks()
    assert "POST https://example.com/v1/chat" == Recording.load(tmp_path / "a.rec").request
    assert 404 == Recording.load(tmp_path / "a-2.rec").status
    assert CHAT[:1] == Recording.load(tmp_path / "a-3.rec").chunks()


@pytest.mark.anyio
@libraries
async def test_every_answer_of_an_async_client_is_recorded(tmp_path: Path, library: str) -> None:
    module = importlib.import_module(library)
    transport = answering(library, streamed(library, CHAT), streamed(library, CHAT[:1]))
    async with record(module.AsyncClient(transport=transport), tmp_path / "{n}-a.rec") as client:
        async with client.stream("POST", "https://example.com") as response:
            assert CHAT == [chunk async for chunk in response.aiter_raw()]
        await client.get("https://example.com")

    assert ["1-a.rec", "2-a.rec"] == there(tmp_path)
    assert CHAT == Recording.load(tmp_path / "1-a.rec").chunks()


def test_times_count_from_the_request(tmp_path: Path) -> None:
    """The recording includes the time that the server took to answer."""
    clock = VirtualClock()

    def answer(_: httpx.Request) -> httpx.Response:
        clock.advance(1.5)
        return httpx.Response(200, content=BODY)

    client = record(httpx.Client(transport=httpx.MockTransport(answer)), tmp_path / "a.rec", clock=clock)
    clock.advance(100)
    client.get("https://example.com")

    assert [1.5] == [at for at, _ in Recording.load(tmp_path / "a.rec").arrivals]


def test_a_clients_own_hooks_are_called_as_before(tmp_path: Path) -> None:
    called: list[str] = []

    def read(response: httpx.Response) -> None:
        called.append(response.read().decode())

    with Loopback(sized(BODY)) as server, httpx.Client(event_hooks={"response": [read]}) as client:
        record(client, tmp_path / "a.rec").get(server.url)

    assert [BODY.decode()] == called
    assert BODY == body_of(tmp_path / "a.rec")


@pytest.mark.parametrize("name, left", [("a.rec", "a.rec"), ("a.rec", "a-7.rec"), ("a-{n}.rec", "a-3.rec")])
def test_files_of_an_earlier_time_are_refused_at_the_call(tmp_path: Path, name: str, left: str) -> None:
    (tmp_path / left).write_text("")
    (tmp_path / "ab-1.rec").write_text("")
    with pytest.raises(FileExistsError, match=r"overwrite=True"):
        record(httpx2.Client(), tmp_path / name)

    record(httpx2.Client(), tmp_path / name, overwrite=True)
    record(httpx2.Client(), tmp_path / "b.rec")
    record(httpx2.Client(), tmp_path / "missing" / "b.rec")


def test_a_secret_in_an_answer_reaches_whoever_asked(tmp_path: Path) -> None:
    """The call that reads the body raises, and there is no file."""
    with (
        Loopback(sized(KEY.encode())) as server,
        record(httpx.Client(), tmp_path / "a.rec") as client,
        pytest.raises(RecordingInvalid),
    ):
        client.get(server.url)

    assert [] == there(tmp_path)


# -- responses -------------------------------------------------------------


@libraries
def test_a_response_is_recorded_without_its_content_coding(path: Path, library: str) -> None:
    """The request's address is kept without what may be secret, and of the headers those that matter."""
    module = importlib.import_module(library)
    headers = [*GZIP, ("X-Request-Id", "r1"), ("Set-Cookie", "s=1"), ("Server", "x"), ("X-Mine", "m")]
    with Loopback(sized(PACKED, headers=headers)) as server, module.Client() as client:
        url = server.url.replace("//", "//me:word@") + "/v1?key=secret"
        with client.stream("POST", url) as response:
            record(response, path, headers=["X-Mine"])
            got = response.read()
    found = Recording.load(path)

    assert BODY == got == found.body
    assert f"POST {server.url}/v1" == found.request
    assert {"content-type", "x-request-id", "x-mine"} == set(found.headers)


@libraries
def test_a_broken_coding_is_recorded_up_to_there(path: Path, library: str) -> None:
    """The readable part is recorded, with the break; the application meets its library's error."""
    module = importlib.import_module(library)
    with (
        Loopback(sized(PACKED[:-20], headers=GZIP)) as server,
        module.Client() as client,
        client.stream("POST", server.url) as response,
    ):
        list(record(response, path).iter_raw())

    assert "close" == Recording.load(path).breaks
    assert BODY.startswith(body_of(path))


@libraries
def test_a_response_at_hand_is_recorded_at_once(path: Path, library: str) -> None:
    """One that was made for a test, and has no request; one that is gone is none."""
    module = importlib.import_module(library)
    record(module.Response(200, content=BODY), path)
    record(module.Response(204), path.with_name("empty.rec"))
    gone = module.Response(200, stream=module.ByteStream(b"a"))
    list(gone.iter_raw())

    assert [BODY] == Recording.load(path).chunks()
    assert "" == Recording.load(path).request
    assert () == Recording.load(path.with_name("empty.rec")).arrivals
    with pytest.raises(MisuseError, match="was read or closed before; record it before that"):
        record(gone, path, overwrite=True)
