"""The framing and the format of one connection: bytes in, events out; both are detected unless named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.error_marks import add_code_hint
from tokenstream._connection.unframed_input import OF_SSE, UnframedInput, make_bypass, make_messages
from tokenstream.errors import LimitExceeded, PositionLost, ProtocolError, StreamError, StreamTruncated
from tokenstream.formats import _registry as registry
from tokenstream.formats._detect.payloads import is_malformed, is_whole
from tokenstream.formats._detect.undetected_format import UndetectedFormat
from tokenstream.formats._endings import (
    ANSWERED,
    ENDINGS,
    Endings,
    cut_waiting,
    find_end_sign,
    has_told_all,
    waits_for_calls,
)
from tokenstream.formats._reader import dispose_of, prepare_to_continue

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable, Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream.departures import Departures
    from tokenstream.events import Event
    from tokenstream.formats._base import Format, Frame
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._kit.whole_text import TextFinder, WholeText
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.formats._resume.described import EventKey
    from tokenstream.formats._resume.event_log import EventLog
    from tokenstream.framing._framing import Framing
    from tokenstream.limits import Limits

_COMES_FRAMED = frozenset({"pieces", "body"})
"""Values of `Format.framing` for input that was framed elsewhere and is passed on unchanged."""
_KEPT_BY_SDKS = "; an SDK's loop leaves out `[DONE]`: pass the SDK's stream itself, or the response"
"""The hint for payloads that were framed elsewhere, of which none has a finish reason."""


class _FramePosition(NamedTuple):
    """A position at which a server can resume an answer, and the state of the format there."""

    position: EventKey
    """Number or id of the last event; None if the format cannot resume."""
    state: JsonObject | None
    """The state of the format as JSON; None if it cannot be saved."""
    events_left: int = 0
    """Number of events of the last frames, read at the end of the input; they come before this position."""


class Connection:
    """The framing that cuts one connection's input into frames, and the format that reads them.

    `framing` and `format` exist from the first byte on. Until they are detected,
    placeholders hold the input back; then the placeholders are replaced:

    | | at first | then |
    |---|---|---|
    | `framing` | `UnframedInput` | `SSEParser`, `JSONBody`, `AWSEventStreamParser`, … |
    | `format` | `UndetectedFormat` | the format that the frames reveal |

    A format that was named is used from the start, and so is `Bypass`, which passes
    on input that was framed elsewhere. A driver calls `framing.frames(chunk)`, then
    `format.feed(frame)` for each frame, and checks the `error` of both. The driver
    must not keep a reference to the framing or the format, since any call may replace them.
    """

    def __init__(
        self,
        format: FormatChoice,
        *,
        limits: Limits,
        departures: Departures,
        found: Callable[[str], None],
        make_stage: StageFactory | None = None,
        offered: OfferedTools | None = None,
        continued_format: Format | None = None,
        find_text: TextFinder | None = None,
        adapt: Callable[[Format], None] | None = None,
    ) -> None:
        self._adapt = adapt
        self._limits = limits
        self._found = found
        self._departures = departures
        self._make_stage = make_stage
        self._offered = offered
        self._find_text = find_text
        self._last_events: list[Event] = []
        """The events of the last frames, read at the end of the input, which the message may still lack."""
        self._accepted_unfinished = False
        """True if a last frame was accepted although its end is missing."""
        self.kept_frames: deque[Frame] | None = None
        """The frames that were read and that `stream.payloads` has not given yet; None if nobody asks."""
        self.framing_ended = False
        self.log: EventLog | None = None
        """The events that were read from all connections; None if nothing is resumed."""
        self.left_frame: Frame | None = None
        """A last frame whose end is missing, and which has been left unread; None if there is none."""
        self.error: StreamError | None = None
        """The failure that the end of the input revealed; None if there is none so far."""
        self.format: Format
        self.last_position: _FramePosition | None = None
        """The position before the end of the input closed the open parts; None before the end."""
        if continued_format is None:
            if format is None:
                self.format = UndetectedFormat(limits=limits, found=self._use_format)
            else:
                self._use_format(registry.create(format, limits=limits))
        else:
            if isinstance(continued_format, UndetectedFormat):
                # It holds the frames of the connection that it has read before.
                self.format = continued_format
                continued_format.found = self._use_format
            else:
                # It was prepared for the connection that it has read before.
                self._adapt = None
                self._use_format(continued_format)
            prepare_to_continue(continued_format)
        self.framing: Framing
        if self.format.framing in _COMES_FRAMED:
            # Each chunk is a frame already.
            self.framing = make_bypass(limits)
        else:
            self.framing = UnframedInput(
                self.format, limits=limits, departures=departures, found=self._use_framing
            )
        """The framing of the body itself, which may be within the messages of a binary event stream."""

    def take_content_type(self, content_type: str | None) -> None:
        """Take the content type before the body, whose first bytes take precedence."""
        if isinstance(self.framing, UnframedInput):
            self.framing.content_type = content_type

    def take_tools(self, offered: OfferedTools | None) -> None:
        """Take the tools that the request offers, before any of the answer is read."""
        self._offered = offered
        if not isinstance(self.format, UndetectedFormat):
            self.format.parts.offered = offered

    def _use_format(self, format: Format) -> None:
        """Use a format from now on, with this connection's settings, and report its name to `found`."""
        self.format = format
        format.departures = self._departures
        format.parts.offered = self._offered
        format.parts.find_text = None if self._find_text is None else self._find_arrived
        # A format that continues from another connection already has its stage.
        if self._make_stage is not None and format.parts.stage is None:
            format.parts.stage = self._make_stage(format.parts)
        if self._adapt is not None:
            self._adapt(format)
        if format.name:
            self._found(format.name)

    def _use_framing(self, framing: Framing) -> None:
        self.framing = framing
        if isinstance(self.format, UndetectedFormat):
            self.format.documents, self.format.messages = framing.is_json, framing.has_messages

    def _find_arrived(self, whole: WholeText) -> str:
        """Return the text of a part so far, to find the new text if the server repeats all of the part.

        The text so far is in the message, or in events that the message does not contain yet.
        """
        from tokenstream.formats._kit.whole_text import added_by

        arrived = "" if self._find_text is None else self._find_text(whole)
        return arrived + added_by(self._last_events, whole)

    @property
    def is_untouched(self) -> bool:
        """True if no frame has arrived, so that nothing may be asked of this connection later."""
        format = self.format
        return isinstance(format, UndetectedFormat) and not format.has_frames and self.left_frame is None

    def serves(self, format: object, make_stage: StageFactory | None) -> bool:
        """Return True if this connection, which was given nothing, is as good as a new one."""
        is_undetected = isinstance(self.format, UndetectedFormat)
        return format is None and is_undetected and make_stage is self._make_stage

    def dispose(self) -> None:
        """Let go of the framing and the format, which may refer back to this connection."""
        # A connection that went on with the answer of another one has the same format.
        format = getattr(self, "format", None)
        if format is not None:
            dispose_of(format)
            del self.format, self.framing

    @property
    def endings(self) -> Endings:
        """The endings of the answer if its input ends here, from the sign in all that the server has sent."""
        format = self.format
        sign = find_end_sign(format)
        is_open = format.may_go_on or waits_for_calls(format.parts) or sign == "early reason"
        if format.finished and sign in ("nothing", "doubt"):
            # The format gives the reason to the reader only at its end.
            sign = "open reason" if is_open else "reason"
        elif not format.finished and sign not in ("doubt", "sentinel"):
            # The terminal event may say that the answer was cut off.
            sign = "nothing"
        # Content may follow the finish reason, and may have been in a frame that is faulty or was cut off.
        if sign not in ANSWERED and is_open and (isinstance(format.error, ProtocolError) or self._is_cut):
            sign = "nothing"
        return ENDINGS[sign]

    @property
    def _is_over(self) -> bool:
        """True if the terminal event of an answer has come, and the end of the input tells nothing more."""
        format, first_frames = self.format, self.format.first_frames
        is_read = format.ended and first_frames.enough and first_frames.is_proven
        is_certain = is_read and not format.assumed and format.error is None and self.error is None
        return is_certain and self.framing.is_spotless

    @property
    def _is_cut(self) -> bool:
        """True if the input so far ends inside a frame, a binary message, or the array of frames."""
        if self.framing.cut_message or self.framing.is_open:
            return True
        # White space alone, and an SSE comment, which begins with a colon, are not part of a frame.
        return self.tail.lstrip()[:1] not in (b"", b":")

    @property
    def unfinished_choices(self) -> list[int]:
        if self.endings.broken == "complete":
            return []
        choices = self.format.parts.choices.values()
        if self.format.goes_on or not self.format.finish_is_last:
            # In this format, content may follow a finish reason, so no choice is certain to be finished.
            return [choice.index for choice in choices]
        return [choice.index for choice in choices if choice.finish is None]

    @property
    def tail(self) -> bytes:
        """The bytes of an unfinished frame; empty if the frame was read, as only its end was missing."""
        return b"" if self._accepted_unfinished else self.framing.tail

    @property
    def known_format(self) -> Format | None:
        """The format; None while a placeholder stands for it, which knows nothing of its payloads."""
        return None if isinstance(self.format, UndetectedFormat) else self.format

    @property
    def name(self) -> str | None:
        """The format's name; None until it is known."""
        return self.format.name or None

    @property
    def takes_text(self) -> bool:
        """True if the input is decoded text instead of bytes."""
        return self.format.framing == "pieces"

    @property
    def last_event_id(self) -> str | None:
        """The id of the last SSE event; None if the server sent none."""
        return self.framing.last_event_id or None

    @property
    def frames_seen(self) -> int:
        return self.format.frames

    def note(self, detail: str, *, about: str = "") -> None:
        """Count a departure that is visible outside the payloads."""
        self._departures.note(detail, event=self.frames_seen, about=about)

    def take_payloads(self) -> None:
        """Expect payloads that were framed and decoded elsewhere, for example by an SDK."""
        if not self.framing.has_payloads:
            # Rules about SSE do not apply to payloads.
            self._departures.leave_out(OF_SSE)
            # Bytes that arrived earlier (an SDK sends none) are examined at the end of the input.
            self._use_framing(make_bypass(self._limits, self.framing if self.framing.tail else None))

    def take_messages(self) -> None:
        """Expect each piece of input to be one whole payload, like the messages of a WebSocket."""
        # Rules about SSE do not apply to messages.
        self._departures.leave_out(OF_SSE)
        self._use_framing(make_messages(self._limits))

    def take_text(self) -> None:
        """Record that the input was text, for the error about a body that cannot be read."""
        if isinstance(self.framing, UnframedInput):
            self.framing.text = True

    def shortcut(self) -> Callable[[Any], Event | None] | None:
        """Return a fast function that reads chunks like the last one; None if no fast function can read them.

        For a chunk that is one more delta like the last one, the function returns the event. For any
        other chunk the function returns None, and the chunk has to be read in the usual way.
        """
        return self.framing.make_shortcut(self.format)

    def end(self, *, broken: bool, known_over: bool) -> list[Event]:
        """End the input, and return the remaining events; set `error` if the answer is not complete.

        If the connection is `broken`, the format must not judge the ending. With `known_over`, the caller
        knows that the answer is over, as if its server had sent an end mark.
        """
        if self._is_over and not broken:
            # The usual end, to which what follows would add nothing.
            events, self.error = self.format.end(), self.format.error
            return events
        events = self._end_framing()
        # Before the end closes open parts: the position from which the answer can be resumed. Events of the
        # last frames come before it, the events that close the parts come after it.
        self._store_position(len(events))
        unreported_error = self._find_unreported_error()
        if unreported_error is not None:
            # The format withheld it, or it was sent outside of SSE events.
            self.format.reader.classify_error(self.format, unreported_error)
            self.error = unreported_error
        if broken or unreported_error is not None:
            # The ending is known already, so only the open parts are closed.
            return events + self.abandon()
        if self.error is None:
            events += self._end_format(known_over=known_over)
        if self.framing.replaced:
            self._departures.note("invalid_utf8", event=self.frames_seen, count=self.framing.replaced)
        if isinstance(self.error, StreamTruncated) and not self.frames_seen:
            # No frame ended: perhaps because the body has lost its line ends on the way.
            from tokenstream.formats._detect.unknown import find_lost_line_ends

            self.error = find_lost_line_ends(self.tail, self._limits) or self.error
        elif isinstance(self.error, StreamTruncated) and self.framing.has_payloads and self.format.sentinel:
            add_code_hint(self.error, _KEPT_BY_SDKS)
        return events

    def cut_short(
        self, cause: StreamError | None, *, leaves_unfinished: bool = False
    ) -> tuple[list[Event], StreamError | None]:
        """End the framing, but not the format, which may go on with another connection.

        The result is the events of the last frames, and the error if no other connection continues the
        answer: None if it is complete, or if only the end of the format can decide that. The cause is
        None after a clean end. A last frame without its end can be left unread, because the server can be
        asked for it again; `read_left_frame` reads it after all.
        """
        events = self._end_framing(leaves_unfinished=leaves_unfinished)
        return events, self._find_error_if_cut_short(cause)

    def _find_error_if_cut_short(self, cause: StreamError | None) -> StreamError | None:
        """Return the error of the answer if its input ends here; None if it is complete, or may be.

        Only the end of the format can decide in some cases whether the answer is complete.
        """
        error = self.error or self._find_unreported_error()
        ending = self.endings.clean if cause is None else self.endings.broken
        if error is not None or ending == "complete":
            return error
        if cause is not None:
            return cause
        # The input ended cleanly, but nothing says that the answer is complete.
        format = self.format
        first_frames = format.first_frames
        mismatch = first_frames.find_mismatch(format)
        if mismatch is not None:
            return mismatch
        ends_with_input = format.ends_with_input and not (format.is_amid or self.framing.cut_message)
        end_may_complete = format.ended or ends_with_input
        if end_may_complete or isinstance(format, UndetectedFormat):
            return None
        return first_frames.explain(format.cut_short(), format)

    def find_position(self) -> _FramePosition:
        """Return the position at which a server can resume, and the state of the format at that position.

        Both are None if the answer cannot be resumed, and the state is None if it cannot be stored.
        """
        format = self.format
        # A malformed payload may arrive intact on another connection; an error from the provider is final.
        may_resume = format.error is None or type(format.error) is ProtocolError
        if not format.resumes or not may_resume:
            return _FramePosition(position=None, state=None)
        # A stage after the format may hold events back, so the format's state alone does not suffice.
        return _FramePosition(format.position, format.state() if format.parts.stage is None else None)

    def _store_position(self, events_left: int) -> None:
        """Store the position that the answer has reached, before the end closes its open parts.

        Nothing is stored for a finished answer, or for a format that cannot resume. `events_left` counts
        the events before this position that the caller has not got yet: those of the last frames.
        """
        if self.format.resumes and not self.format.finished:
            self.last_position = self.find_position()._replace(events_left=events_left)

    def _end_framing(self, *, leaves_unfinished: bool = False) -> list[Event]:
        """End the framing, and return the events of its last frames.

        Only the first call ends the framing. A later call reads the frame that the first one left unread.
        """
        if self.framing_ended:
            return self.read_left_frame()
        self.framing_ended = True
        events = self._read_last_frames(self.framing.end())
        # Read after `end`, because the framing may be detected only at the end.
        unfinished = self.framing.unfinished
        if unfinished is not None and self.error is None:
            if leaves_unfinished:
                self.left_frame = unfinished
            else:
                events += self._read_unfinished(unfinished)
        self.error = self.error or self.framing.error
        return events

    def is_repeated(self, frame: Frame) -> bool:
        """Record a frame in the log, if there is one; return True if an earlier connection has brought it.

        Raises:
            PositionLost: The frame belongs to another answer.
        """
        is_repeated = self.log is not None and self.log.check_or_add(frame, self.known_format)
        self.format.dropped += is_repeated
        return is_repeated

    def _read_last_frames(self, frames: Sequence[Frame]) -> list[Event]:
        """Read the frames at the end of the input, except those that an earlier connection brought."""
        try:
            new = [frame for frame in frames if not self.is_repeated(frame)]
        except PositionLost as error:
            self.error = error
            return []
        return self._read_frames(new)

    def read_left_frame(self) -> list[Event]:
        """Read the frame that `cut_short` has left unread, if any; return its events."""
        frame, self.left_frame = self.left_frame, None
        return [] if frame is None else self._read_unfinished(frame)

    def _end_format(self, *, known_over: bool) -> list[Event]:
        """Tell the format that the input has ended, and return its remaining events.

        Afterwards, `error` is set if the answer is not complete.
        """
        # By its class, since `isinstance` asks an abstract class for more kinds, which takes longer.
        events = self.format.decide_at_end() if type(self.format) is UndetectedFormat else []
        self.error = self.format.error
        if self.error is not None:
            return events
        # From here on, the format is the detected one.
        format = self.format
        self.error = self._find_missing_answer_error()
        # A document has no sentinel, and code that frames payloads passes none on.
        is_document = self.framing.is_document and format.frames == 1
        is_unmarked = is_document or self.framing.has_payloads
        if is_unmarked and self.error is None and format.finished and not format.ended:
            format.conclude()
        if known_over and self.error is None and not format.ended and not self.tail:
            # The mark notes a missing reason; `end` finds a cut in what lies before it.
            format.read_sentinel()
        # The input ends inside a frame, which may have held more of the answer.
        # In a format without an end of its own, the end of the input is none either in a message.
        cut_message = self.framing.cut_message
        is_cut = (format.finished or cut_message) and self.endings.clean != "complete"
        if self.error is None and is_cut:
            self.error = format.cut_short()
        if self.error is not None:
            return events + self.abandon()
        events += format.end()
        # The format may find the answer truncated only because the frames are of another format.
        self.error = format.first_frames.explain(format.error, format)
        if is_document:
            self._note_if_not_streamed()
        if self.error is None and cut_message:
            format.note("broken_after_finish")
        return events

    def _find_missing_answer_error(self) -> StreamError | None:
        """Return the error if the frames are of another format, or only say that an answer has ended."""
        format = self.format
        if (mismatch := format.first_frames.find_mismatch(format)) is not None:
            return mismatch
        if format.first_frames.prove_no_answer(format):
            # A beginning or an end alone is not an answer: the server has lost it.
            return format.cut_short()
        return None

    def _find_unreported_error(self) -> StreamError | None:
        """Return an error that was reported without ending the answer; None if there is none.

        The format may have withheld the error, because the answer could still go on. Or the server may
        have sent the error as bare lines between the events of an event stream.
        """
        if self.error is not None:
            return None
        withheld = self.format.withheld
        if withheld is not None:
            return withheld
        error, stray = None, self.framing.stray
        if stray:
            from tokenstream.formats._detect.unknown import find_error

            error = find_error(stray, self._limits)
        if error is not None and has_told_all(self.format):
            self.note("error_after_finish")
            return None
        if error is not None:
            # Quirk (Vertex AI, 2025-06): an error in mid-stream is JSON over several lines without `data:`;
            # recording: gemini-sse-vertexai-sdk-test-data-streaming-failure-error-mid-stream-40958d6e.
            self.note("error_unmarked")
        return error

    def _note_if_not_streamed(self) -> None:
        """Count a departure if the server did not stream, but sent the whole answer as a single document."""
        format = self.format
        # NDJSON may have a single line, but that line has a line end, unlike Ollama's unstreamed answer.
        is_streamed_line = format.framing == "ndjson" and not self._accepted_unfinished
        if format.error is None and format.finished and not is_streamed_line:
            format.note("not_streamed")

    def abandon(self) -> list[Event]:
        """Close all open parts after a break; return the events held back, and those that end the parts."""
        if self.last_position is None:
            self._store_position(0)
        parts = self.format.parts
        # No end of the answer has shown that nothing more of these calls follows.
        cut_waiting(parts)
        parts.close_all(complete=self.endings.broken == "complete")
        return parts.take()

    def _read_frames(self, frames: Iterable[Frame]) -> list[Event]:
        """Return the format's events for frames, up to the first error."""
        events: list[Event] = []
        for frame in frames:
            read = self.format.feed(frame)
            if self.kept_frames is not None:
                self.kept_frames.append(frame)
            events += read
            # A later frame may repeat the whole text of a part. It is compared with what has arrived, which
            # includes these events, although the message will get them only when this method has returned.
            self._last_events += read
            self.error = self.format.error
            if self.error is not None:
                break
        return events

    def end_order(
        self,
        reorder: Any,  # noqa: ANN401 - a stage, from a higher layer
        now: float,
    ) -> tuple[list[Event], StreamError | None]:
        """Read the frames that are still held back at the end of the input, for want of earlier ones."""
        events = self._read_frames(reorder.end(now=now))
        # Counts the frames that were repeated or out of order.
        reorder.note(self._departures, self.frames_seen)
        return events, self.error or reorder.error

    def _read_unfinished(self, frame: Frame) -> list[Event]:
        """Read a last frame whose end is missing, unless its payload was cut off; return the events.

        A payload with a syntax error is read, too, so that the format reports the error.
        """
        try:
            can_be_read = is_whole(frame, self._limits) or (isinstance(frame, bytes) and is_malformed(frame))
        except LimitExceeded as error:
            self.error = error
            return []
        if not can_be_read:
            return []
        events = self._read_last_frames([frame])
        self._accepted_unfinished = True
        # A blank line should have ended the SSE event.
        if self.framing.ends_events and not isinstance(self.format, UndetectedFormat):
            self.format.note("blank_line_missing")
        return events
