"""The inline content of an open block, completed so that no half-open syntax is visible."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from tokenstream.stages._markdown.spans import (
    LONGEST,
    UNFINISHED,
    WHITE,
    DelimiterRun,
    OpenRun,
    apply_run,
    classify_run,
    find_closing_marks,
    find_dest_end,
    find_formula_end,
    find_tag_end,
    is_unfinished_entity,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Math: TypeAlias = Literal["dollar", "brackets"]

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

    __slots__ = ("dest_state", "is_image", "may_be_link", "position", "runs")

    def __init__(self, position: int, *, is_image: bool) -> None:
        self.position = position
        self.is_image = is_image
        self.may_be_link = True
        """False once the brackets contain a link, because links do not nest."""
        self.runs: list[DelimiterRun] = []
        """The delimiter runs between this bracket and the next open bracket."""
        self.dest_state: list[int] = []
        """Progress of `find_dest_end` in the destination after the brackets; empty before its first call."""


class InlineCompleter:
    r"""Completes the inline content of a block that is still being written.

    The content belongs to one leaf block (a paragraph, a heading, a table cell, or the text of a list item),
    without the marks of the containers around it. No part is scanned twice: a preview takes time only for
    the text since the last preview, and for a copy of the text.

    The lines of a preview are the first lines of the content, in order; the last ones are missing while they
    are held back. Within a line, marks may be missing or escaped, and marks may be added at its end.

    A `_scan_…` method gets the position and the end of the mark that was found, such as `&`, and returns
    the position at which to continue, or _WAIT if it needs more text.

    Args:
        item: True if the content begins a list item, in which `[ ]` is a checkbox.
        one_line: True if the content is that of a heading or a table cell, in which no block can begin.
        references: True if link definitions precede the content, so that `[text][label]` may be a link.
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

    def __init__(
        self,
        *,
        item: bool = False,
        one_line: bool = False,
        references: bool = False,
        math: Math | None = None,
    ) -> None:
        self._item = item
        self._one_line = one_line
        self._references = references
        self._math = math
        self._search = _compile(dollar=math == "dollar").search
        self._text = ""
        self._new_pieces: list[str] = []
        """Pieces that are not joined to the text yet."""
        self._scanned_to = 0
        """The position of the scan; the text from there on is undecided."""
        self._ticks = 0
        """Length of the run of backticks at `_scanned_to`, if the run has opened code; otherwise 0."""
        self._code_end = 0
        self._code_searched = 0
        """The position up to which the text was searched for the run that closes the code."""
        self._in_dest = False
        """True if the scan has stopped at a `]` before an unfinished link destination."""
        self._openers: list[OpenRun] = []
        """The runs of `*`, `_` or `~` that are open at the position of the scan."""
        self._brackets: list[_Bracket] = []
        self._breaks: list[tuple[int, int]] = []
        """Start and end of each stretch that contains only backslash line breaks."""

    def feed(self, text: str) -> None:
        self._new_pieces.append(text)

    @property
    def text(self) -> str:
        if self._new_pieces:
            self._text += "".join(self._new_pieces)
            self._new_pieces.clear()
        return self._text

    @property
    def settled(self) -> int:
        """The number of leading characters that this preview and all later previews have in common."""
        text = self._scan()
        # A checkbox, or the beginning of one, is not shown without text after it.
        if self._item and _TASK_BOX.fullmatch(text):
            return 0
        positions = [self._scanned_to]  # an open run or bracket before it may still become text
        positions += [opener.run.position for opener in self._openers[:1]]
        positions += [bracket.position for bracket in self._brackets[:1]]
        return self._find_shown_end(text, min(positions), [], cut=True)

    def preview(self) -> str:
        """Return the text to show so far, without half-open syntax or text that would vanish later."""
        text = self._scan()
        end = len(text)
        brackets = self._brackets
        if self._item and _TASK_BOX.fullmatch(text):
            return ""
        if self._scanned_to == end and not self._openers and not brackets:
            return text
        openers = [OpenRun(opener.run, opener.count) for opener in self._openers]
        if self._ticks and not brackets:
            return self._preview_code(text, openers)
        # The text is shown up to an open bracket, or to a mark that is undecided.
        stop = brackets[0].position if brackets else self._scanned_to
        bracket_at = None
        if self._in_dest and self._can_show_link(text, brackets):
            # The text of a link is shown while its destination arrives, but without the bracket.
            bracket_at, stop = stop, self._scanned_to
        end = self._find_shown_end(text, stop, openers, cut=stop < end)
        if not openers and bracket_at is None:
            return text[:end]
        # Only the marks at the end, and the character before them, matter: a few characters suffice.
        marks, escaped = find_closing_marks(openers, text[max(end - 8, 0) : end], end)
        if escaped or bracket_at is not None:
            return _apply_edits(text, end, bracket_at, escaped) + marks
        return text[:end] + marks

    def _preview_code(self, text: str, openers: list[OpenRun]) -> str:
        """Return the text to show if it ends in code, which is shown as far as it has arrived."""
        end = _strip_blanks(text, self._code_end)
        # A space keeps two runs of backticks from merging.
        space = " " if text[end - 1] == "`" else ""
        marks, escaped = find_closing_marks(openers, "`", end)
        shown = _apply_edits(text, end, None, escaped) if escaped else text[:end]
        return shown + space + "`" * self._ticks + marks

    # -- scanning ----------------------------------------------------------------

    def _scan(self) -> str:
        """Scan the text up to the first mark that is undecided, and return the whole text."""
        text = self.text
        position, search = self._scanned_to, self._search
        self._ticks = 0
        self._in_dest = False
        while match := search(text, position):
            position = match.start()
            next_position = self._steps[text[position]](self, text, position, match.end())
            if next_position == _WAIT:
                break
            position = next_position
        else:
            position = len(text)
        self._scanned_to = position
        if self._brackets:
            # The text of a link whose destination is arriving has ended at this position.
            self._drop_old_brackets(position if self._in_dest else len(text))
        return text

    def _scan_escape(self, text: str, position: int, end: int) -> int:
        """Read the escape, line break or formula that a backslash begins; return its end, or _WAIT."""
        if end == len(text) or _LAST_LINE_BREAK.match(text, position):
            # The next character decides; a line break at the end is shown only with a line after it.
            return _WAIT
        if text[end] == "\n":
            # A line break that follows another one, with only blanks between them, extends its stretch.
            before = _strip_blanks(text, position)
            follows_break = bool(self._breaks) and self._breaks[-1][1] == before
            start = self._breaks.pop()[0] if follows_break else position
            self._breaks.append((start, end))
        elif self._math == "brackets" and text[end] in "([":
            return _end_span(find_formula_end(text, position, text[position : end + 1]), otherwise=end + 1)
        return end + 1

    def _scan_ticks(self, text: str, position: int, end: int) -> int:
        """Read code after backticks; return its end, or note how much can be shown, and return _WAIT."""
        code_end = len(text)
        for run in _TICKS.finditer(text, max(end, self._code_searched)):
            if run.end() == len(text):
                # More backticks may follow, so the run is not part of the code yet.
                code_end = run.start()
            elif run.end() - run.start() == end - position:
                self._code_searched = 0
                return run.end()
        self._code_searched = code_end
        if self._one_line and text[code_end - 1] == "\\":
            # In a table cell, the backslash of `\|` disappears, even in code.
            code_end -= 1
        if _VISIBLE.search(text, end, code_end):
            self._ticks = end - position
            self._code_end = code_end
        return _WAIT

    def _scan_run(self, text: str, position: int, end: int) -> int:
        """Read a run of `*`, `_` or `~`, which may open or close emphasis; return its end, or _WAIT."""
        if end == len(text):
            # The run may go on, and the character after it decides what it does.
            return _WAIT
        run = classify_run(text, position, end - position)
        if self._brackets:
            # Its effect depends on whether the bracket turns out to begin a link.
            self._brackets[-1].runs.append(run)
        else:
            apply_run(self._openers, run)
        return end

    def _scan_exclamation(self, text: str, position: int, end: int) -> int:
        """Read `!`, which begins an image if `[` follows; return the end, or _WAIT if nothing follows yet."""
        if end == len(text):
            return _WAIT
        return self._open_bracket(position, end + 1, is_image=True) if text[end] == "[" else end

    def _scan_bracket(self, text: str, position: int, end: int) -> int:
        """Record `[`, which may begin a link; return `end`, the position after the bracket."""
        return self._open_bracket(position, end, is_image=False)

    def _open_bracket(self, position: int, end: int, *, is_image: bool) -> int:
        if self._brackets:
            self._drop_old_brackets(position)
        self._brackets.append(_Bracket(position, is_image=is_image))
        return end

    def _scan_closing_bracket(self, text: str, position: int, end: int) -> int:
        """Read `]`, and a link target after it; return the position after them, or _WAIT for more text."""
        if not self._brackets:
            return end
        opened = self._brackets[-1]
        after_label = end
        if opened.may_be_link and position - opened.position <= LONGEST:  # no end is awaited for longer
            if end == len(text):  # a destination or a label may follow
                return _WAIT
            link_end = find_dest_end(text, end + 1, opened.dest_state) if text[end] == "(" else None
            if link_end == UNFINISHED:
                self._in_dest = True
                return _WAIT
            if link_end is not None:
                if not self._brackets.pop().is_image:
                    # A link cannot contain a link; an image may.
                    for bracket in self._brackets:
                        bracket.may_be_link = bracket.may_be_link and bracket.is_image
                return link_end
            # Without a destination, a label may follow, as in [text][label].
            label = _LABEL.match(text, end, end + LONGEST) if self._references else None
            if label is not None and label.end() == len(text):  # the label, or a link after it, may go on
                return _WAIT
            # A second pair of brackets with a destination is a link of its own.
            if label is not None and label[1] and not text.startswith("(", label.end()):
                after_label = label.end()
        self._treat_as_text(len(self._brackets) - 1)
        return after_label

    def _drop_old_brackets(self, position: int) -> None:
        """Treat the outermost brackets as text if they are too long for a link, or contain one."""
        while self._brackets:
            outermost = self._brackets[0]
            if outermost.may_be_link and position - outermost.position <= LONGEST:
                return
            self._treat_as_text(0)

    def _treat_as_text(self, index: int) -> None:
        """Treat a bracket as text, and pass its delimiter runs on to the bracket or text around it."""
        runs = self._brackets.pop(index).runs
        if index:
            self._brackets[index - 1].runs += runs
            return
        for run in runs:
            apply_run(self._openers, run)

    def _scan_tag(self, text: str, position: int, end: int) -> int:
        """Read `<`: return the end of the tag or autolink, or of a `<` that is text; _WAIT if undecided."""
        return _end_span(find_tag_end(text, position), end)

    def _scan_entity(self, text: str, position: int, end: int) -> int:
        """Read `&`: return the position after it, or _WAIT if it begins an entity that is unfinished."""
        return _WAIT if is_unfinished_entity(text, position) else end

    def _scan_dollars(self, text: str, position: int, end: int) -> int:
        """Read a formula after the dollars up to `end`; return its end, `end` if there is none, or _WAIT."""
        if end == len(text):
            return _WAIT  # more dollars may follow
        if end - position > 2:
            # Three or more dollars are text.
            return end
        return _end_span(find_formula_end(text, position, text[position:end]), end)

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

    def _can_show_link(self, text: str, brackets: list[_Bracket]) -> bool:
        """Return True if the text of the open link can be shown without its brackets."""
        bracket = brackets[0]
        start = bracket.position + 1
        if len(brackets) > 1 or bracket.is_image or not _VISIBLE.search(text, start, self._scanned_to):
            return False
        if text[start] in "*_~" and text.startswith(text[start], max(bracket.position - 1, 0)):
            # Without the bracket, the marks on both sides of it would merge.
            return False
        unclosed: list[OpenRun] = []
        if not all(apply_run(unclosed, run) for run in bracket.runs) or unclosed:
            # Without the brackets, these runs might open or close emphasis outside of them.
            return False
        line_start = text.rfind("\n", 0, bracket.position) + 1
        before = text[line_start : min(bracket.position, line_start + LONGEST)]
        visible_line = before + text[start : self._scanned_to]
        # Without the bracket, the line might begin a block.
        return self._one_line or not _BLOCK_START.match(visible_line)

    def _find_shown_end(self, text: str, end: int, openers: list[OpenRun], *, cut: bool) -> int:
        """Return the end of the text to show, and drop from `openers` the runs that enclose nothing."""
        # If the rest of a line is held back, what is shown of it could look like another block, such as a
        # lone `-`. So the shown part of that line is tested: from `cut_line_start` on, if it is not None.
        cut_line_start = text.rfind("\n", 0, end) + 1 if cut and not self._one_line else None
        # Each round leaves out one thing more at the end; the last round finds nothing to leave out.
        while True:
            end = self._strip_breaks(_strip_blanks(text, end))
            if (
                cut_line_start is not None
                and end > cut_line_start
                and _NO_TEXT.fullmatch(text, cut_line_start, end)
            ):
                # The shown part of the line would render as a block of its own.
                end = cut_line_start
            elif openers and openers[-1].end >= end:
                # The last open run encloses nothing: leave it out.
                end = min(end, openers.pop().run.position)
                if not self._one_line:  # from now on, the rest of this line is left out, too
                    cut_line_start = text.rfind("\n", 0, end) + 1
            elif not end or text[end - 1] not in WHITE:
                return end

    def _strip_breaks(self, end: int) -> int:
        """Return the end of the text before its last backslashes, which are visible if no line follows."""
        for start, stop in reversed(self._breaks):
            if stop < end:
                break  # the text goes on after this break
            if start < end:
                return start
        return end


def _end_span(end: int | None, otherwise: int) -> int:
    """Return the `end` of a span; `_WAIT` if it is UNFINISHED, `otherwise` if it is None (no span)."""
    if end is None:
        return otherwise
    return _WAIT if end == UNFINISHED else end


def _strip_blanks(text: str, end: int) -> int:
    """Return the end of the text before `end` without the white space at its end."""
    while end and text[end - 1] in WHITE:
        end -= 1
    return end


def _apply_edits(text: str, end: int, bracket_at: int | None, escaped: list[int]) -> str:
    """Return the text up to `end`, without a bracket, and with backslashes before some marks."""
    # Each edit replaces the text between two positions.
    edits = [(mark_at, "\\", mark_at) for mark_at in escaped]
    if bracket_at is not None:
        edits.append((bracket_at, "", bracket_at + 1))
    parts: list[str] = []
    position = 0
    for edit_start, replacement, edit_end in sorted(edits):
        parts += text[position:edit_start], replacement
        position = edit_end
    return "".join([*parts, text[position:end]])


@cache
def _compile(*, dollar: bool) -> re.Pattern[str]:
    """Return a pattern for the characters that may not be plain text; a `~` at the end may become `~~`."""
    return re.compile(r"[\\\[\]!<&]|`+|\*+|_+|~{2,}|~\Z" + (r"|\$+" if dollar else ""))
