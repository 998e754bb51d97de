"""The answer as a whole: its id, model, usage and choices, and fields without a special event."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypeVar
from weakref import ref

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, has_text, is_dict, says_nothing
from tokenstream._values.event_base import new_event, store_raw
from tokenstream._values.parts import WORDED
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.events import (
    Event,
    Finish,
    InputTranscript,
    MessageStart,
    PartStart,
    ProviderData,
    ToolResult,
    Unknown,
    UsageUpdate,
)
from tokenstream.formats._fast.shape import PADDING
from tokenstream.formats._kit.count_paths import drop_zeros, is_told_by
from tokenstream.formats._kit.open import OpenChoice
from tokenstream.formats._kit.values import mend_surrogates, split_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from tokenstream._basics.loose import AnyEvent, AnyFunction, DeltaCallback, Json, JsonObject, RuleNote
    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream.departures import Affects
    from tokenstream.formats._kit.count_paths import Counts
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.formats._kit.whole_text import TextFinder
    from tokenstream.limits import Limits
    from tokenstream.message import Message, ReasoningPart, RefusalPart, TextPart, Usage

_ABSENT = object()
_ENVELOPE = ("type", "id", "event_id")
"""Fields of an event that say nothing of its content."""
READ_WHOLE = split_names(
    "additional_information additional_kwargs additional_location_info args arguments attributes audio "
    "custom_metadata data error format input lists metadata model_usage parameters parsed parsed_arguments "
    "prompt provider_data rate_limits raw responseMetadata response_metadata session tool_choice tool_kwargs "
    "tools usage usage_metadata"
)
"""Fields whose objects are read, or known, as they are: arguments, reports, and what the request has said."""
_NESTED = (dict, list)
_MOST_TOLD = 64
"""The most names of unread things that are counted."""
_EventT = TypeVar("_EventT", bound=Event)


class EventStage(Protocol):
    """A stage that replaces a format's events by other events, in which parts may have other indexes.

    For example, the stage for `Tags` splits one text part into text and reasoning.
    """

    @property
    def error(self) -> ProtocolError | None:
        """The error for what the events contain; None if there is none."""

    @property
    def reads_reasoning(self) -> bool:
        """True if reasoning is looked for in the text."""
        ...

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """Return the events that replace the events of one payload."""
        ...

    def begin_at(self, part: int) -> None:
        """Number the parts of the first choice from `part` on: the message has others from before a pause."""

    def end(self, *, whole: bool) -> None:
        """Note that the answer has ended, or was cut off: the next `feed` returns what waits for that."""

    def original_index(self, choice: int, index: int) -> int:
        """Return the index, of a part that is no text, before this stage renumbered it."""
        ...

    def follow(self, delta: AnyEvent, inner: DeltaCallback | None) -> DeltaCallback | None:
        """Return a function to call with each later delta that resembles `delta`; None if none is needed.

        Such a delta is made without decoding its payload, so that it does not reach `feed`. If the function
        returns False, the payload must be decoded after all.
        """


OutputPlace: TypeAlias = tuple[int, tuple[bool, int]]
"""A part's place: the number of its item among those that have begun, and its place within the item."""
_NOWHERE: OutputPlace = (-1, (False, 0))
StageFactory: TypeAlias = "Callable[[Parts], EventStage]"
"""Creates the stage that a format's events pass through; called with the parts, once for each format."""


class AnswerEvents:
    """Collects the events of a payload, and makes the events about the answer as a whole."""

    __slots__ = (
        "_finish_data",
        "_has_fields",
        "_head",
        "_known_counts",
        "_out",
        "_parts_seen",
        "_payload_data",
        "_places",
        "_told",
        "begins_inside",
        "calls_seen",
        "choices",
        "difference",
        "fields",
        "find_text",
        "first_part",
        "format_class",
        "has_answer",
        "has_content",
        "limits",
        "may_hold_surrogates",
        "note",
        "offered",
        "place",
        "raw",
        "stage",
        "starts",
        "text_before",
        "whole_text_repeated",
        "withheld",
        "withholds",
    )

    unkept: ClassVar[frozenset[str]] = split_names(
        "_has_fields _payload_data _out difference fields find_text format_class limits note offered raw "
        "stage starts whole_text_repeated withheld withholds"
    )
    """Slots left out of a saved state: they hold nothing of the answer, or values that its message has."""

    def __init__(self, limits: Limits, note: RuleNote) -> None:
        self.limits = limits
        self.note = note
        self.format_class: Any = None
        """The class of the format, which has the names that its documents have; None without a format."""
        if isinstance(note, MethodType):
            # Weak, since the format keeps its parts.
            self.note = partial(_note_in, ref(note.__self__), note.__func__)
            self.format_class = note.__self__.__class__
        self.offered: OfferedTools | None = None
        """The tools that the request has offered; None if they are not known."""
        # The payload.
        self.raw: Any = None
        """The payload being read; it becomes the `raw` of every event made from it."""
        self.may_hold_surrogates = False
        """True if this payload or an earlier one may hold halves of surrogate pairs."""
        # The answer so far.
        self._head: tuple[str | None, str | None, str] | None = None
        """The answer's id, model and role; None before any of them has arrived."""
        self._known_counts: JsonObject = {}
        """The last token counts, by the names of `Usage`, which a later zero does not replace."""
        self._told: tuple[str, ...] = ()
        """The details and names of what was told to be unread."""
        self.choices: dict[int, OpenChoice] = {}
        self.calls_seen: int = 0
        """Number of tool calls that have begun, in all choices."""
        self._parts_seen = 0
        """Number of parts of all choices."""
        self.place: OutputPlace = _NOWHERE
        """The place of the parts that begin now in the provider's own list, if that is known."""
        self._places: dict[int, OutputPlace] = {}
        """The places of the parts of the first choice, by index."""
        self.has_content = False
        """True once a part has begun that is more than an empty text, reasoning or refusal."""
        self.has_answer = False
        """True once text, media, or a call of the application's tools has begun, and not reasoning alone."""
        self.first_part = 0
        """Index of the first part of each choice: above 0 if the message has parts from before a pause."""
        self.text_before: int | None = None
        """Length of the message's text from before a pause, as the provider counts it, which the message's
        head is from, too; None if this is the beginning of the message."""
        self.fields: dict[str | tuple[int, str], object] = {}
        """The last value reported for each field; a choice's field has the choice's index in its key."""
        # The events.
        self._out: list[Event] = []
        """The events made since the last call of `take`."""
        self._payload_data: dict[int | None, ProviderData] = {}
        """The event among them that has the fields of a choice (None: of the answer)."""
        self._has_fields = False
        """True if one of these has fields that a start or a finish may have instead."""
        self._finish_data: JsonObject = {}
        """The fields of the answer that came with, or after, the finish of its only choice."""
        self.stage: EventStage | None = None
        """The stage that events pass through before they are returned; None leaves them unchanged."""
        # The end of the answer, which may be a pause.
        self.withholds: Callable[[Finish], bool] | None = None
        """Returns True for a finish that is a pause after which another answer goes on; None if none is."""
        self.withheld: Finish | None = None
        """The finish that was not reported, because another answer goes on; None if there is none."""
        # Whole texts, which servers repeat at the end of a part: `WholeText` events.
        self.begins_inside = False
        """True if the input begins inside the answer: the start of its first text may not have arrived."""
        self.starts: dict[tuple[int, int], TextPart | ReasoningPart | RefusalPart] = {}
        """The texts, without their text, that the end of the answer may complete; by choice and index."""
        self.find_text: TextFinder | None = None
        """Returns the text of a part in the message; None if there is no message."""
        self.whole_text_repeated = False
        """True if there is a `WholeText` among the events made since the last call of `take`."""
        self.difference: ProtocolError | None = None
        """The error for content that contradicts what was reported before; None if there is none."""
        self._set_up()

    def _set_up(self) -> None:
        """Set the attributes of a subclass, by which formats differ."""

    # -- results -----------------------------------------------------------

    def take(self) -> list[Event]:
        """Return the events made since the last call, after they have passed through `stage`."""
        # A payload may be large: let it be freed together with its events.
        self.raw = None
        out = self._out
        if out:
            self._out = []
            if self.may_hold_surrogates:
                _mend_events(out)
        if self._payload_data:
            if self._has_fields:
                is_only = len(self.choices) == 1
                if is_only and self.finished and None in self._payload_data:
                    self._finish_data |= self._payload_data[None].data
                self._has_fields, out = False, fold_data(out, is_only_choice=is_only)
            self._payload_data.clear()
        if self.stage is not None:
            # Also without events, since the stage may release what it held back.
            out = self.stage.feed(out)
            self.difference = self.difference or self.stage.error
        if self.whole_text_repeated:
            # A `WholeText` event has the whole text of a part. What the message lacks of it replaces it.
            from tokenstream.formats._kit.whole_text import settle

            self.whole_text_repeated = False
            out, difference = settle(out, self.find_text, self.note)
            self.difference = self.difference or difference
            self._keep_beginnings(out)
        return out

    def _keep_beginnings(self, events: Sequence[Event]) -> None:
        """Keep the beginnings of texts that only the end of the answer has brought."""
        for event in events:
            if isinstance(event, PartStart) and (event.choice, event.part) in self.starts:
                content = event.content
                if isinstance(content, WORDED) and content.text:
                    self.starts[event.choice, event.part] = content
                    if not self.begins_inside:
                        self.begins_inside = True
                        self.note("start_missing")

    def go_through_pauses(
        self, withholds: Callable[[Finish], bool], paused: Message | None, *, counts_bytes: bool
    ) -> None:
        """Withhold pauses, and number all parts after those of the message before the last pause."""
        self.withholds = withholds
        if paused is not None:
            text = paused.text
            self.first_part = len(paused.parts)
            if self.stage is not None:
                self.stage.begin_at(self.first_part)
            self.text_before = len(text.encode("utf-8", "surrogatepass")) if counts_bytes else len(text)
            # Limits bound the whole message, and a call without an id gets one that no other call has.
            self.calls_seen = len(paused.tool_calls)

    def adopt_pauses(self, other: AnswerEvents) -> None:
        """Take over what another object, which has read nothing, knows of the pauses of the message."""
        self.first_part, self.text_before = other.first_part, other.text_before
        self.withholds = other.withholds

    def emit(self, event: Event) -> None:
        """Add an event that needs no bookkeeping."""
        self._out.append(event)

    def _add(self, kind: type[_EventT], choice: int = 0, part: int | None = None) -> _EventT:
        """Add an event, whose class's own fields the caller sets, in half the time of a call of the class."""
        event = new_event(kind)
        event.choice, event.part = choice, part
        store_raw(event, self.raw)
        self._out.append(event)
        made: _EventT = event
        return made

    @property
    def finished(self) -> bool:
        """True once every choice seen so far has its finish reason."""
        for choice in self.choices.values():  # asked for each frame, so without a generator
            if choice.finish is None:
                return False
        return bool(self.choices)

    @property
    def started(self) -> bool:
        return self._head is not None

    @property
    def has_parts(self) -> bool:
        return self._parts_seen > 0

    @property
    def id(self) -> str | None:
        """The answer's id; None if the server sent none."""
        return None if self._head is None else self._head[0]

    @property
    def model(self) -> str | None:
        """The model that writes the answer; None if the server has not named it."""
        return None if self._head is None else self._head[1]

    def dispose(self) -> None:
        """Let go of what refers back to these parts or to their format; nothing may be read afterwards."""
        for choice in self.choices.values():
            choice.reader = None
        self.note, self.find_text, self.stage, self.withholds = note_nothing, None, None, None

    # -- the answer as a whole ---------------------------------------------

    def head(self, *, id: str | None = None, model: str | None = None, role: str | None = None) -> None:
        """Record the answer's id, model and role; the first id and role count, and the last model."""
        if self.may_hold_surrogates:
            id, model, role = mend_surrogates(id), mend_surrogates(model), mend_surrogates(role)
        head = self._head
        if head is None:
            self._head = (id or None, model or None, role or "assistant")
            self._report_head()
            return
        if id and head[0] and id != head[0]:
            self.note("id_changed")
        # A missing id is added, and an earlier model is replaced.
        updated = (head[0] or id or None, model or head[1], head[2])
        if updated != head:
            self._head = updated
            self._report_head()

    def _report_head(self) -> None:
        """Report the answer's head, unless the message has one from before a pause."""
        if self._head is not None and self.text_before is None:
            event = self._add(MessageStart)
            event.id, event.model, event.role = self._head
            event.another, event.provider_data = False, None

    def usage(self, usage: Usage, replaced: Collection[str] = (), *, counted: Counts | None = None) -> None:
        """Report token counts; a zero after a positive count is left out, unless the format explains it.

        A format explains zeros by `replaced`; after a refusal, a zero of output tokens counts in any format.
        `counted` has the places of a report that is not the format's own.
        """
        zeros = {*replaced}
        for choice in self.choices.values():
            if choice.finish is not None and choice.finish.reason == "refusal":
                zeros.add("output_tokens")
        self._add(UsageUpdate).usage = drop_zeros(usage, self._known_counts, zeros)
        counted = counted or getattr(self.format_class, "counted", None)
        if counted is not None and not usage.provider_data.keys() <= counted.usual:
            self.note_unread_counts(counted, usage, usage.provider_data)

    def late_usage(self) -> Usage | None:
        """Return token counts that no event has reported yet; None if there are none.

        `stream.message` contains these counts already. The call changes nothing, so any thread may make it.
        """
        return None

    def note_unread_counts(self, counted: Counts, usage: Usage, report: JsonObject) -> None:
        """Count each number in a report once that no document has; it is in `provider_data` at most."""
        for name, number in counted.find_unread(report):
            self.tell_unread("usage_unread", name, is_form=is_told_by(number, usage))

    def _documents(self, name: str) -> bool:
        """Return True if the format's documents have a field or an event of a name, or none lists them.

        Behind a bar is the namespace of a subgraph.
        """
        documented = getattr(self.format_class, "documented", None)
        return documented is None or name.partition("|")[0] in documented

    def tell_field(self, name: str, value: object) -> None:
        """Count once that a field under a name that no document has is not read."""
        self.tell_unread("field_unread", name, is_form=not has_text(value))

    def tell_fields(self, fields: JsonObject, known: Collection[str]) -> None:
        """Count each field of a JSON object once that has no known name."""
        for name in fields.keys() - known:
            if not says_nothing(fields[name]):
                self.tell_field(name, fields[name])

    def tell_inside(self, value: object, known: Collection[str]) -> None:
        """Count each field of the objects in a JSON value once that has no known name."""
        for each in dicts_of(value):
            self.tell_fields(each, known)
            for name, inner in each.items():
                if inner.__class__ in _NESTED and name in known and name not in READ_WHOLE:
                    self.tell_inside(inner, known)

    def tell_unread(self, detail: str, name: str, *, is_form: bool) -> None:
        """Count once that something with a name is not read, unless it is one of very many."""
        told = f"{detail} {name}"
        if told not in self._told and len(self._told) < _MOST_TOLD:
            self._told += (told,)
            self.note(told, "form" if is_form else None)

    def usage_in(self, payload: JsonObject, read: Callable[[JsonObject], Usage]) -> None:
        report = dict_of(payload, "usage")
        if report:
            self.usage(read(report))

    @property
    def has_counts(self) -> bool:
        return bool(self._known_counts)

    def field(self, name: str, value: object, choice: int | None = None) -> bool:
        """Report a field of a choice (None: of the answer); return False if it was reported before."""
        if self.may_hold_surrogates:
            name, value = mend_surrogates(name), mend_surrogates(value)
        key = name if choice is None else (self.choice(choice).index, name)
        if self.fields.get(key, _ABSENT) == value:
            return False
        self.fields[key] = value
        self._data_of(choice).data[name] = value
        self._has_fields = True
        return True

    def other_field(self, name: str, value: object, choice: int | None = None) -> None:
        """Report a field that the format does not read; as `Unknown`, too, if no document names it."""
        if self.field(name, value, choice):
            self._tell_undocumented(name, value, choice)

    def other_items(self, name: str, values: list[Any], choice: int = 0) -> None:
        """Report a list of objects that the format does not read, and that continues those before it."""
        self.items(name, values, choice)
        self._tell_undocumented(name, values, choice)

    def _tell_undocumented(self, name: str, value: object, choice: int | None) -> None:
        if not self._documents(name):
            self._out.append(Unknown(name, value, choice=choice or 0, raw=self.raw))
            self.tell_field(name, value)

    def _data_of(self, choice: int | None) -> ProviderData:
        """Return the event that has the fields of a choice (None: of the answer) in the payload."""
        event = self._payload_data.get(choice)
        if event is None:
            event = ProviderData({}, {}, choice is None, choice=choice or 0, raw=self.raw)
            self._payload_data[choice] = event
            self._out.append(event)
        return event

    def report_unknown_fields(
        self, payload: JsonObject, known: Collection[str], choice: int | None = None
    ) -> None:
        """Report the fields of a JSON object that its format does not know, but no padding or empty ones."""
        for name, value in payload.items():
            if name not in known and name not in PADDING and not says_nothing(value):
                self.other_field(name, value, choice)

    def items(self, name: str, values: list[Any], choice: int = 0) -> None:
        """Report new items of a list that grows, such as log probabilities."""
        # Creates the choice, or refuses its index.
        self.choice(choice)
        lists = self._data_of(choice).lists
        # The list of the payload itself, of which most payloads have one: nobody else adds to it.
        lists[name] = [*lists[name], *values] if name in lists else values

    def stray(self, name: str, data: object, choice: int = 0) -> None:
        """Report content that fits no part, as `Unknown` and as an item of a list under its name."""
        self.items(name, [data], choice)
        self._out.append(Unknown(name, data, raw=self.raw))

    def unknown(self, name: str, data: object) -> None:
        """Report a payload that has no event of its own, as an `Unknown` event."""
        self._out.append(Unknown(name, data, raw=self.raw))
        if self._documents(name) or name in getattr(self.format_class, "event_names", ()):
            return
        if has_text(fields_except(data, *_ENVELOPE) if is_dict(data) else data):
            self.tell_unread("event_unread", name, is_form=False)

    def result_of_call(
        self, id: str, output: Json, error: str | None = None, *, provider_executed: bool = False
    ) -> None:
        """Report a tool's result that is no part, because the application called the tool."""
        self._out.append(ToolResult(id, output, error, provider_executed, raw=self.raw))

    def input_transcript(
        self,
        text: str,
        id: str | None = None,
        *,
        done: bool = False,
        transcript: str | None = None,
        error: str | None = None,
    ) -> None:
        """Report a piece of the transcript of the user's speech, which is not part of the answer."""
        self._out.append(InputTranscript(text, id, done, transcript, error, raw=self.raw))

    # -- choices -----------------------------------------------------------

    def choice(self, index: object) -> OpenChoice:
        """Return the state of a choice, created on first use; refuse a bad index, and a choice too many."""
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise ProtocolError("a choice's index must be a whole number of at least 0")
        choice = self.choices.get(index)
        if choice is None:
            if len(self.choices) >= self.limits.choices:
                raise LimitExceeded(limit="choices", value=self.limits.choices)
            if self._finish_data:
                # The choice was not the only one: the fields are those of this one, too.
                event = self._data_of(None)
                event.data, self._finish_data = {**self._finish_data, **event.data}, {}
                self._has_fields = True
            choice = self.choices[index] = OpenChoice(index)
        return choice

    def check_room(self, count: int) -> None:
        """Refuse one more item than `Limits.parts` allows, also if it never becomes a part."""
        if count >= self.limits.parts:
            raise LimitExceeded(limit="parts", value=self.limits.parts)

    def _take_part_index(self, choice: OpenChoice) -> int:
        """Return the index of a choice's next part, and count that part against `Limits.parts`."""
        self.check_room(self.first_part + self._parts_seen)
        self._parts_seen += 1
        index = self.first_part + choice.next_part
        choice.next_part += 1
        if self.place[0] >= 0:
            self._places[index] = self.place
        return index

    def put_in_order(self, items: Iterable[int]) -> None:
        """Give the parts of the first choice the order of the items of which they are.

        Args:
            items: The items as the first numbers of places, in the provider's order.
        """
        ranks = {item: rank for rank, item in enumerate(items)}
        parts = [part for part, (item, _) in self._places.items() if item in ranks]
        order = sorted(parts, key=lambda part: (ranks[self._places[part][0]], self._places[part][1]))
        if order != parts:
            self.note("part_late")
        self.choice(0).order = None if order == parts else tuple(order)


def _note_in(
    find_format: AnyFunction,
    note: Callable[[Any, str, Affects | None], None],
    name: str,
    affects: Affects | None = None,
) -> None:
    """Call a format's method that counts a departure, unless the format is gone."""
    format = find_format()
    if format is not None:
        note(format, name, affects)


def fold_data(events: list[Event], *, is_only_choice: bool) -> list[Event]:
    """Move fields of the answer into its start, and those of a choice, or of an only one, into its finish."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, ProviderData) and event.data:
            host = _find_host(events, event, is_only_choice=is_only_choice)
            if host is not None:
                data = host.provider_data or {}
                host.provider_data = {**event.data, **data} if event.shared else {**data, **event.data}
                event.data.clear()
                if not event.lists:
                    continue
        kept.append(event)
    return kept


def _find_host(
    events: list[Event], fields: ProviderData, *, is_only_choice: bool
) -> MessageStart | Finish | None:
    for event in events:
        if fields.shared and isinstance(event, MessageStart):
            return event
        if isinstance(event, Finish) and (is_only_choice if fields.shared else event.choice == fields.choice):
            return event
    return None


def note_nothing(_name: str, _affects: Affects | None = None) -> None:
    """Do nothing: where nothing is read, no departure is found."""


def _mend_events(events: list[Event]) -> None:
    """Replace halves of surrogate pairs in the texts of events; payloads, also unknown ones, keep them."""
    for event in events:
        for field in () if isinstance(event, Unknown) else fields(event):
            if field.name != "raw":
                setattr(event, field.name, mend_surrogates(getattr(event, field.name)))
