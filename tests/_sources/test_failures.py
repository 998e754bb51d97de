"""What the exceptions of libraries mean, told by their classes' names."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from typing import Any

import aiohttp
import anyio
import httpx
import httpx2
import pytest
import requests
import urllib3

from tests._sources.faults import error_of_opening, error_of_reading
from tests.support.loopback import OPEN, Loopback, Script, chunked_head, http_chunk, refusing_url, sized
from tests.support.packages import needed
from tests.support.tables import in_one_test
from tokenstream import Deadlines, Stream, aconnect, connect, testing
from tokenstream.errors import (
    ConnectError,
    MisuseError,
    NotAStream,
    ProtocolError,
    ProviderError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
)

anthropic, openai = needed("anthropic"), needed("openai")


def _raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


OPENING: dict[str, tuple[Exception, type[Exception], str]] = {
    "redirects": (requests.TooManyRedirects("30"), ConnectError, "redirects endlessly"),
    "no scheme": (requests.exceptions.MissingSchema("no scheme"), MisuseError, "the request cannot be made"),
    "no URL": (httpx.UnsupportedProtocol("ftp"), MisuseError, "the request cannot be made"),
    "connect timeout": (httpx.ConnectTimeout(""), ConnectError, "no connection to the server"),
    "pool timeout": (httpx.PoolTimeout(""), ConnectError, "no connection to the server"),
    "read timeout": (httpx.ReadTimeout(""), StreamStalled, "no response came from the server"),
    "hung up": (aiohttp.ServerDisconnectedError(), ConnectError, "was reached but gave no response"),
    "no HTTP": (http.client.BadStatusLine("SSH"), ConnectError, "was reached but gave no response"),
    "plain": (ConnectionResetError("reset"), ConnectError, "was reached but gave no response"),
}


@in_one_test("error, kind, words", OPENING.values(), ids=OPENING)
def test_what_is_raised_instead_of_a_response_is_told_apart(
    error: Exception, kind: type[Exception], words: str
) -> None:
    """Blame is the class, and the library's own exception is the cause."""
    found = error_of_opening(error)

    assert type(found) is kind
    assert words in str(found)
    assert error is found.__cause__


READING: dict[str, tuple[Exception, type[Exception]]] = {
    "httpx cut": (httpx.RemoteProtocolError("cut"), StreamInterrupted),
    "urllib3 cut": (urllib3.exceptions.ProtocolError("cut"), StreamInterrupted),
    "requests cut": (requests.exceptions.ChunkedEncodingError("cut"), StreamInterrupted),
    "aiohttp cut": (aiohttp.ClientPayloadError("cut"), StreamInterrupted),
    "http.client cut": (http.client.IncompleteRead(b""), StreamInterrupted),
    "plain cut": (ConnectionResetError("reset"), StreamInterrupted),
    "httpx silent": (httpx.ReadTimeout(""), StreamStalled),
    "urllib3 silent": (
        urllib3.exceptions.ReadTimeoutError(urllib3.HTTPConnectionPool("x"), "/", "silent"),
        StreamStalled,
    ),
    "requests silent": (requests.ReadTimeout(), StreamStalled),
    "requests silent within": (
        requests.ConnectionError(
            urllib3.exceptions.ReadTimeoutError(urllib3.HTTPConnectionPool("x"), "/", "silent")
        ),
        StreamStalled,
    ),
    "aiohttp silent": (aiohttp.SocketTimeoutError(), StreamStalled),
    "httpx coding": (httpx.DecodingError("bad"), ProtocolError),
    "urllib3 coding": (urllib3.exceptions.DecodeError("bad"), ProtocolError),
    "requests coding": (requests.exceptions.ContentDecodingError("bad"), ProtocolError),
    "httpx read before": (httpx.StreamConsumed(), MisuseError),
    "httpx closed before": (httpx.StreamClosed(), MisuseError),
    "requests read before": (requests.exceptions.StreamConsumedError(), MisuseError),
}


@in_one_test("error, kind", READING.values(), ids=READING)
def test_what_breaks_a_read_is_told_apart(error: Exception, kind: type[Exception]) -> None:
    """An interruption by the transport is one of the network, by anything else of who knows what."""
    found = error_of_reading(error)

    assert type(found) is kind
    assert error is found.__cause__
    if isinstance(found, StreamInterrupted):
        assert found.kind == "network"


@pytest.mark.slow
@pytest.mark.parametrize("begun, limit", [(False, "first_event"), (True, "idle_bytes")])
def test_a_timeout_that_stands_for_a_deadline_has_its_name(begun: bool, limit: str) -> None:
    """A client of our own waits for as long as the deadlines say; another one's timeout is its own."""
    silent: Script = [
        chunked_head(),
        *([http_chunk(testing.script().text("a").chunks("text")[0])] if begun else []),
        OPEN,
    ]
    # The other limit is far away, so that a slow machine does not come upon it first.
    limits = Deadlines(**{limit: 0.1})
    with Loopback(silent, silent, [OPEN]) as server, httpx.Client(timeout=0.1) as client:
        ours, theirs, opening = (
            _stalled(connect(server.url, format="text", deadlines=limits)),
            _stalled(connect(server.url, format="text", client=client)),
            _stalled(connect(server.url, format="text", deadlines=Deadlines(first_event=0.1))),
        )

    assert (limit, "transport", "first_event") == (ours, theirs, opening)


def _stalled(stream: Stream) -> str:
    with pytest.raises(StreamStalled) as caught:
        stream.final()
    return caught.value.limit


@pytest.mark.parametrize("error", [StreamInterrupted("x"), MisuseError("x")], ids=["world", "misuse"])
def test_an_error_of_ours_stays_what_it_is(error: StreamError | MisuseError) -> None:
    assert error is error_of_opening(error)
    assert error is error_of_reading(error, begun=False)


def test_a_timeout_that_was_over_before_is_none_of_an_error() -> None:
    """What was being handled when it was raised is another matter."""

    def cut_while_handling() -> None:
        try:
            raise TimeoutError
        except TimeoutError:
            raise ConnectionResetError("reset")  # noqa: B904 - as careless code does

    with pytest.raises(ConnectionResetError) as caught:
        cut_while_handling()

    assert isinstance(error_of_reading(caught.value), StreamInterrupted)


def test_an_error_that_cannot_be_formatted_is_reported_by_its_name() -> None:
    """An error whose own words raise breaks nothing else."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    Mute.__module__ = "httpx"
    read, opened = error_of_reading(Mute()), error_of_opening(Mute())

    assert (StreamInterrupted, MisuseError) == (type(read), type(opened))
    assert "(Mute)" in str(read)
    assert str(opened).endswith(": Mute")


def _refused(port: int) -> httpx.ConnectError:
    request = httpx.Request("POST", f"http://localhost:{port}/v1/chat/completions")
    return httpx.ConnectError("[Errno 111] Connection refused", request=request)


@in_one_test(
    "error, name",
    [
        (_refused(11434), "Ollama"),
        (_refused(1234), "LM Studio"),
        (_refused(12345), "the server"),
        (aiohttp.ClientError("[Errno 61] Connect call failed ('::1', 1234, 0, 0)"), "LM Studio"),
        (urllib3.exceptions.HTTPError("(host='h', port=11434): [WinError 10061] no"), "Ollama"),
    ],
)
def test_a_source_that_asks_when_it_is_read_names_the_server_of_its_port(error: Exception, name: str) -> None:
    """The stream of Ollama's SDK, for one, sends its request at the first read."""
    found = error_of_reading(error, begun=False)

    assert f"; nothing listens there: is {name} started?; what had arrived" in str(found)


@in_one_test("words", ["Event loop is closed", "Timeout context manager should be used inside a task"])
def test_a_response_of_an_earlier_event_loop_says_so(words: str) -> None:
    """An SDK's stream that Django's view has opened is read in another loop under WSGI."""
    found = error_of_reading(RuntimeError(words), package="aiohttp")

    assert isinstance(found, StreamInterrupted)
    assert ("network", False) == (found.kind, found.retryable)
    assert "the event loop in which the answer was opened is over" in found.message
    assert "open it with `connect`" in found.message


def test_a_chain_of_causes_that_bites_its_tail_ends() -> None:
    """Errors may be raised from each other."""
    one, other = ConnectionResetError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one

    assert isinstance(error_of_opening(one), ConnectError)


@pytest.mark.parametrize(
    ("number", "retryable"),
    [(socket.EAI_NONAME, False), (socket.EAI_AGAIN, True), (11001, False), (11002, True), (8, False)],
)
def test_a_host_that_nobody_knows_is_no_more_known_next_time(number: int, retryable: bool) -> None:
    """A name server that does not answer may do so later; the numbers are each system's own."""
    error = httpx.ConnectError("no address")
    error.__cause__ = socket.gaierror(number, "no address")
    found = error_of_opening(error)

    assert isinstance(found, ConnectError)
    assert ("connect", retryable) == (found.stage, found.retryable)
    assert retryable is not str(found).endswith("; the host name has no address: check it")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_tls_spoken_to_a_plain_port_is_no_better_next_time(kind: str) -> None:
    """What answers there speaks HTTP: the address is wrong."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=_answer_plainly, args=(listener,))
        answering.start()
        with pytest.raises(ConnectError) as caught:
            _asked(kind, f"https://127.0.0.1:{listener.getsockname()[1]}")
        answering.join()

    assert not caught.value.retryable
    assert "does not speak TLS: check the port, or use http://" in str(caught.value)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_tls_that_nobody_answers_on_this_machine_is_given_up_soon(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers of plain HTTP wait for the end of a head, which never comes."""
    monkeypatch.setattr("tokenstream._request.client._LOCAL_TLS_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(ConnectError) as caught:
        _asked(kind, f"https://127.0.0.1:{listener.getsockname()[1]}")

    assert caught.value.retryable
    assert str(caught.value.message).endswith(
        "; the server does not answer in TLS: check the port, or use http://"
    )


def _answer_plainly(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def _asked(kind: str, url: str) -> None:
    if kind == "sync":
        connect(url).final()
    else:
        anyio.run(aconnect(url).final)


def _openai(url: str) -> None:
    with openai.OpenAI(base_url=url, api_key="made-up", max_retries=0) as client:
        client.models.list()


def _anthropic(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="made-up", max_retries=0) as client:
        client.models.list()


async def _by_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        await session.post(url)


@in_one_test(
    "asking",
    [
        lambda url: requests.post(url, timeout=3),
        lambda url: urllib3.request("POST", url, retries=False),
        lambda url: httpx.post(url, timeout=3),
        lambda url: anyio.run(httpx2.AsyncClient().post, url),
        lambda url: anyio.run(_by_aiohttp, url),
        _openai,
        _anthropic,
    ],
)
def test_a_refused_connection_says_that_nothing_listens_there(asking: Any) -> None:
    """A library's general error stands on the one that says what happened; a server may be started later."""
    with pytest.raises(Exception, match="onnect") as caught:
        asking(refusing_url())
    found = error_of_opening(caught.value)

    assert isinstance(found, ConnectError)
    assert ("connect", True) == (found.stage, found.retryable)
    assert found.message.endswith("; nothing listens there: is the server started?")


@pytest.mark.parametrize("asking", [_openai, _anthropic], ids=["openai", "anthropic"])
def test_a_certificate_that_an_sdk_does_not_trust_is_named(asking: Any) -> None:
    """The SDK says "Connection error."; the reason is beneath, and asking again is of no use."""
    with Loopback(REFUSED, tls=True) as server, pytest.raises(Exception, match="Connection error") as caught:
        asking(server.url)
    found = error_of_opening(caught.value)

    assert isinstance(found, ConnectError)
    assert ("connect", False) == (found.stage, found.retryable)
    assert "CERTIFICATE_VERIFY_FAILED" in str(found)


def test_what_was_handled_when_a_connection_failed_is_not_the_reason() -> None:
    """Only what says something of the connection is shown."""

    def refused_while_handling() -> None:
        try:
            raise KeyError("not in the cache")
        except KeyError:
            raise ConnectionRefusedError("refused")  # noqa: B904 - as careless code does

    with pytest.raises(ConnectionRefusedError) as caught:
        refused_while_handling()

    assert "(ConnectionRefusedError: refused)" in str(error_of_opening(caught.value))


REFUSED = sized(
    b'{"error": {"message": "slow down", "code": "rate"}}', status=429, headers=[("retry-after", "2")]
)


def _by_requests(url: str) -> None:
    requests.post(url, timeout=3).raise_for_status()


def _by_httpx(url: str) -> None:
    httpx.post(url, timeout=3).raise_for_status()


@pytest.mark.parametrize("asking", [_by_requests, _by_httpx], ids=["requests", "httpx"])
def test_a_status_that_a_library_raised_is_a_status_error(asking: Any) -> None:
    """`raise_for_status` in a source that opens itself loses nothing of what the provider said."""
    with Loopback(REFUSED) as server, pytest.raises((requests.HTTPError, httpx.HTTPStatusError)) as caught:
        asking(server.url)
    found = error_of_opening(caught.value)

    assert isinstance(found, StatusError)
    assert (429, "rate_limited", 2.0, "rate") == (found.status, found.kind, found.retry_after, found.code)
    assert "slow down" in str(found)


def test_a_status_whose_body_nobody_read_is_a_status_error_too() -> None:
    """The status and the headers say enough."""
    with Loopback(REFUSED) as server, httpx.stream("POST", server.url) as response:
        with pytest.raises(httpx.HTTPStatusError) as caught:
            response.raise_for_status()
        found = error_of_reading(caught.value, begun=False)

    assert isinstance(found, StatusError)
    assert 429 == found.status


@pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda it: it.__name__)
def test_a_status_whose_body_was_read_away_is_a_status_error_too(library: Any) -> None:
    """A hook may have gone through the bytes before it raised."""
    response = library.Response(
        429,
        headers={"retry-after": "3"},
        content=iter([b"{}"]),
        request=library.Request("POST", "http://x.test"),
    )
    for _ in response.iter_raw():
        pass
    with pytest.raises(library.HTTPStatusError) as caught:
        response.raise_for_status()
    found = error_of_opening(caught.value)

    assert isinstance(found, StatusError)
    assert (429, 3.0) == (found.status, found.retry_after)


def test_an_sdks_error_without_a_body_keeps_its_words() -> None:
    """The message is all that there is."""

    class APIError(Exception):
        """As SDKs name it."""

    found = error_of_reading(_raised(APIError("the model is busy")))

    assert "the model is busy" in str(found)


class MidStreamFallbackError(Exception):
    """What litellm calls whatever breaks in the middle; what it was is beneath."""


class Refused(Exception):
    """An exception of a wrapper, with a status and the provider's words."""

    status_code = 529


class TextGenerationError(Exception):
    """What huggingface_hub raises for an error line."""


class OverloadedError(TextGenerationError):
    """One whose type the server named."""


def test_what_broke_beneath_a_wrappers_error_counts() -> None:
    """The transport's failure, the provider's words, or nothing that is known."""
    cut = _raised(MidStreamFallbackError("500"), httpx.RemoteProtocolError("cut"))
    said = _raised(MidStreamFallbackError("500"), Refused("busy"))
    bug = _raised(MidStreamFallbackError("500"), KeyError("x"))
    bare = MidStreamFallbackError("500")
    found = [error_of_reading(error) for error in (cut, said, bug, bare)]

    assert [StreamInterrupted, ProviderError, StreamInterrupted, StreamInterrupted] == [
        type(one) for one in found
    ]
    assert isinstance(found[1], ProviderError)
    assert ("overloaded", "529") == (found[1].kind, found[1].code)
    assert [cut, said, bug, bare] == [one.__cause__ for one in found]


def test_an_error_line_that_was_made_an_exception_is_the_providers() -> None:
    named = error_of_reading(OverloadedError("too much"))
    other = error_of_reading(TextGenerationError(""))

    assert isinstance(named, ProviderError)
    assert isinstance(other, ProviderError)
    assert ("overloaded", "overloaded", True) == (named.type, named.kind, named.retryable)
    assert (None, "unknown") == (other.type, other.kind)


PRIVATE = "what nobody else may read"


def _named(name: str, *bases: type[Exception], **fields: Any) -> Any:
    return type(name, bases or (Exception,), fields)(PRIVATE)


UNFIT: dict[str, tuple[Exception, type[StreamError]]] = {
    "mistralai's": (
        _named("SDKError", type("MistralError", (Exception,), {}), status_code=200, body=PRIVATE),
        NotAStream,
    ),
    "an SDK's model": (_named("ResponseValidationError"), ProtocolError),
    "google-genai's": (_named("UnknownApiResponseError", ValueError), ProtocolError),
    "httpx-sse's": (_named("SSEError", httpx.TransportError), NotAStream),
}
UNREADABLE: dict[str, tuple[Exception, type[StreamError]]] = {
    "pydantic's": (_named("ValidationError", ValueError, __module__="pydantic"), ProtocolError),
    "json's": (json.JSONDecodeError(PRIVATE, "", 0), ProtocolError),
    "UTF-8's": (UnicodeDecodeError("utf-8", PRIVATE.encode(), 0, 1, PRIVATE), ProtocolError),
    "another": (KeyError(PRIVATE), StreamInterrupted),
    "a line that is no HTTP": (http.client.BadStatusLine(PRIVATE), StreamInterrupted),
    "a quoting transport's": (httpx.RemoteProtocolError(f"illegal header {PRIVATE!r}"), StreamInterrupted),
}


@in_one_test("error, kind", [*UNFIT.values(), *UNREADABLE.values()], ids=[*UNFIT, *UNREADABLE])
def test_what_a_library_cannot_read_is_no_break_of_the_network(
    error: Exception, kind: type[StreamError]
) -> None:
    """What came is to blame, which libraries quote and we do not."""
    found = error_of_reading(error, package="openai._streaming")

    assert kind is type(found)
    assert PRIVATE not in str(found)
    assert error is found.__cause__


@pytest.mark.parametrize("error, kind", UNFIT.values(), ids=UNFIT)
def test_what_a_library_refuses_at_once_is_no_misuse(error: Exception, kind: type[StreamError]) -> None:
    """The server answered, and with what the library was not made for."""
    found = error_of_opening(error)

    assert kind is type(found)
    assert PRIVATE not in str(found)


@in_one_test("wrap", ["{}", "[{}]"])
@in_one_test("read", [str, json.loads])
def test_an_error_in_a_body_that_an_sdk_refuses_is_the_providers(wrap: str, read: Any) -> None:
    """Mistralai's asynchronous client reads whatever is no stream, and raises it with its status of 200."""
    body = read(wrap.format('{"error": {"message": "busy", "type": "overloaded_error"}}'))
    error = _named("SDKError", type("MistralError", (Exception,), {}), status_code=200, body=body)
    found = error_of_opening(error)

    assert isinstance(found, ProviderError)
    assert ("overloaded_error", "overloaded", True) == (found.type, found.kind, found.retryable)


def test_a_body_that_an_sdk_has_read_away_counts_from_its_exception() -> None:
    """Google-genai's interactions keep it only there."""
    said = {"message": "slow down", "type": "rate_limit_error"}
    error = _named("APIStatusError", body=said, response=httpx.Response(429, stream=httpx.ByteStream(b"")))
    found = error_of_reading(error, begun=False)

    assert isinstance(found, StatusError)
    assert "slow down" in str(found)
    assert "rate_limited" == found.kind
