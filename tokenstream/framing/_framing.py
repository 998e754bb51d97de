"""The members that a connection asks of its framing; the defaults are those of a framing without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import StreamError

Shortcut: TypeAlias = "Callable[[Any], Any]"
"""Reads a chunk that is like the last one into its event, and returns None for any other chunk."""


class Decoding(Protocol):
    """The two members of a format that a framing asks for a shortcut."""

    def shortcut(self, unit: Any, max_size: int, before: bytes = b"", after: bytes = b"") -> Shortcut | None:  # noqa: ANN401 - a word of the format's
        """Return a function that makes a chunk's event without decoding the chunk; None if there is none."""
        ...

    def payload_shortcut(self) -> tuple[str, bytes, Shortcut] | None:
        """Return a function that reads payloads without decoding them, and which payloads these are."""
        ...


class Framing:
    """Cuts the chunks of one connection into frames.

    A connection asks its framing for what it has, and never of what class it is.
    """

    __slots__ = ()

    ends_events: ClassVar[bool] = False
    """True if a blank line should end each frame."""
    is_json: ClassVar[bool] = False
    """True for a body of JSON documents."""
    has_messages: ClassVar[bool] = False
    """True if each chunk is one whole payload, as bytes."""
    has_payloads: ClassVar[bool] = False
    """True if each chunk is a payload that was framed elsewhere."""

    if TYPE_CHECKING:
        error: StreamError | None
        """The error that follows the frames returned last, or None."""

    comments = 0
    """Number of comments among SSE events."""
    replaced = 0
    """Number of malformed sequences of bytes that were replaced by U+FFFD."""
    last_event_id = ""
    """The id of the last SSE event; "" if the server sent none."""
    retry: int | None = None
    """The server's reconnection time in milliseconds; None if the server sent none."""

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished frame that have arrived."""
        return b""

    @property
    def unfinished(self) -> Any:  # noqa: ANN401 - a frame
        """The last frame if only its end is missing; else None."""
        return None

    @property
    def cut_message(self) -> bytes:
        """The start of a binary message, which has ended too early if the input ends here."""
        return b""

    @property
    def is_document(self) -> bool:
        """True if the body is one JSON document, or lines of them."""
        return False

    @property
    def is_open(self) -> bool:
        """True in a JSON array that has not ended."""
        return False

    @property
    def is_spotless(self) -> bool:
        """True if all of the input so far was whole SSE events in valid UTF-8."""
        return False

    @property
    def stray(self) -> bytes:
        """Lines among SSE events that may be an error."""
        return b""

    def frames(self, chunk: Any, /) -> list[Any]:  # noqa: ANN401 - bytes, or a payload
        """Return the frames that a chunk completes."""
        raise NotImplementedError

    def end(self) -> list[Any]:
        """Return the frames that the end of the input completes."""
        raise NotImplementedError

    def make_shortcut(self, format: Decoding) -> Shortcut | None:
        """Return a function that reads chunks like the last one without this framing; None if none can."""
        return None
