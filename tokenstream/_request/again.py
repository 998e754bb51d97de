"""Requests for several attempts: the same request again, or one that resumes or continues the answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit
from weakref import ref

from tokenstream._basics.kept_errors import FunctionFailed
from tokenstream._basics.untrusted import is_dict
from tokenstream._basics.waits import last_event_id_header
from tokenstream._providers.apis import APIRecord, all_apis, api_named
from tokenstream._request.continued import ContinuationRequests, with_other_body
from tokenstream._request.http_request import HTTPRequest, RequestTuple, headers_without
from tokenstream._sources.kinds import LazySource, SecondsLeft, do_nothing
from tokenstream.formats._registry import format_of_request
from tokenstream.recovery._open import AsyncOpener, SourceOpener, SyncOpener
from tokenstream.recovery._resilient import StreamT, check_retry, make_stream
from tokenstream.recovery._retry import Retry
from tokenstream.stream import AsyncStream
from tokenstream.stream._cancelling import send, send_now

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream._request.options import HTTPOptions
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.limits import Deadlines
    from tokenstream.message import Message
    from tokenstream.recovery._route import Route
    from tokenstream.stream._attempts import Attempt
    from tokenstream.stream._continuation import Prefix
    from tokenstream.stream._job import Job
    from tokenstream.stream._options import Options
    from tokenstream.stream._pauses import PausedAnswer

_BODY_OPTIONS = ("content", "data", "files", "json")
_MOST_DIGITS = 32
"""The longest number of an event that is sent in a request's JSON."""
_CANCEL_SECONDS = 5.0
"""The time for which each step of the request to cancel a response may delay the next attempt."""


def request_again(
    kind: type[StreamT], retry: Retry | None, asked: RequestTuple, options: Options, route: Route | None
) -> StreamT:
    """Return a stream that sends a request, perhaps for a route, and further ones if attempts fail."""
    is_async = issubclass(kind, AsyncStream)
    retry = Retry(attempts=1) if retry is None else check_retry(retry, is_async=is_async)
    if asked.method.upper() == "POST" and options.format == "tokenstream":
        # A relay's journal has the model asked once, even if its first response is lost.
        asked = asked._replace(options=_with_key(asked.options, options.job))
    first = (_AsyncRequests if is_async else _SyncRequests)(asked, options.format)
    if route is not None:
        first.take_route(route)
    return make_stream(kind, first, retry, options)


def make_route_opener(route: Route, deadlines: Deadlines | None, *, is_async: bool) -> SourceOpener:
    opener = (_AsyncRequests if is_async else _SyncRequests)(asked_of(route, deadlines), route.format)
    opener.take_route(route)
    return opener


def asked_of(route: Route, deadlines: Deadlines | None) -> RequestTuple:
    options = {"json": route.json, "headers": route.headers}
    given = {name: value for name, value in options.items() if value is not None}
    return RequestTuple("POST", route.url, route.client, route.deadlines or deadlines, given)


class _RepeatedRequests(SourceOpener):
    """Sends a request for each attempt.

    Args:
        asked: The arguments of the request; its JSON may be a function of the attempt.
        format: The answer's format; None to detect it.
    """

    enters = False
    makes_request = True
    _previous: ref[_RepeatedRequests] | None = None
    """The opener of the attempt before; None if that is this one, or has sent no request."""

    def __init__(self, asked: RequestTuple, format: FormatChoice) -> None:
        super().__init__(do_nothing, format)
        self.arguments = asked
        # Created now, because this refuses a sync client for an async stream, and the reverse.
        self._first: LazySource | None = self._make_source(asked)
        # Imports modules and creates the client, before the clock of the answer starts.
        self.prepare = self._first.prepare
        # The address and the JSON of the request.
        self.asked, self.patience = self._first.asked, self._first.patience
        # Servers may resume a GET after the last event id, so that is tried unless the caller forbids it.
        self.replays = asked.method.upper() == "GET"
        # Builds the options of requests that ask the model to continue the answer.
        self._continued = ContinuationRequests(asked.url, asked.options)
        self.key = _IdempotencyKey(asked.options)

    def look_ahead(self, attempt: Attempt, *, is_other: bool) -> None:
        """Find out the request's format and JSON before an attempt, since `why_not` and others need them."""
        if is_other:
            # The answer so far may be from another API, so its format need not be that of this request.
            self._continued.format = format_of_request(self.arguments.url, self.format) or ""
        if callable(self.arguments.options.get("json")):
            self._continued = self._continued.with_payload(self._find_payload(attempt))

    def succeed(self, previous: SourceOpener) -> None:
        """Take over from the opener that made the attempt before, so that the next request fits to it.

        The numbers in the idempotency keys go on from those of the previous opener. If the server still
        writes the previous answer in the background, the next request first cancels it at that server.
        """
        self._previous = None
        if isinstance(previous, _RepeatedRequests) and previous is not self:
            self._previous = ref(previous)
            self.key.succeed(previous.key)

    def _find_payload(self, attempt: Attempt) -> Json:
        """Return the JSON of an attempt's request, before the turns of a continuation are added."""
        payload = self.arguments.options.get("json") if attempt.payload is None else attempt.payload
        return payload(attempt) if callable(payload) else payload

    def _call_open(self, attempt: Attempt) -> LazySource:
        """Return the source for an attempt's request, which first cancels an answer that it abandons."""
        # The source for the first attempt was created in advance, and can be used only once.
        first, self._first = self._first, None
        asked, options = self.arguments, self.arguments.options
        is_of_on_retry = attempt.payload is not None
        has_new_payload = is_of_on_retry or callable(options.get("json"))
        if first is not None and attempt.mode == "start" and not has_new_payload:
            return first
        continued = self._continued
        if has_new_payload:
            try:
                payload = self._find_payload(attempt)
            except Exception as error:
                raise FunctionFailed(error) from error
            continued, options = continued.with_payload(payload), {**options, "json": payload}
            if not is_of_on_retry:
                # A payload of `on_retry` is for this attempt only.
                self._continued = continued
        self.asked = asked.url, options.get("json")
        if attempt.mode == "continue":
            options = continued.build_options(attempt)
        elif attempt.mode == "pause":
            options = with_other_body(options, attempt.request(options["json"]))
        self.sent_request = asked.url, options.get("json")
        asked = asked._replace(options=options)
        if attempt.mode == "resume":
            asked = _resuming_arguments(attempt, asked)
        source = self._make_source(asked._replace(options=self.key.add_to(asked.options, attempt)))
        return source if attempt.abandoned is None else self._cancel_before(source, attempt.abandoned)

    def _cancel_before(self, source: LazySource, answer_id: str) -> LazySource:
        """Return a source that, when it is opened, cancels an abandoned answer and then opens `source`."""
        # The response may still run where it was begun, which may be the server of another route.
        previous = None if self._previous is None else self._previous()
        cancelling = (previous or self).cancel(answer_id)
        if cancelling is None:
            return source
        then: Any = source.open

        # A failure of the first request is only logged.
        def open_now() -> Any:  # noqa: ANN401 - a source
            send_now(cancelling)
            return then()

        async def open_later() -> Any:  # noqa: ANN401 - a source
            await send(cancelling)
            return await then()

        limits = [each.limit_open for each in (cancelling, source) if each.limit_open is not None]

        def limit_open(find_left: SecondsLeft) -> None:
            for limit in limits:
                limit(find_left)

        return replace(source, open=open_later if self.is_async else open_now, limit_open=limit_open)

    def why_not(self, message: Message, limit_left: int | None) -> str | None:
        if self.arguments.method.upper() != "POST":
            return "the request is not a POST"
        if self._continued.format == "":
            return f"the API of {self.name} is not known: give it, as in Route(…, format=…)"
        return self._continued.why_not(message, limit_left, prefill=self.prefix(message) is not None)

    def why_paused(self, paused: PausedAnswer) -> str | None:
        if self.arguments.method.upper() != "POST":
            return "the request is not a POST"
        payload = self.arguments.options.get("json")
        # A function makes the JSON only when the request is made.
        return paused.why_not(None if callable(payload) else payload or "")

    def can_fetch(self, message: Message) -> bool:
        api = api_named(message.format)
        return api is not None and api.gives_finished and message.id is not None

    def cancel(self, answer_id: str) -> LazySource | None:
        return self._make_source(_cancelling_arguments(answer_id, self.arguments))

    def prefix(self, message: Message) -> Prefix | None:
        # `prefills` is the caller's setting, which no longer counts after a refusal.
        return self._continued.prefix(
            message, None if self._prefix_refused else self.prefills, refused=self._prefix_refused
        )

    def stop_prefixes(self, *, known: bool) -> None:
        super().stop_prefixes(known=known)
        if known:
            self._continued.remember_refusal()

    def limit(self, format: str | None) -> int | None:
        return self._continued.limit(format)

    def _make_source(self, asked: RequestTuple) -> LazySource:
        """Return a source that sends a request when it is opened."""
        request = HTTPRequest(*asked)
        return request.make_async_lazy() if self.is_async else request.make_lazy()


class _SyncRequests(_RepeatedRequests, SyncOpener):
    """Sends the requests of a `Stream`."""


class _AsyncRequests(_RepeatedRequests, AsyncOpener):
    """Sends the requests of an `AsyncStream`."""


class _IdempotencyKey:
    """Gives each request an `Idempotency-Key`, made from the key that the caller sent with the first one.

    A server that honours keys answers two requests with the same key only once. So a request gets the same
    key as the request before only if it repeats that request, and no content has arrived; other requests get
    the caller's key with `-2`, `-3` and so on. If the caller sends no key, no request has one.

    Args:
        options: The options of the first request for httpx.
    """

    def __init__(self, options: HTTPOptions) -> None:
        self._key = _find_key(options) if options.get("headers") else None
        self._number = 1
        """The number of the last request that was not to resume an answer."""
        self._numbers = count(2)
        """The numbers that no request has had yet, of all routes of the stream."""
        self._payload: Any = options.get("json")
        """The JSON of the last request that was not to resume an answer."""

    def succeed(self, other: _IdempotencyKey) -> None:
        """Take over from the keys of the request before, which went to another server.

        The numbers are shared from now on. The caller's key is taken over if there is none for this server.
        """
        self._key, self._numbers = self._key or other._key, other._numbers
        # This object is not equal to any payload, so the next request counts as new.
        self._payload = self

    def add_to(self, options: HTTPOptions, attempt: Attempt) -> HTTPOptions:
        """Return the options of an attempt's request, with the request's key among the headers."""
        if self._key is None:
            return options
        if attempt.mode != "resume":
            if attempt.number == 1 and attempt.mode != "start":
                # Another process has begun the answer; each that goes on with it from here has the same key.
                self._key += b"+%d" % len(attempt.message.text)
            payload = options.get("json")
            last_payload, self._payload = self._payload, payload
            # The request differs, or content came before it.
            needs_new_key = not attempt.is_repetition or payload != last_payload
            # The first request has the caller's own key.
            if needs_new_key and attempt.mode != "start":
                self._number = next(self._numbers)
        key = self._key if self._number == 1 else b"%b-%d" % (self._key, self._number)
        return _add_headers(options, {b"Idempotency-Key": key})


def _with_key(options: HTTPOptions, job: Job | None) -> HTTPOptions:
    """Return the options of a request with an `Idempotency-Key`, the caller's, the job's, or a random one."""
    if _find_key(options) is not None:
        return options
    # No other job's key has the numbers that are added to this one.
    key = token_hex(16) if job is None else quote(job.id, safe="").replace("-", "%2D")
    return _add_headers(options, {b"Idempotency-Key": key.encode()})


def _find_key(options: HTTPOptions) -> bytes | None:
    headers = headers_without(options, ())
    keys = [value for name, value in headers if _bytes(name).lower() == b"idempotency-key"]
    return _bytes(keys[0]) if keys else None


def _add_headers(options: HTTPOptions, added: dict[bytes, bytes]) -> HTTPOptions:
    """Return the options of a request with some headers, in place of those of the same names."""
    others = headers_without(options, {name.decode().lower() for name in added})
    headers = [(_bytes(name), _bytes(value)) for name, value in others]
    return {**options, "headers": [*headers, *added.items()]}


def _resuming_arguments(attempt: Attempt, asked: RequestTuple) -> RequestTuple:
    """Return the arguments of a request that resumes: of the answer's own address, or the original."""
    api = api_named(attempt.message.format)
    if api is not None and api.replay_parameter is not None:
        return _fetching_arguments(attempt, asked, api.replay_parameter)
    if api is not None:
        asked = _with_position_field(attempt, asked, api)
    # NDJSON lines have no event ids; the position then is a number inside their payloads.
    position_id = attempt.last_event_id or ("" if attempt.sequence is None else str(attempt.sequence))
    added = {b"Last-Event-ID": last_event_id_header(position_id)}
    if attempt.answer_id is not None:
        added[b"X-Answer-Id"] = quote(attempt.answer_id, safe="").encode()
    return asked._replace(options=_add_headers(asked.options, added))


def _with_position_field(attempt: Attempt, asked: RequestTuple, api: APIRecord) -> RequestTuple:
    """Return the arguments of a request with the position in its JSON, if the API has a field for it."""
    payload, number = asked.options.get("json"), attempt.last_event_id or ""
    is_number = number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS
    if api.replay_field is None or not is_number or not is_dict(payload):
        return asked
    payload = {**payload, api.replay_field: int(number)}
    return asked._replace(options={**asked.options, "json": payload})


def _fetching_arguments(attempt: Attempt, asked: RequestTuple, parameter: str) -> RequestTuple:
    """Return the arguments of a request for an answer at its address, from a position or finished."""
    position = attempt.last_event_id if attempt.sequence is None else attempt.sequence
    # The body belongs to the original request.
    asked = _at_answer("GET", attempt.message.id or "", asked)
    if position is not None:
        asked.options["params"] += [("stream", "true"), (parameter, str(position))]
    return asked


def _cancelling_arguments(answer_id: str, asked: RequestTuple) -> RequestTuple:
    """Return the arguments of a request that cancels an answer, which the server writes in the background."""
    asked = _at_answer("POST", answer_id, asked)
    headers = headers_without(asked.options, {"idempotency-key"})
    options = {**asked.options, "headers": headers, "timeout": _CANCEL_SECONDS}
    return asked._replace(url=f"{asked.url}/cancel", options=options)


def _at_answer(method: str, answer_id: str, asked: RequestTuple) -> RequestTuple:
    """Return the arguments of a request without a body for a stored answer, whose id ends its address."""
    parts = urlsplit(asked.url)
    path, ending = parts.path.rstrip("/"), f"/{quote(answer_id, safe='')}"
    # A GET may have asked for the answer at its own address already.
    path = path if path.endswith(ending) else path + ending
    options = {name: value for name, value in asked.options.items() if name not in _BODY_OPTIONS}
    # With `params`, httpx replaces the query of the address.
    options["params"] = _params_of(asked.options, parts.query)
    address = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    return asked._replace(method=method, url=address, options=options)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8")


def _params_of(options: HTTPOptions, query: str) -> list[tuple[str, Any]]:
    """Return a request's parameters, from its options or else its address, without those of streaming."""
    from httpx import QueryParams

    replaced = {"stream", *[api.replay_parameter for api in all_apis()]}
    params = QueryParams(options.get("params") or query)
    return [(name, value) for name, value in params.multi_items() if name not in replaced]
