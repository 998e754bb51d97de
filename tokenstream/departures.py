"""Deviations of servers from their documentation, and the meaning of each for the answer.

A deviation that is tolerated, a departure, is counted under a name that says what it means to the reader of
the answer, and under a detail that says what the server did; docs/reference/departures.md explains both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["RULES", "Departures"]

DepartureName: TypeAlias = Literal[
    "end_unmarked",
    "start_unmarked",
    "repeated",
    "skipped",
    "misplaced",
    "converted",
    "reordered",
    "not_streamed",
    "call_read",
    "id_guessed",
    "place_guessed",
    "finish_missing",
    "broken_late",
    "call_in_text",
    "call_unfinished",
    "call_contradicted",
    "start_lost",
    "added_late",
    "rewritten",
    "characters_replaced",
    "unread",
    "dropped",
    "answers_mixed",
    "answer_empty",
]
"""The meaning of a deviation for the answer."""

Affects: TypeAlias = Literal["form", "guess", "content"]
"""The extent of a deviation: the form alone, something that was inferred, or the content itself."""

RULES: dict[DepartureName, str] = {
    "end_unmarked": "the answer, a part or a frame has no end mark: it is whole all the same",
    "start_unmarked": "the answer, a part or a frame has no proper start, name or role: it is read",
    "repeated": "something was sent again: it is used once",
    "skipped": "something that says nothing is skipped",
    "misplaced": "something came in an undocumented place: it is read there",
    "converted": "a value came as another type than documented: it is the same value",
    "reordered": "pieces came out of order, or mixed: the message has them in order",
    "not_streamed": "the answer came as one document: none of it could be shown before its end",
    "call_read": "a tool call is in the text or the reasoning: it is read, as tags ask for",
    "id_guessed": "an id is missing, or changes: a tool call gets one, the answer keeps its first",
    "place_guessed": "nothing says for sure to which call or part a piece belongs: it is inferred",
    "finish_missing": "no finish reason came, or contradicting ones: it is None, or the worst of them",
    "broken_late": "a failure came after the finish reason: the answer is complete, counts may be missing",
    "call_in_text": "a tool call is in the text or the reasoning: it stays, unless tags name the dialect",
    "call_unfinished": "a tool call is missing, cut off, or has arguments in doubt: it is never handed out",
    "call_contradicted": "other arguments came for a tool call than before: the answer fails",
    "start_lost": "the answer or a part came without its start: what came before it may be missing",
    "added_late": "content came after its end, or only there: it is added",
    "rewritten": "the end says otherwise than what was streamed: what was delivered cannot be taken back",
    "characters_replaced": "broken characters were replaced by U+FFFD",
    "unread": "something is not read as what it is: it becomes text, an opaque part, a field or unknown",
    "dropped": "something came after the answer's end, or of another answer: it is left out",
    "answers_mixed": "another answer, or this one again, began in the middle: they cannot be told apart",
    "answer_empty": "the answer ended normally but without any content",
}
"""The meaning of each deviation for the answer, in a sentence, by name."""

_DETAILS: dict[Affects, dict[DepartureName, str]] = {
    "form": {
        "end_unmarked": "done_missing blank_line_missing part_unclosed",
        "start_unmarked": "start_with_content role_missing part_unannounced event_name_missing type_missing",
        "repeated": "finish_repeated end_repeated start_twice frame_repeated part_repeated part_end_unmatched"
        " call_repeated call_twice call_after_done text_twice reasoning_twice content_twice result_repeated",
        "skipped": "empty_data bare_frame part_empty arguments_placeholder",
        "misplaced": "usage_misplaced error_unmarked content_type_wrong event_name_differs",
        "converted": "text_parsed arguments_parsed arguments_unparsed arguments_null",
        "reordered": "frame_reordered part_late parts_interleaved call_unnamed",
        "not_streamed": "not_streamed",
        "call_read": "call_read finish_unaware",
    },
    "guess": {
        "id_guessed": "call_id_missing call_id_repeated id_changed",
        "place_guessed": "call_index_missing call_index_reused part_index_missing part_index_reused"
        " text_ambiguous",
        "finish_missing": "finish_missing finish_contradicted",
        "broken_late": "broken_after_finish error_after_finish",
    },
    "content": {
        "call_in_text": "call_in_text",
        "call_unfinished": "call_open_at_end call_invalid call_missing",
        "call_contradicted": "late_content",
        "start_lost": "start_missing part_unopened",
        "added_late": "text_completed content_after_finish part_after_close",
        "rewritten": "text_rewritten arguments_rewritten reasoning_late",
        "characters_replaced": "invalid_utf8 lone_surrogate",
        "unread": "delta_misfits media_invalid call_nameless reasoning_in_text opening_left usage_unread"
        " field_unread event_unread",
        "dropped": "data_after_end second_answer",
        "answers_mixed": "answers_interleaved start_repeated",
        "answer_empty": "answer_empty",
    },
}
"""The deviations of a server, each under the name that counts it, by what that affects."""

_PLACES: dict[str, tuple[DepartureName, Affects]] = {
    detail: (name, affects)
    for affects, names in _DETAILS.items()
    for name, details in names.items()
    for detail in details.split()
}
"""The name under which each detail is counted, and what it affects."""


@dataclass(slots=True)
class Departure:
    """Deviations of a server from its documentation that have meant the same for an answer.

    Example:
        >>> departure = Departure(RULES["end_unmarked"], "form", 12, {"done_missing": 1})
        >>> departure.affects, departure.count
        ('form', 1)
    """

    rule: str
    """The meaning, in the words of `RULES`; for `call_in_text`, with the dialect of the call."""
    affects: Affects
    """`"form"` if the answer is as it was meant, `"guess"` if something had to be inferred, and `"content"`
    if it may lack, repeat or replace something."""
    first_event: int
    """Number of the frame at which it first happened, from 1; 0 before the first frame."""
    details: dict[str, int] = field(default_factory=dict[str, int])
    """Number of times that the server deviated in each way."""

    @property
    def count(self) -> int:
        """Number of the deviations."""
        return sum(self.details.values())


_NONE: frozenset[str] = frozenset()
"""One empty set for all instances, because each empty set takes as much memory as a small one."""


class Departures(Mapping[DepartureName, Departure]):
    """The departures of an answer, by the names of `RULES`.

    Example:
        >>> departures = Departures()
        >>> departures.note("done_missing", event=12)
        >>> departures["end_unmarked"].first_event, departures.details
        (12, {'done_missing': 1})
    """

    __slots__ = ("_left_out", "_noted")

    def __init__(self) -> None:
        self._noted: dict[DepartureName, Departure] = {}
        """The departures so far."""
        self._left_out = _NONE
        """The details that are not counted, because they do not apply to the connection."""

    def note(
        self, detail: str, *, event: int, count: int = 1, about: str = "", affects: Affects | None = None
    ) -> None:
        """Count that the server deviated in this way at frame number `event`.

        Nothing is counted for a detail that was left out.

        Args:
            about: Says more of the rule, such as a dialect.
            affects: What the deviation affects, if not what the detail usually does.
        """
        if detail in self._left_out:
            return
        if detail not in _PLACES:
            # It may end with the name of what is not read.
            detail = detail.partition(" ")[0]
        name, usual = _PLACES[detail]
        affects = affects or usual
        noted = self._noted.get(name)
        if noted is None:
            rule = f"{RULES[name]} ({about})" if about else RULES[name]
            noted = self._noted[name] = Departure(rule, affects, event)
        elif affects != noted.affects:
            noted.affects = max(affects, noted.affects, key=[*_DETAILS].index)
        noted.details[detail] = noted.details.get(detail, 0) + count

    def leave_out(self, detail: str) -> None:
        """Stop counting a detail, because it does not apply to this kind of connection."""
        self._left_out |= {detail}

    @property
    def details(self) -> dict[str, int]:
        """Number of times that the server deviated in each way, under all names together."""
        return {detail: count for noted in self._noted.values() for detail, count in noted.details.items()}

    def __getitem__(self, name: DepartureName) -> Departure:
        if name in _PLACES and name not in RULES:
            raise KeyError(f"{name!r} is one of the details of {_PLACES[name][0]!r}: ask .details[{name!r}]")
        return self._noted[name]

    def __iter__(self) -> Iterator[DepartureName]:
        return iter(self._noted)

    def __len__(self) -> int:
        return len(self._noted)

    def __repr__(self) -> str:
        return f"Departures({self.details})"
