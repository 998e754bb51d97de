"""What a stream says of itself, whichever loop reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tokenstream._elsewhere import of_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.departures import Departure
    from tokenstream.message import Checkpoint, Message
    from tokenstream.stages.metrics import Metrics
    from tokenstream.status import ResponseHead
    from tokenstream.stream._attempts import AttemptReport
    from tokenstream.stream._driver import Driver
    from tokenstream.stream._tap_onlooker import Onlooker

__all__ = ["StreamBase", "reader_of"]

DriverT = TypeVar("DriverT", bound="Driver")


@of_stream
class StreamBase(Generic[DriverT]):
    """A stream without its loop: what has come, and how it ended."""

    __slots__ = ()

    _driver: DriverT

    def __repr__(self) -> str:
        return repr(self._driver)

    @property
    def message(self) -> Message:
        """The answer so far: a value, built when asked, that never changes."""
        return self._driver.message

    @property
    def messages(self) -> list[Message]:
        """All choices of the answer so far, by index."""
        driver = self._driver
        return [driver.judge(message) for message in driver.accumulator.messages]

    @property
    def metrics(self) -> Metrics:
        """How fast the answer came, as far as it has come."""
        return self._driver.machine.metrics

    @property
    def stop_reason(self) -> str | None:
        """Why the answer was stopped, by a guard or by `stop`; None where it was not.

        `stop()` without a reason tells "stop".
        """
        messages = self.messages
        whole = bool(messages) and all(message.complete for message in messages)
        return None if whole else self._driver.verdict.reason

    @property
    def departures(self) -> Mapping[str, Departure]:
        """What the server did that its documents do not say, and the rule that was applied."""
        return self._driver.machine.departures

    @property
    def format(self) -> str | None:
        """The format's name; None until it is known."""
        return self._driver.machine.format

    @property
    def response(self) -> ResponseHead | None:
        """The head of the HTTP response; None where there is none, or not yet."""
        return self._driver.head

    @property
    def attempts(self) -> tuple[AttemptReport, ...]:
        """The attempts at this answer, the last one last; empty where none is made but the first."""
        recovery = self._driver.recovery
        return () if recovery is None else recovery.attempts

    def checkpoint(self) -> Checkpoint:
        """Return where the answer stands: what there is, and what a server is told to go on from there."""
        return self._driver.machine.checkpoint()


def reader_of(stream: object) -> Driver | Onlooker:
    """Return what drives a stream, or looks on beside a tap: users have no use for it.

    Args:
        stream: A stream of either colour, or a tap.
    """
    of: Any = stream
    reader: Driver | Onlooker
    reader = of._driver if isinstance(stream, StreamBase) else of._onlooker  # noqa: SLF001 - for rooms above
    return reader
