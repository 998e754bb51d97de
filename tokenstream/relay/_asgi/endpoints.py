"""The endpoints of a journal: an ASGI application that starts, sends and stops its answers."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import parse_qs

from tokenstream._basics.elsewhere import OF_RELAY, explain_names, explain_options, is_awaitable
from tokenstream._basics.json import is_sendable
from tokenstream._values.origin import Origin
from tokenstream.errors import AnswerFailure, MisuseError
from tokenstream.relay._asgi.asking import (
    CROSS_SITE,
    SourceRefused,
    check_origins,
    read_asked,
    read_header,
    sent_cross_site,
)
from tokenstream.relay._asgi.delivery import TIMING, Timing, check_timing
from tokenstream.relay._asgi.follow import check_journal, follow
from tokenstream.relay._asgi.refusals import WholeResponse, encode_json, make_refusal, quote_id
from tokenstream.relay._asgi.response import Response
from tokenstream.relay._asgi.start import KEEPS_KEYS, StartOutlet
from tokenstream.relay._attribution import ServedAnswer, find_origin, make_answer_id
from tokenstream.relay._incident import Incident
from tokenstream.relay._protocols import find_protocol
from tokenstream.relay.journal._bounds import check_owner
from tokenstream.relay.journal._errors import JournalError, judge_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, MutableMapping

    from starlette.responses import Response as StarletteResponse

    from tokenstream._basics.loose import Json
    from tokenstream._basics.waits import HeaderFields
    from tokenstream.events import Event

    # Litestar resolves the types of an application's methods, unless it does not know their names.
    from tokenstream.relay._asgi.response import Receive, Scope, Send
    from tokenstream.relay._encoders import ProtocolName
    from tokenstream.relay.journal import Journal

_MOUNTED = 'it is an application of its own: write app.mount("/answers", relay.endpoints(…))'
_NO_CORS = "CORS must allow a page of another origin Idempotency-Key, Last-Event-ID and X-Answer-Id"
"""The words with which a preflight is refused, which only middleware can answer."""
AnswerFunction: TypeAlias = "Callable[[Any], AsyncIterable[Event] | Awaitable[AsyncIterable[Event]]]"
OwnerFunction: TypeAlias = "Callable[[MutableMapping[str, Any]], str | Awaitable[str | None] | None]"
"""A function that takes a request's ASGI scope, and returns the owner on whose behalf the request acts."""


@explain_options(**OF_RELAY)
def endpoints(
    journal: Journal,
    answer: AnswerFunction | None = None,
    *,
    owner: OwnerFunction | None = None,
    protocol: ProtocolName = "tokenstream",
    max_body: int = 1024 * 1024,
    origins: Iterable[str] = (),
    timing: Timing = TIMING,
) -> Endpoints:
    """Return an ASGI application that starts, sends and stops the answers of a journal; mount it.

    =========================  ===============================================================
    `POST /`                   starts an answer: 201, its address in `Location`, `{"id": …}`;
                               the answer itself if `Accept` has the protocol's content type;
                               with `X-Answer-Id`, continues that answer after the position in
                               `Last-Event-ID`; with an `Idempotency-Key` that was sent before,
                               such as by a page that was reloaded, gives the same answer
    `HEAD /`                   says in `Idempotency-Key` that these keys are kept
    `GET /{id}`                follows an answer after the position in `Last-Event-ID` or
                               `?after=`; 204 if it has ended and the reader has all of it
    `POST /{id}/stop`          stops an answer: 200, `{"state": "stopped"}`, or "ended" if it
                               had ended before
    =========================  ===============================================================

    All other requests are refused, with a JSON body that describes the error:

    =========================  ===============================================================
    400                        the body is not JSON, `answer` raised `ValueError`, or the
                               answer has no such position
    403                        `owner` raised `PermissionError`, or a page of another site has
                               sent the request, and `origins` does not name it
    404                        the path or the answer does not exist, or the answer belongs
                               to another owner
    405                        the path has no such method
    409                        a position came without an answer's id, or the answer was asked
                               for with another body or key
    410                        the answer has expired, or its next records were trimmed
    413                        the body is larger than `max_body`
    415                        the body is not declared as JSON by a `Content-Type`
    422                        the `Idempotency-Key` was sent with another body before
    429                        the owner has too many running answers
    429, 502, 503, 504         the provider failed before the first event
    503                        the journal is unavailable now
    =========================  ===============================================================

    Args:
        journal: The journal; enter it in the application's lifespan.
        answer: A function, sync or async, that makes an answer from the JSON body of a request; None if
            answers are started elsewhere.
        owner: A function, sync or async, that returns the owner on whose behalf a request acts, from the
            request's ASGI scope; an id alone proves nothing. None for answers without an owner.
        protocol: The name of the protocol in which to send answers.
        max_body: The maximum size of a request's body in bytes.
        origins: The origins of other sites whose pages may send requests, such as
            `["https://page.example"]`; "*" for all. See `is_cross_site`.
        timing: The times for the head, for heartbeats, and for a reader that does not read.

    Raises:
        MisuseError: The protocol is unknown; `journal` is no journal; or one of `origins` is no origin. From
            a request: `owner` has returned something else than a text.

    Example:
        >>> from tokenstream import AsyncStream
        >>> from tokenstream.relay.journal import MemoryJournal
        >>> app = endpoints(MemoryJournal(), lambda q: AsyncStream([q["q"]], format="pieces"))
    """
    check_journal(journal)
    journal.take_drain(check_timing(timing).drain)
    # Refuses an unknown protocol now, and not at the first request.
    find_protocol(protocol)
    return Endpoints(journal, answer, owner, protocol, timing, max_body, check_origins(origins))


def refusal(error: AnswerFailure | JournalError) -> StarletteResponse:
    """Return the response that refuses a request because its answer could not begin.

    It has the status, the `Retry-After` and the JSON body with which `relay.respond` answers this error.
    Return it from an endpoint of your own that calls `Journal.start`; where Starlette is imported, it is a
    response of Starlette's.

    Args:
        error: The error that `Journal.start` or the stream has raised.

    Raises:
        MisuseError: The error is neither a `StreamError` nor a `JournalError`.

    Example:
        >>> from tokenstream.relay import JournalError
        >>> refusal(JournalError("8 answers are running", kind="too_many_answers")).status_code
        429
    """
    if not isinstance(cast("object", error), AnswerFailure | JournalError):
        raise MisuseError(
            f"refusal() takes the StreamError or JournalError of an answer, and not {type(error).__name__}"
        )
    # `Journal.start` has logged a failure of the answer under this id.
    origin = find_origin(error) or Origin()
    response: Any = _to_response(judge_failure(error), ServedAnswer(origin.answer_id or make_answer_id()))
    if "starlette.responses" in sys.modules:
        import starlette.responses

        headers = response.raw_headers
        response = starlette.responses.Response(response.body, response.status_code)
        response.raw_headers = headers
    return cast("StarletteResponse", response)


def _refuse(status: int, kind: str, message: str, **headers: str) -> SourceRefused:
    return SourceRefused(Incident(kind, "reader", status, message, headers=headers))


@explain_names(dict.fromkeys(("_contains_router", "on_startup", "routes"), _MOUNTED))
@dataclass(frozen=True, slots=True)
class Endpoints:
    """The ASGI application that `endpoints` returns: it starts, sends and stops the answers of a journal."""

    _journal: Journal
    _answer: AnswerFunction | None
    _owner: OwnerFunction | None
    _protocol: ProtocolName
    _timing: Timing
    _max_body: int
    _origins: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; a refusal, or an error of the answer or of the journal, becomes a response."""
        if scope["type"] != "http":
            raise MisuseError(f"these endpoints answer requests over HTTP, and this is {scope['type']!r}")
        try:
            response = await self._dispatch(scope, receive)
        except SourceRefused as refused:
            response = _to_response(refused.incident)
        except (AnswerFailure, JournalError) as error:
            # The head was not sent yet, so the error needs no event.
            response = _to_response(judge_failure(error), protocol=self._protocol)
        await response(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive) -> Response | WholeResponse:
        """Return the response to a request, according to its path and method."""
        if scope["method"] == "OPTIONS":
            raise _refuse(405, "not_allowed", _NO_CORS)
        if sent_cross_site(partial(read_header, scope), self._origins):
            raise _refuse(403, "cross_site", CROSS_SITE)
        path: str = scope["path"].removeprefix(scope.get("root_path", "")).strip("/")
        segments, method = path.split("/") if path else [], scope["method"]
        match segments:
            # Without the function `answer`, answers are started elsewhere.
            case [] if self._answer is not None:
                if method == "HEAD":
                    return _reply(200, {}, {**KEEPS_KEYS, "x-answer-id": make_answer_id()})
                _check_method(method, "POST")
                return await self._start_answer(scope, receive, self._answer)
            case [id]:
                _check_method(method, "GET", "HEAD")
                # Some readers cannot set a header.
                query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
                last_event_id = read_header(scope, "last-event-id") or query.get("after", [""])[0]
                owner = await self._find_owner(scope)
                return follow(
                    self._journal,
                    id,
                    last_event_id,
                    protocol=self._protocol,
                    owner=owner,
                    timing=self._timing,
                )
            case [id, "stop"]:
                _check_method(method, "POST")
                state = await self._journal.stop(id, owner=await self._find_owner(scope))
                if state == "unknown":
                    raise JournalError("no answer has this id", kind="unknown_answer")
                return _reply(200, {"state": state}, {"x-answer-id": quote_id(id)})
            case _:
                raise _refuse(404, "not_found", "there is nothing here")

    async def _start_answer(
        self, scope: Scope, receive: Receive, answer: AnswerFunction
    ) -> Response | WholeResponse:
        """Start an answer; return a response with its id or with the answer."""
        owner = await self._find_owner(scope)
        kind = read_header(scope, "content-type").partition(";")[0].strip().lower()
        # A page of another site may send any body without a type.
        if kind != "application/json" and not kind.endswith("+json"):
            raise _refuse(415, "unsupported_type", "the body must be application/json")
        request = await self._read_body(receive)
        # Not called if the request continues an answer.
        make = partial(_make_answer, answer, request)
        # Made in any case: it chooses the id, and knows the protocol's content type.
        outlet = StartOutlet(make, self._journal, None, protocol=self._protocol, owner=owner, body=request)
        outlet.served.given = answer
        asked = read_asked(scope)
        accepts_answer = outlet.headers["content-type"].partition(";")[0] in read_header(scope, "accept")
        if accepts_answer or asked.continues:
            # The client wants the answer in this response, not only its id.
            return Response(outlet, timing=self._timing)
        headers = await outlet.prepare(asked)
        refusal = await outlet.begin(self._timing.open_within)
        if refusal is not None:
            return _to_response(refusal, outlet.served, self._protocol)
        return _reply(200 if outlet.exists else 201, {"id": outlet.id}, headers)

    async def _find_owner(self, scope: Scope) -> str | None:
        """Return the owner on whose behalf a request acts; None for answers without an owner."""
        if self._owner is None:
            return None
        try:
            made = self._owner(scope)
            owner = await made if is_awaitable(made) else made
        except PermissionError:
            raise _refuse(403, "forbidden", "this is not allowed") from None
        check_owner(owner, self._owner)
        return owner

    async def _read_body(self, receive: Receive) -> Json:
        """Read a request's body, and return its JSON value."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _refuse(400, "invalid_request", "the body was cut")
            body += message.get("body", b"")
            if len(body) > self._max_body:
                # The rest of the body is not read, so the connection cannot be used again.
                raise _refuse(
                    413, "too_large", f"the body is larger than {self._max_body:,} bytes", connection="close"
                )
            if not message.get("more_body", False):
                break
        with suppress(ValueError, RecursionError):
            value: Json = json.loads(body)
            # Python reads NaN and halves of surrogate pairs, with which no request can be made.
            if is_sendable(value):
                return value
        raise _refuse(400, "invalid_request", "the body is not JSON")


async def _make_answer(answer: AnswerFunction, body: object) -> AsyncIterable[Event]:
    """Return the answer that the application makes from a body; SourceRefused if it raises ValueError."""
    try:
        made = answer(body)
        return await made if is_awaitable(made) else made
    except ValueError:
        raise _refuse(400, "invalid_request", "the body is not what was expected") from None


def _reply(status: int, value: Json, headers: HeaderFields) -> WholeResponse:
    return WholeResponse(status, *encode_json(value, headers))


def _to_response(
    refusal: Incident, served: ServedAnswer | None = None, protocol: str = "tokenstream"
) -> WholeResponse:
    """Return the response to a refused request; by default, it is refused before any answer."""
    served = ServedAnswer(make_answer_id()) if served is None else served
    served.report_incident(refusal, refusal.status)
    return WholeResponse(*make_refusal(refusal, served, protocol))


def _check_method(method: str, *methods: str) -> None:
    if method not in methods:
        raise _refuse(405, "not_allowed", "this path has no such method", allow=", ".join(methods))
