"""The interface of stores that remember tool calls, so that each is run at most once.

begin ──▶ new ──▶ the tool runs ──▶ finish          all later calls of `begin`: done, or failed
           │              ├─ (interrupted) ─▶ abandon  unknown at once
           │              └─ (dies) ─▶                 running until the lease is over, then unknown
           └─ (interrupted) ─▶ abandon                 new at once
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeAlias

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tokenstream._values.parts import CallState

_HAS_NO_LIST = "this store has no methods uncertain and settle of its own: write both in its class"


class UncertainCall(NamedTuple):
    """A tool call of which nobody knows the end, as a store lists it for a person.

    Example:
        >>> UncertainCall("a key", "pay", '{"usd":5}', "job 7, turn 1").arguments
        '{"usd":5}'
    """

    key: str
    """The call's key, for `settle` and `forget`."""
    name: str = ""
    """The tool's name; "" if the store does not keep it."""
    arguments: str | None = None
    """The validated arguments as JSON, without what a type such as `SecretStr` hides.

    None if pydantic cannot write them, or if they are longer than the store's `max_result`.
    """
    answer_id: str = ""
    """The id of the answer: your `job=`, or the one that the answer has otherwise."""
    number: int = 0
    """The number of the call among the calls of the answer, counted from 0."""
    since: datetime | None = None
    """The time at which the call began; None if the store does not keep it."""

    def to_text(self) -> str:
        """Return all but the key as JSON, for a store to keep."""
        since = None if self.since is None else self.since.isoformat()
        return json.dumps([self.name, self.arguments, self.answer_id, self.number, since])

    @classmethod
    def of(cls, key: str, about: str = "") -> Self:
        """Return the call with a key, from the text that `begin` was given; the key alone for "".

        Args:
            key: The call's key.
            about: The text that `CallStore.begin` was given.
        """
        if not about:
            return cls(key)
        name, arguments, answer_id, number, since = json.loads(about)
        began = None if since is None else datetime.fromisoformat(since)
        return cls(key, name, arguments, answer_id, number, began)


def key_of(call: UncertainCall | str) -> str:
    """Return the key of an entry of `uncertain`, or the key itself."""
    return call if isinstance(call, str) else call.key


class CallPolicy(Protocol):
    """The options with which calls are run with a store; the store itself sets them as attributes."""

    lease: float = 600.0
    """Seconds within which a call has to end; after that, it is unknown to others, and is not run again."""
    max_result: int = 1 << 20
    """The most characters of a result's JSON; a longer result is not kept, and the call is then unknown."""
    retry_failed: bool = False
    """True to run a call again that has failed."""
    same_calls: bool = False
    """True to refuse an answer whose calls differ from those of the first answer under the same id."""
    is_shared: bool = True
    """True if other processes use the same store, so that keys have to be the same in all of them."""


class CallStore(CallPolicy, Protocol):
    """Remembers by their keys which tool calls have begun and ended, so that no call is run twice.

    Subclass it to keep the calls in a database or service of your own. Each method is atomic, and may be
    called again if its outcome is unknown. The methods `begin`, `look`, `finish` and `forget` are required;
    the others have a default.
    """

    def begin(self, key: str, lease: float, *, token: str, again: bool = False) -> CallState:
        """Begin a call, unless it has begun before.

        A store that also has the parameter `about: str = ""` gets a text to keep until the call has a result,
        from which `UncertainCall.of` makes an entry of `uncertain`.

        Args:
            key: The call's key.
            lease: Seconds within which the call has to end.
            token: Identifies the caller, which gets "new" once more if it has begun this call already.
            again: True to begin a failed call again.

        Raises:
            CallStoreUnavailable: The store cannot be used now.
        """
        ...

    def look(self, key: str) -> CallState:
        """Return what is known about a call, without a change; "new" if nothing is known.

        Args:
            key: The call's key.

        Raises:
            CallStoreUnavailable: The store cannot be used now.
        """
        ...

    def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> None:
        """Store the end of a call; do nothing if another caller has begun it since.

        Args:
            key: The call's key.
            result: The result as JSON, or None if it cannot be kept; if the call failed, words for the model.
            token: Identifies the caller that began the call.
            failed: True if the call failed.

        Raises:
            CallStoreUnavailable: The store cannot be used now.
        """
        ...

    def abandon(self, key: str, *, token: str, may_have_run: bool = True) -> None:
        """Give up a call that its caller has begun and will not end, so that nobody waits for its lease.

        Do nothing if the call has ended, or if another caller has begun it. By default, this stores an end
        without a result, which is as uncertain to all others, or forgets the call.

        Args:
            key: The call's key.
            token: Identifies the caller that began the call.
            may_have_run: True if the status becomes "unknown"; False if it becomes "new" again.

        Raises:
            CallStoreUnavailable: The store cannot be used now.
        """
        if may_have_run:
            # The end may have been stored although its reply was lost: no result is taken away.
            if self.look(key).status == "running":
                self.finish(key, None, token=token)
        # Whoever gets "new" has the call to itself, so no other caller's call is forgotten.
        elif self.begin(key, self.lease, token=token).status == "new":
            self.forget(key)

    def forget(self, key: str) -> bool:
        """Forget a call, so that it can be run again; return False if the store does not have it.

        Args:
            key: The call's key, such as `key` of a `CallUncertain`.

        Raises:
            CallStoreUnavailable: The store cannot be used now.
        """
        ...

    def uncertain(self) -> list[UncertainCall]:
        """Return the calls of which nobody knows the end, for a person to look at.

        These are the calls for which `CallUncertain` is raised.

        Raises:
            MisuseError: The store cannot list its calls.
            CallStoreUnavailable: The store cannot be used now.
        """
        raise MisuseError(_HAS_NO_LIST)

    def settle(self, key: UncertainCall | str, result: object) -> bool:
        """Store the result of an uncertain call, after a person has checked that it has run.

        From then on, the call is done. If it has not run, `forget` lets it run again.

        Args:
            key: An entry of `uncertain`, or the call's key, which is also `CallUncertain.key`.
            result: The result for the model, which JSON can express.

        Returns:
            False, without a change, if the call is not uncertain.

        Raises:
            MisuseError: The store cannot settle calls.
            CallStoreUnavailable: The store cannot be used now.
        """
        raise MisuseError(_HAS_NO_LIST)


class AsyncCallStore(CallPolicy, Protocol):
    """A `CallStore` with asynchronous methods, for an `AsyncStream`."""

    def begin(self, key: str, lease: float, *, token: str, again: bool = False) -> Awaitable[CallState]:
        """Begin a call, unless it has begun before; see `CallStore.begin`."""
        ...

    def look(self, key: str) -> Awaitable[CallState]:
        """Return what is known about a call, without a change; see `CallStore.look`."""
        ...

    def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> Awaitable[None]:
        """Store the end of a call; see `CallStore.finish`."""
        ...

    async def abandon(self, key: str, *, token: str, may_have_run: bool = True) -> None:
        """Give up a call that its caller has begun and will not end; see `CallStore.abandon`."""
        if may_have_run:
            if (await self.look(key)).status == "running":
                await self.finish(key, None, token=token)
        elif (await self.begin(key, self.lease, token=token)).status == "new":
            await self.forget(key)

    def forget(self, key: str) -> Awaitable[bool]:
        """Forget a call, so that it can be run again; see `CallStore.forget`."""
        ...

    async def uncertain(self) -> list[UncertainCall]:
        """Return the calls of which nobody knows the end; see `CallStore.uncertain`."""
        raise MisuseError(_HAS_NO_LIST)

    async def settle(self, key: UncertainCall | str, result: object) -> bool:
        """Store the result of an uncertain call; see `CallStore.settle`."""
        raise MisuseError(_HAS_NO_LIST)


AnyCallStore: TypeAlias = CallStore | AsyncCallStore


def to_result(result: object) -> str:
    """Return a result as the JSON that a store keeps."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(result).decode()
    except (PydanticSerializationError, ValueError) as error:
        raise MisuseError(
            f"a result must be a value that JSON can express: {type(error).__name__}"
        ) from error


def check_lease(lease: float) -> float:
    if lease <= 0:
        raise MisuseError("lease= must be more than 0 seconds")
    return lease
