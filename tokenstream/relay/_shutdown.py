"""The end of a server, as its open responses learn of it: no server says so, all wait for them.

No signal handler is set and nothing of a server is changed. What is looked at,
some times in a second while a response is open, is what servers know themselves:

1. uvicorn: the object that handles SIGTERM has `should_exit`;
2. uvicorn in a thread, or told to end by its own program: a connection that is to
   end has `keep_alive` cleared;
3. hypercorn: its workers' context has the event `terminated`.

2 and 3 are found behind `receive` and `send`, which middlewares wrap. Whatever
another server does, `shut_down` tells it.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.stream._host import running

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tokenstream.stream._host import Host

__all__ = ["break_off", "shut_down", "watched"]

_SECONDS = 0.2
"""Between two looks."""
_MOST = 64
"""How many objects behind `receive` and `send` are looked at."""
_LOOKED_INTO = {FunctionType, MethodType, partial}
_WRAPPED = ("send", "receive", "_send", "_receive")
"""The attributes in which the objects of middlewares keep what they wrap."""


def shut_down() -> None:
    """End all open responses of this process: each sends its last event, and closes.

    The servers uvicorn and hypercorn need no call: where they are told to end, it
    is seen. It may be called from any thread, and from a signal handler.

    Example:
        >>> shut_down()  # nothing is open here
    """
    with _lock:
        watches = list(_watches.values())
    for watch in watches:
        watch.host.call(watch.end_all)


def break_off(receive: object, send: object) -> None:
    """Break off the connection of a reader that takes nothing any more: the server would wait for it.

    Args:
        receive: The server's, wrapped or not.
        send: The server's, wrapped or not.
    """
    for owner in _owners(receive, send):
        kept = getattr(owner, "__dict__", {})
        # uvicorn's; hypercorn's on asyncio, and on trio, where a socket has no way to be aborted.
        transport = kept.get("transport") or getattr(kept.get("writer"), "transport", None)
        end = getattr(transport, "abort", None) or getattr(
            getattr(kept.get("stream"), "socket", None), "close", None
        )
        if end is not None:
            end()
            return


@contextmanager
def watched(end: Callable[[], None], receive: object, send: object) -> Generator[None, None, None]:
    """Have a function called once where the server ends while the block runs.

    Args:
        end: Ends a response; called in the event loop's thread.
        receive: The server's, wrapped or not.
        send: The server's, wrapped or not.
    """
    host = running()
    if host is None:
        raise RuntimeError("no event loop runs here")
    with _lock:
        watch = _watches.get(host.loop)
        if watch is None:
            watch = _watches[host.loop] = _Watch(host)
    entry = (end, tuple(_signs(receive, send)))
    watch.add(entry)
    try:
        yield
    finally:
        watch.remove(entry)


_Entry: TypeAlias = "tuple[Callable[[], None], tuple[Callable[[], bool], ...]]"
"""What ends a response, and the signs that its server ends."""


class _Watch:
    """Looks for the server's end in one event loop, while responses are open there.

    Args:
        host: The event loop.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self._entries: dict[int, _Entry] = {}
        self._cancel: Callable[[], object] | None = None

    def add(self, entry: _Entry) -> None:
        self._entries[id(entry)] = entry
        if self._cancel is None:
            self._cancel = self._begin()

    def remove(self, entry: _Entry) -> None:
        self._entries.pop(id(entry), None)
        if not self._entries:
            if self._cancel is not None:
                self._cancel()
                self._cancel = None
            with _lock:
                _watches.pop(self.host.loop, None)

    def end_all(self) -> None:
        """End all responses that are open in this loop."""
        for end, _ in list(self._entries.values()):
            end()

    def look(self) -> None:
        """End the responses whose server ends."""
        everything = _signalled()
        for end, signs in list(self._entries.values()):
            if everything or any(sign() for sign in signs):
                end()

    def _begin(self) -> Callable[[], object]:
        if self.host.name == "trio":
            trio: Any = sys.modules["trio"]
            scope = trio.CancelScope()
            trio.lowlevel.spawn_system_task(self._look_on, scope, trio.sleep, name="tokenstream shutdown")
            cancel: Callable[[], object] = scope.cancel
            return cancel
        return self._look_later()

    def _look_later(self) -> Callable[[], object]:
        cancel: Callable[[], object] = self.host.loop.call_later(_SECONDS, self._look_and_go_on).cancel
        return cancel

    def _look_and_go_on(self) -> None:
        self.look()
        self._cancel = self._look_later()

    async def _look_on(self, scope: Any, sleep: Callable[[float], Any]) -> None:  # noqa: ANN401 - trio's
        with scope:
            while True:
                await sleep(_SECONDS)
                self.look()


_watches: dict[object, _Watch] = {}
"""What looks for the end, by event loop."""
_lock = threading.RLock()


def _signalled() -> bool:
    """Tell whether the server that handles SIGTERM is to end."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", None) is True


def _signs(receive: object, send: object) -> Iterator[Callable[[], bool]]:
    """Give what tells of the end of the server behind `receive` and `send`."""
    for owner in _owners(receive, send):
        kept = getattr(owner, "__dict__", {})
        terminated = getattr(kept.get("context"), "terminated", None)
        if terminated is not None:
            yield terminated.is_set
            return
        if kept.get("keep_alive") is True and "on_response" in kept:
            yield partial(_no_longer_kept, kept)
            return


def _no_longer_kept(kept: dict[str, Any]) -> bool:
    return kept["keep_alive"] is False


def _owners(*wrapped: object) -> Iterator[object]:
    """Give the objects whose methods are called in the end, from the outermost on.

    Only functions, methods and partial ones are looked into: what else a middleware
    holds may do anything where it is asked for an attribute.
    """
    waiting, seen = list[Any](wrapped), dict[int, object]()
    while waiting and len(seen) < _MOST:
        found = waiting.pop(0)
        if type(found) not in _LOOKED_INTO or id(found) in seen:
            continue
        # Held, so that no other one is given its number.
        seen[id(found)] = found
        if type(found) is partial:
            waiting += [found.func, *found.args, *found.keywords.values()]
            continue
        if type(found) is MethodType:
            owner = found.__self__
            yield owner
            kept = getattr(owner, "__dict__", {})
            waiting += [kept[name] for name in _WRAPPED if name in kept]
        for cell in found.__closure__ or ():
            try:
                waiting.append(cell.cell_contents)
            except ValueError:
                # A variable of the middleware that has no value yet.
                continue
