"""A server for tests, with real HTTP and WebSockets on loopback, and TLS by a private authority."""

from __future__ import annotations

import ssl
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from anyio import CancelScope, to_thread

from tokenstream.errors import MisuseError
from tokenstream.testing._serve.playable import Player, Servable, headers_of
from tokenstream.testing._serve.replies import Reply, Request, refusal
from tokenstream.testing._serve.server import ReplayServer
from tokenstream.testing._serve.sessions import make_session
from tokenstream.testing._serve.sessions.session import SessionStore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ssl import SSLContext

    from tokenstream._providers.apis import ScriptFormat
    from tokenstream.testing._recordings.recording import Recording
    from tokenstream.testing._recordings.replay import Chunking, Pace
    from tokenstream.testing.faults import Fault


@cache
def _authority() -> Any:  # noqa: ANN401 - its methods take contexts of other libraries, too
    """Return the certificate authority of this process, made at the first call."""
    try:
        from trustme import CA
    except ImportError as error:
        raise MisuseError("serving TLS needs the package trustme: `pip install trustme`") from error
    return CA()


@cache
def server_context(host: str) -> ssl.SSLContext:
    """Return the TLS context of a server, with a certificate for its host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Quirk (CPython 3.11, 2026-11): a client that reads in one thread and writes in another, as the sync
    # one of websockets does, may lose what it writes while tickets arrive;
    # miguelgrinberg/python-engineio#461.
    context.num_tickets = 0
    _authority().issue_cert(host, "localhost").configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """Return a client's TLS context, which trusts only the servers of this module."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _authority().configure_trust(context)
    return context


class Server(ReplayServer):
    """A server on loopback that plays recordings, scripts and faults; made by `testing.serve`.

    It runs inside a `with` block, or an `async with` block, where it does not block the event loop.

    Args:
        player: Chooses the answer to each request.
        host: Address to listen on.
        port: The port; 0 for any free port.
        tls: True to use TLS.
        sessions: True to hold sessions over WebSockets.
        steers: True if the sessions' answers take input while they are played.
    """

    def __init__(
        self,
        player: Player,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        sessions: bool = False,
        steers: bool = False,
    ) -> None:
        super().__init__(self._play, host=host, port=port, tls=server_context(host) if tls else None)
        self._player = player
        self._store = SessionStore(steers=steers) if sessions else None

    @property
    def ws_url(self) -> str:
        """The server's address for WebSockets while it runs, without a path."""
        return self.url.replace("http", "ws", 1)

    @property
    def client_context(self) -> SSLContext:
        """TLS context for a client that trusts the server; available only with `tls=True`."""
        if self._tls is None:
            raise MisuseError("the server does not speak TLS: start it with tls=True")
        return client_context()

    @property
    def requests(self) -> list[Request]:
        """The requests received, in order."""
        return [exchange.request for exchange in self.exchanges]

    async def __aenter__(self) -> Self:
        # `start` blocks until the server listens.
        await to_thread.run_sync(self.start)
        return self

    async def __aexit__(self, *error: object) -> None:
        # `stop` blocks, and the server must be stopped even if the caller is cancelled.
        with CancelScope(shield=True):
            await to_thread.run_sync(self.stop)

    def _play(self, request: Request) -> Reply:
        """Return the reply to a request; for a mistake in the test, a refusal that describes the mistake."""
        try:
            if self._store is not None and request.opens_socket:
                _require_websockets()
                player = self._player
                session = make_session(player.format_of(request), request, player.answer, self._store)
                return Reply(chunks=[], messages=True, session=session)
            recording = self._player.recording(request)
            if recording.messages:
                _require_websockets()
            return _reply_of(recording)
        except MisuseError as error:
            # The mistake is sent as the answer, so that the error that the client raises describes it.
            return refusal(500, str(error))


def serve(
    what: Servable,
    *,
    format: ScriptFormat | str | None = None,
    pace: Pace = "instant",
    chunking: Chunking = "recorded",
    fault: Fault | Iterable[Fault] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: bool = False,
    sessions: bool = False,
    steers: bool = False,
) -> Server:
    """Play recordings and scripts on a server, for any client that takes an address.

    The server answers every method at every path, unless `what` is a mapping from paths.
    By default, an answer is sent at once; with `pace="recorded"`, its rate and its silences take
    their time. Stalls and slow answers always do. A recording of a WebSocket is played to a client
    that opens one; at its end, the connection is closed, or broken, once the client is silent.

    With `sessions=True`, the server speaks the API's protocol on a WebSocket: it plays one answer
    each time that the client asks for one, and stays open. The guide "Testing in detail" has the details.

    Args:
        what: A `Recording`; a script; a sequence of these, one for each request; a mapping from
            paths to these; or a function that takes the request and returns a recording or a
            script.
        format: Format in which scripts are sent; None to take it from the request's path,
            such as "/v1/messages".
        pace: Times of the chunks: "instant", "recorded", or a factor of speed.
        chunking: Boundaries of the chunks, as for `Recording.stream`.
        fault: A fault made by `testing.faults`, or several, applied to each answer; None for no fault.
        host: Address to listen on.
        port: The port; 0 for any free port.
        tls: True to use TLS, for clients that accept only https addresses; pass these clients
            `Server.client_context`. The package trustme must be installed.
        sessions: True to hold sessions over WebSockets, at the paths of OpenAI's Responses and
            Realtime APIs and of Gemini Live: each request for an answer gets the next one.
        steers: True if an answer of OpenAI Responses takes input while it is played: it ends where it is,
            and the next one follows it. By default, such input is refused.

    Raises:
        MisuseError: `what` cannot be played.
        OSError: The address cannot be used.

    Example:
        >>> from tokenstream import connect, testing
        >>> hello = testing.script().text("Hello").finish("stop")
        >>> with testing.serve(hello) as at, connect(f"{at.url}/v1/messages", json={}) as stream:
        ...     print(stream.final().text, stream.format, at.requests[0].json)
        Hello anthropic {}
    """
    player = Player(what, format=format, pace=pace, chunking=chunking, fault=fault)
    return Server(player, host=host, port=port, tls=tls, sessions=sessions, steers=steers)


def _reply_of(recording: Recording) -> Reply:
    headers = headers_of(recording)
    times = [0.0, *[at for at, _ in recording.arrivals]]
    return Reply(
        # A reply has the pause before each chunk, a recording the time since the request.
        chunks=[
            (at - previous, data)
            for (previous, at), (_, data) in zip(pairwise(times), recording.arrivals, strict=True)
        ],
        content_type=headers.pop("content-type"),
        status=recording.status,
        headers=headers,
        cut=recording.breaks,
        messages=recording.messages,
        close_frame=recording.close_frame,
    )


def _require_websockets() -> None:
    """Raise `MisuseError` if the package websockets is not installed."""
    try:
        import_module("tokenstream.testing._serve.websocket")
    except ImportError as error:
        raise MisuseError(
            "serving a WebSocket needs the package websockets: `pip install websockets`"
        ) from error
