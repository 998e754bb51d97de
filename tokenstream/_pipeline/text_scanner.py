"""Finds reasoning and tool calls in a text while it arrives."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from zlib import crc32

from tokenstream.stages._calls.calls import CallScanner
from tokenstream.stages._calls.steps import CallBegun, CallEnded, Written
from tokenstream.stages._citations import Cited
from tokenstream.stages._text.tags import FirstText, TagScanner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream._basics.loose import AnyEvent
    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream._pipeline.thoughts import TakenCall, ThoughtScanner
    from tokenstream.message import ReasoningPart, TextPart
    from tokenstream.stages._calls.calls import TextCall
    from tokenstream.stages._calls.dialects import Dialect
    from tokenstream.stages._calls.steps import Piece
    from tokenstream.stages._citations import MarkerScanner

SplitPiece: TypeAlias = "tuple[bool, str] | CallBegun | Written | CallEnded | Cited"
"""A text, with True if it is reasoning; or what happens to a call, or what is cited."""


class TextScanner:
    """Splits a text into text, reasoning and what happens to calls.

    Args:
        tags: Names of the tags of reasoning; none to look for none.
        dialects: The dialects of calls; none to look for none.
        tools: The tools of the request; None if they are not known.
        markers: Looks for markers of citations; None to look for none.
        thoughts: Looks for calls in the reasoning; None to look for none.
        first: Decides if the text begins with reasoning; None if another text has come before it.
        within: True if all of the text is reasoning.
    """

    __slots__ = (
        "_calls",
        "_first",
        "_has_called",
        "_markers",
        "_reasoning",
        "_thinks",
        "_thoughts",
        "_within",
        "firsts",
        "rare_firsts",
    )

    def __init__(
        self,
        tags: tuple[str, ...],
        dialects: tuple[Dialect, ...],
        tools: OfferedTools | None,
        markers: MarkerScanner | None = None,
        *,
        thoughts: ThoughtScanner | None = None,
        first: FirstText | None = None,
        within: bool = False,
    ) -> None:
        self._thoughts = thoughts
        self._within = within
        self._thinks = within
        """True if the last text was reasoning."""
        self._has_called = False
        """True once calls were taken from the reasoning."""
        self._first = first
        make_tags = partial(TagScanner, tags, is_first=first is not None)
        self._reasoning = make_tags() if tags else None
        # The scanner of calls reads the tags itself, because it must know of each before it decides.
        inner = make_tags() if tags and dialects else None
        self._calls = CallScanner(dialects, tools, inner) if dialects else None
        self._markers = markers
        firsts = {"<"} if self._reasoning is not None else set[str]()
        firsts |= set() if self._calls is None else self._calls.firsts
        firsts |= set() if markers is None else markers.firsts
        firsts |= set() if thoughts is None else thoughts.firsts
        known = sorted(firsts)
        self.firsts = ((known or ["\0"]) * 3)[:3]
        """Three characters, perhaps the same one, with which most of what is looked for begins."""
        self.rare_firsts = frozenset(known[3:]) or None
        """The other characters with which something may begin; None if there are none."""

    @property
    def tagged(self) -> bool:
        """True if any text is, or may be, reasoning or a call, or a marker was removed."""
        has_calls = self._has_called or (self._calls is not None and self._calls.found)
        has_markers = self._markers is not None and self._markers.removed
        return has_calls or has_markers or (self._reasoning is not None and self._reasoning.tagged)

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is."""
        calls, reasoning, markers, thoughts = self._calls, self._reasoning, self._markers, self._thoughts
        return (
            self._first is None
            and (calls is None or calls.passes(text))
            and (reasoning is None or reasoning.passes(text))
            and (markers is None or markers.passes(text))
            and (thoughts is None or not self._thinks or thoughts.passes(text))
        )

    @property
    def waits(self) -> bool:
        """True while calls at the end of the reasoning are held back."""
        return self._thoughts is not None and bool(self._thoughts.calls)

    def take_calls(self) -> tuple[list[TakenCall], str]:
        """Return the calls that are held back, and their text, and forget them."""
        thoughts = self._thoughts
        calls = [] if thoughts is None else [*thoughts.calls]
        self._has_called = self._has_called or bool(calls)
        return calls, self.release()

    def release(self) -> str:
        """Return the text of the calls that are held back, which is reasoning, and forget them."""
        return "" if self._thoughts is None else self._thoughts.release()

    def skim(self, text: str) -> None:
        """Read a piece that the caller returns unchanged (`passes` was True)."""
        if self._calls is not None:
            self._calls.skim(text)
        if self._reasoning is not None:
            self._reasoning.skim(text)
        is_inside = self._within or (self._reasoning is not None and self._reasoning.inside)
        if self._markers is not None and not is_inside:
            self._markers.skim(text)
        if self._thoughts is not None and is_inside:
            self._thoughts.skim(text)

    def feed(self, text: str) -> list[SplitPiece]:
        """Return the decided pieces."""
        if (first := self._first) is not None:
            is_inside = first.feed(text)
            if is_inside is None:
                return []
            self._first, text = None, first.take(inside=is_inside)
        if self._calls is None:
            pieces = self._split(text)
        else:
            pieces = [piece for each in self._calls.feed(text) for piece in self._split(each)]
        if self._thoughts is not None:
            pieces = self._think(pieces, self._thoughts)
        return pieces if self._markers is None else self._cite(pieces, self._markers)

    def end(self) -> list[SplitPiece]:
        """Return the pieces that were held back."""
        first, self._first = self._first, None
        before = [] if first is None else self.feed(first.take(inside=False))
        pieces = [] if self._calls is None else self._calls.end()
        out = [piece for each in pieces for piece in self._split(each)]
        out += [] if self._reasoning is None else self._reasoning.end()
        if self._thoughts is not None:
            out = self._think(out, self._thoughts)
            if words := self._thoughts.end():
                out.append((True, words))
        if self._markers is not None:
            out = [*self._cite(out, self._markers), *_as_text(self._markers.end())]
        return [*before, *out]

    def _think(self, pieces: list[SplitPiece], thoughts: ThoughtScanner) -> list[SplitPiece]:
        """Return pieces without the calls at the end of their reasoning; with them if anything follows."""
        out: list[SplitPiece] = []
        for piece in pieces:
            if not isinstance(piece, CallBegun | Written | CallEnded | Cited) and piece[0] and piece[1]:
                self._thinks, words = True, thoughts.feed(piece[1])
                out += [(True, words)] * bool(words)
                continue
            if self._thinks:
                self._thinks, words = False, thoughts.end() + thoughts.release()
                out += [(True, words)] * bool(words)
            out.append(piece)
        return out

    def _cite(self, pieces: list[SplitPiece], markers: MarkerScanner) -> list[SplitPiece]:
        """Return pieces with what their texts cite; before other pieces, no marker is held back any more."""
        out: list[SplitPiece] = []
        for piece in pieces:
            if isinstance(piece, CallBegun | Written | CallEnded | Cited) or piece[0]:
                out += [*_as_text(markers.end()), piece]
            else:
                out += _as_text(markers.feed(piece[1]))
        return out

    def _split(self, piece: Piece) -> list[SplitPiece]:
        """Return a text as text and reasoning; before a call, nothing is held back any more."""
        if isinstance(piece, str):
            reasoning = self._reasoning
            return [(self._within, piece)] * bool(piece) if reasoning is None else [*reasoning.feed(piece)]
        return [*([] if self._reasoning is None else self._reasoning.end()), piece]


def _as_text(pieces: Iterable[str | Cited]) -> list[SplitPiece]:
    """Return pieces with texts that are no reasoning."""
    return [piece if isinstance(piece, Cited) else (False, piece) for piece in pieces]


class TaggedText:
    """A text part of the format, and the part of the message to which its text goes at the moment.

    Args:
        part: The part's index, as the format numbers parts.
        start: The part at its start, without text.
        own: True for a part that is reasoning.
    """

    __slots__ = (
        "call",
        "called_at",
        "checksum",
        "has_parts",
        "held",
        "length",
        "own",
        "part",
        "passes_to",
        "read_ahead",
        "receiver",
        "scanner",
        "skipped",
        "start",
        "within",
        "written",
    )

    def __init__(
        self, scanner: TextScanner, part: int, start: TextPart | ReasoningPart, *, own: bool
    ) -> None:
        self.scanner = scanner
        self.own = own
        self.part = part
        self.start = start
        self.receiver = -1
        """The index of the receiving part in the message; -1 if there is none."""
        self.within: bool | None = None
        """True if the receiving part is reasoning, False if it is text, None if it is a call, or none."""
        self.call: TextCall | None = None
        """The call that is open in the text; None if there is none."""
        self.has_parts = False
        """True once any part of the message has received text."""
        self.passes_to: int | None = None
        """The receiving part if a piece without an opening may be returned as it is, and be read later."""
        self.read_ahead: list[SplitPiece] | None = None
        """The pieces of a delta that was read, but has to be decoded all the same; None if there is none."""
        self.skipped: list[str] = []
        """The last pieces, which were returned as they are, and not read yet: few long texts cost less."""
        self.held = 0
        """Number of characters since anything was decided: a value of a call may be held back whole."""
        self.length = self.checksum = 0
        """Number of characters so far, with the tags, and their checksum: the text itself is not kept."""
        self.written = 0
        """Number of characters that the receiving part has."""
        self.called_at = 0
        """The position of the calls that were taken from the reasoning."""

    def turn_to(self, receiver: int, *, within: bool | None) -> None:
        """Let the next text go to a part (-1 for none): reasoning within tags, text, or (None) a call."""
        self.receiver, self.within, self.has_parts = receiver, within, True
        self.written = 0
        if self.passes_to is not None:
            self.passes_to = receiver

    def note_written(self, count: int) -> None:
        """Note that the receiving part has got so many characters more."""
        self.written += count

    def open_call(self, call: TextCall) -> None:
        """Let what follows go to a call."""
        self.call = call
        self.turn_to(call.part, within=None)

    def close_call(self) -> TextCall | None:
        """Let what follows go to no part yet; return the call that was open."""
        call, self.call = self.call, None
        self.turn_to(-1, within=None)
        return call

    def feed(self, piece: str) -> list[SplitPiece]:
        """Read a piece of this text, as the format reported it; return what is decided."""
        if self.read_ahead is not None:
            pieces, self.read_ahead = self.read_ahead, None
        else:
            self.catch_up()
            self._count(piece)
            pieces = self.scanner.feed(piece)
            self.held = 0 if pieces else self.held + len(piece)
        self.passes_to = self.receiver if self.scanner.passes("") else None
        return pieces

    def shorten(self, event: AnyEvent, accept: Callable[[Any], bool | None] | None) -> bool:
        """Read the text of a delta from the fast path, and leave it what is decided by now.

        Return False if that is not one text of the receiving part, or the format does not `accept` the delta:
        its payload has to be decoded.
        """
        pieces = self.feed(event.text) if self.read_ahead is None else self.read_ahead
        piece: Any = pieces[0] if len(pieces) == 1 else None
        is_one = piece.__class__ is tuple and piece[0] is self.within
        # The format counts what the server has sent, and a delta only once.
        if is_one and (accept is None or accept(event) is not False):
            event.text = piece[1]
            self.written += len(event.text)
            return True
        self.read_ahead, self.passes_to = pieces, None
        return False

    def end(self) -> list[SplitPiece]:
        """Return what was held back."""
        self.catch_up()
        self.passes_to = None
        return self.scanner.end()

    def take_calls(self) -> list[TakenCall]:
        """Return the calls that the scanner holds back, and forget them."""
        calls, words = self.scanner.take_calls()
        self.called_at = self.length - len(words)
        return calls

    def catch_up(self) -> None:
        """Read the pieces that were skipped."""
        if self.skipped:
            piece = "".join(self.skipped)
            self.skipped.clear()
            self.scanner.skim(piece)
            self.written += len(piece)
            self._count(piece)

    def _count(self, piece: str) -> None:
        """Update the length and the checksum of the text."""
        self.length += len(piece)
        self.checksum = crc32(piece.encode("utf-8", "surrogatepass"), self.checksum)

    def is_beginning_of(self, whole: str) -> bool:
        """Return True if `whole` begins with the text that arrived so far, as the checksum shows."""
        self.catch_up()
        beginning = whole[: self.length].encode("utf-8", "surrogatepass")
        return self.length <= len(whole) and crc32(beginning) == self.checksum
