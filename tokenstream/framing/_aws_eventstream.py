"""Binary event streams of AWS, `application/vnd.amazon.eventstream`.

A message begins with its *prelude*: the length of the message, the length of its
headers, and a checksum of both lengths. The headers, the payload and a checksum of the
whole message follow. A length is used only after its checksum has been verified.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from zlib import crc32

from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream.errors import LimitExceeded, ProtocolError, StreamError
from tokenstream.framing._frames import EventStreamMessage, MessageKind
from tokenstream.framing._framing import Decoding, Framing, Shortcut
from tokenstream.framing._lines import as_bytes
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable


EventT = TypeVar("EventT")

_unpack_prelude = Struct(">III").unpack_from
_unpack_checksum = Struct(">I").unpack_from
_PRELUDE = 12
_SMALLEST_MESSAGE = 16
"""Size of a message without headers and payload: the prelude and the checksum at the end."""
_MOST_HEADERS = 128 * 1024
"""The maximum size of all headers that AWS documents; real headers take a few dozen bytes."""
_MOST_CACHED = 32
"""Number of parsed headers to cache: in a stream, the bytes of a few headers repeat."""
_LONGEST_CACHED = 512
"""Maximum size of headers that are cached, in bytes."""
_MOST_LENGTHS = 512
"""Number of message lengths for which the verified prelude is cached."""
_BODY_WAS_CHANGED = "the body was changed on its way, often by a proxy that takes it for text"

_NAMES: dict[str, tuple[MessageKind, str]] = {
    "event": ("event", ":event-type"),
    "exception": ("exception", ":exception-type"),
    "error": ("error", ":error-code"),
}
"""Maps each `:message-type` to the kind, and to the header that contains the event's name."""

_HeaderContent: TypeAlias = "tuple[str, MessageKind, dict[str, Any]]"
"""The content of a message's headers: the event's name, the kind of message, and all headers."""
_NO_HEADERS: _HeaderContent = ("", "event", {})

_CONSTANTS = {0: True, 1: False}
"""Maps each header type that has no further bytes to its value."""
_INTEGERS = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8}
"""Maps each header type that is an integer to its size in bytes; type 8 is a time in milliseconds."""
_BYTES, _STRING, _UUID = 6, 7, 9
_UUID_SIZE = 16


class AWSEventStreamParser(ErrorKeeper, Framing):
    r"""Read the messages of a binary event stream, wherever the chunks were cut; verify both checksums.

    If the input ends within a message, that message is not returned; its start is in `tail`.

    Args:
        limits: `line` limits the size of a message, `event` that of its payload, `tail` that of `tail`.

    Example:
        >>> parser = AWSEventStreamParser()
        >>> empty = bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff")
        >>> parser.feed(empty[:15]), parser.feed(empty[15:] + empty[:3])
        ([], [EventStreamMessage(payload=b'', event='', kind='event', headers={})])
        >>> parser.tail
        b'\x00\x00\x00'
    """

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.error: StreamError | None = None
        """The error that follows the messages which the last `feed` returned, or None."""
        self._limits = limits
        # A message of at most this size is within every limit.
        self._largest_safe = min(limits.line, limits.event)
        self._header_cache: dict[bytes, _HeaderContent] = {}
        """Caches the content of headers by their bytes."""
        self.reset()

    def reset(self) -> None:
        """Begin reading a new connection."""
        self.error = None
        self._ended = False
        self._held = bytearray()
        # The held bytes are not looked at again until there are this many.
        self._needed = _PRELUDE
        # Number of bytes before the next message, except those that `_reader` has read.
        self._offset = 0
        # Reads the chunks for the last function that `shortcut` returned.
        self._reader: _OneMessage | None = None
        self._tail_at_error = b""

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished or faulty message, at most the first `Limits.tail` of them."""
        return self._tail_at_error if self.error is not None else bytes(self._held[: self._limits.tail])

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[EventStreamMessage]:
        """Return the messages that this chunk completes.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Not used; every stage has this parameter.
        """
        return self.frames(chunk, now=now)

    def frames(self, chunk: bytes, *, now: float = 0.0) -> list[EventStreamMessage]:
        """Return the same as `feed`; every framing has a method of this name.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Not used; every stage has this parameter.
        """
        if chunk.__class__ is not bytes or self._ended or self.error is not None:
            # `as_bytes` refuses a chunk after the end; after an error, chunks are ignored.
            checked = as_bytes(chunk, type(self).__name__, ended=self._ended)
            chunk = checked if self.error is None else b""
        held = self._held
        if held:
            # In place, so that `_held` has the chunk, too.
            held += chunk
            if len(held) < self._needed:
                return []
            chunk = bytes(held)
            self._held = bytearray()
        frames: list[EventStreamMessage] = []
        end = self._read_messages(chunk, frames)
        if self.error is None and end < len(chunk):
            self._held += chunk[end:]
        self._offset += end
        return frames

    def end(self, *, now: float = 0.0) -> list[EventStreamMessage]:
        """End the input; the start of an unfinished message remains in `tail`.

        Args:
            now: Not used; every stage has this parameter.
        """
        self._ended = True
        return []

    @property
    def cut_message(self) -> bytes:
        """The bytes of the message in which the input so far ends: it states its length."""
        return self.tail

    def make_shortcut(self, format: Decoding) -> Shortcut | None:
        # The framing has to verify a chunk's checksum, so it calls the format's function itself.
        payload_shortcut = format.payload_shortcut()
        return None if payload_shortcut is None else self.shortcut(*payload_shortcut)

    def shortcut(
        self, name: str, start: bytes, read: Callable[[bytes], EventT | None]
    ) -> Callable[[bytes], EventT | None] | None:
        """Return a function that reads a chunk faster than `feed`, if the chunk is one whole event.

        The result is None while part of a message is held, before a message with this name was read, and
        after an error or the end.

        The function remains valid only if it is called with every chunk. If it returns
        None for a chunk, pass that chunk to `feed` and request a new function.

        Args:
            name: The event's type.
            start: The beginning of the event's payload.
            read: Reads the rest of the payload; returns None if it cannot.
        """
        if self._held or self._ended or self.error is not None:
            return None
        reader = self._reader
        if reader is None or reader.name != name:
            # The bytes that the replaced reader has read still count for the offsets of errors.
            self._offset += 0 if reader is None else reader.bytes_read
            # The headers of messages of this kind that were read before; this event repeats the newest.
            # The content of headers begins with the message's name and kind.
            headers = [data for data, content in self._header_cache.items() if content[:2] == (name, "event")]
            if not headers:
                return None
            reader = self._reader = _OneMessage(name, headers[-1], self._largest_safe)
        reader.expect(start)
        reader.read_rest = read
        return reader.read

    # -- within ------------------------------------------------------------

    def _read_messages(self, data: bytes, frames: list[EventStreamMessage]) -> int:
        """Add the whole, valid messages that begin `data` to `frames`; return the position after them."""
        start, size = 0, len(data)
        header_cache = self._header_cache
        while start + _PRELUDE <= size:
            total, headers_size, stated_checksum = _unpack_prelude(data, start)
            checksum = crc32(data[start : start + 8])
            # The number of bytes left for headers and payload.
            room = total - _SMALLEST_MESSAGE
            needs_check = (
                checksum != stated_checksum
                or total > self._largest_safe
                or headers_size > room
                or headers_size > _MOST_HEADERS
            )
            if needs_check:
                # A message that is larger than `_largest_safe` may be within the limits nevertheless.
                self.error = self._check_lengths(
                    total, headers_size, start, verified=checksum == stated_checksum
                )
                if self.error is not None:
                    self._tail_at_error = data[start : start + _PRELUDE][: self._limits.tail]
                    return start
            end = start + total
            if end > size:
                self._needed = total
                return start
            body = start + _PRELUDE + headers_size
            headers = data[start + _PRELUDE : body]
            # This checksum covers the whole message, so it continues the checksum of the prelude.
            if crc32(data[start + 8 : end - 4], checksum) != _unpack_checksum(data, end - 4)[0]:
                self.error = self._make_fault(start, f"has a wrong CRC: {_BODY_WAS_CHANGED}")
                content = _NO_HEADERS
            else:
                content = header_cache.get(headers) or self._read_headers(headers, start)
            if self.error is not None:
                self._tail_at_error = data[start:end][: self._limits.tail]
                return start
            frames.append(EventStreamMessage(data[body : end - 4], *content))
            start = end
        self._needed = _PRELUDE
        return start

    def _check_lengths(
        self, total: int, headers_size: int, start: int, *, verified: bool
    ) -> ProtocolError | None:
        """Return the error for the lengths of a message; None if they are allowed.

        If only a limit forbids them, the error is a `LimitExceeded`, which is a `ProtocolError`, too.
        """
        if not verified:
            return self._make_fault(start, f"has a wrong CRC of its lengths: {_BODY_WAS_CHANGED}")
        room = total - _SMALLEST_MESSAGE
        if headers_size > room or headers_size > _MOST_HEADERS:
            return self._make_fault(
                start, f"has lengths that cannot be: {total} bytes, of which {headers_size} are headers"
            )
        limits = self._limits
        if total > limits.line:
            return LimitExceeded(limit="line", value=limits.line)
        payload_size = room - headers_size
        return LimitExceeded(limit="event", value=limits.event) if payload_size > limits.event else None

    def _make_fault(self, start: int, predicate: str) -> ProtocolError:
        # The bytes that the reader of single messages has read are not in `_offset`.
        offset = self._offset + start + (0 if self._reader is None else self._reader.bytes_read)
        return ProtocolError(f"the message at byte {offset} {predicate}", offset=offset)

    def _read_headers(self, data: bytes, start: int) -> _HeaderContent:
        """Return the content of a message's headers; set `error` if they cannot be parsed."""
        try:
            headers = read_headers(data)
        except ValueError as error:
            self.error = self._make_fault(start, f"has headers that cannot be read: {error}")
            return _NO_HEADERS
        # A message of an unknown type is taken for an event.
        kind, name_header = _NAMES.get(str(headers.get(":message-type")), _NAMES["event"])
        name = headers.get(name_header)
        content = (name if isinstance(name, str) else "", kind, headers)
        if len(data) <= _LONGEST_CACHED and len(self._header_cache) < _MOST_CACHED:
            self._header_cache[data] = content
        return content


class _OneMessage:
    """Reads chunks that consist of one message with known headers, faster than the parser does.

    The beginning of the payload is known, too; the function `read_rest` reads the rest of the payload.

    Args:
        name: The event's type.
        headers: All bytes between the message's prelude and its payload.
        max_size: The maximum size of a message to read this way, in bytes.
    """

    def __init__(self, name: str, headers: bytes, max_size: int) -> None:
        self.name = name
        self.read_rest: Callable[[bytes], Any] = len
        """Reads the rest of a payload after its expected start; returns None if it cannot.

        `len` is a placeholder: the function is set before the first read.
        """
        self.bytes_read = 0
        """Number of bytes of the messages that this object has read."""
        self._headers = headers
        self._max_size = max_size
        self._start = headers
        """The bytes between the prelude and the part of the payload that `read_rest` reads."""
        self._size = _PRELUDE + len(headers)
        """Number of bytes before the part of the payload that `read_rest` reads."""
        self._verified: dict[int, tuple[bytes, int]] = {}
        """Maps a message's length to the bytes before the part for `read_rest`, and to their checksum."""

    def expect(self, start: bytes) -> None:
        """Set the bytes with which the payload of each message must begin."""
        if self._start != self._headers + start:
            # Messages with another beginning have other checksums, so none is verified yet.
            self._start = self._headers + start
            self._size = _PRELUDE + len(self._start)
            self._verified = {}

    def read(self, chunk: bytes) -> Any:  # noqa: ANN401 - what the payload is read as
        """Verify that a chunk is one message as expected; return what `read_rest` makes of it, or None."""
        size, total = self._size, len(chunk)
        # The start is verified once for each length of a message; b"" stands for a start that is not valid.
        start, checksum = self._verified.get(total) or self._verify_start(chunk)
        if chunk[:size] != start:
            return None
        # The last 4 bytes are the checksum of all others.
        rest = chunk[size:-4]
        if crc32(rest, checksum).to_bytes(4, "big") != chunk[-4:]:
            return None
        result = self.read_rest(rest)
        if result is not None:
            self.bytes_read += total
        return result

    def _verify_start(self, chunk: bytes) -> tuple[bytes, int]:
        """Verify a message's prelude, its known headers, and the expected beginning of its payload.

        The result is these bytes and their checksum; (b"", 0) if the chunk is not one such message, or is too
        long.
        """
        size = self._size
        start = chunk[:size]
        # The last 4 bytes are the checksum of the message.
        if not size + 4 <= len(chunk) <= self._max_size or start[_PRELUDE:] != self._start:
            return b"", 0
        total, headers_size, stated = _unpack_prelude(start)
        if crc32(start[:8]) != stated or headers_size != len(self._headers) or total != len(chunk):
            return b"", 0
        verified = start, crc32(start)
        if len(self._verified) < _MOST_LENGTHS:
            self._verified[total] = verified
        return verified


def read_headers(data: bytes) -> dict[str, Any]:
    r"""Return the headers of a message by name; raise a `ValueError` if the protocol does not allow them."""
    headers: dict[str, Any] = {}
    position = 0
    while position < len(data):
        # A header consists of the length of its name, the name, the type of its value, and the value.
        name, position = _read_sized(data, position, size=1)
        key = str(name, "utf-8", "replace")
        if key in headers:
            raise ValueError("a name comes twice")
        (kind,), position = _take_bytes(data, position, size=1)
        headers[key], position = _read_value(kind, data, position)
    return headers


def _read_value(kind: int, data: bytes, position: int) -> tuple[Any, int]:
    if kind in _CONSTANTS:
        return _CONSTANTS[kind], position
    if kind in _INTEGERS:
        value, position = _take_bytes(data, position, _INTEGERS[kind])
        return int.from_bytes(value, "big", signed=True), position
    if kind == _UUID:
        return _take_bytes(data, position, _UUID_SIZE)
    if kind not in (_BYTES, _STRING):
        raise ValueError(f"type {kind} does not exist")
    # Bytes and text come after their length, which takes two bytes.
    value, position = _read_sized(data, position, size=2)
    return (value if kind == _BYTES else str(value, "utf-8", "replace")), position


def _read_sized(data: bytes, position: int, size: int) -> tuple[bytes, int]:
    """Return bytes that follow their own length, written in `size` bytes, and the position after them."""
    length, position = _take_bytes(data, position, size)
    return _take_bytes(data, position, int.from_bytes(length, "big"))


def _take_bytes(data: bytes, position: int, size: int) -> tuple[bytes, int]:
    """Return the next `size` bytes, and the position after them."""
    end = position + size
    if end > len(data):
        raise ValueError("a header is longer than all headers together")
    return data[position:end], end
