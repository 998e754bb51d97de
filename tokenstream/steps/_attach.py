"""The events of a hosted session, in `for` or `async for`, over as many connections as are needed."""

from __future__ import annotations

import time
from contextlib import suppress
from inspect import signature
from itertools import chain
from random import Random
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from tokenstream._basics.elsewhere import is_awaitable
from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, is_dict, text_of, text_or_empty
from tokenstream._basics.waits import wait_before
from tokenstream._sources.causes import is_connection
from tokenstream._sources.payloads import to_payload
from tokenstream.errors import MisuseError, StreamError, StreamInterrupted, StreamTruncated
from tokenstream.formats._kit.values import split_names
from tokenstream.formats._wire.a2a import FINISH_REASONS, state_of, unwrap

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
        MutableSet,
    )

    from tokenstream._basics.loose import AnyFunction, JsonObject

_REMEMBERED = 100_000
"""Number of ids that are remembered at least, if the caller keeps none."""
_INITIAL, _MAXIMUM = 0.5, 20.0
"""The longest wait before the second attempt, and before any attempt, in seconds."""
_RESTING = split_names(
    "session.status_idle session.status_terminated session.deleted agent.session.idle "
    "agent.session.requires_action agent.session.budget_reached agent.session.failed session.idle"
)
"""Types of events after which a server may close the connection, because nothing is going on."""
_GOING_ON = frozenset({"session.status_running", "agent.session.in_progress", "session.status_rescheduled"})
"""Types of events after which something is going on."""
_RESTING_STATES = frozenset({*FINISH_REASONS, "unknown"})
"""States of an A2A task after which the server may close the connection."""
_PREVIEWS = {"event_start": "event", "event_delta": "event_id"}
"""Types of events that show beforehand what another event will have, and their field for its id."""


EventT = TypeVar("EventT")
_END: Any = object()


class _Attachment(Generic[EventT]):
    """Tells which events of a hosted session are new, and when to open them again; it reads nothing itself.

    Args:
        open_live: Opens the events as they happen.
        open_history: Returns the events before; None if there is no way to ask for them.
        seen: The ids of events that the caller has seen; the ids of new events are added.
        retries: Number of attempts to open the events again without anything new in between.
    """

    if not TYPE_CHECKING:
        # The attributes are in the subclasses' dictionary.
        __slots__ = ()

    def __init__(
        self,
        open_live: AnyFunction,
        open_history: AnyFunction | None,
        seen: MutableSet[str] | None,
        retries: int,
    ) -> None:
        self._open_live = open_live
        self._open_history = open_history
        self.seen: MutableSet[str] | RecentIds = seen if seen is not None else RecentIds(_REMEMBERED)
        """The ids of the events so far: the set that was passed as `seen`, or at least the last 100,000."""
        self.reattached = 0
        """Number of times that the events were opened again."""
        self._retries = retries
        self._failures = 0
        """Number of attempts since the last new event."""
        self._is_resting = False
        """True if nothing has been going on since the last event, so that the events may end."""
        self._is_first = True
        """True until the first event of a connection has come."""
        self._opening: JsonObject | None = None
        """The first event of the last connection, if it has no id; the next connection may repeat it."""
        self._random = Random()  # noqa: S311 - the wait before an attempt is no secret
        self._live: Any = None
        """The events as they happen; None between two connections."""
        self._events: Any = None
        """The iterator over the history and the events as they happen; None between two connections."""
        self._is_over = False

    def _admit(self, event: object) -> bool:
        """Note an event; return False if the caller has seen it before."""
        payload: Any = to_payload(event)
        if not is_dict(payload):
            return True
        kind = text_or_empty(payload, "type")
        shown = payload.get(_PREVIEWS[kind]) if kind in _PREVIEWS else None
        if shown is not None:
            # A preview of an event that is known whole.
            id = text_of(shown, "id") if is_dict(shown) else shown
            return not (isinstance(id, str) and id in self.seen)
        is_opening = self._is_first
        self._is_first = False
        # The id of a JSON-RPC answer is that of the request, and a task of A2A has one for all its states.
        has_id = "jsonrpc" not in payload and payload.get("kind") != "task"
        id = text_of(payload, "event_id") or (text_of(payload, "id") if has_id else None)
        if id is not None:
            if id in self.seen:
                return False
            self.seen.add(id)
        # A connection may begin with the state of the session or task, which is nothing new by itself.
        if kind not in _GOING_ON and payload != self._opening:
            self._failures = 0
        if is_opening:
            self._opening = payload if id is None else None
        self._note_state(kind, payload)
        return True

    def _wait_after(self, error: BaseException | None) -> float | None:
        """Return the seconds until the events are opened again; None at their end; raise if that fails."""
        self._is_over = True
        if error is None and self._is_resting:
            return None
        if error is not None and not (is_connection(error) or isinstance(error, StreamInterrupted)):
            raise error
        self._is_first = True
        self._failures += 1
        if self._failures > self._retries:
            lost = f"the events of the session could not be opened again in {self._retries} attempts"
            if error is not None:
                raise StreamInterrupted(lost) from error
            raise StreamTruncated(f"{lost}: the server closes them in the middle of a turn")
        self.reattached += 1
        self._is_over = False
        return wait_before(
            self._failures + 1,
            error=error if isinstance(error, StreamError) else None,
            initial=_INITIAL,
            maximum=_MAXIMUM,
            random=self._random.random(),
        )

    def _note_state(self, kind: str, payload: JsonObject) -> None:
        if kind in _RESTING or kind in _GOING_ON:
            # Quirk (Qoder, 2026-07): a server may close the events while the session waits for a result.
            waits = text_of(dict_of(payload, "stop_reason"), "type") == "requires_action"
            self._is_resting = kind in _RESTING and not waits
            return
        a2a_kind, content = unwrap(payload) or (None, {})
        state = text_of(dict_of(content, "status"), "state")
        if state is not None:
            self._is_resting = state_of(state) in _RESTING_STATES
        elif a2a_kind == "message" or ("jsonrpc" in payload and "error" in payload):
            self._is_resting = True


class AttachedEvents(_Attachment[EventT]):
    """The events of a hosted session, each once, in `for`; made by `attach`."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> EventT:
        while not self._is_over:
            error: BaseException | None = None
            event: EventT
            try:
                if self._events is None:
                    self._events = self._open()
                event = next(self._events, _END)
            except Exception as raised:  # noqa: BLE001 - `_wait_after` raises what does not concern the connection
                event, error = _END, raised
            if event is not _END:
                if self._admit(event):
                    return event
                continue
            self._close_live()
            wait = self._wait_after(error)
            if wait is not None:
                time.sleep(wait)
        raise StopIteration

    def close(self) -> None:
        """Close the connection; the session itself goes on."""
        self._is_over = True
        self._close_live()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- within ------------------------------------------------------------

    def _open(self) -> Iterator[EventT]:
        """Open the events as they happen, and then ask for those before, so that nothing falls between."""
        self._live = self._open_live()
        history = () if self._open_history is None else self._open_history()
        return chain(history, self._live)

    def _close_live(self) -> None:
        live, self._live, self._events = self._live, None, None
        close = getattr(live, "close", None)
        if close is not None:
            with suppress(OSError):
                close()


class AsyncAttachedEvents(_Attachment[EventT]):
    """The events of a hosted session, each once, in `async for`; made by `aattach`."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventT:
        from anyio import sleep

        while not self._is_over:
            error: BaseException | None = None
            event: EventT
            try:
                if self._events is None:
                    self._events = await self._open()
                event = await anext(self._events, _END)
            except Exception as raised:  # noqa: BLE001 - `_wait_after` raises what does not concern the connection
                event, error = _END, raised
            if event is not _END:
                if self._admit(event):
                    return event
                continue
            await self._close_live()
            wait = self._wait_after(error)
            if wait is not None:
                await sleep(wait)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the connection; the session itself goes on."""
        self._is_over = True
        await self._close_live()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    # -- within ------------------------------------------------------------

    async def _open(self) -> AsyncGenerator[Any]:
        """Open the events as they happen, and then ask for those before, so that nothing falls between."""
        self._live = await _awaited(self._open_live())
        history: Any = () if self._open_history is None else await _awaited(self._open_history())
        return _achain(history, self._live)

    async def _close_live(self) -> None:
        live, self._live = self._live, None
        events, self._events = self._events, None
        if events is not None:
            # The garbage collector of trio complains about a generator that was left.
            await events.aclose()
        close = getattr(live, "aclose", None) or getattr(live, "close", None)
        if close is not None:
            with suppress(OSError):
                await _awaited(close())


def attach(
    events: Any,  # noqa: ANN401 - a resource of an SDK, or a function
    id: str | None = None,
    *,
    history: Callable[[], Iterable[Any]] | None = None,
    seen: MutableSet[str] | None = None,
    retries: int = 8,
) -> AttachedEvents[Any]:
    """Return the events of a hosted session, each once, over as many connections as are needed.

    Each connection first opens the events as they happen, then asks for those before, and drops by
    their ids what was delivered already. A hosted session goes on while nobody listens, and with a
    history nothing of it is lost. The iterator ends when the server closes the connection while
    nothing is going on.

    Args:
        events: A resource of an SDK with `stream(id)`, and perhaps `list(id)`, such as
            `client.beta.sessions.events` of Anthropic's; or a function without parameters that
            opens the events as they happen, such as a `tasks/resubscribe` of A2A. It has to open
            the connection when it is called, which a generator function does not.
        id: The session's id, for a resource.
        history: Returns what has happened so far, the oldest first; by default, the resource's `list`.
        seen: The ids of the events that you have seen, from an earlier process; new ones are added.
        retries: Number of attempts to open the events again without anything new in between.

    Raises:
        MisuseError: `events` is neither a resource nor a function, or `id` is missing.
        StreamInterrupted: In the loop: too many attempts have failed.
        StreamTruncated: In the loop: the server closes the events again and again.

    Source:
        agents-api/sessions/events of OpenAI, managed-agents/events-and-streaming of Anthropic, and the
        A2A specification, section 3.5.2.

    Example:
        >>> live = [{"type": "agent.message", "id": "2"}, {"type": "session.status_idle"}]
        >>> before = [{"type": "user.message", "id": "1"}, {"type": "agent.message", "id": "2"}]
        >>> [event.get("id") for event in attach(lambda: live, history=lambda: before)]
        ['1', '2', None]
    """
    open_live, open_history = _openers(events, id, history)
    return AttachedEvents(open_live, open_history, seen, retries)


def aattach(
    events: Any,  # noqa: ANN401 - a resource of an SDK, or a function
    id: str | None = None,
    *,
    history: Callable[[], AsyncIterable[Any] | Awaitable[Any] | Iterable[Any]] | None = None,
    seen: MutableSet[str] | None = None,
    retries: int = 8,
) -> AsyncAttachedEvents[Any]:
    """Return the events of a hosted session, for `async for`.

    The other arguments and the errors are those of `attach`.

    Args:
        events: A resource of an asynchronous SDK, or a function that returns an asynchronous iterable
            or an awaitable of one.
        history: Returns what has happened so far, the oldest first, in any of these forms or as a list.
    """
    open_live, open_history = _openers(events, id, history)
    return AsyncAttachedEvents(open_live, open_history, seen, retries)


def _openers(
    events: Any,  # noqa: ANN401 - a resource of an SDK, or a function
    id: str | None,
    history: AnyFunction | None,
) -> tuple[AnyFunction, AnyFunction | None]:
    """Return the functions that open the events as they happen, and those before."""
    stream, list_events = getattr(events, "stream", None), getattr(events, "list", None)
    if stream is None:
        if not callable(events):
            raise MisuseError(
                "attach() takes a resource of an SDK with stream(id), or a function, not "
                f"{type(events).__name__}"
            )
        return events, history
    if id is None:
        raise MisuseError("attach() of an SDK's resource needs the id of the session, as its second argument")
    if history is None and list_events is not None:
        order = {"order": "asc"} if "order" in signature(list_events).parameters else {}
        history = lambda: list_events(id, **order)  # noqa: E731 - one expression
    return (lambda: stream(id)), history


async def _achain(history: Any, live: Any) -> AsyncGenerator[Any]:  # noqa: ANN401 - iterables of two kinds
    for events in (history, live):
        if hasattr(events, "__aiter__"):
            async for event in events:
                yield event
        else:
            for event in events:
                yield event


async def _awaited(value: Any) -> Any:  # noqa: ANN401 - of any kind
    return await value if is_awaitable(value) else value
