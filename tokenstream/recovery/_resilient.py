"""One stream over as many attempts as it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from tokenstream._glance import through_of
from tokenstream.errors import MisuseError
from tokenstream.recovery._open import AsyncOpener, Opener, SyncOpener, openers_of
from tokenstream.recovery._recovery import Recovery
from tokenstream.recovery._retry import Retry
from tokenstream.sources import Deferred
from tokenstream.stream import AsyncStream, Stream
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._driver import Options
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.formats.base import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.recovery._retry import Opens
    from tokenstream.stages import Reorder

StreamT = TypeVar("StreamT", Stream, AsyncStream)

__all__ = ["aresilient", "checked", "read_again", "resilient"]


def resilient(
    open: Opens,  # noqa: A002 - what it does
    retry: Retry | None = None,
    *,
    format: str | Format | None = None,
    limits: Limits | None = None,
    deadlines: Deadlines | None = None,
    clock: Callable[[], float] = time.monotonic,
    pings: bool = False,
    reorder: Reorder | None = None,
    reasoning_tags: bool | Iterable[str] = (),
) -> Stream:
    r"""Read one answer over as many attempts as it takes.

    The loop does not change: it sees one stream, with all its views. Nothing of
    two answers is ever joined: see `Retry` for what is done where.

    Args:
        open: Opens a source, whatever `Stream` takes: a function of the `Attempt`, or of nothing, which
            then can only ask from zero. An SDK's own retries are best turned off (`max_retries=0`).
        retry: What is asked for again, how often, and how.
        format: The format's name or a format object; None to find it out.
        limits: Bounds on untrusted input, over all attempts.
        deadlines: Bounds on silence; `total` is over all attempts.
        clock: Where the time comes from, in seconds.
        pings: Whether signs of life become `Ping` events.
        reorder: Puts frames right that come out of order or twice; None to take them as they come.
        reasoning_tags: Names of tags, such as ("think",), between which the model writes its reasoning into
            the text; it is told as reasoning then. True for think, thinking, thought and reasoning.

    Raises:
        MisuseError: What is asked for cannot be done, such as to resume with an `open` without argument.
        StreamError: In the loop: the last attempt's error, with what had arrived in `partial`.

    Example:
        >>> bodies = [b"data: Hel\n\n", b"data: Hel\n\ndata: lo\n\ndata: [DONE]\n\n"]
        >>> stream = resilient(lambda: [bodies.pop(0)], Retry(mode="restart", wait=0), format="text")
        >>> list(stream.text), len(stream.attempts)
        (['Hel', 'lo'], 2)
    """
    asked = checked(retry, is_async=False)
    openers = (SyncOpener(open, format), *openers_of(SyncOpener, tuple(asked.fallback)))
    options = Options(
        format, limits, deadlines, None, clock, pings, reorder, through=through_of(reasoning_tags)
    )
    return read_again(Stream, openers, asked, options)


def aresilient(
    open: Opens,  # noqa: A002 - what it does
    retry: Retry | None = None,
    *,
    format: str | Format | None = None,
    limits: Limits | None = None,
    deadlines: Deadlines | None = None,
    clock: Callable[[], float] = time.monotonic,
    pings: bool = False,
    reorder: Reorder | None = None,
    reasoning_tags: bool | Iterable[str] = (),
) -> AsyncStream:
    """Read one answer over as many attempts as it takes, in an `async for` loop.

    It is `resilient` for an `AsyncStream`; `open` may be an `async def`, and return
    whatever an `AsyncStream` takes.

    Args:
        open: Opens a source: a function of the `Attempt`, or of nothing.
        retry: What is asked for again, how often, and how.
        format: The format's name or a format object; None to find it out.
        limits: Bounds on untrusted input, over all attempts.
        deadlines: Bounds on silence; `total` is over all attempts.
        clock: Where the time comes from, in seconds.
        pings: Whether signs of life become `Ping` events.
        reorder: Puts frames right that come out of order or twice; None to take them as they come.
        reasoning_tags: Names of tags, such as ("think",), between which the model writes its reasoning into
            the text; it is told as reasoning then. True for think, thinking, thought and reasoning.

    Raises:
        MisuseError: What is asked for cannot be done.
        StreamError: In the loop: the last attempt's error, with what had arrived in `partial`.

    Example:
        >>> async def answer(client, question: str) -> str:
        ...     def ask():
        ...         return client.chat.completions.create(model="gpt-5", messages=[question], stream=True)
        ...     async with aresilient(ask, Retry(attempts=5)) as stream:
        ...         return (await stream.final()).text
    """
    asked = checked(retry, is_async=True)
    openers = (AsyncOpener(open, format), *openers_of(AsyncOpener, tuple(asked.fallback)))
    options = Options(
        format, limits, deadlines, None, clock, pings, reorder, through=through_of(reasoning_tags)
    )
    return read_again(AsyncStream, openers, asked, options)


def read_again(kind: type[StreamT], openers: tuple[Opener, ...], retry: Retry, options: Options) -> StreamT:
    """Return a stream of the openers.

    Args:
        kind: `Stream` or `AsyncStream`.
        openers: What opens the sources.
        retry: What is asked for again.
        options: How to read.

    Raises:
        MisuseError: It is to be resumed or continued with an `open` that is not told of the attempt.
    """
    if retry.mode in ("resume", "continue") and not openers[0].resumes:
        told = "the position" if retry.mode == "resume" else "the turns of the answer so far"
        raise MisuseError(
            f'mode="{retry.mode}" needs an open that takes the attempt, which tells {told}: def open(attempt)'
        )
    plain: Any = kind
    driver: Any = (AsyncDriver if plain is AsyncStream else SyncDriver)(
        Deferred(_never), options._replace(renewable=True)
    )
    driver.pump.replace(Recovery(retry, openers).begin(driver))
    return kind(driver)


def _never() -> None:
    raise RuntimeError("another source is put in its place before it is opened")


def checked(retry: object, *, is_async: bool) -> Retry:
    """Return what is asked for again.

    Args:
        retry: A `Retry`; None for the default one.
        is_async: Whether it is for an `AsyncStream`.

    Raises:
        MisuseError: It is none, or needs tasks.
    """
    if retry is None:
        return Retry()
    if not isinstance(retry, Retry):
        raise MisuseError(f"retry= is a Retry, such as Retry(attempts=3), and not {type(retry).__name__}")
    if retry.hedge_after is not None and not is_async:
        raise MisuseError("hedge_after= needs tasks: use aresilient or aconnect")
    return retry
