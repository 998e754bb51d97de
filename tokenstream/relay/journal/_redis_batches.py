"""Runs of one Lua script that several answers need at the same moment, sent to Redis together."""

from __future__ import annotations

import asyncio
from functools import cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from tokenstream.relay.journal._errors import JournalUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_MAX_TOGETHER = 500
"""The maximum number of runs in one message to Redis."""


class ScriptBatches:
    """Runs a script for all who ask in the same turn of the event loop, with one message and one reply.

    Each run is an atomic operation of its own, and may fail on its own. What a process pays for a run is
    mostly the message and the reply, and the tasks that are woken for them.

    Args:
        client: An asyncio client of redis-py.
        run_alone: Runs the script once, for a Redis that doesn't have the script yet.
        slots: Limits the number of connections.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - only the client's creator imports redis
        script: str,
        run_alone: Callable[..., Awaitable[Any]],
        slots: asyncio.Semaphore,
    ) -> None:
        from redis.exceptions import NoScriptError, RedisError

        self._client = client
        self._script = script
        self._run_alone = run_alone
        self._slots = slots
        self._failures: tuple[type[Exception], ...] = (RedisError, OSError)
        self._unknown_script = NoScriptError
        self._asked: list[tuple[tuple[object, ...], asyncio.Future[Any]]] = []
        """The runs that wait for the end of this turn of the event loop, and their replies."""

    async def run(self, keys: list[str], arguments: Sequence[object]) -> Any:  # noqa: ANN401 - depends on the script
        """Run the script on some keys, and return its reply.

        Raises:
            JournalUnavailable: Redis is unreachable, or has refused the run.
        """
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.append(((len(keys), *keys, *arguments), reply))
        if len(self._asked) == 1:
            await self._send_for_all()
        try:
            return await reply
        except self._unknown_script:
            return await self._run_alone(self._script, keys, *arguments)
        except self._failures as error:
            raise unavailable_error(error) from error

    async def _send_for_all(self) -> None:
        """Send the runs of all who ask in this turn of the event loop, as the first of them."""
        try:
            # The others ask before this task goes on.
            await asyncio.sleep(0)
        finally:
            asked, self._asked = self._asked, []
            try:
                for begin in range(0, len(asked), _MAX_TOGETHER):
                    await self._send(asked[begin : begin + _MAX_TOGETHER])
            finally:
                # If this task is cancelled, the others ask again: a run that is repeated changes nothing.
                for _, reply in asked:
                    _settle(reply, JournalUnavailable("the journal's storage does not answer"))

    async def _send(self, asked: list[tuple[tuple[object, ...], asyncio.Future[Any]]]) -> None:
        """Send some runs together, and pass each its reply or its error."""
        replies: list[Any]
        try:
            async with self._slots:
                pipeline = self._client.pipeline(transaction=False)
                for keys_and_arguments, _ in asked:
                    # Replies are raw bytes, even if the client is set up to decode them.
                    pipeline.execute_command(
                        "EVALSHA", hash_of(self._script), *keys_and_arguments, NEVER_DECODE=True
                    )
                replies = await pipeline.execute(raise_on_error=False)
        except self._failures as error:
            replies = [error] * len(asked)
        for (_, reply), value in zip(asked, replies, strict=True):
            _settle(reply, value)


def _settle(reply: asyncio.Future[Any], value: object) -> None:
    """Set the reply of a run, which may be an error, unless it is set or nobody waits for it any more."""
    if reply.done():
        return
    if isinstance(value, Exception):
        reply.set_exception(value)
        # The task that has sent the run may be cancelled before it reads its own reply.
        reply.exception()
    else:
        reply.set_result(value)


def unavailable_error(error: Exception) -> JournalUnavailable:
    """Return the error for a Redis that cannot be used.

    Its text is not that of the cause, which may contain the host, the port or the name of a user: people
    answer requests with it.
    """
    return JournalUnavailable(f"the journal's Redis cannot be used now ({type(error).__name__})")


@cache
def hash_of(script: str) -> str:
    """Return the SHA-1 hash by which Redis identifies a cached script."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest()
