"""Folds events into messages: one answer, always current, across all its connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._answer.growing import (
    NOWHERE,
    ChoiceState,
    GivenUpAnswer,
    GrowingPart,
    Target,
    is_bare,
    snapshot,
)
from tokenstream._answer.log import NO_LOG, AnswerLog
from tokenstream._answer.usage import GrowingUsage, estimate
from tokenstream._basics.call_keys import AnswerCalls, find_call_place, note_same, set_place
from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream._basics.untrusted import is_list
from tokenstream._values.event_base import is_amended, is_repeat
from tokenstream._values.parts import make_value, with_words_of
from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError, StreamError
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MediaDelta,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    ProviderData,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    Resumed,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
    UsageUpdate,
)
from tokenstream.limits import DEFAULT_LIMITS, Limits
from tokenstream.message import (
    CallResult,
    Citation,
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tokenstream._answer.growing import ChoiceStates, StartPart
    from tokenstream._basics.loose import AnyEvent, JsonObject
    from tokenstream._values.origin import Origin
    from tokenstream.message import Checkpoint, Ending

_NO_RESULT = ServerToolResult.model_construct()
"""Stands for the result whose part ended last, before any has ended."""
_NOT_BEGUN = ChoiceState(0)
"""Stands for a choice of which nothing has arrived; it is only read."""
GROWING = (TextDelta, RefusalDelta, ToolCallStart, ToolCallDelta, PartDelta, MediaDelta)
"""Events that always count as content."""
ENDING_CALLS = (ToolCallDone, PartDone, Finish, PartStart, ToolCallStart)
"""Events that end a call, or from which it follows that an ended call was not cut off."""


class _MixedKinds(ProtocolError):
    """A part got deltas of two kinds; `Accumulator.feed` raises MisuseError in its place."""


class Accumulator(ErrorKeeper):
    """The message so far, built from events; as a stage, the accumulator returns no events itself.

    It receives events and never payloads, so one accumulator can serve several connections.

    Args:
        late_usage: Returns token counts that no event has reported yet, or None.
        find_journal_id: Returns the answer's id in a relay's journal, from which the keys of calls follow, or
            None; None if the events come from another stream, which has given the calls their keys.
    """

    __slots__ = (
        "_choices",
        "_ended_result",
        "_id",
        "_late_usage",
        "_model",
        "_provider_data",
        "_role",
        "_spent",
        "_usage",
        "built",
        "calls",
        "ending",
        "error",
        "find_origin",
        "format",
        "given_up",
        "held",
        "limits",
        "may_restart",
        "restarts",
        "route",
        "target",
        "texts_go_on",
        "tool_calls_delivered",
    )

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        late_usage: Callable[[], Usage | None] | None = None,
        find_journal_id: Callable[[], str | None] | None = None,
        find_origin: Callable[[], Origin] | None = None,
    ) -> None:
        self.limits = limits if limits is not None else DEFAULT_LIMITS
        self.error: StreamError | None = None
        self.ending: Ending = "streaming"
        """The verdict on how the answer ended; before the end, it is streaming."""
        self.format: str | None = None
        """The name of the answer's format; None if it is unknown."""
        self.find_origin = find_origin
        """Returns the origin of the answer, for errors of its outputs; None without a stream."""
        self.route: str | None = None
        """The name of the route that wrote the end of the answer; None without routes."""
        self.texts_go_on = False
        """True if a text that ends may go on in the next part, because a limit may have interrupted it."""
        self.tool_calls_delivered: list[str] = []
        """Ids of the tool calls that were delivered to the reader."""
        # The head of the answer, and its token counts.
        self._id: str | None = None
        self._model: str | None = None
        self._role = "assistant"
        self._usage = GrowingUsage()
        self._spent: Usage | None = None  # the tokens of attempts that were given up
        self._late_usage = late_usage
        self.calls = AnswerCalls(find_journal_id)
        """The tool calls that have ended; gives each its place in the answer, from which its key follows."""
        # The content, and what is cached of it.
        self._provider_data: JsonObject = {}
        self._choices: ChoiceStates = {}
        self._ended_result = _NO_RESULT
        """The result of a provider's tool whose part ended last; a `ToolResult` follows that end."""
        self.built: dict[int, Message] | None = None
        """Cache of the messages built since the last event, by choice; None if there are none."""
        self.held = 0
        """Number of characters in the accumulator."""
        self.target = NOWHERE
        """The destination of the last delta, because most deltas have the same one as the previous delta."""
        # Restarts, each of which gives up an answer.
        self.may_restart = False
        """True if the answer may be restarted; views then have to remember what they have returned."""
        self.restarts = 0
        """Number of times that the answer was restarted, or that cut calls were left out of it."""
        self.given_up: GivenUpAnswer | None = None
        """The longest of the answers that were given up so far; None if there are none."""

    def feed(self, event: Event, *, now: float = 0.0) -> list[Event]:
        """Fold an event into the message; return an empty list, because no events follow from it.

        Raises:
            MisuseError: A part got deltas of two kinds, such as text and reasoning.
        """
        if self.error is None:
            self.take(event)
            self._refuse_mixed_kinds()
        return []

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Do nothing: `conclude` sets the ending."""
        return []

    def check(self) -> None:
        """Raise `error` if there is one.

        Raises:
            MisuseError: A part got deltas of two kinds, such as text and reasoning.
        """
        self._refuse_mixed_kinds()
        super().check()

    def take(self, event: Event) -> bool:
        """Fold an event into the message; return True if it had content."""
        delta: Any = event
        target = self.target
        if (
            event.__class__ is target.kind
            and event.part == target.part
            and event.choice == target.choice
            and (target.kind is not ReasoningDelta or is_bare(event))  # a signature goes elsewhere than text
        ):
            text = delta.fragment if target.is_fragment else delta.text
            target.log.append(text)
            self.held += len(text)
            if self.held > self.limits.text:
                self.overflow()
            content = True
        else:
            self.target = NOWHERE  # the method that takes a delta sets it again
            taker = self._takers.get(event.__class__)
            content = taker(self, event) if taker is not None else False
            target = self.target
        if target.kind is ToolCallDelta:
            # `partial_arguments` reads the log to which the fragment was added.
            delta._link = target.log  # noqa: SLF001 - the attribute exists for this
        # Done last, to drop also what another thread built meanwhile.
        if self.built is not None:
            self.built = None
        return content

    def spend(self, usage: Usage) -> None:
        """Add the tokens of an attempt that was given up; without a report, the sum counts as partial."""
        counts = usage or Usage(basis="partial")
        self._spent = counts if self._spent is None else self._spent + counts
        self.built = None

    @property
    def usages_to_keep(self) -> tuple[Usage, Usage] | None:
        """The tokens of attempts given up, and of this one; None if no attempt was given up."""
        return None if self._spent is None else (self._spent, self._usage_now().build(final=False))

    def restore_usages(self, spent: Usage, own: Usage) -> None:
        """Replace the restored token counts by what `usages_to_keep` has returned."""
        self._spent, self._usage = spent, GrowingUsage()
        self._usage.add(own)

    def restore(self, message: Message, shared: Collection[str] = ()) -> None:
        """Restore one choice from a checkpoint; `shared` names the fields that belong to all choices."""
        self._id, self._model, self._role = message.id, message.model, message.role
        self.route = message.route
        self.calls.restore(message)
        self._usage.add(message.usage)
        choice = ChoiceState(message.choice)
        self.held += choice.restore(message, self._provider_data, shared)
        has_more_than_head = choice.parts or choice.results or choice.provider_data
        if has_more_than_head or choice.finish_reason is not None:
            self._choices[message.choice] = choice

    def restore_answer(self, checkpoint: Checkpoint, shared: Collection[str]) -> None:
        """Restore all choices from a checkpoint; `shared` names the fields that belong to all of them."""
        self.tool_calls_delivered = [*checkpoint.tool_calls_delivered]
        self.calls.identify(checkpoint.identity)
        # A later process, whose requests failed, knows no format of its own.
        if (name := checkpoint.format or checkpoint.message.format) is not None:
            self.name_format(name)
        for message in checkpoint.messages:
            self.restore(message, shared)

    def name_format(self, name: str) -> None:
        self.format = name
        # In the format of our own relay, an answer may start over: the relay passes on restarts.
        self.may_restart |= name == "tokenstream"

    def conclude(self, ending: Ending, *, cut: Iterable[int] = (), early: Iterable[int] = ()) -> None:
        """Set the ending, once; a choice with a finish reason is complete even if the answer was cut off.

        Args:
            ending: The verdict on how the answer ended.
            cut: Indexes of choices that had begun, and are known to be unfinished. Such a choice is cut off
                even if it has a finish reason, and gets a message even if no event of it has arrived.
            early: Indexes of choices whose finish reason content has followed, so that it is none.
        """
        if self.ending != "streaming":
            return
        for index in early:
            self._choice(index).go_on()
        cut_off, choices = [*map(self._choice, cut)], self._choices.values()
        finished = [each for each in choices if each.finish_reason is not None and each not in cut_off]
        # If none was cut off, the answer had failed otherwise, on an earlier connection.
        spares_finished = ending == "stopped" or (ending == "truncated" and len(finished) < len(choices))
        for choice in choices:
            choice.ending = "complete" if spares_finished and choice in finished else ending
        self.ending = ending
        if (main := self._choices.get(self.main)) is not None:
            self.ending = main.ending  # the first choice decides
        self.built = None  # done last: another thread may build the message with the old ending

    @property
    def origin(self) -> Origin | None:
        """The origin of the answer; None without a stream."""
        return None if self.find_origin is None else self.find_origin()

    @property
    def message(self) -> Message:
        """The first choice as it is now; an immutable snapshot."""
        return self.message_of(self.main)

    @property
    def main(self) -> int:
        """Index of the first choice: 0, unless the answer has ended without a choice 0."""
        if 0 in self._choices or self.ending == "streaming":
            return 0
        return min(self._choices, default=0)

    @property
    def messages(self) -> list[Message]:
        """All choices as they are now, by index."""
        return [*map(self.message_of, sorted(self._choices))]

    @property
    def counted(self) -> Usage:
        """The token counts known so far, with an estimate where the provider reported no count."""
        return self._usage_now().with_spent(self._spent, final=self._has_finish, choices=self._choices)

    def end_with(self, ending: Ending, message: Message) -> Message:
        """Return a message of this answer as if the answer had ended now."""
        usage = estimate(message.usage, self._choices)
        return message.model_copy(update={"ending": ending, "usage": usage})

    @property
    def size(self) -> int:
        """Number of bytes of the answer so far."""
        return sum(choice.size for choice in self._choices.values())

    @property
    def own_usage(self) -> Usage:
        """The token counts of this attempt alone; false if none were reported."""
        return self._usage_now().build(final=self._has_finish)

    def message_of(self, choice: int) -> Message:
        """Return one choice as it is now; an empty message if nothing of it has arrived."""
        # Another thread may be taking an event, which sets `built` to None.
        messages = self.built
        if messages is None:
            messages = self.built = {}
        # With `setdefault`, the first of two threads that build at the same time determines the result.
        return messages.get(choice) or messages.setdefault(choice, self._build(choice))

    def log_of(self, choice: int) -> AnswerLog:
        """Return what the readers of a choice got, in order; 0 is the first choice, whatever its index."""
        state = self._choices.get(choice or self.main)
        return NO_LOG if state is None else state.log

    @property
    def cut_calls(self) -> tuple[Any, ...]:
        """The calls at the end of the first choice that have not ended."""
        parts = self.message.parts
        return parts[len(parts) - self._choices.get(0, _NOT_BEGUN).cut_count :]

    def texts(self) -> list[str]:
        """Return the text of each choice, by index, and the reasoning with which each ends."""
        texts: list[str] = []
        for _, choice in sorted(self._choices.items()):
            texts.append(choice.log.join(TextDelta))
            if len(choice.parts) > 1 or not texts[-1]:
                texts.append(choice.last_thoughts)
        return texts

    def parts_from(self, choice: int, start: int) -> list[GrowingPart]:
        state = self._choices.get(choice)
        return [] if state is None else state.parts[start:]

    def note_delivered(self, id: str) -> None:
        """Record that a view delivered a tool call whose arguments the view had repaired."""
        if id not in self.tool_calls_delivered:
            self.tool_calls_delivered.append(id)

    def refuse_call(self, call: ToolCall, choice: int | None = None) -> None:
        """Add the error of a tool call that cannot be run to a choice's results, if it is not there yet."""
        self._choice(self.main if choice is None else choice).refuse_call(call)

    def ending_of(self, choice: int) -> Ending:
        state = self._choices.get(choice)
        return self.ending if state is None else state.ending

    def state_to_copy(self) -> tuple[ChoiceStates, tuple[Any, ...], GrowingUsage, Usage | None]:
        """Return the state that event cursors copy: choices, head (id, model …), usage, given-up usage."""
        head = (self._id, self._model, self._role, self._provider_data)
        return self._choices, head, self._usage_now(), self._spent

    # -- building ----------------------------------------------------------

    def _build(self, index: int) -> Message:
        """Return one choice as it is now, as a message."""
        choice = self._choices.get(index, _NOT_BEGUN)
        ending = choice.ending if index in self._choices else self.ending
        is_final = ending == "complete" or choice.finish_reason is not None
        provider_data = self._provider_data | choice.provider_data
        for name, value in provider_data.items():
            if value.__class__ is list:
                provider_data[name] = snapshot(value)
        # Tokens are estimated only for an answer that broke off.
        estimated_from = None if is_final or ending == "streaming" else self._choices
        growing = choice.in_order() if choice.places else choice.parts
        parts = [part.final or part.build(complete=False) for part in growing if not part.is_gap]
        values = {
            "choice": index,
            "id": self._id,
            "model": self._model,
            "role": self._role,
            "parts": tuple(  # without gaps: their parts are in messages of other steps
                [_move_citation(part, choice.places) for part in parts] if choice.places else parts
            ),
            "usage": self._usage_now().with_spent(self._spent, final=is_final, choices=estimated_from),
            "finish_reason": choice.finish_reason,
            "raw_finish_reason": choice.raw_finish_reason,
            "finish_message": choice.finish_message,
            "ending": ending,
            "provider_data": provider_data,
            "format": self.format,
            "joined": choice.joined,
            "route": self.route,
            "results": _list_results(choice) if choice.results else (),
        }
        # As a dict: passing so many arguments by their names takes as long as all the rest.
        return make_value(Message, values)

    def _usage_now(self) -> GrowingUsage:
        """Return the token counts known now; this changes nothing, because any thread may call it."""
        late = None if self._late_usage is None else self._late_usage()
        return self._usage if late is None else self._usage.merged(late)

    @property
    def _has_finish(self) -> bool:
        # A copy, because any thread may read this property.
        return any(choice.finish_reason is not None for choice in self._choices.copy().values())

    def _choice(self, index: int) -> ChoiceState:
        if (choice := self._choices.get(index)) is None:
            choice = self._choices[index] = ChoiceState(index, texts_go_on=self.texts_go_on)
            choice.ending = self.ending  # that of the whole answer so far
        return choice

    # -- taking: each method returns True if the event has content ---------

    def _get_or_begin_part(self, event: AnyEvent, start: StartPart) -> GrowingPart:
        return self._choice(event.choice).get_or_begin_part(event.part, start)

    def _grow(self, length: int) -> None:
        self.held += length
        if self.held > self.limits.text:
            self.overflow()

    def overflow(self) -> LimitExceeded:
        """Set `error`, because more characters arrived than the limit allows, and return it."""
        self.error = error = LimitExceeded(limit="text", value=self.limits.text)
        return error

    def _refuse_mixed_kinds(self) -> None:
        """Raise MisuseError if the last event was a delta of another kind than its part, and forget it."""
        if isinstance(self.error, _MixedKinds):
            mixed, self.error = self.error, None
            raise MisuseError(f"{mixed}: number the parts of an answer, as in TextDelta(…, part=1)")

    def _write(self, event: AnyEvent, kind: str, start: StartPart) -> None:
        choice = self._choice(event.choice)  # below, `start` makes the part if it is new
        part = choice.get_or_begin_part(event.part, start)
        if part.start.kind != kind or (part.log is not None and part.log.kind is not event.__class__):
            self.error = _MixedKinds(
                f"the part {event.part} of the kind {part.start.kind!r} got a delta of the kind {kind!r}"
            )
            return
        log = choice.begin_writing(event.part, part, event.__class__)
        log.append(event.text)
        self.target = Target(event.__class__, event.choice, event.part, log)  # of most later deltas, too
        self._grow(len(event.text))

    def _take_text(self, event: TextDelta) -> bool:
        self._write(event, "text", TextPart)
        return True  # the event has content

    def _take_reasoning(self, event: ReasoningDelta) -> bool:
        if event.signature:
            self._get_or_begin_part(event, ReasoningPart).add_extra(event.signature)
            self._grow(len(event.signature))
        if event.text:
            self._write(event, "reasoning", ReasoningPart)
        return bool(event.text)  # a signature is not content

    def _take_refusal(self, event: RefusalDelta) -> bool:
        self._write(event, "refusal", RefusalPart)
        return True  # the event has content

    def _take_call_start(self, event: ToolCallStart) -> bool:
        start = ToolCall.model_construct(
            id=event.id, name=event.name, type=event.type, provider_data=event.provider_data
        )
        choice = self._choice(event.choice)
        before = choice.parts[event.part].final if event.part < len(choice.parts) else None
        if isinstance(before, ToolCall) and before.complete and before.name == event.name:
            return self._identify_call(choice, event.part, before, start)
        self._get_or_begin_part(event, lambda: start).start = start
        return True  # the event has content

    def _identify_call(self, choice: ChoiceState, part: int, before: ToolCall, start: ToolCall) -> bool:
        """Give a call that has ended the id of another start; return False: it adds no content."""
        # A copy of the call would still say that it was read from a text, which the API does not know.
        call = start.model_copy(update={"arguments_text": before.arguments_text, "complete": True})
        set_place(call, find_call_place(before))
        note_same(before, call)
        choice.parts[part].finish(call)
        choice.log.calls = [call if each is before else each for each in choice.log.calls]
        delivered = self.tool_calls_delivered
        self.tool_calls_delivered = [call.id if id == before.id else id for id in delivered]
        return False

    def _take_piece(self, event: ToolCallDelta | PartDelta) -> bool:
        start: StartPart = ToolCall if isinstance(event, ToolCallDelta) else ServerToolCall
        log = self._get_or_begin_part(event, start).add_piece(event.fragment)
        self.target = Target(event.__class__, event.choice, event.part, log)
        self._grow(len(event.fragment))
        return True  # the event has content

    def _take_call(self, event: ToolCallDone) -> bool:
        self._get_or_begin_part(event, lambda: event.call).finish(event.call)
        self._choice(event.choice).log.calls.append(event.call)
        self.calls.add(event.choice, event.call)
        self.tool_calls_delivered.append(event.call.id)
        return False  # the call's start and arguments were the content

    def complete_result(self, event: Event) -> None:
        """Fill in a `ToolResult` that follows the end of a part, from that part; change no other event."""
        if not isinstance(event, ToolResult) or event.id or event.output is not None:
            return
        if is_repeat(event):
            part = self._ended_result
            event.id, event.output, event.error = part.id, part.content, part.error

    def _take_result(self, event: ToolResult) -> bool:
        self.complete_result(event)
        results = self._choice(event.choice).results
        if len(results) < self.limits.parts:
            results.append(event)
        else:
            # Results without a part have no other bound.
            self.error = LimitExceeded(limit="parts", value=self.limits.parts)
        return False  # the model has not written it

    def _take_start(self, event: PartStart) -> bool:
        self._get_or_begin_part(event, lambda: event.content).start = event.content
        return False  # not content: a start may be empty, and deltas bring the content

    def _take_done(self, event: PartDone) -> bool:
        """Finish a part, with the event's content or that of the deltas; return False: it adds no content."""
        choice = self._choice(event.choice)
        choice.end_words(event.part)
        part = choice.get_or_begin_part(event.part, lambda: event.content or TextPart())
        content = event.content
        if content is None:
            content, event.is_repeat = part.build(complete=True), True  # deltas had all of it
        elif isinstance(content, ToolCall):
            choice.log.calls.append(content)  # it has ended badly
            self.calls.add(event.choice, content)
        elif is_amended(event):
            content = with_words_of(content, part.build(complete=True))
        elif not content.complete:
            content = content.model_copy(update={"complete": True})
        event.content = content
        part.finish(content)
        if isinstance(content, ServerToolResult):
            self._ended_result = content
        return False  # the part's start and deltas were the content

    def _take_citation(self, event: CitationAdded) -> bool:
        self._get_or_begin_part(event, lambda: event.citation).final = event.citation
        return False  # a citation is about content, and is not content itself

    def _take_media(self, event: MediaDelta) -> bool:
        part = self._get_or_begin_part(event, MediaPart)
        if event.data:
            part.add_extra(event.data)
        if event.transcript:
            part.add_piece(event.transcript)
        self._grow(len(event.data) + len(event.transcript))
        return True  # the event has content

    def _take_head(self, event: MessageStart) -> bool:
        self._id, self._model, self._role = event.id or self._id, event.model or self._model, event.role
        if event.provider_data:
            self._store_shared(event.provider_data)
        self.calls.note_id(self._id)
        if event.another:  # an earlier answer on this connection has ended, the choices go on
            for choice in self._choices.values():
                choice.go_on()
        return False  # not content

    def _take_usage(self, event: UsageUpdate) -> bool:
        self._usage.add(event.usage)
        return False  # token counts are not content

    def _take_finish(self, event: Finish) -> bool:
        choice = self._choice(event.choice)
        choice.finish(event)
        for name, value in (event.provider_data or {}).items():
            choice.provider_data[name] = snapshot(value)
        return False  # not content

    def _store_shared(self, fields: JsonObject) -> None:
        """Store the fields of the answer; their last value counts, also after one in a choice's finish."""
        for name, value in fields.items():
            self._provider_data[name] = snapshot(value)
            for choice in self._choices.values():
                choice.provider_data.pop(name, None)

    def _take_restart(self, event: AnyEvent) -> bool:
        """Discard the answer, except delivered calls and spent tokens; return False: it is not content."""
        if event.discarded is None:
            event.discarded, event.is_repeat = self.message, True  # earlier events had all of it
        self.spend(self.own_usage)
        head = (self._id, self._model, self._role, self._provider_data)
        current, earlier = GivenUpAnswer(self._choices, head, event), self.given_up
        # An attempt that broke off earlier than the one before does not replace it.
        self.given_up = current if earlier is None or current.size >= earlier.size else earlier
        self._choices, self._usage, self._provider_data = {}, GrowingUsage(), {}
        self._id, self._model, self._role = None, None, "assistant"
        self.calls.begin_again()
        self.restarts += 1  # done last: a reader that finds the new count then reads the rest
        return False

    def _take_resumed(self, event: Resumed) -> bool:
        if event.mode != "resume":  # another request, with token counts of its own
            # A paused answer has ended, although its `Finish` was not reported.
            is_final = event.mode == "pause" or self._has_finish
            self.spend(self._usage_now().build(final=is_final))
            self._usage = GrowingUsage()
        if event.at is not None:
            self._choice(event.choice).join(event)
            self.restarts += bool(event.discarded)  # done last, as above
        return False  # the content follows

    def take_back(self) -> None:
        """Restore the answer in `given_up`, if there is one, because the restarted answer differs from it."""
        if self.given_up is not None:
            self._choices = self.given_up.restore_choices()
            self._id, self._model, self._role, self._provider_data = self.given_up.head
            self.built = None

    def _take_data(self, event: ProviderData) -> bool:
        """Store the fields that the message lacks in `provider_data`; return False: they are not content."""
        data = self._provider_data if event.shared else self._choice(event.choice).provider_data
        if event.shared:
            self._store_shared(event.data)
        else:
            data.update({name: snapshot(value) for name, value in event.data.items()})
        for name, new in event.lists.items():
            items = data.setdefault(name, [])
            if not is_list(items):
                # The same field may occur both in a choice and in the delta of that choice.
                items = data[name] = [items]
            items.extend(new)
        return False

    _takers: ClassVar[dict[type, Callable[[Accumulator, Any], bool]]] = {
        TextDelta: _take_text,
        ReasoningDelta: _take_reasoning,
        RefusalDelta: _take_refusal,
        ToolCallStart: _take_call_start,
        ToolCallDelta: _take_piece,
        ToolCallDone: _take_call,
        ToolResult: _take_result,
        PartStart: _take_start,
        PartDelta: _take_piece,
        PartDone: _take_done,
        CitationAdded: _take_citation,
        MediaDelta: _take_media,
        MessageStart: _take_head,
        UsageUpdate: _take_usage,
        Finish: _take_finish,
        Restarted: _take_restart,
        Resumed: _take_resumed,
        ProviderData: _take_data,
    }


def _move_citation(part: Part, places: dict[int, int]) -> Part:
    """Return a citation with the index that the cited part has in the message; any other part unchanged."""
    if not isinstance(part, Citation) or part.cites not in places:
        return part
    return part.model_copy(update={"cites": places[part.cites]})


def _list_results(choice: ChoiceState) -> tuple[CallResult, ...]:
    """Return the results of a choice that are not among its parts, as values of its message."""
    return tuple(
        CallResult.model_construct(
            id=result.id, output=result.output, error=result.error, provider_executed=result.provider_executed
        )
        for result in choice.results
        if not is_repeat(result) and choice.refused.get(result.id) is not result
    )


def has_content(event: Event) -> bool:
    """Return True if the `Accumulator` counts the event as content."""
    # A delta of reasoning may bring a signature alone, which is not content.
    return isinstance(event, GROWING) or (isinstance(event, ReasoningDelta) and bool(event.text))
