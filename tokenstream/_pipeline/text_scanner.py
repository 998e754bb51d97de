"""A text in which reasoning, tool calls and citations are found while it arrives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from zlib import crc32

from tokenstream.stages._text.scanning import Passage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent, DeltaCallback
    from tokenstream.events import ReasoningDelta
    from tokenstream.message import ReasoningPart, TextPart
    from tokenstream.stages._calls.calls import CallScanner, ThoughtScanner
    from tokenstream.stages._calls.events import TextCall
    from tokenstream.stages._calls.steps import Piece
    from tokenstream.stages._citations import CitedWords, MarkerScanner
    from tokenstream.stages._text.tags import FirstText, TagScanner

SplitPiece: TypeAlias = "Piece | CitedWords"
"""A piece of a text, or what it cites."""
Follow: TypeAlias = "Callable[[Any], bool | None] | None"
_MOST_SKIPPED = 256
"""The most pieces that are read together, later."""


@dataclass(slots=True, eq=False)
class TaggedText:
    """A text part of the format, with what looks for calls, tags and markers in it.

    Its text goes to one part of the message at a time.
    """

    part: int
    """The part's index, as the format numbers parts."""
    start: TextPart | ReasoningPart
    """The part at its start, without text."""
    calls: CallScanner
    """Looks for calls, and for what `tags` do outside of them."""
    tags: TagScanner | None
    """Looks for the tags of reasoning; None to look for none."""
    thoughts: ThoughtScanner | None
    """Looks for calls in the reasoning; None to look for none."""
    markers: MarkerScanner | None
    """Looks for markers of citations; None to look for none."""
    first: FirstText | None
    """Decides if the text begins with reasoning; None if that is known."""
    reader: CallScanner | TagScanner = field(init=False)
    """Reads the text: `calls`, or `tags` alone if there is no dialect."""
    receiver: int = -1
    """The index of the receiving part in the message; -1 if there is none."""
    inside: bool | None = None
    """True if the receiving part is reasoning, False if it is text, None if it is a call, or none."""
    call: TextCall | None = None
    """The call that is open in the text; None if there is none."""
    has_parts: bool = False
    """True once any part of the message has received text."""
    texts: list[int] = field(default_factory=list[int])
    """The parts of the message that have received text other than reasoning."""
    direct: Callable[[str], bool] | None = None
    """The function `passes`, or that of the reader where nothing else is looked for; None before `follow`."""
    passes_to: int | None = None
    """The receiving part if a piece without an opening may be returned as it is, and be read later."""
    read_ahead: list[SplitPiece] | None = None
    """The pieces of a delta that was read, but has to be decoded all the same; None if there is none."""
    skipped: list[str] = field(default_factory=list[str])
    """The last pieces, which were returned as they are, and not read yet: few long texts cost less."""
    held: int = 0
    """Number of characters since anything was decided: a value of a call may be held back whole."""
    length: int = 0
    checksum: int = 0
    """Number of characters so far, with the tags, and their checksum: the text itself is not kept."""
    written: int = 0
    """Number of characters that the receiving part has."""
    thinks: bool = False
    """True if the last text was reasoning."""
    called_at: int | None = None
    """The position of the calls that were taken from the end of the reasoning; None if there are none."""
    signatures: list[ReasoningDelta] = field(default_factory=list["ReasoningDelta"])
    """The signatures of the reasoning, which are of no use once calls were taken from it."""
    followers: list[AnyEvent] = field(default_factory=list["AnyEvent"])
    """Events that wait until it is known if the calls at the end of the reasoning are calls."""

    def __post_init__(self) -> None:
        self.reader = self.calls if self.calls.dialects or self.tags is None else self.tags

    @property
    def is_reasoning(self) -> bool:
        return self.start.kind == "reasoning"

    @property
    def tagged(self) -> bool:
        """True if any text is, or may be, a call, or between tags, or a marker was removed."""
        has_markers = self.markers is not None and self.markers.removed
        has_calls = self.calls.found or self.called_at is not None
        return has_calls or has_markers or (self.tags is not None and self.tags.tagged)

    @property
    def waits(self) -> bool:
        """True while calls at the end of the reasoning are held back."""
        return self.thoughts is not None and bool(self.thoughts.calls)

    # -- the part of the message ---------------------------------------------------

    def turn_to(self, receiver: int, *, inside: bool | None = None, call: TextCall | None = None) -> None:
        """Let the next text go to a part (-1 for none): reasoning within tags, text, or a call."""
        self.receiver, self.inside, self.call = receiver, inside, call
        self.has_parts, self.written = True, 0
        if inside is False:
            self.texts.append(receiver)
        if self.passes_to is not None:
            self.passes_to = receiver

    def note_written(self, count: int) -> None:
        self.written += count

    # -- what arrives ----------------------------------------------------------------

    @property
    def firsts(self) -> list[str]:
        """Characters with which all that is looked for begins."""
        calls = [self.calls] if self.thoughts is None else [self.calls, self.thoughts]
        others = [each.firsts for each in (self.tags, self.markers) if each is not None]
        return sorted(set[str]().union(*[each.marks.firsts for each in calls], *others))

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is."""
        markers, thoughts = self.markers, self.thoughts
        return (
            self.first is None
            and self.reader.passes(text)
            and (markers is None or markers.passes(text))
            and (thoughts is None or not self.thinks or (not thoughts.calls and thoughts.passes(text)))
        )

    def follow(self, inner: Follow) -> Callable[[Any], bool]:
        """Return a callback, with `inner` in it, for deltas of the receiving part on the fast path."""
        receiver, skipped, skip = self.receiver, self.skipped, self.skipped.append
        others = self.first or self.markers or self.thoughts
        passes = self.direct = self.passes if others else self.reader.passes
        # Three tests of characters, perhaps of the same one, cost less than a search.
        firsts = self.firsts or ["\0"]
        (first, second, third), rare = (firsts * 3)[:3], frozenset(firsts[3:])
        ascii_passes = not any(map(str.isascii, rare))

        def accept(event: AnyEvent) -> bool:
            """Skip the text of a delta from the fast path; return False if its payload has to be decoded."""
            words = event.text
            if (
                self.passes_to != receiver
                or first in words
                or second in words
                or third in words
                or not (not rare or (ascii_passes and words.isascii()) or rare.isdisjoint(words))
            ) and not (self.passes_to == receiver and passes(words)):
                return self.receiver == receiver and self.shorten(event, inner)
            if inner is not None and inner(event) is False:
                return False
            # The scanner has to know all text, although it leaves this text unchanged.
            skip(words)
            if len(skipped) >= _MOST_SKIPPED:
                self.catch_up()
            return True

        return accept

    def feed(self, piece: str) -> list[SplitPiece]:
        """Read a piece of this text, as the format reported it; return what is decided."""
        if self.read_ahead is not None:
            pieces, self.read_ahead = self.read_ahead, None
        else:
            self.catch_up()
            self._count(piece)
            self.held += len(piece)
            if (first := self.first) is not None:
                piece = first.feed(piece)
                if first.over:
                    self.first = None
                    self.calls.note_thoughts(first.row)
            read: list[Any] = self.reader.feed(piece)
            pieces = read if self.thoughts is None and self.markers is None else self._split(read)
            self.held = 0 if pieces else self.held
        self.passes_to = self.receiver if (self.direct or self.passes)("") else None
        return pieces

    def shorten(self, event: AnyEvent, accept: DeltaCallback | None) -> bool:
        """Read the text of a delta from the fast path, and leave it what is decided by now.

        Return False if that is not one text of the receiving part, or the format does not `accept` the delta:
        its payload has to be decoded.
        """
        pieces = self.feed(event.text) if self.read_ahead is None else self.read_ahead
        piece: Any = pieces[0] if len(pieces) == 1 else None
        is_one = isinstance(piece, Passage) and piece.inside is self.inside
        # The format counts what the server has sent, and a delta only once.
        if is_one and (accept is None or accept(event) is not False):
            event.text = piece.text
            self.written += len(event.text)
            return True
        self.read_ahead, self.passes_to = pieces, None
        return False

    def end(self) -> list[SplitPiece]:
        self.catch_up()
        self.passes_to = None
        first, self.first = self.first, None
        before = [] if first is None else self.reader.feed(first.end())
        out = self._split([*before, *self.reader.end()])
        out += [] if self.thoughts is None else self.thoughts.end()
        return out if self.markers is None else [*out, *self.markers.end()]

    def take_calls(self, *, is_whole: bool) -> list[SplitPiece]:
        """Return the calls that are held back, or, unless the answer is whole, their text; forget them."""
        if self.thoughts is None:
            return []
        calls, words = [*self.thoughts.calls], self.thoughts.release()
        if not (is_whole and calls):
            return [*words]
        self.called_at = self.length - len(words[0].text)
        return [*calls]

    def catch_up(self) -> None:
        """Read the pieces that were skipped."""
        if not self.skipped:
            return
        piece = "".join(self.skipped)
        self.skipped.clear()
        self.reader.skim(piece)
        if self.thoughts is not None and self.thinks:
            self.thoughts.skim(piece)
        elif self.markers is not None and not (self.tags is not None and self.tags.inside):
            self.markers.skim(piece)
        self.written += len(piece)
        self._count(piece)

    def is_beginning_of(self, whole: str) -> bool:
        """Return True if `whole` begins with the text that arrived so far, as the checksum shows."""
        self.catch_up()
        beginning = whole[: self.length].encode("utf-8", "surrogatepass")
        return self.length <= len(whole) and crc32(beginning) == self.checksum

    def _count(self, piece: str) -> None:
        self.length += len(piece)
        self.checksum = crc32(piece.encode("utf-8", "surrogatepass"), self.checksum)

    def _split(self, pieces: list[Piece]) -> list[SplitPiece]:
        """Return pieces without the calls at the end of their reasoning, and with what their texts cite."""
        if self.thoughts is not None:
            pieces = [each for piece in pieces for each in self._think(piece, self.thoughts)]
        markers, out = self.markers, list[SplitPiece]()
        for piece in pieces:
            if markers is None:
                out.append(piece)
            elif isinstance(piece, Passage) and not piece.inside:
                out += markers.feed(piece.text)
            else:
                # Before it, no marker is held back any more.
                out += [*markers.end(), piece]
        return out

    def _think(self, piece: Piece, thoughts: ThoughtScanner) -> list[Piece]:
        """Return a piece without the calls at the end of its reasoning, or with those before it."""
        if isinstance(piece, Passage) and piece.inside:
            self.thinks = True
            return thoughts.feed(piece.text)
        was_thinking, self.thinks = self.thinks, False
        return [*thoughts.end(), *thoughts.release(), piece] if was_thinking else [piece]
