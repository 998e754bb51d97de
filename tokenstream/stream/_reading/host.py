"""The event loop in which a stream is read, of asyncio or of trio."""

from __future__ import annotations

import sys
import weakref
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tokenstream._sources.kinds import do_nothing
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable


class Host:
    """An event loop that can be recognised, and that any thread can ask to call a function.

    Args:
        find: Returns the loop running in this thread.
        call: Returns a loop's thread-safe method to schedule a function.
        name: "asyncio" or "trio".

    Raises:
        RuntimeError: No loop of that kind is running in this thread.
    """

    __slots__ = ("__weakref__", "_call", "_find", "loop", "name")

    def __init__(self, find: Callable[[], Any], call: Callable[[Any], Any], name: str) -> None:
        self.loop = find()
        """The asyncio loop, or the trio token."""
        self.name = name
        """ "asyncio" or "trio"."""
        self._find = find
        self._call = call(self.loop)

    def is_running(self) -> bool:
        """Return True if this loop runs the calling code."""
        try:
            return self._find() is self.loop
        except RuntimeError:
            return False

    def is_over(self) -> bool:
        """Return True if this loop has ended for good; may be called from any thread."""
        return not self.is_running() and not self.call(do_nothing)

    def check_running(self) -> bool:
        """Return True if this loop runs the calling code, False if it has ended.

        Raises:
            MisuseError: This loop is still running, and the calling code runs in another one or in none.
        """
        if self.is_running():
            return True
        if self.is_over():
            return False
        raise MisuseError(
            f"the stream is read in {self}, and cannot be read in {find_host() or 'no loop'}: "
            "read it where it was opened, or open a new one"
        )

    def call(self, function: Callable[[], object]) -> bool:
        """Have the loop call a function soon, from any thread; return False if the loop has ended."""
        try:
            self._call(function)
        except RuntimeError:
            # Raised by a closed loop of either kind; trio's error is a RuntimeError too.
            return False
        return True

    def __repr__(self) -> str:
        return f"{self.name} loop {id(self.loop):#x}"


def find_host() -> Host | None:
    """Return the event loop that is running in this thread, or None.

    Streams in one loop share the same `Host`, to save memory.
    """
    # The list holds a weak reference to the host that was found last.
    last_host = _last_host[0]()
    if last_host is not None and last_host.is_running():
        return last_host
    for name, find, call in _LOOP_KINDS:
        # A library that is not imported has no running loop.
        library = sys.modules.get(name)
        if library is not None:
            try:
                host = Host(find(library), call, name)
            except RuntimeError:
                # No loop of this library is running in this thread.
                continue
            _last_host[0] = weakref.ref(host)
            return host
    return None


_last_host: list[Callable[[], Host | None]] = [lambda: None]
"""A weak reference to the last loop found."""
_LOOP_KINDS: tuple[tuple[str, Callable[[Any], Callable[[], Any]], Callable[[Any], Any]], ...] = (
    ("trio", attrgetter("lowlevel.current_trio_token"), attrgetter("run_sync_soon")),
    ("asyncio", attrgetter("get_running_loop"), attrgetter("call_soon_threadsafe")),
)
"""For each library: its name, and functions that return the `find` and the `call` of `Host`."""
