"""Separates the text between tags, such as a model's reasoning, from the rest."""

from __future__ import annotations

import re
from dataclasses import InitVar, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tokenstream._basics.elsewhere import explain_all_options
from tokenstream.errors import MisuseError
from tokenstream.stages._calls.dialects import (
    HARMONY,
    THOUGHTS,
    UNMARKED,
    Dialect,
    choose_dialects,
    is_unmarked,
    tag_of,
)
from tokenstream.stages._text.scanning import (
    MOST_BLANK,
    CodeMarks,
    Passage,
    TextSearch,
    end_of_space,
    passages,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.stages._citations import Marker

_NAME = re.compile(r"[a-z][\w.:-]*", re.ASCII | re.IGNORECASE)
_KNOWN = tuple(THOUGHTS)
_BEGINNINGS = ("analysis", *UNMARKED.openings, *UNMARKED.ends)
"""Words of gpt-oss with which a text may begin whose marks were removed."""
_LONGEST_END = 128
"""The most characters of what ends reasoning."""


class LoneEnd(NamedTuple):
    """A closing tag without an opening one: what came before it is reasoning."""

    tag: str


TagPiece: TypeAlias = "Passage | LoneEnd"
"""A piece of text, or a closing tag that changes what came before."""
_STARTS_INSIDE = "starts_inside"
"""Stands, among the names of tags, for a text that begins inside a tag."""


class ScanTargets(NamedTuple):
    """Everything that is looked for in texts."""

    tags: tuple[str, ...] = ()
    starts_inside: bool = False
    dialects: tuple[Dialect, ...] = ()
    is_auto: bool = False
    """True if calls are only read if the request offers tools, and the API itself has sent no call."""
    markers: tuple[Marker, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """The markup in which a model writes reasoning, tool calls and citations into its text.

    A stream with `tags=Tags(…)` splits such a text: its parts and events are those of an answer whose server
    has read the markup itself.

    Raises:
        MisuseError: A name is not known, or a value is of another kind.

    Example:
        >>> from tokenstream import Stream
        >>> body = ["<think>Hm.</think>", "Hello"]
        >>> message = Stream(body, format="pieces", tags=Tags(reasoning=["think"])).final()
        >>> message.reasoning, message.text
        ('Hm.', 'Hello')
    """

    reasoning: bool | str | Iterable[str] = ()
    """Names of tags, such as ("think",), or of markups, such as ("gemma4",), in which the model wraps its
    reasoning. True for the usual ones; "starts_inside" if an end may come alone."""
    calls: bool | str | Iterable[str] = ()
    """The dialects, such as "hermes", in which the model writes tool calls where the server does not read
    them. True for all that need not be named; "auto" for the same, if the request offers tools and the API
    itself sends no call."""
    citations: bool | str | Iterable[str] = ()
    """The markers, such as "openai" for 【12†source】, with which the model cites sources. True for all."""
    wanted: ScanTargets = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find what the names stand for, and refuse others."""
        is_auto = self.calls == "auto"
        dialects = choose_dialects(True if is_auto else self.calls)
        from tokenstream.stages._citations import choose_markers

        wanted = ScanTargets(*_choose_tags(self.reasoning), dialects, is_auto, choose_markers(self.citations))
        object.__setattr__(self, "wanted", wanted)


Tags.__init__ = explain_all_options(  # type: ignore[method-assign] # its signature stays the same
    markers="it is called citations=", tools="it is called calls=", thinking="it is called reasoning="
)(Tags.__init__)


def _choose_tags(tags: Any) -> tuple[tuple[str, ...], bool]:  # noqa: ANN401 - as callers give it
    """Return the names of the markups of reasoning, and True if a text may begin inside one."""
    if isinstance(tags, bool):
        return _KNOWN * tags, False
    if tags == _STARTS_INSIDE:
        tags = (_STARTS_INSIDE,)
    if isinstance(tags, str | bytes) or not hasattr(tags, "__iter__"):
        raise MisuseError(
            "Tags.reasoning takes names of tags, such as ('think',), True for the known ones, "
            f"or 'starts_inside', not {tags!r}"
        )
    names: dict[str, None] = {}
    for name in tags:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise MisuseError(f"a tag is given by its name alone, such as 'think', and not as {name!r}")
        names[name.lower()] = None
    starts_inside = names.pop(_STARTS_INSIDE, False) is None
    return tuple(names) or _KNOWN * starts_inside, starts_inside


class _Markup(NamedTuple):
    rows: dict[str, Dialect]
    openings: tuple[str, ...]
    tags: tuple[str, ...]
    """Openings that count after white space as well."""
    first: tuple[str, ...]
    """Marks with which a text may begin."""
    ends: tuple[str, ...]
    """Marks that end reasoning whose opening is missing."""


@cache
def _markup_of(names: tuple[str, ...]) -> _Markup:
    """Return the markup of reasoning with some names; one that no row has is that of a tag."""
    chosen = [THOUGHTS.get(name) or tag_of(name) for name in names]
    openings = tuple([opening for row in chosen for opening in row.openings])
    ends = tuple([end for row in chosen for end in row.ends])
    tags = tuple([row.openings[0] for row in chosen if _is_tag(row)])
    chosen += [UNMARKED] * (HARMONY in names)
    heads = [head for row in chosen if not _is_tag(row) for head in (*row.openings, *row.closes)]
    rows = {mark: row for row in chosen for mark in _list_tag_marks(row)}
    return _Markup(rows, openings, tags, (*tags, *heads), ends)


def _list_tag_marks(row: Dialect) -> tuple[str, ...]:
    return (*row.openings, *row.ends, *row.closes)


def _is_tag(row: Dialect) -> bool:
    return row.ends[0] == f"</{row.openings[0][1:]}"


@cache
def _search_for_marks(marks: tuple[str, ...]) -> TextSearch:
    return TextSearch(marks, ignores_case=True)


class FirstText:
    """Holds back the beginning of a text until what ends its reasoning shows that it is reasoning.

    Such a text gets what it lacks of an opening, which was in the prompt.

    Args:
        names: The names of the tags, in lower case.
        limit: The most characters that are held back.
        starts_inside: True if the text may begin inside a tag; one of gpt-oss without marks always may.
    """

    def __init__(self, names: tuple[str, ...], limit: int, *, starts_inside: bool) -> None:
        self._limit = limit
        self._rows = _markup_of(names).rows
        self._names = names if starts_inside else ()
        self._ends = None if HARMONY in names else _search_for_marks(_markup_of(self._names).ends)
        """Finds the ends of the reasoning; None until the first word is known."""
        self._held: list[str] = []
        self._size = 0
        self._recent: str = ""
        """The last characters, with which the end of the reasoning may begin."""
        self.row: Dialect | None = None
        """The row of the reasoning with which the text begins; None if it begins with none."""
        self.over = not (starts_inside or HARMONY in names)

    def feed(self, text: str) -> str:
        """Return the text that is decided, with what it lacks of an opening."""
        self._held.append(text)
        self._size += len(text)
        text = self._recent + text
        self._recent = text[-_LONGEST_END:]
        if self._ends is None:
            heads = UNMARKED.ends * (is_unmarked(text) is not None)
            if not heads and any(each.startswith(text) for each in _BEGINNINGS):
                return ""
            self._ends = _search_for_marks((*_markup_of(self._names).ends, *heads))
            self.over = not (self._names or heads)
        found = self._ends.pattern.search(text)
        self.over = self.over or found is not None or self._size > self._limit
        if not self.over:
            return ""
        text = "".join(self._held)
        if found is None:
            return text
        self.row = self._rows[found[0].lower()]
        opening = self.row.before or self.row.openings[0]
        return text if text.lstrip().lower().startswith(opening) else opening + text

    def end(self) -> str:
        return "".join(self._held)


@dataclass(slots=True, eq=False)
class TagScanner:
    r"""Splits a text into pieces inside and outside of the markup of reasoning.

    An opening tag counts at the start of the text or after white space, in upper or lower case, and not in
    code. It is closed by the first closing tag of its name, wherever that is. White space after either tag is
    dropped, and so is white space before an opening tag at the very start: models send `<think>\n` and
    `</think>\n\n`. Other marks count in a text that begins with one.
    """

    names: InitVar[tuple[str, ...]]
    """The names of the rows, or of tags, in lower case."""
    is_first: bool = field(default=False, kw_only=True)
    """True if an end without an opening ends reasoning that has come as text."""
    inside: bool = field(default=False, kw_only=True)
    """True if the next character is reasoning."""
    tagged: bool = field(default=False, init=False)
    """True if any text is, or may be, reasoning."""
    markup: _Markup = field(init=False)
    search: TextSearch = field(init=False)
    """Searches for what may begin or end reasoning from here on."""
    row: Dialect | None = field(default=None, init=False)
    """The row of which all marks count; None if it is not known, and for tags."""
    head: Dialect | None = field(default=None, init=False)
    """The row of the tag that has just ended: a tag around the answer may follow."""
    code: CodeMarks = field(default_factory=CodeMarks, init=False)
    held: str = field(default="", init=False)
    """The end of the text so far, if it may become a mark."""
    last: str = field(default="\n", init=False)
    """The last character outside of reasoning; a line ending at the start, and after a mark."""
    at_text_start: bool = field(init=False)
    """True while only white space has arrived, which is held back, and dropped if a mark follows."""
    drops_space: bool = field(default=False, init=False)
    """True after a tag: white space is dropped."""
    turns: bool = field(default=False, init=False)
    """True after a mark that no text has followed yet, so that the next one begins another part."""

    def __post_init__(self, names: tuple[str, ...]) -> None:
        self.markup = markup = _markup_of(names)
        self.search = _search_for_marks((*markup.openings, *markup.ends) if self.is_first else markup.tags)
        self.at_text_start = not self.inside

    @property
    def firsts(self) -> frozenset[str]:
        """Characters of which a text with a tag has one, after its start."""
        return _search_for_marks(self.markup.ends if self.row is None else _list_tag_marks(self.row)).firsts

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is: without a tag, and with nothing held back."""
        # Nothing before the piece is undecided, and no tag begins in the piece itself.
        undecided = self.held or self.turns or self.drops_space or self.at_text_start
        return not (undecided or (self.search.starts(text) and self.search.begins_in(text)))

    def skim(self, text: str) -> None:
        """Read a piece that has no tag, and that the caller returns unchanged (`passes` was True)."""
        if not self.inside:
            self._note_outside(text)

    def feed(self, text: str) -> list[TagPiece]:
        """Return the decided pieces."""
        if not text:
            return []
        held, self.held = self.held, ""
        text = held + text
        if held and self.passes(text):
            self.skim(text)
            return [Passage(self.inside, text)]
        out: list[TagPiece] = []
        self.turns, position = False, 0
        while position < len(text):
            read = self._read_inside if self.inside else self._read_outside
            position = read(text, position, out)
        return out

    def covers(self, mark: str) -> bool:
        """Return True inside of reasoning that a text, or the beginning of one, does not end."""
        ends = () if self.row is None else self.row.ends
        return self.inside and not any(mark.startswith(end) or end.startswith(mark) for end in ends)

    def end(self) -> list[TagPiece]:
        """Return the held-back text, which did not become a tag; a call that follows ends the reasoning."""
        pieces = passages(self.held, inside=self.inside)
        self.held, self.inside = "", False
        return [*pieces]

    def _read_outside(self, text: str, position: int, out: list[TagPiece]) -> int:
        """Read up to the next mark; return the position after it, or the end of the text."""
        if self.drops_space:
            position = end_of_space(text, position)
            heads = _search_for_marks(() if self.head is None else _list_tag_marks(self.head))
            if heads.may_begin(text, position):
                self.held = text[position:]
                return len(text)
            self.drops_space = position == len(text)
            head = heads.pattern.match(text, position)
            if head is not None:
                self.row = self.head
                return self._take_mark(head)
            self.head = self.head if self.drops_space else None
        if self.at_text_start:
            first_mark_end = self._read_first_mark(text, position)
            if first_mark_end is not None:
                return first_mark_end
            self.at_text_start = False
        mark_at, mark = self._find_mark(text, position)
        if mark_at > position:
            out.append(Passage(self.inside, text[position:mark_at]))
        if mark is None:
            self.held = text[mark_at:]
            return len(text)
        if self.row is None and mark[0].lower() in self.markup.ends:
            out.append(LoneEnd(mark[0]))
        return self._take_mark(mark)

    def _find_mark(self, text: str, position: int) -> tuple[int, re.Match[str] | None]:
        """Find the next mark that counts, or the beginning of one, without a match, at the end."""
        while True:
            mark_at, mark = self._find(text, position)
            self._note_outside(text[position:mark_at])
            if (
                mark_at == len(text)
                or (mark is None and self.is_first)
                or self._counts(text[mark_at:] if mark is None else mark[0])
            ):
                return mark_at, mark
            is_opening = mark is not None and mark[0].lower() in self.markup.openings
            if is_opening and self.is_first and not self.code.is_code():
                # After an opening, the end does not come alone.
                self.is_first, self.search = False, _search_for_marks(self.markup.tags)
            # This is not a mark (it is in code, or directly after a word): go on after it.
            self._note_outside(text[mark_at])
            position = mark_at + 1

    def _find(self, text: str, position: int) -> tuple[int, re.Match[str] | None]:
        """Find the next mark, or the beginning of one, without a match; a word may be both."""
        mark_at, mark = self.search.find(text, position)
        if mark is not None and mark[0].isalpha() and self.search.may_begin(text, mark_at):
            return self.search.find_unfinished(text, position), None
        return mark_at, mark

    def _counts(self, mark: str) -> bool:
        """Return True if a mark, or the beginning of one, counts here."""
        if self.code.is_code():
            return False
        if self.row is not None:
            # Brackets are ordinary characters: a sentence may name the mark. A call's head is left to it.
            return mark[-1] != "=" and (mark[0] != "[" or self.last == "\n")
        mark = mark.lower()
        # Reasoning ends with its last word, or with a line; after a blank, a sentence names the mark.
        may_close = self.is_first and self.last not in " \t"
        return (may_close and _search_for_marks(self.markup.ends).may_be(mark)) or (
            self.last.isspace() and _search_for_marks(self.markup.tags).may_be(mark)
        )

    def _read_first_mark(self, text: str, position: int) -> int | None:
        """Read a mark after white space; return its end, the text's if undecided, or None for no mark."""
        space_end = end_of_space(text, position)
        if space_end - position > MOST_BLANK:
            # No more white space is held back.
            return None
        first = _search_for_marks(self.markup.first)
        if space_end == len(text) or first.may_begin(text, space_end):
            self.held = text[position:]
            return len(text)
        mark = first.pattern.match(text, space_end)
        return None if mark is None else self._take_mark(mark)

    def _note_outside(self, text: str) -> None:
        """Record if text outside of tags ends in code or with white space, which decides if a tag counts."""
        if text:
            self.code.feed(text)
            self.last = text[-1]

    def _take_mark(self, found: re.Match[str]) -> int:
        """Leave out a mark, after which reasoning or an answer begins; return its end."""
        mark, markup = found[0].lower(), self.markup
        row = markup.rows[mark]
        self.inside = mark in row.openings
        is_tag = _is_tag(row) and self.row is None
        self.drops_space = _is_tag(row) or not row.closes
        if not is_tag:
            # Of special tokens, each ends what comes before it.
            self.row, self.search = row, _search_for_marks(_list_tag_marks(row))
        elif self.inside:
            self.search = _search_for_marks(row.ends)
        else:
            self.head, self.search = row, _search_for_marks(markup.tags)
        if not self.inside:
            # The text after the mark begins outside of code.
            self.last, self.code = "\n", CodeMarks()
        self.tagged, self.turns, self.at_text_start, self.is_first = True, True, False, False
        return found.start() if mark[-1] == "=" else found.end()

    def _read_inside(self, text: str, position: int, out: list[TagPiece]) -> int:
        """Read up to the closing tag; return the position after it, or the end of the text."""
        if self.drops_space:
            position = end_of_space(text, position)
            if position == len(text):
                return position
            self.drops_space = False
        tag_at, closing = self._find(text, position)
        if tag_at > position:
            out.append(Passage(self.inside, text[position:tag_at]))
        if closing is None:
            self.held = text[tag_at:]
            return len(text)
        return self._take_mark(closing)


_LAST = tuple([mark for row in THOUGHTS.values() if not _is_tag(row) for mark in row.closes])
"""Marks at the end of a text, which a server has left there."""
_find_mark = _search_for_marks(
    tuple({mark[:4] for row in THOUGHTS.values() for mark in _list_tag_marks(row)})
).pattern.search
"""Finds where a mark may begin, in a quarter of the time of a search for whole ones."""


def has_reasoning(text: str) -> bool:
    """Return True if reasoning that is written in a whole text, with its marks, would be found."""
    if is_unmarked(text):
        first = FirstText(_KNOWN, len(text), starts_inside=False)
        text = first.feed(text) + first.end()
    elif _find_mark(text) is None:
        return False
    if text.rstrip().lower().endswith(_LAST):
        return True
    scanner = TagScanner(_KNOWN, is_first=True)
    scanner.feed(text)
    return scanner.tagged
