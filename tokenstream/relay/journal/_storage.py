"""The storage of a journal, which keeps the records of answers for their producers and readers.

    producer   create ─▶ append, append, … ─▶ append(over=True)    with beat, beat, … in parallel
    reader     read, wait, read, wait, …                           and bury, if the producer is dead
    client     ask_stop

- The records of an answer have the positions 1, 2, 3, …; the record at a position never changes.
- A producer is identified by its token. Once the answer was ended on behalf of a producer that looked dead,
  calls of that producer raise a fenced `JournalError`, and it must give up.
- Calls are idempotent: a call whose outcome is unknown can be repeated without further effect.
- An answer expires some time after its end: its records are deleted, and `begin` is greater than `end`.
  Its state is kept for the same time after that, so that late readers learn that the answer has expired;
  then the answer is unknown.
- `wait` and `wait_stop` are hints. They may return too early, and callers cancel and repeat them every
  few seconds, so that a lost notification only costs time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, TypeVar

from anyio import CancelScope, current_time, move_on_after, sleep

from tokenstream.errors import MisuseError
from tokenstream.relay.journal._bounds import BOUNDS
from tokenstream.relay.journal._errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tokenstream.stages._tools.store import AnyCallStore

ResultT = TypeVar("ResultT")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""The first and the longest pause before a call is repeated, in seconds."""


def limit(
    storage: Storage, seconds: float, *, shield: bool = False
) -> AbstractContextManager[CancelScope | None]:
    """Return a context in which a call of a storage is cancelled after some seconds.

    A storage that hangs does not break the connection: without a limit, the call would never end. A storage
    that never waits (`Storage.instant`) needs none.
    """
    if storage.instant:
        return nullcontext()
    return move_on_after(seconds, shield=shield)


async def retry(
    storage: Storage, call: Callable[[], Awaitable[ResultT]], seconds: float, *, is_limited: bool = False
) -> ResultT:
    """Call a storage, and repeat the call while it is unreachable, for some seconds in all.

    A single attempt is cancelled after half of this time, unless it is limited by itself.
    """
    until, pause = current_time() + seconds, _FIRST_PAUSE
    while True:
        began = current_time()
        try:
            with nullcontext() if is_limited else limit(storage, seconds / 2):
                return await call()
            raise no_reply_error(storage, began, seconds / 2)
        except JournalError as error:
            if error.kind != "unavailable" or current_time() + pause > until:
                raise
        await sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def no_reply_error(storage: Storage, began: float, seconds: float) -> JournalError:
    """Return the error for a call that has got no reply within some seconds, which may be our own fault.

    A storage that meanwhile has answered another call does answer, and of one whose reply this process was
    too busy to read nothing is known.
    """
    is_silent = storage.heard_at < began and current_time() - began < 1.5 * seconds + 1
    if is_silent:
        return JournalError("the journal's storage does not answer")
    return JournalError("the journal's storage was not heard in time: it or this server is too busy")


ALIVE = -2
"""The position that `Storage.take_over` returns while the producer is alive."""
StopReply: TypeAlias = Literal["asked", "ended", "unknown"]
"""The outcome of a request to stop an answer; "ended" if the answer had ended before."""


@dataclass(frozen=True, slots=True)
class State:
    """The state of an answer in a storage: its owner, the positions of its records, and if it has ended.

    Example:
        >>> State(owner=None, begin=1, end=3, over=True, alive=False).end
        3
    """

    owner: str | None
    """The answer's owner; None if the answer has no owner."""
    begin: int
    """The position of the first record that is still held."""
    end: int
    """The position of the last record that was written; 0 before the first record."""
    over: bool
    """True once the answer has ended: no more records will be written."""
    alive: bool
    """True if the producer has sent a heartbeat within its lease; False once the answer has ended."""
    asked: str | None = None
    """The fingerprint of the request that started the answer; None if it had none."""
    token: str | None = field(default=None, compare=False, repr=False)
    """The token of the answer's producer; None if there is none any more, or the storage does not tell it."""


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
    """The position of the first record in `records`; without records, the position to read next."""
    records: tuple[bytes, ...]
    """The records, without gaps."""


class Storage(ABC):
    """Keeps the records of answers; subclass this class to keep them elsewhere, and pass it to `Journal`.

    Every method may raise `JournalError(…, kind="unavailable")` if a repeated call may succeed;
    the journal repeats calls for a limited time.
    """

    instant: ClassVar[bool] = False
    """True if no method waits but `wait` and `wait_stop`, so that calls need no limit of time and no task."""
    opening: int = BOUNDS.opening
    """Maximum number of answers that may wait for `create` at the same time, of those of one process."""
    limits_appends: ClassVar[bool] = False
    """True if `append` raises within its lease, or a second, so that only one with `over` needs a limit."""
    is_shared: ClassVar[bool] = False
    """True if other processes use the storage, and may go on with an answer whose producer is dead."""
    heard_at: float = -inf
    """The time of `anyio.current_time` at which the storage last answered; -inf if that is not known."""

    @abstractmethod
    async def create(
        self, id: str, *, owner: str | None, token: str, lease: float, asked: str | None = None
    ) -> bool:
        """Begin an answer.

        Args:
            id: The answer's id.
            owner: The answer's owner; None if it has none.
            token: Identifies the producer.
            lease: Seconds for which the producer counts as alive from now.
            asked: The fingerprint of the request, to be kept in the answer's state; None if the request has
                none.

        Returns:
            True if the answer has begun, now or by an earlier call for this producer; False if another
            producer's answer with this id exists, in any state.
        """

    @abstractmethod
    async def append(
        self, id: str, token: str, first: int, records: Sequence[bytes], *, lease: float, over: bool = False
    ) -> None:
        """Write records atomically, and end the answer if `over` is True.

        Records at positions that were written before are skipped: they are the same records.

        Args:
            id: The answer's id.
            token: Identifies the producer.
            first: The position of the first record: at most one more than the last written position.
            records: The records; the sequence may be empty.
            lease: Seconds for which the producer counts as alive from now.
            over: True if these are the last records. The answer then expires after some time.

        Raises:
            JournalError: With the kind "fenced": the answer does not belong to this producer, has ended with
                fewer records, or has a gap before `first`.
        """

    @abstractmethod
    async def beat(self, id: str, token: str, *, lease: float) -> str | None:
        """Report that a producer is alive.

        Args:
            id: The answer's id.
            token: Identifies the producer.
            lease: Seconds for which the producer counts as alive from now.

        Returns:
            The reason of a requested stop: the producer must stop the answer; None if no stop was requested.

        Raises:
            JournalError: With the kind "fenced": the answer does not belong to this producer.
        """

    async def take_over(
        self, id: str, *, owner: str | None, token: str, before: str, lease: float, wait: float
    ) -> tuple[int, bytes]:
        """Give an answer another producer, if it has none that is alive: the one before is fenced then.

        A storage that `is_shared` overrides it.

        Args:
            id: The answer's id.
            owner: The answer's owner; None if it has none.
            token: Identifies the new producer; "" for none, while readers wait for one.
            before: The token of a producer that leaves the answer itself; "" for none.
            lease: Seconds for which the new producer counts as alive from now.
            wait: The seconds of this lease for which readers wait for another producer, once this one is
                dead; negative if only an answer without a producer is taken.

        Returns:
            The last position, and what was kept for this producer; the position is -1 if the answer is
            unknown, over, or another owner's, and -2 while its producer is alive.
        """
        return -1, b""

    async def keep(self, id: str, token: str, kept: bytes) -> None:  # noqa: B027 - as `take_over`
        """Keep what an answer's next producer needs to go on with it, until the end; no reader sees it.

        Args:
            id: The answer's id.
            token: Identifies the producer; another one's call has no effect.
            kept: Replaces what is kept; empty for nothing.
        """

    @abstractmethod
    async def bury(self, id: str, records: Sequence[bytes]) -> bool:
        """End an answer whose producer is dead; later calls of this producer are fenced.

        Args:
            id: The answer's id.
            records: The last records, written on the producer's behalf.

        Returns:
            False if nothing was done: the answer is unknown or has ended, or its producer is alive.
        """

    @abstractmethod
    async def ask_stop(self, id: str, reason: str) -> StopReply:
        """Ask the producer of an answer, in any process, to stop it; without one, the answer may be buried.

        Args:
            id: The answer's id.
            reason: The reason for the stop; if several stops are requested, the first reason counts.

        Returns:
            "asked"; "ended" if the answer had ended before; "unknown" if no answer has this id.
        """

    @abstractmethod
    async def read(self, id: str, after: int, limit: int) -> Page | None:
        """Return the records after a position, without waiting; None if no answer has this id.

        If some of these records were trimmed, the page has none, and `state.begin` is beyond the position.

        Args:
            id: The answer's id.
            after: The position; 0 for the beginning.
            limit: The maximum number of records to return; 0 for the state alone.
        """

    @abstractmethod
    async def wait(self, id: str, after: int) -> None:
        """Wait until there may be records after a position, or the answer may have ended or disappeared.

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

    async def claim_key(self, key: str, id: str, *, owner: str | None, instead_of: str | None = None) -> str:
        """Return the id of the answer that a request's key stands for, atomically.

        Processes that share the storage must share the keys as well. So override this method if yours is
        shared; by default, the keys are in the memory of this process.

        Args:
            key: The key, as a hash.
            id: The id that the key stands for from now on, if it stood for none before, or for `instead_of`.
            owner: The owner of the answer; each has keys of its own.
            instead_of: The id of an answer that is no longer wanted; None if there is none.
        """
        held = self._keys.get((owner, key))
        if held is not None and held != instead_of:
            return held
        if len(self._keys) >= self._max_keys:
            self._forget_keys()
        self._keys[owner, key] = id
        return id

    _max_keys = 20_000
    """The number of keys above which some are forgotten."""

    @cached_property
    def _keys(self) -> dict[tuple[str | None, str], str]:
        """The ids of answers, by owner and key."""
        return {}

    def _forget_keys(self) -> None:
        """Forget the key that was claimed first."""
        del self._keys[next(iter(self._keys))]

    @property
    def calls(self) -> AnyCallStore:
        """A store of tool calls that is kept where the answers are; override it to offer one.

        Raises:
            MisuseError: The storage keeps no calls.
        """
        raise MisuseError(f"{type(self).__name__} keeps no calls: pass a store of tokenstream.call_store")

    async def aclose(self) -> None:  # noqa: B027 - most have nothing to close
        """Close the resources that the storage opened itself."""
