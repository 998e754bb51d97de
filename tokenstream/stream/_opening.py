"""The start of an answer: waiting for it, and resuming after an earlier source broke off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from tokenstream._basics.request_facts import TOOL_FIELDS
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import MisuseError, StreamError
from tokenstream.formats import _registry as registry
from tokenstream.formats._endings import CLOSED
from tokenstream.limits import check_option
from tokenstream.message import ToolCall

if TYPE_CHECKING:
    from tokenstream._connection.head import ResponseHead
    from tokenstream._pipeline.machine import Machine
    from tokenstream._sources.kinds import AsyncSource, LazySource, SyncSource
    from tokenstream.departures import Departures
    from tokenstream.errors import StreamError
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.message import Checkpoint
    from tokenstream.stages import Reorder
    from tokenstream.stream._attempts import AttemptReport
    from tokenstream.stream._pauses import Leg
    from tokenstream.stream._protocols import Driver

First: TypeAlias = Literal["head", "event"]
"""The point up to which `wait_open` waits: the head of the response, or the first event."""


class Recovers(Protocol):
    """Interface through which a driver continues, from another source, an answer that broke off."""

    spending: Any
    """The costs of all attempts, in a class of a room above; None if they are not limited."""

    @property
    def attempts(self) -> tuple[AttemptReport, ...]: ...

    def keep_answer(self) -> None:
        """Note that an answer has begun, for a reader other than the stream itself."""

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The stretches of the answer between its pauses; empty if it was never paused."""
        ...

    def take_up(self, kept: Checkpoint, *, again: bool) -> LazySource:
        """Return the source of an attempt that has broken off, that of the process which has kept it."""
        ...

    def make_next_source(self, cause: StreamError | None, now: float) -> LazySource | None:
        """Return the source with which to continue, or None if the stream ends here.

        The cause is None after a clean end, or if the machine, which decodes the input, has the error.
        """

    def make_cancelling(self) -> LazySource | None:
        """Return a source that cancels the answer when it is opened; None if its server does not write on."""

    def find_cost(self) -> None:
        """Compute the last attempt's cost for its report; the application's function may raise, only once."""

    def record_end(self, error: Exception | None, now: float) -> None:
        """Record how the last attempt ended."""


def is_failure(head: ResponseHead) -> bool:
    """Return True if the head announces something other than an answer: an error status or an HTML page."""
    is_page = (head.content_type or "").strip().lower().startswith("text/html")
    return is_page or head.refuses


def has_begun(driver: Driver, first: First) -> bool:
    """Return True once the answer of a stream has begun, or can no longer begin."""
    if driver.has_ended:
        return True
    if driver.is_unopened:
        return False
    machine = driver.machine
    has_failed = machine.intake.state in CLOSED or machine.intake.error is not None
    if has_failed or (driver.head is not None and is_failure(driver.head)):
        # The body is an error report, not an answer: it is read to the end for its message.
        return False
    # Events that a guard holds back do not count yet.
    has_event = machine.intake.events_seen > 0 and not machine.way.changes_events
    return first == "head" or has_event


def prepare(lazy: LazySource, format: FormatChoice) -> None:
    """Import the modules that a request and its answer need, so that loading is not part of the timing."""
    lazy.prepare()
    # `asked` has the address and the JSON of a request; None if other code sends the request.
    if lazy.asked is None:
        return
    address, payload = lazy.asked
    if format is None:
        # The address shows which formats are likely.
        registry.load_for(address)
    if is_dict(payload) and not TOOL_FIELDS.isdisjoint(payload):
        # The first call that a process makes loads pydantic's validators; a text needs none.
        ToolCall(id="", name="")
        registry.load_late()


def prepare_machine(machine: Machine, source: SyncSource | AsyncSource) -> None:
    """Make a machine ready for a source's bytes; its own options come before the source's."""
    machine.link.take_source(source)
    if source.asked is not None:
        machine.asked.take_request(source.asked)
    if source.messages and machine.link.refusal is None:
        # The source is a WebSocket, of which each message is one payload.
        machine.intake.take_messages()


def check_first(first: First) -> First:
    """Check the `first` argument of `wait_open` and return it."""
    if first not in ("head", "event"):
        raise MisuseError(f'wait_open waits for first="head" or first="event", and not {first!r}')
    return first


def claim_reorder(reorder: Reorder, departures: Departures) -> Reorder:
    """Claim a `Reorder` stage for one stream and return it."""
    from tokenstream.stages import Reorder

    check_option("reorder", reorder, Reorder)
    reorder.take(departures)
    return reorder
