"""Framing and format of one connection: bytes in, events out, both found out where not told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream._json import is_deeper
from tokenstream.errors import LimitExceeded, NotAStream, ProtocolError, StreamError, StreamTruncated
from tokenstream.events import Ping
from tokenstream.formats import registry
from tokenstream.formats._recognise import PING, WAIT, is_message, likeliest, recognise
from tokenstream.formats._seen import (
    error_in,
    is_malformed,
    is_whole,
    lines_without_ends,
    not_a_stream,
    of_no_format,
    payload_of,
)
from tokenstream.framing import AWSEventStreamParser, SSEParser
from tokenstream.framing._comments import COMMENT, with_comments
from tokenstream.framing._text_body import TextBody
from tokenstream.framing.body import JSONBody
from tokenstream.framing.sniff import Sniffed, sniff

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.departures import Departures
    from tokenstream.events import Event
    from tokenstream.formats.base import Format, Frame
    from tokenstream.limits import Limits

__all__ = ["Connection"]

_MOST_UNDECIDED_FRAMES = 64
_OF_SSE = "event_name_missing"
"""The departure that only an event stream can show: nothing else has names of events."""
_JSON_SPACE = (b"\n", b"\r", b" ", b"\t")


class Connection:
    """The bytes of one connection, decoded.

    Args:
        format: A format's name or a format object; None to find it out.
        content_type: What the server says of the body; its first bytes count more.
        limits: Bounds on untrusted input.
        pings: Whether signs of life become events.
        departures: Where they are counted.
        found: Told the format's name once it is known.
    """

    ended = False
    """Never: the end of the answer is the format's to tell."""

    __slots__ = (
        "_content_type",
        "_departures",
        "_found",
        "_held",
        "_limits",
        "_payloads",
        "_pings",
        "_prefix",
        "_refused",
        "_skipped",
        "_taken",
        "error",
        "events",
        "format",
        "frames",
        "framing",
        "text",
    )

    def __init__(
        self,
        format: str | Format | None,
        *,
        content_type: str | None,
        limits: Limits,
        pings: bool,
        departures: Departures,
        found: Callable[[str], None],
    ) -> None:
        self._limits = limits
        self._found = found
        self._departures = departures
        self._pings = pings
        self._content_type = content_type
        self._prefix = b""
        self._taken = False
        """Whether a last frame that lacked its end was taken all the same."""
        self._refused: Sniffed | None = None
        """What the body is, where it is none of ours."""
        self._held: list[Frame] = []
        self._skipped = 0
        """Frames that held nothing, before the format was known."""
        self.text = False
        """The input came as text, not as bytes."""
        self._payloads = False
        """Whether the input is payloads that somebody else has framed and decoded."""
        self.framing: SSEParser | JSONBody | AWSEventStreamParser | TextBody | None = None
        self.error: StreamError | None = None
        self.format: Format | None = None
        # Both are replaced once what they stand for is known, so that nothing
        # is decided again for every chunk.
        self.frames: Callable[[Any], list[Any]] = self._first_frames
        self.events: Callable[[Any], list[Event]] = self._first_events
        if format is not None:
            self._use(registry.create(format, limits=limits, pings=pings))

    @property
    def finished(self) -> bool:
        """Whether the answer is over, whatever happens to the connection now."""
        known = self.format
        if known is None or not known.finished:
            return False
        return known.finish_is_last or known.ended or not self._is_cut

    @property
    def _is_cut(self) -> bool:
        """The input so far ends inside a frame, or inside the array of frames."""
        if isinstance(self.framing, JSONBody) and self.framing.is_open:
            return True
        return self.tail.lstrip()[:1] not in (b"", b":")

    @property
    def unfinished_choices(self) -> list[int]:
        """The choices that have been announced and are not over."""
        known = self.format
        if known is None or self.finished:
            return []
        finals = known.finish_is_last
        return [
            choice.index for choice in known.parts.choices.values() if not finals or choice.finish is None
        ]

    @property
    def resting(self) -> bool:
        """Whether the server has nothing to say until the client speaks, as at the start of a WebSocket."""
        return self.frames == self._message if self.format is None else self.format.resting

    @property
    def tail(self) -> bytes:
        """What has come of an unfinished frame."""
        if self._taken:
            return b""
        return self.framing.tail if self.framing is not None else self._prefix

    @property
    def name(self) -> str | None:
        """The format's name; None until it is known."""
        return None if self.format is None else self.format.name

    @property
    def takes_text(self) -> bool:
        """Whether the input is text that was decoded already, and not bytes."""
        return self.format is not None and self.format.framing == "pieces"

    @property
    def comments(self) -> int:
        """How many comments came."""
        return self.framing.comments if isinstance(self.framing, SSEParser) else 0

    @property
    def last_event_id(self) -> str | None:
        """The id of the last SSE event; None where the server gave none."""
        return (self.framing.last_event_id or None) if isinstance(self.framing, SSEParser) else None

    @property
    def frames_seen(self) -> int:
        """How many frames the format has read."""
        return 0 if self.format is None else self.format.frames

    def take_payloads(self) -> None:
        """Take what comes as payloads that were framed and decoded by somebody else, an SDK say."""
        if not self._payloads:
            self._payloads = True
            self._departures.leave_out(_OF_SSE)
            self.frames = self._payload

    def take_messages(self) -> None:
        """Take each piece of input as one whole payload: a WebSocket's messages."""
        self._departures.leave_out(_OF_SSE)
        self.frames = self._message

    def shortcut(self) -> Callable[[bytes], Event | None] | None:
        """Return a function that reads a whole chunk at a glance, or None where there is none."""
        framing, known = self.framing, self.format
        if known is None or self._pings:
            return None
        if isinstance(framing, SSEParser):
            most = framing.alone
            return known.shortcut("event", most) if most else None
        if isinstance(framing, JSONBody):
            most = framing.alone
            if most:
                return known.shortcut("line", most, b"", b"\n")
            return framing.shortcut(partial(known.shortcut, "element"))
        if self.frames == self._message:
            return known.shortcut("message", self._limits.event)
        if not isinstance(framing, AWSEventStreamParser):
            return None
        plain = known.payload_shortcut()
        return None if plain is None else framing.alone(*plain)

    def end(self, *, broken: bool = False) -> list[Event]:
        """The input is over: return what was left; `error` says what that means.

        Args:
            broken: Whether it broke off, so that there is no verdict to give.
        """
        events = self._end_framing()
        stray = self._stray_error()
        if stray is not None:
            self.error = stray
        if broken or stray is not None:
            return events + self.abandon()
        if self.format is None and self._held and self.error is None:
            events += self._settle(likeliest(self._held, self._limits))
        if self.error is None and self.format is not None:
            events += self._end_format(self.format)
        if self.error is None and self.format is None:
            self.error = StreamTruncated("the body ended without a single event; ask again")
        self._note_replaced()
        if isinstance(self.error, StreamTruncated) and not self.frames_seen:
            self.error = lines_without_ends(self.tail, self._limits) or self.error
        return events

    def _end_format(self, known: Format) -> list[Event]:
        if self._payloads and known.finished and not known.ended:
            # Whoever framed the payloads kept the sentinel for himself.
            known.conclude()
        if known.finished and not self.finished:
            self.error = known.cut_short()
            return self.abandon()
        events = known.end()
        self.error = known.error
        if isinstance(self.framing, JSONBody) and not self.framing.is_array and known.frames == 1:
            self._note_whole(known)
        if self.error is None and isinstance(self.framing, AWSEventStreamParser) and self.framing.tail:
            # Each message says how long it is, so what is left was cut.
            known.note("broken_after_finish")
        return events

    def _end_framing(self) -> list[Event]:
        events: list[Event] = []
        if self.framing is None and self._prefix:
            events += self._end_undecided()
        if self.framing is not None and self.error is None:
            events += self._events_of(self.framing.end())
            left = self.framing.unfinished
            if left is not None and self.error is None:
                events += self._take_unfinished(left)
        return events

    def _stray_error(self) -> StreamError | None:
        """Return an error that was withheld, or that stands between the events of an event stream."""
        if self.error is None and self.format is not None and self.format.withheld is not None:
            return self.format.withheld
        stray = self.framing.stray if isinstance(self.framing, SSEParser) and self.error is None else b""
        error = error_in(stray, self._limits) if stray else None
        if error is not None:
            # Quirk (Vertex AI, 2025-06): an error in mid-stream is JSON over several lines without `data:`;
            # recording: gemini-sse-vertexai-sdk-test-data-streaming-failure-error-mid-stream-40958d6e.
            self._departures.note("error_unmarked", event=self.frames_seen)
        return error

    def _note_whole(self, known: Format) -> None:
        """Note that nobody streamed, where one document was the whole answer."""
        # A stream of lines may have one: then that has its end, which Ollama gives no whole answer.
        line = known.framing == "ndjson" and not self._taken
        if known.error is None and known.finished and not line:
            known.note("not_streamed")

    def _note_replaced(self) -> None:
        if isinstance(self.framing, SSEParser | TextBody) and self.framing.replaced:
            self._departures.note("invalid_utf8", event=self.frames_seen, count=self.framing.replaced)

    def _end_undecided(self) -> list[Event]:
        """The input is over before its kind was known, or while it was collected for an error."""
        if self._refused is None:
            self._frame(sniff(self._prefix, self._content_type, over=True))
        refused = self._refused
        if refused is None:
            return self._events_of(self.frames(self._prefix))
        self.error = self.error or self._none_of_ours(refused)
        return []

    def abandon(self) -> list[Event]:
        """The connection broke: return what was held back of parts that will not go on."""
        if self.format is None:
            return []
        self.format.parts.close_all(complete=self.finished)
        return self.format.parts.take()

    # -- framing -----------------------------------------------------------

    def _use(self, format: Format) -> None:
        self.format = format
        self._found(format.name)
        format.departures = self._departures
        self.events = self._events_and_pings if self._pings else format.feed
        if format.framing == "pieces":
            self.frames = self._payload

    def _first_frames(self, chunk: bytes) -> list[Any]:
        if not self._prefix and not self._is_plain and is_message(chunk, self.format, self._limits):
            self._departures.leave_out(_OF_SSE)
            self.frames = self._message_or_line
            return self._message(chunk)
        self._prefix += chunk
        found = sniff(self._prefix, self._content_type, over=False)
        if found == "undecided":
            return []
        self._frame(found)
        if self._refused is not None:
            return self._gather(b"")
        prefix, self._prefix = self._prefix, b""
        return self.frames(prefix)

    def _gather(self, chunk: bytes) -> list[Any]:
        """Collect what an error shows of a body that is none of ours."""
        self._prefix += chunk[: self._limits.tail]
        if self._refused is not None and len(self._prefix) >= self._limits.tail:
            self.error = self._none_of_ours(self._refused)
        return []

    def _frame(self, found: Sniffed) -> None:
        if (self._is_plain and found != "sse") or (found == "unknown" and self._reads_bare):
            self.framing = TextBody()
            self.frames = self.framing.feed
            return
        if found == "unknown" and self.format is not None:
            # Whoever names a format knows better than the first bytes.
            found = "aws-eventstream" if self.format.framing == "aws-eventstream" else "sse"
        if found == "sse":
            if self._content_type and "event-stream" not in self._content_type.lower():
                self._departures.note("content_type_wrong", event=0)
            framing = SSEParser(limits=self._limits)
            self.framing = framing
            self.frames = partial(with_comments, framing) if self._pings else framing.frames
        elif found == "json":
            self._departures.leave_out(_OF_SSE)
            body = JSONBody(limits=self._limits)
            self.framing, self.frames = body, body.feed
        elif found == "aws-eventstream":
            binary = AWSEventStreamParser(limits=self._limits)
            self.framing, self.frames = binary, binary.frames
        else:
            self._refused = found
            self.frames = self._gather

    @property
    def _reads_bare(self) -> bool:
        """The format was named, and reads a body of nothing but text."""
        return self.format is not None and self.format.reads_bare_text

    @property
    def _is_plain(self) -> bool:
        """The server says `text/plain` as well, so braces and angle brackets are text, too."""
        return self._reads_bare and "text/plain" in (self._content_type or "").lower()

    def _payload(self, payload: object) -> list[object]:
        # Whoever decoded it may have had no bound, and what reads it goes down level by level.
        if is_deeper(payload, self._limits.depth):
            self.error = LimitExceeded(limit="depth", value=self._limits.depth)
            return []
        return [payload]

    def _message_or_line(self, chunk: bytes) -> list[Any]:
        """Take a message, unless white space shows that the first one was a line, up to its end."""
        if chunk[:1] not in _JSON_SPACE:
            self.take_messages()
        else:
            self._frame("json")
        return self.frames(chunk)

    def _message(self, message: bytes) -> list[bytes]:
        if len(message) > self._limits.event:
            self.error = LimitExceeded(limit="event", value=self._limits.event)
            return []
        return [message]

    def _events_and_pings(self, frame: Frame) -> list[Event]:
        if frame is COMMENT or self.format is None:
            return [Ping()]
        return self.format.feed(frame)

    def _none_of_ours(self, found: Sniffed) -> NotAStream:
        return not_a_stream(found, str(self._prefix[: self._limits.tail], "utf-8", "replace"), text=self.text)

    # -- format ------------------------------------------------------------

    def _first_events(self, frame: Frame) -> list[Event]:
        if frame is COMMENT:
            return [Ping()]
        try:
            found = recognise(frame, self._limits, document=isinstance(self.framing, JSONBody))
        except ProtocolError as error:
            error.event = self._skipped + len(self._held) + 1
            advice = (
                ""
                if isinstance(error, LimitExceeded)
                else '; if the data are bare text, say so with format="text"'
            )
            error.args = (f"frame {error.event}: {error}{advice}",)
            self.error = error
            return []
        if found == PING:
            self._skipped += 1
            return [Ping(raw=payload_of(frame))] if self._pings else []
        self._held.append(frame)
        if isinstance(found, StreamError):
            self.error = found
            return []
        if found == WAIT and len(self._held) <= _MOST_UNDECIDED_FRAMES:
            return []
        return self._settle(None if found == WAIT else found)

    def _settle(self, name: str | None) -> list[Event]:
        held, self._held = self._held, []
        if name is None:
            self.error = of_no_format(held, self._limits)
            return []
        known = registry.create(name, limits=self._limits, pings=self._pings)
        # Frames are numbered as they came.
        known.frames = self._skipped
        self._use(known)
        return self._events_of(held)

    def _events_of(self, frames: list[Any]) -> list[Event]:
        events: list[Event] = []
        for frame in frames:
            events += self.events(frame)
            if self.format is not None:
                self.error = self.format.error
            if self.error is not None:
                break
        return events

    def _take_unfinished(self, frame: Frame) -> list[Event]:
        """Take a last frame that lacks its end, when it is whole all the same, or no JSON at all."""
        try:
            whole = is_whole(frame, self._limits)
            if not whole and not (isinstance(frame, bytes) and is_malformed(frame)):
                return []
        except LimitExceeded as error:
            self.error = error
            return []
        events = self._events_of([frame])
        self._taken = True
        if self.format is not None and isinstance(self.framing, SSEParser):
            self.format.note("blank_line_missing")
        return events
