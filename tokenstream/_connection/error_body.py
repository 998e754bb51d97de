"""The format of a response's body if the status says that the body is an error or a redirect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._connection.status import LOWEST_ERROR_STATUS, make_redirect_error, make_status_error
from tokenstream.formats import _registry as registry
from tokenstream.formats._base import Format
from tokenstream.formats._kit.repeated import Wholeness
from tokenstream.framing._lines import BOM

if TYPE_CHECKING:
    from tokenstream._connection.head import ResponseHead
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.limits import Limits
    from tokenstream.message import Ending

_MAX_BODY_BYTES = 64 * 1024
"""The number of bytes of an error body that are read."""


class ErrorBody(Format):
    """Reads the body of a response with an error status, in place of a format: it gives an error, no events.

    Args:
        limits: `Limits.tail` bounds the part of the body that the error keeps.
        pings: Unused; every format has this parameter.
        expected: The format that the caller expects for the answer; None if unknown.

    Example:
        >>> from tokenstream._connection.head import ResponseHead
        >>> body = ErrorBody(ResponseHead(status=429))
        >>> body.feed(b'{"error": "slow down"}'), body.ended, body.end()
        ([], True, [])
        >>> str(body.error)
        'the server answered with status 429; the provider reports an error: slow down; ask again later'
    """

    __slots__ = ("_body", "_document", "_head", "_named")

    name: ClassVar[str] = ""
    framing: ClassVar[str] = "body"

    def __init__(
        self,
        head: ResponseHead,
        *,
        limits: Limits | None = None,
        pings: bool = False,
        expected: str | type[Format] | Format | None = None,
    ) -> None:
        super().__init__(limits=limits, pings=pings)
        self._head = head
        self._named = None if expected is None else registry.create(expected, limits=self.limits, pings=False)
        """The format that the caller expects, which may know the provider's errors better."""
        self._body = bytearray()
        self._document = Wholeness()
        """Detects that the body is one whole JSON document."""

    def fresh(self, *, limits: Limits, pings: bool) -> ErrorBody:
        """Return a new reader for the body of the same response."""
        return type(self)(self._head, limits=limits, pings=pings, expected=self._named)

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:  # noqa: ARG003 - any format is asked
        """Return False: an error body is recognised by the status, never by a payload."""
        return False

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Do nothing: an error body has no payloads."""

    def feed(self, frame: Any, *, now: float = 0.0) -> list[Event]:  # noqa: ANN401 - a piece of the body
        """Collect a piece of the body, up to a limit; set `ended` once the body is one whole JSON document.

        At the limit, the body ends, and `error` is set.
        The error is all that the body gives, so no events are returned.

        Args:
            now: Unused; every stage has this parameter.
        """
        piece = frame[: max(0, _MAX_BODY_BYTES - len(self._body))]
        self._body += piece
        # latin-1 suffices: JSON's punctuation is ASCII, whose bytes occur in no other UTF-8 character.
        self._document.add(str(piece.removeprefix(BOM), "latin-1"))
        self.ended = self._document.whole
        if len(self._body) >= _MAX_BODY_BYTES:
            self.end()
        return []

    @property
    def finished(self) -> bool:
        """Always False: an error is not an answer."""
        return False

    @property
    def verdict(self) -> Ending:
        """The ending if the stream is stopped before the error is raised: always "stopped"."""
        return "stopped"

    @property
    def withheld(self) -> StreamError | None:
        """The error of the body so far, however the input ended."""
        self.end()
        return self.error

    def end(self, *, now: float = 0.0) -> list[Event]:
        """End the body, and set `error` to the error that it describes; return no events.

        Args:
            now: Unused; every stage has this parameter.
        """
        if self.error is None:
            head, body = self._head, bytes(self._body)
            self.error = (
                make_status_error(head, body, self.limits, self._named)
                if head.status >= LOWEST_ERROR_STATUS
                else make_redirect_error(head, body, self.limits)
            )
        return []
