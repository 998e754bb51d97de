"""Lua scripts that Redis runs: each is one atomic operation of a journal's storage.

An answer has three keys: a hash with its state (`meta`), a stream with its records
(`records`; position 7 has the id 7-0), and a key that expires with the producer's lease
(`alive`). All times are in milliseconds.

A Redis that is full, and may evict nothing, refuses the first write of a script if it needs
memory; once a script has written, it is refused nothing more. So the order of the writes decides:

- Scripts that begin or extend an answer start with a write that needs memory, and are refused.
- Scripts that keep an answer alive, stop it or end it start with a write that needs none, so that a
  full Redis delays neither a stop nor the end that readers wait for.

The scripts that several answers need at the same moment are sent to Redis in one message.
"""

from __future__ import annotations

import asyncio
from functools import cache
from hashlib import sha1
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.relay.journal._errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEYS = """
local meta, records, alive = KEYS[1], KEYS[2], KEYS[3]
local function live(lease)
  -- Renewing needs no memory, and so works in a full Redis.
  if lease <= 0 then redis.call('DEL', alive)
  elseif redis.call('PEXPIRE', alive, lease) == 0 then redis.call('SET', alive, '1', 'PX', lease) end
end
local function tell(what, message)
  redis.call('PUBLISH', string.gsub(meta, 'state$', what), message)
end
local function write_even_if_full()
  -- This changes nothing, but it is a write, so Redis does not check its memory for the next ones.
  redis.call('HDEL', meta, 'none')
end
local function keep_for(keep)
  redis.call('PEXPIRE', meta, keep)
  redis.call('PEXPIRE', records, keep)
end
local function finish(expire)
  redis.call('HSET', meta, 'over', '1')
  redis.call('HDEL', meta, 'kept')
  redis.call('DEL', alive)
  if expire > 0 then redis.call('PEXPIRE', records, expire) else redis.call('DEL', records) end
  redis.call('PEXPIRE', meta, math.max(2 * expire, 1))
  tell('news', 'over')
end
"""
"""The beginning of each script: names for the keys; functions for leases, messages, expiry and the end."""
_WRITE = """
local function number_of(id)
  return tonumber(string.match(id, '^%d+'))
end
local function write(from, last, size, most)
  for at = from, #ARGV do
    last = last + 1
    size = size + #ARGV[at]
    redis.call('XADD', records, string.format('%.0f-0', last), 'r', ARGV[at])
  end
  local left = redis.call('XLEN', records)
  while size > most and left > 1 do
    local first
    for _, old in ipairs(redis.call('XRANGE', records, '-', '+', 'COUNT', 100)) do
      if size <= most or left <= 1 then break end
      first = number_of(old[1]) + 1
      size = size - #old[2][2]
      left = left - 1
    end
    redis.call('XTRIM', records, 'MINID', string.format('%.0f-0', first))
  end
  redis.call('HSET', meta, 'end', string.format('%.0f', last), 'held', string.format('%.0f', size))
  return last
end
"""
"""The function `write`, which adds records and trims the oldest ones; returns the last position."""

_SHARE = """
local answers, sizes = KEYS[1], KEYS[2]
-- The score of an answer that runs is this and the time of its beginning; that of others is the time of their
-- end.
local running = 9e15
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function leave(id)
  redis.call('ZREM', answers, id)
  redis.call('HDEL', sizes, id)
end
local function trim(kept, most)
  local gone, size = {}, 0
  for _, each in ipairs(redis.call('HVALS', sizes)) do size = size + tonumber(each) end
  while true do
    local first = redis.call('ZRANGE', answers, 0, 0, 'WITHSCORES')
    if not first[1] or tonumber(first[2]) >= running then break end
    if redis.call('ZCARD', answers) <= kept and size <= most then break end
    size = size - tonumber(redis.call('HGET', sizes, first[1]) or 0)
    leave(first[1])
    gone[#gone + 1] = first[1]
  end
  return gone
end
"""
"""The beginning of the scripts on what one owner has: a sorted set of answers by the time of their end, and a
hash of the sizes of those that have ended.
"""

TAKE = (
    _SHARE
    + """
local id, limit, kept, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local expire, keep = tonumber(ARGV[5]), ARGV[6]
local score = redis.call('ZSCORE', answers, id)
if score and tonumber(score) >= running then return {1} end
local others = redis.call('ZRANGEBYSCORE', answers, running, '+inf')
if #others >= limit then return {0, unpack(others)} end
redis.call('ZADD', answers, string.format('%.0f', running + now), id)
for _, each in ipairs(redis.call('ZRANGEBYSCORE', answers, '-inf', now - expire)) do leave(each) end
redis.call('PEXPIRE', answers, keep)
redis.call('PEXPIRE', sizes, keep)
return {1, unpack(trim(kept, most))}
"""
)
"""Counts a new answer among those of its owner.

Returns {1, ids of answers to forget}, or {0, ids of the running answers} if these are too many.
"""

SETTLE = (
    _SHARE
    + """
local id, size, kept, most, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local grace = tonumber(ARGV[6])
if size == '' and tonumber(redis.call('ZSCORE', answers, id) or 0) > running + now - grace then return {} end
-- First what needs no memory, so that a full Redis takes the rest, too.
leave(id)
if size == '' then return {} end
redis.call('ZADD', answers, now, id)
redis.call('HSET', sizes, id, size)
redis.call('PEXPIRE', answers, keep)
redis.call('PEXPIRE', sizes, keep)
return trim(kept, most)
"""
)
"""Counts an answer as ended, or not at all if its size is empty; returns the ids of answers to forget.

An answer that was counted less than `grace` milliseconds ago may be about to begin, and so stays counted.
"""

CLAIM = """
local keys, order, name, id, unwanted = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local keep, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local held = redis.call('HGET', keys, name)
if not held or held == unwanted then
  redis.call('HSET', keys, name, id)
  held = id
  local now = redis.call('TIME')
  redis.call('ZADD', order, now[1] * 1000000 + now[2], name)
  local over = redis.call('ZCARD', order) - most
  if over > 0 then
    for at, each in ipairs(redis.call('ZPOPMIN', order, over)) do
      if at % 2 == 1 then redis.call('HDEL', keys, each) end
    end
  end
end
redis.call('PEXPIRE', keys, keep)
redis.call('PEXPIRE', order, keep)
return held
"""
"""Returns the id that a key stands for, for a new key the given id; the oldest are forgotten."""

CREATE = (
    _KEYS
    + """
local token, lease, keep, owned, owner = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local asked = ARGV[6]
if redis.call('EXISTS', meta) == 1 then
  return redis.call('HGET', meta, 'token') == token and 1 or 0
end
redis.call('HSET', meta, 'token', token, 'end', '0', 'held', '0', 'over', '0')
redis.call('DEL', records)
if owned == '1' then redis.call('HSET', meta, 'owner', owner) end
if asked ~= '' then redis.call('HSET', meta, 'asked', asked) end
live(lease)
keep_for(keep)
return 1
"""
)
"""Begins an answer; returns 1 if the caller is its producer, 0 if another producer's answer exists."""

TAKE_OVER = (
    _KEYS
    + """
local token, before, lease, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local wait, owned, owner = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local state = redis.call('HMGET', meta, 'token', 'end', 'over', 'owner', 'wait', 'kept')
if not state[1] or state[3] == '1' or (state[4] and '1' or '0') ~= owned then return {-1, ''} end
if owned == '1' and state[4] ~= owner then return {-1, ''} end
local is_free = state[1] == before or state[1] == token
if not is_free and (wait < 0 or redis.call('PTTL', alive) > tonumber(state[5] or 0)) then return {-2, ''} end
redis.call('HSET', meta, 'token', token, 'wait', wait)
live(lease)
keep_for(keep)
return {tonumber(state[2]), state[6] or ''}
"""
)
"""Gives an answer another producer, whose token replaces that of one that is dead or has left it.

Returns the last position and what is kept; -1 if the answer is over or not this owner's, -2 while its
producer is alive. The key `alive` outlives a dead producer by its own `wait`, for which readers wait for the
next one: by nothing if that is not stored.
"""

KEEP = (
    _KEYS
    + """
local state = redis.call('HMGET', meta, 'token', 'over')
if state[1] == ARGV[1] and state[2] ~= '1' then redis.call('HSET', meta, 'kept', ARGV[2]) end
"""
)
"""Keeps what the next producer of an answer needs, until the end; an empty text for nothing."""

APPEND = (
    _KEYS
    + _WRITE
    + """
-- Each argument costs the client time, so all numbers are one.
local first, lease, over, expire, keep, most = unpack(cjson.decode(ARGV[2]))
local state = redis.call('HMGET', meta, 'token', 'end', 'over', 'held')
if state[1] ~= ARGV[1] then return 0 end
local last, is_over = tonumber(state[2]), state[3] == '1'
local from = 3 + math.max(last + 1 - first, 0)
if first > last + 1 or (is_over and from <= #ARGV) then return 0 end
if is_over then return 1 end
if over == 1 then
  local added = 0
  for at = from, #ARGV do added = added + #ARGV[at] end
  if added <= 4096 then write_even_if_full() end
end
last = write(from, last, tonumber(state[4]), most)
live(lease)
if over == 1 then
  finish(expire)
else
  keep_for(keep)
  tell('news', string.format('%.0f', last))
end
return 1
"""
)
"""Writes records, and ends the answer if `over` is 1; returns 0 if the producer may no longer write.

A full Redis takes the last records of an answer too, if they are small: without them, readers wait in vain.
"""

BEAT = (
    _KEYS
    + """
local token, lease, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local state = redis.call('HMGET', meta, 'token', 'over', 'reason')
if state[1] ~= token then return {0} end
if state[2] ~= '1' then
  live(lease)
  keep_for(keep)
end
return {1, state[3]}
"""
)
"""Renews the lease; returns {1, reason to stop or nil}, or {0} if the producer may no longer write."""

BURY = (
    _KEYS
    + _WRITE
    + """
local expire, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local state = redis.call('HMGET', meta, 'end', 'over', 'held')
if not state[1] or state[2] == '1' or redis.call('EXISTS', alive) == 1 then return 0 end
write_even_if_full()
redis.call('HSET', meta, 'token', '')
write(3, tonumber(state[1]), tonumber(state[3]), most)
finish(expire)
return 1
"""
)
"""Ends the answer of a dead producer; returns 0 if the answer is unknown or over, or the producer alive."""

ASK_STOP = (
    _KEYS
    + """
local state = redis.call('HMGET', meta, 'token', 'over', 'reason')
if not state[1] then return 'unknown' end
if state[2] == '1' then return 'ended' end
if state[1] == '' then redis.call('DEL', alive) end
if not state[3] then
  write_even_if_full()
  redis.call('HSET', meta, 'reason', ARGV[1])
  tell('stop', 'stop')
end
return 'asked'
"""
)
"""Requests a stop of an answer; the reason of the first request counts. One without a producer may be buried.
"""

FORGET = (
    _KEYS
    + """
local state = redis.call('HMGET', meta, 'owner', 'over')
if state[1] ~= ARGV[1] or state[2] ~= '1' then return 0 end
redis.call('DEL', meta, records, alive)
tell('news', 'over')
return 1
"""
)
"""Deletes an answer that has ended, if it belongs to an owner."""

READ = (
    _KEYS
    + """
local after, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local state = redis.call('HMGET', meta, 'end', 'asked', 'token', 'owner', 'over', 'reason', 'held')
if not state[1] then return false end
local begin = tonumber(state[1]) + 1
local oldest = redis.call('XRANGE', records, '-', '+', 'COUNT', 1)[1]
if oldest then begin = tonumber(string.match(oldest[1], '^%d+')) end
local page = {}
if limit > 0 and after + 1 >= begin then
  local from = string.format('%.0f-0', after + 1)
  for at, each in ipairs(redis.call('XRANGE', records, from, '+', 'COUNT', limit)) do
    page[at] = each[2][2]
  end
end
local is_alive = redis.call('EXISTS', alive)
local asked, token, owner, over, reason, held = unpack(state, 2, 7)
return {page, begin, tonumber(state[1]), asked, token, owner, is_alive, tonumber(over), reason, held}
"""
)
"""Returns records after a position, the first and last position, the request, the producer, the owner, if it
is alive and over, the reason to stop it, and the size of the records.
"""
_MAX_COMMANDS = 8
"""The maximum number of simultaneous commands; each takes a connection from the client's pool."""
_AskedCommand: TypeAlias = "tuple[tuple[object, ...], float, asyncio.Future[Any]]"
"""A command, its limit in seconds, and its reply."""
_MAX_TOGETHER = 500
"""The maximum number of runs in one message to Redis."""
_CANCELLED = object()
"""The reply of a run whose message was not sent whole, since the task that sent it was cancelled."""


class Scripts:
    """Runs scripts in a Redis, with one message for all who ask in one turn of the event loop.

    Each run is an atomic operation of its own, and may fail on its own. What a process pays for a run is
    mostly the message and the reply, and the tasks that are woken for them. If each run had a message, a
    thousand answers that begin at once would also wait for each other's turns of the event loop.
    """

    def __init__(self, client: Any, connections: int) -> None:  # noqa: ANN401 - only the client's creator imports redis
        from redis.exceptions import NoScriptError, RedisError

        self._client = client
        self._slots = asyncio.Semaphore(min(_MAX_COMMANDS, connections))
        self._failures: tuple[type[Exception], ...] = (RedisError, OSError)
        self._unknown_script = NoScriptError
        self._asked: list[_AskedCommand] = []
        """The runs that wait for the end of this turn of the event loop, their limits, and their replies."""
        self.heard_at = -inf
        """The time of the event loop at which Redis last answered; -inf before."""

    async def run(self, script: str, keys: Sequence[str], *arguments: object, seconds: float = inf) -> Any:  # noqa: ANN401 - depends on the script
        """Run a script on some keys within some seconds, and return its reply."""
        run = (len(keys), *keys, *arguments)
        value = await self._ask(("EVALSHA", _hash_of(script), *run), seconds)
        if isinstance(value, self._unknown_script):
            # Redis does not have the script yet; this command also stores it.
            value = await self._ask(("EVAL", script, *run), seconds)
        if isinstance(value, Exception):
            # Not with the text of the cause, which may have the host, the port or the name of a user: people
            # answer requests with it.
            msg = f"the journal's Redis cannot be used now ({type(value).__name__})"
            raise JournalError(msg) from value
        return value

    async def _ask(self, command: tuple[object, ...], seconds: float) -> Any:  # noqa: ANN401 - a reply or an error
        """Send a command with those of all who ask in this turn of the event loop; return reply or error."""
        while True:
            reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._asked.append((command, seconds, reply))
            if len(self._asked) == 1:
                await self._send_all()
            value = await reply
            if value is not _CANCELLED:
                return value

    async def _send_all(self) -> None:
        """Send the commands of all who ask in this turn of the event loop, as the first of them."""
        try:
            # The others ask before this task goes on.
            await asyncio.sleep(0)
        finally:
            asked, self._asked = self._asked, []
            seconds = min([seconds for _, seconds, _ in asked])
            until = None if seconds == inf else asyncio.get_running_loop().time() + seconds
            try:
                for begin in range(0, len(asked), _MAX_TOGETHER):
                    await self._send(asked[begin : begin + _MAX_TOGETHER], until)
            finally:
                # If this task is cancelled, the others ask again: a run that is repeated changes nothing.
                for _, _, reply in asked:
                    if not reply.done():
                        reply.set_result(_CANCELLED)

    async def _send(self, asked: list[_AskedCommand], until: float | None) -> None:
        """Send some commands together, until a time of the loop; pass each its reply or its error."""
        replies: list[Any]
        try:
            async with asyncio.timeout_at(until), self._slots:
                pipeline = self._client.pipeline(transaction=False)
                for command, _, _ in asked:
                    # Replies are raw bytes, even if the client is set up to decode them.
                    pipeline.execute_command(*command, NEVER_DECODE=True)
                replies = await pipeline.execute(raise_on_error=False)
                self.heard_at = asyncio.get_running_loop().time()
        except self._failures as error:
            replies = [error] * len(asked)
        for (_, _, reply), value in zip(asked, replies, strict=True):
            # Nobody may wait for it any more.
            if not reply.done():
                # An error is a result, because an exception that nobody waits for is logged.
                reply.set_result(value)


@cache
def _hash_of(script: str) -> str:
    """Return the SHA-1 hash by which Redis identifies a cached script."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest()
