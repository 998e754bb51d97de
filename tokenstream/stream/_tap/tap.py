"""The function `tap`, which builds the message of a stream that other code reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

from tokenstream._basics.elsewhere import explain_options
from tokenstream._pipeline.factories import make_offered, make_stage_factory
from tokenstream._sources.kinds import class_name_of
from tokenstream._sources.requests import boto3_stream_key_of
from tokenstream.errors import MisuseError, StreamError
from tokenstream.stages._protocols import ItemT
from tokenstream.stream._base import StreamBase
from tokenstream.stream._tap.onlooker import Onlooker
from tokenstream.stream._tap.wrappers import AsyncWatchedStream, SyncWatchedStream, WatchedStream, can_read

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Iterable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from tokenstream._providers.apis import FormatName
    from tokenstream._sources.typing import EitherResponse
    from tokenstream.departures import Departures
    from tokenstream.formats._base import Format
    from tokenstream.limits import Limits
    from tokenstream.message import Message
    from tokenstream.schemas._build import ToolsOption
    from tokenstream.stages._metrics.metrics import Metrics
    from tokenstream.stages._text.tags import Tags
    from tokenstream.stream._views.payloads import PassedPayloads

    class _TapOptions(TypedDict, total=False):
        format: FormatName | type[Format] | Format | None
        limits: Limits | None
        started_at: float | None
        tools: ToolsOption
        tags: Tags | None


class _TapBase(WatchedStream[ItemT]):
    """The stream of another library, with the message of the answer read so far."""

    __slots__ = ()

    _onlooker: Onlooker

    @property
    def message(self) -> Message:
        """The answer so far: an immutable snapshot, which is built on each access."""
        return self._onlooker.machine.accumulator.message

    @property
    def messages(self) -> list[Message]:
        """All choices of the answer so far, by index."""
        return self._onlooker.machine.accumulator.messages

    @property
    def payloads(self) -> PassedPayloads:
        """The payloads that have passed since you last looked, each once: an iterator; after it the error.

        Ask for it before the loop, and loop over it within, and once more after it.
        """
        from tokenstream.stream._views.payloads import PassedPayloads

        return PassedPayloads(self._onlooker)

    @property
    def metrics(self) -> Metrics:
        """Timings of the answer so far."""
        return self._onlooker.machine.metrics

    @property
    def departures(self) -> Departures:
        """The server's departures from its documentation, by what they mean; `.details` has what it did."""
        return self._onlooker.machine.departures

    @property
    def error(self) -> StreamError | None:
        """The error that ended the answer, or None; a tap never raises it."""
        return self._onlooker.error

    def __repr__(self) -> str:
        state = f"{self._onlooker.machine.link.format or 'unknown format'}, {self.message.ending}"
        return f"<tap of {class_name_of(self._target)}: {state}>"


class Tap(_TapBase[ItemT], SyncWatchedStream[ItemT]):
    """A stream that is read in a `for` loop, with the message of the answer read so far; made by `tap`.

    Iteration yields the stream's own objects. All attributes and methods of the stream are
    available, and `with` enters and leaves the stream.
    """

    __slots__ = ()


class AsyncTap(_TapBase[ItemT], AsyncWatchedStream[ItemT]):
    """A stream that is read in an `async for` loop, with the message of the answer read so far.

    Made by `tap`. Iteration yields the stream's own objects. All attributes and methods of the
    stream are available, and `async with` enters and leaves the stream, after awaiting it if
    necessary.
    """

    __slots__ = ()


class _EitherTap(Tap[ItemT], AsyncTap[ItemT]):
    """A tap of a stream that has both a sync and an async interface."""

    __slots__ = ()


@overload
def tap(source: Iterable[ItemT], **options: Unpack[_TapOptions]) -> Tap[ItemT]: ...
@overload
def tap(source: AsyncIterable[ItemT], **options: Unpack[_TapOptions]) -> AsyncTap[ItemT]: ...
@overload
def tap(
    source: AbstractContextManager[Iterable[ItemT], bool | None], **options: Unpack[_TapOptions]
) -> Tap[ItemT]: ...
@overload
def tap(
    source: AbstractAsyncContextManager[AsyncIterable[ItemT], bool | None] | Awaitable[AsyncIterable[ItemT]],
    **options: Unpack[_TapOptions],
) -> AsyncTap[ItemT]: ...
@overload
def tap(source: EitherResponse, **options: Unpack[_TapOptions]) -> Any: ...  # noqa: ANN401 - a `Tap` or an `AsyncTap`: the response's class does not show which
@explain_options()
def tap(
    source: Any,
    *,
    format: FormatName | type[Format] | Format | None = None,
    limits: Limits | None = None,
    started_at: float | None = None,
    tools: ToolsOption = None,
    tags: Tags | None = None,
) -> Tap[Any] | AsyncTap[Any]:
    """Build the message of a stream that other code reads.

    The loop still gets the stream's own objects, and `with`, attributes and
    helper methods still reach the stream; the tap adds `message`, `metrics`,
    `departures` and `error`. If the stream reads an httpx or httpx2 response,
    as in the SDKs openai and anthropic, the tap sees every byte that is read from the
    response, by any method; otherwise the tap sees the objects that pass through the
    loop. The tap itself reads and closes nothing, and its own errors never
    reach the loop.

    Args:
        source: An SDK's stream, a context manager or an awaitable that returns one, or
            any (async) iterable of an SDK's objects, of dicts or of bytes; or an
            httpx or httpx2 response whose body the application reads.
        format: The format of the answer: a name, a class or an object; None to detect it.
        limits: How large the answer and its parts may get; None for the defaults of `Limits`.
        started_at: Time at which the request was sent, by `time.monotonic`; None if it is sent now.
        tools: The tools that the request offers to the model: `Tools`, the request's list, or a list of
            functions, types and names; None if they are not known.
        tags: Which tags in the model's text mark reasoning, calls and citations; None to leave it as it is.

    Raises:
        MisuseError: The source cannot be read in a loop, or an object in `tools` is no tool.

    Example:
        >>> theirs = [{"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]}]
        >>> for chunk in (tapped := tap(theirs)):
        ...     print(chunk is theirs[0])
        True
        >>> tapped.message.text, tapped.message.ending
        ('Hello', 'complete')
    """
    tap_type = _find_tap_type(source)
    onlooker = Onlooker(
        format=format,
        limits=limits,
        started_at=started_at,
        offered=make_offered(tools),
        make_stage=make_stage_factory(tags),
    )
    return tap_type(source, onlooker)


def _find_tap_type(source: object) -> type[Tap[Any] | AsyncTap[Any]]:
    """Return the class of taps for a source; raise `MisuseError` if no loop can read the source."""
    if StreamBase in type(source).__mro__:
        raise MisuseError(
            f"this {type(source).__name__} is already a stream: read it, without a tap, which is for the "
            "streams of other libraries; its message is .message"
        )
    is_sync, is_async = can_read(source)
    if is_sync and is_async:
        return _EitherTap
    if is_sync:
        return Tap
    if is_async:
        return AsyncTap
    key = boto3_stream_key_of(source)
    if key is not None:
        raise MisuseError(
            f'a response of boto3 cannot be looped over: tap its stream, response["{key}"], '
            "or read it with Stream"
        )
    raise MisuseError(
        f"{class_name_of(source)} cannot be tapped: pass the stream of an SDK, its context manager or "
        "awaitable, or an iterable of its objects; was stream=True forgotten in the request?"
    )
