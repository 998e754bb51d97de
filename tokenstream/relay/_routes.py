"""Answers of a journal as an ASGI application: start, follow, stop."""

from __future__ import annotations

import json
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.errors import MisuseError, StreamError
from tokenstream.relay._delivery import Pace
from tokenstream.relay._follow import StartOutlet, follow, refused
from tokenstream.relay._opening import refusal_of
from tokenstream.relay._outlet import error_body
from tokenstream.relay._response import Response
from tokenstream.relay._writing import Body
from tokenstream.relay.journal._errors import JournalError, UnknownAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, MutableMapping

    from tokenstream.events import Event
    from tokenstream.relay._delivery import Receive, Send
    from tokenstream.relay._outlet import Refusal
    from tokenstream.relay.journal import Journal
    from tokenstream.turns import Drop

__all__ = ["Answering", "Owning", "Routes", "routes"]

Answering: TypeAlias = "Callable[[Any], AsyncIterable[Event] | Awaitable[AsyncIterable[Event]]]"
"""Makes an answer of the JSON of a request."""
Owning: TypeAlias = "Callable[[MutableMapping[str, Any]], str | Awaitable[str | None] | None]"
"""Tells whose a request is, from what the server says of it."""


def routes(
    journal: Journal,
    answer: Answering | None = None,
    *,
    owner: Owning | None = None,
    protocol: str = "tokenstream",
    open_within: float | None = 10.0,
    keep_alive: float | None = 10.0,
    max_body: int = 1024 * 1024,
    drop: Drop = "all",
) -> Routes:
    """Return an ASGI application that starts, gives and stops the answers of a journal, to be mounted.

    =========================  ===============================================================
    `POST /`                   starts an answer: 201, its address in `Location`, `{"id": …}`;
                               the answer itself where `Accept` asks for the protocol's type
    `GET /{id}`                follows it from `Last-Event-ID`, or `?after=`; 204 where the
                               reader has all of it
    `POST /{id}/stop`          stops it: 200, `{"state": "stopped"}`, or "ended" where it was over
    =========================  ===============================================================

    Anything else is refused: 400 for a body that is no JSON, a `ValueError` of `answer`, and a
    position that the answer does not have; 403 for a `PermissionError` of `owner`; 404 for no answer, or
    another owner's; 405; 410 for what has expired or was trimmed; 413 for a body beyond `max_body`;
    429, 502, 503 and 504 for a provider that fails at once; 503 for a journal out of reach.

    Args:
        journal: The journal, which the application's lifespan enters.
        answer: Makes an answer of the JSON of a request, or is awaited for it; None where
            answers are started elsewhere.
        owner: Tells whose a request is, from its scope: an id is no credential.
        protocol: The name of the protocol in which answers are sent.
        open_within: Seconds that a start waits for the first event, for a failure to have a status.
        keep_alive: Seconds of silence between signs of life; None for none.
        max_body: Bytes of a request's body.
        drop: What to leave out that the protocol has no place for: names of kinds, or "all".

    Raises:
        MisuseError: There is no such protocol.

    Example:
        >>> from tokenstream import AsyncStream
        >>> from tokenstream.relay.journal import MemoryJournal
        >>> app = routes(MemoryJournal(), lambda body: AsyncStream([body["text"]], format="pieces"))
    """
    Body(protocol, drop=drop)
    return Routes(
        journal,
        answer,
        owner=owner,
        protocol=protocol,
        open_within=open_within,
        keep_alive=keep_alive,
        max_body=max_body,
        drop=drop,
    )


class _Refused(Exception):
    """A request that is not answered.

    Args:
        status: The status.
        type: Why, in a word.
        message: The same in a sentence.
        headers: Further headers.
    """

    def __init__(self, status: int, type: str, message: str, **headers: str) -> None:  # noqa: A002 - the key's name
        super().__init__(message)
        self.status = status
        self.body = error_body(type, message, retryable=False)
        self.headers = headers


class Routes:
    """The ASGI application that `routes` returns."""

    def __init__(
        self,
        journal: Journal,
        answer: Answering | None,
        *,
        owner: Owning | None,
        protocol: str,
        open_within: float | None,
        keep_alive: float | None,
        max_body: int,
        drop: Drop,
    ) -> None:
        self._journal = journal
        self._answer = answer
        self._owner = owner
        self._protocol = protocol
        self._open_within = open_within
        self._keep_alive = keep_alive
        self._max_body = max_body
        self._drop: Drop = drop

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request.

        Args:
            scope: What the server says of the request.
            receive: Gives what the client sends.
            send: Sends to the client.
        """
        if scope["type"] != "http":
            raise MisuseError(f"these routes answer requests over HTTP, and this is {scope['type']!r}")
        try:
            response = await self._dispatch(scope, receive)
        except _Refused as refusal:
            response = _Whole(refusal.status, refusal.body, refusal.headers)
        except StreamError as error:
            response = _of(refusal_of(error, None))
        except JournalError as error:
            response = _of(refused(error))
        await response(scope, receive, send)

    async def _dispatch(self, scope: MutableMapping[str, Any], receive: Receive) -> Response | _Whole:
        path: str = scope["path"].removeprefix(scope.get("root_path", "")).strip("/")
        places, method = path.split("/") if path else [], scope["method"]
        match places:
            case [] if self._answer is not None:
                _allow(method, "POST")
                return await self._start(scope, receive, self._answer)
            case [id]:
                _allow(method, "GET", "HEAD")
                return await self._follow(scope, id)
            case [id, "stop"]:
                _allow(method, "POST")
                return await self._stop(scope, id)
            case _:
                raise _Refused(404, "not_found", "there is nothing here")

    async def _start(
        self, scope: MutableMapping[str, Any], receive: Receive, answer: Answering
    ) -> Response | _Whole:
        owner = await self._owner_of(scope)
        given = await self._body(receive)
        try:
            made = answer(given)
            stream = await made if isawaitable(made) else made
        except ValueError:
            raise _Refused(400, "invalid_request", "the body is not what was expected") from None
        outlet = StartOutlet(
            stream, self._journal, None, protocol=self._protocol, owner=owner, drop=self._drop
        )
        address = f"{scope.get('root_path', '')}/{outlet.id}"
        if outlet.headers["content-type"].partition(";")[0] in _header(scope, b"accept"):
            pace = Pace(self._open_within, self._keep_alive)
            return Response(outlet, pace=pace, headers={"location": address})
        id = await self._journal.start(stream, id=outlet.id, owner=owner, open_within=self._open_within)
        return _Whole(201, {"id": id}, {"location": address})

    async def _follow(self, scope: MutableMapping[str, Any], id: str) -> Response:
        said = _header(scope, b"last-event-id") or _after(scope)
        owner = await self._owner_of(scope)
        return follow(
            self._journal,
            id,
            said,
            protocol=self._protocol,
            owner=owner,
            keep_alive=self._keep_alive,
            drop=self._drop,
        )

    async def _stop(self, scope: MutableMapping[str, Any], id: str) -> _Whole:
        state = await self._journal.stop(id, owner=await self._owner_of(scope))
        if state == "unknown":
            raise UnknownAnswer("no answer has this id")
        return _Whole(200, {"state": state})

    async def _owner_of(self, scope: MutableMapping[str, Any]) -> str | None:
        if self._owner is None:
            return None
        try:
            owner = self._owner(scope)
            return await owner if isawaitable(owner) else owner
        except PermissionError:
            raise _Refused(403, "forbidden", "this is not allowed") from None

    async def _body(self, receive: Receive) -> Any:  # noqa: ANN401 - any JSON value
        """Return the JSON of a request."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Refused(400, "invalid_request", "the body was cut")
            body += message.get("body", b"")
            if len(body) > self._max_body:
                raise _Refused(
                    413, "too_large", f"the body is larger than {self._max_body:,} bytes", connection="close"
                )
            if not message.get("more_body", False):
                break
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise _Refused(400, "invalid_request", "the body is no JSON") from None


class _Whole:
    """A response that is whole: JSON.

    Args:
        status: The status.
        body: The JSON, or its bytes.
        headers: Further headers.
    """

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:  # noqa: ANN401 - any JSON value
        self._status = status
        self._body = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        told = {"content-type": "application/json", "cache-control": "no-store", **(headers or {})}
        told["content-length"] = str(len(self._body))
        self._headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in told.items()]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def _of(refusal: Refusal) -> _Whole:
    return _Whole(refusal.status, refusal.body, dict(refusal.headers))


def _allow(method: str, *methods: str) -> None:
    if method not in methods:
        raise _Refused(405, "not_allowed", "there is no such method here", allow=", ".join(methods))


def _header(scope: MutableMapping[str, Any], name: bytes) -> str:
    for key, value in scope["headers"]:
        if key.lower() == name:
            found: str = value.decode("latin-1")
            return found
    return ""


def _after(scope: MutableMapping[str, Any]) -> str:
    """Return the position that the address says, for readers that cannot set a header."""
    for pair in scope.get("query_string", b"").decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        if name == "after":
            return str(value)
    return ""
