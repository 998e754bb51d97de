"""The function `merge`, which checks its argument and returns a merge of the right kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from tokenstream._sources.kinds import class_name_of
from tokenstream.errors import MisuseError
from tokenstream.stream._async import AsyncStream
from tokenstream.stream._base import StreamBase
from tokenstream.stream._fan_out.lanes import K, Labelled
from tokenstream.stream._fan_out.merge_async import AsyncMerge
from tokenstream.stream._fan_out.merge_sync import Merge
from tokenstream.stream._sync import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self, TypeGuard


class _NoStreams(Merge[K]):
    """A merge without streams; a sync or async loop over it ends at once."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[Labelled[K]]:
        return self

    async def __anext__(self) -> Labelled[K]:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Do nothing: there is no stream to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        """Do nothing: there is no stream to close."""


@overload
def merge(streams: Mapping[K, Stream], *, fail_fast: bool = True) -> Merge[K]: ...
@overload
def merge(streams: Mapping[K, AsyncStream], *, fail_fast: bool = True) -> AsyncMerge[K]: ...
def merge(streams: Mapping[K, Any], *, fail_fast: bool = True) -> Merge[K] | AsyncMerge[K]:
    r"""Read several streams at the same time, in one loop over their events with the streams' labels.

    The events of each stream keep their order, and a fast stream does not delay a slow stream.
    All requests are sent together. The end of `with` closes all streams. `streams` has the
    streams, whose views may also be read; `messages` has their answers, and `errors` their errors.

    Args:
        streams: The streams by label: all `Stream`, for a `for` loop, or all `AsyncStream`, for
            an `async for` loop.
        fail_fast: True to end all streams when the first stream fails: events that have arrived are
            delivered, the other streams are stopped, and the error is raised. False to raise the
            error once the other streams are over.

    Raises:
        MisuseError: The argument is not a mapping of streams, or mixes both kinds.
        StreamError: A stream has failed; a note and `failed` have its label. Raised in the loop.

    Example:
        >>> from tokenstream import Stream, merge
        >>> left = Stream(["Hel", "lo"], format="pieces")
        >>> right = Stream(["Good ", "bye"], format="pieces")
        >>> with merge({"left": left, "right": right}) as merged:
        ...     labels = {label for label, event in merged}
        >>> sorted(labels), merged.messages["right"].text
        (['left', 'right'], 'Good bye')
    """
    kind = _find_common_kind(streams)
    if kind is None:
        # Without streams, nothing shows the kind of the loop, so this merge supports both.
        return _NoStreams(streams, fail_fast=fail_fast)
    if kind is AsyncStream:
        return AsyncMerge(streams, fail_fast=fail_fast)
    return Merge(streams, fail_fast=fail_fast)


def _find_common_kind(streams: object) -> type[Stream | AsyncStream] | None:
    """Return the class of the streams in a mapping; None for an empty mapping.

    Raises:
        MisuseError: The argument is not a mapping of streams, or has a stream twice or both kinds of streams.
    """
    if not _is_mapping(streams):
        raise MisuseError(
            'merge takes streams by their labels, merge({"search": stream, "write": other}), '
            f"not {class_name_of(streams)}"
        )
    labels: dict[int, object] = {}
    kinds: dict[type[Stream | AsyncStream], object] = {}
    for label, stream in streams.items():
        kind = next((kind for kind in (Stream, AsyncStream) if isinstance(stream, kind)), None)
        if kind is None and isinstance(stream, StreamBase):
            raise MisuseError(f"{label!r} is one of several readers: merge takes the stream itself")
        if kind is None:
            raise MisuseError(
                f"merge takes streams, and {label!r} is {class_name_of(stream)}: wrap it in a Stream"
            )
        other = labels.setdefault(id(stream), label)
        if other != label:
            raise MisuseError(f"{label!r} and {other!r} are the same stream: give it one label")
        kinds.setdefault(kind, label)
    if len(kinds) > 1:
        raise MisuseError(
            f"{kinds[Stream]!r} is a Stream and {kinds[AsyncStream]!r} an AsyncStream: merge one kind only"
        )
    return next(iter(kinds), None)


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    """Return True for a mapping."""
    return isinstance(value, Mapping)
