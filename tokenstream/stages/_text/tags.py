"""Separates the text between tags, such as a model's reasoning, from the rest."""

from __future__ import annotations

import re
from typing import Any

from tokenstream._basics.text_log import TextLog
from tokenstream.errors import MisuseError
from tokenstream.stages._text import TextStage
from tokenstream.stages._text.scanning import MOST_BLANK, CodeMarks, TextSearch, end_of_space

_NAME = re.compile(r"[a-z][\w.:-]*", re.ASCII | re.IGNORECASE)


def check_tags(names: Any) -> tuple[str, ...]:  # noqa: ANN401 - any argument
    """Return the tag names that a caller passed, in lower case and each once."""
    for name in names:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise MisuseError(f"a tag is given by its name alone, such as 'think', and not as {name!r}")
    return tuple(dict.fromkeys(name.lower() for name in names))


def _search_for_tags(tags: list[str]) -> TextSearch:
    """Return a search for tags, which are given in lower case, regardless of case."""
    return TextSearch(tags, ignores_case=True)


class TagScanner:
    """Splits a text into pieces inside and outside of tags.

    Both `SplitTags` and a stream with `reasoning_tags` use it.

    Args:
        names: The names of the tags, in lower case.
        starts_inside: True if the text begins inside a tag, because the prompt ends with the opening tag.
    """

    __slots__ = (
        "_after_space",
        "_at_text_start",
        "_closing",
        "_code",
        "_drops_space",
        "_held",
        "_may_repeat_tag",
        "_opening",
        "inside",
        "tagged",
    )

    def __init__(self, names: tuple[str, ...], *, starts_inside: bool = False) -> None:
        self._opening = _search_for_tags([f"<{name}>" for name in names])
        self._closing = _search_for_tags([f"</{name}>" for name in names])
        self._code = CodeMarks()
        self._held = ""
        """The end of the text so far, if it may become a tag."""
        self._after_space = True
        """True at the start of the text, and after white space."""
        self._at_text_start = not starts_inside
        """True while only white space has arrived, which is held back, and dropped if a tag follows."""
        self._drops_space = starts_inside
        """True after a tag: white space is dropped."""
        self._may_repeat_tag = starts_inside
        """True while the model may still repeat the prompt's opening tag."""
        self.inside = starts_inside
        """True if the next character is inside of a tag."""
        self.tagged = starts_inside
        """True if any text is, or may be, inside of a tag."""

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is: without a tag, and with nothing held back."""
        # Nothing before the piece is undecided, and no tag begins in the piece itself.
        return not (
            self._held or self._drops_space or self._at_text_start or self._may_repeat_tag or "<" in text
        )

    def skim(self, text: str) -> None:
        """Read a piece that has no tag, and that the caller returns unchanged (`passes` was True).

        Only the facts on which a later tag depends are noted: if the text is in code, and if it ends
        with white space.
        """
        if not self.inside:
            self._note_outside(text)

    @property
    def holds_text(self) -> bool:
        """True while text is held back, because it may become a tag."""
        return bool(self._held)

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
        text, self._held = self._held + text, ""
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
            self._at_text_start = False
        tag_at, opening = self._find_opening(text, position)
        if tag_at > position:
            out.append((False, text[position:tag_at]))
        if opening is not None:
            return self._enter(opening[0], opening.end())
        self._held = text[tag_at:]
        return len(text)

    def _find_opening(self, text: str, position: int) -> tuple[int, re.Match[str] | None]:
        """Find the next opening tag that counts, or the beginning of one, without a match, at the end."""
        while (tag_at := text.find("<", position)) >= 0:
            self._note_outside(text[position:tag_at])
            if self._after_space and not self._code.is_code():
                opening = self._opening.pattern.match(text, tag_at)
                if opening is not None or self._opening.may_begin(text, tag_at):
                    return tag_at, opening
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
            self._after_space = text[-1].isspace()

    def _enter(self, tag: str, end: int) -> int:
        """Enter a tag, which only a closing tag of the same name will end; return the tag's end."""
        self._closing = _search_for_tags([f"</{tag[1:-1].lower()}>"])
        self.inside = self.tagged = self._drops_space = True
        self._at_text_start = False
        return end

    def _read_inside(self, text: str, position: int, out: list[tuple[bool, str]]) -> int:
        """Read up to the closing tag; return the position after it, or the end of the text."""
        if self._drops_space:
            position = end_of_space(text, position)
            if position == len(text):
                return position
            self._drops_space = False
        if self._may_repeat_tag:
            # The prompt has ended with the opening tag, and some models write it once more.
            opening = self._opening.pattern.match(text, position)
            if opening is not None:
                self._may_repeat_tag = False
                return self._enter(opening[0], opening.end())
            if self._opening.may_begin(text, position):
                self._held = text[position:]
                return len(text)
            self._may_repeat_tag = False
        closing = self._closing.pattern.search(text, position)
        tag_at = self._closing.find_unfinished(text, position) if closing is None else closing.start()
        if tag_at > position:
            out.append((True, text[position:tag_at]))
        if closing is None:
            self._held = text[tag_at:]
            return len(text)
        self.inside, self._drops_space, self._after_space = False, True, True
        # The text after the tag begins outside of code.
        self._code = CodeMarks()
        return closing.end()


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
        starts_inside: True if the text begins inside a tag, because the prompt ends with the
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
        """The text inside of tags so far."""

    @property
    def holds_match(self) -> bool:
        """True while text is held back, because it may become a tag."""
        return self._scanner.holds_text

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
        return self._take_pieces(self._scanner.feed(item))

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the held-back text, unless it is inside a tag.

        Args:
            now: Unused; every stage has this parameter.
        """
        return self._take_pieces(self._scanner.end())

    def _take_pieces(self, pieces: list[tuple[bool, str]]) -> list[str]:
        """Return the text outside of tags, joined; keep the pieces inside, which are marked True."""
        outside: list[str] = []
        for inside, text in pieces:
            if inside:
                self._inside.append(text)
            else:
                outside.append(text)
        return ["".join(outside)] if outside else []
