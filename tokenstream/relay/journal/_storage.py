"""Storage of a journal: keeps the records of answers for their producers and readers.

    producer   create ─▶ append, append, … ─▶ append(over=True)    with beat, beat, … in parallel
    reader     read, wait, read, wait, …                           and bury, if the producer is dead
    client     ask_stop

- The records of an answer have the positions 1, 2, 3, …; the record at a position never changes.
- A producer is identified by its token. Once it may have been replaced, its calls raise `Fenced`, and it
  must give up.
- Calls are idempotent: one whose outcome is unknown can be repeated without further effect.
- An answer expires some time after its end: its records are deleted, and `begin` is greater than `end`.
  For as long again its state is kept, so that late readers learn that it has expired; then it is unknown.
- `wait` and `wait_stop` are hints. They may return too early, and callers cancel and repeat them every
  few seconds, so that a lost notification costs only time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Asked: TypeAlias = Literal["asked", "ended", "unknown"]
"""Outcome of a request to stop an answer."""


class Fenced(Exception):
    """The answer is no longer this producer's: it was declared dead, or the storage lost the answer."""


@dataclass(frozen=True, slots=True)
class State:
    """The state of an answer.

    Example:
        >>> State(owner=None, begin=1, end=3, over=True, alive=False).end
        3
    """

    owner: str | None
    """The answer's owner; None if it has none."""
    begin: int
    """First position still held."""
    end: int
    """Last position written; 0 before the first."""
    over: bool
    """True once no more records will come."""
    alive: bool
    """True while the producer has sent a heartbeat within its lease; False once the answer is over."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of an answer, with its state when they were read.

    Example:
        >>> state = State(owner=None, begin=1, end=3, over=True, alive=False)
        >>> Page(state, 2, (b"{}", b"{}")).first
        2
    """

    state: State
    """The answer's state at the time of reading or earlier, never later."""
    first: int
    """Position of the first record; with no records, the position that would be read next."""
    records: tuple[bytes, ...]
    """The records, without gaps."""


class Storage(ABC):
    """Keeps the records of answers; subclass it to keep them elsewhere, and pass it to `Journal`.

    Every method may raise `JournalUnavailable` if trying again may help; the
    journal retries for a bounded time.
    """

    @abstractmethod
    async def create(self, id: str, *, owner: str | None, token: str, lease: float) -> bool:
        """Begin an answer; False if one with this id exists already, whatever its state.

        Args:
            id: The answer's id.
            owner: The answer's owner.
            token: Identifies the producer. If the existing answer is this producer's, the result is True.
            lease: Seconds for which the producer counts as alive from now.
        """

    @abstractmethod
    async def append(
        self, id: str, token: str, first: int, records: Sequence[bytes], *, lease: float, over: bool = False
    ) -> None:
        """Write records atomically, and end the answer if `over` is set.

        Records at positions already written are skipped: they are the same.

        Args:
            id: The answer's id.
            token: Identifies the producer.
            first: The position of the first record; at most one past the last one written.
            records: The records; may be empty.
            lease: Seconds for which the producer counts as alive from now.
            over: Whether these are the last records. Expiry then begins.

        Raises:
            Fenced: The answer is not this producer's, ended with fewer records, or has a gap before `first`.
        """

    @abstractmethod
    async def beat(self, id: str, token: str, *, lease: float) -> str | None:
        """Send a heartbeat, and return the reason to stop the answer; None to go on.

        Args:
            id: The answer's id.
            token: Identifies the producer.
            lease: Seconds for which the producer counts as alive from now.

        Raises:
            Fenced: The answer is not this producer's.
        """

    @abstractmethod
    async def bury(self, id: str, records: Sequence[bytes]) -> bool:
        """End an answer whose producer is dead, and fence that producer off.

        False, without any effect, if the answer is over or unknown, or its producer is alive.

        Args:
            id: The answer's id.
            records: The last records, written on the producer's behalf.
        """

    @abstractmethod
    async def ask_stop(self, id: str, reason: str) -> Asked:
        """Ask the producer of an answer, in any process, to stop it.

        Args:
            id: The answer's id.
            reason: The reason; the first one given counts.
        """

    @abstractmethod
    async def read(self, id: str, after: int, limit: int) -> Page | None:
        """Return the records after a position, without waiting; None if no answer has this id.

        If some of them were trimmed, the page has no records, and `state.begin` shows it.

        Args:
            id: The answer's id.
            after: The position; 0 for the beginning.
            limit: Most records to return; 0 for the state alone.
        """

    @abstractmethod
    async def wait(self, id: str, after: int) -> None:
        """Wait until there may be records after a position, or the answer has ended or disappeared.

        Args:
            id: The answer's id.
            after: The position.
        """

    @abstractmethod
    async def wait_stop(self, id: str) -> None:
        """Wait until a stop of the answer may have been requested.

        Args:
            id: The answer's id.
        """

    async def aclose(self) -> None:  # noqa: B027 - most have nothing to close
        """Close the resources that the storage opened itself."""
