"""Prepares formats for an answer that goes on after pauses, each time over another connection.

A *leg* is the stretch of an answer between two pauses, which is the answer to one request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._providers.apis import api_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._pipeline.machine import Machine
    from tokenstream.events import Finish
    from tokenstream.formats._base import Format
    from tokenstream.message import Message


class Pausing:
    """Lets each new format number its parts after those of the legs before, and withhold a pause.

    So the events of all legs are those of one message: it has one head, and one end.
    """

    __slots__ = ("_machine", "_paused", "_withholds")

    def __init__(self, machine: Machine, withholds: Callable[[Finish], bool]) -> None:
        self._machine = machine
        self._withholds = withholds
        self._paused: Message | None = None
        """The answer before its last pause, if the next format reads a leg after that; otherwise None."""

    def begin(self, paused: Message | None) -> None:
        """Begin another connection, for the rest of a paused answer or for something else."""
        self._paused = paused

    def adapt(self, format: Format) -> None:
        """Prepare a new format for this connection."""
        parts = format.parts
        parts.withholds = self._withholds
        message = self._paused
        if message is None:
            return
        api = api_named(format.name)
        counts_bytes = api is not None and api.counts_bytes
        text = message.text
        parts.first_part = len(message.parts)
        if parts.stage is not None:
            parts.stage.begin_at(parts.first_part)
        parts.text_before = len(text.encode("utf-8", "surrogatepass")) if counts_bytes else len(text)
        # Limits bound the whole message, and a call without an id gets one that no other call has.
        parts.calls_seen = len(message.tool_calls)

    @property
    def finish(self) -> Finish | None:
        """The pause with which this connection has ended; None if it has not, or not with a pause."""
        return self._machine.connection.format.parts.withheld

    def report(self) -> None:
        """Report the pause with which this connection has ended after all: nothing goes on after it."""
        finish = self._machine.connection.format.parts.take_withheld()
        if finish is not None:
            self._machine.leave([finish])
