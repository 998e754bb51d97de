"""Separates the text between tags, such as a model's reasoning, from the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.elsewhere import explain_all_options
from tokenstream.errors import MisuseError
from tokenstream.stages._calls.dialects import Dialect, choose_dialects
from tokenstream.stages._citations import Marker, choose_markers
from tokenstream.stages._text.scanning import MOST_BLANK, CodeMarks, TextSearch, end_of_space

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = re.compile(r"[a-z][\w.:-]*", re.ASCII | re.IGNORECASE)
LONE_END = (True, "")
"""The piece for a closing tag alone: the text that came before it is reasoning."""
HARMONY = "harmony"
"""Stands, among the names of tags, for the channels in which gpt-oss answers."""
KNOWN_TAGS = ("think", "thinking", "thought", "reasoning", HARMONY)
"""The tags in which models are known to wrap their reasoning."""
find_tag = re.compile(rf"<(?:/?(?:{'|'.join(KNOWN_TAGS)})>|\|)", re.ASCII | re.IGNORECASE).search
"""Finds what may be markup of reasoning: a text without it, and without `STRIPPED`, has none."""
_TURN = "<|start|>assistant"
_ANALYSIS, _END = "<|channel|>analysis<|message|>", "<|end|>"
_HEADS = ("<|channel|>final<|message|>", "<|channel|>commentary<|message|>")
STRIPPED = "analysis"
"""The word with which a text of gpt-oss begins whose marks were removed."""
_STRIPPED_ENDS = re.compile("assistant(?:final|commentary)")
_LONGEST_NAME = 64
"""The most characters of a tag's name."""
_CHANNELS = (_ANALYSIS, _TURN + _ANALYSIS)
"""Texts behind which a text of gpt-oss is reasoning."""
_MARKS = (*_HEADS, *[_TURN + head for head in _HEADS], _END, "<|return|>")
"""Texts of gpt-oss that are left out."""


_STARTS_INSIDE = "starts_inside"
"""Stands, among the names of tags, for a text that begins inside a tag."""


class Wanted(NamedTuple):
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
    """Names of tags, such as ("think",), in which the model wraps its reasoning. True for the usual ones;
    "starts_inside" if a closing tag may come alone."""
    calls: bool | str | Iterable[str] = ()
    """The dialects, such as "hermes", in which the model writes tool calls where the server does not read
    them. True for all that need not be named; "auto" for the same, if the request offers tools and the API
    itself sends no call."""
    citations: bool | str | Iterable[str] = ()
    """The markers, such as "openai" for 【12†source】, with which the model cites sources. True for all."""
    wanted: Wanted = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find what the names stand for, and refuse others."""
        is_auto = self.calls == "auto"
        dialects = choose_dialects(True if is_auto else self.calls)
        wanted = Wanted(*_choose_tags(self.reasoning), dialects, is_auto, choose_markers(self.citations))
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
    names = KNOWN_TAGS if tags is True else _check_tags(tuple(tags))
    starts_inside = _STARTS_INSIDE in names
    named = tuple([name for name in names if name != _STARTS_INSIDE])
    return named or KNOWN_TAGS * starts_inside, starts_inside


def _check_tags(names: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the tag names that a caller passed, in lower case and each once."""
    for name in names:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise MisuseError(f"a tag is given by its name alone, such as 'think', and not as {name!r}")
    return tuple(dict.fromkeys(name.lower() for name in names))


@cache
def _ends_of(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of the closing tags of some names."""
    return re.compile(rf"</({'|'.join(map(re.escape, names))})>", re.ASCII | re.IGNORECASE)


@cache
def _search_for_tags(tags: tuple[str, ...]) -> TextSearch:
    """Return a search for tags, which are given in lower case, regardless of case."""
    return TextSearch(tags, ignores_case=True)


class FirstText:
    """Holds back the beginning of a text until what ends its reasoning shows that it is reasoning.

    Args:
        names: The names of the tags, in lower case.
        limit: The most characters that are held back.
        starts_inside: True if the text may begin inside a tag. Otherwise, it has to begin as one of gpt-oss
            does, without its marks.
    """

    __slots__ = (
        "_ends",
        "_first_word",
        "_held",
        "_is_decided",
        "_limit",
        "_recent",
        "_size",
        "_starts_inside",
    )

    def __init__(self, names: tuple[str, ...], limit: int, *, starts_inside: bool) -> None:
        self._limit = limit
        self._starts_inside = starts_inside
        self._ends = _ends_of(names) if starts_inside else _STRIPPED_ENDS
        self._first_word = STRIPPED if HARMONY in names else "\0"
        self._is_decided = starts_inside
        """True once the first word is known."""
        self._held: list[str] = []
        self._size = 0
        self._recent = ""
        """The last characters, with which the end of the reasoning may begin."""

    def feed(self, text: str) -> bool | None:
        """Return True once a text begins with reasoning, False once it does not, and None before that."""
        self._held.append(text)
        self._size += len(text)
        text = self._recent + text
        self._recent = text[-_LONGEST_NAME:]
        if not self._is_decided:
            word = text[: len(STRIPPED) + 1]
            if self._first_word.startswith(word):
                return None
            if not word.startswith(self._first_word) or word[-1].isspace():
                return False
            self._is_decided = True
        if self._ends.search(text) is not None:
            return True
        return False if self._size > self._limit else None

    def take(self, *, inside: bool) -> str:
        """Return the text that was held back, with the tags or marks that it lacks."""
        text = "".join(self._held)
        end = self._ends.search(text) if inside else None
        if end is None:
            return text
        if not self._starts_inside:
            return f"{_ANALYSIS}{text[len(STRIPPED) : end.start()]}{_END}{text[end.end() :]}"
        opening = f"<{end[1]}>"
        return text if text.lstrip().lower().startswith(opening.lower()) else opening + text


class TagScanner:
    r"""Splits a text into pieces inside and outside of tags.

    An opening tag counts at the start of the text or after white space, in upper or lower case, and not in
    code. It is closed by the first closing tag of its name, wherever that is. White space after either tag is
    dropped, and so is white space before an opening tag at the very start: models send `<think>\n` and
    `</think>\n\n`. The channels of gpt-oss count in a text that begins with one.

    Args:
        names: The names of the tags, in lower case.
        is_first: True if a closing tag without an opening one ends reasoning that has come as text.
    """

    __slots__ = (
        "_at_text_start",
        "_closing",
        "_code",
        "_drops_space",
        "_held",
        "_is_first",
        "_is_harmony",
        "_last",
        "_opening",
        "_tags",
        "_turns",
        "inside",
        "tagged",
    )

    def __init__(self, names: tuple[str, ...], *, is_first: bool = False) -> None:
        tags = tuple([f"<{name}>" for name in names])
        heads = (*_CHANNELS, *_MARKS) if HARMONY in names else ()
        self._tags = _search_for_tags(tags)
        """Searches for the opening tags."""
        self._opening = _search_for_tags((*tags, *heads))
        self._is_harmony = False
        """True once the text has begun with a mark of gpt-oss."""
        self._is_first = is_first
        self._closing = _search_for_tags(tuple([f"</{name}>" for name in names]))
        self._code = CodeMarks()
        self._held = ""
        """The end of the text so far, if it may become a tag."""
        self._last = "\n"
        """The last character outside of tags; a line ending at the start of the text, and after a tag."""
        self._at_text_start = True
        """True while only white space has arrived, which is held back, and dropped if a tag follows."""
        self._drops_space = False
        """True after a tag: white space is dropped."""
        self._turns = False
        """True after a tag that no text has followed yet, so that the next one begins another part."""
        self.inside = self.tagged = False
        """True if the next character is inside of a tag, and if any text is, or may be, inside of a tag."""

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is: without a tag, and with nothing held back."""
        # Nothing before the piece is undecided, and no tag begins in the piece itself.
        undecided = self._held or self._turns or self._drops_space or self._at_text_start
        return not (undecided or "<" in text)

    def skim(self, text: str) -> None:
        """Read a piece that has no tag, and that the caller returns unchanged (`passes` was True).

        Only the facts on which a later tag depends are noted: if the text is in code, and if it ends
        with white space.
        """
        if not self.inside:
            self._note_outside(text)

    def feed(self, text: str) -> list[tuple[bool, str]]:
        """Return the decided pieces, each with True if it is inside of a tag."""
        if not text:
            return []
        # Most pieces have no tag, and nothing is held back before them.
        if self.passes(text):
            # A later tag depends on the text before it.
            self.skim(text)
            return [(self.inside, text)]
        out: list[tuple[bool, str]] = []
        text, self._held, self._turns = self._held + text, "", False
        position = 0
        while position < len(text):
            read = self._read_inside if self.inside else self._read_outside
            position = read(text, position, out)
        return out

    def end(self) -> list[tuple[bool, str]]:
        """Return the held-back text, which did not become a tag."""
        held, self._held = self._held, ""
        return [(self.inside, held)] if held else []

    def _read_outside(self, text: str, position: int, out: list[tuple[bool, str]]) -> int:
        """Read up to the next opening tag; return the position after it, or the end of the text."""
        if self._drops_space:
            position = end_of_space(text, position)
            self._drops_space = position == len(text)
        if self._at_text_start:
            first_tag_end = self._read_first_tag(text, position)
            if first_tag_end is not None:
                return first_tag_end
            self._at_text_start, self._opening = False, self._tags
        tag_at, opening = self._find_opening(text, position)
        if tag_at > position:
            out.append((False, text[position:tag_at]))
        if opening is not None and opening[0][1] == "/":
            out.append(LONE_END)
            self._is_first, self.tagged = False, True
            return self._leave(opening)
        if opening is not None:
            return self._enter(opening[0], opening.end())
        self._held = text[tag_at:]
        return len(text)

    def _find_opening(self, text: str, position: int) -> tuple[int, re.Match[str] | None]:
        """Find the next opening tag that counts, or the beginning of one, without a match, at the end."""
        while (tag_at := text.find("<", position)) >= 0:
            self._note_outside(text[position:tag_at])
            searches = [self._opening] * (self._last.isspace() or self._is_harmony)
            # Reasoning ends with its last word, or with a line; behind a blank, a sentence names the tag.
            searches += [self._closing] * (self._is_first and self._last not in " \t")
            for search in searches * (not self._code.is_code()):
                found = search.pattern.match(text, tag_at)
                if found is not None or search.may_begin(text, tag_at):
                    return tag_at, found
            # This is not a tag (it is in code, directly after a word, or has another name): go on after it.
            self._note_outside("<")
            position = tag_at + 1
        self._note_outside(text[position:])
        return len(text), None

    def _read_first_tag(self, text: str, position: int) -> int | None:
        """Read a tag after white space; return its end, the text's if undecided, or None for no tag."""
        space_end = end_of_space(text, position)
        if space_end - position > MOST_BLANK:
            # No more white space is held back.
            return None
        opening = self._opening.pattern.match(text, space_end)
        if opening is not None:
            return self._enter(opening[0], opening.end())
        if space_end == len(text) or self._opening.may_begin(text, space_end):
            self._held = text[position:]
            return len(text)
        return None

    def _note_outside(self, text: str) -> None:
        """Record if text outside of tags ends in code or with white space, which decides if a tag counts."""
        if text:
            self._code.feed(text)
            self._last = text[-1]

    def _enter(self, tag: str, end: int) -> int:
        """Enter a tag, which only a closing tag of the same name will end; return the tag's end."""
        tag = tag.lower()
        if tag.startswith("<|"):
            # A channel ends with its mark, or without one where the next channel begins.
            self._is_harmony, self.inside = True, tag.endswith(_ANALYSIS)
            self._opening = self._closing = _search_for_tags((*_CHANNELS, *_MARKS))
        else:
            self._opening, self._closing = self._tags, _search_for_tags((f"</{tag[1:-1]}>",))
            self.inside = self._drops_space = True
        self.tagged, self._turns, self._at_text_start, self._is_first = True, True, False, False
        return end

    def _leave(self, closing: re.Match[str]) -> int:
        """Leave a tag; return the end of what closes it."""
        self.inside, self._drops_space, self._last = False, not self._is_harmony, "\n"
        self._turns = True
        # The text after the tag begins outside of code.
        self._code = CodeMarks()
        return closing.end() if closing[0][1] == "/" or closing[0] == _END else closing.start()

    def _read_inside(self, text: str, position: int, out: list[tuple[bool, str]]) -> int:
        """Read up to the closing tag; return the position after it, or the end of the text."""
        if self._drops_space:
            position = end_of_space(text, position)
            if position == len(text):
                return position
            self._drops_space = False
        closing = self._closing.pattern.search(text, position)
        tag_at = self._closing.find_unfinished(text, position) if closing is None else closing.start()
        if tag_at > position:
            out.append((True, text[position:tag_at]))
        if closing is None:
            self._held = text[tag_at:]
            return len(text)
        return self._leave(closing)


def has_reasoning(text: str) -> bool:
    """Return True if reasoning that is written in a whole text would be found by the usual names."""
    first = FirstText(KNOWN_TAGS, len(text), starts_inside=False)
    scanner = TagScanner(KNOWN_TAGS, is_first=True)
    scanner.feed(first.take(inside=bool(first.feed(text))))
    return scanner.tagged
