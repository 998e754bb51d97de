"""Remembers tool calls in the memory of one process."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from tokenstream._basics.elsewhere import UncopyableObject
from tokenstream._values.parts import CallState, CallStatus
from tokenstream.errors import CallStoreUnavailable, MisuseError
from tokenstream.stages._tools.store import UncertainCall, check_lease, key_of, to_result

if TYPE_CHECKING:
    from collections.abc import Callable


class _Call:
    """A tool call that has begun, as a store remembers it: its status, its result and its lease."""

    def __init__(self, token: str, lease_end: float, about: str = "") -> None:
        self.token = token
        self.about = about
        """The text that tells a person what the call asks for."""
        self.lease_end = lease_end
        """The clock reading from which a call that has not ended gets the status "unknown"."""
        self.status: CallStatus = "running"
        self.result: str | None = None


class MemoryCallStore(UncopyableObject):
    """Remembers in this process which tool calls have run, so that a repeated answer runs none of them again.

    It is the argument `once=` of `validated_calls`, for `Stream` and `AsyncStream`, in any thread.

    Args:
        lease: Seconds within which a call has to end; after that, its state is "unknown".
        max_calls: Maximum number of calls; beyond it, the calls that ended first are forgotten.
        max_result: Maximum length of a result's JSON, in characters; a longer one is not kept.
        retry_failed: True to run a call again that has failed.
        same_calls: True to refuse an answer whose calls differ from those of the first answer under the same
            id, with `CallsDiffer`.
        clock: Returns the current time, in seconds.

    Raises:
        MisuseError: `lease` is not positive, or `max_calls` is not at least 1.

    Example:
        >>> from tokenstream import Stream, testing
        >>> def book(room: int) -> str:
        ...     return f"booked {room}"
        >>> body = testing.script().tool_call("book", {"room": 1}).finish().chunks("anthropic")
        >>> store = MemoryCallStore()
        >>> for attempt in range(2):
        ...     for call in Stream(body, job="order 7").validated_calls(book, once=store):
        ...         print(call.state.status, call.run())
        new booked 1
        done booked 1
    """

    _uncopyable = "its calls are in this process: workers share those of a RedisCallStore"
    is_shared = False
    """Always False: no other process has this store."""

    def __init__(
        self,
        *,
        lease: float = 600.0,
        max_calls: int = 10_000,
        max_result: int = 1 << 20,
        retry_failed: bool = False,
        same_calls: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_calls < 1:
            raise MisuseError("max_calls= must be at least 1")
        self.lease = check_lease(lease)
        """Seconds within which a call has to end."""
        self.max_result = max_result
        """Maximum length of a result's JSON, in characters."""
        self.retry_failed = retry_failed
        """True to run a call again that has failed."""
        self.same_calls = same_calls
        """True to refuse an answer whose calls differ from those of the first answer under the same id."""
        self._max_calls = max_calls
        self._clock = clock
        self._lock = Lock()
        self._begun: dict[str, _Call] = {}
        """The calls that have begun and not ended, by key; also those that were abandoned."""
        self._ended: dict[str, _Call] = {}
        """The calls that have ended, by key, in the order of their ends."""

    def __repr__(self) -> str:
        return f"<MemoryCallStore: {len(self._begun)} calls have begun, {len(self._ended)} have ended>"

    def begin(self, key: str, lease: float, *, token: str, again: bool = False, about: str = "") -> CallState:
        """Begin a call, unless it has begun before, and return its state; see `CallStore.begin`.

        Raises:
            CallStoreUnavailable: `max_calls` calls have begun, and none of them has ended.
        """
        with self._lock:
            call = self._begun.get(key)
            if call is not None and call.token == token and call.status == "running":
                # This caller has begun the call itself, but did not get the reply, and asks again.
                return CallState("new")
            state = self._look(key)
            may_run = state.status == "new" or (again and state.status == "failed")
            if call is not None or not may_run:
                return state
            self._ended.pop(key, None)
            self._make_room()
            self._begun[key] = _Call(token, self._clock() + lease, about)
            return CallState("new")

    def look(self, key: str) -> CallState:
        """Return the state of a call and change nothing; the status is "new" if nothing is known."""
        with self._lock:
            return self._look(key)

    def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> None:
        """Store the result of a call, or its failure; do nothing if another caller has begun it since."""
        with self._lock:
            call = self._begun.get(key) or self._ended.get(key)
            if call is None:
                # The call was forgotten while it ran. Its end is known, which is worth keeping. A call that
                # has ended needs no lease.
                self._make_room()
                call = _Call(token, lease_end=0.0)
            elif call.token != token:
                return
            call.status, call.result = "failed" if failed else "done", result
            call.about = call.about if result is None else ""
            self._begun.pop(key, None)
            self._ended[key] = call

    def abandon(self, key: str, *, token: str, may_have_run: bool = True) -> None:
        """Give up a call that its caller has begun and will not end; see `CallStore.abandon`."""
        with self._lock:
            call = self._begun.get(key)
            if call is None or call.token != token:
                return
            if may_have_run:
                call.status = "unknown"
            elif call.status == "running":
                del self._begun[key]

    def uncertain(self) -> list[UncertainCall]:
        """Return the calls of which nobody knows the end, for a person to look at.

        Example:
            >>> store = MemoryCallStore()
            >>> state = store.begin("key of a transfer", 600, token="process 1")
            >>> store.abandon("key of a transfer", token="process 1")
            >>> [call] = store.uncertain()
            >>> call.key, store.settle(call, "sent"), store.uncertain()
            ('key of a transfer', True, [])
        """
        with self._lock:
            calls = {**self._begun, **self._ended}
            return [
                UncertainCall.of(key, call.about) for key, call in calls.items() if self._is_uncertain(key)
            ]

    def settle(self, key: UncertainCall | str, result: object) -> bool:
        """Store the result of an uncertain call; return False if it is not uncertain. See `CallStore.settle`.

        Raises:
            MisuseError: JSON cannot express the result.
        """
        text, key = to_result(result), key_of(key)
        with self._lock:
            if not self._is_uncertain(key):
                return False
            # Without a token: an end that still comes does not replace this result.
            call = self._ended[key] = _Call("", lease_end=0.0)
            call.status, call.result = "done", text
            self._begun.pop(key, None)
            return True

    def _is_uncertain(self, key: str) -> bool:
        """Return True for a call that may have run, and whose result is not known."""
        return self._look(key) in (CallState("unknown"), CallState("done"))

    def forget(self, key: str) -> bool:
        """Forget a call, so that it can be run anew; return False if the store does not have it."""
        with self._lock:
            calls = (self._begun.pop(key, None), self._ended.pop(key, None))
            return calls != (None, None)

    def _look(self, key: str) -> CallState:
        """Return the state of a call; "unknown" if it was abandoned, or has not ended within its lease."""
        ended = self._ended.get(key)
        if ended is not None:
            return CallState(ended.status, ended.result)
        begun = self._begun.get(key)
        if begun is None:
            return CallState("new")
        is_running = begun.status == "running" and begun.lease_end > self._clock()
        return CallState("running" if is_running else "unknown")

    def _make_room(self) -> None:
        """Forget the call that ended first if the store is full; CallStoreUnavailable if none has ended."""
        if len(self._begun) + len(self._ended) < self._max_calls:
            return
        if not self._ended:
            raise CallStoreUnavailable(
                f"max_calls={self._max_calls:,} calls have begun, and none of them has ended"
            )
        del self._ended[next(iter(self._ended))]
