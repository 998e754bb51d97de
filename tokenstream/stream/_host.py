"""The event loop that a stream is read in: asyncio's or trio's."""

from __future__ import annotations

import sys
import weakref
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.sources._kinds import do_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Host", "running"]


class Host:
    """An event loop, and whether it is the one that runs.

    Args:
        find: Finds the loop that runs here.
        call: Finds what has a loop call a function, from any thread.
        name: "asyncio" or "trio".

    Raises:
        RuntimeError: None of that kind runs here.
    """

    __slots__ = ("__weakref__", "_call", "_find", "loop", "name")

    def __init__(self, find: Callable[[], Any], call: Callable[[Any], Any], name: str) -> None:
        self.loop = find()
        """asyncio's loop or trio's token."""
        self.name = name
        """ "asyncio" or "trio"."""
        self._find = find
        self._call = call(self.loop)

    def is_running(self) -> bool:
        """Tell whether this very loop runs the code that asks."""
        try:
            return self._find() is self.loop
        except RuntimeError:
            return False

    def is_over(self) -> bool:
        """Tell whether this loop has ended for good; it may be asked from any thread."""
        return not self.is_running() and not self.call(do_nothing)

    def stay(self) -> bool:
        """Tell whether this loop still is, and refuse to go on in another one while it is.

        Raises:
            MisuseError: The code that asks runs in another one, or in none.
        """
        if self.is_running():
            return True
        if self.is_over():
            return False
        raise MisuseError(
            f"the stream is read in {self}, and cannot be read in {running() or 'no loop'}: "
            "read it where it was opened, or open it anew"
        )

    def call(self, function: Callable[[], object]) -> bool:
        """Have the loop call a function soon, from any thread; tell whether the loop still runs."""
        try:
            self._call(function)
        except RuntimeError:
            # Both kinds of loop say so when they are closed; trio's error is a RuntimeError too.
            return False
        return True

    def __repr__(self) -> str:
        return f"{self.name} loop {id(self.loop):#x}"


def running() -> Host | None:
    """Return the event loop that runs in this thread; None where there is none.

    Streams in one loop share it: each would hold three objects for the same.
    """
    last = _last[0]()
    if last is not None and last.is_running():
        return last
    for name, find, call in _KINDS:
        # Whoever runs a loop has imported its library.
        library = sys.modules.get(name)
        if library is not None:
            try:
                host = Host(find(library), call, name)
            except RuntimeError:
                continue
            _last[0] = weakref.ref(host)
            return host
    return None


_last: list[Callable[[], Host | None]] = [lambda: None]
"""The loop that was asked for last, as long as a stream holds it."""
_KINDS: tuple[tuple[str, Callable[[Any], Callable[[], Any]], Callable[[Any], Any]], ...] = (
    ("trio", attrgetter("lowlevel.current_trio_token"), attrgetter("run_sync_soon")),
    ("asyncio", attrgetter("get_running_loop"), attrgetter("call_soon_threadsafe")),
)
"""A library's name, what finds its loop, and what has that loop call a function from any thread."""
