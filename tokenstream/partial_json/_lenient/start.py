"""Steps that read the text before a document, and another document after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.partial_json._document import Document
from tokenstream.partial_json._lenient.atoms import are_equal
from tokenstream.partial_json._lenient.body import begin_array, begin_object
from tokenstream.partial_json._lenient.edges import (
    begin_object_meant,
    has_document,
    has_text_between,
    may_continue,
    note_text,
    read_after_document,
    refuse_empty_text,
)
from tokenstream.partial_json._lenient.gaps import enter_comment, is_odd_space, read_other, turn_to_prose
from tokenstream.partial_json._lenient.prose import Found
from tokenstream.partial_json._lenient.reader import LINE_GAP, NO_GAP, LenientReader
from tokenstream.partial_json._lenient.tables import AFTER_DOCUMENT, START, STEPS, is_step
from tokenstream.partial_json._strict.grammar import under

if TYPE_CHECKING:
    from tokenstream.partial_json._events import JSONEvent


# -- before the document ----------------------------------------------------------


@is_step
def read_start(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Read where a document may begin without further proof: at the start, or after a fence or tag."""
    char = text[position : position + 1]
    if not char:
        return refuse_empty_text(reader, position)
    reader.expects = START
    reader.root_fence = reader.prose.fence
    step = START.get(char)
    if step is not None:
        following: int = step(reader, text, position, out)
        return following
    if is_odd_space(char):
        return read_other(reader, text, position, out)
    return begin_prose(reader, position)


def begin_prose(reader: LenientReader, position: int) -> int:
    """Begin prose, and record it as a repair."""
    note_text(reader, reader.base + position)
    reader.around = STEPS["read_prose"]
    return position


@under("/", START)
def begin_comment_before(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    mark = text[position : position + 2]
    if mark == "/" and not reader.final:
        return reader.wait(position)
    return enter_comment(reader, position, mark) if mark in {"//", "/*"} else begin_prose(reader, position)


@is_step
def read_prose(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Search the prose for a document, a code fence, or reasoning."""
    if position == len(text):
        return (
            read_after_document(reader, text, position, out)
            if has_document(reader)
            else refuse_empty_text(reader, position)
        )
    prose = reader.prose
    position, found = prose.search(text, position, reader.base, final=reader.final)
    text_at = prose.take_text_at()
    if text_at is not None:
        note_text(reader, text_at)
    if found is Found.MAYBE:
        return len(text) if reader.final else reader.wait(position)
    if found is Found.DOCUMENT:
        if has_document(reader):
            return begin_another(reader, text, position, out)
        reader.in_prose = True
        return begin_document(reader, text, position, out)
    if found is Found.THOUGHT_END and has_document(reader):
        note_text(reader, prose.at)
        return position
    if found is not Found.NOTHING:
        is_thought = found in {Found.THOUGHT, Found.THOUGHT_END}
        reader.repaired.note("reasoning" if is_thought else "code_fence", prose.at)
    if found in {Found.FENCE, Found.THOUGHT, Found.THOUGHT_END}:
        reader.around = STEPS["read_after_document" if has_document(reader) else "read_start"]
        reader.gap = LINE_GAP
    return position


@under("[", START)
def begin_root_array(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Begin an array, unless its brackets belong to a link or to a mark such as [TOOL_CALLS]."""
    is_label = reader.prose.is_label(text, position, final=reader.final)
    if is_label is None:
        return reader.wait(position)
    return (turn_to_prose if is_label else begin_document)(reader, text, position, out)


@under("{", START)
def begin_document(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Begin a document with its first bracket."""
    reader.around = STEPS["read_after_document"]
    reader.text_noted = False
    reader.root_at = reader.base + position
    reader.root_fence = reader.prose.fence
    return (begin_object if text[position] == "{" else begin_array)(reader, text, position, out)


# -- after it ------------------------------------------------------------------------


@under("{[", AFTER_DOCUMENT)
def read_bracket_after_document(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Read a bracket after the document: another document, or prose."""
    begins = reader.prose.begins_document(text, position, final=reader.final, adjacent=True)
    if begins is None:
        return reader.wait(position)
    if begins:
        return begin_another(reader, text, position, out)
    return (
        reader.refuse_two_readings(position)
        if may_continue(reader, "[")
        else turn_to_prose(reader, text, position, out)
    )


def begin_another(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Begin another document, or continue the placeholder `{}`."""
    reader.other_at = reader.base + position
    if not is_placeholder(reader, text[position]):
        first = reader.document
        if reader.choose is not None:
            reader.choose(reader)
            reader.repaired.note("other_document", reader.other_at)
        document = Document(max_depth=first.max_depth, decimals=first.decimals)
        reader.second = LenientReader(document, closed=reader.closed, is_second=True)
        reader.second.prose.fence = reader.prose.fence
        reader.around = STEPS["read_another"]
        return position
    return begin_object_meant(reader, position)


def is_placeholder(reader: LenientReader, opener: str) -> bool:
    """Return True if the document is `{}`, and only white space separates it from another object."""
    return reader.empty_end >= 0 and opener == "{" and not has_text_between(reader)


@is_step
def read_another(reader: LenientReader, text: str, position: int, out: list[JSONEvent]) -> int:
    """Continue another document; unless `choose` is set, it must be equal to the first."""
    second = reader.second
    if second is None:
        return position
    # Both readers read the same string: copying the rest would take longer for a longer rest.
    second.base, second.final, second.waits = reader.base, reader.final, False
    position = second.read_on(text, position, [])
    reader.waits = second.waits
    document = second.document
    is_other = (
        document.complete and reader.choose is None and not are_equal(reader.document.root, document.value)
    )
    if document.error is not None and reader.choose is not None and reader.final and reader.closed:
        # The end of the document is missing.
        reader.document.error = document.error
        return position
    if document.error is not None or is_other:
        return reader.refuse_two_readings(reader.other_at - reader.base)
    if document.complete and reader.choose is not None:
        turn_to_another(reader, second)
    elif document.complete:
        reader.swallow = second.swallow
        reader.second = None
        reader.repaired.note("repeated_document", reader.other_at)
        reader.around = STEPS["read_after_document"]
        reader.gap = NO_GAP
    return position


def turn_to_another(reader: LenientReader, second: LenientReader) -> None:
    """Replace the reader's document by another one, which is finished."""
    reader.document = second.document
    reader.root_at = reader.other_at
    reader.root_fence = reader.prose.fence
    reader.empty_end = -1
    reader.owed, reader.swallow = second.owed, second.swallow
    reader.commented = reader.text_noted = False
    reader.second = None
    reader.around = STEPS["read_after_document"]
    reader.gap = NO_GAP
