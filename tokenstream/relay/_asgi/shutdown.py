"""Detection of a server's shutdown, so that answers may still end, and other responses do at once.

A server that shuts down does not notify open responses, but waits until they end. This
module installs no signal handler, and changes nothing in the server. While a response is
open, it polls the state of the server five times a second:

1. uvicorn: the object whose method handles SIGTERM has `should_exit` set;
2. uvicorn in a thread, or stopped by the program that runs it: the object of a connection has
   `keep_alive` cleared, because uvicorn will close the connection;
3. hypercorn: the event `terminated` in the worker's context is set.

The objects for 2 and 3 are found by searching inside the callables `receive` and `send`,
which middleware may wrap. For other servers, call `shut_down`.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from tokenstream.relay._attribution import report_ended
from tokenstream.stream._reading.host import Host, find_host

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tokenstream._basics.loose import Action, JsonObject
    from tokenstream.relay._asgi.delivery import Delivery

_POLL_SECONDS, _DRAINING_POLL_SECONDS = 0.2, 0.05
"""The seconds between two polls; once a server shuts down, its last moments count."""
_LATEST = 5.0
"""The most seconds by which a busy loop is late to notice a shutdown; a process that was stopped is later."""
_DRAIN_SECONDS = 25.0
"""The seconds that answers may run on if nobody knows how long the server waits."""
_MAX_OBJECTS = 64
"""The maximum number of objects that are inspected inside `receive` and `send`."""
_INSPECTED_TYPES = {FunctionType, MethodType, partial}
_WRAPPED_CALLABLES = ("send", "receive", "_send", "_receive")
"""Attributes in which middleware objects store the callables that they wrap."""


def shut_down() -> None:
    """Shut down the open responses of this process, as if the server had been noticed to shut down.

    Answers without a journal may run on for `Timing.drain` seconds; all other responses end at
    once, with a last event. With uvicorn, gunicorn's uvicorn workers and hypercorn no call is
    needed. Any thread and any signal handler may call this function.

    Example:
        >>> shut_down()  # nothing is open here
    """
    with _lock:
        watches = list(_watches.values())
    for watch in watches:
        watch.host.call(watch.shut_down)


def abort_connection(receive: object, send: object) -> bool:
    """Abort the connection of a reader that does not read, since the server would wait for this reader.

    The result is False if no connection is found, as with servers other than uvicorn and hypercorn.
    """
    for attributes in _find_attributes(receive, send):
        # The attribute is `transport` in uvicorn, `writer` in hypercorn on asyncio, and `stream` in
        # hypercorn on trio, whose sockets can be closed but not aborted.
        transport = attributes.get("transport") or getattr(attributes.get("writer"), "transport", None)
        socket = getattr(attributes.get("stream"), "socket", None)
        abort = getattr(transport, "abort", None) or getattr(socket, "close", None)
        if abort is not None:
            abort()
            return True
    return False


@contextmanager
def watch_shutdown(response: Delivery, receive: object, send: object) -> Generator[bool, None, None]:
    """Return a context manager that ends a response in time if its server shuts down.

    The block gets True if the server was noticed to shut down before: the response is a new one. What a
    server lets in at that very moment is answered, because the server waits for it as for the others.
    """
    host = find_host()
    if host is None:
        raise RuntimeError("no event loop is running")
    with _lock:
        watch = _watches.get(host.loop)
        if watch is None:
            watch = _watches[host.loop] = _Watch(host)
    entry = _OpenResponse(response, receive, send)
    # A shutdown lasts until the responses that were open then have ended.
    is_draining = any(open_response.ends_at < math.inf for open_response in watch.entries)
    is_new = entry.is_server_exiting() or (is_draining and _is_server_exiting())
    watch.add(entry)
    try:
        yield is_new
    finally:
        watch.remove(entry)


class _OpenResponse:
    """An open response, and what was found of its server."""

    def __init__(self, response: Delivery, receive: object, send: object) -> None:
        self.response = response
        self._callables = receive, send
        self._checks = tuple(_find_shutdown_checks(receive, send))
        """Functions that return True once the response's server shuts down."""
        self.ends_at = math.inf
        """The clock reading at which the response is ended; infinite before a shutdown."""

    def is_server_exiting(self) -> bool:
        return any(check() for check in self._checks)

    def shut_down(self, since: float) -> None:
        """Set the time at which the response is ended, unless that was done before."""
        if self.ends_at == math.inf:
            seconds = self.response.choose_drain()
            self.ends_at = since + (find_drain(*self._callables) if seconds is None else seconds)


class _Watch:
    """Polls the servers of the responses that are open in one event loop, to notice a shutdown."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.entries: set[_OpenResponse] = set()
        self._cancel_polling: Action | None = None
        """Ends the polling; None while no response is open."""
        self._pause = _POLL_SECONDS
        self._polled_at = 0.0

    def add(self, entry: _OpenResponse) -> None:
        """Watch the server of a response for a shutdown; with the first response, the polling begins."""
        self.entries.add(entry)
        if self._cancel_polling is None:
            self._polled_at = time.monotonic()
            self._cancel_polling = self._begin_polling()

    def remove(self, entry: _OpenResponse) -> None:
        """Forget a response that has ended; after the last one, no server is polled for a shutdown."""
        self.entries.discard(entry)
        if not self.entries:
            if self._cancel_polling is not None:
                self._cancel_polling()
                self._cancel_polling = None
            with _lock:
                _watches.pop(self.host.loop, None)

    def shut_down(self) -> None:
        self._end_those([*self.entries], time.monotonic())

    def poll(self) -> None:
        """Ask each server once if it is shutting down, and shut down the responses of those that are."""
        all_end, ending = _is_server_exiting(), list[_OpenResponse]()
        # The server's own clock has run since the signal, which came after the last poll.
        now = time.monotonic()
        since, self._polled_at = max(self._polled_at, now - _LATEST), now
        for entry in [*self.entries]:
            entry.response.let_stuck_go()
            if all_end or entry.ends_at < math.inf or entry.is_server_exiting():
                ending.append(entry)
        self._end_those(ending, since)

    def _end_those(self, entries: list[_OpenResponse], since: float) -> None:
        """End those of the responses whose servers shut down that may not run on, and report how many."""
        now, count = time.monotonic(), 0
        for entry in entries:
            entry.shut_down(since)
            self._pause = _DRAINING_POLL_SECONDS
            count += entry.ends_at <= now and entry.response.end_for_shutdown()
        report_ended(count)

    def _begin_polling(self) -> Action:
        """Begin to poll the servers for a shutdown, at intervals; return the function that ends that."""
        if self.host.name == "trio":
            # trio has no `call_later`, so a task polls.
            trio: Any = sys.modules["trio"]
            scope = trio.CancelScope()
            trio.lowlevel.spawn_system_task(
                self._poll_forever, scope, trio.sleep, name="tokenstream shutdown"
            )
            cancel: Action = scope.cancel
            return cancel
        return self._schedule_poll()

    def _schedule_poll(self) -> Action:
        """Schedule the next poll of the servers on asyncio; return the function that cancels it."""
        cancel: Action = self.host.loop.call_later(self._pause, self._poll_and_schedule).cancel
        return cancel

    def _poll_and_schedule(self) -> None:
        """Poll the servers for a shutdown, and schedule the next poll; called by asyncio at intervals."""
        self.poll()
        self._cancel_polling = self._schedule_poll()

    async def _poll_forever(self, scope: Any, sleep: Callable[[float], Any]) -> None:  # noqa: ANN401 - trio's
        """Poll the servers for a shutdown, at intervals, until the scope is cancelled.

        This runs as a task under trio, which has no timers.
        """
        with scope:
            while True:
                await sleep(self._pause)
                self.poll()


_watches: dict[object, _Watch] = {}
_lock = threading.RLock()


def _is_server_exiting() -> bool:
    return getattr(_find_signalled_server(), "should_exit", None) is True


def _find_signalled_server() -> object:
    """Return the object that handles SIGTERM: in uvicorn the server, which then sets `should_exit`."""
    return getattr(signal.getsignal(signal.SIGTERM), "__self__", None)


def _find_shutdown_checks(receive: object, send: object) -> Iterator[Callable[[], bool]]:
    """Yield a check for the server of one response: a function that returns True once the server shuts down.

    Nothing is yielded for a server that is neither uvicorn nor hypercorn.
    """
    for attributes in _find_attributes(receive, send):
        # hypercorn: the object has the worker's context.
        terminated = getattr(attributes.get("context"), "terminated", None)
        if terminated is not None:
            yield terminated.is_set
            return
        # uvicorn: the object of one request. Its `keep_alive` becomes False on shutdown; if it is False from
        # the beginning, as the client may ask, a shutdown cannot be detected.
        if attributes.get("keep_alive") is True and "on_response" in attributes:
            yield partial(_is_connection_ending, attributes)
            return


def find_drain(receive: object, send: object) -> float:
    """Return the seconds that an answer may run on: fewer than its server waits, to send its last event."""
    limits = _find_limits(_find_config(receive, send))
    seconds = min((limit for limit in limits if isinstance(limit, int | float)), default=None)
    return _DRAIN_SECONDS if seconds is None else max(seconds - min(seconds / 8, 1.0), 0.0)


def _find_config(receive: object, send: object) -> Any:  # noqa: ANN401 - a server's
    """Return the configuration of a response's server, of the one that handles SIGTERM, or None."""
    for attributes in _find_attributes(receive, send):
        # uvicorn: the object of one request knows a method of its connection. hypercorn: the object has it.
        connection = getattr(attributes.get("on_response"), "__self__", None)
        config = attributes.get("config") or getattr(connection, "config", None)
        if config is not None:
            return config
    return getattr(_find_signalled_server(), "config", None)


def _find_limits(config: Any) -> Iterator[object]:  # noqa: ANN401 - a server's
    """Yield how long a server waits for its responses, in seconds; None for ever."""
    yield getattr(config, "timeout_graceful_shutdown", None)  # uvicorn
    yield getattr(config, "graceful_timeout", None)  # hypercorn
    worker = getattr(getattr(config, "callback_notify", None), "__self__", None)
    settings = getattr(worker, "cfg", None)
    yield getattr(settings, "graceful_timeout", None)
    timeout, last_sign = getattr(settings, "timeout", None), getattr(worker, "tmp", None)
    if timeout and last_sign is not None:
        # gunicorn's master kills a worker that gives no sign of life, as none does while it shuts down.
        yield timeout - (time.monotonic() - last_sign.last_update())


def _is_connection_ending(attributes: JsonObject) -> bool:
    """Return True if uvicorn will close a connection after the response, as it does on shutdown."""
    return attributes["keep_alive"] is False


def _find_attributes(*callables: object) -> Iterator[JsonObject]:
    """Yield the attributes of each method's object among some callables, the outermost object first.

    If middleware has wrapped a method in a callable, the method is found inside. Only functions, methods and
    partials are inspected: reading an attribute of any other object could run arbitrary code.
    """
    pending, inspected = list[Any](callables), dict[int, object]()
    while pending and len(inspected) < _MAX_OBJECTS:
        current = pending.pop(0)
        if type(current) not in _INSPECTED_TYPES or id(current) in inspected:
            continue
        # The object is kept alive, so that no other object gets the same id.
        inspected[id(current)] = current
        if type(current) is partial:
            pending += [current.func, *current.args, *current.keywords.values()]
            continue
        if type(current) is MethodType:
            attributes = getattr(current.__self__, "__dict__", {})
            yield attributes
            pending += [attributes[name] for name in _WRAPPED_CALLABLES if name in attributes]
        # Functions that middleware defines inside a function wrap callables as closure variables.
        for cell in current.__closure__ or ():
            try:
                pending.append(cell.cell_contents)
            except ValueError:
                # The cell is a closure variable of the middleware that has no value yet.
                continue
