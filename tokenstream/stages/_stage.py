"""Protocols of stages, for type checkers; no class derives from these protocols."""

from __future__ import annotations

from typing import Protocol, TypeVar

InT_contra = TypeVar("InT_contra", contravariant=True)
OutT = TypeVar("OutT")


class Stage(Protocol[InT_contra, OutT]):
    r"""An object that turns items of one kind into items of another, without any I/O.

    Framings, formats, the accumulator, parsers of partial JSON and encoders are
    stages, and so is any class that has these five members.

    Example:
        >>> from tokenstream.framing import NDJSONParser
        >>> lines: Stage[bytes, bytes] = NDJSONParser()
        >>> lines.feed(b'{"a": 1}\n{"a'), lines.end(), lines.error
        ([b'{"a": 1}'], [], None)
    """

    @property
    def error(self) -> Exception | None:
        """The failure that follows the items that were returned last; None while there is no failure."""

    @property
    def stop(self) -> str | None:
        """A reason to close the source; None while there is no reason."""

    def feed(self, item: InT_contra, /, *, now: float = 0.0) -> list[OutT]:
        """Return all output that an item completes; nothing once there is an `error`.

        Args:
            item: The input.
            now: A clock reading, in seconds.
        """
        ...

    def end(self, *, now: float = 0.0) -> list[OutT]:
        """Signal the end of the input and return the remaining items; `error` is set if it ended too early.

        Args:
            now: A clock reading, in seconds.
        """
        ...

    def check(self) -> None:
        """Raise `error` if there is one."""


class TimedStage(Stage[InT_contra, OutT], Protocol[InT_contra, OutT]):
    """A stage that can return items because time has passed, without new input."""

    @property
    def deadline(self) -> float | None:
        """The clock reading at which to call `tick`; None while `tick` has nothing to do."""

    def tick(self, now: float) -> list[OutT]:
        """Return the items that are due; none are due before `deadline`.

        Args:
            now: A clock reading, in seconds.
        """
        ...
