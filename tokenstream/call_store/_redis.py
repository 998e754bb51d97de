"""Remembers tool calls in Redis, for several processes and machines.

A call has two keys: a hash with its state (`call`), and a key that expires with its lease (`alive`). Each
script is one atomic operation. All times are in milliseconds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from tokenstream._basics.elsewhere import UncopyableObject, needing
from tokenstream._basics.loose import ErasedGeneric
from tokenstream._values.parts import CallState
from tokenstream.errors import CallStoreUnavailable, MisuseError
from tokenstream.stages._tools.store import UncertainCall, check_lease, key_of, to_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

ClientT = TypeVar("ClientT")
_Command: TypeAlias = tuple[Any, ...]
"""A command of Redis, whose reply is raw bytes, even if the client is set up to decode them."""

_BEGIN = """
local call, alive = KEYS[1], KEYS[2]
local token, lease, keep, again, about = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local state = redis.call('HMGET', call, 'token', 'status', 'result')
if not state[1] or (state[2] == 'failed' and again == '1') then
  redis.call('HSET', call, 'token', token, 'status', 'running', 'about', about)
  redis.call('HDEL', call, 'result')
  redis.call('PEXPIRE', call, keep + lease)
  redis.call('SET', alive, '1', 'PX', lease)
  return {'new'}
end
if state[2] ~= 'running' then return {state[2], state[3]} end
if state[1] == token then return {'new'} end
return {redis.call('EXISTS', alive) == 1 and 'running' or 'unknown'}
"""
_LOOK = """
local call, alive = KEYS[1], KEYS[2]
local state = redis.call('HMGET', call, 'token', 'status', 'result')
if not state[1] then return {'new'} end
if state[2] ~= 'running' then return {state[2], state[3]} end
return {redis.call('EXISTS', alive) == 1 and 'running' or 'unknown'}
"""
_FINISH = """
local call, alive = KEYS[1], KEYS[2]
local token, keep, status = ARGV[1], ARGV[2], ARGV[3]
local owner = redis.call('HGET', call, 'token')
if owner and owner ~= token then return 0 end
redis.call('HSET', call, 'token', token, 'status', status)
redis.call('HDEL', call, ARGV[4] and 'about' or 'result')
if ARGV[4] then redis.call('HSET', call, 'result', ARGV[4]) end
redis.call('PEXPIRE', call, keep)
redis.call('DEL', alive)
return 1
"""
_ABANDON = """
local call, alive = KEYS[1], KEYS[2]
local state = redis.call('HMGET', call, 'token', 'status')
if state[1] ~= ARGV[1] or state[2] ~= 'running' then return 0 end
if ARGV[2] == '1' then redis.call('HSET', call, 'status', 'unknown') else redis.call('DEL', call) end
redis.call('DEL', alive)
return 1
"""
_SETTLE = """
local call, alive = KEYS[1], KEYS[2]
local state = redis.call('HMGET', call, 'token', 'status', 'result')
if not state[1] or state[2] == 'failed' then return 0 end
if state[2] == 'done' and state[3] then return 0 end
if state[2] == 'running' and redis.call('EXISTS', alive) == 1 then return 0 end
redis.call('HSET', call, 'token', '', 'status', 'done', 'result', ARGV[2])
redis.call('HDEL', call, 'about')
redis.call('PEXPIRE', call, ARGV[1])
redis.call('DEL', alive)
return 1
"""
_FIND_UNCERTAIN = """
local call, alive = KEYS[1], KEYS[2]
local state = redis.call('HMGET', call, 'status', 'result', 'about')
local is_left = state[1] == 'running' and redis.call('EXISTS', alive) == 0
if is_left or state[1] == 'unknown' or (state[1] == 'done' and not state[2]) then return {state[3] or ''} end
return {}
"""
_FORGET = "return redis.call('DEL', KEYS[1], KEYS[2])"


class _RedisStore(UncopyableObject, ErasedGeneric[ClientT]):
    """The parts of both Redis stores that send nothing: options, commands, and what replies mean."""

    _uncopyable = "its client has connections: make one in each process, with the same Redis and prefix"
    is_shared = True
    """Always True: other processes may use the same keys of Redis."""
    _is_async: ClassVar[bool] = False

    def __init__(
        self,
        client: ClientT,
        *,
        prefix: str = "tokenstream:calls:",
        lease: float = 600.0,
        keep: float = 604_800.0,
        max_result: int = 1 << 20,
        retry_failed: bool = False,
        same_calls: bool = False,
    ) -> None:
        kind = client_classes()[self._is_async]
        from redis.exceptions import RedisError

        if not isinstance(client, kind):
            given = f"{type(client).__module__}.{type(client).__qualname__}"
            raise MisuseError(f"this store takes a {kind.__module__}.{kind.__qualname__}, not a {given}")
        if keep <= 0:
            raise MisuseError("keep= must be more than 0 seconds")
        check_prefix(prefix)
        self._failures = (RedisError, OSError)
        self._client: Any = client
        self._prefix = prefix
        self._keep = keep
        self.lease = check_lease(lease)
        """Seconds within which a call has to end."""
        self.max_result = max_result
        """Maximum length of a result's JSON, in characters."""
        self.retry_failed = retry_failed
        """True to run a call again that has failed."""
        self.same_calls = same_calls
        """True to refuse an answer whose calls differ from those of the first answer under the same id."""

    def _begin(self, key: str, lease: float, token: str, about: str, *, again: bool) -> _Command:
        times = _to_ms(lease), _to_ms(self._keep)
        return self._to_run(_BEGIN, key, token, *times, int(again), about.encode())

    def _finish(self, key: str, result: str | None, token: str, *, failed: bool) -> _Command:
        status = "failed" if failed else "done"
        results = [] if result is None else [result.encode()]
        return self._to_run(_FINISH, key, token, _to_ms(self._keep), status, *results)

    def _settle(self, key: UncertainCall | str, result: object) -> _Command:
        return self._to_run(_SETTLE, key_of(key), _to_ms(self._keep), to_result(result).encode())

    def _scan(self, cursor: int) -> _Command:
        """Return the command whose reply is the cursor of the next scan, 0 at the end, and names of keys."""
        # In a pattern, these characters would stand for others.
        prefix = re.sub(r"([\\*?\[\]^])", r"\\\1", self._prefix)
        return "SCAN", cursor, "MATCH", f"{prefix}{{*}}:call", "COUNT", 1000

    def _read_scan(self, reply: Sequence[Any]) -> tuple[int, list[str]]:
        """Return the next cursor, and the keys of the calls whose names in Redis a scan has found."""
        cursor, names = reply
        return int(cursor), [name.decode()[len(self._prefix) + 1 : -len("}:call")] for name in names]

    def _to_run(self, script: str, key: str, *arguments: object) -> _Command:
        """Return the command that runs a script on the two Redis keys of a call, its state and its lease."""
        # The braces keep both keys of a call on one node of a cluster.
        keys = [f"{self._prefix}{{{key}}}:{what}" for what in ("call", "alive")]
        return "EVAL", script, 2, *keys, *arguments

    def _make_error(self, error: Exception) -> CallStoreUnavailable:
        """Return the error to raise if Redis fails, without Redis's message, which may contain the host."""
        return CallStoreUnavailable(f"the call store's Redis cannot be used now ({type(error).__name__})")


if TYPE_CHECKING:
    _SyncRedisStore: TypeAlias = _RedisStore[Redis]
    _AsyncRedisStore: TypeAlias = _RedisStore[AsyncRedis]
else:
    _SyncRedisStore = _AsyncRedisStore = _RedisStore


class RedisCallStore(_SyncRedisStore):
    """Remembers in Redis which tool calls have run, so that no process runs one of them again.

    It is the argument `once=` of `validated_calls`, for a `Stream`. It needs redis-py. Redis must not evict
    the keys (`maxmemory-policy noeviction`): a call that Redis has lost can be run again.

    Args:
        client: A `redis.Redis` of the application; the store does not close it.
        prefix: Prefix of the keys in Redis.
        lease: Seconds within which a call has to end; after that, its state is "unknown".
        keep: Seconds for which a call is remembered: a week.
        max_result: Maximum length of a result's JSON, in characters; a longer one is not kept.
        retry_failed: True to run a call again that has failed.
        same_calls: True to refuse an answer whose calls differ from those of the first answer under the same
            id, with `CallsDiffer`.

    Raises:
        MisuseError: The client is not a `redis.Redis`, redis-py is not installed, or an option is wrong.

    Example:
        >>> from redis import Redis
        >>> RedisCallStore(Redis(), prefix="shop:").lease
        600.0
    """

    def begin(self, key: str, lease: float, *, token: str, again: bool = False, about: str = "") -> CallState:
        """Begin a call, unless it has begun before, and return its state; see `CallStore.begin`."""
        return _read_state(self._do(self._begin(key, lease, token, about, again=again)))

    def look(self, key: str) -> CallState:
        """Return the state of a call and change nothing; the status is "new" if nothing is known."""
        return _read_state(self._do(self._to_run(_LOOK, key)))

    def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> None:
        """Store the result of a call, or its failure; do nothing if another caller has begun it since."""
        self._do(self._finish(key, result, token, failed=failed))

    def abandon(self, key: str, *, token: str, may_have_run: bool = True) -> None:
        """Give up a call that its caller has begun and will not end; see `CallStore.abandon`."""
        self._do(self._to_run(_ABANDON, key, token, int(may_have_run)))

    def uncertain(self) -> list[UncertainCall]:
        """Return the calls of which nobody knows the end; see `CallStore.uncertain`.

        This goes through all calls that the store remembers.
        """
        found: dict[str, UncertainCall] = {}
        cursor: int | None = None
        while cursor != 0:
            cursor, keys = self._read_scan(self._do(self._scan(cursor or 0)))
            for key in keys:
                for about in self._do(self._to_run(_FIND_UNCERTAIN, key)):
                    found[key] = UncertainCall.of(key, about.decode())
        return [*found.values()]

    def settle(self, key: UncertainCall | str, result: object) -> bool:
        """Store the result of an uncertain call; see `CallStore.settle`.

        Raises:
            MisuseError: JSON cannot express the result.
        """
        return bool(self._do(self._settle(key, result)))

    def forget(self, key: str) -> bool:
        """Forget a call, so that it can be run anew; return False if Redis does not have it."""
        return bool(self._do(self._to_run(_FORGET, key)))

    def _do(self, command: _Command) -> Any:  # noqa: ANN401 - depends on the command
        """Run a command of Redis, and return its reply; any failure becomes `CallStoreUnavailable`."""
        try:
            return self._client.execute_command(*command, NEVER_DECODE=True)
        except self._failures as error:
            raise self._make_error(error) from error


class AsyncRedisCallStore(_AsyncRedisStore):
    """Remembers in Redis which tool calls have run, for an `AsyncStream` on asyncio.

    The client is a `redis.asyncio.Redis`; the other arguments and the errors are those of `RedisCallStore`.

    Example:
        >>> from redis.asyncio import Redis
        >>> AsyncRedisCallStore(Redis(), lease=60).lease
        60
    """

    _is_async = True

    async def begin(
        self, key: str, lease: float, *, token: str, again: bool = False, about: str = ""
    ) -> CallState:
        """Begin a call, unless it has begun before, and return its state; see `CallStore.begin`."""
        return _read_state(await self._do(self._begin(key, lease, token, about, again=again)))

    async def look(self, key: str) -> CallState:
        """Return the state of a call and change nothing; the status is "new" if nothing is known."""
        return _read_state(await self._do(self._to_run(_LOOK, key)))

    async def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> None:
        """Store the result of a call, or its failure; do nothing if another caller has begun it since."""
        await self._do(self._finish(key, result, token, failed=failed))

    async def abandon(self, key: str, *, token: str, may_have_run: bool = True) -> None:
        """Give up a call that its caller has begun and will not end; see `CallStore.abandon`."""
        await self._do(self._to_run(_ABANDON, key, token, int(may_have_run)))

    async def uncertain(self) -> list[UncertainCall]:
        """Return the calls of which nobody knows the end; see `CallStore.uncertain`.

        This goes through all calls that the store remembers.
        """
        found: dict[str, UncertainCall] = {}
        cursor: int | None = None
        while cursor != 0:
            cursor, keys = self._read_scan(await self._do(self._scan(cursor or 0)))
            for key in keys:
                for about in await self._do(self._to_run(_FIND_UNCERTAIN, key)):
                    found[key] = UncertainCall.of(key, about.decode())
        return [*found.values()]

    async def settle(self, key: UncertainCall | str, result: object) -> bool:
        """Store the result of an uncertain call; see `CallStore.settle`.

        Raises:
            MisuseError: JSON cannot express the result.
        """
        return bool(await self._do(self._settle(key, result)))

    async def forget(self, key: str) -> bool:
        """Forget a call, so that it can be run anew; return False if Redis does not have it."""
        return bool(await self._do(self._to_run(_FORGET, key)))

    async def _do(self, command: _Command) -> Any:  # noqa: ANN401 - depends on the command
        try:
            return await self._client.execute_command(*command, NEVER_DECODE=True)
        except self._failures as error:
            raise self._make_error(error) from error


def client_classes(user: str = "this store") -> tuple[type, type]:
    """Return the classes of redis-py's clients: the plain one, and the asynchronous one."""
    with needing("redis", user):
        from redis import Redis
        from redis.asyncio import Redis as AsyncRedis
    return Redis, AsyncRedis


def check_prefix(prefix: str) -> None:
    if "{" in prefix or not prefix:
        raise MisuseError(
            f"prefix={prefix!r} must not be empty, nor have a brace: Redis reads a hash tag there"
        )


def _read_state(reply: Sequence[Any]) -> CallState:
    """Return the state of a call from the reply of a Lua script: the status, and perhaps the result."""
    texts: list[Any] = [None if each is None else each.decode() for each in reply]
    return CallState(*texts)


def _to_ms(seconds: float) -> int:
    return max(round(seconds * 1000), 1)
