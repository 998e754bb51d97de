"""The view of the payloads that a server has sent, each once, also those without an event."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tokenstream._basics.json import decode
from tokenstream._basics.kept_errors import raised_anew
from tokenstream.errors import AnswerFailure, ProtocolError
from tokenstream.formats._detect.payloads import payload_of
from tokenstream.stream._views.view import AsyncView, View

if TYPE_CHECKING:
    from collections import deque

    from tokenstream._basics.loose import AnyEvent, Json
    from tokenstream._pipeline.machine import Machine
    from tokenstream.formats._base import Frame
    from tokenstream.stream._tap.onlooker import Onlooker


class PayloadCursor:
    """A reader's place in the payloads of an answer, of which none was read before."""

    def __init__(self, machine: Machine) -> None:
        self._frames: deque[Frame] = machine.intake.arrivals.keep()
        self._machine = machine

    def ready(self) -> Json:
        """Return the next payload of which the message has all events; None if there is none."""
        events, before = self._machine.intake.current_events
        is_behind = self._machine.intake.returned_count < before + len(events)
        return None if is_behind or self._machine.intake.events_left else self.end()

    def after(self, event: AnyEvent) -> Json:
        """Return the next payload, if `event` is the last one of it; otherwise None."""
        return self.ready()

    def end(self) -> Json:
        """Return the next payload; None if none is left."""
        payload: Json = None
        while payload is None and self._frames:
            payload = self._read(self._frames.popleft())
        return payload

    def _read(self, frame: Frame) -> Json:
        """Return the payload in a frame: a JSON value, or a text; None for a sentinel and empty data."""
        payload: object = payload_of(frame)
        if not isinstance(payload, bytes):
            return payload
        data = payload.strip()
        if data in (b"", b"[DONE]"):
            return None
        if data[:1] in (b"{", b"["):
            with suppress(ProtocolError):
                return decode(data, self._machine.limits)
        return str(payload, "utf-8", "replace")


class PayloadView(View["Json"]):
    """A view of payloads; those that came before an error are given before it is raised."""

    __slots__ = ()

    def __next__(self) -> Json:
        try:
            return super().__next__()
        except AnswerFailure:
            payload = self._cursor.end()
            if payload is None:
                raise
            # The next call meets the error again.
            return payload


class AsyncPayloadView(AsyncView["Json"]):
    """A view of payloads in an `async for` loop; otherwise like `PayloadView`."""

    __slots__ = ()

    async def __anext__(self) -> Json:
        try:
            return await super().__anext__()
        except AnswerFailure:
            payload = self._cursor.end()
            if payload is None:
                raise
            # The next call meets the error again.
            return payload


class PassedPayloads:
    """The payloads that have passed a tap since the last call, and after the last one its error."""

    __slots__ = ("_cursor", "_onlooker")

    def __init__(self, onlooker: Onlooker) -> None:
        self._cursor, self._onlooker = PayloadCursor(onlooker.machine), onlooker

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Json:
        payload = self._cursor.end()
        if payload is not None:
            return payload
        raise StopIteration if self._onlooker.error is None else raised_anew(self._onlooker.error)
