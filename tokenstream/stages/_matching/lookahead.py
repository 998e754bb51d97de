"""Rewrites a regular expression so that it reads a character wherever it asks what comes next."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tokenstream.errors import MisuseError

_NEXT = r"(?=(?s:.))"
"""Asks for a character, which makes the end of what has come show."""
_LINE_END = r"(?=\n?(?s:.))"
"""Asks for two where the first ends a line: `$` stands before a last newline, too."""
_BORDERS = frozenset("bBmMZz")
"""Escapes that depend on the next character."""
_CLUSTERS = frozenset("XR")
"""Escapes of regex whose end depends on it."""
_REFUSED = frozenset("GK")
"""Escapes of regex that depend on where a search began, or move the start of a match."""
_REPEATS = frozenset("*+?{")
_REPEAT_ENDS = frozenset("*+?}")
_VERSION1 = 0x100
"""regex's flag for sets within sets."""


class Watched(NamedTuple):
    """A pattern that shows where its text ends too early.

    Args:
        pattern: The pattern.
        ahead: What it looks for behind a place, "" for a single character.
        behind: What it looks for before one.
        sure: A match that reaches the end of what has come stays one, whatever comes.
    """

    pattern: str
    ahead: list[str]
    behind: list[str]
    sure: bool


def watch_end(stage: str, compiled: Any) -> Watched:  # noqa: ANN401 - of re or regex
    r"""Return a pattern with the same matches, which runs into the end of the text where that counts.

    `\b` and `$` are true or false at the end of what has come, though the next character may say
    otherwise; so is a negative look-ahead.

    A group that is repeated asks for a character as well: regex (2026.11) remembers that one could not
    come again at the end of the text, and does not look there when it looks for partial matches.

    Args:
        stage: Who asks, for what is said of a pattern that cannot be used.
        compiled: The pattern.

    Raises:
        MisuseError: It depends on more than the text around a match.

    Example:
        >>> print(watch_end("Redact", re.compile(r"ab\b")).pattern)
        ab(?=(?s:.))\b
    """
    reader = _Reader(stage, compiled.pattern, compiled.flags)
    watched = reader.read(0, bare=False)[0]
    return Watched(watched, reader.ahead, reader.behind, reader.sure and not reader.ahead)


class _Reader:
    def __init__(self, stage: str, source: str, flags: int) -> None:
        self._stage = stage
        self._source = source
        self._verbose = bool(flags & re.VERBOSE)
        # Where `$` stands before every newline, that is one more.
        self._line_end = _NEXT if flags & re.MULTILINE else _LINE_END
        self._nests = bool(flags & _VERSION1)
        self.ahead: list[str] = []
        self.behind: list[str] = []
        self.sure = True
        """A match stays one, whatever comes, as far as it does not look ahead."""

    def read(self, at: int, *, bare: bool) -> tuple[str, int]:
        """Return a pattern, or the rest of a group, rewritten, and where it ends.

        Args:
            at: Where it begins.
            bare: Whether its groups are to have no numbers and names.
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
                # What is possessive may take more, and leave nothing for the rest.
                self.sure = self.sure and not (sign == "+" and source[at - 1 : at] in _REPEAT_ENDS)
                out.append(sign)
            at = end
        return "".join(out), at

    def _escape(self, escape: str) -> str:
        if escape[1] in _REFUSED:
            raise MisuseError(f"{self._stage} takes no pattern with {escape}, which no stream can know")
        if escape[1] in _BORDERS:
            self.ahead.append("")
            return _NEXT + escape
        if escape[1] in _CLUSTERS:
            self.ahead.append("")
            return escape + _NEXT
        return escape

    def _set_end(self, at: int) -> int:
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
        source = self._source
        if source.startswith("(?#", at):
            return "", source.find(")", at) + 1
        if source.startswith(("(?<=", "(?<!"), at):
            return self._behind(at)
        if source.startswith(("(?=", "(?!"), at):
            body, end = self.read(at + 3, bare=bare)
            raw = source[at + 3 : end]
            self.ahead.append(raw)
            if source[at + 2] == "=":
                return f"(?={body})", end + 1
            watching = self.read(at + 3, bare=True)[0]
            return f"(?:(?=(?:{watching})(?!))|)(?!{raw})", end + 1
        if source.startswith("(?>", at):
            self.sure = False
        head = _HEAD.match(source, at)
        start = at + 1 if head is None else head.end()
        opening = source[at:start]
        if bare and (opening == "(" or (opening.endswith(">") and opening[2] in "P<")):
            opening = "(?:"
        body, end = self.read(start, bare=bare)
        group = f"{opening}{body})"
        return f"(?:{_NEXT}{group})" if source[end + 1 : end + 2] in _REPEATS else group, end + 1

    def _behind(self, at: int) -> tuple[str, int]:
        """Return a look-behind as it is; it may look at the character that comes next."""
        ahead, self.ahead = self.ahead, []
        end = self.read(at + 4, bare=True)[1]
        if any(self.ahead):
            raise MisuseError(f"{self._stage} takes no look-ahead within a look-behind")
        watching = self._line_end if self.ahead else ""
        self.ahead += ahead
        self.behind.append(self._source[at + 4 : end])
        return watching + self._source[at : end + 1], end + 1


_HEAD = re.compile(r"\(\?(?:P?<\w+>|[aiLmsuxbefprwV01-]*:|[>|]|\(\w+\)|P[=>&]\w+|&\w+|\w+(?=\)))?")
"""The start of a group that is more than a bracket."""
