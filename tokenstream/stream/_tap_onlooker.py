"""What sees an answer pass on its way to somebody else, and keeps the message of it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tokenstream._machine import Machine
from tokenstream.errors import MisuseError, NotAStream, StreamError, StreamInterrupted
from tokenstream.sources import opening_failed, reading_failed
from tokenstream.sources._payloads import payload_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats.base import Format
    from tokenstream.limits import Limits
    from tokenstream.status import ResponseHead

__all__ = ["Onlooker"]


class Onlooker:
    """Takes what passes and how it ends; whatever goes wrong here, nobody who reads is disturbed.

    Args:
        format: The format's name or a format object; None to find it out.
        limits: Bounds on untrusted input.
        started_at: Reading of `clock` when the request went out.
        clock: Where the time comes from, in seconds.
    """

    __slots__ = ("_begun", "_first", "_lost", "clock", "error", "items", "machine", "over")

    def __init__(
        self,
        *,
        format: str | Format | None,
        limits: Limits | None,
        started_at: float | None,
        clock: Callable[[], float],
    ) -> None:
        self.clock = clock
        self.machine = Machine(format, content_type=None, limits=limits, pings=False)
        """What there is of the answer."""
        self._begun = started_at is not None
        """Whether it is known when the request went out."""
        self.machine.meter.begin(clock() if started_at is None else started_at, wrapped=not self._begun)
        self._lost = False
        """Whether a read was cancelled or broken off, and nothing has come since."""
        self._first: object = None
        """The payload of the first item that has passed, where that has one."""
        self.items = 0
        """How many items have passed."""
        self.over = False
        """Whether the verdict is given, and no more is taken."""
        self.error: StreamError | None = None
        """What the verdict is due to, where the answer did not end well."""

    # -- how it begins -----------------------------------------------------

    def sent(self) -> None:
        """A request goes out now, unless it was said when it does."""
        if not self._begun:
            self._begun = True
            self.machine.meter.begin(self.clock(), wrapped=False)

    def not_opened(self, error: BaseException) -> None:
        """The request was answered by an exception."""
        if isinstance(error, Exception):
            self._finish(opening_failed(error, "the server"))
        else:
            self.stop()

    def opened(self, head: ResponseHead | None, coding: str) -> None:
        """Take the head of the response, and the coding that is on its bytes."""
        try:
            if head is not None:
                self.machine.answer(head, coding)
        except Exception as error:  # noqa: BLE001 - who reads is not disturbed by what fails here
            self._give_up(error)

    # -- what passes -------------------------------------------------------

    def see(self, chunk: Any) -> None:  # noqa: ANN401 - a chunk or a payload
        """Take what passes: bytes, text, or a payload as a dict."""
        if self.over:
            return
        self._lost = False
        machine = self.machine
        try:
            if chunk.__class__ is not machine.unit:
                machine.push(chunk, self.clock())
            elif machine.give(chunk, self.clock()) is not None:
                if machine.error is not None:
                    self._finish(None)
                return
            while machine.pull() is not None:
                pass
        except MisuseError as error:
            self._finish(NotAStream(f"what passes cannot be read: {error}"))
        except Exception as error:  # noqa: BLE001 - who reads is not disturbed by what fails here
            self._give_up(error)
        except BaseException:
            # Ctrl-C struck here, and is meant for the program.
            machine.break_off(self.clock())
            self._conclude()
            raise
        if machine.error is not None:
            self._finish(None)

    def see_item(self, item: object) -> None:
        """Take an object of an SDK, or whatever else passes."""
        self.items += 1
        if self.over:
            return
        try:
            payload = payload_of(item)
            # What is kept of a dict must not change when its owner changes it; a model's is a copy already.
            if payload.__class__ is dict and not hasattr(item, "model_dump"):
                payload = copy.deepcopy(payload)
        except Exception as error:  # noqa: BLE001 - who reads is not disturbed by what fails here
            self._give_up(error)
            return
        if self.items == 1 and isinstance(payload, bytes | str | dict):
            self._first = payload
        if payload is not None:
            self.see(payload)

    def is_first(self, item: object) -> bool:
        """Tell whether an item has the payload of the first one, as when a loop begins anew."""
        try:
            return self._first is not None and bool(payload_of(item) == self._first)
        except Exception:  # noqa: BLE001 - as above
            return False

    # -- how it ends -------------------------------------------------------

    def end(self) -> None:
        """The source has ended."""
        lost = StreamInterrupted(
            "a read was cancelled or broken off, and the source ended with it; "
            "what had arrived is in .partial"
        )
        self._finish(lost if self._lost else None)

    def broke(self, error: BaseException, *, final: bool) -> None:
        """Reading the source raised.

        Args:
            error: What it raised; it goes on to who reads.
            final: Whether nothing can follow a cancellation or Ctrl-C.
        """
        if isinstance(error, Exception):
            machine = self.machine
            begun = machine.meter.first_event_at is not None
            self._finish(reading_failed(error, None, begun=begun))
        elif final:
            self.stop()
        else:
            self._lost = True

    def stop(self) -> None:
        """Who reads has closed the source."""
        if not self.over and self.machine.assumed:
            # Whoever stops at the sentinel has seen no break: its tool calls are not lost.
            self._finish(None)
        elif not self.over:
            # Some close as soon as they have the terminal event, and the body is not at its end.
            self.machine.cut(self.clock())
            self.over = True
            self.machine.conclude("complete" if self.machine.answered else "stopped")

    # -- within ------------------------------------------------------------

    def _finish(self, cause: StreamError | MisuseError | None) -> None:
        if self.over:
            return
        if isinstance(cause, MisuseError):
            # Who reads has done something that cannot be done, and is told so by the source.
            self.stop()
            return
        machine = self.machine
        try:
            machine.finish(cause, self.clock())
            while machine.pull() is not None:
                pass
        except Exception as error:  # noqa: BLE001 - who reads is not disturbed by what fails here
            self._give_up(error)
            return
        self._conclude()

    def _give_up(self, error: Exception) -> None:
        """End the message because this side failed, and not the answer."""
        machine = self.machine
        machine.error = machine.error or _failed_here(error)
        machine.cut(self.clock())
        self._conclude()

    def _conclude(self) -> None:
        self.over = True
        self.machine.conclude()
        self.error = self.machine.error


def _failed_here(cause: Exception) -> StreamInterrupted:
    error = StreamInterrupted(
        f"the tap could not read on ({type(cause).__name__}); the application's own stream goes on",
        retryable=False,
        kind="unknown",
    )
    error.__cause__ = cause
    return error
