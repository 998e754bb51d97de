r"""A pattern that tells where a text may end in the beginning of a match, for `re` alone.

Of `ab+c`, the beginnings are `a`, `ab`, `abb` and so on. A search for a beginning at the end of the text
finds the first place from which a match may still arise: no place before it has to be tried again.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyPattern

_SHARED_FLAGS = int(re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE | re.ASCII | re.UNICODE)
_DEEPEST = 40
"""Number of constructs, one after the other or within each other, after which any text may follow."""

_parser: Any = import_module("re._parser")
_compiler: Any = import_module("re._compiler")
_codes: Any = import_module("re._constants")

_ONE_CHARACTER = frozenset({_codes.LITERAL, _codes.NOT_LITERAL, _codes.ANY, _codes.IN})
_REPEATS = frozenset({_codes.MAX_REPEAT, _codes.MIN_REPEAT, _codes.POSSESSIVE_REPEAT})
_TESTS = frozenset({_codes.AT, _codes.ASSERT, _codes.ASSERT_NOT})
_AT_END = (_codes.AT, _codes.AT_END_STRING)
_ANYTHING = [*_parser.parse(r"(?s:.*)")]


def find_beginnings(pattern: AnyPattern, ahead: int) -> re.Pattern[str]:
    """Return the pattern of a text's end that may become a match, or is one that may still be undone.

    It may also match an end that cannot: what a pattern tests around a match is left out of account.

    Args:
        ahead: Number of characters after a match that may undo it.

    Example:
        >>> beginnings = find_beginnings(re.compile(r"ab+c"), 0)
        >>> [beginnings.search(text).start() for text in ("a cab", "abc ab", "abbb")]
        [3, 4, 0]
    """
    tree = _parser.parse(pattern.pattern, pattern.flags & _SHARED_FLAGS)
    state = _parser.State()
    state.flags = tree.state.flags & _SHARED_FLAGS
    after = [*_parser.parse(f"(?s:.{{0,{ahead}}})"), _AT_END]
    begun = _beginnings_of([*tree], after, 0)
    made: re.Pattern[str] = _compiler.compile(_parser.SubPattern(state, begun), state.flags)
    return made


def _beginnings_of(items: list[Any], after: list[Any], depth: int) -> list[Any]:
    """Return the constructs that match the beginnings of a sequence, and the whole of it if `after` follows."""
    if not items:
        return after
    if depth > _DEEPEST:
        return [*_ANYTHING, _AT_END]
    (kind, argument), *rest = items
    following = _beginnings_of(rest, after, depth + 1)
    if kind in _TESTS:
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
    if kind in _REPEATS:
        _, most, body = argument
        before = _whole([(kind, (0, most, body))])
        return [[*before, *_beginnings_of([*body], [_AT_END], depth)]]
    return []


def _whole(items: Any) -> list[Any]:  # noqa: ANN401 - of re's parser
    """Return a sequence that matches what another one does, or more: without groups and tests."""
    found: list[Any] = []
    for kind, argument in items:
        if kind in _ONE_CHARACTER:
            found.append((kind, argument))
        elif kind is _codes.BRANCH:
            found.append((kind, (None, [_sequence(_whole(body)) for body in argument[1]])))
        elif kind is _codes.SUBPATTERN:
            _, added, removed, body = argument
            found.append((kind, (None, added, removed, _sequence(_whole(body)))))
        elif kind in _REPEATS:
            fewest, most, body = argument
            found.append((_codes.MAX_REPEAT, (fewest, most, _sequence(_whole(body)))))
        elif kind not in _TESTS:
            # A reference to a group, a condition or an atomic group, whose text is not known here.
            found += _ANYTHING
    return found


def _sequence(items: list[Any]) -> Any:  # noqa: ANN401 - of re's parser
    """Return a sequence as re's parser makes it."""
    return _parser.SubPattern(_parser.State(), items)
