"""Steps of lenient reading: for the text before a document, and for another document after it.

A step is a function that reads on from one character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.json import are_equal
from tokenstream._basics.untrusted import is_list
from tokenstream.partial_json._document import Document
from tokenstream.partial_json._lenient.automaton import AFTER_DOCUMENT, LINE_GAP, START, STEPS, register_step
from tokenstream.partial_json._lenient.body import begin_array, begin_object
from tokenstream.partial_json._lenient.edges import (
    has_text_between,
    is_end_doubtful,
    read_after_document,
    refuse_empty_text,
)
from tokenstream.partial_json._lenient.gaps import enter_comment, is_odd_space, read_other, turn_to_prose
from tokenstream.partial_json._lenient.prose import SearchResult
from tokenstream.partial_json._strict.grammar import under

if TYPE_CHECKING:
    from tokenstream.partial_json._events import JSONEvents
    from tokenstream.partial_json._lenient.reader import LenientReader

# -- before the document ----------------------------------------------------------


@register_step
def read_possible_start(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Read on where a bracket is certain to begin the document; return the position at which to read on.

    That is at the start of the text, after the first line of a code fence, and after reasoning.
    """
    char = text[position : position + 1]
    if not char:
        return refuse_empty_text(reader, position)
    reader.expects = START
    step = START.get(char)
    if step is not None:
        following: int = step(reader, text, position, out)
        return following
    if is_odd_space(char):
        # White space that JSON does not know is skipped.
        return read_other(reader, text, position, out)
    return begin_prose(reader, position)


def begin_prose(reader: LenientReader, position: int) -> int:
    reader.note_prose(reader.base + position)
    return reader.turn_to_prose(position)


@under("/", START)
def begin_comment_before_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Begin a comment before the document, or prose if the slash does not begin a comment.

    The result is the position at which to read on.
    """
    opener = text[position : position + 2]
    if opener == "/" and not reader.text_ended:
        return reader.hold_back(position)
    if opener == "//":
        return enter_comment(reader, position, opener)
    return begin_prose(reader, position)


@register_step
def read_prose(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Search the prose for a document, a code fence, or reasoning; return the position at which to go on."""
    if position == len(text):
        # The text has ended.
        if reader.has_document:
            return read_after_document(reader, text, position, out)
        return refuse_empty_text(reader, position)
    prose = reader.prose
    position, finding = prose.search(text, position, reader.base, text_ended=reader.text_ended)
    prose_start = prose.pop_prose_start()
    if prose_start is not None:
        reader.note_prose(prose_start)
    if finding is SearchResult.MAYBE:
        # If the text has ended, a fence, tag or document that only may have begun is prose.
        return len(text) if reader.text_ended else reader.hold_back(position)
    if finding is SearchResult.DOCUMENT:
        if reader.has_document:
            return begin_another(reader, text, position, out)
        reader.in_prose = True
        return begin_document(reader, text, position, out)
    if finding is SearchResult.THOUGHT_END and reader.has_document:
        # Reasoning cannot have begun before the document, so the tag is prose.
        reader.note_prose(prose.found_at)
        return position
    if finding is not SearchResult.NOTHING:
        is_thought = finding in {SearchResult.THOUGHT, SearchResult.THOUGHT_END}
        reader.repair_log.note("reasoning" if is_thought else "code_fence", prose.found_at)
    if finding in {SearchResult.FENCE, SearchResult.THOUGHT, SearchResult.THOUGHT_END}:
        # After a fence or a tag, a document may begin without further proof.
        reader.outside_step = STEPS["read_after_document" if reader.has_document else "read_possible_start"]
        # They separate the document from the text after them as a line break does.
        reader.gap = LINE_GAP
    return position


@under("[", START)
def begin_root_array(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Begin an array at `[`, and return the position after the bracket.

    A bracket of a link, or of a mark such as [TOOL_CALLS], begins prose; the result is then `position`.
    """
    # An array that is shown as it arrives begins at once.
    at_once = reader.may_be_array and reader.choose is None
    is_mark = reader.prose.is_mark(text, position, text_ended=reader.text_ended, at_once=at_once)
    if is_mark is None:
        # More text is needed to decide.
        return reader.hold_back(position)
    return (turn_to_prose if is_mark else begin_document)(reader, text, position, out)


@under("{", START)
def begin_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    reader.begin_document(reader.base + position)
    return (begin_object if text[position] == "{" else begin_array)(reader, text, position, out)


# -- after it ------------------------------------------------------------------------


@under("{[", AFTER_DOCUMENT)
def read_bracket_after_document(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Decide if a bracket after the document begins another document or is prose; return where to read on.

    The text is refused if the bracket is prose, and the finished document may then be prose, too.
    """
    follows = "array" if is_list(reader.document.root) else "object"
    begins = reader.prose.begins_document(text, position, text_ended=reader.text_ended, after=follows)
    if begins is None:
        return reader.hold_back(position)
    if begins:
        return begin_another(reader, text, position, out)
    # The bracket is prose. Then a document such as `[1]` on the same line may be prose, too.
    if is_end_doubtful(reader, text[position]):
        return reader.refuse_two_readings(position)
    return turn_to_prose(reader, text, position, out)


def begin_another(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Begin another document, or continue the placeholder `{}`; return the position at which to read on."""
    reader.second_at = reader.base + position
    if is_placeholder(reader, text[position]):
        return reader.replace_placeholder(position)
    first = reader.document
    if reader.choose is not None:
        # All documents are read, to choose one: offer the finished one. The next replaces it in this reader.
        reader.choose(reader)
        reader.repair_log.note("other_document", reader.second_at)
    reader.begin_second(Document(max_depth=first.max_depth, decimals=first.decimals))
    return position


def is_placeholder(reader: LenientReader, opener: str) -> bool:
    """Return True if the document is `{}`, and only white space separates it from another object."""
    return reader.empty_end >= 0 and opener == "{" and not has_text_between(reader)


@register_step
def read_another(reader: LenientReader, text: str, position: int, out: JSONEvents) -> int:
    """Continue a document after the first one; return the position up to which it was read.

    Without `reader.choose`, a second document that differs from the first is refused.
    """
    second = reader.second_reader
    if second is None:
        # Impossible: `begin_another` has set the second reader together with this step.
        return position
    position = second.read_along(reader, text, position)
    reader.needs_more = second.needs_more
    document = second.document
    is_choosing = reader.choose is not None
    if document.error is not None:
        is_end_missing = reader.text_ended and reader.must_be_closed
        if is_choosing and is_end_missing:
            reader.document.error = document.error
            return position
        return reader.refuse_two_readings(reader.second_at - reader.base)
    if not document.complete:
        return position
    if is_choosing:
        reader.replace_document(second)
    elif are_equal(reader.document.root, document.value):
        reader.leave_out(second, "repeated_document")
    elif reader.fits_alone(second):
        reader.leave_out(second, "other_document")
    else:
        return reader.refuse_two_readings(reader.second_at - reader.base)
    return position
