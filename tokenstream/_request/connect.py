"""Sends a request with httpx and returns the stream of its answer; the stream closes the response."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._providers.apis import FormatName
    from tokenstream._request.http_request import RequestTuple
    from tokenstream._request.options import RequestOptions
    from tokenstream.formats._base import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.recovery import Retry, Route
    from tokenstream.recovery._resilient import StreamT
    from tokenstream.stages._text.tags import Tags
    from tokenstream.stream import AsyncStream, Job, Stream
    from tokenstream.stream._options import Options

FunctionT = TypeVar("FunctionT", bound="Callable[..., Any]")


def _explain_position(function: FunctionT) -> FunctionT:
    """Make a function explain arguments by position but the address; its signature stays the same."""

    @wraps(function)
    def call(*args: object, **options: object) -> object:
        name, url = function.__name__, args[0] if args else None
        if isinstance(url, str) and url.isalpha() and url.isupper():
            raise MisuseError(
                f"{name}() takes the address first, not the method {url}: write {name}(url, method={url!r})"
            )
        if len(args) > 1:
            raise MisuseError(
                f"{name}() takes only the address by position; pass the payload as {name}(url, json=payload),"
                " and everything else by keyword, too"
            )
        return function(*args, **options)

    return cast("FunctionT", call)


@_explain_position
def connect(
    url: str | Route,
    *,
    method: str = "POST",
    client: object = None,
    format: FormatName | type[Format] | Format | None = None,
    retry: Retry | None = None,
    limits: Limits | None = None,
    deadlines: Deadlines | None = None,
    tags: Tags | None = None,
    job: Job | str | None = None,
    **request: Unpack[RequestOptions],
) -> Stream:
    """Ask for a streamed answer and read it in a `for` loop.

    The request is sent when the `with` block begins, or at the first read.

    Args:
        url: The endpoint; or a `Route`, which is a whole request: leave out `method`, `client`, `format` and
            `**request` then.
        method: The HTTP method.
        client: The httpx or httpx2 client that sends the request; it keeps its settings, and stays open.
            None for a new httpx client, whose read timeout is the longer of `first_event` and `idle_bytes`.
        format: The format of the answer: a name, a class or an object; None to detect it.
        retry: When and how to ask again after a failure; None for a single request. What a server can replay
            is resumed: a GET with event ids, OpenAI's Responses in the background, Gemini's Interactions.
        limits: How large the answer and its parts may get; None for the defaults of `Limits`.
        deadlines: How long the server may be silent, in seconds; None for the defaults of `Deadlines`.
        tags: Which tags in the model's text mark reasoning, calls and citations; None to leave it as it is.
        job: Your own id for this answer, from which the keys of its tool calls are made; or a `Job`, with the
            answer as an earlier process has left it. None for the provider's id. See `ToolCall.key`.
        **request: Arguments of `httpx.Client.stream`: json, headers, params, auth …

    Raises:
        MisuseError: An argument is unknown or misplaced.
        ConnectError: No response arrived: raised at the first read or, without one, at the block's end.
        StatusError: The status was 400 or more: raised at the same place.
        StreamError: The answer failed: raised in the loop, after all events that arrived before.

    Example:
        >>> stream = connect("http://localhost:9/v1/chat/completions", json={"stream": True})
        >>> stream.message.ending
        'streaming'
        >>> stream.close()
    """
    _refuse_socket(url, "Session", "websockets.sync.client")
    # Imported here, because the import of the package must stay fast.
    from tokenstream._request.http_request import RequestTuple
    from tokenstream.stream import Stream
    from tokenstream.stream._options import make_options

    options = make_options(format, limits, deadlines, tags, job)
    asked = RequestTuple(method, str(url), client, deadlines, cast("dict[str, Any]", request))
    return _ask(connect, Stream, url, asked, options, retry=retry)


@_explain_position
def aconnect(
    url: str | Route,
    *,
    method: str = "POST",
    client: object = None,
    format: FormatName | type[Format] | Format | None = None,
    retry: Retry | None = None,
    limits: Limits | None = None,
    deadlines: Deadlines | None = None,
    tags: Tags | None = None,
    job: Job | str | None = None,
    **request: Unpack[RequestOptions],
) -> AsyncStream:
    """Ask for a streamed answer and read it in an `async for` loop.

    The result is not awaited: the request is sent when the `async with` block begins, or at the first read.

    Args:
        url: The endpoint; or a `Route`, which is a whole request: leave out `method`, `client`, `format` and
            `**request` then.
        method: The HTTP method.
        client: The asynchronous httpx or httpx2 client, or `aiohttp.ClientSession`, that sends the request;
            it keeps its settings, and stays open. "httpx" for a new client, whose read timeout is the longer
            of `first_event` and `idle_bytes`; "aiohttp", at half the cost, for a session that the library
            shares and closes with the event loop. None for what the environment variable
            `TOKENSTREAM_CLIENT` names, or else "httpx".
        format: The format of the answer: a name, a class or an object; None to detect it.
        retry: When and how to ask again after a failure; None for a single request. What a server can replay
            is resumed: a GET with event ids, OpenAI's Responses in the background, Gemini's Interactions.
        limits: How large the answer and its parts may get; None for the defaults of `Limits`.
        deadlines: How long the server may be silent, in seconds; None for the defaults of `Deadlines`.
        tags: Which tags in the model's text mark reasoning, calls and citations; None to leave it as it is.
        job: Your own id for this answer, from which the keys of its tool calls are made; or a `Job`, with the
            answer as an earlier process has left it. None for the provider's id. See `ToolCall.key`.
        **request: Arguments of `httpx.AsyncClient.stream`: json, headers, params, auth …

    Raises:
        MisuseError: An argument is unknown or misplaced.
        ConnectError: No response arrived: raised at the first read or, without one, at the block's end.
        StatusError: The status was 400 or more: raised at the same place.
        StreamError: The answer failed: raised in the loop, after all events that arrived before.

    Example:
        >>> stream = aconnect("http://localhost:9/v1/chat/completions", json={"stream": True})
        >>> stream.message.ending
        'streaming'
    """
    _refuse_socket(url, "AsyncSession", "websockets.asyncio.client")
    from tokenstream._request.http_request import RequestTuple
    from tokenstream.stream import AsyncStream
    from tokenstream.stream._options import make_options

    options = make_options(format, limits, deadlines, tags, job)
    asked = RequestTuple(method, str(url), client, deadlines, cast("dict[str, Any]", request))
    return _ask(aconnect, AsyncStream, url, asked, options, retry=retry)


def _ask(
    function: Callable[..., Any],
    kind: type[StreamT],
    url: str | Route,
    asked: RequestTuple,
    options: Options,
    *,
    retry: Retry | None,
) -> StreamT:
    """Return the stream of `connect` or of `aconnect`, with several attempts if `retry` is given."""
    from tokenstream._request.http_request import HTTPRequest
    from tokenstream._request.options import check_options

    check_options(function, asked.options, asked.client)
    route: Route | None = None
    # A `Route` is recognised by a method, so that its class need not be imported.
    if not isinstance(url, str) and hasattr(url, "make_opener"):
        from tokenstream._request.again import asked_of

        route = url
        beside = {"client": asked.client, "format": options.format}
        given = [name for name, value in beside.items() if value is not None]
        # "POST" is the default, so it counts as not given.
        given += [*asked.options] if asked.method == "POST" else ["method", *asked.options]
        if given:
            raise MisuseError(f"a Route has its own request: give {given[0]}= to Route(…) instead")
        asked, options = asked_of(route, asked.deadlines), options._replace(format=route.format)
    if retry is not None or route is not None or (options.job is not None and options.job.checkpoint):
        from tokenstream._request.again import request_again

        return request_again(kind, retry, asked, options, route)
    request = HTTPRequest(*asked)
    if function is aconnect:
        from tokenstream.stream._async_driver import AsyncDriver

        return kind(options.make_driver(AsyncDriver, request.make_async_lazy()))
    from tokenstream.stream._sync_driver import SyncDriver

    return kind(options.make_driver(SyncDriver, request.make_lazy()))


def _refuse_socket(url: object, session: str, module: str) -> None:
    """Refuse the address of a WebSocket, which takes messages while it is open instead of one request."""
    if str(url)[:6].lower().startswith(("ws://", "wss://")):
        raise MisuseError(
            f"{str(url).partition(':')[0]}:// is a WebSocket, and not a request with one answer: write "
            f"{session}(lambda: {module}.connect(url, additional_headers=headers), model=model), and then "
            "session.ask(question)"
        )
