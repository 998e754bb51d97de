"""The inline content of an open block, completed so that no half-open syntax is visible."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from tokenstream.stages._markdown.delimiters import (
    WHITE,
    DelimiterRun,
    OpenRun,
    closing_marks,
    run_at,
    take_run,
)
from tokenstream.stages._markdown.spans import LONGEST, OPEN, dest_end, entity_is_open, formula_end, tag_end

if TYPE_CHECKING:
    from collections.abc import Callable

Math = Literal["dollar", "brackets"]

_WAIT: Final = -1
"""Result of a scan step that needs more text."""
_TICKS = re.compile("`+")
_VISIBLE = re.compile(r"\S")
_LAST_LINE_BREAK = re.compile(r"\\\n[ \t\n]*+\Z")
_LABEL = re.compile(r"\[(?:[^\[\]\\]|\\.)*+(?:(\])|\\?\Z)", re.DOTALL)
_TASK_BOX = re.compile(r"\[(?:[ xX]?|[ xX]\]\s*)")
# Text that renders as the start of a block, or as an underline, as long as nothing follows.
_NO_TEXT = re.compile(
    r"[ \t]*+(?:[+*]|#{1,6}|[0-9]{1,9}[.)]|=++|`{3,}+|~{3,}+|[-:| \t]++|>[> \t]*+"
    r"|(?:\*[ \t]*+){3,}+|(?:_[ \t]*+){3,}+|(?<=[ \t])\Z)"
)
_BLOCK_START = re.compile(
    r"[ \t]*(?:[\n<>|]|(?:[-+*]|#{1,6}|[0-9]{1,9}[.)])(?:\s|\Z)|```|~~~|[-=_*:][-=_*: \t]*(?:\n|\Z))"
)


class _Bracket:
    """A `[` or `![` that may begin a link or an image."""

    __slots__ = ("active", "at", "image", "runs", "scanned")

    def __init__(self, at: int, *, image: bool) -> None:
        self.at = at
        self.image = image
        self.active = True
        """False once the brackets contain a link, because links do not nest."""
        self.runs: list[DelimiterRun] = []
        """The delimiter runs between this bracket and the next open bracket."""
        self.scanned: list[int] = []
        """The state of `dest_end`."""


class InlineCompleter:
    r"""Completes the inline content of a block that is still being written.

    The content is that of one leaf block (a paragraph, a heading, a table cell, or the text
    of a list item), without the marks of the containers around it. No part is scanned
    twice: a preview takes time only for the text since the last preview, and for a copy
    of the text.

    The lines of a preview are the first lines of the content, in order; the last ones are
    missing while they are held back. Within a line, marks may be missing or escaped, and
    marks may be added at its end.

    Args:
        item: Whether the content begins a list item, in which `[ ]` is a checkbox.
        one_line: Whether the content is that of a heading or a table cell, in which no block can begin.
        references: Whether link definitions precede the content, so that `[text][label]` may be a link.
        strikethrough: Whether the renderer knows `~~`.
        math: The syntax of formulas: `"dollar"` for `$…$` and `$$…$$`, `"brackets"` for `\(…\)` and
            `\[…\]`. A formula is held back until it is whole.

    Example:
        >>> content = InlineCompleter()
        >>> content.feed("See **the [man")
        >>> content.preview()
        'See **the**'
        >>> content.feed("ual](https://exa")
        >>> content.preview()
        'See **the manual**'
        >>> content.feed("mple.com)** and")
        >>> content.preview()
        'See **the [manual](https://example.com)** and'
    """

    __slots__ = (
        "_at",
        "_brackets",
        "_breaks",
        "_code_end",
        "_code_searched",
        "_in_dest",
        "_item",
        "_math",
        "_new",
        "_one_line",
        "_openers",
        "_references",
        "_search",
        "_text",
        "_ticks",
    )

    def __init__(
        self,
        *,
        item: bool = False,
        one_line: bool = False,
        references: bool = False,
        strikethrough: bool = True,
        math: Math | None = None,
    ) -> None:
        self._item = item
        self._one_line = one_line
        self._references = references
        self._math = math
        self._search = _compile(strikethrough=strikethrough, dollar=math == "dollar").search
        self._text = ""
        self._new: list[str] = []
        """Pieces that are not joined to the text yet."""
        self._at = 0
        """The position of the scan; the text from there on is undecided."""
        self._ticks = 0
        """Length of the run of backticks at that position, if the run has opened code; otherwise 0."""
        self._code_end = 0
        """The end of the code that can be shown."""
        self._code_searched = 0
        """The position up to which the text was searched for the run that closes the code."""
        self._in_dest = False
        """True if the scan has stopped at a `]` before an unfinished link destination."""
        self._openers: list[OpenRun] = []
        self._brackets: list[_Bracket] = []
        self._breaks: list[tuple[int, int]] = []
        """Start and end of each stretch that contains only backslash line breaks."""

    def feed(self, text: str) -> None:
        """Add a piece to the content."""
        self._new.append(text)

    @property
    def text(self) -> str:
        """The content so far."""
        if self._new:
            self._text += "".join(self._new)
            self._new.clear()
        return self._text

    @property
    def settled(self) -> int:
        """The number of leading characters that this preview and all later previews have in common.

        Example:
            >>> content = InlineCompleter()
            >>> content.feed("Quite *sure")
            >>> content.preview(), content.settled
            ('Quite *sure*', 5)
        """
        text = self._scan()
        if self._item and _TASK_BOX.fullmatch(text):
            return 0
        places = [self._at]
        places += [opener.run.at for opener in self._openers[:1]]
        places += [bracket.at for bracket in self._brackets[:1]]
        return self._trim(text, min(places), [], cut=True)

    def preview(self) -> str:
        """Return the text to show so far, without half-open syntax or text that would vanish later."""
        text = self._scan()
        end = len(text)
        brackets = self._brackets
        if self._item and _TASK_BOX.fullmatch(text):
            return ""
        if self._at == end and not self._openers and not brackets:
            return text
        openers = [OpenRun(opener.run, opener.count) for opener in self._openers]
        link, code = None, ""
        if self._ticks and not brackets:
            end = _strip_blanks(text, self._code_end)
            # A space keeps two runs of backticks from merging.
            code = (" " if text[end - 1] == "`" else "") + "`" * self._ticks
        else:
            stop = brackets[0].at if brackets else self._at
            if self._in_dest and self._can_show(text, brackets):
                link, stop = stop, self._at
            end = self._trim(text, stop, openers, cut=stop < end)
        if not openers and link is None:
            return text[:end] + code
        marks, escaped = closing_marks(openers, "`" if code else text[max(end - 8, 0) : end], end)
        shown = text[:end] if link is None and not escaped else _edit(text, end, link, escaped)
        return shown + code + marks

    # -- scanning ----------------------------------------------------------------

    # Each of the scan steps below receives the start and the end of the mark that was found, and
    # returns the position at which to continue, or _WAIT if it needs more text.
    def _scan(self) -> str:
        """Scan the text up to the first place that is undecided, and return the whole text."""
        text = self.text
        at, search = self._at, self._search
        self._ticks = 0
        self._in_dest = False
        while found := search(text, at):
            at = found.start()
            step = self._steps[text[at]](self, text, at, found.end())
            if step == _WAIT:
                break
            at = step
        else:
            at = len(text)
        self._at = at
        if self._brackets:
            self._give_up_old(at if self._in_dest else len(text))
        return text

    def _scan_escape(self, text: str, at: int, end: int) -> int:
        """Read a backslash: an escaped character, a line break, or the start of a formula."""
        if end == len(text) or _LAST_LINE_BREAK.match(text, at):
            return _WAIT
        if text[end] == "\n":
            before = _strip_blanks(text, at)
            start = self._breaks.pop()[0] if self._breaks and self._breaks[-1][1] == before else at
            self._breaks.append((start, end))
        elif self._math == "brackets" and text[end] in "([":
            return _step(formula_end(text, at, text[at : end + 1]), end + 1)
        return end + 1

    def _scan_ticks(self, text: str, at: int, end: int) -> int:
        """Read code from the opening backticks to the closing ones; note how much of it can be shown."""
        shown = len(text)
        for ticks in _TICKS.finditer(text, max(end, self._code_searched)):
            if ticks.end() == len(text):
                shown = ticks.start()
            elif ticks.end() - ticks.start() == end - at:
                self._code_searched = 0
                return ticks.end()
        self._code_searched = shown
        if _VISIBLE.search(text, end, shown):
            self._ticks = end - at
            self._code_end = shown
        return _WAIT

    def _scan_run(self, text: str, at: int, end: int) -> int:
        """Read a run of `*`, `_` or `~`; a run after an open bracket waits until the bracket is decided."""
        if end == len(text):
            return _WAIT
        run = run_at(text, at, end - at)
        if self._brackets:
            self._brackets[-1].runs.append(run)
        else:
            take_run(self._openers, run)
        return end

    def _scan_exclamation(self, text: str, at: int, end: int) -> int:
        if end == len(text):
            return _WAIT
        return self._open_bracket(at, end + 1, image=True) if text[end] == "[" else end

    def _scan_bracket(self, text: str, at: int, end: int) -> int:
        return self._open_bracket(at, end, image=False)

    def _open_bracket(self, at: int, end: int, *, image: bool) -> int:
        if self._brackets:
            self._give_up_old(at)
        self._brackets.append(_Bracket(at, image=image))
        return end

    def _scan_closing_bracket(self, text: str, at: int, end: int) -> int:
        """Accept the link or image that `]` ends; otherwise treat the last open bracket as text."""
        if not self._brackets:
            return end
        top = self._brackets[-1]
        if top.active and at - top.at <= LONGEST:
            if end == len(text):
                return _WAIT
            after = dest_end(text, end + 1, top.scanned) if text[end] == "(" else None
            if after == OPEN:
                self._in_dest = True
                return _WAIT
            if after is not None:
                self._take_link(self._brackets.pop())
                return after
            label = _LABEL.match(text, end, end + LONGEST) if self._references else None
            if label is not None and label.end() == len(text):
                return _WAIT
            if label is not None and label[1] and not text.startswith("(", label.end()):
                end = label.end()
        self._give_up(len(self._brackets) - 1)
        return end

    def _take_link(self, opened: _Bracket) -> None:
        """Accept a finished link or image; the delimiter runs in it have no effect outside of it."""
        if not opened.image:
            for bracket in self._brackets:
                bracket.active = bracket.active and bracket.image

    def _give_up_old(self, at: int) -> None:
        """Treat brackets as text if they cannot begin a link any more because they are too far from `at`."""
        while self._brackets and not (self._brackets[0].active and at - self._brackets[0].at <= LONGEST):
            self._give_up(0)

    def _give_up(self, index: int) -> None:
        """Treat a bracket as text, and pass its delimiter runs on to the bracket or text around it."""
        runs = self._brackets.pop(index).runs
        if index:
            self._brackets[index - 1].runs += runs
            return
        for run in runs:
            take_run(self._openers, run)

    def _scan_tag(self, text: str, at: int, end: int) -> int:
        return _step(tag_end(text, at), end)

    def _scan_entity(self, text: str, at: int, end: int) -> int:
        return _WAIT if entity_is_open(text, at) else end

    def _scan_dollars(self, text: str, at: int, end: int) -> int:
        if end == len(text):
            return _WAIT
        return _step(formula_end(text, at, text[at:end]), end) if end - at <= 2 else end

    _steps: ClassVar[dict[str, Callable[[InlineCompleter, str, int, int], int]]] = {
        "\\": _scan_escape,
        "`": _scan_ticks,
        "*": _scan_run,
        "_": _scan_run,
        "~": _scan_run,
        "!": _scan_exclamation,
        "[": _scan_bracket,
        "]": _scan_closing_bracket,
        "<": _scan_tag,
        "&": _scan_entity,
        "$": _scan_dollars,
    }

    # -- showing -----------------------------------------------------------------

    def _can_show(self, text: str, brackets: list[_Bracket]) -> bool:
        """Return True if the text of the open link can be shown without its brackets."""
        first = brackets[0]
        if len(brackets) > 1 or first.image or not _VISIBLE.search(text, first.at + 1, self._at):
            return False
        if text[first.at + 1] in "*_~" and text.startswith(text[first.at + 1], max(first.at - 1, 0)):
            # Without the bracket, the marks on both sides of it would merge.
            return False
        left: list[OpenRun] = []
        if not all(take_run(left, run) for run in first.runs) or left:
            # Without the brackets, these runs might open or close emphasis outside of them.
            return False
        line = text.rfind("\n", 0, first.at) + 1
        without = text[line : min(first.at, line + LONGEST)] + text[first.at + 1 : self._at]
        return self._one_line or not _BLOCK_START.match(without)

    def _trim(self, text: str, end: int, openers: list[OpenRun], *, cut: bool) -> int:
        """Return the end of the text to show: without white space and marks that enclose nothing.

        Args:
            text: The content.
            end: The most characters that may be shown.
            openers: The runs that are open at `end`; runs that enclose nothing are removed.
            cut: Whether text after `end` is held back.
        """
        line = text.rfind("\n", 0, end) + 1 if cut and not self._one_line else len(text)
        while True:
            end = self._strip_breaks(_strip_blanks(text, end))
            if end > line and _NO_TEXT.fullmatch(text, line, end):
                end = line
            elif openers and openers[-1].end >= end:
                end = min(end, openers.pop().run.at)
                if not self._one_line:
                    line = text.rfind("\n", 0, end) + 1
            elif not end or text[end - 1] not in WHITE:
                return end

    def _strip_breaks(self, end: int) -> int:
        # A backslash line break without a line after it would be visible as a backslash.
        for start, stop in reversed(self._breaks):
            if stop < end:
                break
            if start < end:
                return start
        return end


def complete_inline(
    text: str,
    *,
    item: bool = False,
    one_line: bool = False,
    references: bool = False,
    strikethrough: bool = True,
    math: Math | None = None,
) -> str:
    """Return the text to show of inline content that is still being written.

    The arguments are those of `InlineCompleter`.

    Example:
        >>> complete_inline("some **bold te"), complete_inline("`co"), complete_inline("see [the")
        ('some **bold te**', '`co`', 'see')
    """
    content = InlineCompleter(
        item=item, one_line=one_line, references=references, strikethrough=strikethrough, math=math
    )
    content.feed(text)
    return content.preview()


def _step(end: int | None, otherwise: int) -> int:
    """Convert the end of a span to the result of a scan step.

    Args:
        end: The span's end, OPEN, or None if there is no span.
        otherwise: The result if there is no span.
    """
    if end is None:
        return otherwise
    return _WAIT if end == OPEN else end


def _strip_blanks(text: str, end: int) -> int:
    while end and text[end - 1] in WHITE:
        end -= 1
    return end


def _edit(text: str, end: int, link: int | None, escaped: list[int]) -> str:
    """Return the text up to `end`, without the bracket at `link`, and with backslashes before some marks.

    Args:
        text: The text.
        end: The end of the text to return.
        link: The position of the bracket to leave out; None to keep all.
        escaped: The positions of the marks to escape.
    """
    edits = [(place, "\\", place) for place in escaped]
    if link is not None:
        edits.append((link, "", link + 1))
    parts: list[str] = []
    at = 0
    for place, added, after in sorted(edits):
        parts += text[at:place], added
        at = after
    return "".join([*parts, text[at:end]])


@cache
def _compile(*, strikethrough: bool, dollar: bool) -> re.Pattern[str]:
    """Return a pattern for the characters that may not be plain text."""
    return re.compile(
        r"[\\\[\]!<&]|`+|\*+|_+" + (r"|~{2,}|~\Z" if strikethrough else "") + (r"|\$+" if dollar else "")
    )
