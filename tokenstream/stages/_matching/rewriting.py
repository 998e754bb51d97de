r"""Rewrites a regular expression, so that it tells what at the end of a text may still become a match.

* For the package `regex`, which reports partial matches: so that it waits for the next character.
* For `re` alone: to a pattern of all beginnings. Of `ab+c` they are `a`, `ab`, `abb` and so on. A search
  for one at the end of the text finds the first place from which a match may still arise.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyPattern

_DEMAND_NEXT = r"(?=(?s:.))"
"""A pattern that demands a next character, so that at the end of the text a match is only partial."""
_DEMAND_AT_LINE_END = r"(?=\n?(?s:.))"
"""A pattern that demands the next character, and one more after a newline, before which `$` matches."""
_BOUNDARIES = frozenset("bBmMZz")
"""Escapes whose result depends on the next character."""
_CLUSTERS = frozenset("XR")
"""Escapes of the package `regex` whose end depends on the next character."""
_REFUSED = frozenset("GK")
"""Escapes of the package `regex` that depend on the start of the search, or move the start of a match."""
_REPEATS = frozenset("*+?{")
_REPEAT_ENDS = frozenset("*+?}")
ONE_CHARACTER = ""
r"""The body recorded for a test of the next character alone, such as `\b` or `$`, which has no body."""
_VERSION1 = 0x100
"""The flag of the package `regex` for nested character sets."""

_WORD = r"\p{L}\p{N}_"
_SPACE = r"\s\x1c-\x1f"
_BORDER = rf"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_WITHIN = rf"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"
_ESCAPES = {
    r"\w": f"[{_WORD}]",
    r"\W": f"[^{_WORD}]",
    r"\s": f"[{_SPACE}]",
    r"\S": f"[^{_SPACE}]",
    r"\b": _BORDER,
    r"\B": _WITHIN,
}
_IN_SET = {r"\w": _WORD, r"\s": _SPACE, r"\W": r"\W\p{M}\p{S}\p{Pc}"}
r"""Replacements inside a character set.

With the entry for `\W`, `regex` matches slightly more than `re`:
too much is then held back, never too little.
"""
_COUNT = re.compile(r"\{(?:\d+(?:,\d*)?|,\d*)\}")
_NAMED = re.compile(r"\\N\{[^}]*\}")
_SCOPE = re.compile(r"\(\?(?P<on>[a-zA-Z]*)(?:-(?P<off>[a-zA-Z]+))?:")
"""The beginning of a group with flags of its own."""
_SET_ITEM = re.compile(r"\\N\{[^}]*\}|\\.|.", re.DOTALL)

_FLAGS = int(re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE | re.ASCII | re.UNICODE)
_DEEPEST = 40
"""Number of constructs, one after the other or within each other, after which any text may follow."""

_parser: Any = import_module("re._parser")
_compiler: Any = import_module("re._compiler")
_codes: Any = import_module("re._constants")

_ONE_CHARACTER_CODES = frozenset({_codes.LITERAL, _codes.NOT_LITERAL, _codes.ANY, _codes.IN})
_REPEAT_CODES = frozenset({_codes.MAX_REPEAT, _codes.MIN_REPEAT, _codes.POSSESSIVE_REPEAT})
_TEST_CODES = frozenset({_codes.AT, _codes.ASSERT, _codes.ASSERT_NOT})
_AT_END = (_codes.AT, _codes.AT_END_STRING)
_ANYTHING = [*_parser.parse(r"(?s:.*)")]


class WatchedPattern(NamedTuple):
    r"""A pattern rewritten so that it reports when the text ends too early to decide.

    Args:
        pattern: The rewritten pattern.
        ahead: The bodies of the pattern's look-aheads; `ONE_CHARACTER` for a test such as `\b`.
        behind: The bodies of the pattern's look-behinds.
        sure_at_end: True if a match that reaches the end of the text so far stays a match, whatever follows.
    """

    pattern: str
    ahead: list[str]
    behind: list[str]
    sure_at_end: bool


def watch_end(stage: str, compiled: AnyPattern) -> WatchedPattern:
    r"""Rewrite a pattern so that a match which the end of the text leaves undecided is only partial.

    At the end of the text so far, `\b`, `$` and a negative look-ahead give a result that
    the next character may reverse. The rewritten pattern demands that character; otherwise,
    it has the same matches.

    A repeated group demands a character as well: once regex (2026.11) has recorded that a group
    cannot repeat at the end of the text, its search for partial matches skips that place.
    """
    rewriter = _Rewriter(stage, compiled.pattern, compiled.flags)
    rewritten = rewriter.rewrite(0, anonymous=False)[0]
    sure_at_end = rewriter.sure_at_end and not rewriter.ahead
    return WatchedPattern(rewritten, rewriter.ahead, rewriter.behind, sure_at_end)


class _Rewriter:
    """Rewrites one pattern, so that it demands another character wherever it tests the next one.

    At the end of the text so far, where no character follows yet, such a test then stays undecided.

    Args:
        stage: Name of the calling stage, for error messages.
        source: The pattern.
        flags: The pattern's flags.
    """

    def __init__(self, stage: str, source: str, flags: int) -> None:
        self._stage = stage
        self._source = source
        self._verbose = bool(flags & re.VERBOSE)
        # With MULTILINE, `$` matches before every newline, so the next character alone decides.
        self._demand_at_line_end = _DEMAND_NEXT if flags & re.MULTILINE else _DEMAND_AT_LINE_END
        self._sets_nest = bool(flags & _VERSION1)
        self.ahead: list[str] = []
        """The bodies of the look-aheads found so far; `ONE_CHARACTER` for a test such as `$`."""
        self.behind: list[str] = []
        """The bodies of the look-behinds found so far."""
        self.sure_at_end = True
        """True if a match stays a match, whatever follows; look-aheads are not considered."""

    def rewrite(self, position: int, *, anonymous: bool) -> tuple[str, int]:
        """Return the rewritten pattern or group, without its groups' names if `anonymous`, and its end."""
        source, out = self._source, list[str]()
        while position < len(source) and source[position] != ")":
            sign = source[position]
            end = position + 1
            if sign == "\\":
                end = position + 2
                out.append(self._rewrite_escape(source[position:end]))
            elif sign == "[":
                end = self._find_set_end(position)
                out.append(source[position:end])
            elif sign == "(":
                group, end = self._rewrite_group(position, anonymous=anonymous)
                out.append(group)
            elif sign == "#" and self._verbose:
                # A comment, up to the end of the line.
                end = source.find("\n", position) + 1 or len(source)
            elif sign == "$":
                # Like a look-ahead, this tests the next character.
                self.ahead.append(ONE_CHARACTER)
                out.append(self._demand_at_line_end + sign)
            else:
                if sign == "+" and source[position - 1 : position] in _REPEAT_ENDS:
                    # A possessive repeat may match more of a longer text, and leave nothing for the rest.
                    self.sure_at_end = False
                out.append(sign)
            position = end
        return "".join(out), position

    def _rewrite_escape(self, escape: str) -> str:
        """Return an escape, with a demand for the next character if its result depends on that."""
        if escape[1] in _REFUSED:
            raise MisuseError(f"{self._stage} takes no pattern with {escape}, which no stream can know")
        if escape[1] in _BOUNDARIES:
            self.ahead.append(ONE_CHARACTER)
            return _DEMAND_NEXT + escape
        if escape[1] in _CLUSTERS:
            # A cluster has characters of its own; the next character comes after them.
            self.ahead.append(ONE_CHARACTER)
            return escape + _DEMAND_NEXT
        return escape

    def _find_set_end(self, position: int) -> int:
        source, depth = self._source, 1
        position += 2 if source.startswith("[^", position) else 1
        if source.startswith("]", position):
            # As the first character of a set, the bracket does not close it.
            position += 1
        while position < len(source):
            if source[position] == "\\":
                position += 1
            elif source.startswith("[:", position):
                # A class such as [:alpha:]; without its end, this bracket is an ordinary character.
                position = max(position, source.find(":]", position) + 1)
            elif source[position] == "[" and self._sets_nest:
                depth += 1
            elif source[position] == "]":
                depth -= 1
                if not depth:
                    break
            position += 1
        return position + 1

    def _rewrite_group(self, position: int, *, anonymous: bool) -> tuple[str, int]:
        """Return the rewritten group that begins at `position`, and the position after it.

        A comment is removed; a repeated group demands another character; see `watch_end`.
        """
        source = self._source
        if source.startswith("(?#", position):
            return "", source.find(")", position) + 1
        if source.startswith(("(?<=", "(?<!"), position):
            return self._rewrite_look_behind(position)
        if source.startswith(("(?=", "(?!"), position):
            return self._rewrite_look_ahead(position, anonymous=anonymous)
        if source.startswith("(?>", position):
            # An atomic group may match more of a longer text, and leave nothing for the rest.
            self.sure_at_end = False
        head = _HEAD.match(source, position)
        start = position + 1 if head is None else head.end()
        opening = source[position:start]
        is_numbered = opening == "("
        # `(?P<name>`, or `(?<name>` in regex; an atomic group, `(?>`, has no name.
        is_named = opening.endswith(">") and opening[2] in "P<"
        if anonymous and (is_numbered or is_named):
            opening = "(?:"
        verbose_around = self._verbose
        self._verbose = is_verbose_group(source, position, verbose=verbose_around)
        body, end = self.rewrite(start, anonymous=anonymous)
        self._verbose = verbose_around
        group = f"{opening}{body})"
        # Without the demand, `regex` skips a place at which a group could not repeat before the text's end.
        return f"(?:{_DEMAND_NEXT}{group})" if source[end + 1 : end + 2] in _REPEATS else group, end + 1

    def _rewrite_look_ahead(self, position: int, *, anonymous: bool) -> tuple[str, int]:
        """Rewrite a look-ahead, so that it only matches partially if the text ends before it is decided.

        A positive look-ahead does so by itself, once its body is rewritten. A negative look-ahead gets an
        alternative before it, which demands the text that the look-ahead tests.
        """
        source = self._source
        is_negative = source[position + 2] == "!"
        # The body begins after the three characters `(?=` or `(?!`. A negative look-ahead gets a second body:
        # that has no numbered or named groups, which the pattern would otherwise have twice.
        body, end = self.rewrite(position + 3, anonymous=anonymous or is_negative)
        original_body = source[position + 3 : end]
        self.ahead.append(original_body)
        if not is_negative:
            return f"(?={body})", end + 1
        # The first alternative never matches: it only makes the match partial if the text ends too early.
        return f"(?:(?=(?:{body})(?!))|)(?!{original_body})", end + 1

    def _rewrite_look_behind(self, position: int) -> tuple[str, int]:
        r"""Return the look-behind that begins at `position`, and the position after it.

        The look-behind itself is not changed. If its body tests the character after it, as in `(?<=a\b)`, a
        demand for that character is put before the look-behind.
        """
        # After `(?<=` or `(?<!`.
        body_start = position + 4
        # `rewrite` is only called to find the tests in the body: it adds them to `ahead`, which is empty for
        # the time of the call, so that the tests found before are not taken for them.
        ahead_outside, self.ahead = self.ahead, []
        _, body_end = self.rewrite(body_start, anonymous=True)
        ahead_inside = self.ahead
        if any(body != ONE_CHARACTER for body in ahead_inside):
            raise MisuseError(f"{self._stage} takes no look-ahead within a look-behind")
        self.ahead = ahead_inside + ahead_outside
        self.behind.append(self._source[body_start:body_end])
        demand = self._demand_at_line_end if ahead_inside else ""
        look_behind = self._source[position : body_end + 1]
        return demand + look_behind, body_end + 1


_HEAD = re.compile(r"\(\?(?:P?<\w+>|[aiLmsuxbefprwV01-]*:|[>|]|\(\w+\)|P[=>&]\w+|&\w+|\w+(?=\)))?")
"""The start of a group that has more syntax than its opening bracket, such as a name or flags."""


def is_verbose_group(source: str, position: int, *, verbose: bool) -> bool:
    """Return True if comments and white space are left out in the group that begins at `position`."""
    scope = _SCOPE.match(source, position)
    if scope is None:
        return verbose
    return (verbose or "x" in scope["on"]) and "x" not in (scope["off"] or "")


def as_regex(source: str, flags: int) -> str:
    r"""Translate a pattern for `re` into a pattern with the same matches in `regex`.

    In `regex`, a superscript is not part of a word, but a combining mark is; the separators
    `\x1c` to `\x1f` are not white space; `a{e}` and `[[:alpha:]]` have a special meaning.

    Example:
        >>> print(as_regex(r"a{i}\s[[:x]", 0))
        a\{i}[\s\x1c-\x1f][\[:x]
    """
    # In an ASCII pattern, both packages agree about these escapes.
    escapes, in_set = ({}, {}) if flags & re.ASCII else (_ESCAPES, _IN_SET)
    verbose, verbose_around = bool(flags & re.VERBOSE), list[bool]()
    out: list[str] = []
    position = 0
    while position < len(source):
        char = source[position]
        end = position + 1
        if char == "\\":
            # An escape is a backslash and one character, except for `\N{…}`, a character by its name.
            named = _NAMED.match(source, position)
            end = position + 2 if named is None else named.end()
            out.append(escapes.get(source[position:end], source[position:end]))
        elif char == "[":
            translated, end = _translate_set(source, position, in_set)
            out.append(translated)
        elif char == "{":
            # A repeat, or a brace without a special meaning, which `regex` would read as fuzzy matching.
            repeat = _COUNT.match(source, position)
            end = position + 1 if repeat is None else repeat.end()
            out.append(r"\{" if repeat is None else repeat[0])
        elif source.startswith("(?#", position):
            # A comment is left out.
            end = source.find(")", position) + 1
        elif char == "#" and verbose:
            # So is one up to the end of its line.
            end = source.find("\n", position) + 1 or len(source)
        else:
            if char == "(":
                verbose_around.append(verbose)
                verbose = is_verbose_group(source, position, verbose=verbose)
            elif char == ")" and verbose_around:
                verbose = verbose_around.pop()
            out.append(char)
        position = end
    return "".join(out)


def _translate_set(source: str, position: int, in_set: dict[str, str]) -> tuple[str, int]:
    """Return the character set at `position` as `regex` writes it, and the position after the set."""
    is_negated = source.startswith("[^", position)
    position += 2 if is_negated else 1
    items: list[str] = []
    # As the first item, a closing bracket is an ordinary character.
    while position < len(source) and (source[position] != "]" or not items):
        match = _SET_ITEM.match(source, position)
        item = source[position] if match is None else match[0]
        items.append(rf"\{item}" if item in "[]" else item)
        position += len(item)
    # `[^\Wx]` means a word character other than x: written as a positive set with a look-behind.
    # Without translations (in an ASCII pattern), both packages agree about such a set.
    for inverse, positive in ((r"\W", r"\w"), (r"\S", r"\s")):
        if is_negated and inverse in items and in_set:
            others = "".join(in_set.get(item, item) for item in items if item != inverse)
            not_others = f"(?<![{others}])" if others else ""
            return f"(?:[{in_set[positive]}]{not_others})", position + 1
    body = "".join(in_set.get(item, item) for item in items)
    return f"[{'^' if is_negated else ''}{body}]", position + 1


# -- beginnings ------------------------------------------------------------------------


def find_beginnings(pattern: AnyPattern, ahead: int) -> re.Pattern[str]:
    """Return the pattern of a text's end that may become a match, or is one that may still be undone.

    It may also match an end that cannot: what a pattern tests around a match is left out of account.

    Args:
        ahead: Number of characters after a match that may undo it.
    """
    tree = _parser.parse(pattern.pattern, pattern.flags & _FLAGS)
    state = _parser.State()
    state.flags = tree.state.flags & _FLAGS
    after = [*_parser.parse(f"(?s:.{{0,{ahead}}})"), _AT_END]
    begun = _beginnings_of([*tree], after, 0)
    made: re.Pattern[str] = _compiler.compile(_parser.SubPattern(state, begun), state.flags)
    return made


def _beginnings_of(items: list[Any], after: list[Any], depth: int) -> list[Any]:
    """Return the constructs that match the beginnings of a sequence, or the whole followed by `after`."""
    if not items:
        return after
    if depth > _DEEPEST:
        return [*_ANYTHING, _AT_END]
    (kind, argument), *rest = items
    following = _beginnings_of(rest, after, depth + 1)
    if kind in _TEST_CODES:
        return following
    ways = [[_AT_END], [*_whole([items[0]]), *following], *_begin_inside(kind, argument, depth + 1)]
    return [(_codes.BRANCH, (None, [_sequence(way) for way in ways]))]


def _begin_inside(kind: object, argument: Any, depth: int) -> list[list[Any]]:  # noqa: ANN401 - of re's parser
    """Return the sequences that match a text which ends within a construct."""
    if kind is _codes.BRANCH:
        return [_beginnings_of([*body], [_AT_END], depth) for body in argument[1]]
    if kind is _codes.SUBPATTERN:
        _, added, removed, body = argument
        begun = _beginnings_of([*body], [_AT_END], depth)
        return [[(kind, (None, added, removed, _sequence(begun)))]]
    if kind in _REPEAT_CODES:
        _, most, body = argument
        before = _whole([(kind, (0, most, body))])
        return [[*before, *_beginnings_of([*body], [_AT_END], depth)]]
    return []


def _whole(items: Any) -> list[Any]:  # noqa: ANN401 - of re's parser
    """Return a sequence that matches what another one does, or more: without groups and tests."""
    found: list[Any] = []
    for kind, argument in items:
        if kind in _ONE_CHARACTER_CODES:
            found.append((kind, argument))
        elif kind is _codes.BRANCH:
            found.append((kind, (None, [_sequence(_whole(body)) for body in argument[1]])))
        elif kind is _codes.SUBPATTERN:
            _, added, removed, body = argument
            found.append((kind, (None, added, removed, _sequence(_whole(body)))))
        elif kind in _REPEAT_CODES:
            fewest, most, body = argument
            found.append((_codes.MAX_REPEAT, (fewest, most, _sequence(_whole(body)))))
        elif kind not in _TEST_CODES:
            # A reference to a group, a condition or an atomic group, whose text is not known here.
            found += _ANYTHING
    return found


def _sequence(items: list[Any]) -> Any:  # noqa: ANN401 - of re's parser
    """Return a sequence as re's parser makes it."""
    return _parser.SubPattern(_parser.State(), items)
