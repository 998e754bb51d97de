"""The ledgers of purses: what is spent, and what is reserved, in memory, in a file or in Redis.

Each change is one atomic step: it drops the reservations whose lease is over, decides whether there is room,
and spends and reserves. What waits for room stands in line, so that nobody who comes later is faster.
"""

from __future__ import annotations

import json
import math
import os
import time
from contextlib import closing
from functools import reduce
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from redis import Redis

_UNITS = 10**9
"""Money is counted in whole billionths, of which sums are exact."""
_IN_LINE = 10.0
"""Seconds for which a request that has not asked again keeps its place in the line."""
_PATIENCE = 60.0
"""Seconds to wait for a file that another process has locked."""
ClaimKind: TypeAlias = Literal["note", "room", "wait"]
"""The kind of a change: one without room is made ("note"), is not ("room"), or stands in line ("wait")."""
_CHANGE = """
local time, id, kind = redis.call('TIME'), ARGV[1], ARGV[2]
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local sent_twice = redis.call('EXISTS', KEYS[2]) == 1
local spent, held, own, turn = {0, 0}, {0, 0}, {tonumber(ARGV[3]), tonumber(ARGV[4])}, 0
local first, last, job, is_left = math.huge, 0, string.match(id, '^.*/') or '/', false
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  local n = {}
  for each in string.gmatch(flat[i + 1], '%d+') do n[#n + 1] = tonumber(each) end
  if flat[i] == 'billionths' then spent[1] = n[1]
  elseif flat[i] == 'tokens' then spent[2] = n[1]
  elseif n[5] < now then redis.call('HDEL', KEYS[1], flat[i])
  elseif flat[i] == id then own, turn = n, n[6]
  elseif kind ~= 'note' and string.sub(flat[i], 1, #job) == job then redis.call('HDEL', KEYS[1], flat[i])
  else
    is_left = is_left or string.sub(flat[i], 1, #job) == job
    held = {held[1] + n[3], held[2] + n[4]}
    if n[6] > 0 then first, last = math.min(first, n[6]), math.max(last, n[6]) end
  end
end
local made, total = 1, {}
for k = 1, 2 do
  local sure, rest, most = tonumber(ARGV[4 + k]), tonumber(ARGV[6 + k]), tonumber(ARGV[8 + k])
  total[k] = sent_twice and spent[k] or math.max(spent[k] + sure - own[k], 0)
  if kind ~= 'note' and total[k] + rest > most then made = -1
  elseif kind ~= 'note' and total[k] + held[k] + rest > most then made = math.min(made, 0) end
end
if kind == 'wait' and first < (turn > 0 and turn or math.huge) then made = math.min(made, 0) end
local function keep(sure, rest, seconds, place)
  local value = table.concat({sure[1], sure[2], rest[1], rest[2], string.format('%.0f', seconds), place}, ' ')
  redis.call('HSET', KEYS[1], id, value)
end
if made == 1 and id ~= '' and not sent_twice then
  spent = total
  redis.call('HSET', KEYS[1], 'billionths', string.format('%.0f', spent[1]))
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.0f', spent[2]))
  if is_left or ARGV[7] .. ARGV[8] == '00' then
    redis.call('HDEL', KEYS[1], id)
    redis.call('SET', KEYS[2], '', 'EX', 600)
  else keep({ARGV[5], ARGV[6]}, {ARGV[7], ARGV[8]}, now + ARGV[11], 0) end
elseif made == 0 and kind == 'wait' then
  if turn == 0 then turn = last + 1 end
  keep({string.format('%.0f', own[1]), string.format('%.0f', own[2])}, {0, 0}, now + ARGV[12], turn)
end
local replied = {spent[1], spent[2], held[1], held[2]}
for k = 1, 4 do replied[k] = string.format('%.0f', replied[k]) end
return {made, unpack(replied)}
"""
"""Makes a change, at most once for each second key: redis-py sends it again if the reply was lost."""


class Amount(NamedTuple):
    """Money in billionths, and tokens."""

    money: int = 0
    tokens: int = 0

    @classmethod
    def of(cls, cost: float, tokens: int) -> Amount:
        return cls(math.ceil(round(cost * _UNITS, 3)), tokens)

    def plus(self, other: Amount) -> Amount:
        return Amount(self.money + other.money, self.tokens + other.tokens)

    def minus(self, other: Amount) -> Amount:
        """Return what is left of this amount, of which nothing is less than 0."""
        return Amount(max(self.money - other.money, 0), max(self.tokens - other.tokens, 0))

    def fits(self, bounds: Amount) -> bool:
        return self.money <= bounds.money and self.tokens <= bounds.tokens

    def at_least(self, other: Amount) -> Amount:
        return Amount(max(self.money, other.money), max(self.tokens, other.tokens))

    @property
    def cost(self) -> float:
        return self.money / _UNITS


class ClaimChange(NamedTuple):
    """A change of one reservation, in the amounts of all requests under its id."""

    id: str
    """The id of the answer's job and "/", if it has one; and an id of this process alone."""
    known: Amount
    """The amount that was spent under this id by the last change, for a ledger that has dropped it since."""
    sure: Amount
    rest: Amount
    kind: ClaimKind


class PurseReply(NamedTuple):
    """The reply of a ledger."""

    made: int
    """1 if the change was made, 0 if there is no room now, -1 if reservations alone are not the reason."""
    spent: Amount = Amount()
    held: Amount = Amount()


class _Reservation(NamedTuple):
    sure: Amount
    rest: Amount
    until: float
    turn: int = 0
    """The place in the line for room; 0 for a running request."""


class MemoryLedger:
    """The amounts of this process alone, where a reservation needs no lease."""

    place = "memory"
    failures: tuple[type[Exception], ...] = ()

    def __init__(self, dropped: list[str]) -> None:
        self._lock, self._sums, self._dropped = Lock(), _Sums(), dropped

    def change(self, change: ClaimChange, bounds: Amount) -> PurseReply:
        with self._lock:
            while self._dropped:
                self._sums.reservations.pop(self._dropped.pop(), None)
            return self._sums.change(change, bounds, 0.0, math.inf)


class _Sums:
    """The sums of a ledger, and its reservations in the order in which they were made."""

    def __init__(self, text: str = "[[0, 0], {}]") -> None:
        spent, reservations = json.loads(text)
        self.spent = Amount(*spent)
        self.reservations = {
            id: _Reservation(Amount(*sure), Amount(*rest), *more)
            for id, (sure, rest, *more) in reservations.items()
        }

    def to_text(self) -> str:
        return json.dumps([self.spent, self.reservations])

    def change(self, change: ClaimChange, bounds: Amount, now: float, lease: float) -> PurseReply:
        """Make a change if there is room, or if it needs none."""
        kept = {id: each for id, each in self.reservations.items() if each.until >= now}
        job, slash, _ = change.id.rpartition("/")
        left = [id for id in kept if slash and id != change.id and id.startswith(job + slash)]
        if change.kind != "note":
            # The process that had the job before is dead: what it has spent stays, and the rest is free.
            for id in left:
                del kept[id]
            left = []
        others = [each for id, each in kept.items() if id != change.id]
        own = kept.get(change.id, _Reservation(change.known, Amount(), now))
        line = [each.turn for each in others if each.turn]
        held = reduce(Amount.plus, (each.rest for each in others), Amount())
        # If somebody has emptied the purse since, more was spent than it knows.
        spent = self.spent.plus(change.sure).minus(own.sure)
        needed, made = spent.plus(change.rest), 1
        if change.kind != "note":
            has_turn = change.kind == "room" or not line or 0 < own.turn < min(line)
            fits = has_turn and needed.plus(held).fits(bounds)
            made = 1 if fits else 0 if needed.fits(bounds) else -1
        if made == 1:
            self.spent = spent
            kept[change.id] = _Reservation(change.sure, change.rest, now + lease)
            if left or not any(change.rest):
                # A process that has lost the job reserves no more.
                del kept[change.id]
        elif made == 0 and change.kind == "wait":
            turn = own.turn or 1 + max(line, default=0)
            kept[change.id] = _Reservation(own.sure, Amount(), now + _IN_LINE, turn)
        self.reservations = kept
        return PurseReply(made, self.spent, held)


class FileLedger:
    """The amounts in an SQLite file, which each change locks."""

    place = "file"

    def __init__(self, path: str, lease: float) -> None:
        from sqlite3 import OperationalError

        self._path, self._lease = path, lease
        self.failures = (OSError, OperationalError)

    def change(self, change: ClaimChange, bounds: Amount) -> PurseReply:
        from sqlite3 import DatabaseError, OperationalError, connect

        with closing(connect(self._path, timeout=_PATIENCE, isolation_level=None)) as file:
            try:
                file.execute("BEGIN IMMEDIATE")
                if file.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                    file.execute("CREATE TABLE purse (page TEXT)")
                    file.execute("INSERT INTO purse VALUES (?)", [_Sums().to_text()])
                (before,) = file.execute("SELECT page FROM purse").fetchone()
            except DatabaseError as error:
                if isinstance(error, OperationalError) and "no such table" not in str(error):
                    raise
                raise MisuseError(f"{self._path} is not the file of a Purse") from None
            sums = _Sums(before)
            reply, after = sums.change(change, bounds, time.time(), self._lease), sums.to_text()
            if after != before:
                file.execute("UPDATE purse SET page = ?", [after])
                file.execute("COMMIT")
            return reply


class RedisLedger:
    """The amounts in Redis, in one hash."""

    place = "Redis"

    def __init__(self, redis: Redis | str, name: str, lease: float) -> None:
        from tokenstream.call_store._redis import client_classes

        client, _ = client_classes("redis=")
        from redis import RedisError

        made: Any = client
        self._client: Any = made.from_url(redis) if isinstance(redis, str) else redis
        if not isinstance(self._client, client):
            given = type(redis).__name__
            raise MisuseError(f"redis= is a URL or a redis.Redis, also for an AsyncStream, and not {given}")
        self._name, self._lease = name, lease
        self.failures = (OSError, RedisError)

    def change(self, change: ClaimChange, bounds: Amount) -> PurseReply:
        id, known, sure, rest, kind = change
        keys = self._name, f"{self._name}:{os.urandom(12).hex()}"
        times = math.ceil(self._lease * 1000), math.ceil(_IN_LINE * 1000)
        reply = self._client.eval(_CHANGE, 2, *keys, id, kind, *known, *sure, *rest, *bounds, *times)
        made, *sums = map(int, reply)
        return PurseReply(made, Amount(*sums[:2]), Amount(*sums[2:]))
