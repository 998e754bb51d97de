"""A peer: its use, its versions, and its result in a case."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.compare.conformance.packages import Packages, PythonPackages
from tests.compare.conformance.reader import Attempt
from tests.compare.conformance.recovery.cases import ARGUMENTS, CALL, Answer
from tests.compare.conformance.recovery.providers import DONE, World


@dataclass
class Told:
    """The text and the calls that a program has shown and run at the end."""

    text: str = ""
    """All pieces that it was given, in the order in which it shows them."""
    calls: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    """The name and the arguments of each call that it was given to run."""
    error: str | None = None
    """The class of the exception that it has got."""


class Peer(Packages, Protocol):
    """A library, used as its documentation recommends for streaming."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose versions count, the one it is named after first."""
        ...

    @property
    def falls_back(self) -> bool:
        """True if it can ask another provider."""
        ...

    def told(self, world: World) -> Told: ...


@dataclass(frozen=True)
class PythonPeer(PythonPackages):
    """A library that runs in this process."""

    tell: Callable[[World, Told], None] = field(kw_only=True)
    """Asks, shows the pieces and runs the calls, which it notes as they come."""
    falls_back: bool = True

    def told(self, world: World) -> Told:
        told = Told()
        with warnings.catch_warnings(), Attempt() as attempt:
            # Warnings of a peer about its own libraries are no result.
            warnings.simplefilter("ignore")
            self.tell(world, told)
        told.error = attempt.error
        return told


def judge(answer: Answer, told: Told) -> str:
    """Return what came of an answer, in the words of the page.

    Only the content counts, not what the library says of it: the pieces of text that were shown, the calls
    that were run, and whether there was an error.
    """
    text = told.text.removesuffix(DONE) if answer.calls and told.calls else told.text
    if any(call != (CALL, ARGUMENTS) for call in told.calls):
        return "half call run"
    if len(told.calls) > 1:
        return "call run twice"
    if not answer.text.startswith(text):
        shown = "doubled text" if len(text) > len(answer.text) or _repeats(text) else "wrong text"
        return shown if told.error is None else f"{shown}, then an error"
    if told.error is not None:
        kept = f"{len(text)} of {len(answer.text)} characters kept" if text else "nothing kept"
        return f"error, {kept}"
    is_whole = text == answer.text and len(told.calls) == answer.calls
    return "exact" if is_whole else "lost in silence"


def _repeats(text: str) -> bool:
    """Return True if the beginning of a text comes in it again."""
    return text[:16] in text[16:]
