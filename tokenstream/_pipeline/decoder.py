"""Framing, format and accumulator in one object: chunks in, events out, without a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.elsewhere import explain_options
from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream._pipeline.factories import make_offered, make_stage_factory
from tokenstream._pipeline.machine import Machine
from tokenstream._sources.payloads import to_payload
from tokenstream.formats._endings import ANSWERED, CLOSED
from tokenstream.formats._kit.errors import is_vague

if TYPE_CHECKING:
    from tokenstream._providers.apis import FormatName
    from tokenstream.departures import Departures
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.limits import Limits
    from tokenstream.message import Message
    from tokenstream.schemas._build import ToolsOption
    from tokenstream.stages._metrics.metrics import Metrics
    from tokenstream.stages._text.tags import Tags

__all__ = ["Decoder"]


class Decoder(ErrorKeeper):
    r"""Turns the chunks of an answer into events and a message: a `Stream` without a source or a loop.

    Nothing is read ahead and nothing closed, and what the caller's source raises passes as it is.

    Args:
        format: The format's name or a format object; None to detect it from the
            content type and the first payload.
        content_type: The response's content type; None if it is not known.
        limits: How large the answer and its parts may get; None for the defaults of `Limits`.
        tags: Which tags in the model's text mark reasoning, calls and citations; None to leave it as it is.
        tools: The tools that the request offers to the model: `Tools`, the request's list, or a list of
            functions, types and names; None if they are not known. They tell, for example, a piece of a
            tool's name from another tool.

    Example:
        >>> from tokenstream.events import TextDelta
        >>> decoder = Decoder("text")
        >>> [event.text for event in decoder.feed(b"data: Hel\n\ndata: lo\n\n")
        ...  if isinstance(event, TextDelta)]
        ['Hel', 'lo']
        >>> [type(event).__name__ for event in decoder.feed(b"data: [DONE]\n\n")], decoder.end()
        (['PartDone'], [])
        >>> decoder.message.text, decoder.message.ending
        ('Hello', 'complete')
    """

    @explain_options()
    def __init__(
        self,
        format: FormatName | type[Format] | Format | None = None,
        *,
        content_type: str | None = None,
        limits: Limits | None = None,
        tags: Tags | None = None,
        tools: ToolsOption = None,
    ) -> None:
        make_stage = make_stage_factory(tags)
        self._machine = Machine(format, limits=limits, make_stage=make_stage, offered=make_offered(tools))
        self._intake = self._machine.intake
        if content_type is not None:
            self._machine.link.connection.take_content_type(content_type)

    def feed(self, chunk: object, *, now: float = 0.0) -> list[Event]:
        """Return the events that `chunk` completes; none after a failure or the end of the input.

        Args:
            chunk: Bytes of the body, its text, or a payload that somebody else has decoded: a dict, an
                object of an SDK, or one with the same attributes. The format `pieces` takes only text.
            now: A clock reading, in seconds; only the metrics use it.

        Raises:
            MisuseError: `chunk` is none of these.
        """
        intake = self._intake
        if intake.state != "reading" and (intake.state in CLOSED or self.error is not None):
            return []
        data: Any = chunk
        if data.__class__ is self._machine.link.unit:
            # Plain bytes (or text) may be read on the fast path; `push` converts any other input first.
            glance = intake.shortcut or intake.give
            event = glance(data, now)
            if event is not None:
                # Unless the answer simply continues, more events or an error follow this one.
                return [event] if intake.state == "reading" else [event, *self._drain()]
        else:
            payload = to_payload(data)
            if payload is None and chunk is not None:
                # A helper of an SDK has added the object to those of the server.
                return []
            intake.push(payload, now)
        return self._drain()

    def end(self, *, complete: bool = False, now: float = 0.0) -> list[Event]:
        """End the input and return the remaining events; `error` is set if the answer was cut off.

        Args:
            complete: True if you know that the answer is over, for example because the iterator of an SDK
                has ended: it counts as an end mark of the server. Evidence of a cut still wins, such as
                half of a call's arguments.
            now: A clock reading, in seconds; only the metrics use it.
        """
        self._intake.finish(None, now, known_over=complete)
        return self._drain()

    def __del__(self) -> None:
        """Free all of what was read at once, without the garbage collector."""
        machine = getattr(self, "_machine", None)
        if machine is not None:  # None if the constructor failed
            machine.dispose()

    @property
    def error(self) -> StreamError | None:
        """The failure that follows the events returned last; None if there is none.

        A provider's error that says nothing about itself waits for one that does, or for `end`.
        """
        intake = self._intake
        return None if intake.state not in CLOSED and is_vague(intake.error) else intake.error

    @property
    def stop(self) -> str | None:
        """A reason to close the source: "end" after the answer's end, "error" after a failure; else None."""
        if self.error is not None:
            return "error"
        return "end" if self._intake.end_sign in ANSWERED else None

    @property
    def message(self) -> Message:
        """The answer so far; an immutable snapshot."""
        return self._machine.accumulator.message

    @property
    def messages(self) -> list[Message]:
        """The answer's choices so far, by index."""
        return self._machine.accumulator.messages

    @property
    def metrics(self) -> Metrics:
        """Timing of the answer, measured by the clock readings passed as `now`."""
        return self._machine.metrics

    @property
    def departures(self) -> Departures:
        """The server's departures from its documentation, by what they mean; `.details` has what it did."""
        return self._machine.departures

    @property
    def format(self) -> str | None:
        """The format's name; None until it is known."""
        return self._machine.link.format

    def _drain(self) -> list[Event]:
        """Return all events that are available; after a failure, end the input, too."""
        machine, intake = self._machine, self._intake
        events: list[Event] = []
        pull = machine.way.pull
        try:
            while (event := pull()) is not None:
                events.append(event)
        except StopIteration:
            # An exception in an earlier `pull` has ended the generator from which it reads.
            machine.break_off(intake.now)
        if self.error is None and intake.state not in CLOSED:
            return events
        if intake.state not in CLOSED:
            # The end of the input may release events that were held back.
            intake.finish(None, intake.now)
            events += self._drain()
        # The inner call has concluded already; the second time changes nothing.
        machine.conclude()
        return events
