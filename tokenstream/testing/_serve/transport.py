"""Transports that play answers without a network, for clients of httpx and httpx2 and for respx."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from email.message import Message
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Self

from anyio.lowlevel import checkpoint

from tokenstream.testing._recordings.clock import ReplayClock, as_clock
from tokenstream.testing._recordings.replay import AsyncReplay, Chunking, Chunks, Pace
from tokenstream.testing._serve.playable import Player, Servable, headers_of
from tokenstream.testing._serve.replies import Exchange, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterable, Iterator
    from types import ModuleType

    import httpx
    import httpx2

    from tokenstream._basics.loose import FromHTTPX
    from tokenstream._providers.apis import ScriptFormat
    from tokenstream.stream._protocols import Clock
    from tokenstream.testing._recordings.recording import Recording
    from tokenstream.testing.faults import Fault

    class _TransportBase(
        httpx.BaseTransport, httpx.AsyncBaseTransport, httpx2.BaseTransport, httpx2.AsyncBaseTransport
    ):
        """A transport for any client of httpx or httpx2, for type checkers."""

        def handle_request(self, request: object) -> Any: ...  # noqa: ANN401
        async def handle_async_request(self, request: object) -> Any: ...  # noqa: ANN401
else:
    # Clients only call the methods, and anthropic refuses a transport that is a subclass of a class of httpx.
    _TransportBase = object


_ERRORS: tuple[tuple[type[OSError], str, str], ...] = (
    (TimeoutError, "ReadTimeout", "The read operation timed out"),
    (ConnectionResetError, "ReadError", "[Errno 104] Connection reset by peer"),
    (
        ConnectionError,
        "RemoteProtocolError",
        "peer closed connection without sending complete message body (incomplete chunked read)",
    ),
)
"""For each break of a connection, the name and the message of the client's error; the first match counts."""


class Transport(_TransportBase):
    """A transport that plays recordings, scripts and faults; made by `testing.transport`.

    Pass it to a `Client` or `AsyncClient` of httpx or httpx2, or to a mock as its side effect.

    Args:
        player: Chooses the answer to each request.
        clock: The clock; None for a new `VirtualClock`.
    """

    def __init__(self, player: Player, *, clock: Clock | None = None) -> None:
        self._player = player
        self.clock: ReplayClock = as_clock(clock)
        """The clock of the replay; the deadlines of a stream that is made in its `with` block use it."""
        self.exchanges: list[Exchange] = []
        """The requests received, in order, with the progress of their answers."""

    @property
    def requests(self) -> list[Request]:
        """The requests received, in order."""
        return [exchange.request for exchange in self.exchanges]

    def __call__(self, request: FromHTTPX) -> FromHTTPX:
        """Answer a request whose body has been read, as respx calls a `side_effect`."""
        return self._answer(request, request.content)

    def handle_request(self, request: FromHTTPX) -> FromHTTPX:
        """Answer a request of a `Client`."""
        return self._answer(request, request.read())

    async def handle_async_request(self, request: FromHTTPX) -> FromHTTPX:
        """Answer a request of an `AsyncClient`."""
        return self._answer(request, await request.aread())

    def close(self) -> None:
        """Do nothing: there is no connection."""

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _answer(self, client_request: FromHTTPX, body: bytes) -> FromHTTPX:
        """Return the response to a request, as an object of the request's library."""
        headers = Message()
        for name, text in client_request.headers.multi_items():
            headers[name] = text
        path = client_request.url.raw_path.decode("ascii")
        exchange = Exchange(Request(method=client_request.method, path=path, headers=headers, body=body))
        self.exchanges.append(exchange)
        recording = self._player.recording(exchange.request)
        library = _library_of(client_request)
        # A library accepts only subclasses of its stream classes.
        body_class: Any = type("Body", (_PlayedBody, library.SyncByteStream, library.AsyncByteStream), {})
        return library.Response(
            recording.status,
            headers=headers_of(recording),
            stream=body_class(recording, self.clock, exchange, client_request),
            extensions={"http_version": b"HTTP/1.1"},
            request=client_request,
        )


class _PlayedBody:
    """The body of a response, which can be read with `for` and with `async for`."""

    def __init__(
        self, recording: Recording, clock: ReplayClock, exchange: Exchange, client_request: FromHTTPX
    ) -> None:
        self._chunks = Chunks(recording, clock)
        self._async_chunks = AsyncReplay(recording, clock)
        self._exchange = exchange
        """The record of the request and its answer, which tests inspect."""
        self._client_request = client_request
        """The request as the client's library made it, with the client's timeout."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks, each at its time; record the progress in the exchange."""
        while True:
            with self._read(self._chunks):
                chunk = next(self._chunks, None)
            if chunk is None:
                self._finish("answered")
                return
            self._exchange.sent += len(chunk)
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the chunks, each at its time; record the progress in the exchange."""
        while True:
            # Other tasks may run here, as they would during a wait for the network.
            await checkpoint()
            with self._read(self._async_chunks):
                chunk = await anext(self._async_chunks, None)
            if chunk is None:
                self._finish("answered")
                return
            self._exchange.sent += len(chunk)
            yield chunk

    def close(self) -> None:
        """Record that the client has closed the response."""
        self._exchange.closed = True
        # After the end of the body, the outcome stays as it is.
        self._finish("abandoned")

    async def aclose(self) -> None:
        self.close()

    @contextmanager
    def _read(self, chunks: Chunks | AsyncReplay) -> Generator[None]:
        """Return a context manager in which one chunk is read as a network connection would be.

        It applies the read timeout of the request, and raises a break of the connection as the error that the
        client's library has for it.
        """
        chunks.limit_read(self._client_request.extensions.get("timeout", {}).get("read"))
        try:
            yield
        except OSError as error:
            self._finish("cut")
            request = self._client_request
            name, message = next(
                (name, message) for kind, name, message in _ERRORS if isinstance(error, kind)
            )
            raise getattr(_library_of(request), name)(message, request=request) from error

    def _finish(self, outcome: Literal["answered", "cut", "abandoned"]) -> None:
        if self._exchange.outcome == "answering":
            self._exchange.outcome = outcome
        self._exchange.over.set()


@cache
def _library_of(client_request: object) -> ModuleType:
    """Return the module httpx or httpx2, whichever the request's class belongs to."""
    roots = [kind.__module__.partition(".")[0] for kind in type(client_request).__mro__]
    return sys.modules[next(root for root in roots if root in {"httpx", "httpx2"})]


def transport(
    what: Servable,
    *,
    format: ScriptFormat | str | None = None,
    pace: Pace = "instant",
    chunking: Chunking = "recorded",
    fault: Fault | Iterable[Fault] | None = None,
    clock: Clock | None = None,
) -> Transport:
    """Play recordings and scripts to an httpx or httpx2 client, sync or async, or at a route of respx.

    No real time passes: if an answer stalls for longer than the client's read timeout, the
    client raises its `ReadTimeout` at once. Each chunk is one item of the response's stream.
    If the connection of an answer breaks, the client raises its own error for that.

    The clock is a new `VirtualClock`, or `time.monotonic` to wait in real time. The other arguments are those
    of `testing.serve`.

    Raises:
        MisuseError: `what` cannot be played.

    Example:
        >>> import httpx
        >>> from tokenstream import connect, testing
        >>> played = testing.transport(testing.script().text("Hello").finish("stop"))
        >>> url = "https://api.example.com/v1/chat/completions"
        >>> with httpx.Client(transport=played) as http, connect(url, client=http) as stream:
        ...     print(stream.final().text, played.exchanges[0].closed)
        Hello True
    """
    return Transport(Player(what, format=format, pace=pace, chunking=chunking, fault=fault), clock=clock)
