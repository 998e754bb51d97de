"""The onlooker of a tap, which builds the message of an answer that other code reads."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tokenstream._basics.error_marks import add_sentence
from tokenstream._basics.untrusted import is_mock
from tokenstream._pipeline.machine import Machine
from tokenstream._sources.failures import opening_error, reading_error
from tokenstream._sources.payloads import to_payload
from tokenstream.errors import MisuseError, NotAStream, StreamError, StreamInterrupted
from tokenstream.stream._log import inform
from tokenstream.stream._options import current_clock

if TYPE_CHECKING:
    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream._connection.head import ResponseHead
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.limits import Limits


class Onlooker:
    """Builds the message of a tap from all that other code reads; its failures never reach that code."""

    def __init__(
        self,
        *,
        format: FormatChoice,
        limits: Limits | None,
        started_at: float | None,
        offered: OfferedTools | None,
        make_stage: StageFactory | None,
    ) -> None:
        self.clock = current_clock()
        self.machine = Machine(format, limits=limits, make_stage=make_stage, offered=offered)
        self._is_start_known = started_at is not None
        """True once the time of the request is known."""
        # `wrapped` marks times that are counted from now, and not from the request.
        self.machine.meter.begin(
            self.clock() if started_at is None else started_at, wrapped=not self._is_start_known
        )
        self._was_read_lost = False
        """True if the last read was cancelled or interrupted, and nothing has arrived since."""
        self._first: object = None
        """The payload of the first item; None if that item had no payload."""
        self.item_count = 0
        self.has_ended = False
        """True once the ending is decided; everything later is ignored."""
        self.error: StreamError | None = None
        """The error that ended the answer; None for an answer that ended without an error."""

    def __del__(self) -> None:
        """Free all of what was read at once, without the garbage collector."""
        machine = getattr(self, "machine", None)
        if machine is not None:  # None if the constructor failed
            machine.dispose()

    # -- beginning ---------------------------------------------------------

    def note_sent(self) -> None:
        """Record that the request is sent now, unless the caller has set `started_at`."""
        if not self._is_start_known:
            self._is_start_known = True
            self.machine.meter.begin(self.clock(), wrapped=False)

    def note_open_error(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            self._finish(opening_error(error))
        else:
            # A Ctrl-C or a cancellation: the program gave up, and the answer has no error.
            self.stop()

    def note_head(self, head: ResponseHead | None, coding: str) -> None:
        try:
            if head is not None:
                self.machine.link.take_head(head, coding)
        except Exception as error:  # noqa: BLE001 - the tap's failures must not reach the reader
            self._give_up(error)

    # -- chunks and items --------------------------------------------------

    def see(self, chunk: Any) -> None:  # noqa: ANN401 - a chunk or a payload
        """Process a chunk of bytes or text, or a payload as a dict."""
        if self.has_ended:
            return
        # Something arrives, so a read that was broken off before has not ended the source.
        self._was_read_lost = False
        machine = self.machine
        try:
            # The machine accepts the chunk (`push`, or `give` for the usual kind of chunk), and reads one
            # event of it in each `pull`. The events are not used: the machine adds them to the message.
            if chunk.__class__ is not machine.link.unit:
                # A payload, or another kind of chunk than usual.
                machine.intake.push(chunk, self.clock())
            elif machine.intake.give(chunk, self.clock()) is not None:
                # The chunk was read at once, by the fast path: its only event was returned.
                if machine.intake.error is not None:
                    self._finish(None)
                return
            while machine.way.pull() is not None:
                pass
        except MisuseError as error:
            self._refuse(chunk, error)
        except Exception as error:  # noqa: BLE001 - the tap's failures must not reach the reader
            self._give_up(error)
        except BaseException:
            # A Ctrl-C struck this code, but is meant for the program.
            machine.break_off(self.clock())
            self._conclude()
            raise
        if machine.intake.error is not None:
            # The answer has failed: the machine ends it with this error.
            self._finish(None)

    def _refuse(self, chunk: object, error: MisuseError) -> None:
        """End the answer, with an error unless the chunk is a mock, of which no test expects an answer."""
        if is_mock(chunk):
            self.has_ended = True
            inform("a tap reads nothing of mocks", of=self.machine)
            return
        sentence = "the tapped stream cannot be read"
        self._finish(add_sentence(NotAStream(f"{sentence}: {error}"), sentence))

    def see_item(self, item: object) -> None:
        """Process an item, such as an object of an SDK."""
        self.item_count += 1
        if self.has_ended:
            return
        try:
            payload = to_payload(item)
            # A dict is copied, because its owner may change it later. The payload of a pydantic model is
            # already a copy.
            if payload.__class__ is dict and not hasattr(item, "model_dump"):
                payload = copy.deepcopy(payload)
        except Exception as error:  # noqa: BLE001 - the tap's failures must not reach the reader
            self._give_up(error)
            return
        if self.item_count == 1 and isinstance(payload, bytes | str | dict):
            # A later loop that begins with the same payload has started over.
            self._first = payload
        if payload is not None:
            self.see(payload)

    def is_first(self, item: object) -> bool:
        """Return True if an item has the payload of the first item, which shows that a loop started over."""
        try:
            return self._first is not None and bool(to_payload(item) == self._first)
        except Exception:  # noqa: BLE001 - an item of another library may raise anything
            return False

    # -- ending ------------------------------------------------------------

    def end(self) -> None:
        lost_error = StreamInterrupted(
            "a read was cancelled or broken off, and the source ended with it; "
            "what had arrived is in .partial"
        )
        self._finish(lost_error if self._was_read_lost else None)

    def note_read_error(self, error: BaseException, *, final: bool) -> None:
        """Record that a read raised an exception; `final` is that of `BodyWatcher.note_read_error`."""
        if isinstance(error, Exception):
            begun = self.machine.meter.first_event_at is not None
            self._finish(reading_error(error, read_deadlines=None, begun=begun))
        elif final:
            # The cancellation or the interrupt has ended the source, as closing it would.
            self.stop()
        else:
            # The next read shows whether the source goes on; see `end`.
            self._was_read_lost = True

    def stop(self) -> None:
        ending = self.machine.way.endings.left
        if ending is None:
            self._finish(None)
        elif not self.has_ended:
            self.machine.way.stop(self.clock())
            self.has_ended = True
            self.machine.conclude(ending)

    # -- within ------------------------------------------------------------

    def _finish(self, cause: StreamError | MisuseError | None) -> None:
        """End the message; a `MisuseError` counts as a stop, because the source itself raises that error."""
        if self.has_ended:
            return
        if isinstance(cause, MisuseError):
            # The reading code misused the source, which itself raises that error.
            self.stop()
            return
        machine = self.machine
        try:
            machine.intake.finish(cause, self.clock())
            while machine.way.pull() is not None:
                pass
        except Exception as error:  # noqa: BLE001 - the tap's failures must not reach the reader
            self._give_up(error)
            return
        self._conclude()

    def _give_up(self, error: Exception) -> None:
        """End the message because the tap failed, although the answer did not."""
        machine = self.machine
        machine.intake.fail(machine.intake.error or _make_own_failure(error))
        machine.way.cut(self.clock())
        self._conclude()

    def _conclude(self) -> None:
        """Decide how the message ended; all that is read later is ignored."""
        self.has_ended = True
        self.machine.conclude()
        self.error = self.machine.intake.error


def _make_own_failure(cause: Exception) -> StreamInterrupted:
    error = StreamInterrupted(
        f"the tap could not read on ({type(cause).__name__}); the application's own stream goes on",
        retryable=False,
        kind="unknown",
    )
    error.__cause__ = cause
    return error
