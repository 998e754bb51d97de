"""Deviations of servers from their documentation, and the rules applied to them.

Each rule that tolerates a deviation (called a departure) has a name in `RULES`, a closed list
that docs/reference/departures.md explains; a stream counts each rule that it had to apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["RULES", "Departure", "Departures"]

RULES: dict[str, str] = {
    "not_streamed": (
        "the answer came as one JSON document instead of a stream: it is accepted, but none of it "
        "could be shown before its end"
    ),
    "broken_after_finish": (
        "the transport broke, or sent something that is not a payload, after every choice had its "
        "finish reason: the answer is complete"
    ),
    "error_after_finish": (
        "the provider reported an error after every choice had its finish reason: the answer is complete"
    ),
    "data_after_end": "a frame after the terminal event is ignored",
    "second_answer": (
        "another answer began in the same body: it is left out, except by stream.responses if this one "
        "was over"
    ),
    "answers_interleaved": (
        "the answers of several models were interleaved, and nothing tells whose the pieces are: the open "
        "one fails, and the rest is passed on as unknown"
    ),
    "done_missing": (
        "the input ended without the terminal event, but with a finish reason: the answer is complete"
    ),
    "finish_missing": (
        "the terminal event came without a finish reason: the reason is None, and the answer is complete "
        "unless its parts show that it was cut off"
    ),
    "finish_contradicted": "the marks of the answer's end contradict each other: the worst one is used",
    "finish_repeated": "a finish reason was sent again: the last one is used, unless it is the milder one",
    "content_after_finish": (
        "content came after its choice's finish reason, or after the end of its part: it is still added"
    ),
    "blank_line_missing": "the last SSE event lacked its blank line, but was complete: it is accepted",
    "invalid_utf8": "malformed UTF-8 was replaced by U+FFFD",
    "lone_surrogate": "half a surrogate pair never got its other half: it was replaced by U+FFFD",
    "event_name_differs": "the SSE event's name and the payload's type differ: the payload's type is used",
    "type_missing": "the payload had no type: the SSE event's name is used",
    "event_name_missing": "the SSE event had no name: the payload's type is used",
    "content_type_wrong": "the content type does not match the body: the body's first bytes decide",
    "empty_data": "an SSE event with empty data is a heartbeat",
    "bare_frame": "data that are no object, and known not to be content, are skipped",
    "role_missing": "no role was sent: it is assumed to be the assistant's",
    "id_changed": "the answer's id changed: the first one is kept",
    "reasoning_twice": "the same reasoning came in two fields: it is used once",
    "reasoning_in_text": (
        "reasoning is written in the text, where the server has not parted it: it stays text, unless "
        "tags ask for it"
    ),
    "reasoning_late": (
        "only the closing tag of reasoning came in the text: what was given as text before it is reasoning "
        "in the message"
    ),
    "text_twice": "the same text came in two fields: it is used once",
    "text_parsed": "text came as a JSON number or boolean: it is written as JSON",
    "text_completed": "a text repeated at its end is longer than its deltas: the missing end is added",
    "text_ambiguous": (
        "a text in whole messages may be all the text so far or its next piece: it is all the text so far"
    ),
    "text_rewritten": ("text that is sent in full was changed: text already delivered stays"),
    "call_id_missing": "a tool call came without an id: one is generated",
    "call_index_missing": "a tool call came without an index: it is identified by its id or its position",
    "call_index_reused": "two tool calls had the same index: they are kept apart",
    "call_repeated": (
        "a tool call's id or name was sent again: it is not appended, and a repeated call is dropped"
    ),
    "call_id_repeated": "another tool call came with an id that was already in use: it gets a new id",
    "call_in_text": (
        "a tool call is written in the text, or in the reasoning at the end, where the server has not read "
        "it: it stays there, unless tags name the dialect"
    ),
    "call_read": "a tool call is written in the text or the reasoning: it is read, as tags ask for",
    "finish_unaware": 'the finish reason is "stop", but calls were read from the text: it is "tool_calls"',
    "call_twice": "the same call came in two places: it is used once",
    "call_nameless": "a tool call had no name: it becomes an opaque part",
    "call_unnamed": "arguments came before their tool call's name: they are held back until it arrives",
    "call_after_done": (
        "a fragment came for a tool call that had been handed out, and changes nothing: it is ignored"
    ),
    "late_content": (
        "other arguments came for a tool call that had been handed out: the answer ends as failed, with a "
        "ProtocolError"
    ),
    "call_open_at_end": "a tool call was cut off by the end of the answer: it is kept, never handed out",
    "call_invalid": (
        "a tool call ended with arguments that are not JSON, without its end, or perhaps with those of "
        "another call: it is kept, never handed out"
    ),
    "arguments_parsed": "arguments came as JSON values instead of text: they are written as JSON",
    "arguments_unparsed": "arguments came as text instead of JSON values: they are used unchanged",
    "arguments_rewritten": (
        "the arguments sent at a call's end differ from its fragments: those at the end are used"
    ),
    "answer_empty": "the answer ended normally but without any content: it is complete and empty",
    "media_invalid": "media data was not valid base64: it becomes an opaque part",
    "arguments_placeholder": "an empty object came before a call's arguments: it is ignored",
    "arguments_null": "null was sent as the arguments: they are treated as empty",
    "frame_repeated": "a frame with the same number or id was sent again: it is dropped",
    "result_repeated": "the result of a call was sent again: it is passed on as unknown",
    "frame_reordered": "a frame's number shows that it came too early: it waits for its turn",
    "start_repeated": "the answer's start was sent again: the first one is kept",
    "content_twice": "content that the answer contained in full was sent again: it is used once",
    "start_missing": "content came before the answer's start: it is accepted",
    "start_with_content": "the answer's start contained content: it is accepted",
    "part_index_missing": "a part came without an index: it is assumed to be the one opened last",
    "part_index_reused": "two parts had the same index: they are kept apart",
    "part_end_unmatched": "the end of a part was sent again, or without its start: it is ignored",
    "delta_misfits": (
        "a delta did not match the kind of the part that it names: a text becomes a part of its own, and "
        "anything else is passed on as unknown"
    ),
    "part_unopened": "a delta came for a part that was never started: the part is opened",
    "part_unclosed": "a part was never closed: the end of the answer closes it",
    "part_after_close": "a delta came for a part that had been closed: it becomes a new part",
    "part_repeated": "a part's start was sent again: the first one is kept",
    "part_empty": "the start or end of a part was empty: it is ignored",
    "part_late": (
        "content came behind content that it precedes: the message has it in its place, the views as it came"
    ),
    "parts_interleaved": "the deltas of several parts were interleaved: each part keeps its own text",
    "usage_misplaced": "usage came in an undocumented place: it is read there",
    "error_unmarked": "an error came without being marked as one: it is read as an error",
}
"""The rules that tolerate a server's deviations, by name."""


@dataclass(slots=True)
class Departure:
    """One rule of `RULES` that a stream had to apply, because the server deviated from its documentation.

    Example:
        >>> Departure(rule=RULES["done_missing"], count=1, first_event=12).count
        1
    """

    rule: str
    """The rule, in the words of `RULES`; for `call_in_text`, with the dialect of the call."""
    count: int
    """Number of times that the rule was applied."""
    first_event: int
    """Number of the frame at which the rule was first applied, from 1; 0 before the first frame."""


_NONE: frozenset[str] = frozenset()
"""One empty set for all instances, because each empty set takes as much memory as a small one."""


class Departures(Mapping[str, Departure]):
    """The rules of `RULES` that a stream had to apply, by name.

    Example:
        >>> departures = Departures()
        >>> departures.note("done_missing", event=12)
        >>> list(departures), departures["done_missing"].first_event
        (['done_missing'], 12)
    """

    __slots__ = ("_left_out", "_noted")

    def __init__(self) -> None:
        self._noted: dict[str, Departure] = {}
        """The rules that were applied so far."""
        self._left_out = _NONE
        """Names of the rules that are not counted, because they do not apply to the connection."""

    def note(self, name: str, *, event: int, count: int = 1, about: str = "") -> None:
        """Count that the rule `name` was applied at frame number `event`; see `RULES`.

        Nothing is counted for a rule that was left out because it does not apply to this kind of connection.

        Args:
            about: Says more of the rule, such as a dialect.
        """
        noted = self._noted.get(name)
        if noted is None:
            if name in self._left_out:
                return
            rule = f"{RULES[name]} ({about})" if about else RULES[name]
            self._noted[name] = Departure(rule=rule, count=count, first_event=event)
        else:
            noted.count += count

    def leave_out(self, name: str) -> None:
        """Stop counting the rule `name`, because it does not apply to this kind of connection."""
        self._left_out |= {name}

    def __getitem__(self, name: str) -> Departure:
        return self._noted[name]

    def __contains__(self, name: object) -> bool:
        return name in self._noted

    def __iter__(self) -> Iterator[str]:
        return iter(self._noted)

    def __len__(self) -> int:
        return len(self._noted)

    def __repr__(self) -> str:
        return f"Departures({ {name: noted.count for name, noted in self._noted.items()} })"
