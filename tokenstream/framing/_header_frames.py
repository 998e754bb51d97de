"""Cuts bytes into payloads that follow headers with their length, as language servers send JSON-RPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.framing._chunks import as_bytes
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.limits import Limits

LONGEST_HEAD = 8 * 1024
"""Maximum number of bytes in the headers of one message."""
SPACE = b" \t\r\n"


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
        while self._held and self._held[0] in SPACE:
            del self._held[0]
        # A blank line ends the headers; servers write line ends as CRLF or as LF.
        blank_lines = [
            (self._held.find(blank, 0, LONGEST_HEAD), len(blank)) for blank in (b"\r\n\r\n", b"\n\n")
        ]
        found = [(position, size) for position, size in blank_lines if position >= 0]
        if not found:
            if len(self._held) >= LONGEST_HEAD:
                self._fail(f"the headers of a JSON-RPC message are longer than {LONGEST_HEAD:,} bytes")
            return None
        position, size = min(found)
        head = bytes(self._held[:position])
        del self._held[: position + size]
        return head

    def _fail(self, message: str) -> None:
        """Set the error."""
        self.error = ProtocolError(message)
        self.error.tail = self.tail
