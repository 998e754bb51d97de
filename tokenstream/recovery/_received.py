"""The answer as far as it has arrived, in the current attempt and in those before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._answer.accumulator import Accumulator
from tokenstream._providers.apis import api_named
from tokenstream.errors import ProviderError, StatusError
from tokenstream.events import MessageStart, ProviderData, ToolCallStart
from tokenstream.formats._endings import find_end_sign
from tokenstream.message import Message

if TYPE_CHECKING:
    from tokenstream._basics.call_keys import AnswerIdentity
    from tokenstream._pipeline.joining import Hold
    from tokenstream._pipeline.resumption import Renewal, Resumption
    from tokenstream.errors import StreamError
    from tokenstream.formats._base import Format
    from tokenstream.recovery._itinerary import RunningRequest

_GONE = frozenset({404, 410})
"""Statuses of a server that does not have the answer (any more)."""


class ReceivedAnswer:
    """The answer so far: what its readers have of it, and what its server may have of it."""

    def __init__(
        self, request: RunningRequest, resumption: Resumption, hold: Hold, outcomes: frozenset[str]
    ) -> None:
        self.request, self.resumption, self.machine = request, resumption, resumption.machine
        self.outcomes = outcomes
        self.hold = hold
        self.has_content = False
        """True once content of this or an earlier attempt is in the message: a restart is then announced."""
        self.is_divided = False
        """True once the readers have answers of their own, several on one connection."""
        self.relay_id: str | None = None
        """The answer's id in a relay's journal, which a request to resume names; None before there is one."""
        self.accepted: Hold | None = None
        self._frames_before = 0
        self._cut_calls_before: tuple[str, ...] = ()
        """The names of the calls in which the answer had broken off before this attempt."""

    def renew(self, hold: Hold, now: float, renewal: Renewal) -> None:
        self._cut_calls_before = self.cut_calls if self.has_content else ()
        self._frames_before = self.machine.link.connection.format.frames
        self.hold = hold
        self.resumption.renew(hold, now, renewal)

    def begin_content(self) -> None:
        """Note that this attempt's events are delivered from now on; the message gets its route."""
        self.has_content = True
        self.machine.accumulator.route = self.request.route

    def take_up(self, identity: AnswerIdentity | None) -> None:
        """Note that another process has delivered content, of an answer that a journal may have named."""
        self.has_content = True
        self.hold.open()
        if identity is not None and identity.kind == "journal":
            self.relay_id = identity.id

    def divide(self) -> None:
        """Note that an answer has begun, for a reader other than the stream itself."""
        self.is_divided = True
        if not self.has_content:
            self.begin_content()
            if (name := self.machine.link.format) is not None:
                # No event of the stream itself brings the name, by which a server is asked to resume.
                self.machine.accumulator.name_format(name)

    def accept(self) -> None:
        self.accepted = self.hold

    def spend_discarded(self, *, always: bool = False) -> None:
        """Add the tokens of this attempt to the usage; with `always`, also that they are not known."""
        if (usage := self.hold.usage) or always:
            self.machine.accumulator.spend(usage)

    @property
    def reader(self) -> Format:
        return self.machine.link.connection.format

    @property
    def is_shown(self) -> bool:
        """True if something of the answer is delivered, by this attempt or by an earlier one."""
        return self.hold.released or self.has_content

    @property
    def is_after_pause(self) -> bool:
        """True if this attempt goes on after a pause, and has brought nothing yet."""
        return (self.request.goes_on or self.request.is_at_limit) and not self.hold.released

    @property
    def has_answered(self) -> bool:
        """True if this attempt's request was not refused, and has brought something of the same answer."""
        link = self.machine.link
        reader = link.connection.format
        # A payload that equals one of the connection before is dropped.
        return (reader.frames > self._frames_before or reader.dropped > 0) and link.refusal is None

    @property
    def fetch_failed(self) -> bool:
        """True if this attempt was to bring the answer by its id, and has brought nothing of it."""
        return self.request.kind in ("poll", "document") and not self.has_answered

    @property
    def cut_calls(self) -> tuple[str, ...]:
        """The names of the calls in which the answer has broken off, perhaps before this attempt."""
        names = tuple(call.name for call in self.machine.accumulator.cut_calls)
        if not self.hold.is_part:
            # Nothing of this attempt is part of the answer.
            return names or self._cut_calls_before
        # The start of a call whose name may go on comes only with the end of the input.
        left = self.machine.intake.events_left
        return (*names, *(event.name for event in left if isinstance(event, ToolCallStart)))

    @property
    def can_resume(self) -> bool:
        connection = self.machine.link.connection
        if self.request.opener.replays or (connection.framing.last_event_id and self._replays):
            return True
        resume = connection.format.resume
        if resume is None:
            return False
        # The head of the answer is held, or was delivered by an earlier attempt.
        if resume.is_kept(self.machine.accumulator.message):
            return True
        head = Accumulator()
        for event in self.hold.held:
            # An accumulator writes into some events of parts, which are not its own here.
            if isinstance(event, MessageStart | ProviderData):
                head.take(event)
        return resume.is_kept(head.message)

    @property
    def message(self) -> Message:
        """The answer so far, but its head while all is held back; after a pause, it has the later id."""
        machine, reader = self.machine, self.reader
        if self.is_shown:
            message, parts = machine.accumulator.message, reader.parts
            return message if parts.text_before is None else message.model_copy(update={"id": parts.id})
        # The accumulator has no event yet, and a stop drops those that are held back.
        fields = {name: value for name, value in reader.parts.fields.items() if isinstance(name, str)}
        return Message(id=reader.parts.id, model=reader.parts.model, provider_data=fields, format=reader.name)

    def find_running(self, error: StreamError | None) -> str | None:
        """Return the id of the answer if its server may be writing it, at the caller's cost; else None."""
        if isinstance(error, ProviderError) or self.machine.link.connection.format.ended:
            return None
        cause = None if error is None else error.__cause__
        is_gone = isinstance(cause, StatusError) and cause.status in _GONE
        if is_gone or not (self.is_kept and self._was_begun_here):
            return None
        message = self.message
        return message.id if self.request.opener.can_fetch(message) else None

    @property
    def _was_begun_here(self) -> bool:
        return not self.resumption.continued and self.request.attempt.asked is None

    @property
    def is_kept(self) -> bool:
        """True if the answer has a position, and its server is known to keep the answer for a replay."""
        reader = self.machine.link.connection.format
        if reader.resume is None or (reader.position is None and not reader.unfinished):
            return False
        return reader.resume.is_kept(self.message)

    @property
    def position(self) -> int | str | None:
        """The position from which the server can replay the answer; None if the server cannot do that."""
        # The positions of a continuation do not belong to the original answer.
        if not (self.request.opener.takes_attempt and self._was_begun_here):
            return None
        reader = self.reader
        if find_end_sign(reader) == "terminal":
            # The server has sent the end of the answer, so nothing is left to replay. (After a sentinel
            # without a finish reason, the end is only assumed.)
            return None
        if reader.position is not None and self.is_kept:
            return reader.position
        return self.machine.progress.last_event_id if self._replays else None

    def find_relay_id(self) -> str | None:
        return self.relay_id or self.machine.find_answer_id()

    def name_to_relay(self, *, resumes: bool) -> str | None:
        """Return the id that the next request names, and keep it; None if it does not resume the answer."""
        self.relay_id = self.find_relay_id() if resumes else None
        return self.relay_id

    @property
    def _replays(self) -> bool:
        """True if a request with the id of the last event gets the rest, whatever the format."""
        opener, last_event_id = self.request.opener, self.machine.progress.last_event_id
        if opener.replays or last_event_id is None:
            return opener.replays
        # An open is given the id; a relay has named the answer; some APIs have a field for the id.
        api = api_named(self.reader.name)
        is_sent = not opener.makes_request or (api is not None and api.replay_field is not None)
        return is_sent or self.find_relay_id() is not None
