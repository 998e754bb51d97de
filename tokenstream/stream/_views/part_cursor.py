"""A cursor in one part of an answer, which yields its start, its additions and its end as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._answer.log import DELTAS
from tokenstream._values.parts import WORDED, with_words_of
from tokenstream.events import (
    CitationAdded,
    Event,
    MediaDelta,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.message import (
    Citation,
    MediaPart,
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    TextPart,
    ToolCall,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream._answer.growing import GrowingPart
    from tokenstream._basics.text_log import PieceT, TextLog


class PartCursor:
    """A reader's cursor in a part, which has an index in the message."""

    def __init__(self, part: GrowingPart, choice: int, index: int) -> None:
        self._part = part
        self._choice = choice
        self._index = index
        self._start: Part | None = None
        """The start that was delivered."""
        self._final: Part | None = None
        """The final part that was delivered."""
        self._text_length = 0
        """Number of characters of the text that were delivered."""
        self._data_length = 0
        """Length of the signature or the media data that was delivered."""

    @property
    def has_ended(self) -> bool:
        """True if the part had ended at the last call of `ready`."""
        return self._final is not None

    def find_left_out(self, parts: list[GrowingPart]) -> Part | None:
        """Return the part as it is, if it is no longer among the parts of its choice; otherwise None."""
        is_kept = self._index < len(parts) and parts[self._index] is self._part
        return None if is_kept else self._part.build(complete=False)

    def ready(self) -> Iterator[Event]:
        """Yield events for the changes of the part since the last call."""
        part = self._part
        # These are read first: another thread may be writing, and once they are set, the rest is there.
        final, first_start = part.final, part.start
        was_end_delivered = final is not None and final is self._final
        # A gap is an index for which no part has arrived yet.
        if part.is_gap or was_end_delivered:
            return
        # While the part grows, its content is that of its start; further content is in its pieces.
        content = first_start if final is None else final
        start = first_start if final is None else self._start_of(final)
        match content:
            case TextPart() | ReasoningPart() | RefusalPart():
                yield from self._read_words(start, content)
            case ToolCall() | ServerToolCall():
                yield from self._read_arguments(start, content, final)
            case MediaPart():
                yield from self._read_media(start, content, final)
            case Citation() if final is not None:
                # Its end is its only event.
                pass
            case _:
                yield from self._read_start(
                    start if final is None else content.model_copy(update={"complete": False})
                )
        if final is not None:
            yield self._make_end(final)
        self._final = final

    # -- within ------------------------------------------------------------

    def _read_start(self, start: Part) -> Iterator[Event]:
        """Yield the part's start, unless it was already delivered and has not changed."""
        before = self._start
        if before is start:
            return
        self._start = start
        if isinstance(start, ToolCall):
            yield ToolCallStart(
                start.id, start.name, start.type, start.provider_data, choice=self._choice, part=self._index
            )
            return
        yield PartStart(start, choice=self._choice, part=self._index)
        # The start of some parts already has the whole content. A start that replaces another one adds none.
        if before is None and isinstance(start, MediaPart):
            self._text_length, self._data_length = len(start.transcript), len(start.data)
        elif before is None and isinstance(start, ServerToolCall):
            self._text_length = len(start.arguments_text)

    def _start_of(self, final: Part) -> Part:
        """Return the start of an ended part: the delivered start, or else one made from the final part."""
        if self._start is not None:
            return self._start
        if isinstance(final, WORDED):
            # The text is delivered in pieces, after an empty start.
            return self._part.start
        return final.model_copy(update={"complete": False})

    def _make_end(self, final: Part) -> Event:
        choice, index = self._choice, self._index
        if isinstance(final, Citation):
            return CitationAdded(final, choice=choice, part=index)
        if isinstance(final, ToolCall) and final.complete:
            return ToolCallDone(final, choice=choice, part=index)
        done = PartDone(final, choice=choice, part=index)
        if isinstance(final, WORDED):
            part = self._part
            # If the reader can build the same part from the earlier events, it need not be sent again.
            built = part.build(complete=True)
            done.is_repeat = self._start is part.start and built == final
            done.is_amended = not done.is_repeat and with_words_of(final, built) == final
        return done

    def _read_words(self, start: Part, content: TextPart | ReasoningPart | RefusalPart) -> Iterator[Event]:
        """Yield the start and the new text of a part; for reasoning, also the new signature."""
        yield from self._read_start(start)
        if text := self._take_new_text(self._part.log):
            yield DELTAS[content.kind](text, choice=self._choice, part=self._index)
        if isinstance(content, ReasoningPart) and (signature := self._take_new_extra("")):
            yield ReasoningDelta("", signature, choice=self._choice, part=self._index)

    def _read_arguments(
        self, start: Part, content: ToolCall | ServerToolCall, final: Part | None
    ) -> Iterator[Event]:
        yield from self._read_start(start)
        text = self._take_new_text(self._part.pieces, content.arguments_text, is_all=final is not None)
        if text and isinstance(content, ToolCall):
            yield ToolCallDelta(content.id, text, choice=self._choice, part=self._index)
        elif text:
            yield PartDelta(text, choice=self._choice, part=self._index)

    def _read_media(self, start: Part, content: MediaPart, final: Part | None) -> Iterator[Event]:
        yield from self._read_start(start)
        transcript = self._take_new_text(self._part.pieces, content.transcript, is_all=final is not None)
        if final is None:
            data = self._take_new_extra(b"", len(content.data))
        else:
            data = content.data[self._data_length :]
        if data or transcript:
            yield MediaDelta(data, transcript, choice=self._choice, part=self._index)

    def _take_new_text(self, pieces: TextLog | None, start: str = "", *, is_all: bool = False) -> str:
        """Return and count the part's new text; `start` is all of it, or what comes before its pieces."""
        length, start_length = self._text_length, len(start)
        if is_all or pieces is None:
            # No pieces follow the start.
            text = start[length:]
        elif length < start_length:
            text = start[length:] + pieces.join()
        elif length == start_length + pieces.length:
            # Nothing is new.
            return ""
        else:
            text = pieces.since(length - start_length)
        self._text_length += len(text)
        return text

    def _take_new_extra(self, empty: PieceT, start_length: int = 0) -> PieceT:
        """Return the new signature or media data, and count it as delivered."""
        extra, length = self._part.extra, max(self._data_length, start_length)
        new: PieceT = empty if extra is None else extra.since(length - start_length)
        self._data_length = length + len(new)
        return new
