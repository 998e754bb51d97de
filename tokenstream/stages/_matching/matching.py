"""Matches in a text that still comes: which are sure, and from where on more of the text may change them."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from tokenstream.errors import MisuseError
from tokenstream.limits import check_whole
from tokenstream.stages._matching.dialect import as_regex
from tokenstream.stages._matching.lookahead import watch_end

# Plain characters, and signs behind a backslash.
_LITERAL = re.compile(r"(?:[^.^$*+?{}\[\]\\|()]|\\[^0-9A-Za-z])++", re.DOTALL)
_UNBOUNDED = 2**31
"""A width from which on a pattern counts as unbounded: no match is as long."""
_SHARED_FLAGS = int(re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE)
"""Flags that are the same numbers in `re` and in `regex`."""
_FULL_CASE = 0x4000
"""regex's FULLCASE, with which one character may match two."""
_OTHERWISE = re.compile(r"\[[^\]]*(?:\[|--|&&|\|\||~~)|\{(?![\d,])")
"""Sets within sets, and matches with errors in them: what `re` and `regex` read in two ways."""
_INSTALL = "pip install 'llm-tokenstream[shape]'"


class Matcher:
    """Finds the matches of a pattern in a text of which more may come.

    Args:
        stage: Who asks, for what is said of a pattern that cannot be used.
        pattern: A regular expression, compiled by `re` or `regex`, or as `re` writes it.
        max_length: The most characters that may be held back; None where the pattern itself bounds them.
    """

    __slots__ = ("_literal", "_never", "compiled", "context", "limit", "sure")

    def __init__(self, stage: str, pattern: Any, max_length: int | None) -> None:  # noqa: ANN401 - two modules'
        compiled = self.compiled = _compiled(stage, pattern)
        self.limit = None if max_length is None else check_whole("max_length", max_length)
        """The most characters that are held back; None where the pattern bounds them."""
        self._literal = _literal_of(compiled)
        self._never: Any = None
        """Finds where the text ends before the pattern does; it never finds a whole match."""
        self.context = 1
        """How many characters before a match count for it."""
        self.sure = True
        """A match that reaches the end of what has come stays one, whatever comes."""
        if self._literal:
            return
        watched, ahead, behind, self.sure = watch_end(stage, compiled)
        self._never = _never(stage, compiled, watched)
        self.context = max([1, *(_width_behind(stage, body) for body in behind)])
        if not width_of(compiled.pattern, compiled.flags, least=True) or compiled.fullmatch("") is not None:
            raise MisuseError(f"{stage} takes no pattern that matches where there is no text, such as x*")
        most = max([width_of(compiled.pattern, compiled.flags), *(width_of(body, 0) for body in ahead)])
        if self.limit is None and most >= _UNBOUNDED:
            raise MisuseError(
                f"{stage} needs max_length=: nothing in the pattern bounds how long a match may become, so "
                "all of the text might have to be held back; give the most characters that may be"
            )

    def find(self, text: str, at: int) -> Any:  # noqa: ANN401 - a match of either module
        """Return the first match in what has come from a place on; None where there is none."""
        return self.compiled.search(text, at)

    def opens(self, text: str, at: int, *, held: bool = False) -> int:
        """Return the first place, from one on, at which a match may begin or change with what still comes.

        It is the end of the text where there is none.

        Args:
            text: What has come.
            at: The place.
            held: Whether that place itself is likely to be the one: it was before.
        """
        if self._never is not None:
            # One place costs as much as its match is long; a search, as much at each of them.
            if held and self.goes_on(text, at):
                return at
            found = self._never.search(text, at, partial=True)
            return len(text) if found is None else int(found.start())
        literal = self._literal
        place = text.find(literal[0], max(at, len(text) - len(literal) + 1))
        while place >= 0 and not literal.startswith(text[place:]):
            place = text.find(literal[0], place + 1)
        return place if place >= 0 else len(text)

    def goes_on(self, text: str, at: int) -> bool:
        """Tell whether a match of a pattern, which begins at a place, may change with what still comes."""
        return at < len(text) and self._never.match(text, at, partial=True) is not None

    def begun(self, text: str, at: int, *, whole: bool = False) -> Any:  # noqa: ANN401 - a match of either module
        """Return the match that begins at a place, in the characters that may be held back from there.

        Args:
            text: What has come.
            at: The place.
            whole: Whether to look at all that has come.
        """
        end = len(text) if whole or self.limit is None else at + self.limit
        return self.compiled.match(text, at, end)

    def slices(self, text: str) -> list[str]:
        """Cut new text, so that giving up a match costs no more than what may be held back."""
        if self.limit is None or len(text) <= (size := max(self.limit, 256)):
            return [text]
        return [text[at : at + size] for at in range(0, len(text), size)]


def _compiled(stage: str, pattern: Any) -> Any:  # noqa: ANN401 - two modules'
    if isinstance(pattern, str):
        try:
            return re.compile(pattern)
        except re.error as error:
            raise MisuseError(
                f"{stage}'s pattern is no regular expression of re: {error}; pass one that is compiled "
                "where it is written for regex"
            ) from error
    if not isinstance(getattr(pattern, "pattern", None), str) or not hasattr(pattern, "search"):
        kind = type(pattern).__qualname__
        raise MisuseError(
            f"{stage} takes a regular expression for text: a str, or one that re or regex has compiled, "
            f"not {kind}"
        )
    return pattern


def _literal_of(compiled: Any) -> str:  # noqa: ANN401 - two modules'
    """Return the text that a pattern is, where it is one; "" for any other."""
    source = compiled.pattern
    if compiled.flags & (re.IGNORECASE | re.VERBOSE) or _LITERAL.fullmatch(source) is None:
        return ""
    return re.sub(r"\\(.)", r"\1", source, flags=re.DOTALL)


def _never(stage: str, compiled: Any, watched: str) -> Any:  # noqa: ANN401 - regex's own
    """Return a pattern that fails behind every match, so that only the end of the text can stop it."""
    try:
        regex: Any = import_module("regex")
    except ImportError as error:
        raise MisuseError(
            f"{stage} needs the package regex for a pattern that is more than plain text, to tell what may "
            f"still become a match: {_INSTALL}"
        ) from error
    flags = compiled.flags
    if isinstance(compiled, re.Pattern):
        watched = as_regex(watched, flags)
        flags = regex.VERSION0 | (flags & _SHARED_FLAGS) | (regex.ASCII if flags & re.ASCII else 0)
    if flags & regex.REVERSE:
        raise MisuseError(f"{stage} takes no pattern that searches backwards")
    try:
        # A comment may stand at the end.
        return regex.compile(f"(?:{watched}\n)(?!)" if flags & re.VERBOSE else f"(?:{watched})(?!)", flags)
    except regex.error as error:
        raise MisuseError(
            f"{stage} cannot tell what may still become a match of the pattern: {error}"
        ) from error


def width_of(source: str, flags: int, *, least: bool = False) -> int:
    """Return the most characters, or the fewest, that a match takes.

    What only `regex` can read has any width.
    """
    # The only code that knows widths as `re` does is re's own, and it has no public name; the module
    # stands where it is since Python 3.11, and the tests run on every version.
    parser: Any = import_module("re._parser")
    if flags & _FULL_CASE or _OTHERWISE.search(source) is not None:
        return 1 if least else _UNBOUNDED
    try:
        low, high = parser.parse(source, flags & _SHARED_FLAGS).getwidth()
    except re.error:
        return 1 if least else _UNBOUNDED
    found: int = low if least else high
    return found


def _width_behind(stage: str, source: str) -> int:
    width = width_of(source, 0)
    if width >= _UNBOUNDED:
        raise MisuseError(
            f"{stage} takes no pattern whose look-behind has no bound: all of the text would have to be kept"
        )
    # A border of a word there looks at one more.
    return width + 1
