"""Separates the text between tags, such as a model's reasoning, from the rest."""

from __future__ import annotations

import re
from typing import Any

from tokenstream._basics.text_log import TextLog
from tokenstream.errors import MisuseError
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.code import CodeMarks

_NAME = re.compile(r"[a-z][\w.:-]*", re.ASCII | re.IGNORECASE)
_SPACE = re.compile(r"\s*")
_MOST_BLANK = 64
"""The most white space at the start of a text that is held back because a tag may follow."""


def check_tags(names: Any) -> tuple[str, ...]:  # noqa: ANN401 - any argument
    """Return the tag names that a caller passed, in lower case and each once.

    Raises:
        MisuseError: One of the names is not a tag name.
    """
    for name in names:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise MisuseError(f"a tag is given by its name alone, such as 'think', and not as {name!r}")
    return tuple(dict.fromkeys(name.lower() for name in names))


class _Tags:
    """A set of tags to search for, regardless of case.

    Args:
        tags: The tags, in lower case.
    """

    __slots__ = ("_longest", "_starts", "pattern")

    def __init__(self, tags: list[str]) -> None:
        self.pattern = re.compile("|".join(map(re.escape, tags)), re.ASCII | re.IGNORECASE)
        self._starts = frozenset(tag[:end] for tag in tags for end in range(1, len(tag)))
        self._longest = max(map(len, tags))

    def may_begin(self, text: str, at: int) -> bool:
        """Return True if the end of a text, from `at` on, may become a tag."""
        return len(text) - at < self._longest and text[at:].lower() in self._starts

    def find_unfinished(self, text: str, at: int) -> int:
        """Return the start of an unfinished tag at the end of a text; the text's length if there is none."""
        place = text.rfind("<", max(at, len(text) - self._longest + 1))
        return place if place >= 0 and self.may_begin(text, place) else len(text)


class TagScanner:
    """Splits a text into pieces inside and outside of tags.

    Both `SplitTags` and a stream with `reasoning_tags` use it.

    Args:
        names: The names of the tags, in lower case.
        starts_inside: Whether the text begins inside a tag, because the prompt ends with the opening tag.
    """

    __slots__ = (
        "_closing",
        "_code",
        "_held",
        "_leads",
        "_opening",
        "_spaced",
        "_starts",
        "_trims",
        "inside",
        "tagged",
    )

    def __init__(self, names: tuple[str, ...], *, starts_inside: bool = False) -> None:
        self._opening = _Tags([f"<{name}>" for name in names])
        self._closing = _Tags([f"</{name}>" for name in names])
        self._code = CodeMarks()
        self._held = ""
        """The end of the text so far, if it may become a tag."""
        self._spaced = True
        """True at the start of the text, and after white space."""
        self._leads = not starts_inside
        """True while only white space has arrived, which is held back, and dropped if a tag follows."""
        self._trims = starts_inside
        """True after a tag: white space is dropped."""
        self._starts = starts_inside
        """True while the model may still repeat the prompt's opening tag."""
        self.inside = starts_inside
        """True if the next character is inside of a tag."""
        self.tagged = starts_inside
        """True if any text is, or may be, inside of a tag."""

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned unchanged, inside or outside like the piece before it."""
        return not (self._held or self._trims or self._leads or self._starts or "<" in text)

    def skim(self, text: str) -> None:
        """Take a piece for which `passes` was True."""
        if not self.inside:
            self._pass(text)

    def feed(self, text: str) -> list[tuple[bool, str]]:
        """Return the decided pieces, each with True if it is inside of a tag."""
        if not text:
            return []
        if self.passes(text):
            self.skim(text)
            return [(self.inside, text)]
        out: list[tuple[bool, str]] = []
        text, self._held = self._held + text, ""
        at = 0
        while at < len(text):
            at = self._read_inside(text, at, out) if self.inside else self._read_outside(text, at, out)
        return out

    def end(self) -> list[tuple[bool, str]]:
        """Return the held-back text, which did not become a tag."""
        held, self._held = self._held, ""
        return [(self.inside, held)] if held else []

    def _read_outside(self, text: str, at: int, out: list[tuple[bool, str]]) -> int:
        """Read up to the next opening tag; return the place after it, or the end of the text."""
        begin = _end_of_space(text, at) if self._trims or self._leads else at
        if self._trims:
            at = begin
        self._trims = self._trims and begin == len(text)
        if self._leads and begin - at <= _MOST_BLANK:
            opening = self._opening.pattern.match(text, begin)
            if opening is not None:
                return self._enter(opening[0], opening.end())
            if begin == len(text) or self._opening.may_begin(text, begin):
                self._held = text[at:]
                return len(text)
        self._leads = False
        start, opening = at, None
        while (place := text.find("<", at)) >= 0:
            self._pass(text[at:place])
            at = place
            if self._spaced and not self._code.is_code():
                opening = self._opening.pattern.match(text, place)
                if opening is not None or self._opening.may_begin(text, place):
                    break
            self._pass("<")
            at = place + 1
        else:
            self._pass(text[at:])
            place = len(text)
        if place > start:
            out.append((False, text[start:place]))
        if opening is not None:
            return self._enter(opening[0], opening.end())
        self._held = text[place:]
        return len(text)

    def _pass(self, text: str) -> None:
        """Take text outside of tags: note whether a tag may follow it."""
        if text:
            self._code.feed(text)
            self._spaced = text[-1].isspace()

    def _enter(self, tag: str, end: int) -> int:
        """Enter a tag; return the place after it."""
        self._closing = _Tags([f"</{tag[1:-1].lower()}>"])
        self.inside = self.tagged = self._trims = True
        self._leads = False
        return end

    def _read_inside(self, text: str, at: int, out: list[tuple[bool, str]]) -> int:
        """Read up to the closing tag; return the place after it, or the end of the text."""
        if self._trims:
            at = _end_of_space(text, at)
            if at == len(text):
                return at
            self._trims = False
        if self._starts:
            opening = self._opening.pattern.match(text, at)
            if opening is not None:
                self._starts = False
                return self._enter(opening[0], opening.end())
            if self._opening.may_begin(text, at):
                self._held = text[at:]
                return len(text)
            self._starts = False
        closing = self._closing.pattern.search(text, at)
        place = self._closing.find_unfinished(text, at) if closing is None else closing.start()
        if place > at:
            out.append((True, text[at:place]))
        if closing is None:
            self._held = text[place:]
            return len(text)
        self.inside, self._trims, self._spaced = False, True, True
        self._code = CodeMarks()
        return closing.end()


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


class SplitTags(TextStage):
    r"""Returns the text outside of tags such as `<think>…</think>`, and keeps the text inside.

    An opening tag counts at the start of the text or after white space, in upper or lower
    case, and not in code. It is closed by the first closing tag with the same name, wherever
    that is; without a closing tag, all of the rest is inside. A closing tag without an
    opening one is ordinary text.

    White space after either tag is dropped, and so is white space before an opening tag
    at the very start of the text: models send `<think>\n` and `</think>\n\n`.

    Args:
        names: The names of the tags; "think" if there are none.
        starts_inside: Whether the text begins inside a tag, because the prompt ends with the
            opening tag, as in some chat templates. If the model repeats the tag, it is dropped.

    Example:
        >>> tags = SplitTags("think")
        >>> tags.feed("<thi"), tags.feed("nk>Let me see.</think>\n\nIt is 4"), tags.inside
        ([], ['It is 4'], 'Let me see.')
    """

    __slots__ = ("_inside", "_scanner")

    def __init__(self, *names: str, starts_inside: bool = False) -> None:
        self._scanner = TagScanner(check_tags(names or ("think",)), starts_inside=starts_inside)
        self._inside = TextLog()

    @property
    def inside(self) -> str:
        """The text inside tags so far; the texts of several tags are joined without a separator."""
        return self._inside.join()

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the text that is certain to be outside of tags.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        return self._sort(self._scanner.feed(item))

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the held-back text, unless it is inside a tag.

        Args:
            now: Unused; every stage has this parameter.
        """
        return self._sort(self._scanner.end())

    def _sort(self, pieces: list[tuple[bool, str]]) -> list[str]:
        """Return the pieces outside of tags, and keep the pieces inside."""
        outside: list[str] = []
        for inside, text in pieces:
            if inside:
                self._inside.append(text)
            else:
                outside.append(text)
        return ["".join(outside)] if outside else []
