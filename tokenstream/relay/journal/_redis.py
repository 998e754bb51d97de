"""Journals in Redis, for answers that several server processes produce and follow."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from tokenstream.call_store import AsyncRedisCallStore
from tokenstream.call_store._redis import check_prefix, client_classes
from tokenstream.errors import MisuseError
from tokenstream.relay.journal._bounds import BOUNDS, Bounds
from tokenstream.relay.journal._errors import JournalError, fenced_error
from tokenstream.relay.journal._journal import Journal
from tokenstream.relay.journal._redis_scripts import (
    APPEND,
    ASK_STOP,
    BEAT,
    BURY,
    CLAIM,
    CREATE,
    FORGET,
    KEEP,
    READ,
    SETTLE,
    TAKE,
    TAKE_OVER,
    Scripts,
)
from tokenstream.relay.journal._storage import Page, State, StopReply, Storage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis


_KEEP_SECONDS = 60.0
"""Additional seconds for which an answer is kept after its producer's last write."""
_LEAST_SECONDS, _MOST_SECONDS = 1.0, 10.0
"""The seconds that a message has: a busy process may need the least, however short a lease is."""


class RedisStorage(Storage):
    """Keeps answers in Redis streams.

    All keys of one answer have the same hash tag, so that a Redis cluster keeps them on one node.

    The options, and the errors for them, are those of `RedisJournal`.
    """

    # Messages to Redis have limits of their own, which one for each answer would only repeat.
    limits_appends = True
    is_shared = True

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = "tokenstream:",
        max_bytes: int = 16 * 1024 * 1024,
        per_owner: Bounds | None = BOUNDS,
        expire: float = 3600.0,
    ) -> None:
        if max_bytes < 1 or expire < 0:
            raise MisuseError("max_bytes must be at least 1, and expire not negative")
        check_prefix(prefix)
        _, async_client = client_classes("RedisJournal")
        if not isinstance(client, async_client):
            kind = f"{type(client).__module__}.{type(client).__qualname__}"
            raise MisuseError(f"RedisJournal takes a redis.asyncio.Redis, not a {kind}")
        redis_client: Any = client
        max_connections: int = redis_client.connection_pool.max_connections
        if max_connections < 2:
            raise MisuseError(
                "a journal needs at least two connections: raise max_connections= of the client"
            )
        from tokenstream.relay.journal._redis_subscriptions import Subscriptions

        self._prefix = prefix
        self._calls = AsyncRedisCallStore(client, prefix=f"{prefix}calls:")
        self._max_bytes = max_bytes
        self._per_owner = per_owner
        self.opening = sys.maxsize if per_owner is None else per_owner.opening
        self._expire = expire
        self._subscriptions = Subscriptions(redis_client)
        # One connection of the pool is reserved for notifications.
        self._scripts = Scripts(redis_client, max_connections - 1)

    async def create(
        self, id: str, *, owner: str | None, token: str, lease: float, asked: str | None = None
    ) -> bool:
        options = [_to_ms(lease), self._keep_ms(lease), *_owned(owner), asked or ""]
        if owner is not None and self._per_owner is not None:
            await self._take(id, owner, self._per_owner, lease)
        is_created = bool(await self._run_script(CREATE, id, token, *options))
        if not is_created and owner is not None:
            # It may be an answer that has ended, or another owner's.
            await self._settle(id, owner)
        return is_created

    async def append(
        self, id: str, token: str, first: int, records: Sequence[bytes], *, lease: float, over: bool = False
    ) -> None:
        times = [_to_ms(lease), int(over), _to_ms(self._expire), self._keep_ms(lease)]
        # The text of a list of integers is JSON.
        arguments = [token, str([first, *times, self._max_bytes]), *records]
        limit = min(max(lease / 2, _LEAST_SECONDS), _MOST_SECONDS)
        if not await self._scripts.run(APPEND, self._answer_keys(id), *arguments, seconds=limit):
            raise fenced_error()
        if over:
            await self._settle_ended(id)

    async def take_over(
        self, id: str, *, owner: str | None, token: str, before: str, lease: float, wait: float
    ) -> tuple[int, bytes]:
        options = [_to_ms(lease), self._keep_ms(lease), _to_ms(wait), *_owned(owner)]
        end, kept = await self._run_script(TAKE_OVER, id, token, before, *options)
        return end, kept

    async def keep(self, id: str, token: str, kept: bytes) -> None:
        await self._run_script(KEEP, id, token, kept)

    async def beat(self, id: str, token: str, *, lease: float) -> str | None:
        is_ours, *reason = await self._run_script(BEAT, id, token, _to_ms(lease), self._keep_ms(lease))
        if not is_ours:
            raise fenced_error()
        return reason[0].decode() if reason and reason[0] is not None else None

    async def bury(self, id: str, records: Sequence[bytes]) -> bool:
        """End an answer whose producer is dead, with its last records; return False if nothing was done."""
        options = [_to_ms(self._expire), self._max_bytes]
        is_buried = bool(await self._run_script(BURY, id, *options, *records))
        if is_buried:
            await self._settle_ended(id)
        return is_buried

    async def ask_stop(self, id: str, reason: str) -> StopReply:
        reply: StopReply = (await self._run_script(ASK_STOP, id, reason)).decode()
        return reply

    async def read(self, id: str, after: int, limit: int) -> Page | None:
        reply = await self._run_script(READ, id, after, limit)
        if reply is None:
            return None
        records, begin, end, asked, token, owner, alive, over, *_ = reply
        state = State(_as_str(owner), begin, end, bool(over), bool(alive), _as_str(asked), _as_str(token))
        # `after + 1` is the position of the first record.
        return Page(state, after + 1, tuple(records))

    async def wait(self, id: str, after: int) -> None:
        """Wait until there may be records after a position, or the answer may have ended.

        The wait ends when a message in Redis reports such a change, or when messages may have been lost.
        """

        async def has_changed() -> bool:
            """Return True if there are new records, or the answer has ended, in case the message was lost."""
            # 0 records: only the state.
            page = await self.read(id, after, 0)
            return page is None or page.state.over or page.state.end > after

        # A message is "over", or the number of the last position.
        await self._subscriptions.wait(
            self._key(id, "news"), lambda news: news == "over" or int(news) > after, has_changed
        )

    async def wait_stop(self, id: str) -> None:
        """Wait until a stop of the answer may have been requested; see `wait`."""

        async def has_changed() -> bool:
            """Return True if a stop was requested, or the answer has ended, in case the message was lost."""
            # From position 0 on, 0 records: only the state.
            reply = await self._run_script(READ, id, 0, 0)
            if reply is None:
                # The answer has disappeared.
                return True
            *_, over, reason, _ = reply
            return bool(over) or reason is not None

        # Every message in this channel reports a request to stop, so the argument `is_new` is always true.
        await self._subscriptions.wait(self._key(id, "stop"), lambda _: True, has_changed)

    async def claim_key(self, key: str, id: str, *, owner: str | None, instead_of: str | None = None) -> str:
        if owner is None or self._per_owner is None:
            # Without an owner, each key is alone under keys of its own in Redis, which expire.
            places, most = self._share_keys(None, f"key:{key}"), 1
        else:
            places, most = self._share_keys(owner, "keys"), self._per_owner.kept
        options = [key, id, instead_of or "", self._keep_ms(_KEEP_SECONDS), most]
        held: bytes = await self._scripts.run(CLAIM, places, *options)
        return held.decode()

    @property
    def heard_at(self) -> float:  # type: ignore[override] # it is read only
        """The time of the event loop at which Redis last answered."""
        return self._scripts.heard_at

    @property
    def calls(self) -> AsyncRedisCallStore:
        return self._calls

    async def aclose(self) -> None:
        await self._subscriptions.aclose()

    # -- within ------------------------------------------------------------

    async def _take(self, id: str, owner: str, bounds: Bounds, lease: float) -> None:
        """Count a new answer among those of its owner, alive for a lease in seconds; forget too many."""
        limits = [bounds.running, bounds.kept, bounds.bytes]
        options = [*limits, _to_ms(self._expire), self._keep_ms(_KEEP_SECONDS)]
        for is_second in (False, True):
            taken, *ids = await self._scripts.run(TAKE, self._share_keys(owner), id, *options)
            if taken:
                await self._forget(owner, ids)
                return
            if not is_second:
                # Some of them may have ended with their processes.
                for running in ids:
                    await self._settle(running.decode(), owner, grace=2 * lease)
        raise JournalError(f"{bounds.running:,} answers of this owner are running", kind="too_many_answers")

    async def _settle_ended(self, id: str) -> None:
        """Count an answer that has ended as such; without Redis, this happens at its owner's next answer."""
        if self._per_owner is not None:
            with suppress(JournalError):
                await self._settle(id, None)

    async def _settle(self, id: str, owner: str | None, *, grace: float = 0.0) -> None:
        """Note for an answer's owner, by default the stored one, if it runs no more or is another's.

        An answer that is not there may still begin within `grace` seconds after it was counted.
        """
        bounds, reply = self._per_owner, await self._run_script(READ, id, 0, 0)
        size, found = "", None
        if reply is not None:
            *_, found_bytes, alive, over, _, held = reply
            found, size = _as_str(found_bytes), held.decode()
            if alive and not over and owner == found:
                return
        owner = found if owner is None else owner
        if owner is None or bounds is None:
            return
        limits = [bounds.kept, bounds.bytes, self._keep_ms(_KEEP_SECONDS), _to_ms(grace)]
        counted = size if found == owner else ""
        ids = await self._scripts.run(SETTLE, self._share_keys(owner), id, counted, *limits)
        await self._forget(owner, ids)

    async def _forget(self, owner: str, ids: list[bytes]) -> None:
        """Delete answers of an owner that have ended."""
        for id in map(bytes.decode, ids):
            await self._run_script(FORGET, id, owner)

    def _share_keys(self, owner: str | None, what: str = "answers") -> list[str]:
        """Return the two keys under which what belongs to one owner is stored."""
        tag = "all" if owner is None else f"owner:{owner}"
        return [self._key(f"{tag}:{what}", each) for each in ("values", "order")]

    def _key(self, id: str, what: str) -> str:
        """Return the key under which a kind of data (`what`) of an answer is stored."""
        return _make_redis_key(self._prefix, id, what)

    def _keep_ms(self, lease: float) -> int:
        """Return the milliseconds for which an answer is kept after its producer's last write."""
        # Long enough to notice that the producer is dead, to end the answer for it, and to read the answer.
        return _to_ms(2 * self._expire + 10 * lease + _KEEP_SECONDS)

    async def _run_script(self, script: str, id: str, *arguments: object) -> Any:  # noqa: ANN401 - depends on the script
        return await self._scripts.run(script, self._answer_keys(id), *arguments)

    def _answer_keys(self, id: str) -> list[str]:
        """Return the keys of an answer; `tell` in the scripts makes its channels of the first."""
        return [self._key(id, what) for what in ("state", "records", "alive")]


class RedisJournal(Journal):
    """Keeps answers in Redis: for processes and machines that follow and stop each other's answers.

    It needs redis-py, and so runs under asyncio.
    A process uses one connection for notifications and at most eight for everything else,
    independently of the number of readers.

    Args:
        client: A `redis.asyncio.Redis` of the application; the journal does not close it.
        prefix: Prefix of the keys in Redis.
        max_bytes: Maximum size of one answer's records in bytes; beyond it, the oldest are trimmed,
            and a reader that still needs them gets a `JournalError` (410).
        per_owner: Limits for the answers of each owner; None for none. The size counts for answers that
            have ended.
        expire: Seconds for which an answer is kept after its end.
        lease: Seconds within which readers learn that a producer is dead.
        drain: Seconds that producers may run on when the journal is exited; None for as many as
            `Timing(drain=)` gives to answers without a journal.

    Raises:
        MisuseError: The client is not an asyncio client of redis-py, or a limit is too small or negative.

    Example:
        >>> from redis.asyncio import Redis
        >>> RedisJournal(Redis(), prefix="chat:")
        <RedisJournal: 0 answers are being produced>
    """

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = "tokenstream:",
        max_bytes: int = 16 * 1024 * 1024,
        per_owner: Bounds | None = BOUNDS,
        expire: float = 3600.0,
        lease: float = 15.0,
        drain: float | None = None,
    ) -> None:
        storage = RedisStorage(client, prefix=prefix, max_bytes=max_bytes, per_owner=per_owner, expire=expire)
        super().__init__(storage, lease=lease, drain=drain)

    async def __aenter__(self) -> Self:
        try:
            asyncio.get_running_loop()
        except RuntimeError as error:
            raise MisuseError("RedisJournal runs under asyncio only, as redis-py does") from error
        return await super().__aenter__()


@lru_cache(maxsize=4_096)
def _make_redis_key(prefix: str, id: str, what: str) -> str:
    # The id is quoted, because a brace in it would end the hash tag, which keeps all keys of an answer on
    # one node of a cluster.
    return f"{prefix}{{{quote(id, safe='')}}}:{what}"


def _owned(owner: str | None) -> tuple[int, str]:
    # Redis has no None: the 0 says that the answer has no owner.
    return (0, "") if owner is None else (1, owner)


def _as_str(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _to_ms(seconds: float) -> int:
    return round(seconds * 1000)
