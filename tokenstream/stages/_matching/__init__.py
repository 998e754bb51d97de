"""Matches in a text that is still arriving: the certain ones, and the first place that may still change."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenstream._basics.elsewhere import needing
from tokenstream.errors import MisuseError
from tokenstream.limits import check_whole
from tokenstream.stages._matching.rewriting import ONE_CHARACTER, as_regex, find_beginnings, watch_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._basics.loose import AnyMatch, AnyPattern

# Plain characters, and punctuation after a backslash.
_LITERAL = re.compile(r"(?:[^.^$*+?{}\[\]\\|()]|\\[^0-9A-Za-z])++", re.DOTALL)
_UNBOUNDED = 2**31
"""The width from which a pattern counts as unbounded: no real match is as long."""
_SHARED_FLAGS = int(re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE)
"""Flags with the same values in `re` and in `regex`."""
_FULL_CASE = 0x4000
"""The flag FULLCASE of the package `regex`, with which one character may match two characters."""
_READ_DIFFERENTLY = re.compile(r"\[[^\]]*(?:\[|--|&&|\|\||~~)|\{(?![\d,])")
"""Nested character sets and fuzzy matches: syntax that `re` and `regex` read differently."""
_TESTS_NEXT = re.compile(r"\\[bBZ]|\$|\(\?")
"""Constructs with which a look-ahead tests one character more than its own width."""
_ESCAPED = re.compile(r"\\[^bBZ]", re.DOTALL)
_LONGEST = 10_000
"""The most characters of a match that need no bound of the caller's: each of them may cost as many."""
TRIED = 16
"""Number of positions at which the text is cut to try a match of a pattern that tests the next character."""
_SLICE = 256
"""Number of characters that are searched at once, at least."""
_SHORT = 48
"""Number of characters after an open position that a search may read, instead of a test at each place."""


class Matcher:
    """Finds the matches of a pattern in a text that is still arriving.

    Args:
        stage: Name of the calling stage, for error messages.
        pattern: A regular expression, compiled by `re` or `regex`, or a string in the syntax of `re`.
        max_length: The most characters that may be held back; None if the pattern itself bounds its matches.
    """

    def __init__(self, stage: str, pattern: object, max_length: int | None) -> None:
        compiled = self.compiled = _compile(stage, pattern)
        self.limit = None if max_length is None else check_whole("max_length", max_length)
        """The most characters that are held back; None if the pattern itself bounds its matches."""
        self._literal = _find_literal(compiled)
        """The text that the pattern consists of; "" if the pattern is more than plain text."""
        self._partial_only: Any = None
        """A variant of the pattern that finds only partial matches at the end of the text."""
        self._options = dict[str, bool]()
        """The options by which it finds them."""
        self.context = 1
        """Number of characters before a match that the pattern may test."""
        self.sure_at_end = True
        """True if a match that reaches the end of the text so far stays a match, whatever follows."""
        if self._literal:
            # Plain text needs none of the following: its matches have one length and test nothing else.
            return
        watched, ahead, behind, self.sure_at_end = watch_end(stage, compiled)
        self._partial_only = _make_partial_only(stage, compiled, watched, ahead)
        self._options = {} if isinstance(self._partial_only, re.Pattern) else {"partial": True}
        self.context = max([1, *(_width_before(stage, body) for body in behind)])
        # The least width of a pattern that only `regex` can read is unknown, so the pattern is tried.
        if not width_of(compiled.pattern, compiled.flags, fewest=True) or compiled.fullmatch("") is not None:
            raise MisuseError(f"{stage} cannot use a pattern that matches the empty text, such as x*")
        max_width = max([width_of(compiled.pattern, compiled.flags), *(width_of(body, 0) for body in ahead)])
        if self.limit is None and max_width > _LONGEST:
            longest = "without a limit" if max_width >= _UNBOUNDED else f"up to {max_width:,} characters long"
            raise MisuseError(
                f"{stage} needs max_length=: a match of the pattern may become {longest}, which is held back "
                "whole, and read again with each piece; give the most characters that may be"
            )

    def find(self, text: str, position: int) -> AnyMatch | None:
        return self.compiled.search(text, position)

    def find_up_to(self, text: str, position: int, last: int) -> AnyMatch | None:
        """Return the first match that begins at `position` or later, at `last` at the latest; else None."""
        if len(text) - last <= _SHORT:
            match = self.compiled.search(text, position)
            return None if match is None or match.start() > last else match
        # A search would also try each place after `last`: of a text without a break, as often as it is long.
        found = (self.compiled.match(text, start) for start in range(position, last + 1))
        return next((match for match in found if match is not None), None)

    def find_open_position(self, text: str, position: int, *, was_open: bool) -> int:
        """Return the first position at which a match may still begin or change.

        If there is no such position, the result is the end of the text.
        """
        if self._partial_only is not None:
            # A test at one position costs the length of its match; a search costs that at every position.
            if was_open and self.may_change(text, position):
                return position
            match = self._partial_only.search(text, position, **self._options)
            return len(text) if match is None else int(match.start())
        # For plain text: the text may end with the first characters of the pattern.
        literal = self._literal
        start = text.find(literal[0], max(position, len(text) - len(literal) + 1))
        while start >= 0 and not literal.startswith(text[start:]):
            start = text.find(literal[0], start + 1)
        return start if start >= 0 else len(text)

    def may_change(self, text: str, position: int) -> bool:
        """Return True if a match that begins at `position` may still change.

        This method cannot be called for a pattern that is plain text.
        """
        # `_partial_only` finds only matches that reach the end of the text, where more may follow.
        return position < len(text) and self._partial_only.match(text, position, **self._options) is not None

    def match_at(self, text: str, position: int, last: int | None = None) -> AnyMatch | None:
        if last is None:
            last = len(text) if self.limit is None else position + self.limit
        return self.compiled.match(text, position, last)

    def choose_cuts(self, cuts: range) -> range:
        r"""Return the lengths to which to cut the text, one after another, when a match is tried at a place.

        Mostly, the greatest length is enough. But a pattern that tests the character after a match, such as
        one that ends in `\b`, may match if the text is cut at one position, and not if it is cut at another:
        then the 16 greatest lengths are tried.
        """
        return cuts[:1] if self.sure_at_end else cuts[:TRIED]

    def split(self, text: str) -> list[str]:
        """Cut new text into slices, which the caller searches one after another.

        The longer a slice is, the longer it takes to give up a match that never ends. Slices have at least
        256 characters, so that a small limit does not mean many searches.
        """
        if self.limit is None:
            return [text]
        size = max(self.limit, _SLICE)
        if len(text) <= size:
            return [text]
        return [text[position : position + size] for position in range(0, len(text), size)]


def _compile(stage: str, pattern: object) -> AnyPattern:
    if isinstance(pattern, str):
        try:
            return re.compile(pattern)
        except re.error as error:
            raise MisuseError(
                f"{stage}'s pattern is not a regular expression of re: {error}; pass one that is compiled "
                "where it is written for regex"
            ) from error
    if not isinstance(getattr(pattern, "pattern", None), str) or not hasattr(pattern, "search"):
        kind = type(pattern).__qualname__
        raise MisuseError(
            f"{stage} takes a regular expression for text: a str, or one that re or regex has compiled, "
            f"not {kind}"
        )
    return pattern  # type: ignore[return-value] # it has the attributes of one


def _find_literal(compiled: AnyPattern) -> str:
    """Return the text that a pattern matches if the pattern is plain text; otherwise ""."""
    source = compiled.pattern
    # With these flags, plain text also matches other texts than itself.
    if compiled.flags & (re.IGNORECASE | re.VERBOSE) or _LITERAL.fullmatch(source) is None:
        return ""
    return re.sub(r"\\(.)", r"\1", source, flags=re.DOTALL)


def _make_partial_only(stage: str, compiled: AnyPattern, watched: str, ahead: Sequence[str]) -> object:
    """Return a variant of a pattern that finds only partial matches: it fails after each whole one.

    Without the package regex, it is one of `re` for the beginnings of matches, which may hold back more text.
    """
    try:
        with needing("regex", f"{stage} with a pattern of regex, or with a look-ahead without a bound"):
            regex: Any = import_module("regex")
    except MisuseError:
        size = count_ahead(compiled.pattern, ahead)
        if not isinstance(compiled, re.Pattern) or size > _LONGEST:
            raise
        return find_beginnings(compiled, size)
    flags = compiled.flags
    if isinstance(compiled, re.Pattern):
        watched = as_regex(watched, flags)
        flags = regex.VERSION0 | (flags & _SHARED_FLAGS) | (regex.ASCII if flags & re.ASCII else 0)
    if flags & regex.REVERSE:
        raise MisuseError(f"{stage} takes no pattern that searches backwards")
    try:
        # `(?!)` never matches. The newline ends a comment at the end of the pattern.
        return regex.compile(f"(?:{watched}\n)(?!)" if flags & re.VERBOSE else f"(?:{watched})(?!)", flags)
    except regex.error as error:
        raise MisuseError(
            f"{stage} cannot tell what may still become a match of the pattern: {error}"
        ) from error


def width_of(source: str, flags: int, *, fewest: bool = False) -> int:
    """Return the most characters, or the fewest, that a match of a pattern may have.

    For a pattern that only `regex` can read, the result is `_UNBOUNDED`, or 1 for the fewest.
    """
    # The parser of `re` is the only code that computes the widths. It has no public name, but
    # the module has had this path since Python 3.11, and the tests run on every version.
    parser: Any = import_module("re._parser")
    if flags & _FULL_CASE or _READ_DIFFERENTLY.search(source) is not None:
        return 1 if fewest else _UNBOUNDED
    try:
        low, high = parser.parse(source, flags & _SHARED_FLAGS).getwidth()
    except re.error:
        return 1 if fewest else _UNBOUNDED
    match: int = low if fewest else high
    return match


def count_ahead(source: str, bodies: Sequence[str]) -> int:
    r"""Return the number of characters after a match that may undo it: one at least, for `\b` and its like.

    Args:
        source: The pattern.
        bodies: The bodies of its look-aheads.
    """
    # `$` also matches before a final newline.
    counts = [2 if "$" in _ESCAPED.sub("", source) else 1]
    for body in bodies:
        # The test of one character is counted already.
        if body != ONE_CHARACTER:
            tests_next = _TESTS_NEXT.search(_ESCAPED.sub("", body)) is not None
            counts.append(width_of(body, 0) + (1 if tests_next else 0))
    return max(counts)


def _width_before(stage: str, source: str) -> int:
    """Return the number of characters before a match that a look-behind may test."""
    width = width_of(source, 0)
    if width >= _UNBOUNDED:
        raise MisuseError(
            f"{stage} takes no pattern whose look-behind has no bound: all of the text would have to be kept"
        )
    # A `\b` in the look-behind tests one more character.
    return width + 1
