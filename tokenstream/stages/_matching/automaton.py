r"""A pattern as an automaton, which reads a text once and follows all places where a match may begin.

An engine such as `re` tries one place after another: in a run of letters, `\w+@` reads the
rest of the run at each of its letters. The automaton (Thompson's construction) reads each
letter once. It knows only if a match is possible, so the engine still finds the matches.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream._basics.loose import AnyPattern

_MOST_NODES = 600
"""Maximum number of nodes: a pattern that needs more, such as `(?:ab?){500}`, has no automaton."""
_COUNTED = 4
"""Number of repetitions of one character from which one node counts them, instead of a node for each."""
_SHARED_FLAGS = int(re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE | re.ASCII | re.UNICODE)

_parser: Any = import_module("re._parser")
_compiler: Any = import_module("re._compiler")
_codes: Any = import_module("re._constants")

_ONE_CHARACTER = frozenset({_codes.LITERAL, _codes.NOT_LITERAL, _codes.ANY, _codes.IN})
_GREEDY_OR_LAZY = frozenset({_codes.MAX_REPEAT, _codes.MIN_REPEAT})
_AT_START = frozenset({_codes.AT_BEGINNING, _codes.AT_BEGINNING_STRING})


class NoAutomaton(Exception):
    """Raised while an automaton is built: the pattern has a construct that it cannot follow."""


class Accepts(dict[str, bool]):
    """Remembers for each character if a construct for one character, such as `[a-z]`, matches it.

    Args:
        pattern: The construct as a compiled pattern.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        super().__init__()
        self._fullmatch: Callable[[str], object] = pattern.fullmatch

    def __missing__(self, character: str) -> bool:
        accepts = self[character] = self._fullmatch(character) is not None
        return accepts


class Node:
    """A node of an automaton, which reads one character or tests the characters around a place.

    Args:
        accepts: Maps each character to True if the node reads it; None for a node that tests.
        test: Receives the characters before and after a place, and returns True if the node passes there;
            None for a node that reads. At the start and at the end of the text, the character is "".
        fewest: The least number of characters that a counting node reads.
        most: The greatest number of characters that a counting node reads; 0 for other nodes.
    """

    __slots__ = ("accepts", "direct", "fewest", "following", "most", "test")

    def __init__(
        self,
        accepts: Accepts | None = None,
        test: Callable[[str, str], bool] | None = None,
        fewest: int = 0,
        most: int = 0,
    ) -> None:
        self.accepts = accepts
        self.test = test
        # The fewest and the most characters of a repeat such as `a{2,5}`; 0 for a node that counts none.
        self.fewest, self.most = fewest, most
        self.direct: list[Node] = []
        """The nodes after this one, among them nodes that neither read nor test."""
        self.following: tuple[Node, ...] = ()
        """The nodes after this one that read or test, and perhaps the last node of the automaton."""


class Automaton(NamedTuple):
    """A pattern as nodes, which read a text character by character, and follow all possible matches at once.

    Args:
        first: The nodes at which a match begins.
        last: The node that is reached at the end of a match.
        tests_next: True if a node tests the character after a place.
    """

    first: tuple[Node, ...]
    last: Node
    tests_next: bool


def build(pattern: AnyPattern) -> Automaton | None:
    r"""Return the automaton of a pattern; None if the pattern has constructs that no automaton follows.

    Such constructs are references to groups, conditions, atomic groups, possessive repeats, `$` without
    MULTILINE, and tests of more than one character before or after a place.

    Example:
        >>> automaton = build(re.compile(r"ab+"))
        >>> automaton is not None, build(re.compile(r"(a)\1"))
        (True, None)
    """
    builder = _Builder()
    first, last = Node(), Node()
    try:
        tree = _parser.parse(pattern.pattern, pattern.flags & _SHARED_FLAGS)
        for end in builder.add_all(tree, [first], pattern.flags):
            end.direct.append(last)
    except NoAutomaton:
        return None
    for node in (first, *builder.nodes):
        node.following = _without_empty_nodes(node.direct, last)
    return Automaton(first.following, last, builder.tests_next)


def _without_empty_nodes(nodes: Iterable[Node], last: Node) -> tuple[Node, ...]:
    """Return `nodes` with each empty node, which neither reads nor tests, replaced by the nodes after it."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.accepts is not None or node.test is not None or node is last:
            found[node] = None
        else:
            waiting += node.direct
    return tuple(found)


class _Builder:
    """Builds the nodes of one automaton."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.tests_next = False
        """True once a node tests the character after a place."""

    def add_all(self, tree: Any, before: list[Node], flags: int) -> list[Node]:  # noqa: ANN401 - of re's parser
        """Add the nodes of a sequence; return the nodes at which it ends."""
        for kind, argument in tree:
            before = self._add(kind, argument, before, flags)
        return before

    def _add(self, kind: object, argument: Any, before: list[Node], flags: int) -> list[Node]:  # noqa: ANN401 - of re's parser
        """Add the nodes of one construct; return the nodes at which it ends."""
        if kind in _ONE_CHARACTER:
            return self._attach(Node(_make_accepts(kind, argument, flags)), before)
        if kind is _codes.SUBPATTERN:
            _, added, removed, body = argument
            return self.add_all(body, before, (flags | added) & ~removed)
        if kind is _codes.BRANCH:
            return [end for body in argument[1] for end in self.add_all(body, before, flags)]
        if kind in _GREEDY_OR_LAZY:
            fewest, most, body = argument
            return self._repeat((fewest, most), body, before, flags)
        if kind is _codes.AT:
            return self._attach(Node(test=self._test_at(argument, flags)), before)
        if kind in (_codes.ASSERT, _codes.ASSERT_NOT):
            return self._attach(Node(test=self._look_around(kind, argument, flags)), before)
        raise NoAutomaton

    def _attach(self, node: Node, before: list[Node]) -> list[Node]:
        """Add a node after the nodes in `before`; return it in a list, as the only node to continue from."""
        if len(self.nodes) >= _MOST_NODES:
            raise NoAutomaton
        self.nodes.append(node)
        for each in before:
            each.direct.append(node)
        return [node]

    def _repeat(self, times: tuple[int, int], body: Any, before: list[Node], flags: int) -> list[Node]:  # noqa: ANN401 - of re's parser
        """Add the nodes of a repetition; return the nodes at which it ends."""
        fewest, most = times
        is_unbounded = most == _codes.MAXREPEAT
        counted = fewest if is_unbounded else most
        kind, argument = body[0] if len(body) == 1 else (None, None)
        if kind in _ONE_CHARACTER and counted >= _COUNTED:
            ends = self._count(_make_accepts(kind, argument, flags), fewest, counted, before)
            # Without an upper bound, the same again follows any number of times.
            return self._repeat((0, most), body, ends, flags) if is_unbounded else ends
        # The body is added as often as it must match, and then as often as it may match besides.
        ends = before
        for _ in range(fewest):
            ends = self.add_all(body, ends, flags)
        if is_unbounded:
            # An empty node, to which each repetition returns.
            start = self._attach(Node(), ends)
            for end in self.add_all(body, start, flags):
                end.direct += start
            return start
        # The repetition may end after any of the optional bodies.
        all_ends = ends
        for _ in range(most - fewest):
            ends = self.add_all(body, ends, flags)
            all_ends = all_ends + ends
            if len(all_ends) > _MOST_NODES:
                raise NoAutomaton
        return all_ends

    def _count(self, accepts: Accepts, fewest: int, most: int, before: list[Node]) -> list[Node]:
        """Add one node for a character that is repeated often; return the nodes at which the repetition ends.

        The node counts the characters that it reads, and so takes the place of `most` nodes.
        """
        ends = self._attach(Node(accepts, fewest=max(1, fewest), most=most), before)
        # If there may be no such character at all, the nodes before it are ends, too.
        return ends if fewest else ends + before

    def _test_at(self, place: object, flags: int) -> Callable[[str, str], bool]:
        r"""Return the test for `^`, `\b` or the like, a function of the characters around a place."""
        if place in _AT_START:
            if place is _codes.AT_BEGINNING and flags & re.MULTILINE:
                return lambda before, _: before in ("", "\n")
            return lambda before, _: not before
        self.tests_next = True
        if place is _codes.AT_END and flags & re.MULTILINE:
            return lambda _, after: after in ("", "\n")
        if place is _codes.AT_END_STRING:
            return lambda _, after: not after
        if place in (_codes.AT_BOUNDARY, _codes.AT_NON_BOUNDARY):
            is_word = Accepts(re.compile(r"\w", flags & re.ASCII))
            is_boundary = place is _codes.AT_BOUNDARY
            return lambda before, after: (is_word[before] != is_word[after]) is is_boundary
        # `$` at the end of the text, or before a line break at its end.
        raise NoAutomaton

    def _look_around(self, kind: object, argument: Any, flags: int) -> Callable[[str, str], bool]:  # noqa: ANN401 - of re's parser
        """Return the test for a look-around of one character, a function of the characters around a place."""
        direction, body = argument
        wanted = kind is _codes.ASSERT
        if len(body) != 1 or body[0][0] not in _ONE_CHARACTER:
            raise NoAutomaton
        kind, argument = body[0]
        accepts = _make_accepts(kind, argument, flags)
        if direction < 0:
            return lambda before, _: accepts[before] is wanted
        self.tests_next = True
        return lambda _, after: accepts[after] is wanted


def _make_accepts(kind: object, argument: object, flags: int) -> Accepts:
    """Return the test of the characters that a construct such as `.` or `[a-z]` matches."""
    state = _parser.State()
    state.flags = flags & _SHARED_FLAGS
    return Accepts(_compiler.compile(_parser.SubPattern(state, [(kind, argument)]), state.flags))
