"""The replay server, which sends prepared answers over real HTTP/1.1, each chunk at its time."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.testing._serve.connections import Listener
from tokenstream.testing._serve.replies import Chunk, Exchange, Framing, Reply, Request, paced, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ssl import SSLContext
    from types import TracebackType
    from typing import Self

__all__ = ["Chunk", "Exchange", "Framing", "ReplayServer", "Reply", "Request", "paced", "refusal"]

_ACCEPT_SECONDS = 0.05
"""Interval at which the server checks for `stop`, in seconds."""


class ReplayServer:
    r"""A server that answers requests with prepared replies, each chunk at its time.

    Args:
        answer: A mapping from paths to the replies to POST requests; or a function that returns
            the reply to a request, and is called in the thread of the connection.
        host: Address to listen on; by default only this machine can connect.
        port: The port; 0 for any free port.
        keep: Number of latest exchanges to keep in `exchanges`; None for all.
        tls: TLS context; None for plain HTTP.

    Example:
        >>> from tokenstream import connect
        >>> reply = Reply(chunks=[(0.0, b"data: Hello\n\n"), (0.0, b"data: [DONE]\n\n")])
        >>> with ReplayServer({"/text": reply}) as server, connect(f"{server.url}/text") as stream:
        ...     print(stream.final().text)
        Hello
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_answer",
        "_keep",
        "_listener",
        "_thread",
        "_tls",
        "exchanges",
    )

    def __init__(
        self,
        answer: Mapping[str, Reply] | Callable[[Request], Reply],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keep: int | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self._answer = answer if callable(answer) else _answer_by_path(answer)
        self._address = (host, port)
        self._keep = keep
        self._tls = tls
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self.exchanges: list[Exchange] = []
        """The requests received, in order, with the progress of their answers."""

    @property
    def url(self) -> str:
        """The server's address while it runs, without a path."""
        if self._listener is None:
            raise MisuseError("the server is not running: use `with`, or call start()")
        # An IPv6 address has two more items.
        host, port = self._listener.server_address[:2]
        # An IPv6 address needs brackets, since its colons would hide the port.
        address = f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"
        return f"http://{address}" if self._tls is None else f"https://{address}"

    def start(self) -> None:
        """Start to listen, and to answer requests in threads, until `stop` is called.

        Raises:
            OSError: The address cannot be used.
        """
        if self._listener is not None:
            raise MisuseError("the server is running already; stop it first, or make another one")
        self._listener = listener = Listener(
            self._address, self._answer, self.exchanges, keep=self._keep, tls=self._tls
        )
        self._thread = threading.Thread(
            target=listener.serve_forever, args=(_ACCEPT_SECONDS,), name="replay-server", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and wait for the threads to end; a second call does nothing."""
        listener, self._listener = self._listener, None
        if listener is None or self._thread is None:
            return
        listener.shutdown()
        self._thread.join()
        listener.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _answer_by_path(replies: Mapping[str, Reply]) -> Callable[[Request], Reply]:
    """Return a function that chooses the reply to a POST request by its path, and refuses other requests."""

    def answer(request: Request) -> Reply:
        """Return the reply to a request, which may be a refusal."""
        reply = replies.get(request.route)
        if reply is None:
            served_paths = ", ".join(replies)
            return refusal(404, f"nothing is served at {request.route}, only at {served_paths}")
        if request.method != "POST":
            refused_reply = refusal(405, f"{request.route} answers POST, not {request.method}")
            return replace(refused_reply, headers={"Allow": "POST"})
        return reply

    return answer
