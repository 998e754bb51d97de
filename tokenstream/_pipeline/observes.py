"""The interface of an observer, such as a tracer, to a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tokenstream._pipeline.machine import Machine


class Observes(Protocol):
    """An observer of a machine, such as a tracer; the methods are called by the stream's code."""

    def ended(self, machine: Machine) -> None:
        """Record that the answer has ended; the machine may call this method more than once for an answer.

        By then, the ending is set, and the error, if there is one, has the partial answer.
        """

    def around_tool(self, within: Any) -> Any:  # noqa: ANN401 - an argument from a higher layer
        """Return a function that makes each call's context manager, around the one that `within` makes."""
