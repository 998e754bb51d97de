"""Base class of encoders: it dispatches events to handlers, and frames the payloads that they return.

A *payload* is a JSON value, usually the data of one event. A *chunk* is the bytes of one framed payload.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.json import to_json_bytes
from tokenstream._values.error_kinds import ERROR_KINDS
from tokenstream._values.event_base import is_repeat
from tokenstream._values.parts import amendment_of
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MediaDelta,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    ProviderData,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    Resumed,
    Stopped,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    Unknown,
    UsageUpdate,
)
from tokenstream.relay._encoders.losses import PHRASES, make_error
from tokenstream.relay._encoders.pieces import TEXTS, find_surroundings, is_piece, make_writer, string
from tokenstream.relay._encoders.vocabulary import Vocabulary
from tokenstream.stages._text import SoundStage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokenstream._basics.loose import AnyEvent, JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.message import Ending
    from tokenstream.relay._encoders.pieces import PieceKey, Template, TextRecorder, Writer

Payload: TypeAlias = "tuple[str, Any]"
"""The name of an SSE event ("" for none) and its data: a JSON value, or a str to be sent unchanged."""
Payloads: TypeAlias = "Iterable[Payload]"
Handlers: TypeAlias = "Mapping[type, str]"

HANDLERS: Handlers = {
    MessageStart: "encode_start",
    PartStart: "encode_part_start",
    TextDelta: "encode_text",
    ReasoningDelta: "encode_reasoning",
    RefusalDelta: "encode_any_refusal",
    ToolCallStart: "encode_call",
    ToolCallDelta: "encode_arguments",
    ToolCallDone: "encode_call_end",
    PartDelta: "encode_fragment",
    PartDone: "encode_part_end",
    CitationAdded: "encode_citation",
    MediaDelta: "encode_media",
    UsageUpdate: "keep_usage",
    Finish: "keep_finish",
    Restarted: "encode_restart",
    Resumed: "encode_resumed",
    Stopped: "ignore",
    ProviderData: "ignore",
    Unknown: "ignore",
}
"""Maps the classes of events that every format can take to the names of handlers, methods of `Encoder`."""


class Encoder(SoundStage, Vocabulary):
    """Encodes the events of one answer as the bytes that a provider would send; a stage.

    Each chunk is one event of the format. `end` returns the end of the answer, but only after
    a `Finish`: an answer that broke off gets no end. No format can take back content that was
    sent. If an answer restarts after some of its content was sent, the encoder therefore sends
    an error, and nothing of the new answer.

    Args:
        lossy: True to leave out what the format cannot express; False to raise an error for it.
            A lossy encoder sends a refusal as text if there is no other place for it.

    Raises:
        NotExpressible: From `feed`, for an event that the format cannot express.
    """

    handlers: ClassVar[Handlers] = HANDLERS
    """Maps each class of events for which the format has a place to the name of its handler."""
    begins_at_once: ClassVar[bool] = False
    """True if the head is sent for the first event, before there is any content."""
    steady: ClassVar[bool] = True
    """True if consecutive chunks of a part differ only in the piece of text, and fit a template."""

    def reset(self) -> None:
        super().reset()
        self.finishes: dict[int, Finish] = {}
        self.has_begun = False
        self._has_failed = False
        self._is_replaced = False
        """True once the answer has restarted after some of its content was sent; later events are ignored."""
        self._replayable: list[Event] | None = []
        """The events before the first content, to be replayed on a restart; None once content was sent."""
        self._writers: dict[PieceKey, Writer | None] = {}
        """For each open part, a function that makes the chunk of the next piece from a template; None while
        the part has had only one piece.
        """

    # -- the stage -----------------------------------------------------------

    def feed(self, event: Event, *, now: float = 0.0) -> list[bytes]:
        """Return the chunks for an event; like that of every stage, the method has an argument `now`."""
        chunk = self.encode_later_piece(event)
        if chunk is not None:
            return [chunk]
        handler_name = self.handlers.get(event.__class__)
        if handler_name is None:
            # The format has no place for events of this class, or the class is newer than this encoder.
            if not is_repeat(event):
                self.lose(event)
            return []
        if self._is_replaced or self.leaves_out(event):
            return []
        begun: list[bytes] = []
        amendment = amendment_of(event)
        if amendment is not None:
            # The formats have the fields of a part in its start, of which the last counts.
            begun = self.feed(PartStart(amendment, choice=event.choice, part=event.part or 0))
        # Anything but a single piece may change the layout of the next pieces: forget all templates.
        key = event.__class__, event.choice, event.part
        writers, self._writers = self._writers, {}
        payloads = list(getattr(self, handler_name)(event))
        chunks = [self.frame(name, payload) for name, payload in payloads]
        if len(chunks) == 1 and is_piece(event):
            self._writers = writers
            self._note_piece(key, event, payloads[0])
        if chunks and self._replayable is not None:
            # The head of the answer is not content.
            self._replayable = [*self._replayable, event] if isinstance(event, MessageStart) else None
        return [*begun, *chunks]

    def encode_later_piece(self, event: Event) -> bytes | None:
        """Return the chunk of a later piece of a part, which a template makes without a payload.

        The result is None for any other event, and if the part has no template or the template does not fit.
        """
        if event.__class__ not in TEXTS:
            return None
        write = self._writers.get((event.__class__, event.choice, event.part))
        return None if write is None else write(event)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """Return the chunks that end the answer; none if there was no `Finish`, or the answer has failed."""
        # No piece follows, so the templates of the parts are not needed any more.
        self._writers.clear()
        if not self.finishes or self._has_failed:
            return []
        return [self.frame(name, payload) for name, payload in self.encode_tail()]

    def conclude(self, ending: Ending) -> list[bytes]:
        self.ending = ending
        return self.end()

    def finish_without_reason(self, ending: Ending) -> None:
        """Choose a finish reason for an answer without one, "complete" or "stopped": it needs an end."""
        is_stopped = ending != "complete"
        if is_stopped and "cancelled" not in self.words:
            self.omit_kind("stopped")
        # 0 is the first choice.
        self.finishes[0] = Finish("cancelled" if is_stopped and "cancelled" in self.words else "stop")

    def failure(self, kind: ErrorKind, message: str | None = None, *, code: str | None = None) -> list[bytes]:
        """Return the chunks that report an error in the middle of an answer; no end follows.

        By default, the message and the code are those that the provider uses for `kind`.
        """
        return [self.frame(name, payload) for name, payload in self.encode_failure(kind, message, code)]

    def encode_failure(self, kind: ErrorKind, message: str | None, code: str | None) -> list[Payload]:
        """Return the payloads, not yet chunks, of an error in the middle of an answer; see `failure`."""
        # As in `feed`, the error may change the layout of the next pieces.
        self._writers.clear()
        payloads = list(
            self.encode_error(kind, ERROR_KINDS[kind].message if message is None else message, code)
        )
        self._has_failed = True
        return payloads

    # -- handlers for encoders to override: each returns the payloads to send ----

    def encode_start(self, event: MessageStart) -> Payloads:
        """Keep the id and the model of the first `MessageStart` that has them; return a head sent at once."""
        self.id, self.model = self.id or event.id, self.model or event.model
        return self.unsent_head() if self.begins_at_once else ()

    def encode_head(self) -> Payloads:
        return ()

    def encode_part_start(self, event: PartStart) -> Payloads:
        return ()

    def encode_text(self, event: TextDelta) -> Payloads:
        raise NotImplementedError

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        """Return the payloads for a piece of reasoning, or for a signature of reasoning."""
        raise NotImplementedError

    def encode_any_refusal(self, event: RefusalDelta) -> Payloads:
        """Return the payloads for a piece of a refusal; as text if the format has no place for refusals."""
        if "refusal" in self.expresses:
            return self.encode_refusal(event)
        self.omit(PHRASES["refusal"], "refusal", ["sent as text"])
        return self.encode_refusal_as_text(event)

    def encode_refusal(self, event: RefusalDelta) -> Payloads:
        raise NotImplementedError

    def encode_refusal_as_text(self, event: RefusalDelta) -> Payloads:
        """Return the payloads for a piece of a refusal in a format that has no place for refusals."""
        return self.encode_text(TextDelta(event.text, choice=event.choice, part=event.part))

    def encode_call(self, event: ToolCallStart) -> Payloads:
        raise NotImplementedError

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        raise NotImplementedError

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        return ()

    def encode_fragment(self, event: PartDelta) -> Payloads:
        """Return the payloads for a piece of any other kind of part, such as a server tool's arguments."""
        return ()

    def encode_part_end(self, event: PartDone) -> Payloads:
        return ()

    def encode_citation(self, event: CitationAdded) -> Payloads:
        raise NotImplementedError

    def encode_media(self, event: MediaDelta) -> Payloads:
        """Return the payloads for a piece of an image or of audio."""
        raise NotImplementedError

    def keep_usage(self, event: UsageUpdate) -> Payloads:
        """Keep the token counts, which are sent at the end; return no payloads."""
        report = event.usage.model_dump(exclude_none=True, exclude={"basis", "provider_data"})
        # A total that equals the sum of input and output is redundant.
        is_sum = report.get("total_tokens") == report.get("input_tokens", 0) + report.get("output_tokens", 0)
        # `counts` has the fields of `Usage` that the format can express; a count of 0 is no loss.
        counted = {name for name, count in report.items() if count}
        not_expressible = sorted(counted - self.counts - ({"total_tokens"} if is_sum else set()))
        if not_expressible:
            self.omit(f"usage.{', usage.'.join(not_expressible)}", "usage", not_expressible)
        expressible = {name: value for name, value in report.items() if name in self.counts}
        self.count_tokens(expressible)
        return ()

    def keep_finish(self, event: Finish) -> Payloads:
        """Keep the finish reason, which is sent at the end; return no payloads."""
        # Called only for its check: `NotExpressible` is raised now, and not at the end.
        self.choose_reason(event.reason)
        self.finishes[event.choice] = event
        return ()

    def ping(self) -> list[bytes]:
        """Return the chunks of a heartbeat; none if the format has no heartbeats."""
        return []

    def encode_restart(self, event: Restarted) -> Payloads:
        """Begin again with the new answer, or return an error if content of the old one was sent."""
        if self._replayable is None:
            return self._give_up("network" if event.error is None else event.error.kind)
        replayed = self._replayable
        self.reset()
        # The head was sent already, and is also the head of the new answer: the chunks are not sent again.
        for earlier_event in replayed:
            self.feed(earlier_event)
        return ()

    def _give_up(self, kind: ErrorKind) -> Payloads:
        """Return an error, and ignore later events, because content that was sent is no longer valid."""
        self._is_replaced = True
        return self.encode_failure(kind, message=None, code=None)

    def encode_resumed(self, event: Resumed) -> Payloads:
        """Return no payloads, as readers need not know of it; an error if a cut call is left out."""
        if event.discarded:
            return self._give_up("network")
        if event.mode != "resume":
            self.begin_request()
        return ()

    def ignore(self, event: AnyEvent) -> Payloads:
        """Return no payloads for a stop, where the answer breaks off, or for the provider's own payloads."""
        return ()

    @property
    def finish_word(self) -> str:
        """The format's word for the finish reason of an answer with one choice."""
        return self.word_for(self.finishes[0].reason)

    def encode_tail(self) -> Payloads:
        raise NotImplementedError

    @staticmethod
    def make_error_body(kind: ErrorKind, message: str, code: str | None = None) -> JsonObject:  # noqa: ARG004 - of subclasses
        """Return the body of an error response, as the API's SDKs read it; empty if the API has none."""
        return {}

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return the payloads that report an error in the middle of an answer."""
        raise make_error(self.name, "an error in the middle of an answer")

    def frame(self, name: str, payload: object) -> bytes:
        """Return a payload as a chunk: an SSE event, unless the format overrides this method.

        A name may be "", for none. A payload that is text is sent unchanged.
        """
        # In an SSE event, each line of a text is a field of its own.
        lines = payload.encode().split(b"\n") if isinstance(payload, str) else [to_json_bytes(payload)]
        named = [b"event: %b\n" % name.encode()] if name else []
        return b"".join([*named, *(b"data: %b\n" % line for line in lines), b"\n"])

    def unsent_head(self) -> list[Payload]:
        """Return the head of the answer, or no payloads if it was sent already.

        Every handler that may be the first to send something returns these payloads first.
        """
        if self.has_begun:
            return []
        self.has_begun = True
        return list(self.encode_head())

    @staticmethod
    def string(text: str) -> bytes:
        """Return text as a JSON string, with the provider's escapes; ValueError for an unpaired surrogate."""
        return string(text)

    def make_template_bytes(self, name: str, payload: object) -> bytes:
        """Return the bytes from which the template for the later pieces of a part is made: the whole chunk.

        A format whose chunks contain lengths or checksums overrides this method, to leave these out.
        """
        return self.frame(name, payload)

    def make_template(self, event: Event, head: bytes, tail: bytes) -> Template:
        """Return a template: a function that takes the text of a later piece, and makes the chunk.

        `head` and `tail` are the bytes around the text in the chunk of `event`, from which later pieces
        differ only in their text. The template must have the same effects on this encoder as the handler
        of the event.
        """
        as_json, record = self.string, self.find_recorder(event)
        if record is None:
            return lambda text: head + as_json(text) + tail

        def make_chunk(text: str) -> bytes:
            # The text is recorded only if the chunk could be made.
            chunk = head + as_json(text) + tail
            record(text)
            return chunk

        return make_chunk

    def find_recorder(self, event: AnyEvent) -> TextRecorder | None:
        """Return the function that records the text of a part's later pieces; None if none is needed."""
        return None

    # -- within ----------------------------------------------------------------

    def _note_piece(self, key: PieceKey, event: AnyEvent, sent: Payload) -> None:
        """Make a template for a part's later pieces, once two of its pieces were sent as one chunk each.

        A part with a single piece needs no template, so the first piece is only recorded in `_writers`.
        """
        if key not in self._writers:
            # This is the part's first piece. In a format that is not `steady`, there are never templates,
            # because the chunks differ in more than the text.
            if self.steady:
                self._writers[key] = None
            return
        if self._writers[key] is not None:
            # The template exists, but did not fit this piece.
            return
        name, payload = sent
        text = event.fragment if isinstance(event, ToolCallDelta | PartDelta) else event.text
        surroundings = find_surroundings(payload, text, partial(self.make_template_bytes, name), self.string)
        if surroundings is not None:
            self._writers[key] = make_writer(event, self.make_template(event, *surroundings))


class WholeCalls:
    """A mixin for formats in which a tool call is sent whole, by `encode_call_end`."""

    sends_whole_calls: ClassVar[bool] = True

    def encode_call(self, event: ToolCallStart) -> Payloads:
        return ()

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        return ()


class MessageFrames:
    """A mixin for formats that are sent over a WebSocket, with one message for each payload."""

    content_type: ClassVar[str] = "application/x-ndjson"
    messages: ClassVar[bool] = True

    def frame(self, name: str, payload: object) -> bytes:
        """Return a payload as a message, with a line feed, which separates messages in a file."""
        return (payload.encode() if isinstance(payload, str) else to_json_bytes(payload)) + b"\n"
