"""All places of a text at which a match may begin, followed while the text is read once.

A place is a position in the text. Each node of the automaton has a set of places, as the bits of an int:
the places from which the text so far leads to that node. Reading a character moves the sets of all nodes,
so it costs the same however many places there are.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stages._matching.automaton import Automaton, Node

_CUTS = 16
"""Number of lengths, from the limit downwards, at which a match is also tried as if the text ended there."""
_MOST_STALE = 1_024
"""Number of lowest bits without meaning (places that were read long ago) from which they are dropped."""


class Starts:
    """The places of a text at which a match may begin, as far as the text was read.

    A place is a position in the text. A set of places is an int, in which each bit stands for a place.

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
        "_follows_one",
        "_limit",
        "_matched",
        "_nodes",
        "_tests_next",
        "now",
    )

    def __init__(self, automaton: Automaton, position: int, before: str, limit: int | None) -> None:
        # The pattern.
        self._automaton = automaton
        self._limit = limit
        self._tests_next = automaton.tests_next and limit is not None
        """True if a match may exist only because the text is cut at the limit."""

        # The text.
        self.now = position
        """The end of the text that was read."""
        self._before = before
        """The character before that end; "" at the start of the text."""
        self._base = position
        """The place that the lowest bit of each set stands for."""

        # The matches that may still come about.
        self._nodes: dict[Node, int] = {}
        """Maps each node to the places from which the text so far leads to it, as bits."""
        self._counts: dict[Node, _CharacterCount] = {}
        """Maps each counting node to the counts of the characters that it has read."""
        self._follows_one = False
        """True once `keep_only` has chosen a match: from then on, no other match begins."""

        # The matches that were found.
        self._matched = 0
        """Places, as bits, at which a match begins that is no longer than the limit."""
        self._cut = 0
        """Places, as bits, where a match begins if the text is cut at the limit or up to 15 places before."""

    @property
    def has_matches(self) -> bool:
        """True if the text that was read contains a match, or would contain one if it ended there."""
        return self._matched != 0 or self._automaton.last in self._pass_tests(self._nodes, self._before, "")

    def first(self, position: int) -> int | None:
        """Return the first place from `position` on where a match begins or may begin; None if none does."""
        places = (self._matched | self._open) >> max(0, position - self._base)
        if not places:
            return None
        lowest_bit = places & -places
        return max(position, self._base) + lowest_bit.bit_length() - 1

    def is_open(self, position: int) -> bool:
        """Return True if a match that begins at a place may still change or come about."""
        return bool(self._open >> (position - self._base) & 1)

    def has_match(self, position: int, *, cut: bool = False) -> bool:
        """Return True if a match that is no longer than the limit begins at a place.

        With `cut`, this includes a match that exists only if the text is cut at the limit.
        """
        places = self._matched | self._cut if cut else self._matched
        return bool(places >> (position - self._base) & 1)

    def keep_only(self, position: int) -> None:
        """Follow the match that begins at a place, and no others."""
        self._keep(1 << (position - self._base))
        self._follows_one = True

    def forget_before(self, position: int) -> None:
        """Free the memory of the places before `position`, which the caller does not ask for again."""
        stale = position - self._base
        if stale >= _MOST_STALE:
            self._base = position
            self._matched >>= stale
            self._cut >>= stale
            self._nodes = {node: mask >> stale for node, mask in self._nodes.items()}
            for count in self._counts.values():
                count.change(lambda mask: mask >> stale)

    def drop_start(self, length: int) -> None:
        """Adapt all positions: the caller has removed the first `length` characters of the text."""
        self._base -= length
        self.now -= length

    def drop_middle(self, length: int) -> None:
        """Adapt the reading position: the caller has removed `length` characters behind all places."""
        self.now -= length

    def read(self, text: str, end: int) -> None:
        """Read text up to `end`, or up to the first character after which no match is open."""
        for position in range(self.now, end):
            self._read_character(text[position], position)
            if not self._nodes and not self._counts:
                break

    def _read_character(self, char: str, position: int) -> None:
        """Read the character at a position, and record the matches that end before or after it.

        Each node that accepts the character passes its places, the starts of possible matches, on to the
        nodes that follow it. A place whose nodes all refuse the character is dropped.
        """
        last, counts = self._automaton.last, self._counts
        if not self._follows_one:
            self._begin_at(position)
        # The nodes to which the text leads after this character, each with its places as bits.
        reached: dict[Node, int] = {}
        for node, places in self._pass_tests(self._nodes, self._before, char).items():
            if node.most:
                # A counting node, for a repeat such as `a{2,5}`: `_step_counts` moves its places.
                if node not in counts:
                    counts[node] = _CharacterCount(node)
                counts[node].entering |= places
            elif node is last:
                # Only a test of this character, such as `\b`, was missing: the match ends before it.
                self._record_matches(places, position)
            elif node.accepts is not None and node.accepts[char]:
                for following in node.following:
                    reached[following] = reached.get(following, 0) | places
        if counts:
            self._step_counts(char, reached)
        self.now = position + 1
        # The matches of which this is the last character.
        self._record_matches(reached.pop(last, 0), position + 1)
        if self._tests_next and reached:
            self._record_cut_matches(reached, char)
        self._nodes, self._before = reached, char

    def _begin_at(self, position: int) -> None:
        """Add the place that is read next to the places at which a match may begin."""
        nodes, place = self._nodes, 1 << (position - self._base)
        for node in self._automaton.first:
            nodes[node] = nodes.get(node, 0) | place

    def end(self) -> None:
        r"""Record the matches that exist because the text ends here, such as one of `ab\b`."""
        for node, mask in self._pass_tests(self._nodes, self._before, "").items():
            if node is self._automaton.last:
                self._record_matches(mask, self.now)
        self._nodes = {}
        self._counts = {}

    @property
    def _open(self) -> int:
        """The places, as a set of bits, at which a match may still begin or change."""
        places = 0
        for mask in self._nodes.values():
            places |= mask
        for count in self._counts.values():
            places |= count.open
        return places

    def _keep(self, places: int) -> None:
        """Forget all places except those in `places`, a set of bits."""
        self._matched &= places
        self._cut &= places
        self._nodes = {node: mask & places for node, mask in self._nodes.items() if mask & places}
        for count in self._counts.values():
            count.change(lambda mask: mask & places)

    def _record_matches(self, places: int, end: int) -> None:
        """Record that matches from `places` end at `end`, except for those that are longer than the limit."""
        if places:
            oldest = 0 if self._limit is None else max(0, end - self._limit - self._base)
            # The two shifts clear the bits of the places before the oldest.
            self._matched |= places >> oldest << oldest

    def _record_cut_matches(self, nodes: dict[Node, int], before: str) -> None:
        """Record the matches that would exist if the text ended here, if they are about as long as the limit.

        They count if the whole match turns out to be longer, because the text is then cut at the limit.
        """
        # A match that begins at the place of this bit, and ends here, is as long as the limit. Only this
        # place and the `_CUTS` - 1 places after it are near the limit. The number is negative if the place
        # lies before the first bit.
        limit_bit = self.now - (self._limit or 0) - self._base
        if limit_bit + _CUTS <= 0:
            return
        all_cuts = (1 << _CUTS) - 1
        near_limit = all_cuts << limit_bit if limit_bit >= 0 else all_cuts >> -limit_bit
        near_nodes = {
            node: places & near_limit for node, places in nodes.items() if node.test and places & near_limit
        }
        if near_nodes:
            self._cut |= self._pass_tests(near_nodes, before, "").get(self._automaton.last, 0)

    def _step_counts(self, char: str, reached: dict[Node, int]) -> None:
        """Let the counting nodes, such as that of `a{2,5}`, read a character.

        The places for which a node has now read enough characters are added in `reached` to the nodes
        after it.
        """
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
        """Return the nodes that are reached between two characters once their tests are done.

        A node that tests the characters `before` and `after` is replaced by the nodes after it if the test is
        passed, and left out if not.
        """
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
                # A node that is reached again matters only for places from which it was not reached before.
                if mask & ~known:
                    target[following] = known | mask
                    if following.test is not None:
                        waiting.append(following)
        return passed


class _CharacterCount:
    """Counts, for each place at which a match may begin, the characters that a counting node has read.

    Such a node stands for a repeated character, as in `a{2,5}`. A set of places is an int, as in `Starts`.
    """

    __slots__ = ("_early", "_fewest", "_leaving", "_staying", "entering")

    def __init__(self, node: Node) -> None:
        self.entering = 0
        """The places from which the text leads to the node."""
        self._fewest = node.fewest
        self._early: deque[int] = deque()
        """The places that entered last, for which the node has read too few characters."""
        self._leaving = _Window(node.most - node.fewest + 1)
        """The places for which the node has read enough characters."""
        self._staying = _Window(node.most - 1)
        """The places for which the node may read another character."""

    @property
    def open(self) -> int:
        """The places, as a set of bits, for which the node may read another character."""
        return self._staying.union | self.entering

    def step(self) -> int:
        """Count a character; return the places, as a set of bits, for which the node has now read enough."""
        # Each call adds one set, so the age of a set is the number of characters that the node has read for
        # its places.
        entering, self.entering = self.entering, 0
        self._staying.add(entering)
        self._early.append(entering)
        if len(self._early) >= self._fewest:
            self._leaving.add(self._early.popleft())
        return self._leaving.union

    def change(self, change: Callable[[int], int]) -> None:
        """Apply a function, such as a shift of the bits, to all sets of places."""
        self.entering = change(self.entering)
        self._early = deque(map(change, self._early))
        self._leaving.change(change)
        self._staying.change(change)


class _Window:
    """A window over the sets that were added last; it knows their union, in constant time for each set.

    Args:
        size: The number of sets in the window.
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
        """The union of the sets in the window, as the bits of an int."""
        return self._new_union | (self._old[-1] if self._old else 0)

    def add(self, places: int) -> None:
        """Add a set of places to the window, and drop the oldest set if the window is full.

        To drop a set from a union of all sets is impossible, since other sets may have the same places. So
        the older sets are stored as unions, each of a set and all newer ones of them: the last union is
        that of all older sets, and dropping it drops the oldest set alone.
        """
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
        """Apply a function to all sets; applied to a union, it must give the union of its results."""
        self._new = [*map(change, self._new)]
        self._new_union = change(self._new_union)
        self._old = [*map(change, self._old)]
