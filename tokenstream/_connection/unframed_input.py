"""The placeholder for a framing, until the first bytes reveal it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.formats._detect.recognise import is_websocket_message, whole_object
from tokenstream.framing._framing import Framing
from tokenstream.framing._sniff import BodyKind, sniff
from tokenstream.framing._sse import SSEParser

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.departures import Departures
    from tokenstream.errors import NotAStream, StreamError
    from tokenstream.formats._base import Format
    from tokenstream.framing._body import JSONBody
    from tokenstream.limits import Limits

OF_SSE = "event_name_missing"
"""Name of a departure from the protocol that only SSE can have: other framings have no event names."""
_JSON_SPACE = (b"\n", b"\r", b" ", b"\t")


class UnframedInput(Framing):
    """Holds the first bytes of an input until they reveal its framing, and is then replaced by that framing.

    If the body cannot be read, this object stays and collects the start of the body for the error.
    """

    def __init__(
        self, format: Format, *, limits: Limits, departures: Departures, found: Callable[[Framing], None]
    ) -> None:
        self._format = format
        self.content_type: str | None = None
        """The server's content type; the first bytes of the body take precedence."""
        self._limits = limits
        self._departures = departures
        self._found = found
        self._has_read_message = False
        """True if the first chunk was a whole message, or a line without its line end."""
        self._holds_object = False
        """True if the first chunk was one whole JSON object; only the next one tells what it was."""
        self._refused: BodyKind = "undecided"
        """The kind of a body that cannot be read; "undecided" while the body may be readable."""
        self.error: StreamError | None = None
        self._held = b""
        """The bytes held so far; if the body cannot be read, its start."""
        self.text = False
        """True if the input arrived as text instead of bytes."""

    @property
    def tail(self) -> bytes:
        return self._held

    def frames(self, chunk: bytes) -> list[Any]:
        """Hold a chunk; once the framing is known, return the frames of all held chunks."""
        if self._refused != "undecided":
            # The body cannot be read; its start is collected for the error.
            return self._collect(chunk)
        if self._has_read_message:
            # The first chunk was taken for a WebSocket message, because it was one whole JSON object. White
            # space after it is a line end: the chunk was the first line of a body with an object per line.
            framing = self._make_json_body() if chunk[:1] in _JSON_SPACE else make_messages(self._limits)
            self._found(framing)
            return framing.frames(chunk)
        # In plain text (`_is_plain`), a brace at the start is text, too.
        may_be_object = chunk[:1] == b"{" and not (self._held or self._is_plain)
        first = whole_object(chunk, self._limits) if may_be_object else None
        if first is not None:
            if is_websocket_message(first, self._format):
                return self._read_message(chunk)
            self._held, self._holds_object = chunk, True
            return []
        if self._holds_object and chunk[:1] == b"{":
            # Nothing stands between the two, as it would in a body: these are messages.
            return [*self._read_message(self._held), *self.frames(chunk)]
        self._holds_object = False
        self._held += chunk
        framing_found = self._decide(ended=False)
        return [] if framing_found is None else framing_found.frames(self._held)

    def _read_message(self, chunk: bytes) -> list[Any]:
        """Return the frame of the first WebSocket message."""
        # Only the events of an event stream have names: a missing name is not counted here.
        self._departures.leave_out(OF_SSE)
        self._has_read_message, self._held = True, b""
        message = make_messages(self._limits)
        frames = message.frames(chunk)
        self.error = message.error
        return frames

    def end(self) -> list[Any]:
        """Decide the framing at the end of the input and return its frames, or set `error`."""
        if self._held and self._refused == "undecided":
            framing = self._decide(ended=True)
            if framing is not None:
                return [*framing.frames(self._held), *framing.end()]
        if self._refused != "undecided" and self.error is None:
            self.error = self._describe()
        return []

    def _decide(self, *, ended: bool) -> Framing | None:
        """Choose the framing by the bytes that are held, and pass it to `found`; None if they are too few."""
        kind = sniff(self._held, self.content_type, over=ended)
        if kind == "undecided":
            return None
        framing = self._make_framing(kind)
        if framing is None:
            # The start of the body is collected for the error, which is set once there is enough of it.
            self._refused = kind
            self._collect(b"")
        else:
            self._found(framing)
        return framing

    def _make_framing(self, kind: BodyKind) -> Framing | None:
        """Return the framing for a kind of body; None if the body cannot be read."""
        format = self._format
        # A format that reads bare text gets it from a `text/plain` body, or from a body without other marks.
        is_text = (kind != "sse" and self._is_plain) or (kind == "unknown" and format.reads_bare_text)
        if is_text:
            from tokenstream.framing._given import TextBody

            return TextBody()
        if kind == "unknown" and format.framing:
            # A format that was named takes precedence over the first bytes.
            kind = "aws-eventstream" if format.framing == "aws-eventstream" else "sse"
        if kind == "sse":
            if self.content_type and "event-stream" not in self.content_type.lower():
                # 0, since the header came before the first event.
                self._departures.note("content_type_wrong", event=0)
            return SSEParser(limits=self._limits, reads_errors=True)
        if kind == "json":
            return self._make_json_body()
        if kind != "aws-eventstream":
            return None
        from tokenstream.framing._aws_eventstream import AWSEventStreamParser

        return AWSEventStreamParser(limits=self._limits)

    def _make_json_body(self) -> JSONBody:
        """Return the framing for a body of JSON; in it, a missing event name is no departure."""
        # Only the events of an event stream (SSE) have names.
        from tokenstream.framing._body import JSONBody

        self._departures.leave_out(OF_SSE)
        return JSONBody(limits=self._limits)

    @property
    def _is_plain(self) -> bool:
        """True if the format reads bare text and the Content-Type is `text/plain`.

        In such a body, a brace or an angle bracket at the start is text, too, and not JSON or a web page.
        """
        return self._format.reads_bare_text and "text/plain" in (self.content_type or "").lower()

    def _collect(self, chunk: bytes) -> list[Any]:
        """Collect the start of an unreadable body; return no frames. Once it is long enough, set `error`."""
        self._held += chunk[: self._limits.tail]
        if len(self._held) >= self._limits.tail:
            self.error = self._describe()
        return []

    def _describe(self) -> NotAStream:
        from tokenstream.formats._detect.unknown import describe_unknown_body

        return describe_unknown_body(
            self._refused, str(self._held[: self._limits.tail], "utf-8", "replace"), text=self.text
        )


def make_messages(limits: Limits) -> Framing:
    """Return the framing of input that comes in whole messages, such as those of a WebSocket."""
    from tokenstream.framing._given import WholeMessages

    return WholeMessages(limits)


def make_bypass(limits: Limits, before: Framing | None = None) -> Framing:
    """Return the framing of payloads that were framed elsewhere, maybe after bytes."""
    from tokenstream.framing._given import Bypass

    return Bypass(limits, before)
