"""The functions `resilient` and `aresilient`, which return one stream over several attempts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from tokenstream._basics.elsewhere import explain_options
from tokenstream._pipeline.resumption import Resumption
from tokenstream._sources.kinds import LazySource, do_nothing
from tokenstream.errors import MisuseError
from tokenstream.recovery._itinerary import Itinerary
from tokenstream.recovery._open import AsyncOpener, SourceOpener, SyncOpener, make_opener
from tokenstream.recovery._recovery import Recovery
from tokenstream.recovery._retry import Retry, to_routes
from tokenstream.stream import AsyncStream, Stream
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._guarding import guard
from tokenstream.stream._options import Options, current_clock, make_options
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from tokenstream._providers.apis import FormatName
    from tokenstream.formats._base import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.recovery._retry import Opens
    from tokenstream.recovery._route import Route
    from tokenstream.stages._text.tags import Tags
    from tokenstream.stream._job import Job

StreamT = TypeVar("StreamT", Stream, AsyncStream)


@explain_options(answer_id="write job=")
def resilient(
    open: Opens | Route,  # noqa: A002 - what it does
    retry: Retry | None = None,
    *,
    format: FormatName | type[Format] | Format | None = None,
    limits: Limits | None = None,
    deadlines: Deadlines | None = None,
    tags: Tags | None = None,
    job: Job | str | None = None,
) -> Stream:
    r"""Read one answer, with as many attempts as necessary.

    The loop does not change: it reads one stream, with all its views. Pieces of two
    different answers are never joined; `Retry` describes each mode.

    Args:
        open: Returns a source for `Stream`, or an unread `connect(…)`. The function gets the `Attempt`;
            without a parameter, it can only request the whole answer. Switch off an SDK's own retries
            (`max_retries=0`). `Route(open=…)` also gives it a price and a name.
        retry: The errors to retry, and how often and how; None for the defaults of `Retry`.
        format: The format of the answer: a name, a class or an object; None to detect it.
        limits: How large the answer may get, over all attempts; None for the defaults of `Limits`.
        deadlines: Bounds on silence, in seconds; `total` is over all attempts. None for the defaults of
            `Deadlines`.
        tags: Which tags in the model's text mark reasoning, calls and citations; None to leave it as it is.
        job: Your own id for this answer, from which the keys of its tool calls are made; or a `Job`, with the
            answer as an earlier process has left it. None for the provider's id. See `ToolCall.key`.

    Raises:
        MisuseError: The options cannot work, such as resuming with an `open` without arguments.
        StreamError: The last attempt failed; `.partial` has the answer so far. Raised in the loop.

    Example:
        >>> bodies = [b"data: Hel\n\n", b"data: Hel\n\ndata: lo\n\ndata: [DONE]\n\n"]
        >>> again = Retry(again=True, wait=0)
        >>> stream = resilient(lambda: [bodies.pop(0)], again, format="text")
        >>> list(stream.text), len(stream.attempts)
        (['Hel', 'lo'], 2)
    """
    retry = check_retry(retry, is_async=False)
    options = make_options(format, limits, deadlines, tags, job)
    return make_stream(Stream, make_opener(SyncOpener, open, options), retry, options)


@explain_options(answer_id="write job=")
def aresilient(
    open: Opens | Route,  # noqa: A002 - what it does
    retry: Retry | None = None,
    *,
    format: FormatName | type[Format] | Format | None = None,
    limits: Limits | None = None,
    deadlines: Deadlines | None = None,
    tags: Tags | None = None,
    job: Job | str | None = None,
) -> AsyncStream:
    """Read one answer in an `async for` loop, with as many attempts as necessary.

    This is `resilient` for an `AsyncStream`: `open` may be an `async def`, and may return any source for an
    `AsyncStream`, or an unread `aconnect(…)`.

    The other arguments and the errors are those of `resilient`.

    Example:
        >>> async def answer(client, question: str) -> str:
        ...     asked = [{"role": "user", "content": question}]
        ...     def ask():
        ...         return client.chat.completions.create(model="m", messages=asked, stream=True)
        ...     async with aresilient(ask, Retry(attempts=5)) as stream:
        ...         return (await stream.final()).text
    """
    retry = check_retry(retry, is_async=True)
    options = make_options(format, limits, deadlines, tags, job)
    return make_stream(AsyncStream, make_opener(AsyncOpener, open, options), retry, options)


def make_stream(kind: type[StreamT], opener: SourceOpener, retry: Retry, options: Options) -> StreamT:
    """Return a stream that begins with an opener, and recovers with it and with the routes."""
    is_async = opener.is_async
    # `Retry` has made `Routes` of any of its kinds.
    routes: Any = retry.routes
    openers: list[SourceOpener] = [opener]
    openers += [each.make_opener(options.deadlines, is_async=is_async) for each in routes.routes]
    itinerary = Itinerary(openers, retry, routes.hedge_after, current_clock()(), options.make_stage)
    first = itinerary.openers[0]
    job = options.job
    kept = None if job is None or job.is_over else job.checkpoint
    # Another route is asked first while the caller's first one is down. The driver needs a source to begin
    # with; the one that recovery makes replaces it.
    driver: Any = options._replace(
        format=first.format,
        make_stage=itinerary.stage_of(first),
        job=job if job is None or kept is None else replace(job, checkpoint=None),
    ).make_driver(AsyncDriver if is_async else SyncDriver, LazySource(do_nothing))
    if job is not None and job.is_over:
        return kind(driver)
    recovery = driver.recovery = Recovery(retry, itinerary, Resumption(driver.machine), driver.silence)
    if recovery.spending is not None:
        guard(driver, recovery.spending.bound, first_tokens=1, every=None, hold=False, counts=True)
    driver.pump.replace(recovery.make_first_source(driver.clock, kept))
    return kind(driver)


def check_retry(retry: object, *, is_async: bool) -> Retry:
    if retry is None:
        return Retry()
    if not isinstance(retry, Retry):
        raise MisuseError(f"retry= is a Retry, such as Retry(attempts=3), and not {type(retry).__name__}")
    if not is_async and to_routes(retry.routes).hedge_after is not None:
        raise MisuseError("hedge_after= needs an async stream: use aresilient or aconnect")
    return retry
