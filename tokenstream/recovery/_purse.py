"""The class `Purse`: money and tokens for many answers, from which each request takes what it may cost."""

from __future__ import annotations

import math
import os
import sys
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.elsewhere import explain_all_options
from tokenstream.errors import MisuseError, PurseUnavailable
from tokenstream.limits import check_seconds, check_whole
from tokenstream.recovery._errand import Errand
from tokenstream.stream._log import warn

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO

    from redis import Redis

    from tokenstream.message import Usage

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_UNITS = 10**9
"""Money is counted in whole billionths, of which sums are exact."""
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
_SIZE = 43
"""The number of bytes of a purse's file."""
_ADD = """
local spent = redis.call('HMGET', KEYS[1], 'billionths', 'tokens')
if redis.call('EXISTS', KEYS[2]) == 1 then return {1, spent[1], spent[2]} end
for i = 1, 2 do
  if (spent[i] or 0) + ARGV[i] > tonumber(ARGV[i + 2]) then
    return {0, spent[1] or '0', spent[2] or '0'}
  end
end
for i, field in ipairs({'billionths', 'tokens'}) do
  spent[i] = redis.call('HINCRBY', KEYS[1], field, ARGV[i])
  if spent[i] < 0 then redis.call('HDEL', KEYS[1], field) end
end
if ARGV[1] .. ARGV[2] ~= '00' then redis.call('SET', KEYS[2], '', 'EX', 600) end
return {1, math.max(spent[1], 0), math.max(spent[2], 0)}
"""
"""Adds a change, at most once for each key of it: redis-py sends it again if the reply was lost."""


class Amount(NamedTuple):
    """Money in billionths, and tokens."""

    money: int = 0
    tokens: int = 0

    @classmethod
    def of(cls, cost: float, tokens: int) -> Amount:
        """Return the amount for a cost, which is rounded up."""
        return cls(math.ceil(round(cost * _UNITS, 3)), tokens)

    def plus(self, other: Amount) -> Amount:
        return Amount(self.money + other.money, self.tokens + other.tokens)

    def minus(self, other: Amount) -> Amount:
        return Amount(self.money - other.money, self.tokens - other.tokens)

    @property
    def cost(self) -> float:
        return self.money / _UNITS


_NO_BOUNDS = Amount(10**18, 10**18)
"""More than anybody has."""


class Purse:
    """Money and tokens that many answers share, for `Retry(most=purse)`, in any thread, process or machine.

    Before a request is sent, the most that its answer may cost is taken out: a token of input for every two
    bytes of the request's JSON, 2,000 for an image and 20,000 for a document, and the tokens of its output
    limit. If the answer costs more, the rest is taken while it arrives. Once it has ended, what it has not
    cost is put back. What a killed process has taken stays taken. A request for which there is no room is
    not sent, and an answer is stopped once the purse is empty: `OutputIncomplete` is raised, with what is
    left. For a request that a function of yours makes, everything is taken while the answer arrives.

    Args:
        most: The highest sum of all costs, by `Route.price`, by `price` or by the table of the extra
            `prices`; None for no bound.
        price: Returns the cost of the given token counts, for requests without a `Route.price`; None for the
            table.
        tokens: The most tokens of all requests and answers; None for no bound.
        file: A file for what was spent, which is locked for each change, and created if it is missing. None,
            without `redis`, for this process alone.
        redis: A `redis.Redis` for what was spent, with which an `AsyncStream` talks in a thread.
        name: The key in Redis.

    Raises:
        MisuseError: There is no bound, or an option is wrong.
        StreamError: The file or Redis cannot be used now; raised where the purse is asked.

    Example:
        >>> purse = Purse(most=5.0, tokens=2_000_000)
        >>> purse.spent, purse.tokens_spent
        (0.0, 0)
        >>> print(purse)
        0 and 0 tokens of 5 and 2,000,000 tokens are spent
    """

    __slots__ = (
        "_failures",
        "_file",
        "_lock",
        "_name",
        "_redis",
        "_spent",
        "bounds",
        "most",
        "price",
        "tokens",
    )

    @explain_all_options()
    def __init__(
        self,
        *,
        most: float | None = None,
        price: Callable[[Usage], float] | None = None,
        tokens: int | None = None,
        file: str | os.PathLike[str] | None = None,
        redis: Redis | None = None,
        name: str = "tokenstream:purse",
    ) -> None:
        if most is None and tokens is None:
            raise MisuseError("a Purse without a bound bounds nothing: give most=, tokens=, or both")
        if file is not None and redis is not None:
            raise MisuseError("a Purse is in one place: give file= or redis=")
        if price is not None and (most is None or not callable(price)):
            raise MisuseError("price= is a function that takes a Usage and returns a number, beside most=")
        self.most = None if most is None else check_seconds("most", most, unit="money")
        """The highest sum of all costs; None for no bound."""
        self.price = price
        """The caller's price of requests without one of their own; None for the table."""
        self.tokens = None if tokens is None else check_whole("tokens", tokens)
        """The most tokens of all requests and answers; None for no bound."""
        money = _NO_BOUNDS.money if self.most is None else Amount.of(self.most, 0).money
        self.bounds = Amount(money, self.tokens or _NO_BOUNDS.tokens)
        """The bounds in whole numbers."""
        self._file = None if file is None else os.fspath(file)
        self._redis = redis
        self._failures = (OSError,) if redis is None else (OSError, _find_error_of(redis))
        """The classes of errors of the file, or of Redis."""
        self._name = name
        self._spent, self._lock = Amount(), Lock()

    def __str__(self) -> str:
        return self.compare(self.add(Amount(), bounded=False)[1])

    @property
    def spent(self) -> float:
        """The costs of all answers so far, with what was taken for those that have not ended."""
        return self.add(Amount(), bounded=False)[1].cost

    @property
    def tokens_spent(self) -> int:
        """The tokens of all answers so far, with those that were taken for answers that have not ended."""
        return self.add(Amount(), bounded=False)[1].tokens

    @property
    def waits(self) -> bool:
        """True if a change waits for a file or for Redis, and so is made in a thread for an `AsyncStream`."""
        return self._file is not None or self._redis is not None

    def add(self, change: Amount, *, bounded: bool) -> tuple[bool, Amount]:
        """Add a change to what was spent, if there is room; return True if it was added, and the sum."""
        try:
            return self._add(change, bounded=bounded)
        except self._failures as error:
            why = f"{'Redis' if self._file is None else 'file'} cannot be used now ({type(error).__name__})"
            raise PurseUnavailable(f"the purse's {why}") from error

    def _add(self, change: Amount, *, bounded: bool) -> tuple[bool, Amount]:
        """Add a change as `add` does, and let an error of the file or of Redis pass."""
        if self._redis is not None:
            client: Any = self._redis
            keys = self._name, f"{self._name}:{os.urandom(12).hex()}"
            added, *sums = client.eval(_ADD, 2, *keys, *change, *(self.bounds if bounded else _NO_BOUNDS))
            return bool(added), Amount(*map(int, sums))
        with self._lock:
            if self._file is None:
                added, self._spent = self._find_sum(self._spent, change, bounded=bounded)
                return added, self._spent
            with os.fdopen(os.open(self._file, _FLAGS, 0o600), "r+b", buffering=0) as file:
                _lock(file.fileno())
                try:
                    added, spent = self._find_sum(_read_spent(file, self._file), change, bounded=bounded)
                    if added and any(change):
                        _write_spent(file, spent)
                finally:
                    # Closing alone would keep the lock if a child process has a copy of the file.
                    _unlock(file.fileno())
            return added, spent

    def _find_sum(self, spent: Amount, change: Amount, *, bounded: bool) -> tuple[bool, Amount]:
        """Return True and the sum if a change is within the bounds, else False and what was spent."""
        total = spent.plus(change)
        if bounded and (total.money > self.bounds.money or total.tokens > self.bounds.tokens):
            return False, spent
        # If somebody has emptied the purse since, more is put back than was spent.
        return True, Amount(max(total.money, 0), max(total.tokens, 0))

    def compare(self, spent: Amount) -> str:
        """Return the words for what is spent, beside the bounds."""
        return f"{self.describe(spent)} of {self.describe(self.bounds)} are spent"

    def describe(self, amount: Amount) -> str:
        """Return the words for an amount, in what the purse bounds."""
        money = None if self.most is None else f"{max(amount.cost, 0.0):.6g}"
        tokens = None if self.tokens is None else f"{max(amount.tokens, 0):,} tokens"
        return " and ".join(filter(None, (money, tokens)))


class Booking(NamedTuple):
    """A change of what a purse has spent."""

    purse: Purse
    changes: tuple[Amount, ...]
    """The first of them is made for which there is room."""
    bounded: bool = True

    def make(self) -> tuple[Amount | None, Amount]:
        """Change what was spent; return the change that was made, if any, and what is spent then."""
        spent = Amount()
        try:
            for change in self.changes:
                added, spent = self.purse.add(change, bounded=self.bounded)
                if added:
                    return change, spent
        except PurseUnavailable as error:
            if self.bounded:
                raise
            warn("a purse keeps what was taken for an answer, which was not booked: %r", error.__cause__)
        return None, spent

    async def make_async(self) -> tuple[Amount | None, Amount]:
        """Change what was spent, in a thread if that waits.

        If the task is cancelled, what was taken is put back; what an answer has cost is booked all the same.
        """
        if not self.purse.waits:
            return self.make()
        errand = Errand(self.make, self._put_back if self.bounded else None)
        return await errand.run() or (None, Amount())

    def _put_back(self, made: tuple[Amount | None, Amount]) -> None:
        """Put back what was taken, if anything."""
        if made[0] is not None:
            Booking(self.purse, (Amount().minus(made[0]),), bounded=False).make()


def _find_error_of(redis: object) -> type[Exception]:
    """Check that a client is a `redis.Redis`, and return the class of its errors."""
    from tokenstream.call_store._redis import client_classes

    client, _ = client_classes("redis=")
    if not isinstance(redis, client):
        raise MisuseError(f"redis= is a redis.Redis, also for an AsyncStream, and not {type(redis).__name__}")
    from redis import RedisError

    return RedisError


def _read_spent(file: FileIO, path: str) -> Amount:
    """Return what a purse's file says was spent; nothing for a new file."""
    text = file.read(_SIZE + 1)
    if not text:
        return Amount()
    money, _, tokens = text.decode("ascii", "replace").partition(" ")
    digits, counted = money.replace(".", "", 1), tokens.rstrip("\n")
    if len(text) != _SIZE or not (digits + counted).isdecimal():
        raise MisuseError(f"{path} is not the file of a Purse")
    return Amount(int(digits), int(counted))


def _write_spent(file: FileIO, spent: Amount) -> None:
    """Write what was spent in place, with one call, which a kill does not divide."""
    whole, rest = divmod(spent.money, _UNITS)
    text = f"{whole:011d}.{rest:09d} {spent.tokens:020d}\n"
    file.seek(0)
    file.write(text.encode())
    os.fsync(file.fileno())


if sys.platform == "win32":

    def _lock(file: int) -> None:
        """Lock a byte after the end of a file; Windows gives up after ten seconds, so try again."""
        os.lseek(file, _SIZE + 1, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(file, msvcrt.LK_LOCK, 1)
                break
            except OSError:
                continue
        os.lseek(file, 0, os.SEEK_SET)

    def _unlock(file: int) -> None:
        os.lseek(file, _SIZE + 1, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
