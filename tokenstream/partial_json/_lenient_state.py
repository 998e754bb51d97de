"""What a lenient reading knows while it reads, and its verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.partial_json._grammar import under
from tokenstream.partial_json._lenient_peek import PLAIN
from tokenstream.partial_json._lenient_prose import Prose
from tokenstream.partial_json._lenient_strings import Quoted
from tokenstream.partial_json._lenient_tables import (
    AFTER_ELEMENT,
    AFTER_FIELD,
    BEHIND,
    NAME,
    START,
    STEPS,
    VALUE,
)
from tokenstream.partial_json._parser import PartialJSONParser
from tokenstream.partial_json._repairs import MOST_REPAIRS, Repair, Repairs

if TYPE_CHECKING:
    from tokenstream.partial_json._grammar import Step, Table
    from tokenstream.partial_json._lenient_atoms import Atom
    from tokenstream.partial_json.events import JSONEvent

__all__ = ["FENCE_GAP", "LINE_GAP", "NO_GAP", "SPACE_GAP", "LenientState"]

NO_GAP, SPACE_GAP, LINE_GAP, FENCE_GAP = range(4)
"""What stands behind a value: nothing, white space, the end of a line, the end of a code fence."""


class LenientState(PartialJSONParser):
    """A lenient reading.

    Args:
        allow: As for `PartialJSONParser`.
        lenient: As there.
        max_depth: As there.
        decimals: As there.
    """

    __slots__ = (
        "_around",
        "_atom_begun",
        "_back",
        "_comma",
        "_counts",
        "_done",
        "_empty_end",
        "_expects",
        "_final",
        "_gap",
        "_in_prose",
        "_key_at",
        "_key_pieces",
        "_lacking",
        "_marks",
        "_opener_missing",
        "_prose",
        "_quoted",
        "_reading",
        "_repaired",
        "_rest",
        "_root_at",
        "_root_end",
        "_root_value",
        "_scanned",
        "_swallow",
        "_text_noted",
        "_token_at",
        "_waits",
    )

    def __init__(
        self, *, allow: int | None = None, lenient: bool = False, max_depth: int = 512, decimals: bool = False
    ) -> None:
        super().__init__(allow=allow, lenient=lenient, max_depth=max_depth, decimals=decimals)
        self._repaired = Repairs()
        self._prose = Prose()
        self._rest = ""
        """What has come and is not read, since what follows decides what it means."""
        self._waits = False
        """Whether what comes next is undecided."""
        self._final = False
        """Whether the text has ended."""
        self._done = False
        """Whether all of it is read."""

        self._around: Step = STEPS["_at_start"]
        """What reads on outside the document."""
        self._text_noted = False
        """Whether the prose before the document, or behind it, is among the repairs."""
        self._root_at = 0
        """Offset of the document, or of a string, number or literal that may be it."""
        self._root_end = 0
        self._root_value: str | Atom = ""
        self._opener_missing = False
        self._in_prose = False
        """Whether text stands before the document that may belong to it."""
        self._empty_end = -1
        """Offset behind a document that is an empty object, which may stand for one that follows."""

        self._reading: Step | None = None
        """What reads on inside the document; None around it."""
        self._back: Step | None = None
        """What reads on behind a comment."""
        self._expects: Table = VALUE
        """What may come between two values."""
        self._marks: list[str] = []
        """The closing brackets of what is open, from outside in."""
        self._counts = {"}": 0, "]": 0, ")": 0}
        """How many of them there are."""
        self._swallow = False
        """Whether a brace may follow that closes one that was doubled."""
        self._lacking = -1
        """How many closing brackets are missing since one was wrong; -1 if none was.

        What followed a wrong one would have two places.
        """
        self._comma = -1
        """Offset of the comma that was read last, if nothing has come since."""
        self._gap = NO_GAP

        self._quoted = Quoted(PLAIN, self._repaired)
        self._key_pieces: list[str] = []
        """What has come of a key, or of a string that may be one."""
        self._key_at = 0
        """Offset of the last key."""
        self._token_at = 0
        """Offset of the string, key or comment that is being read."""
        self._scanned = 0
        """How much of a token has been looked at."""
        self._atom_begun = False
        """Whether its start has been told."""

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was repaired, in the order of reading."""
        return tuple(self._repaired.made)

    # -- verdicts ----------------------------------------------------------------

    def _wait(self, position: int) -> int:
        self._waits = True
        return position

    def _two_readings(self, position: int) -> int:
        offset = self._base + position
        self._fail(offset, f"the text can be read in two ways at character {offset:,}, and neither is taken")
        return position

    @under("`~<", START)
    @under("<", BEHIND)
    def _to_prose(self, text: str, position: int, out: list[JSONEvent]) -> int:
        """Go on with what is no part of the document."""
        self._around = STEPS["_prose_around"]
        return position

    def _unexpected_here(self, position: int) -> int:
        return self._refuse(position, self._expects[NAME])

    def _too_many_repairs(self) -> None:
        del self._repaired.made[MOST_REPAIRS:]
        self._exceed(
            f"the document needs more than {MOST_REPAIRS:,} repairs; ask the model for JSON",
            "repairs",
            MOST_REPAIRS,
        )

    # -- behind a value ------------------------------------------------------------------

    def _finished(self) -> None:
        """Turn to what may follow a value."""
        self._comma = -1
        self._gap = NO_GAP
        container = self._container
        if container is None:
            self.complete = True
            self._reading = None
            return
        if container.__class__ is not dict:
            self._key = len(container)
        self._expects = self._after_value()

    def _is_at(self, *places: Table) -> bool:
        expects = self._expects
        return any(place is expects for place in places)

    def _after_value(self) -> Table:
        return AFTER_FIELD if self._container.__class__ is dict else AFTER_ELEMENT
