"""Runs tool calls at most once, with a store that remembers them.

The steps of a run are in generators that wait for nothing themselves, so that one implementation serves
`Stream` and `AsyncStream`. A generator yields a function: the stream calls it, awaits the result if that is
an awaitable, and sends the result back. Or it yields a `Sleep`, for which the stream sleeps.

A step that is stopped from outside, by Ctrl-C or a cancellation, raises `Interruption` in the generator,
which then tells the store how far the call has come. A call that has not run is new again; one that may have
run is unknown at once.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import partial
from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pydantic_core import PydanticSerializationError, to_json

from tokenstream._basics.call_keys import find_call_place
from tokenstream._basics.error_marks import message_of
from tokenstream._values.parts import CallState
from tokenstream.errors import CallStoreUnavailable, CallUncertain, MisuseError
from tokenstream.stages._tools.generators import ToolFailed
from tokenstream.stages._tools.store import AnyCallStore, AsyncCallStore, CallStore, UncertainCall

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream._basics.loose import AnyFunction, JsonObject
    from tokenstream.message import ToolCall
    from tokenstream.stages._tools.call import CheckedCall
    from tokenstream.stages._tools.same_calls import SameCalls

    CallStep: TypeAlias = "Callable[[], Any] | Sleep"
    """A request to the stream: to call this function and send back its result, or to wait."""
    CallSteps: TypeAlias = "Generator[CallStep, Any, None]"

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
"""The first and the longest wait, in seconds, for a call that another reader is running."""
_MAX_WORDS = 4_096
"""The most characters of the message for the model that is stored for a failed call."""
_SHORT_ID = 16
"""Characters below which an answer's id is too short to be unique in a store that processes share."""


class Sleep(NamedTuple):
    """Yielded by the generators of `CallRun` to let the stream sleep before it continues them."""

    seconds: float


class Interruption(BaseException):
    """Raised in the generators of `CallRun` if a step was stopped from outside, by any `BaseException`.

    The stream takes the steps that still follow, and then raises the exception itself. No generator may go
    on as if nothing had happened.
    """


class CallRun:
    """Runs one tool call at most once, by means of a store that remembers calls.

    Args:
        call: The call; it has a key.
        warn: Writes a warning to the logger, from a text with `%s` and its arguments.
        same_calls: Compares the calls of the answer with those of the first one; None to compare nothing.

    Raises:
        MisuseError: The call's key means nothing in a store that other processes use.
    """

    def __init__(
        self,
        call: CheckedCall,
        store: AnyCallStore,
        warn: Callable[..., None],
        same_calls: SameCalls | None = None,
    ) -> None:
        self.id = call.id
        self.key = call.key
        self._call = call
        self._store = store
        self._warn = warn
        self._compare = (lambda: ()) if same_calls is None else (lambda: call.compare(same_calls))
        """Returns the steps that compare the call with the first answer's, before anything else is done."""
        self._tokens = [_make_token()]
        """The token that identifies this reader to the store; empty once a `run` has taken it.

        A second `run` at the same time takes a token of its own, as if it were another reader.
        """
        self._has_begun = False
        self._is_stuck = False
        """True if the tool was stopped from outside, and the store could not be informed."""
        self.state: CallState | None = None
        """The store's last state of the call; None before `look` and `begin`."""
        if store.is_shared:
            # In a store that other processes use, too, the call's key must mean the same to them.
            self._check_identity(call)

    def _check_identity(self, call: ToolCall) -> None:
        """Check that other processes would compute the same key for the call, from the answer's id."""
        place = find_call_place(call)
        kind, id = ("random", "") if place is None else place.identity
        if kind == "random":
            raise MisuseError(
                "the answer has no id, so the keys of its calls mean nothing in another process: pass "
                "job= to the stream, an id of yours for this answer, or once=MemoryCallStore()"
            )
        if kind == "message" and len(id) < _SHORT_ID:
            self._warn("the id of the answer is short; if the server uses ids again, pass job=")

    def look(self) -> CallSteps:
        """Ask the store for what it knows about the call; the call does not begin."""
        yield from self._compare()
        self.state = yield lambda: self._store.look(self.key)

    def begin(self) -> Generator[CallStep, Any, CallState]:
        """Begin the call at the store; wait while another reader is running it."""
        yield from self._compare()
        self.state = state = yield from self._begin(self._tokens[0])
        self._has_begun = True
        return state

    def _begin(self, token: str) -> Generator[CallStep, Any, CallState]:
        """Begin the call at the store, once no other reader is running it; return the store's answer."""
        store, pause, described = self._store, _FIRST_PAUSE, self._describe_call()
        while True:
            try:
                state: CallState = yield lambda: store.begin(
                    self.key, store.lease, token=token, again=store.retry_failed, **described
                )
            except BaseException:
                # The store may have begun the call all the same.
                yield from self._abandon(token, may_have_run=False)
                raise
            if state.status != "running":
                return state
            # Ends at the latest when the other reader's lease is over: the store then answers "unknown".
            yield Sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _describe_call(self) -> JsonObject:
        """Return the argument `about` for the store's `begin`; nothing for a store that does not take it."""
        if "about" not in signature(self._store.begin).parameters:
            return {}
        call, place = self._call, find_call_place(self._call)
        arguments = call.describe_for_person()
        if arguments is not None and len(arguments) > self._store.max_result:
            arguments = None
        answer_id, number = ("", 0) if place is None else (place.identity.id, place.number)
        uncertain = UncertainCall(self.key, call.name, arguments, answer_id, number, datetime.now(UTC))
        return {"about": uncertain.to_text()}

    def make_error(self, state: CallState | None) -> CallUncertain | None:
        """Return the error if nobody knows whether the call has run, or what its result was; else None."""
        if state is None or state.status not in ("unknown", "done") or state.result is not None:
            return None
        if state.status == "done":
            return CallUncertain(
                f"tool call {self.id!r} has run, but its result could not be kept: it is not run again",
                key=self.key,
            )
        return self._make_uncertain()

    def _make_uncertain(self) -> CallUncertain:
        return CallUncertain(
            f"tool call {self.id!r} has begun before, and its end was never stored, so it may have run, or "
            "not: it is not run again; find out, and if it is to run, forget its .key in the store",
            key=self.key,
        )

    def run(self, run: AnyFunction) -> Generator[CallStep, Any, Any]:
        """Run the tool if the call is new, and store its result; else return the stored result.

        The steps that may block, such as `run` itself, are yielded: the stream takes them, awaits their
        results if it is async, and sends these back. So the same code serves both kinds of streams.
        """
        if self._is_stuck:
            # Nobody will end the call before its lease is over, so it is not waited for.
            raise self._make_uncertain()
        yield from self._compare()
        try:
            token = self._tokens.pop()
        except IndexError:
            token = _make_token()
        try:
            state = yield from self._begin(token)
        except BaseException:
            # The next `run` asks as the same reader.
            self._tokens.append(token)
            raise
        self.state = state
        error = self.make_error(state)
        if error is not None:
            raise error
        if state.status == "failed":
            raise ToolFailed(state.result or "the call has failed")
        if state.status == "done":
            return json.loads(state.result or "null")
        try:
            value = yield from self._run_tool(run, token)
            yield from self._store_result(value, token)
        except BaseException:
            if self.state is state:
                # A cancellation or Ctrl-C: how far the tool has come is unknown.
                yield from self._abandon(token)
            raise
        return value

    def _run_tool(self, run: AnyFunction, token: str) -> Generator[CallStep, Any, Any]:
        try:
            return (yield run)
        except Exception as failure:
            yield from self._store_end(_make_failed_state(failure), token)
            raise

    def finish(self, value: object) -> CallSteps:
        """Store the result of a call that the application has run, unless it is too long or no JSON."""
        yield from self._store_result(value, self._tokens[0])

    def _store_result(self, value: object, token: str) -> CallSteps:
        """Store the end of a call that has succeeded, with its result as JSON.

        A result that JSON cannot express, or that is too long, is not kept; the end is stored anyway, so
        that the call is not run again.
        """
        try:
            result: str | None = to_json(value).decode()
        except (PydanticSerializationError, ValueError) as error:
            self._warn("the result of tool call %s is not kept: %s", self.id, type(error).__name__)
            result = None
        if result is not None and len(result) > self._store.max_result:
            self._warn("the result of tool call %s is not kept: it is too long", self.id)
            result = None
        yield from self._store_end(CallState("done", result), token)

    def fail(self, error: BaseException | str) -> CallSteps:
        """Store the failure of a call that the application has run; an interrupt leaves the call unknown."""
        if isinstance(error, BaseException) and not isinstance(error, Exception):
            yield from self._abandon(self._tokens[0])
        else:
            yield from self._store_end(_make_failed_state(error), self._tokens[0])

    @property
    def is_in_hand(self) -> bool:
        """True if the application has begun the call, and has to end it."""
        return self._has_begun and self.state is not None and self.state.status == "new"

    def leave(self) -> CallSteps:
        """Tell the store that the application was interrupted while it had the call in hand.

        The call is unknown to all others. The application may still end it.
        """
        if self.is_in_hand:
            yield from self._give_up(self._tokens[0], may_have_run=True)

    def check_new(self) -> None:
        status = "not begun" if self.state is None or not self._has_begun else self.state.status
        if status != "new":
            raise MisuseError(
                f'tool call {self.id!r} is {status}: only a call whose state.status is "new" is run, and '
                "then finished or failed"
            )

    def _store_end(self, end: CallState, token: str) -> CallSteps:
        """Store the end of a call; if the store cannot be used now, only warn."""
        self.state = end
        try:
            yield from self._finish(end, token)
        except CallStoreUnavailable as error:
            # The tool has run, so its result is given; for everybody else, the call is unknown.
            self._warn("the end of tool call %s is not stored: %s", self.id, error)

    def _finish(self, end: CallState, token: str) -> CallSteps:
        """Tell the store the end of a call; if it cannot take that, the call is unknown to all others."""
        has_failed = end.status == "failed"

        def finish() -> Any:  # noqa: ANN401 - None, or an awaitable of None
            return self._store.finish(self.key, end.result, token=token, failed=has_failed)

        try:
            yield finish
        except BaseException as error:
            if isinstance(error, Exception) or not (yield from self._tell(finish)):
                yield from self._abandon(token)
            raise

    def _abandon(self, token: str, *, may_have_run: bool = True) -> CallSteps:
        """Give a call up at the store, and note its state; see `_give_up`."""
        has_released = yield from self._give_up(token, may_have_run=may_have_run)
        if may_have_run:
            self.state, self._is_stuck = CallState("unknown"), not has_released

    def _give_up(self, token: str, *, may_have_run: bool) -> Generator[CallStep, Any, bool]:
        """Give the call up, so that nobody waits for its lease; return False if the store was not reached."""
        store: Any = self._store
        # A store may have been written without the method.
        kind = AsyncCallStore if iscoroutinefunction(store.begin) else CallStore
        abandon: Any = getattr(store, "abandon", None) or partial(kind.abandon, store)
        return (yield from self._tell(lambda: abandon(self.key, token=token, may_have_run=may_have_run)))

    def _tell(self, step: AnyFunction) -> Generator[CallStep, Any, bool]:
        """Take one more step at a store after an error; return False, and warn, if it fails, too."""
        try:
            yield step
        except Exception as error:  # noqa: BLE001 - the error before is the one to raise
            self._warn("tool call %s stays begun until its lease is over: %s", self.id, type(error).__name__)
            return False
        return True


def _make_token() -> str:
    """Return a random token by which a store identifies one of the readers of a call."""
    return os.urandom(12).hex()


def _make_failed_state(error: BaseException | str) -> CallState:
    words = (
        str(error) if isinstance(error, str | ToolFailed) else f"{type(error).__name__}: {message_of(error)}"
    )
    return CallState("failed", words[:_MAX_WORDS])
