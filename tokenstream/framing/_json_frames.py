"""Cuts bytes into JSON payloads, in whichever of three ways they are framed: by lines, headers or SSE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.members import show_members
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.framing._chunks import as_bytes
from tokenstream.framing._ndjson import NDJSONParser
from tokenstream.framing._sse import SSEParser
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.limits import Limits

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_HEADER = b"content-"
_FIELDS = (b"data:", b"event:", b"retry:", b"id:", b":")
"""Beginnings of the lines of SSE."""
_LONGEST_START = 8
"""Length of the longest of these beginnings."""
_HEAD = 8 * 1024
"""Maximum number of bytes in the headers of one message."""


@show_members
class JSONFrames:
    r"""Cut JSON payloads out of bytes, which may be framed in one of three ways.

    Each payload is a line; or it follows headers with its length; or it is the data of an SSE event. The
    first line that has the form of one of these decides for the whole input. The lines before that line, such
    as a banner, are counted in `banner_lines` and left out. If each payload is a line, some lines may not be
    JSON, such as a log: `feed` returns them, too, and its caller decides.

    Args:
        limits: `line` and `event` limit the size of a payload.

    Example:
        >>> JSONFrames().feed(b'hello\n{"a": 1}\n{"b"')
        [b'{"a": 1}']
        >>> JSONFrames().feed(b'Content-Length: 8\r\n\r\n{"a": 1}')
        [b'{"a": 1}']
        >>> JSONFrames().feed(b'event: message\ndata: {"a": 1}\n\n')
        [b'{"a": 1}']
    """

    stop: str | None = None
    """Always None: a framing never asks to close the source."""

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._framing: NDJSONParser | SSEParser | HeaderParser | None = None
        """The framing; None until the first line that has the form of one of them."""
        self._start = b""
        """The beginning of a line that is too short to choose the framing yet."""
        self._is_in_banner = False
        """True within a line that has the form of none of them."""
        self.banner_lines = 0
        """Number of lines before the framing was known."""
        self._has_ended = False

    @property
    def error(self) -> StreamError | None:
        """The error that follows the payloads returned last, or None."""
        return None if self._framing is None else self._framing.error

    @property
    def has_lines(self) -> bool:
        """True if the payloads are lines."""
        return isinstance(self._framing, NDJSONParser)

    @property
    def has_headers(self) -> bool:
        """True if each payload follows headers with its length."""
        return isinstance(self._framing, HeaderParser)

    @property
    def holds_nothing(self) -> bool:
        """True between two payloads."""
        return not self._start if self._framing is None else not self._framing.tail

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished payload, at most `Limits.tail` of them."""
        return self._start if self._framing is None else self._framing.tail

    @property
    def unfinished(self) -> bytes | None:
        """The payload that lacks only the end of its line or event; None if there is none."""
        if self._framing is None or isinstance(self._framing, HeaderParser):
            return None
        unfinished = self._framing.unfinished
        return unfinished if unfinished is None or isinstance(unfinished, bytes) else unfinished.payload

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        """Return the payloads that a chunk completes.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Not used; every stage has this parameter.
        """
        if self._framing is None:
            chunk = self._find_framing(self._start + as_bytes(chunk, "JSONRPCParser", ended=self._has_ended))
            if self._framing is None:
                return []
        framing = self._framing
        if isinstance(framing, SSEParser):
            events = framing.frames(chunk)
            payloads = [event if isinstance(event, bytes) else event.payload for event in events]
            return [payload for payload in payloads if payload]
        return framing.frames(chunk)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """End the input; an unfinished payload remains in `unfinished`."""
        self._has_ended = True
        if self._framing is not None:
            self._framing.end()
        return []

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise self.error

    def _find_framing(self, text: bytes) -> bytes:
        """Choose the framing by the first line that has the form of one; return the bytes from that line on.

        The result is b"" as long as there is no such line; an undecided beginning of a line is then in
        `_start`.

        Args:
            text: The next bytes; they begin with a line, or within a line of the banner (`_is_in_banner`).
        """
        self._start = b""
        while text:
            if not self._is_in_banner:
                if _BOM.startswith(text):
                    # The rest of a byte order mark may follow.
                    self._start = text
                    return b""
                text = text.removeprefix(_BOM).lstrip(_SPACE)
                if not text:
                    # Only white space, which is not kept, since it may go on for ever.
                    return b""
                line_start = text[:_LONGEST_START].lower()
                self._framing = self._choose_framing(line_start)
                if self._framing is not None:
                    return text
                may_be_cut = any(start.startswith(line_start) for start in (_HEADER, *_FIELDS))
                if may_be_cut:
                    self._start = text
                    return b""
                self._is_in_banner = True
                self.banner_lines += 1
            _, line_end, text = text.partition(b"\n")
            self._is_in_banner = not line_end
        return b""

    def _choose_framing(self, line_start: bytes) -> NDJSONParser | HeaderParser | SSEParser | None:
        """Return the framing of the payloads if a line begins like this; None if it is part of a banner."""
        if line_start[:1] in {b"{", b"["}:
            return NDJSONParser(limits=self._limits)
        if line_start.startswith(_HEADER):
            return HeaderParser(limits=self._limits)
        return SSEParser(limits=self._limits) if line_start.startswith(_FIELDS) else None


class HeaderParser:
    r"""Read payloads that follow headers with their length, as the Language Server Protocol sends them.

    Args:
        limits: `event` limits the size of a payload.

    Example:
        >>> parser = HeaderParser()
        >>> parser.frames(b'Content-Length: 8\r\n\r\n{"a"'), parser.frames(b": 1}")
        ([], [b'{"a": 1}'])
    """

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._held = bytearray()
        self._length: int | None = None
        """Length of the payload whose headers were read; None while headers are read."""
        self._has_ended = False
        self.error: StreamError | None = None

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished message, at most `Limits.tail` of them."""
        return bytes(self._held[: self._limits.tail])

    def frames(self, chunk: bytes) -> list[bytes]:
        """Return the payloads that a chunk completes."""
        payloads: list[bytes] = []
        chunk = as_bytes(chunk, "JSONRPCParser", ended=self._has_ended)
        if self.error is None:
            self._held += chunk
            while self._read_head() and self._length is not None and len(self._held) >= self._length:
                payloads.append(bytes(self._held[: self._length]))
                del self._held[: self._length]
                self._length = None
        return payloads

    def end(self) -> None:
        """End the input; an unfinished message remains in `tail`."""
        self._has_ended = True

    def _read_head(self) -> bool:
        """Read the headers of the next message, if they are complete; return True if its length is known."""
        if self._length is not None:
            return True
        head = self._take_head()
        if head is None:
            return False
        fields = [line.partition(b":") for line in head.split(b"\n")]
        lengths = [value.strip() for name, _, value in fields if name.strip().lower() == b"content-length"]
        if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > len(str(2**63)):
            self._fail("the headers of a JSON-RPC message have no Content-Length that is a number")
            return False
        self._length = int(lengths[0])
        if self._length > self._limits.event:
            self.error = LimitExceeded(limit="event", value=self._limits.event)
            return False
        return True

    def _take_head(self) -> bytes | None:
        """Take the headers of the next message out of the held bytes; return None if they are incomplete."""
        # Some servers put more line ends between two messages.
        while self._held and self._held[0] in _SPACE:
            del self._held[0]
        # A blank line ends the headers; servers write line ends as CRLF or as LF.
        blank_lines = [(self._held.find(blank, 0, _HEAD), len(blank)) for blank in (b"\r\n\r\n", b"\n\n")]
        found = [(position, size) for position, size in blank_lines if position >= 0]
        if not found:
            if len(self._held) >= _HEAD:
                self._fail(f"the headers of a JSON-RPC message are longer than {_HEAD:,} bytes")
            return None
        position, size = min(found)
        head = bytes(self._held[:position])
        del self._held[: position + size]
        return head

    def _fail(self, message: str) -> None:
        """Set the error."""
        self.error = ProtocolError(message)
        self.error.tail = self.tail
