"""Storage of a journal: where the records of answers are kept, for their producers and their readers.

    producer   create ─▶ append, append, … ─▶ append(over=True)      and beat, beat, … beside it
    reader     read, wait, read, wait, …                             and bury, where the producer is dead
    client     ask_stop

- The records of an answer have the positions 1, 2, 3, …; a position never changes what it holds.
- A producer is known by its token. Once another one could be in its place, `Fenced` tells it to give up.
- Each call may be repeated when nobody knows whether it took effect: the second time it changes nothing.
- An answer expires some time after its end: its records go, and `begin` is behind `end`. For as long again
  its state is still known, so that who comes then hears that it has expired; then it was never there.
- `wait` and `wait_stop` are hints. They may return too early; they are given up and asked again every
  few seconds, so that one that is lost costs time and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Asked", "Fenced", "Page", "State", "Storage"]

Asked: TypeAlias = Literal["asked", "ended", "unknown"]
"""What became of a request to stop an answer."""


class Fenced(Exception):
    """The answer is not, or no longer, the producer's: it was declared dead, or the storage has lost it."""


@dataclass(frozen=True, slots=True)
class State:
    """Where an answer stands.

    Example:
        >>> State(owner=None, begin=1, end=3, over=True, alive=False).end
        3
    """

    owner: str | None
    """Whose it is; None for nobody's."""
    begin: int
    """The first position that is still held."""
    end: int
    """The last position that was written; 0 before the first."""
    over: bool
    """No more records will come."""
    alive: bool
    """The producer has given a sign of life within its lease; False once the answer is over."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of an answer, and where it stood when they were read.

    Example:
        >>> state = State(owner=None, begin=1, end=3, over=True, alive=False)
        >>> Page(state, 2, (b"{}", b"{}")).first
        2
    """

    state: State
    """The state at the time of reading, or at an earlier one, but never at a later one."""
    first: int
    """The position of the first of the records; the first one that could be read where there are none."""
    records: tuple[bytes, ...]
    """The records, without gaps."""


class Storage(ABC):
    """What keeps the records of answers; a journal of another kind is a journal with another storage.

    Every method may raise `JournalUnavailable` where trying again may help: the
    journal does so, with bounds.
    """

    @abstractmethod
    async def create(self, id: str, *, owner: str | None, token: str, lease: float) -> bool:
        """Begin an answer, or tell that there is one of this id already, whatever its state.

        Args:
            id: The answer's id.
            owner: Whose it is.
            token: Names the producer. Where the answer is this producer's already, it is True again.
            lease: Seconds that the producer counts as alive from now on.
        """

    @abstractmethod
    async def append(
        self, id: str, token: str, first: int, records: Sequence[bytes], *, lease: float, over: bool = False
    ) -> None:
        """Write records, and end the answer where they are the last; all of it or nothing.

        Records at positions that are written already are left out: they are the same.

        Args:
            id: The answer's id.
            token: Names the producer.
            first: The position of the first one; at most one behind the last that was written.
            records: The records; there may be none.
            lease: Seconds that the producer counts as alive from now on.
            over: Whether no more will come. Expiry begins then.

        Raises:
            Fenced: The answer is not this producer's, has ended with fewer records, or a gap before `first`.
        """

    @abstractmethod
    async def beat(self, id: str, token: str, *, lease: float) -> str | None:
        """Give a sign of life, and return the reason why the answer is to be stopped; None for going on.

        Args:
            id: The answer's id.
            token: Names the producer.
            lease: Seconds that the producer counts as alive from now on.

        Raises:
            Fenced: The answer is not this producer's.
        """

    @abstractmethod
    async def bury(self, id: str, records: Sequence[bytes]) -> bool:
        """End an answer whose producer is dead with these last records, which it never wrote.

        It is False where the answer is over, unknown, or its producer alive. From
        then on its producer is fenced off.

        Args:
            id: The answer's id.
            records: Its last records.
        """

    @abstractmethod
    async def ask_stop(self, id: str, reason: str) -> Asked:
        """Ask the producer of an answer, in whatever process, to stop it.

        Args:
            id: The answer's id.
            reason: Why; the first one that is given counts.
        """

    @abstractmethod
    async def read(self, id: str, after: int, limit: int) -> Page | None:
        """Return what there is after a position, at once; None where no answer has this id.

        Where records after the position were trimmed already, it gives none, and `state.begin` tells it.

        Args:
            id: The answer's id.
            after: The position; 0 for the beginning.
            limit: The most records to return; 0 for the state alone.
        """

    @abstractmethod
    async def wait(self, id: str, after: int) -> None:
        """Wait until there may be something to read after a position, or the answer has ended or gone.

        Args:
            id: The answer's id.
            after: The position.
        """

    @abstractmethod
    async def wait_stop(self, id: str) -> None:
        """Wait until somebody may have asked the answer to stop.

        Args:
            id: The answer's id.
        """

    async def aclose(self) -> None:  # noqa: B027 - most have nothing to close
        """Close what the storage has opened itself."""
