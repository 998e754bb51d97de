"""The interface of an observer, such as a tracer, to a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tokenstream._pipeline.machine import Machine


class Observes(Protocol):
    """An observer of a machine, such as a tracer; the methods are called by the stream's code."""

    def ended(self, machine: Machine) -> None:
        """Handle the end of the answer: the ending is set, and the error, if any, has the partial answer.

        The machine calls this method, perhaps more than once for an answer.
        """

    def around_tool(self, within: Any) -> Any:  # noqa: ANN401 - an argument from a higher layer
        """Return a function that creates the context manager in which a router runs a tool.

        Args:
            within: Creates another context manager, which is entered inside this one; None for none.
        """
