"""Layers before the real framing: a placeholder for the first bytes, or messages with pieces."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tokenstream.errors import LimitExceeded
from tokenstream.formats._detect.payloads import is_whole
from tokenstream.formats._detect.recognise import is_websocket_message, whole_object
from tokenstream.formats._detect.unknown import describe_unknown_body
from tokenstream.framing import AWSEventStreamParser, SSEParser
from tokenstream.framing._body import JSONBody
from tokenstream.framing._comments import CommentedSSEParser
from tokenstream.framing._given import TextBody, WholeMessages
from tokenstream.framing._sniff import sniff

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.departures import Departures
    from tokenstream.errors import NotAStream, StreamError
    from tokenstream.formats._base import Format
    from tokenstream.framing._given import Framing
    from tokenstream.framing._sniff import Sniffed
    from tokenstream.limits import Limits

OF_SSE = "event_name_missing"
"""Name of a departure from the protocol that only SSE can have: other framings have no event names."""
_JSON_SPACE = (b"\n", b"\r", b" ", b"\t")

# SageMaker's InvokeEndpointWithResponseStream (botocore 1.44.8, 2026-11).
_PART = "PayloadPart"
_IS_PART = b"\x0b:event-type\x07\x00\x0bPayloadPart"
"""The header of a message that has a piece of the body."""
_PRELUDE = 12
_MOST_HEADERS = 4096
"""The size up to which the first message's headers are waited for; those of a piece take a hundred bytes."""
_read_prelude = Struct(">III").unpack_from


class Unframed:
    """Holds the first bytes of an input until they reveal its framing, and is then replaced by that framing.

    If the body cannot be read, this object stays and collects the start of the body for the error.

    Args:
        format: The format, which may be known before the framing.
        pings: True to return comments as frames.
        departures: Counts the departures (deviations from the protocol).
        found: Called with the framing before the framing gets its first bytes.
        is_within_parts: True for a body that arrives in parts, which has no parts of its own.
    """

    __slots__ = (
        "_departures",
        "_format",
        "_found",
        "_has_read_message",
        "_holds_object",
        "_is_within_parts",
        "_limits",
        "_pings",
        "_refused",
        "content_type",
        "error",
        "tail",
        "text",
    )

    unfinished: None = None
    """Always None: bytes of an unknown framing are never a frame."""

    def __init__(
        self,
        format: Format,
        *,
        limits: Limits,
        pings: bool,
        departures: Departures,
        found: Callable[[Framing], None],
        is_within_parts: bool = False,
    ) -> None:
        self._format = format
        self.content_type: str | None = None
        """The server's content type; the first bytes of the body take precedence."""
        self._limits = limits
        self._pings = pings
        self._departures = departures
        self._found = found
        self._is_within_parts = is_within_parts
        self._has_read_message = False
        """True if the first chunk was a whole message, or a line without its line end."""
        self._holds_object = False
        """True if the first chunk was one whole JSON object; only the next one tells what it was."""
        self._refused: Sniffed | None = None
        """The kind of a body that cannot be read; None while the body may be readable."""
        self.error: StreamError | None = None
        self.tail = b""
        """The bytes held so far; if the body cannot be read, its start."""
        self.text = False
        """True if the input arrived as text instead of bytes."""

    def frames(self, chunk: bytes) -> list[Any]:
        """Hold a chunk; once the framing is known, return the frames of all held chunks."""
        if self._refused is not None:
            # The body cannot be read; its start is collected for the error.
            return self._collect(chunk, self._refused)
        if self._has_read_message:
            # The first chunk was taken for a WebSocket message, because it was one whole JSON object. White
            # space after it is a line end: the chunk was the first line of a body with an object per line.
            framing = self._make_json_body() if chunk[:1] in _JSON_SPACE else WholeMessages(self._limits)
            self._found(framing)
            return framing.frames(chunk)
        # In plain text (`_is_plain`), a brace at the start is text, too.
        may_be_object = chunk[:1] == b"{" and not (self.tail or self._is_plain)
        first = whole_object(chunk, self._limits) if may_be_object else None
        if first is not None:
            if is_websocket_message(first, self._format):
                return self._read_message(chunk)
            self.tail, self._holds_object = chunk, True
            return []
        if self._holds_object and chunk[:1] == b"{":
            # Nothing stands between the two, as it would in a body: these are messages.
            return [*self._read_message(self.tail), *self.frames(chunk)]
        self._holds_object = False
        self.tail += chunk
        framing_found = self._decide(ended=False)
        return [] if framing_found is None else framing_found.frames(self.tail)

    @property
    def is_refused(self) -> bool:
        """True once the bytes so far show that the body cannot be read."""
        return self._refused is not None

    def _read_message(self, chunk: bytes) -> list[Any]:
        """Return the frame of the first WebSocket message."""
        # Only the events of an event stream have names: a missing name is not counted here.
        self._departures.leave_out(OF_SSE)
        self._has_read_message, self.tail = True, b""
        message = WholeMessages(self._limits)
        frames = message.frames(chunk)
        self.error = message.error
        return frames

    def end(self) -> list[Any]:
        """Decide the framing at the end of the input and return its frames, or set `error`."""
        if self.tail and self._refused is None:
            framing = self._decide(ended=True)
            if framing is not None:
                return [*framing.frames(self.tail), *framing.end()]
        if self._refused is not None and self.error is None:
            self.error = self._describe(self._refused)
        return []

    def _decide(self, *, ended: bool) -> Framing | None:
        """Choose the framing by the bytes that are held, and pass it to `found`; None if they are too few."""
        kind = sniff(self.tail, self.content_type, over=ended)
        if kind == "aws-eventstream" and not ended and begins_with_part(self.tail) is None:
            # The first message tells what the others have.
            return None
        if kind == "undecided":
            return None
        framing = self._make_framing(kind)
        if framing is None:
            # The start of the body is collected for the error, which is set once there is enough of it.
            self._refused = kind
            self._collect(b"", kind)
        else:
            self._found(framing)
        return framing

    def _make_framing(self, kind: Sniffed) -> Framing | None:
        """Return the framing for a kind of body; None if the body cannot be read."""
        format = self._format
        # A format that reads bare text gets it from a `text/plain` body, or from a body without other marks.
        is_text = (kind != "sse" and self._is_plain) or (kind == "unknown" and format.reads_bare_text)
        if is_text:
            return TextBody()
        if kind == "unknown" and format.framing:
            # A format that was named takes precedence over the first bytes.
            kind = "aws-eventstream" if format.framing == "aws-eventstream" else "sse"
        if kind == "sse":
            if self.content_type and "event-stream" not in self.content_type.lower():
                # 0, since the header came before the first event.
                self._departures.note("content_type_wrong", event=0)
            # A `CommentedSSEParser` also returns comments, which are heartbeats, as frames.
            parser = CommentedSSEParser if self._pings else SSEParser
            return parser(limits=self._limits, reads_errors=True)
        if kind == "json":
            return self._make_json_body()
        if kind != "aws-eventstream":
            return None
        if begins_with_part(self.tail):
            # Each level of parts would be read within a call of the level around it, to any depth.
            return None if self._is_within_parts else PayloadParts(self._limits, self._make_body)
        return AWSEventStreamParser(limits=self._limits)

    def _make_body(self, found: Callable[[Framing], None]) -> Unframed:
        """Return the placeholder for the framing of a body within the messages of this one."""
        return Unframed(
            self._format,
            limits=self._limits,
            pings=self._pings,
            departures=self._departures,
            found=found,
            is_within_parts=True,
        )

    def _make_json_body(self) -> JSONBody:
        """Return the framing for a body of JSON; in it, a missing event name is no departure."""
        # Only the events of an event stream (SSE) have names.
        self._departures.leave_out(OF_SSE)
        return JSONBody(limits=self._limits)

    @property
    def _is_plain(self) -> bool:
        """True if the format reads bare text and the Content-Type is `text/plain`.

        In such a body, a brace or an angle bracket at the start is text, too, and not JSON or a web page.
        """
        return self._format.reads_bare_text and "text/plain" in (self.content_type or "").lower()

    def _collect(self, chunk: bytes, refused: Sniffed) -> list[Any]:
        """Collect the start of an unreadable body; return no frames. Once it is long enough, set `error`."""
        self.tail += chunk[: self._limits.tail]
        if len(self.tail) >= self._limits.tail:
            self.error = self._describe(refused)
        return []

    def _describe(self, kind: Sniffed) -> NotAStream:
        """Return the error for a body of a kind that cannot be read."""
        return describe_unknown_body(
            kind, str(self.tail[: self._limits.tail], "utf-8", "replace"), text=self.text
        )


def begins_with_part(start: bytes) -> bool | None:
    """Return True if a binary event stream's first message has a piece of another body; None if unknown.

    Example:
        >>> begins_with_part(bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff"))
        False
    """
    if len(start) < _PRELUDE:
        return None
    _, headers_size, checksum = _read_prelude(start)
    if checksum != crc32(start[:8]) or headers_size > _MOST_HEADERS:
        return False
    if len(start) < _PRELUDE + headers_size:
        return None
    return _IS_PART in start[_PRELUDE : _PRELUDE + headers_size]


class PayloadParts:
    """Take the pieces of a body out of binary messages, and pass them on to the framing of that body.

    A message that reports a failure is a frame of its own, among those of the body: the format decides,
    as in any binary event stream, if the failure takes something from the answer. The body ends with it.

    Args:
        limits: `line` limits the size of a message; the framing of the body has limits of its own.
        make_body: Makes the placeholder for the body's framing, with a function that it calls with the
            framing once that is known.
    """

    __slots__ = ("_failed", "_limits", "_messages", "_took_last", "body", "error", "tell")

    def __init__(self, limits: Limits, make_body: Callable[[Callable[[Framing], None]], Framing]) -> None:
        self._limits = limits
        self._messages = AWSEventStreamParser(limits=limits)
        self._failed = False
        """True once a failure was reported, after which nothing of the body comes."""
        self._took_last = False
        """True if the last frame of the body, which lacked only its end, was read before the failure."""
        self.body: Framing = make_body(self._use)
        """The framing of the body, or the placeholder for it."""
        self.tell: Callable[[Framing], object] = _ignore
        """Called with the framing of the body once it is known."""
        self.error: StreamError | None = None

    def _use(self, framing: Framing) -> None:
        self.body = framing
        self.tell(framing)

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished frame, or of the message in which the input ended."""
        return (b"" if self._took_last else self.body.tail) or self.message_tail

    @property
    def message_tail(self) -> bytes:
        """The bytes of the message in which the input ended; the tail of the body may stand beside them."""
        return self._messages.tail

    @property
    def unfinished(self) -> Any:  # noqa: ANN401 - a frame
        """The last frame if only its end is missing; None if the input ended inside a message."""
        return None if self.message_tail or self._failed else self.body.unfinished

    def frames(self, chunk: bytes) -> list[Any]:
        """Return the frames of the body that a chunk completes."""
        frames: list[Any] = []
        for message in self._messages.frames(chunk):
            if self.error is not None:
                return frames
            if message.kind != "event":
                frames += self._end_body()
                if self.error is None:
                    # Otherwise, the format would read the failure before the error of the body.
                    frames.append(message)
            elif message.event == _PART and message.payload and not self._failed:
                frames += self.body.frames(message.payload)
                self.error = self.body.error
        self.error = self.error or self._messages.error
        return frames

    def _end_body(self) -> list[Any]:
        """End the body before a failure, and return its last frames, also one that lacks only its end."""
        if self._failed:
            return []
        self._failed = True
        # A start that only its end makes unreadable was cut, and the failure says why.
        is_undecided = isinstance(self.body, Unframed) and not self.body.is_refused
        frames, last = self.body.end(), self.body.unfinished
        try:
            self._took_last = last is not None and is_whole(last, self._limits)
        except LimitExceeded as error:
            self.error = error
        if not (is_undecided and isinstance(self.body, Unframed)):
            self.error = self.error or self.body.error
        return [*frames, last] if self._took_last else frames

    def end(self) -> list[Any]:
        """Return the frames of the body that the end of the input completes."""
        self._messages.end()
        if self._failed:
            return []
        frames = self.body.end()
        self.error = self.error or self.body.error
        return frames


def _ignore(_framing: Framing) -> None:
    """Do nothing with a framing."""
