"""Separates the text between tags, such as a model's reasoning, from the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.elsewhere import explain_all_options
from tokenstream.errors import MisuseError
from tokenstream.stages._calls.dialects import HARMONY, THOUGHTS, Dialect, choose_dialects, tag_of
from tokenstream.stages._citations import Marker, choose_markers
from tokenstream.stages._text.scanning import (
    MOST_BLANK,
    CodeMarks,
    Passage,
    TextSearch,
    end_of_space,
    passages,
    search_for_texts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = re.compile(r"[a-z][\w.:-]*", re.ASCII | re.IGNORECASE)
_STRIPPED = "analysis"
"""The word with which a text of gpt-oss begins whose marks were removed."""
_BARE_HEADS = ("assistantfinal", "assistantanalysis", "assistantcommentary")
UNMARKED = (_STRIPPED, *_BARE_HEADS)
"""The beginnings of a text that lacks the marks of gpt-oss."""
_BARE_CALL = r"assistantcommentary( to=[\w.:-]{1,128}) ?(?:json|code)?\s?(?=\{)"
_bare_heads = re.compile(rf"assistant(final|analysis|commentary(?! to=))|{_BARE_CALL}")
_search_unfinished_call = re.compile(
    r"assistantcommentary(?: (?:to?|to=[\w.:-]{0,128} ?(?:j|js|jso|json|c|co|cod|code)?\s?)?)?\Z"
).search
_LONGEST_END = 128
"""The most characters of what ends reasoning."""


class LoneEnd(NamedTuple):
    """A closing tag without an opening one: what came before it is reasoning."""

    tag: str


_STARTS_INSIDE = "starts_inside"
"""Stands, among the names of tags, for a text that begins inside a tag."""


class ScanTargets(NamedTuple):
    """Everything that is looked for in texts."""

    tags: tuple[str, ...] = ()
    """Names of the tags of reasoning."""
    starts_inside: bool = False
    """True if a text may begin inside one."""
    dialects: tuple[Dialect, ...] = ()
    """The dialects of calls."""
    is_auto: bool = False
    """True if calls are only read if the request offers tools, and the API itself has sent no call."""
    markers: tuple[Marker, ...] = ()
    """The markers of citations."""


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
        wanted = ScanTargets(*_choose_tags(self.reasoning), dialects, is_auto, choose_markers(self.citations))
        object.__setattr__(self, "wanted", wanted)


Tags.__init__ = explain_all_options(  # type: ignore[method-assign] # its signature stays the same
    markers="it is called citations=", tools="it is called calls=", thinking="it is called reasoning="
)(Tags.__init__)


def _choose_tags(tags: Any) -> tuple[tuple[str, ...], bool]:  # noqa: ANN401 - as callers give it
    """Return the names of the tags of reasoning, and True if a text may begin inside one."""
    if tags is False:
        return (), False
    if tags == _STARTS_INSIDE:
        tags = (_STARTS_INSIDE,)
    is_iterable = hasattr(tags, "__iter__") and not isinstance(tags, str | bytes)
    if not is_iterable and tags is not True:
        raise MisuseError(
            "Tags.reasoning takes names of tags, such as ('think',), True for the known ones, "
            f"or 'starts_inside', not {tags!r}"
        )
    names = tuple(THOUGHTS) if tags is True else _check_tags(tuple(tags))
    starts_inside = _STARTS_INSIDE in names
    named = tuple([name for name in names if name != _STARTS_INSIDE])
    return named or tuple(THOUGHTS) * starts_inside, starts_inside


def _check_tags(names: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the tag names that a caller passed, in lower case and each once."""
    for name in names:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise MisuseError(f"a tag is given by its name alone, such as 'think', and not as {name!r}")
    return tuple(dict.fromkeys(name.lower() for name in names))


class _Markup(NamedTuple):
    """The markup of reasoning that is looked for; marks are in lower case."""

    rows: dict[str, Dialect]
    """The row of each mark."""
    openings: frozenset[str]
    """The marks behind which a text is reasoning."""
    first: tuple[str, ...]
    """Marks with which a text may begin."""
    tags: tuple[str, ...]
    """Openings that count after white space as well."""
    ends: tuple[str, ...]
    """Marks that end reasoning whose opening is missing."""


@cache
def _markup_of(names: tuple[str, ...]) -> _Markup:
    """Return the markup of reasoning with some names; one that no row has is that of a tag."""
    chosen = [THOUGHTS.get(name) or tag_of(name) for name in names]
    rows = {mark: row for row in chosen for mark in _marks_of(row)}
    openings = [opening.lower() for row in chosen for opening in row.openings]
    heads = [head.lower() for row in chosen if not _is_tag(row) for head in row.closes]
    tags = tuple([opening for opening in openings if _is_tag(rows[opening])])
    ends = tuple([end.lower() for row in chosen for end in row.ends])
    return _Markup(rows, frozenset(openings), (*openings, *heads), tags, ends)


def _marks_of(row: Dialect) -> tuple[str, ...]:
    """Return all marks of a row, in lower case."""
    return tuple([mark.lower() for mark in (*row.openings, *row.ends, *row.closes)])


def _is_tag(row: Dialect) -> bool:
    """Return True for a row whose reasoning is within a tag."""
    return row.ends[0] == f"</{row.openings[0][1:]}"


@cache
def _search_for_marks(marks: tuple[str, ...]) -> TextSearch:
    """Return a search for marks, which are given in lower case, regardless of case."""
    return TextSearch(marks, ignores_case=True)


class FirstText:
    """Holds back the beginning of a text until what ends its reasoning shows that it is reasoning.

    A text that begins inside a tag gets the tag that it lacks, and one of gpt-oss the marks, to its end.

    Args:
        names: The names of the tags, in lower case.
        limit: The most characters that are held back.
        starts_inside: True if the text may begin inside a tag.
        has_calls: True to mark calls as well.
    """

    __slots__ = ("_ends", "_has_calls", "_held", "_is_marked", "_limit", "_names", "_recent", "_size", "over")

    def __init__(
        self, names: tuple[str, ...], limit: int, *, starts_inside: bool, has_calls: bool = False
    ) -> None:
        self._limit = limit
        self._names = names if starts_inside else ()
        self._has_calls = has_calls
        self._ends = None if HARMONY in names else _search_for_marks(_markup_of(self._names).ends)
        """Finds the ends of the reasoning; None until the first word is known."""
        self._is_marked = False
        """True if the text gets the marks of gpt-oss."""
        self._held: list[str] = []
        self._size = 0
        self._recent: str = ""
        """The last characters, with which the end of the reasoning may begin."""
        self.over = not (starts_inside or HARMONY in names)
        """True once the text goes on as it is."""

    def feed(self, text: str) -> str:
        """Return the text that is decided, with the tag or the marks that it lacks."""
        if self._is_marked:
            return self._mark(text)
        self._held.append(text)
        self._size += len(text)
        text = self._recent + text
        self._recent = text[-_LONGEST_END:]
        if self._ends is None:
            if any(each.startswith(text) for each in UNMARKED):
                return ""
            if text.startswith(_BARE_HEADS):
                return self._begin_marks(text)
            is_stripped = text.startswith(_STRIPPED) and not text[len(_STRIPPED)].isspace()
            self._ends = _search_for_marks((*_markup_of(self._names).ends, *_BARE_HEADS * is_stripped))
            self.over = not (self._names or is_stripped)
        is_ended = self._ends.pattern.search(text) is not None
        self.over = self.over or is_ended or self._size > self._limit
        if not self.over:
            return ""
        text = "".join(self._held)
        end = self._ends.pattern.search(text) if is_ended else None
        if end is None:
            return text
        if end[0] in _BARE_HEADS:
            return THOUGHTS[HARMONY].openings[0] + self._begin_marks(text[len(_STRIPPED) :])
        opening = _markup_of(self._names).rows[end[0].lower()].openings[0]
        return text if text.lstrip().lower().startswith(opening.lower()) else opening + text

    def end(self) -> str:
        """Return the text that was held back."""
        self.over = True
        return self._recent if self._is_marked else "".join(self._held)

    def _begin_marks(self, text: str) -> str:
        """Return a text with the marks that it lacks, as all that follows it will be."""
        self._is_marked, self.over, self._recent = True, False, ""
        return self._mark(text)

    def _mark(self, text: str) -> str:
        """Return a text with the marks that it lacks; its end is held back if it may begin a head."""
        text = self._recent + text
        unfinished = _search_unfinished_call(text)
        heads = search_for_texts(_BARE_HEADS)
        end = heads.find_unfinished(text, 0) if unfinished is None else unfinished.start()
        self._recent = text[end:]
        return _bare_heads.sub(self._put_marks, text[:end])

    def _put_marks(self, head: re.Match[str]) -> str:
        """Return a head with its marks; one of a call stays as it is if none is read."""
        channel, to = head.groups()
        if to is not None and not self._has_calls:
            return "<|end|>" + head[0]
        return f"<|end|><|start|>assistant<|channel|>{channel or 'commentary'}{to or ''}<|message|>"


def with_marks(text: str) -> str:
    """Return a whole text that lacks the marks of gpt-oss with these marks."""
    first = FirstText((HARMONY,), len(text), starts_inside=False, has_calls=True)
    return first.feed(text) + first.end()


class TagScanner:
    r"""Splits a text into pieces inside and outside of the markup of reasoning.

    An opening tag counts at the start of the text or after white space, in upper or lower case, and not in
    code. It is closed by the first closing tag of its name, wherever that is. White space after either tag is
    dropped, and so is white space before an opening tag at the very start: models send `<think>\n` and
    `</think>\n\n`. Other marks count in a text that begins with one.

    Args:
        names: The names of the rows, or of tags, in lower case.
        is_first: True if an end without an opening ends reasoning that has come as text.
        inside: True if all of the text is reasoning.
    """

    __slots__ = (
        "_at_text_start",
        "_code",
        "_drops_space",
        "_first",
        "_head",
        "_held",
        "_is_first",
        "_last",
        "_markup",
        "_row",
        "_search",
        "_turns",
        "inside",
        "tagged",
    )

    def __init__(self, names: tuple[str, ...], *, is_first: bool = False, inside: bool = False) -> None:
        self._markup = markup = _markup_of(names)
        self._first = _search_for_marks(markup.first)
        """Searches for what may stand at the very start of the text."""
        self._is_first = is_first
        self._search = _search_for_marks((*markup.openings, *markup.ends) if is_first else markup.tags)
        """Searches for what may begin or end reasoning from here on."""
        self._row: Dialect | None = None
        """The row of which all marks count; None if it is not known, and for tags."""
        self._head: Dialect | None = None
        """The row of the tag that has just ended: a tag around the answer may follow."""
        self._code = CodeMarks()
        self._held = ""
        """The end of the text so far, if it may become a mark."""
        self._last = "\n"
        """The last character outside of reasoning; a line ending at the start, and after a mark."""
        self._at_text_start = not inside
        """True while only white space has arrived, which is held back, and dropped if a mark follows."""
        self._drops_space = False
        """True after a tag: white space is dropped."""
        self._turns = False
        """True after a mark that no text has followed yet, so that the next one begins another part."""
        self.inside, self.tagged = inside, False
        """True if the next character is reasoning, and if any text is, or may be."""

    @property
    def firsts(self) -> frozenset[str]:
        """Characters of which a text with a tag has one."""
        return self._first.firsts

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is: without a tag, and with nothing held back."""
        # Nothing before the piece is undecided, and no tag begins in the piece itself.
        undecided = self._held or self._turns or self._drops_space or self._at_text_start
        return not (undecided or self._search.begins_in(text))

    def skim(self, text: str) -> None:
        """Read a piece that has no tag, and that the caller returns unchanged (`passes` was True).

        Only the facts on which a later tag depends are noted: if the text is in code, and if it ends
        with white space.
        """
        if not self.inside:
            self._note_outside(text)

    def feed(self, text: str) -> list[Passage | LoneEnd]:
        """Return the decided pieces."""
        if not text:
            return []
        # Most pieces have no tag, and nothing is held back before them.
        if self.passes(text):
            # A later tag depends on the text before it.
            self.skim(text)
            return [Passage(self.inside, text)]
        out: list[Passage | LoneEnd] = []
        text, self._held, self._turns = self._held + text, "", False
        position = 0
        while position < len(text):
            read = self._read_inside if self.inside else self._read_outside
            position = read(text, position, out)
        return out

    def end(self) -> list[Passage | LoneEnd]:
        """Return the held-back text, which did not become a tag."""
        held, self._held = self._held, ""
        return [*passages(held, inside=self.inside)]

    def _read_outside(self, text: str, position: int, out: list[Passage | LoneEnd]) -> int:
        """Read up to the next mark; return the position after it, or the end of the text."""
        if self._drops_space:
            position = end_of_space(text, position)
            heads = _search_for_marks(() if self._head is None else _marks_of(self._head))
            if heads.may_begin(text, position):
                self._held = text[position:]
                return len(text)
            self._drops_space = position == len(text)
            head = heads.pattern.match(text, position)
            if head is not None:
                self._row = self._head
                return self._take_mark(head)
            self._head = self._head if self._drops_space else None
        if self._at_text_start:
            first_mark_end = self._read_first_mark(text, position)
            if first_mark_end is not None:
                return first_mark_end
            self._at_text_start = False
        mark_at, mark = self._find_mark(text, position)
        if mark_at > position:
            out.append(Passage(self.inside, text[position:mark_at]))
        if mark is None:
            self._held = text[mark_at:]
            return len(text)
        if self._row is None and mark[0].lower() in self._markup.ends:
            out.append(LoneEnd(mark[0]))
        return self._take_mark(mark)

    def _find_mark(self, text: str, position: int) -> tuple[int, re.Match[str] | None]:
        """Find the next mark that counts, or the beginning of one, without a match, at the end."""
        while True:
            mark = self._search.pattern.search(text, position)
            mark_at = self._search.find_unfinished(text, position) if mark is None else mark.start()
            self._note_outside(text[position:mark_at])
            if mark_at == len(text) or self._counts(text[mark_at:] if mark is None else mark[0]):
                return mark_at, mark
            if mark is None and self._is_first:
                return mark_at, mark
            if mark is not None and not self._code.is_code():
                self._note_mark(mark[0].lower())
            # This is not a mark (it is in code, or directly after a word): go on after it.
            self._note_outside(text[mark_at])
            position = mark_at + 1

    def _note_mark(self, mark: str) -> None:
        """Note a mark that does not count: behind an opening, the end does not come alone."""
        if self._is_first and mark in self._markup.openings:
            self._is_first, self._search = False, _search_for_marks(self._markup.tags)

    def _counts(self, mark: str) -> bool:
        """Return True if a mark, or the beginning of one, counts here."""
        if self._code.is_code():
            return False
        if self._row is not None:
            # Brackets are no special token: a sentence names them.
            return mark[0] != "[" or self._last == "\n"
        mark = mark.lower()
        # Reasoning ends with its last word, or with a line; behind a blank, a sentence names the mark.
        may_close = self._is_first and self._last not in " \t"
        return (may_close and any(each.startswith(mark) for each in self._markup.ends)) or (
            self._last.isspace() and any(each.startswith(mark) for each in self._markup.tags)
        )

    def _read_first_mark(self, text: str, position: int) -> int | None:
        """Read a mark after white space; return its end, the text's if undecided, or None for no mark."""
        space_end = end_of_space(text, position)
        if space_end - position > MOST_BLANK:
            # No more white space is held back.
            return None
        mark = self._first.pattern.match(text, space_end)
        if mark is not None:
            return self._take_mark(mark)
        if space_end == len(text) or self._first.may_begin(text, space_end):
            self._held = text[position:]
            return len(text)
        return None

    def _note_outside(self, text: str) -> None:
        """Record if text outside of tags ends in code or with white space, which decides if a tag counts."""
        if text:
            self._code.feed(text)
            self._last = text[-1]

    def _take_mark(self, found: re.Match[str]) -> int:
        """Leave out a mark, behind which reasoning or an answer begins; return its end."""
        mark, markup = found[0].lower(), self._markup
        row, self.inside = markup.rows[mark], mark in markup.openings
        is_tag = _is_tag(row) and self._row is None
        self._drops_space = _is_tag(row) or not row.closes
        if not is_tag:
            # Of special tokens, each ends what stands before it.
            self._row, self._search = row, _search_for_marks(_marks_of(row))
        elif self.inside:
            self._search = _search_for_marks((row.ends[0].lower(),))
        else:
            self._head, self._search = row, _search_for_marks(markup.tags)
        if not self.inside:
            # The text after the mark begins outside of code.
            self._last, self._code = "\n", CodeMarks()
        self.tagged, self._turns, self._at_text_start, self._is_first = True, True, False, False
        return found.end()

    def _read_inside(self, text: str, position: int, out: list[Passage | LoneEnd]) -> int:
        """Read up to the closing tag; return the position after it, or the end of the text."""
        if self._drops_space:
            position = end_of_space(text, position)
            if position == len(text):
                return position
            self._drops_space = False
        closing = self._search.pattern.search(text, position)
        tag_at = self._search.find_unfinished(text, position) if closing is None else closing.start()
        if tag_at > position:
            out.append(Passage(self.inside, text[position:tag_at]))
        if closing is None:
            self._held = text[tag_at:]
            return len(text)
        return self._take_mark(closing)


def has_reasoning(text: str) -> bool:
    """Return True if reasoning that is written in a whole text, with its marks, would be found."""
    names = tuple(THOUGHTS)
    if not _search_for_marks(tuple(_markup_of(names).rows)).begins_in(text):
        return False
    scanner = TagScanner(names, is_first=True)
    scanner.feed(text)
    return scanner.tagged
