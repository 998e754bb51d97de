"""The lenient reading: the document, and what models and gateways put around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream.partial_json._grammar import under
from tokenstream.partial_json._lenient_atoms import same
from tokenstream.partial_json._lenient_edges import LenientEdges
from tokenstream.partial_json._lenient_prose import Found
from tokenstream.partial_json._lenient_state import FENCE_GAP, LINE_GAP, NO_GAP
from tokenstream.partial_json._lenient_tables import BEHIND, START, STEPS, is_step
from tokenstream.partial_json._repairs import MOST_REPAIRS

if TYPE_CHECKING:
    from tokenstream.partial_json.events import JSONEvent

__all__ = ["LenientParser"]


class LenientParser(LenientEdges):
    """Read the one document that a text holds, whatever stands around it.

    A text that begins with a bracket is a document from there on. After prose a
    bracket begins one where what follows it tells so, so that nothing shows
    that would have to be taken back.
    """

    __slots__ = ("_other_at", "_second")

    _second: SecondDocument
    """Another document while it is read: it must be equal to the first."""
    _other_at: int
    """Where that begins."""

    def feed(self, text: str, *, now: float = 0.0) -> list[JSONEvent]:
        """Return what a piece of the text tells.

        Args:
            text: The piece, of any length; pieces may be cut anywhere.
            now: Unused; every stage takes it.
        """
        if self._done or text.__class__ is not str:
            return super().feed(text)
        out: list[JSONEvent] = []
        if self.error is not None:
            return out
        # Most pieces are the middle of a string.
        if (
            self._reading is STEPS["_in_string_value"]
            and not self._rest
            and text
            and self._quoted.is_plain(text)
        ):
            self._quoted.remember(text)
            self._grow_string(text, out)
            self._base += len(text)
            return out
        self._read(self._rest + text if self._rest else text, out)
        return out

    def end(self, *, now: float = 0.0) -> list[JSONEvent]:
        """Say that the text has ended: what is open is closed, and that is a repair.

        Args:
            now: Unused; every stage takes it.
        """
        out: list[JSONEvent] = []
        if not self._done and self.error is None:
            self._final = True
            self._read(self._rest, out)
        self._done = True
        return out + super().end()

    def _read(self, text: str, out: list[JSONEvent]) -> None:
        position = self._read_on(text, 0, out)
        self._waits = False
        self._rest = text[position:]
        self._base += min(position, len(text))

    def _read_on(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read on in a text, and return what is not read of it, since what follows decides."""
        size = len(text)
        repairs = self._repaired.made
        while position < size or (self._final and not self._done):
            step = self._reading or self._around
            position = step(self, text, position, out)
            if len(repairs) > MOST_REPAIRS:
                self._too_many_repairs()
            if self.error is not None:
                return size
            if self._waits or (self._is_second and self.complete):
                break
        return position

    # -- before the document ----------------------------------------------------------

    @is_step
    def _at_start(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Read where a document may begin with its first character."""
        char = text[position : position + 1]
        if not char:
            return self._no_document(position)
        self._expects = START
        step = START.get(char)
        if step is not None:
            following: int = step(self, text, position, out)
            return following
        if self._is_odd(char):
            return self._other(text, position, out)
        self._note_text(self._base + position)
        self._around = STEPS["_prose_around"]
        return position

    @is_step
    def _prose_around(self, text: str, position: int, out: list[JSONEvent]) -> int:
        if position == len(text):
            return self._after(text, position, out) if self._has_document else self._no_document(position)
        prose = self._prose
        position, found = prose.search(text, position, self._base, final=self._final)
        text_at = prose.take_text_at()
        if text_at is not None:
            self._note_text(text_at)
        if found is Found.MAYBE:
            return len(text) if self._final else self._wait(position)
        if found is Found.DOCUMENT:
            if self._has_document:
                return self._another(text, position, out)
            self._in_prose = True
            return self._begin(text, position, out)
        if found is not Found.NOTHING:
            self._repaired.note("reasoning" if found is Found.THOUGHT else "code_fence", prose.at)
        if found in {Found.FENCE, Found.THOUGHT}:
            self._around = STEPS["_after" if self._has_document else "_at_start"]
            self._gap = LINE_GAP
        return position

    @under("{[", START)
    def _begin(self, text: str, position: int, out: list[JSONEvent]) -> int:
        self._around = STEPS["_after"]
        self._text_noted = False
        self._root_at = self._base + position
        return (self._object if text[position] == "{" else self._array)(text, position, out)

    # -- behind it -----------------------------------------------------------------------

    @under("{[", BEHIND)
    def _bracket_behind(self, text: str, position: int, out: list[JSONEvent]) -> int:
        begins = self._prose.begins(text, position, final=self._final, adjacent=True)
        if begins is None:
            return self._wait(position)
        if begins:
            return self._another(text, position, out)
        return self._two_readings(position) if self._continues("[") else self._to_prose(text, position, out)

    def _another(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Begin to read another document."""
        self._other_at = self._base + position
        if not self._is_placeholder(text[position]):
            self._second = SecondDocument(max_depth=self._max_depth, decimals=self._decimals)
            self._second.begin(self._prose.fence)
            self._around = STEPS["_other_goes_on"]
            return position
        # The object that is open goes on here.
        self._repaired.note("empty_placeholder", self._root_at)
        self._empty_end = -1
        self._go_in("}")
        self._around = STEPS["_after"]
        return position + 1

    def _is_placeholder(self, opener: str) -> bool:
        """Return whether nothing but white space stands between `{}` and another object."""
        is_next = not (self._text_noted or self._prose.fence or self._gap == FENCE_GAP)
        return self._empty_end >= 0 and opener == "{" and is_next

    @is_step
    def _other_goes_on(self, text: str, position: int, out: list[JSONEvent]) -> int:
        second = self._second
        position, self._waits = second.go_on(text, position, self._base, final=self._final)
        if second.error is not None or (second.complete and not same(self._root, second.value)):
            return self._two_readings(self._other_at - self._base)
        if second.complete:
            self._swallow = second.is_doubled
            del self._second
            self._repaired.note("repeated_document", self._other_at)
            self._around = STEPS["_after"]
            self._gap = NO_GAP
        return position


class SecondDocument(LenientParser):
    """Read a document behind another, in the same text.

    To hand on what is left of the text would take longer the more there is.
    """

    __slots__ = ()

    _is_second: ClassVar[bool] = True

    @property
    def is_doubled(self) -> bool:
        """Whether a brace may follow that closes one that was doubled."""
        return self._swallow

    def begin(self, fence: str) -> None:
        """Say which code fence is open."""
        self._prose.fence = fence

    def go_on(self, text: str, position: int, base: int, *, final: bool) -> tuple[int, bool]:
        """Read on, and return where that stops, and whether more text is needed.

        Args:
            text: What has come and is not read.
            position: Where to go on in it.
            base: Offset of the text.
            final: Whether nothing comes behind it.
        """
        self._base, self._final, self._waits = base, final, False
        position = self._read_on(text, position, [])
        return position, self._waits
