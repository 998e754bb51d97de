"""All places of a text at which a match may begin, followed while the text is read once.

Each node of the automaton has a set of places, as the bits of an int: the places from which
the text so far leads to that node. A character moves the sets of all nodes, so it costs the
same however many places there are.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stages._matching.automaton import Automaton, Node

_CUTS = 16
"""Number of places before the limit at which a match that tests the next character counts as cut."""
_MOST_STALE = 1_024
"""Number of places without meaning after which the bits are renumbered."""


class Starts:
    """The places of a text at which a match may begin, as far as the text was read.

    Args:
        automaton: The pattern.
        position: The place at which reading begins.
        before: The character before that place; "" at the start of the text.
        limit: The length of the longest match to look for; None if the pattern limits it.
    """

    __slots__ = (
        "_automaton",
        "_base",
        "_before",
        "_counts",
        "_cut",
        "_limit",
        "_matched",
        "_nodes",
        "_only",
        "_tests_next",
        "now",
    )

    def __init__(self, automaton: Automaton, position: int, before: str, limit: int | None) -> None:
        self._automaton = automaton
        self._limit = limit
        self._tests_next = automaton.tests_next and limit is not None
        """True if a match may exist only because the text is cut at the limit."""
        self._before = before
        self._base = position
        """The place that the lowest bit stands for."""
        self.now = position
        """The end of the text that was read."""
        self._nodes: dict[Node, int] = {}
        """The places from which the text leads to each node."""
        self._counts: dict[Node, _Count] = {}
        """The numbers of characters that the counting nodes have read."""
        self._matched = 0
        """Places at which a match begins that is no longer than the limit."""
        self._cut = 0
        """Places at which a match begins if the text is cut at the limit, or up to 15 characters before."""
        self._only = False
        """True if no match begins at later places."""

    @property
    def has_matches(self) -> bool:
        """True if a match was found in the text that was read, or if its end would make one."""
        return self._matched != 0 or self._automaton.last in self._pass_tests(self._nodes, self._before, "")

    def first(self, position: int) -> int | None:
        """Return the first place from `position` on where a match begins or may still begin; None without."""
        places = (self._matched | self._open) >> max(0, position - self._base)
        if not places:
            return None
        return max(position, self._base) + (places & -places).bit_length() - 1

    def is_open(self, position: int) -> bool:
        """Return True if a match that begins at a place may still change or come about."""
        return bool(self._open >> (position - self._base) & 1)

    def has_match(self, position: int, *, cut: bool = False) -> bool:
        """Return True if a match within the limit begins at a place; with `cut`, or if a cut makes one."""
        places = self._matched | self._cut if cut else self._matched
        return bool(places >> (position - self._base) & 1)

    def keep_only(self, position: int) -> None:
        """Follow the match that begins at a place, and no others."""
        self._keep(1 << (position - self._base))
        self._only = True

    def forget_before(self, position: int) -> None:
        """Save space: no place before `position` is asked for again."""
        stale = position - self._base
        if stale >= _MOST_STALE:
            self._base = position
            self._matched >>= stale
            self._cut >>= stale
            self._nodes = {node: mask >> stale for node, mask in self._nodes.items()}
            for count in self._counts.values():
                count.change(lambda mask: mask >> stale)

    def shift(self, length: int) -> None:
        """Take note that the text has lost `length` characters at its start."""
        self._base -= length
        self.now -= length

    def skip_back(self, length: int) -> None:
        """Take note that the text has lost `length` characters of its middle."""
        self.now -= length

    def read(self, text: str, end: int) -> None:
        """Read text up to `end`, or up to the first character after which no match is open."""
        for position in range(self.now, end):
            self._read_character(text[position], position)
            if not self._nodes and not self._counts:
                break

    def _read_character(self, char: str, position: int) -> None:
        """Read a character, at a place."""
        last, counts = self._automaton.last, self._counts
        if not self._only:
            self._begin_at(position)
        reached: dict[Node, int] = {}
        for node, mask in self._pass_tests(self._nodes, self._before, char).items():
            if node.most:
                if node not in counts:
                    counts[node] = _Count(node)
                counts[node].entering |= mask
            elif node is last:
                # The match ends before this character.
                self._note(mask, position)
            elif node.accepts is not None and node.accepts[char]:
                for following in node.following:
                    reached[following] = reached.get(following, 0) | mask
        if counts:
            self._step_counts(char, reached)
        self.now = position + 1
        self._note(reached.pop(last, 0), position + 1)
        if self._tests_next and reached:
            self._note_cut(reached, char)
        self._nodes, self._before = reached, char

    def _begin_at(self, position: int) -> None:
        """Take note that a match may begin at a place, which is read next."""
        nodes, place = self._nodes, 1 << (position - self._base)
        for node in self._automaton.first:
            nodes[node] = nodes.get(node, 0) | place

    def end(self) -> None:
        """Take note of the matches that the end of the text makes."""
        for node, mask in self._pass_tests(self._nodes, self._before, "").items():
            if node is self._automaton.last:
                self._note(mask, self.now)
        self._nodes = {}
        self._counts = {}

    @property
    def _open(self) -> int:
        """The places at which a match may still begin or change."""
        places = 0
        for mask in self._nodes.values():
            places |= mask
        for count in self._counts.values():
            places |= count.open
        return places

    def _keep(self, places: int) -> None:
        """Forget all places but some."""
        self._matched &= places
        self._cut &= places
        self._nodes = {node: mask & places for node, mask in self._nodes.items() if mask & places}
        for count in self._counts.values():
            count.change(lambda mask: mask & places)

    def _note(self, places: int, end: int) -> None:
        """Take note of matches that end at a place, unless they are too long."""
        if places:
            oldest = 0 if self._limit is None else max(0, end - self._limit - self._base)
            self._matched |= places >> oldest << oldest

    def _note_cut(self, nodes: dict[Node, int], before: str) -> None:
        """Take note of the matches there would be if the text ended here, near the limit."""
        oldest = self.now - (self._limit or 0) - self._base
        if oldest + _CUTS <= 0:
            return
        near = ((1 << _CUTS) - 1) << oldest if oldest >= 0 else (1 << (_CUTS + oldest)) - 1
        near_nodes = {node: mask & near for node, mask in nodes.items() if node.test and mask & near}
        if near_nodes:
            self._cut |= self._pass_tests(near_nodes, before, "").get(self._automaton.last, 0)

    def _step_counts(self, char: str, reached: dict[Node, int]) -> None:
        """Let the counting nodes read a character."""
        for node, count in [*self._counts.items()]:
            accepts = node.accepts
            if accepts is None or not accepts[char]:
                del self._counts[node]
                continue
            leaving = count.step()
            if leaving:
                for following in node.following:
                    reached[following] = reached.get(following, 0) | leaving
            if not count.open:
                del self._counts[node]

    def _pass_tests(self, nodes: dict[Node, int], before: str, after: str) -> dict[Node, int]:
        """Return the nodes reached at a place once all tests of the characters around it are made."""
        waiting = [node for node in nodes if node.test is not None]
        if not waiting:
            return nodes
        passed = {node: mask for node, mask in nodes.items() if node.test is None}
        tested = {node: nodes[node] for node in waiting}
        while waiting:
            node = waiting.pop()
            test, mask = node.test, tested[node]
            if test is None or not test(before, after):
                continue
            for following in node.following:
                target = passed if following.test is None else tested
                known = target.get(following, 0)
                if mask & ~known:
                    target[following] = known | mask
                    if following.test is not None:
                        waiting.append(following)
        return passed


class _Count:
    """The numbers of characters that a counting node has read, one for each place.

    Args:
        node: The node.
    """

    __slots__ = ("_early", "_fewest", "_leaving", "_staying", "entering")

    def __init__(self, node: Node) -> None:
        self.entering = 0
        """The places from which the text leads to the node."""
        self._fewest = node.fewest
        self._early: deque[int] = deque()
        """The places that entered last, for which the node has read too few characters."""
        self._leaving = _Window(node.most - node.fewest + 1)
        """The places for which it has read enough characters."""
        self._staying = _Window(node.most - 1)
        """The places for which it may read another character."""

    @property
    def open(self) -> int:
        """The places for which the node may read another character."""
        return self._staying.union | self.entering

    def step(self) -> int:
        """Read a character; return the places for which the node has read enough."""
        entering, self.entering = self.entering, 0
        self._staying.add(entering)
        self._early.append(entering)
        if len(self._early) >= self._fewest:
            self._leaving.add(self._early.popleft())
        return self._leaving.union

    def change(self, change: Callable[[int], int]) -> None:
        """Change all sets of places."""
        self.entering = change(self.entering)
        self._early = deque(map(change, self._early))
        self._leaving.change(change)
        self._staying.change(change)


class _Window:
    """The union of the last sets that were added, kept up to date in constant time.

    Args:
        size: How many of the last sets count.
    """

    __slots__ = ("_new", "_new_union", "_old", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._new: list[int] = []
        """The newer sets, in order."""
        self._new_union = 0
        self._old: list[int] = []
        """Unions of the older sets, each of a set and all newer ones of them; the oldest last."""

    @property
    def union(self) -> int:
        """The union of the sets."""
        return self._new_union | (self._old[-1] if self._old else 0)

    def add(self, places: int) -> None:
        """Add a set, and drop the oldest one if there are too many."""
        self._new.append(places)
        self._new_union |= places
        if len(self._new) + len(self._old) > self._size:
            if not self._old:
                union = 0
                for each in reversed(self._new):
                    union |= each
                    self._old.append(union)
                self._new, self._new_union = [], 0
            self._old.pop()

    def change(self, change: Callable[[int], int]) -> None:
        """Change all sets; the change of a union must be the union of the changes."""
        self._new = [*map(change, self._new)]
        self._new_union = change(self._new_union)
        self._old = [*map(change, self._old)]
