"""The class `Purse`: money and tokens for many answers, of which each request reserves what it may cost."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from functools import partial
from hashlib import sha256
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.elsewhere import UnsupportedUse, explain_all_options
from tokenstream.errors import MisuseError, PurseUnavailable
from tokenstream.limits import check_seconds, check_whole
from tokenstream.recovery._ledger import (
    Amount,
    ClaimChange,
    ClaimKind,
    FileLedger,
    MemoryLedger,
    PurseReply,
    RedisLedger,
)
from tokenstream.stream._log import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from tokenstream._basics.call_keys import AnswerIdentity
    from tokenstream.message import Usage

_NO_BOUNDS = Amount(10**18, 10**18)
_RENEWED = 1.0
"""The longest time, in seconds, after which the purse knows what has been read of an answer."""
_ALONE = (
    "a Purse in memory belongs to the process that made it, or each would spend all of it: make it in each "
    "worker, after the fork, or give it file=, or redis= with a URL, which all of them share"
)
_LIVE = (
    "a Purse with a client of Redis cannot be copied or pickled, because the client has connections: "
    "give it the URL, as in Purse(redis='redis://localhost')"
)


class Purse:
    """Money and tokens that many answers share, for `Retry(most=purse)`, in any thread, process or machine.

    Before a request is sent, the most that its answer may cost is reserved: a token of input for every two
    bytes of the request's JSON, 2,000 for an image and 20,000 for a document, and the tokens of its output
    limit. Once the answer has ended, its cost is spent, and the rest is free again. If it costs more, that is
    reserved while it arrives, and an answer is stopped once the purse is empty. For a request that a function
    of yours makes, everything is reserved while the answer arrives.

    Room that other requests have only reserved is waited for, as long as `Retry.within` allows. A request
    that would have no room if they all cost nothing is not sent. For both, `OutputIncomplete` is raised.

    Args:
        most: The highest sum of all costs, by `Route.price`, by `price` or by the table of the extra
            `prices`; None for no bound.
        price: Returns the cost of the given token counts, for requests without a `Route.price`; None for the
            table.
        tokens: The most tokens of all requests and answers; None for no bound.
        file: An SQLite file for what was spent and reserved, created if it is missing. None, without `redis`,
            for this process alone.
        redis: The URL of a Redis, or a `redis.Redis`, with which an `AsyncStream` talks in a thread.
        name: The key in Redis.
        lease: Seconds after which a reservation of a killed process ends: its input and what had been read
            are spent, and the rest is free.

    Raises:
        MisuseError: There is no bound, or an option is wrong; a purse in memory or with a client was pickled,
            or one in memory is used after a fork.
        StreamError: The file or Redis cannot be used now; raised where the purse is asked.

    Example:
        >>> purse = Purse(most=5.0, tokens=2_000_000)
        >>> purse.spent, purse.tokens_spent
        (0.0, 0)
        >>> print(purse)
        0 and 0 tokens of 5 and 2,000,000 tokens are spent
    """

    @explain_all_options()
    def __init__(
        self,
        *,
        most: float | None = None,
        price: Callable[[Usage], float] | None = None,
        tokens: int | None = None,
        file: str | os.PathLike[str] | None = None,
        redis: Redis | str | None = None,
        name: str = "tokenstream:purse",
        lease: float = 10.0,
    ) -> None:
        if most is None and tokens is None:
            raise MisuseError("a Purse without a bound bounds nothing: give most=, tokens=, or both")
        if file is not None and redis is not None:
            raise MisuseError("a Purse is in one place: give file= or redis=")
        if price is not None and (most is None or not callable(price)):
            raise MisuseError("price= is a function that takes a Usage and returns a number, beside most=")
        self.most = None if most is None else check_seconds("most", most, unit="money")
        self.price = price
        """The caller's price of requests without one of their own; None for the table."""
        self.tokens = None if tokens is None else check_whole("tokens", tokens)
        money = _NO_BOUNDS.money if self.most is None else Amount.of(self.most, 0).money
        self.bounds = Amount(money, self.tokens or _NO_BOUNDS.tokens)
        lease = check_seconds("lease", lease)
        # A relative path would be another file in another process.
        file = None if file is None else os.path.abspath(os.fspath(file))  # noqa: PTH100 - keeps a "~"
        self._given: dict[str, Any] = {
            "most": most, "price": price, "tokens": tokens, "file": file, "redis": redis, "name": name,
            "lease": lease,
        }  # fmt: skip
        """The options, with which another process makes the same purse."""
        self.waits = file is not None or redis is not None
        """True if a change waits for a file or for Redis, and so is made in a thread for an `AsyncStream`."""
        self._dropped = list[str]()
        """The reservations whose streams were collected, in memory."""
        self._ledger: MemoryLedger | FileLedger | RedisLedger = MemoryLedger(self._dropped)
        if file is not None:
            self._ledger = FileLedger(file, lease)
        elif redis is not None:
            self._ledger = RedisLedger(redis, name, lease)
        self._process, self._lock = os.getpid(), Lock()
        self._running: weakref.WeakSet[Claim] = weakref.WeakSet()
        self._beating: Event | None = None
        """Set to end the thread that renews them; None if there is none."""

    def __reduce__(self) -> tuple[Callable[[], Purse], tuple[()]]:
        if not self.waits:
            raise UnsupportedUse(_ALONE)
        if not isinstance(self._given["redis"], str | None):
            raise UnsupportedUse(_LIVE)
        return partial(Purse, **self._given), ()

    def __str__(self) -> str:
        return self.compare(self.look())

    @property
    def spent(self) -> float:
        """The costs of all answers so far, with what is reserved for those that have not ended."""
        return self.look().cost

    @property
    def tokens_spent(self) -> int:
        """The tokens of all answers so far, with those that are reserved for answers that have not ended."""
        return self.look().tokens

    def look(self) -> Amount:
        """Return what is spent, with what is reserved."""
        reply = self.change(ClaimChange("", Amount(), Amount(), Amount(), "note"))
        return reply.spent.plus(reply.held)

    def change(self, change: ClaimChange) -> PurseReply:
        """Change what is spent and reserved, if there is room."""
        if not self.waits and os.getpid() != self._process:
            raise MisuseError(_ALONE)
        try:
            return self._ledger.change(change, self.bounds)
        except self._ledger.failures as error:
            why = f"{self._ledger.place} cannot be used now ({type(error).__name__})"
            raise PurseUnavailable(f"the purse's {why}") from error

    def compare(self, spent: Amount) -> str:
        """Return the words for what is spent, beside the bounds."""
        return f"{self.describe(spent)} of {self.describe(self.bounds)} are spent"

    def describe(self, amount: Amount) -> str:
        """Return the words for an amount, in what the purse bounds."""
        money = None if self.most is None else f"{max(amount.cost, 0.0):.6g}"
        tokens = None if self.tokens is None else f"{max(amount.tokens, 0):,} tokens"
        return " and ".join(filter(None, (money, tokens)))

    # -- renewing ----------------------------------------------------------

    def renew(self, claim: Claim) -> None:
        """Renew a reservation from now on, until it ends or its stream is collected."""
        if not self.waits:
            # Nothing outlives this process, and so the end of the stream frees the room.
            finalizer = weakref.finalize(claim, self._dropped.append, claim.id)
            finalizer.atexit = False
            return
        with self._lock:
            if os.getpid() != self._process:
                # Those of the process from which this one was forked are its own.
                self._running, self._beating, self._process = weakref.WeakSet(), None, os.getpid()
            self._running.add(claim)
            if self._beating is None:
                self._beating = Event()
                beat = Thread(target=self._beat, args=[self._beating], name="tokenstream purse", daemon=True)
                beat.start()

    def leave(self, claim: Claim) -> None:
        """Renew a reservation no more."""
        with self._lock:
            self._running.discard(claim)
            if not self._running and self._beating is not None:
                self._beating.set()
                self._beating = None

    def _beat(self, ended: Event) -> None:
        while not ended.wait(min(self._given["lease"] / 3, _RENEWED)):
            with self._lock:
                # Streams that were collected leave none.
                if not (claims := [*self._running]):
                    self._beating = None
                    return
            while claims:
                claims.pop().renew()


class Claim:
    """A reservation for one answer, with all its requests, in any number of attempts."""

    def __init__(self, purse: Purse) -> None:
        self.purse, self.id, self._lock = purse, os.urandom(12).hex(), Lock()
        self.is_over, self._is_renewed = True, False
        """The first is False from the first change until the end of the answer."""
        self._known = self.sure = self.taken = Amount()
        """The amounts known to the purse, certainly spent by now, and taken for the whole answer."""

    def begin(self, job: AnswerIdentity | None) -> None:
        """Begin to reserve for an answer, in place of a process that had its job before and is dead."""
        if job is not None and "/" not in self.id:
            self.id = f"{sha256(job.id.encode()).hexdigest()[:24]}/{self.id}"
        self.is_over = False

    def change(self, sure: Amount, taken: Amount, kind: ClaimKind) -> PurseReply:
        """Change the amounts if there is room; an answer that is over gets none."""
        with self._lock:
            if self.is_over and kind != "note":
                return PurseReply(0)
            reply = self.purse.change(ClaimChange(self.id, self._known, sure, taken.minus(sure), kind))
            if reply.made == 1:
                self._known, self.sure, self.taken = sure, sure, taken
            if any(taken.minus(sure)) and not self._is_renewed:
                self._is_renewed = True
                self.purse.renew(self)
        return reply

    def renew(self) -> None:
        with self._lock, suppress(PurseUnavailable):
            if not self.is_over:
                sure = self.sure
                self.purse.change(ClaimChange(self.id, self._known, sure, self.taken.minus(sure), "note"))
                self._known = sure


class Booking(NamedTuple):
    """A change of what a purse has reserved for an answer."""

    claim: Claim
    sure: Amount
    most: tuple[Amount, ...]
    """The amounts that the answer may cost then, of which the first is reserved for which there is room."""
    kind: ClaimKind
    frees: Amount | None = None
    """The cost of the attempts before, whose reservation ends first; None to leave that."""

    def make(self) -> PurseReply:
        """Change what is reserved; return the last reply."""
        claim, reply = self.claim, PurseReply(0)
        try:
            if self.frees is not None and claim.taken != self.frees:
                claim.change(self.frees, self.frees, "note")
            for most in self.most:
                reply = claim.change(self.sure, most, self.kind)
                if reply.made == 1:
                    break
        except PurseUnavailable as error:
            if self.kind != "note":
                raise
            warn(
                "an answer was not booked in its purse, which keeps what was sure of it: %r", error.__cause__
            )
        finally:
            if self.kind == "note":
                claim.purse.leave(claim)
        return reply

    async def make_async(self) -> PurseReply:
        """Change what is reserved, in a thread if that waits; a cancellation ends only the wait for it."""
        from concurrent.futures import Future

        from anyio import CancelScope, to_thread

        if not self.claim.purse.waits:
            return self.make()
        made: Future[PurseReply] = Future()

        def make() -> None:
            try:
                made.set_result(self.make())
            except Exception as error:  # noqa: BLE001 - raised below
                made.set_exception(error)

        # A thread of its own, which `Task.cancel` keeps neither from beginning nor from ending: it ends a
        # shielded wait, too.
        thread = Thread(target=make, name="tokenstream purse")
        thread.start()
        with CancelScope(shield=True):
            await to_thread.run_sync(thread.join, abandon_on_cancel=True)
        return made.result(0)
