"""Rewrites a regular expression so that it demands another character wherever it tests the next one."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tokenstream.errors import MisuseError

_NEXT = r"(?=(?s:.))"
"""Demands a next character, so that a partial match is reported at the end of the text."""
_LINE_END = r"(?=\n?(?s:.))"
"""Demands two next characters if the first is a newline: `$` also matches before a final newline."""
_BOUNDARIES = frozenset("bBmMZz")
"""Escapes whose result depends on the next character."""
_CLUSTERS = frozenset("XR")
"""Escapes of the package `regex` whose end depends on the next character."""
_REFUSED = frozenset("GK")
"""Escapes of the package `regex` that depend on the start of the search, or move the start of a match."""
_REPEATS = frozenset("*+?{")
_REPEAT_ENDS = frozenset("*+?}")
_VERSION1 = 0x100
"""The flag of the package `regex` for nested character sets."""


class WatchedPattern(NamedTuple):
    r"""A pattern rewritten so that it reports when the text ends too early to decide.

    Args:
        pattern: The rewritten pattern.
        ahead: The bodies of the pattern's look-aheads; "" for a test of one character, such as `\b`.
        behind: The bodies of the pattern's look-behinds.
        sure: True if a match that reaches the end of the text so far stays a match, whatever follows.
    """

    pattern: str
    ahead: list[str]
    behind: list[str]
    sure: bool


def watch_end(stage: str, compiled: Any) -> WatchedPattern:  # noqa: ANN401 - of re or regex
    r"""Return a pattern with the same matches that needs more text to decide at the end of the text.

    At the end of the text so far, `\b`, `$` and a negative look-ahead give a result that
    the next character may reverse. The rewritten pattern demands that character.

    A repeated group demands a character as well: once regex (2026.11) has recorded that a group
    cannot repeat at the end of the text, its search for partial matches skips that place.

    Args:
        stage: Name of the calling stage, for error messages.
        compiled: The pattern.

    Raises:
        MisuseError: The pattern depends on more than the text around a match.

    Example:
        >>> print(watch_end("Redact", re.compile(r"ab\b")).pattern)
        ab(?=(?s:.))\b
    """
    rewriter = _Rewriter(stage, compiled.pattern, compiled.flags)
    rewritten = rewriter.rewrite(0, bare=False)[0]
    sure = rewriter.sure and not rewriter.ahead
    return WatchedPattern(rewritten, rewriter.ahead, rewriter.behind, sure)


class _Rewriter:
    """Rewrites one pattern; see `watch_end`."""

    def __init__(self, stage: str, source: str, flags: int) -> None:
        self._stage = stage
        self._source = source
        self._verbose = bool(flags & re.VERBOSE)
        # With MULTILINE, `$` matches before every newline, so the next character alone decides.
        self._line_end = _NEXT if flags & re.MULTILINE else _LINE_END
        self._nests = bool(flags & _VERSION1)
        self.ahead: list[str] = []
        self.behind: list[str] = []
        self.sure = True
        """True if a match stays a match, whatever follows; look-aheads are not considered."""

    def rewrite(self, at: int, *, bare: bool) -> tuple[str, int]:
        """Return the rewritten pattern or group, and the position of its end.

        Args:
            at: The start of the pattern, or of the group's body.
            bare: Whether to remove the numbers and names of the groups in it.
        """
        source, out = self._source, list[str]()
        while at < len(source) and source[at] != ")":
            sign = source[at]
            end = at + 1
            if sign == "\\":
                end = at + 2
                out.append(self._escape(source[at:end]))
            elif sign == "[":
                end = self._set_end(at)
                out.append(source[at:end])
            elif sign == "(":
                found, end = self._group(at, bare=bare)
                out.append(found)
            elif sign == "#" and self._verbose:
                end = source.find("\n", at) + 1 or len(source)
            elif sign == "$":
                self.ahead.append("")
                out.append(self._line_end + sign)
            else:
                # A possessive repeat may match more of a longer text, and leave nothing for the rest.
                self.sure = self.sure and not (sign == "+" and source[at - 1 : at] in _REPEAT_ENDS)
                out.append(sign)
            at = end
        return "".join(out), at

    def _escape(self, escape: str) -> str:
        """Return an escape, with a demand for the next character if its result depends on that."""
        if escape[1] in _REFUSED:
            raise MisuseError(f"{self._stage} takes no pattern with {escape}, which no stream can know")
        if escape[1] in _BOUNDARIES:
            self.ahead.append("")
            return _NEXT + escape
        if escape[1] in _CLUSTERS:
            self.ahead.append("")
            return escape + _NEXT
        return escape

    def _set_end(self, at: int) -> int:
        """Return the position after the character set that begins at `at`."""
        source, depth = self._source, 1
        at += 2 if source.startswith("[^", at) else 1
        if source.startswith("]", at):
            at += 1
        while at < len(source):
            if source[at] == "\\":
                at += 1
            elif source.startswith("[:", at):
                at = max(at, source.find(":]", at) + 1)
            elif source[at] == "[" and self._nests:
                depth += 1
            elif source[at] == "]":
                depth -= 1
                if not depth:
                    break
            at += 1
        return at + 1

    def _group(self, at: int, *, bare: bool) -> tuple[str, int]:
        """Return the rewritten group that begins at `at`, and the position after it."""
        source = self._source
        if source.startswith("(?#", at):
            return "", source.find(")", at) + 1
        if source.startswith(("(?<=", "(?<!"), at):
            return self._behind(at)
        if source.startswith(("(?=", "(?!"), at):
            body, end = self.rewrite(at + 3, bare=bare)
            raw = source[at + 3 : end]
            self.ahead.append(raw)
            if source[at + 2] == "=":
                return f"(?={body})", end + 1
            # The first alternative never matches: it only makes the match partial if the text ends too early.
            watching = self.rewrite(at + 3, bare=True)[0]
            return f"(?:(?=(?:{watching})(?!))|)(?!{raw})", end + 1
        if source.startswith("(?>", at):
            self.sure = False
        head = _HEAD.match(source, at)
        start = at + 1 if head is None else head.end()
        opening = source[at:start]
        if bare and (opening == "(" or (opening.endswith(">") and opening[2] in "P<")):
            opening = "(?:"
        body, end = self.rewrite(start, bare=bare)
        group = f"{opening}{body})"
        return f"(?:{_NEXT}{group})" if source[end + 1 : end + 2] in _REPEATS else group, end + 1

    def _behind(self, at: int) -> tuple[str, int]:
        """Return a look-behind unchanged, after a demand for the next character if it tests that character.

        The position after it is returned, too.
        """
        ahead, self.ahead = self.ahead, []
        end = self.rewrite(at + 4, bare=True)[1]
        if any(self.ahead):
            raise MisuseError(f"{self._stage} takes no look-ahead within a look-behind")
        watching = self._line_end if self.ahead else ""
        self.ahead += ahead
        self.behind.append(self._source[at + 4 : end])
        return watching + self._source[at : end + 1], end + 1


_HEAD = re.compile(r"\(\?(?:P?<\w+>|[aiLmsuxbefprwV01-]*:|[>|]|\(\w+\)|P[=>&]\w+|&\w+|\w+(?=\)))?")
"""The start of a group that has more syntax than its opening bracket, such as a name or flags."""
