"""Who is told of what passes on its way to somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tokenstream.status import ResponseHead

__all__ = ["BodyWatcher", "Watcher"]


class BodyWatcher(Protocol):
    """Is told of a body: of its head, of its bytes, and of how it ends."""

    def opened(self, head: ResponseHead | None, coding: str) -> None:
        """Take the head of the response, and the coding that is on its bytes."""
        ...

    def see(self, chunk: bytes) -> None:
        """Take what passes."""
        ...

    def end(self) -> None:
        """The source has ended."""
        ...

    def broke(self, error: BaseException, *, final: bool) -> None:
        """Reading the source raised; `final` where nothing can follow a cancellation or Ctrl-C."""
        ...

    def stop(self) -> None:
        """Who reads has closed the source."""
        ...


class Watcher(BodyWatcher, Protocol):
    """Is told of what is opened, and of each object that passes, too."""

    items: int
    """How many items have passed."""

    def sent(self) -> None:
        """A request goes out now, unless it was said when it does."""
        ...

    def not_opened(self, error: BaseException) -> None:
        """The request was answered by an exception."""
        ...

    def see_item(self, item: object) -> None:
        """Take an object of an SDK, or whatever else passes."""
        ...

    def is_first(self, item: object) -> bool:
        """Tell whether an item is the first one again, as when a loop begins anew."""
        ...
