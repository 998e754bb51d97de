"""The properties of a stream, shared by `Stream` and `AsyncStream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from tokenstream._basics.elsewhere import explain_names_of_streams
from tokenstream._basics.loose import ErasedGeneric

if TYPE_CHECKING:
    from tokenstream._connection.head import ResponseHead
    from tokenstream._values.origin import Origin
    from tokenstream.departures import Departures
    from tokenstream.errors import CostExceeded
    from tokenstream.message import Checkpoint, Message
    from tokenstream.stages._metrics.metrics import Metrics
    from tokenstream.stream._attempts import AttemptReport
    from tokenstream.stream._pauses import Leg
    from tokenstream.stream._protocols import AsyncDriver, Driver, SyncDriver
    from tokenstream.stream._tap.onlooker import Onlooker

DriverT = TypeVar("DriverT", bound="Driver")


@explain_names_of_streams
class StreamBase(ErasedGeneric[DriverT]):
    """Base class of sync and async streams, with the properties that read nothing from the source.

    The properties show the answer so far, how the answer ended, and facts about the server.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        _driver: DriverT

    def __repr__(self) -> str:
        return repr(self._driver)

    @property
    def message(self) -> Message:
        """The answer so far: an immutable snapshot, which is built on each access."""
        driver = self._driver
        message = driver.message
        # Last, because another thread may add to the answer while the message is built.
        driver.note_look()
        return message

    @property
    def messages(self) -> list[Message]:
        """All choices of the answer so far, by index."""
        messages = self._messages
        self._driver.note_look()
        return messages

    @property
    def _messages(self) -> list[Message]:
        """All choices of the answer so far, at which nobody looks yet."""
        driver = self._driver
        # After `stop`, the ending of a message changes before the loop has noticed.
        return [driver.apply_stop(message) for message in driver.accumulator.messages]

    @property
    def metrics(self) -> Metrics:
        """Timing of the answer so far."""
        return self._driver.machine.metrics

    @property
    def stop_reason(self) -> str | None:
        """The reason that a guard or a call of `stop` gave for stopping; None if the answer was not stopped.

        For `stop()` without a reason, this is "stop". An answer that was complete by then does not count as
        stopped.
        """
        messages = self._messages
        is_complete = bool(messages) and all(message.complete for message in messages)
        return None if is_complete else self._driver.verdict.stop_reason

    @property
    def departures(self) -> Departures:
        """The server's departures from its documentation, by what they mean; `.details` has what it did."""
        return self._driver.machine.departures

    @property
    def format(self) -> str | None:
        """The format's name; None until the format is known."""
        return self._driver.machine.link.format

    @property
    def response(self) -> ResponseHead | None:
        """The head of the HTTP response; None before its arrival, or if the source has no head."""
        return self._driver.head

    @property
    def origin(self) -> Origin:
        """The origin of the answer: its host, request id, attempt and more, as far as they are known."""
        return self._driver.origin

    @property
    def attempts(self) -> tuple[AttemptReport, ...]:
        """Reports on the attempts at this answer, in order; empty for a stream that does not retry."""
        recovery = self._driver.recovery
        return () if recovery is None else recovery.attempts

    @property
    def cost(self) -> float | None:
        """The cost of all attempts; None while the answer arrives, and if one of the costs is unknown.

        Without a retry, it is the cost of the answer by the table of the extra `prices`.
        """
        driver = self._driver
        if driver.recovery is not None:
            costs = [report.cost for report in driver.recovery.attempts]
            known = [cost for cost in costs if cost is not None]
            return sum(known) if len(known) == len(costs) else None
        # Most answers are asked for no cost.
        from tokenstream.stream._prices import find_tariff

        tariff = find_tariff(driver.machine.asked.request, driver.machine.link.format)
        usage = driver.accumulator.counted
        if tariff is None or not usage or self.message.ending == "streaming":
            return None
        return tariff.find_cost(usage)

    def _take_final(self) -> Message:
        """Return the answer, of which all was read; raise an error if `Retry.most` has stopped it."""
        error = find_money_error(self._driver)
        if error is not None:
            raise error
        return self.message

    @property
    def pauses(self) -> tuple[Leg, ...]:
        """Reports on what each request for a paused answer has brought, in order; empty without a pause.

        There are none either without `Retry(pauses=…)`, with which a stream goes through the pauses.
        """
        recovery = self._driver.recovery
        return () if recovery is None else recovery.legs

    def checkpoint(self) -> Checkpoint:
        """Return the answer so far, with the position at which a server can resume that answer."""
        checkpoint = self._driver.machine.progress.checkpoint()
        self._driver.note_look()
        return checkpoint


if TYPE_CHECKING:
    SyncStreamBase: TypeAlias = StreamBase[SyncDriver]
    AsyncStreamBase: TypeAlias = StreamBase[AsyncDriver]
else:
    SyncStreamBase = AsyncStreamBase = StreamBase


def find_money_error(driver: Driver | Onlooker) -> CostExceeded | None:
    """Return the error of an answer that `Retry.most` has stopped or not sent; None for any other."""
    stream: Any = driver
    # The onlooker of a tap has no recovery.
    spending: Any = getattr(getattr(driver, "recovery", None), "spending", None)
    return None if spending is None else spending.find_error(stream.verdict.stop_reason)


def find_driver(stream: object) -> Driver | Onlooker:
    """Return the driver of a stream or view, or the onlooker that builds the message of a tap."""
    argument: Any = stream
    driver: Driver | Onlooker
    driver = argument._onlooker if hasattr(argument, "_onlooker") else argument._driver  # noqa: SLF001 - ours
    return driver
