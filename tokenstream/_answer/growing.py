"""The mutable state of an answer in progress: its parts and choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._answer.log import DELTAS, AnswerLog, Delta, PartWords
from tokenstream._basics.text_log import ByteLog, TextLog, size_of
from tokenstream._values.event_base import Arguments
from tokenstream._values.parts import BESIDE, OWN_ENDS, WORDED
from tokenstream.events import Finish, Restarted, Resumed, ToolResult
from tokenstream.message import (
    Join,
    MediaPart,
    Part,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    ToolCall,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tokenstream._basics.loose import AnyEvent, Json, JsonObject
    from tokenstream.message import Ending, FinishReason, Message

ChoiceStates: TypeAlias = "dict[int, ChoiceState]"
"""The choices of an answer, by index."""
StartPart: TypeAlias = "Callable[[], Part]"
"""Makes the part that an event begins, if no event has begun it before."""


def ended_itself(reason: FinishReason | None, ending: Ending) -> bool:
    """Return True if the model ended the answer: the finish reason decides or, without one, the ending."""
    return reason in OWN_ENDS or (reason is None and ending == "complete")


class GrowingPart:
    """A part that can still grow: its beginning, and all that was added since then."""

    __slots__ = ("extra", "final", "is_gap", "log", "pieces", "start")

    def __init__(self, start: Part, *, is_gap: bool = False) -> None:
        self.start = start
        self.is_gap = is_gap
        """True for an index that was skipped, because the part with that index is in another message."""
        self.final: Part | None = None
        """The finished part, which all later snapshots share."""
        self.pieces: Arguments | None = None
        """The text that belongs to this part alone: arguments, or a transcript."""
        self.log: PartWords | None = None
        """The words of a text, reasoning or a refusal that came in deltas; None before the first delta."""
        self.extra: Any = None
        """The growing signature, a `TextLog`, or the growing data of media, a `ByteLog`."""

    def begin_again(self, start: StartPart) -> bool:
        """Begin a part that was skipped, or reopen a finished one; return True if it was finished."""
        if self.is_gap:
            self.is_gap, self.start = False, start()
        was_finished = self.final is not None
        self.final = None
        return was_finished

    def add_piece(self, text: str) -> Arguments:
        """Append to the part's arguments or transcript; return the object that contains the whole text."""
        pieces = self.pieces
        if pieces is None:
            start = self.start
            is_free = isinstance(start, ServerToolResult) or (
                isinstance(start, ToolCall) and start.type == "custom"
            )
            pieces = self.pieces = Arguments(free=is_free, name=getattr(start, "name", ""))
        pieces.append(text)
        return pieces

    def add_extra(self, piece: str | bytes) -> None:
        """Add a piece of a signature, or of media."""
        if self.extra is None:
            self.extra = TextLog() if isinstance(piece, str) else ByteLog()
        self.extra.append(piece)

    def finish(self, content: Part) -> None:
        """Store the part as it is at its end; later snapshots use the stored part."""
        self.final = content
        if self.log is not None:
            self.log.note_phase(content)
        if not isinstance(content, WORDED):
            # The finished part contains its pieces; readers still need the words, which the choice's log has.
            self.start, self.pieces, self.extra = content, None, None

    @property
    def own_size(self) -> int:
        """Size of the part's words, arguments or transcript, in bytes; 0 for a part that can have none."""
        if self.log is not None or self.pieces is not None:
            return sum(log.size for log in (self.log, self.pieces) if log is not None)
        content = self.final or self.start
        if isinstance(content, ToolCall | ServerToolCall):
            return size_of(content.arguments_text)
        return size_of(content.transcript) if isinstance(content, MediaPart) else 0

    def build(self, *, complete: bool) -> Part:
        """Return the part as it is now."""
        start = self.start
        changes: JsonObject = {"complete": complete}
        if self.log is not None and isinstance(start, WORDED):
            changes["text"] = start.text + self.log.join()
        elif self.pieces is not None:
            if isinstance(start, ToolCall | ServerToolCall):
                changes["arguments_text"] = start.arguments_text + self.pieces.join()
            elif isinstance(start, MediaPart):
                changes["transcript"] = start.transcript + self.pieces.join()
            elif isinstance(start, ServerToolResult) and (
                not start.content or isinstance(start.content, str)
            ):
                # A result grows as text; a later start of the part may have the result in the server's form.
                changes["content"] = (start.content or "") + self.pieces.join()
        if self.extra is not None:
            if isinstance(start, MediaPart):
                changes["data"] = start.data + self.extra.join()
            elif isinstance(start, ReasoningPart):
                changes["signature"] = (start.signature or "") + self.extra.join()
        return start.model_copy(update=changes)


class Target:
    """The place to which the text of the last delta was added: a part of a choice, and its growing text.

    The accumulator keeps it, because the next delta usually goes to the same place.

    Args:
        kind: The delta's class.
        log: The growing text to which the delta's text was appended.
    """

    __slots__ = ("choice", "is_fragment", "kind", "log", "part")

    def __init__(self, kind: type, choice: int, part: int, log: TextLog) -> None:
        self.kind = kind
        self.choice = choice
        self.part = part
        self.log = log
        self.is_fragment = isinstance(log, Arguments)
        """True if the delta's text is in its field `fragment` instead of `text`."""


NOWHERE = Target(type(None), -1, -1, TextLog())
"""The target after an event that was not a delta; nothing is ever written to its log."""


def is_bare(delta: AnyEvent) -> bool:
    return bool(delta.text) and not delta.signature


def snapshot(value: Json) -> Json:
    """Return a value that no longer changes: a copy of a list, because a list grows in place."""
    return [*value] if isinstance(value, list) else value


class ChoiceState:
    """The state of one choice in progress: its parts, text, tool calls and finish reason.

    Args:
        texts_go_on: True if a text that ends may go on in the next part.
    """

    __slots__ = (
        "ending",
        "finish_message",
        "finish_reason",
        "index",
        "joined",
        "log",
        "parts",
        "places",
        "provider_data",
        "raw_finish_reason",
        "refused",
        "reopened",
        "results",
        "texts_go_on",
    )

    def __init__(self, index: int, *, texts_go_on: bool = False) -> None:
        self.index = index
        self.parts: list[GrowingPart] = []
        """The parts in the order in which they came."""
        self.places: dict[int, int] = {}
        """The indexes in the message of those parts that it has in another order."""
        self.log = AnswerLog()
        """The words and the tool calls of the choice, for its readers."""
        self.finish_reason: FinishReason | None = None
        self.raw_finish_reason: str | None = None
        self.finish_message: str | None = None
        self.provider_data: JsonObject = {}
        self.joined: tuple[Join, ...] = ()
        """The places at which continuations were joined to the text."""
        self.ending: Ending = "streaming"
        self.reopened = 0
        """Number of times that a finished part was changed."""
        self.results: list[ToolResult] = []
        """The results of tools, in the order in which they came."""
        self.texts_go_on = texts_go_on
        self.refused: dict[str, ToolResult] = {}
        """The errors of the calls that cannot be run, by the call's id; they are among `results`, too."""

    def refuse_call(self, call: ToolCall) -> None:
        """Add the error of a tool call that cannot be run to `results`, unless it was added before."""
        if call.id not in self.refused:
            refusal = ToolResult(call.id, error=call.error_for_model, choice=self.index)
            self.refused[call.id] = refusal
            self.results.append(refusal)

    def finish(self, event: Finish) -> None:
        """Keep the reason for which the choice has ended; no item follows."""
        self.finish_reason, self.raw_finish_reason = event.reason, event.raw_reason
        self.finish_message = event.message
        if event.order is not None:
            moved = [*dict.fromkeys(part for part in event.order if part < len(self.parts))]
            # Each answer on a connection orders its own parts; only a false order is about others, too.
            others = self.places if self.places.keys().isdisjoint(moved) else {}
            self.places = others | dict(zip(moved, sorted(moved), strict=True))
        self.log.end_items()

    def in_order(self) -> list[GrowingPart]:
        """Return the parts in the order of the message."""
        parts = [*self.parts]
        for part, place in self.places.items():
            parts[place] = self.parts[part]
        return parts

    @property
    def last_thoughts(self) -> str:
        """The reasoning that neither text nor other content has followed; "" if there is none."""
        for part in reversed(self.parts):
            content = part.final or part.build(complete=False)
            if isinstance(content, WORDED) and content.text.strip():
                return content.text if isinstance(content, ReasoningPart) else ""
            if not isinstance(content, WORDED) and content.kind not in BESIDE:
                break
        return ""

    def go_on(self) -> None:
        """Forget the reason for the end, because the answer goes on, or another one follows."""
        self.finish_reason = self.raw_finish_reason = self.finish_message = None

    def has_gone_on(self, id: str) -> bool:
        """Return True if a call was not cut off: a part follows it, or the model itself ended the answer."""
        last = next((part.final for part in self.parts[::-1] if part.start.kind not in BESIDE), None)
        is_followed = not isinstance(last, ToolCall) or last.id != id
        return is_followed or ended_itself(self.finish_reason, self.ending)

    def get_or_begin_part(self, index: int, start: StartPart) -> GrowingPart:
        """Return a part that is about to change; create the part if no event has started it."""
        parts = self.parts
        if len(parts) <= index:
            # All steps of a run share one numbering of parts, so this step's indexes may have gaps.
            while len(parts) < index:
                parts.append(GrowingPart(start(), is_gap=True))
            parts.append(GrowingPart(start()))
            kind = parts[index].start.kind
            if kind not in BESIDE and not (self.texts_go_on and kind in DELTAS):
                self.log.end_items()
        part = parts[index]
        if (part.is_gap or part.final is not None) and part.begin_again(start):
            self.reopened += 1
        return part

    def begin_writing(self, index: int, part: GrowingPart, kind: type[Delta]) -> PartWords:
        """Return the log to which the words of a part are appended; they belong to a run of that part."""
        log = part.log
        if log is None:
            log = part.log = PartWords(kind)
            log.note_phase(part.start)
        self.log.begin_run(index, log)
        return log

    def end_words(self, index: int) -> None:
        """End the item of text, reasoning or a refusal to which the words of a part belong, if it has any."""
        log = self.parts[index].log if index < len(self.parts) else None
        if log is not None and not self.texts_go_on:
            self.log.end_items(log.kind)

    @property
    def cut_count(self) -> int:
        """Number of calls at the end that have not ended; if the answer goes on now, they were cut off."""
        is_open = [isinstance(part.start, ToolCall) and part.final is None for part in self.in_order()]
        return [*is_open[::-1], False].index(False)

    @property
    def size(self) -> int:
        """Size of the choice in bytes: all kinds of text, and arguments."""
        return sum(part.own_size for part in self.parts)

    def restore(self, message: Message, shared: JsonObject, names: Collection[str]) -> int:
        """Restore the choice, and its fields `names` into `shared`; return the number of its characters."""
        self.finish_reason, self.raw_finish_reason = message.finish_reason, message.raw_finish_reason
        self.finish_message, self.joined = message.finish_message, message.joined
        self.results = [
            ToolResult(each.id, each.output, each.error, each.provider_executed, choice=self.index)
            for each in message.results
        ]
        for name, value in message.provider_data.items():
            data = shared if name in names else self.provider_data
            data[name] = snapshot(value)
        return sum([self._restore_part(part) for part in message.parts])

    def join(self, event: Resumed) -> None:
        """Note where a continuation joins the text, and leave out calls that it makes again."""
        for _ in event.discarded[: self.cut_count]:
            self.parts.pop()
        indexes_from_end = reversed(range(len(self.parts)))
        last = next((i for i in indexes_from_end if self.parts[i].start.kind not in BESIDE), None)
        is_open = last is not None and self.parts[last].final is None
        index = last if last is not None and is_open else len(self.parts)
        join = Join(
            mode=event.mode,
            part=index,
            at=event.at or 0,
            dropped=event.dropped,
            confidence=event.confidence,
            id=event.id,
            model=event.model,
            format=event.format,
        )
        self.joined = (*self.joined, join)

    def _restore_part(self, content: Part) -> int:
        """Restore a part, whose text goes to the logs that grow; return the number of its characters."""
        part = GrowingPart(content)
        self.parts.append(part)
        length = 0
        if isinstance(content, WORDED):
            emptied: JsonObject = {"text": "", "complete": False}
            if isinstance(content, ReasoningPart) and content.signature:
                part.add_extra(content.signature)
                length = len(content.signature)
                emptied["signature"] = None
            part.start = content.model_copy(update=emptied)
            if content.text:
                self.begin_writing(len(self.parts) - 1, part, DELTAS[content.kind]).append(content.text)
            length += len(content.text)
        elif isinstance(content, ToolCall | ServerToolCall) and not content.complete:
            part.start = content.model_copy(update={"arguments_text": ""})
            if content.arguments_text:
                part.add_piece(content.arguments_text)
            length = len(content.arguments_text)
        elif isinstance(content, MediaPart):
            # Media stay in `start`, to which `build` adds what arrives later.
            length = len(content.data) + len(content.transcript)
        # Snapshots share a complete part as it is, unless a later event changes it.
        part.final = content if content.complete else None
        if content.complete:
            self.end_words(len(self.parts) - 1)
            if isinstance(content, ToolCall):
                self.log.calls.append(content)
                self.log.restored += 1
        return length


class GivenUpAnswer:
    """A partial answer that was given up because the answer was restarted.

    Args:
        head: The id, model, role and shared fields of that answer.
        event: The event that announced the restart.
    """

    __slots__ = ("_choices", "event", "head")

    def __init__(self, choices: ChoiceStates, head: tuple[Any, ...], event: Restarted) -> None:
        self._choices = choices
        self.head = head
        self.event = event
        # Readers turn to other logs from now on.
        self._mark(void=True)

    @property
    def size(self) -> int:
        """The amount that had arrived: the number of characters, plus one for each call that ended."""
        return sum(
            choice.log.size + sum(part.pieces.length for part in choice.parts if part.pieces is not None)
            for choice in self._choices.values()
        )

    def restore_choices(self) -> ChoiceStates:
        """Make the choices that were given up valid again, and return them."""
        self._mark(void=False)
        return self._choices

    def _mark(self, *, void: bool) -> None:
        """Mark the logs of the choices as void, so that views do not read them, or as valid again."""
        for choice in self._choices.values():
            choice.log.mark(void=void)
