"""Where a reader is in one aspect of an answer: what views are made of, and runs go along with."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

ItemT_co = TypeVar("ItemT_co", covariant=True)

NULL: Any = object()
"""What a cursor gives for an item that is None, which would say that there is none."""


class Cursor(Protocol[ItemT_co]):
    """Where a reader is in one aspect of the answer."""

    def ready(self) -> ItemT_co | None:
        """Return what the reader has missed, out of what has come."""

    def after(self, event: Any) -> ItemT_co | None:  # noqa: ANN401 - any event
        """Return what an event adds, if it adds something."""

    def end(self) -> ItemT_co | None:
        """Return what the end of the stream adds, or raise what that end means for the reader."""
