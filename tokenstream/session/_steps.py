"""The steps of a conversation that only a driver can take: to open, write, read and close a connection.

The logic of a session is in generators that yield these steps and get their results, so that it is
written once; `Session` and `AsyncSession` take the steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from tokenstream.events import ToolProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream.router import Router
    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.stream._options import Options

T = TypeVar("T")


class Open(NamedTuple):
    """Open a connection with the caller's function; the result is an `Opened`."""


class Opened(NamedTuple):
    """The facts about a connection that was opened."""

    path: str | None
    """The path of its URL; None if it is not known."""
    is_set_up: bool
    """True if an SDK has set the session up."""


class Send(NamedTuple):
    """Write a message to the connection."""

    text: str


class Receive(NamedTuple):
    """Read a message from the connection; the result is the message.

    The driver raises TimeoutError if no message has arrived in time.
    """

    seconds: float | None
    """The longest wait; None for no limit, 0 to take only what has arrived."""


class Wait(NamedTuple):
    """Wait until another run of steps sets an event.

    The driver raises TimeoutError if it was not set in time.
    """

    bell: Any
    """The event, of the kind that the driver makes."""
    seconds: float | None
    """The longest wait; None for no limit."""


class Close(NamedTuple):
    """Close the connection, without waiting long for the other end."""


class RunTools(NamedTuple):
    """Run the tools that an answer calls; the result is a `ToolResults`."""

    router: Router
    messages: list[bytes]
    """The messages of the answer, at least those that contain its calls and its end."""
    options: Options
    """The options for reading them."""
    is_stopped: Callable[[], bool]
    """Returns True once the application has stopped the answer; generators are then closed."""

    def tools_for(self, stream: Stream | AsyncStream) -> Router:
        """Return the tools, and the handlers of their progress, for a stream of the messages.

        The stream is stopped once the answer is stopped.

        Args:
            stream: The stream that the tools are run for.
        """
        tools = self.router.tools_only(ToolProgress)

        def stop_early(_: ToolProgress) -> None:
            """Stop the tool that has shown something."""
            if self.is_stopped():
                stream.stop()

        tools.on(ToolProgress)(stop_early)
        return tools


Step: TypeAlias = Open | Send | Receive | Wait | Close | RunTools
Steps: TypeAlias = "Generator[Step, Any, T]"
