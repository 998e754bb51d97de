"""The body of a response whose status says that it is an error or a redirect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._connection.status import make_redirect_error, make_status_error
from tokenstream.formats import _registry as registry
from tokenstream.formats._kit.error_shapes import LOWEST_ERROR_STATUS
from tokenstream.formats._kit.repeated import Wholeness
from tokenstream.framing._lines import BOM
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from tokenstream._connection.head import ResponseHead
    from tokenstream.errors import StreamError
    from tokenstream.formats._base import Format

_MAX_BODY_BYTES = 64 * 1024
"""The number of bytes of an error body that are read."""


class ErrorBody:
    """Reads the body of a response with an error status, of which no connection gets anything.

    Args:
        limits: `Limits.tail` bounds the part of the body that the error keeps.
        expected: The format that the caller expects for the answer; None if unknown.

    Example:
        >>> from tokenstream._connection.head import ResponseHead
        >>> body = ErrorBody(ResponseHead(status=429))
        >>> body.feed(b'{"error": "slow down"}')
        >>> body.ended, body.end().kind
        (True, 'rate_limited')
    """

    __slots__ = ("_body", "_document", "_expected", "_head", "_limits", "ended", "error")

    def __init__(
        self,
        head: ResponseHead,
        *,
        limits: Limits = DEFAULT_LIMITS,
        expected: str | type[Format] | Format | None = None,
    ) -> None:
        self._head, self._limits, self._expected = head, limits, expected
        self._body = bytearray()
        self._document = Wholeness()
        """Detects that the body is one whole JSON document."""
        self.ended = False
        """True once the body is one whole JSON document, behind which nothing follows."""
        self.error: StreamError | None = None
        """The error that the body describes; None before its end, or the limit, was reached."""

    def feed(self, piece: bytes) -> None:
        """Collect a piece of the body; at a limit, the body ends, and `error` is set."""
        piece = piece[: max(0, _MAX_BODY_BYTES - len(self._body))]
        self._body.extend(piece)
        # latin-1 suffices: JSON's punctuation is ASCII, whose bytes occur in no other UTF-8 character.
        self._document.add(str(piece.removeprefix(BOM), "latin-1"))
        self.ended = self._document.whole
        if len(self._body) >= _MAX_BODY_BYTES:
            self.end()

    def end(self) -> StreamError:
        """End the body, and return the error that it describes."""
        if self.error is None:
            head, body, limits = self._head, bytes(self._body), self._limits
            if head.status < LOWEST_ERROR_STATUS:
                self.error = make_redirect_error(head, body, limits)
            else:
                # The format that the caller expects may know the provider's errors better.
                expected = self._expected
                named = None if expected is None else registry.create(expected, limits=limits, pings=False)
                self.error = make_status_error(head, body, limits, named)
        return self.error
