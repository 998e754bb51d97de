"""Finds the tool calls with which a model's reasoning ends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from typing_extensions import override

from tokenstream._basics.json import is_one_value
from tokenstream.stages._calls.calls import CallScanner
from tokenstream.stages._calls.steps import CallBegun, CallEnded, Written

if TYPE_CHECKING:
    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream.stages._calls.dialects import Dialect
    from tokenstream.stages._calls.steps import Piece

_MOST_READ = 512
"""The most characters of reasoning that are read at once: no more than a `CallScanner` does."""
TakenCall: TypeAlias = "tuple[CallBegun, list[Written | CallEnded]]"
"""Everything that has happened to a call."""


class _RunScanner(CallScanner):
    """A scanner that stops behind the calls of an opening."""

    __slots__ = ("behind",)

    behind: str
    """The text behind the calls, which was not read."""

    @override
    def _leave(self, rest: str) -> str:
        self.behind = super()._leave(rest)
        return ""


class ThoughtScanner:
    """Holds back the calls at the end of a model's reasoning: they are calls if nothing else follows.

    Args:
        dialects: The dialects of calls.
        tools: The tools of the request.
        limit: The most characters that are held back; behind more of them, no call is looked for.
    """

    __slots__ = ("_held", "_limit", "_make", "_scanner", "_size", "calls")

    def __init__(self, dialects: tuple[Dialect, ...], tools: OfferedTools, limit: int) -> None:
        self._make = partial(_RunScanner, dialects, tools)
        self._scanner = self._make()
        self._limit = limit
        self._held: list[str] = []
        """The text of the calls that are held back."""
        self._size = 0
        self.calls: list[TakenCall] = []
        """Everything that has happened to each of them."""

    @property
    def firsts(self) -> frozenset[str]:
        """Characters of which a text with an opening has one."""
        return self._scanner.firsts

    def passes(self, text: str) -> bool:
        """Return True if a piece can be returned as it is."""
        return not self.calls and self._scanner.passes(text)

    def skim(self, text: str) -> None:
        """Read a piece that the caller returns unchanged (`passes` was True)."""
        self._scanner.skim(text)

    def feed(self, text: str) -> str:
        """Return the reasoning that is decided."""
        if self.passes(text):
            self.skim(text)
            return text
        out: list[str] = []
        while text:
            scanner, block, text = self._scanner, text[:_MOST_READ], text[_MOST_READ:]
            undecided, scanner.behind = scanner.held, ""
            self._take(scanner, undecided + block, scanner.feed(block), out)
            if scanner.behind:
                held = "".join(self._held).removesuffix(scanner.behind)
                self._held, self._size = [held], len(held)
                text = scanner.behind + text
            self._bound(out)
        return "".join(out)

    def end(self) -> str:
        """Return the reasoning that is decided at its end, where calls may still be held back."""
        scanner, out = self._scanner, list[str]()
        undecided, scanner.behind = scanner.held, ""
        self._take(scanner, undecided, scanner.end(), out)
        self._scanner = self._make()
        self._bound(out)
        if scanner.behind.strip() or not all(map(_is_whole, self.calls)):
            out.append(self.release())
        return "".join(out)

    def release(self) -> str:
        """Return the text of the calls that were held back, and forget them."""
        text, self._size = "".join(self._held), 0
        self._held.clear()
        self.calls.clear()
        return text

    def _take(self, scanner: CallScanner, text: str, pieces: list[Piece], out: list[str]) -> None:
        """Take the pieces of a text: other text behind calls shows that they were only considered."""
        for piece in pieces:
            if isinstance(piece, str):
                # A scanner leaves out white space behind a call.
                start = text.index(piece)
                self._hold(text[:start])
                self._bound(out)
                out += [self.release(), piece]
                text = text[start + len(piece) :]
            elif isinstance(piece, CallBegun):
                self.calls.append((piece, []))
            else:
                self.calls[-1][1].append(piece)
        if self.calls:
            self._hold(text[: len(text) - len(scanner.held)])

    def _hold(self, text: str) -> None:
        """Hold back a text."""
        self._held.append(text)
        self._size += len(text)

    def _bound(self, out: list[str]) -> None:
        """Release what is held back if it is too long, and look for no call any more."""
        if self._size > self._limit:
            out.append(self.release())
            self._make = partial(_RunScanner, (), None)
            self._scanner = self._make()


def _is_whole(call: TakenCall) -> bool:
    """Return True if nothing of a call is missing but the end of its markup."""
    *pieces, ended = call[1]
    arguments = "".join([each.text for each in pieces if isinstance(each, Written)])
    return isinstance(ended, CallEnded) and ended.how in {"closed", "open"} and is_one_value(arguments)
