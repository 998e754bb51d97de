"""Binary event streams of AWS, `application/vnd.amazon.eventstream`.

A message begins with its length, the length of its headers and a checksum of
both; the headers, the payload and a checksum of the whole message follow.
Lengths are trusted only once their checksum is right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar
from zlib import crc32

from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.framing._aws_headers import read_headers
from tokenstream.framing._chunks import as_bytes
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import StreamError
    from tokenstream.limits import Limits

__all__ = ["AWSEventStreamParser", "EventStreamMessage"]

EventT = TypeVar("EventT")
Kind: TypeAlias = Literal["event", "exception", "error"]

_prelude = Struct(">III").unpack_from
_word = Struct(">I").unpack_from
_PRELUDE = 12
_LEAST = 16
"""Size of a message without headers and payload: the prelude and the last checksum."""
_MOST_HEADERS = 128 * 1024
"""The maximum that AWS documents; real headers take a few dozen bytes."""
_MOST_KNOWN = 32
"""Parsed headers that are cached: a stream repeats a few of them, byte for byte."""
_MOST_KEPT = 512
"""The longest headers that are cached, in bytes."""
_MOST_LENGTHS = 512
"""Message lengths whose verified prelude is cached."""
_CHANGED = "the body was changed on its way, often by a proxy that takes it for text"

_NAMES: dict[str, tuple[Kind, str]] = {
    "event": ("event", ":event-type"),
    "exception": ("exception", ":exception-type"),
    "error": ("error", ":error-code"),
}
"""The kind for each `:message-type`, and the header that holds the event's name."""

_Read: TypeAlias = tuple[str, Kind, dict[str, Any]]
_NOTHING: _Read = ("", "event", {})


@dataclass(slots=True)
class EventStreamMessage:
    """One message of a binary event stream.

    Example:
        >>> EventStreamMessage(b'{"role": "assistant"}', event="messageStart").kind
        'event'
    """

    payload: bytes
    """The payload's bytes."""
    event: str = ""
    """The event type, the exception type or the error code."""
    kind: Kind = "event"
    """The kind of message: "event" is part of the answer, "exception" and "error" are failures."""
    headers: dict[str, Any] = field(default_factory=dict[str, Any])
    """All headers by name, those of the protocol included; messages of a stream share them."""


class AWSEventStreamParser:
    r"""The messages of a binary event stream, at any chunking, with both checksums verified.

    A message that the end of the input cuts is not returned; `tail` has its start.

    Args:
        limits: `line` bounds a message, `event` its payload, `tail` the property `tail`.

    Example:
        >>> parser = AWSEventStreamParser()
        >>> empty = bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff")
        >>> parser.feed(empty[:15]), parser.feed(empty[15:] + empty[:3])
        ([], [EventStreamMessage(payload=b'', event='', kind='event', headers={})])
        >>> parser.tail
        b'\x00\x00\x00'
    """

    __slots__ = (
        "_ended",
        "_held",
        "_kept",
        "_known",
        "_least",
        "_limits",
        "_needed",
        "_offset",
        "_reader",
        "error",
    )

    stop: str | None = None
    """A framing never asks to close the source."""
    unfinished: EventStreamMessage | None = None
    """Always None: a message without its last bytes lacks its checksum."""

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.error: StreamError | None = None
        """The fault after the messages that the last `feed` returned, or None."""
        self._limits = limits
        # A message that is no longer than this passes every bound.
        self._least = min(limits.line, limits.event)
        self._known: dict[bytes, _Read] = {}
        self.reset()

    def reset(self) -> None:
        """Begin a new connection."""
        self.error = None
        self._ended = False
        self._held = bytearray()
        # Number of bytes to hold before they are looked at again.
        self._needed = _PRELUDE
        self._offset = 0
        self._reader: _OneMessage | None = None
        self._kept = b""

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise self.error

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished message, or of the one at fault, at most `Limits.tail`."""
        return self._kept if self.error is not None else bytes(self._held[: self._limits.tail])

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[EventStreamMessage]:
        """Return the messages that this chunk completes.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Unused; every stage takes it.
        """
        return self.frames(chunk, now=now)

    def frames(self, chunk: bytes, *, now: float = 0.0) -> list[EventStreamMessage]:
        """Return what `feed` returns; every framing has this name for it.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Unused; every stage takes it.
        """
        if chunk.__class__ is not bytes or self._ended or self.error is not None:
            taken = as_bytes(chunk, type(self).__name__, ended=self._ended)
            chunk = taken if self.error is None else b""
        held = self._held
        if held:
            held += chunk
            if len(held) < self._needed:
                return []
            chunk = bytes(held)
            self._held = bytearray()
        frames: list[EventStreamMessage] = []
        rest = self._cut(chunk, frames)
        if self.error is None and rest < len(chunk):
            self._held += chunk[rest:]
        self._offset += rest
        return frames

    def end(self, *, now: float = 0.0) -> list[EventStreamMessage]:
        """Say that the input has ended; the start of an unfinished message stays in `tail`.

        Args:
            now: Unused; every stage takes it.
        """
        self._ended = True
        return []

    def alone(
        self, name: str, start: bytes, read: Callable[[bytes], EventT | None]
    ) -> Callable[[bytes], EventT | None] | None:
        """Return a function that reads chunks that are one whole event each; None while bytes are held.

        The function stays valid as long as it reads every chunk. If it returns
        None for a chunk, give that chunk to `feed` and ask for a new function.

        Args:
            name: The event's type.
            start: The beginning of its payload.
            read: Reads the rest of its payload, or returns None.
        """
        if self._held or self._ended or self.error is not None:
            return None
        reader = self._reader
        if reader is None or reader.name != name:
            self._offset += 0 if reader is None else reader.bytes
            kept = [data for data, known in self._known.items() if known[:2] == (name, "event")]
            if not kept:
                return None
            reader = self._reader = _OneMessage(name, kept[-1], self._least)
        reader.expect(start)
        reader.inner = read
        return reader.read

    # -- within ------------------------------------------------------------

    def _cut(self, data: bytes, frames: list[EventStreamMessage]) -> int:
        """Add the messages in `data`; return the position of the first one that is cut or at fault."""
        start, size = 0, len(data)
        known = self._known
        while start + _PRELUDE <= size:
            total, of_headers, told = _prelude(data, start)
            seen = crc32(data[start : start + 8])
            room = total - _LEAST
            if seen != told or total > self._least or of_headers > room or of_headers > _MOST_HEADERS:
                self.error = self._find_wrong_length(total, of_headers, start, right=seen == told)
                if self.error is not None:
                    self._kept = data[start : start + _PRELUDE][: self._limits.tail]
                    return start
            end = start + total
            if end > size:
                self._needed = total
                return start
            body = start + _PRELUDE + of_headers
            headers = data[start + _PRELUDE : body]
            # The checksum covers the whole message, so it continues from the prelude's.
            if crc32(data[start + 8 : end - 4], seen) != _word(data, end - 4)[0]:
                self.error, read = self._make_fault(start, f"has a wrong CRC: {_CHANGED}"), _NOTHING
            else:
                read = known.get(headers) or self._read_headers(headers, start)
            if self.error is not None:
                self._kept = data[start:end][: self._limits.tail]
                return start
            frames.append(EventStreamMessage(data[body : end - 4], *read))
            start = end
        self._needed = _PRELUDE
        return start

    def _find_wrong_length(
        self, total: int, of_headers: int, start: int, *, right: bool
    ) -> ProtocolError | None:
        """Return the error for a message's lengths; None if they are within every bound."""
        if not right:
            return self._make_fault(start, f"has a wrong CRC of its lengths: {_CHANGED}")
        room = total - _LEAST
        if of_headers > room or of_headers > _MOST_HEADERS:
            return self._make_fault(
                start, f"has lengths that cannot be: {total} bytes, of which {of_headers} are headers"
            )
        limits = self._limits
        if total > limits.line:
            return LimitExceeded(limit="line", value=limits.line)
        return LimitExceeded(limit="event", value=limits.event) if room - of_headers > limits.event else None

    def _make_fault(self, start: int, what: str) -> ProtocolError:
        offset = self._offset + start + (0 if self._reader is None else self._reader.bytes)
        return ProtocolError(f"the message at byte {offset} {what}", offset=offset)

    def _read_headers(self, data: bytes, start: int) -> _Read:
        try:
            headers = read_headers(data)
        except ValueError as error:
            self.error = self._make_fault(start, f"has headers that cannot be read: {error}")
            return _NOTHING
        kind, named = _NAMES.get(str(headers.get(":message-type")), _NAMES["event"])
        name = headers.get(named)
        read = (name if isinstance(name, str) else "", kind, headers)
        if len(data) <= _MOST_KEPT and len(self._known) < _MOST_KNOWN:
            self._known[data] = read
        return read


class _OneMessage:
    """Reads chunks that are one message with known headers.

    Args:
        name: The event's type.
        headers: All bytes between the message's prelude and its payload.
        most: The longest message to read this way, in bytes.
    """

    __slots__ = ("_headers", "_most", "_proved", "_size", "_start", "bytes", "inner", "name")

    def __init__(self, name: str, headers: bytes, most: int) -> None:
        self.name = name
        self.inner: Callable[[bytes], Any] = len
        """Reads the rest of a payload after its expected start, or returns None."""
        self.bytes = 0
        """Number of bytes read this way."""
        self._headers = headers
        self._most = most
        self._start = headers
        """The bytes between the prelude and the part that `inner` reads."""
        self._size = _PRELUDE + len(headers)
        self._proved: dict[int, tuple[bytes, int]] = {}
        """By message length: the bytes before the part that `inner` reads, and their checksum."""

    def expect(self, start: bytes) -> None:
        """Set the beginning that all payloads share."""
        if self._start != self._headers + start:
            self._start = self._headers + start
            self._size = _PRELUDE + len(self._start)
            self._proved = {}

    def read(self, chunk: bytes) -> Any:  # noqa: ANN401 - what the payload is read as
        """Return the result of `inner`, or None for a chunk that is not such a message."""
        size, total = self._size, len(chunk)
        start, seen = self._proved.get(total) or self._prove(chunk)
        if chunk[:size] != start:
            return None
        rest = chunk[size:-4]
        if crc32(rest, seen).to_bytes(4, "big") != chunk[-4:]:
            return None
        made = self.inner(rest)
        if made is not None:
            self.bytes += total
        return made

    def _prove(self, chunk: bytes) -> tuple[bytes, int]:
        """Return the bytes before the part that `inner` reads, and their checksum; (b"", 0) if wrong."""
        size = self._size
        start = chunk[:size]
        if not size + 4 <= len(chunk) <= self._most or start[_PRELUDE:] != self._start:
            return b"", 0
        total, of_headers, told = _prelude(start)
        if crc32(start[:8]) != told or of_headers != len(self._headers) or total != len(chunk):
            return b"", 0
        proved = start, crc32(start)
        if len(self._proved) < _MOST_LENGTHS:
            self._proved[total] = proved
        return proved
