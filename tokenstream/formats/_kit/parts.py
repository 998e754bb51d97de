"""Assign what an answer contains to numbered parts of its choices, and make their events.

A format calls methods of `Parts` for what it finds in a payload, such as more text
for choice 0, or a call with a certain id. `Parts` tracks which parts are open,
numbers them, and makes the events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream._basics.json import says_no_arguments
from tokenstream._values.parts import BESIDE, MADE_UP_ID, WORDED
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
)
from tokenstream.formats._kit.answer import AnswerEvents
from tokenstream.formats._kit.open import OPENING, CallsInTurn, OpenCall, OpenChoice, OpenPart, join_halves
from tokenstream.formats._kit.values import CUT_SHORT, is_worse, json_text, mend_surrogates
from tokenstream.message import Citation, OpaquePart, ReasoningPart, RefusalPart, TextPart

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.message import FinishReason, MediaPart, Part, ServerToolCall, ServerToolResult

TextKind: TypeAlias = Literal["text", "reasoning", "refusal"]

# Created without validation: setting up the validation would add six milliseconds to every import.
BLANK_TEXT, BLANK_REASONING = TextPart.model_construct(), ReasoningPart.model_construct()
"""Empty parts; they never change, so all streams share them."""
_BLANK_PARTS: dict[str, TextPart | ReasoningPart | RefusalPart] = {
    "text": BLANK_TEXT,
    "reasoning": BLANK_REASONING,
    "refusal": RefusalPart.model_construct(),
}
_ANSWERS = frozenset({"text", "refusal", "media"})
"""Kinds of parts that answer by themselves, as calls of the application's tools do."""
_KNOWN_DATA = ("compaction", "container_upload", "custom", "data", "function", "inlineData", "mcp_", "tool")
"""The beginnings of the types of opaque parts that are known; of any other, nobody has read the content."""
_WHOLE_TEXT_KINDS = {"media": "transcript", "server_tool_call": "arguments"}
"""Maps kinds of parts to the kinds of their texts, if these have other names."""
_WITHDRAWN_DATA = {"dropped": True}
_WITHDRAWN: dict[str, Part] = {
    "text": TextPart.model_construct(provider_data=_WITHDRAWN_DATA),
    "reasoning": ReasoningPart.model_construct(provider_data=_WITHDRAWN_DATA),
}
"""Maps the kind of a part to the content that the part has once the server has withdrawn it."""
_WITHDRAWN_OTHER = OpaquePart.model_construct(type="dropped")
"""The content of a withdrawn part that is neither text nor reasoning."""


class Parts(AnswerEvents):
    """Turns the content that formats read into events with choice and part indexes.

    A format whose wire marks the beginning and the end of parts calls `open`, `add` and `close`; any other
    calls `write`. Several tool calls may be open at the same time. The base has the answer as a whole.
    """

    __slots__ = ("_has_lost_arguments",)

    def _set_up(self) -> None:
        self._has_lost_arguments = False
        """True once arguments have come that belong to no call: one that has none may have lost them."""

    # -- text and other content ----------------------------------------------

    def open(self, choice: int, content: Part) -> OpenPart:
        """Open a part, report its start, and return the part."""
        state = self.choices.get(choice) or self.choice(choice)
        part = OpenPart(content.kind, choice, self._take_part_index(state))
        state.opened[part.index] = part
        if not isinstance(content, WORDED) or content.text:
            self._note_content(part)
        elif isinstance(content, ReasoningPart):
            self.has_content |= bool(content.signature or content.redacted)
        if isinstance(content, OpaquePart) and content.type.startswith(_KNOWN_DATA):
            state.kinds.add(content.type)
        is_inside = self.begins_inside or not self.started
        if is_inside and isinstance(content, WORDED):
            self.starts[choice, part.index] = content
        self._add(PartStart, choice, part.index).content = content
        return part

    def _note_content(self, part: OpenPart) -> None:
        """Note that a part has content, and if it is of a kind that answers by itself, that there is one."""
        part.is_written = self.has_content = True
        self.has_answer = self.has_answer or part.kind in _ANSWERS
        state = self.choices.get(part.choice)
        if state is None or part.kind in BESIDE:
            return
        state.kinds.add(part.kind)
        if state.finish is not None:
            self._void_finish(state)

    def _void_finish(self, state: OpenChoice) -> None:
        """Count content after a choice's finish reason, which is void until another one or the end mark."""
        self.note("content_after_finish")
        state.void_finish()

    def report_start_again(self, part: OpenPart, content: Part) -> None:
        """Report the start of a part again, with more data; words begin once, and keep what has arrived."""
        if isinstance(content, WORDED):
            self.amend(part, content)
        else:
            self._add(PartStart, part.choice, part.index).content = content

    def amend(self, part: OpenPart, content: Part) -> None:
        """Note more data of a part, which its end reports; it keeps its words."""
        part.amended = content
        if part.closed:
            event = self._add(PartDone, part.choice, part.index)
            event.content, event.is_amended = content, True

    def whole(
        self, choice: int, content: ServerToolCall | ServerToolResult | MediaPart | OpaquePart | ReasoningPart
    ) -> None:
        """Add a part that arrived whole, in one payload; text that follows begins a new part."""
        self.close_current(self.choice(choice))
        self.close(self.open(choice, content), content)

    def add_undecodable_media(self, choice: int, type: str, data: Json) -> None:  # noqa: A002 - the field's name
        """Add media that are not valid base64, which is a departure, unchanged, as an opaque part."""
        self.note("media_invalid")
        self.whole(choice, OpaquePart(type=type, data=data))

    def write(self, choice: int, kind: TextKind, text: str, start: Part | None = None) -> None:
        """Add text to the open part of this kind, or to a new one; for formats that do not mark parts."""
        state = self.choices.get(choice) or self.choice(choice)
        part = state.current_part
        # A signature ends its block: it is about the text before it, and only that.
        if part is None or part.kind != kind or part.signature:
            if not text:
                # An empty text opens no part.
                return
            self.close_current(state)
            part = state.current_part = self.open(choice, start or _BLANK_PARTS[kind])
        self.add(part, text)

    def sign(self, choice: int, signature: str) -> None:
        """Add a signature to the reasoning being written, or to a new, empty reasoning part.

        The signature arrives whole: another one than that of the part belongs to another part.
        """
        state = self.choice(choice)
        part = state.current_part
        if part is None or part.kind != "reasoning" or part.signature not in ("", signature):
            self.close_current(state)
            part = state.current_part = self.open(choice, BLANK_REASONING)
        self.add_signature(part, signature)

    def write_reasoning(self, choice: int, text: str, signature: str | None) -> None:
        """Add a piece of reasoning that may have a signature, for formats that do not mark parts.

        A text with the signature of the current part belongs to that part. A text that arrives with the
        part's signature may be the whole text of the part, which is then not added again.
        """
        part = self.choice(choice).current_part
        if not signature or part is None or part.kind != "reasoning":
            self.write(choice, "reasoning", text)
        elif part.signature == signature:
            self.add(part, text)
        elif part.signature or not self.has_text(part, text):
            self.write(choice, "reasoning", text)
        if signature:
            self.sign(choice, signature)

    def has_text(self, part: OpenPart, text: str) -> bool:
        """Return True if a text is the whole text of a part, as far as it has arrived."""
        return text != "" and text == self.arrived_of(part)

    def arrived_of(self, part: OpenPart) -> str:
        """Return the text of a part, as far as it has arrived; "" if no message holds it."""
        if self.find_text is None:
            return ""
        from tokenstream.formats._kit.whole_text import WholeText, added_by

        kind: Any = _WHOLE_TEXT_KINDS.get(part.kind, part.kind)
        repeat = WholeText("", 0, kind, choice=part.choice, part=part.index)
        return self.find_text(repeat) + added_by(self._out, repeat)

    def add(self, part: OpenPart, text: str) -> None:
        """Report text as a delta of a part; hold back half a surrogate pair until the other half arrives."""
        if part.whole_text and self.is_in_whole_text(part, text):
            return
        # Halves of surrogate pairs occur only in text that is not ASCII.
        if part.held or not text.isascii():
            text = join_halves(part, text, self.note)
        if not text:
            # The text was only half a pair, which is held back.
            return
        if not part.is_written:
            self._note_content(part)
        kind = part.kind
        if kind == "text":
            self._add(TextDelta, part.choice, part.index).text = text
        elif kind == "reasoning":
            self._out.append(ReasoningDelta(text, choice=part.choice, part=part.index, raw=self.raw))
        elif kind == "refusal":
            self._add(RefusalDelta, part.choice, part.index).text = text
        else:
            self._add(PartDelta, part.choice, part.index).fragment = text

    def is_in_whole_text(self, part: OpenPart, delta: str) -> bool:
        """Return True if a delta after the whole text of a part repeats some of it, and count it.

        Raises:
            ProtocolError: The delta does not repeat it.
        """
        if not part.whole_text or not delta:
            return False
        if part.repeats_whole_text(delta):
            self.note("content_twice")
            return True
        raise self._refuse(
            ProtocolError(
                f"a delta of part {part.index} came after the whole text of the part, and does not repeat it"
            )
        )

    def _refuse(self, difference: ProtocolError) -> ProtocolError:
        """Return an error to raise, and store it as well, because no finish reason makes up for it."""
        self.difference = difference
        return difference

    def tell(
        self, part: OpenPart, whole: str, length: int, *, rewritten: bool = False, goes_on: bool = False
    ) -> None:
        """Compare the whole text of a part, which the server repeats, with the message; add what is missing.

        Deltas after it may only repeat it, unless the text `goes_on`.
        """
        from tokenstream.formats._kit.whole_text import WholeText

        # Half a pair that is held back is whole in the whole text.
        part.held = ""
        if whole:
            self._note_content(part)
        kind: Any = _WHOLE_TEXT_KINDS.get(part.kind, part.kind)
        whole = mend_surrogates(whole)
        repeat: Any = WholeText(whole, length, kind, choice=part.choice, part=part.index, raw=self.raw)
        repeat.ended, repeat.rewritten, repeat.open = part.closed, rewritten, None if goes_on else part
        repeat.start = self.starts.get((part.choice, part.index))
        self._out.append(repeat)  # `take` replaces it by a delta with the missing text
        self.whole_text_repeated = True

    def add_signature(self, part: OpenPart, signature: str) -> None:
        """Add a signature, or a piece of one, to a reasoning part, unless it repeats the whole signature."""
        if signature and signature != part.signature:
            part.signature += signature
            self.has_content = True
            self._out.append(ReasoningDelta("", signature, choice=part.choice, part=part.index, raw=self.raw))

    def add_media(self, part: OpenPart, data: bytes = b"", transcript: str = "") -> None:
        """Add data or a transcript to a media part; half a surrogate pair waits for its other half."""
        if transcript and self.is_in_whole_text(part, transcript):
            transcript = ""
        if transcript and (part.held or not transcript.isascii()):
            transcript = join_halves(part, transcript, self.note)
        if data or transcript:
            self._out.append(MediaDelta(data, transcript, choice=part.choice, part=part.index, raw=self.raw))

    def cite(self, choice: int, citation: Citation) -> None:
        """Add a citation as a separate part; the text around the citation stays open."""
        if citation.cites in self._places:
            self.place = self._places[citation.cites]
        index = self._take_part_index(self.choice(choice))
        self.has_content = True
        if self.text_before and citation.cites is None:
            # The positions count in the text of all parts, of which the message has more than this answer.
            positions = {"start": citation.start, "end": citation.end}
            moved = {name: at + self.text_before for name, at in positions.items() if at is not None}
            citation = citation.model_copy(update=moved)
        self._out.append(CitationAdded(citation, choice=choice, part=index, raw=self.raw))

    def close(self, part: OpenPart, content: Part | None = None) -> None:
        """Close a part unless it is closed; its end has `content` if the deltas do not add up to that."""
        if part.closed:
            return
        # Before the end, because this may add the last piece of text.
        self._release(part)
        part.closed = True
        # After an error only facts are read: the choice may be gone again, and its part still be open.
        state = self.choices.get(part.choice) or self.choice(part.choice)
        state.opened.pop(part.index, None)
        if state.current_part is part:
            state.current_part = None
        event = self._add(PartDone, part.choice, part.index)
        event.content = content
        if part.amended is not None and content is None:
            event.content, event.is_amended = part.amended, True
        if part.kind == "server_tool_result":
            self._out.append(make_result_of_part(part.choice, self.raw))

    def withdraw(self, index: int, kind: str) -> None:
        """Close a part of the first choice, if it is open, and replace its content by an empty one."""
        # The end of a part replaces the content that its deltas have built.
        content = _WITHDRAWN.get(kind, _WITHDRAWN_OTHER)
        part = self.choice(0).opened.get(index)
        if part is None:
            self._add(PartDone, 0, index).content = content
        else:
            # Half a surrogate pair that the part still holds is dropped.
            part.held = ""
            self.close(part, content)

    def close_current(self, choice: OpenChoice) -> None:
        """Close the text or the like to which pieces without an index or id are added, if there is one."""
        if choice.current_part is not None:
            self.close(choice.current_part)

    def _release(self, part: OpenPart) -> None:
        """Add what is held back of a part: a call's arguments `{}`, and U+FFFD for half a surrogate pair."""
        if isinstance(part, OpenCall) and part.placeholder:
            text, part.placeholder = part.placeholder, ""
            self._append(part, text)
        if part.held:
            part.held = ""
            self.note("lone_surrogate")
            if isinstance(part, OpenCall):
                self._append(part, "\ufffd")
            elif part.kind == "media":
                self.add_media(part, transcript="\ufffd")
            else:
                self.add(part, "\ufffd")

    # -- tool calls --------------------------------------------------------

    def open_call(
        self,
        choice: int,
        id: str | None,
        name: str,
        *,
        type: str = "function",  # noqa: A002 - the field's name
        provider_data: JsonObject | None = None,
        number: object = None,
    ) -> OpenCall:
        """Open a call of one of the application's tools; a missing id is made up, and its start says so.

        An id that is None is a departure; "" is for calls that need none. A call with the id of a finished
        call may be a repetition. Once its content differs from the finished call, it is reported with a new
        id; if it never differs, it is dropped. Equal ids with different numbers, which are indexes on the
        wire, are different calls.
        """
        state = self.choice(choice)
        self._check_count()
        if not id:
            provider_data = {**(provider_data or {}), MADE_UP_ID: True}
        if id is None:
            self.note("call_id_missing")
        if self.may_hold_surrogates:
            id, name = mend_surrogates(id), mend_surrogates(name)
        meant = (self.offered.find_name(name) if self.offered else None) or name
        call = OpenCall(
            choice,
            # A temporary, negative index: the call gets its index in the message when it is reported.
            ~self.calls_seen,
            id=id or self.new_id(choice),
            name=meant,
            is_renamed=meant != name,
            type=type,
            provider_data=provider_data,
            number=number,
            has_id=id is not None,
        )
        # The calls of the whole answer, and those of this choice.
        self.calls_seen += 1
        state.calls_seen += 1
        state.opened[call.index] = call
        if not self._takes_nothing(call):
            if state.turn is None or not state.turn.may_go_on:
                state.turn = CallsInTurn()
            state.turn.calls.append(call)
        # Arguments that are still to arrive may show that this is a finished call, sent again.
        call.may_repeat = state.ended.find_like(call)
        if not call.may_repeat:
            self.report_call(call)
        return call

    def find_call_in_turn(self, choice: int) -> OpenCall | None:
        """Return the call that a piece of arguments is of which names none; None if there is no call."""
        state = self.choices.get(choice)
        return None if state is None or state.turn is None else state.turn.find()

    def _check_count(self) -> None:
        """Raise LimitExceeded if there are as many calls as there may be."""
        if self.calls_seen >= self.limits.tool_calls:
            raise LimitExceeded(limit="tool_calls", value=self.limits.tool_calls)

    def count_read(self, choice: int) -> str:
        """Count a call that was read in the text, and return its id; LimitExceeded if it is one too many."""
        self._check_count()
        id = self.new_id(choice)
        # A call of the API that comes without an id must not get the same one.
        self.calls_seen += 1
        self.note("call_read")
        return id

    def new_id(self, choice: int) -> str:
        """Return an id for a call that has none, or has the id of another call."""
        ended, number = self.choice(choice).ended, self.calls_seen
        while ended.knows(f"call_{number}"):
            number += 1
        return f"call_{number}"

    def report_call(self, call: OpenCall) -> None:
        """Report the start of a call that repeats no other one, under a new id if its own is taken."""
        state = self.choice(call.choice)
        call.may_repeat = []
        # The call ends the text or reasoning before it.
        self.close_current(state)
        if state.finish is not None:
            self._void_finish(state)
        if not state.ended.begin(call.sent_id):
            self.note("call_id_repeated")
            call.id = self.new_id(call.choice)
            state.ended.begin(call.id)
        # So far the call had a temporary index, and was no part of the message; after the end it has none.
        state.opened.pop(call.index, None)
        call.index = self._take_part_index(state)
        self.has_content = self.has_answer = True
        state.kinds.add(call.kind)
        state.opened[call.index] = call
        place: Any = {"choice": call.choice, "part": call.index, "raw": self.raw}
        self._out.append(ToolCallStart(call.id, call.name, call.type, call.provider_data, **place))
        if call.has_arguments:
            self._out.append(ToolCallDelta(call.id, call.arguments.join(), **place))

    def add_arguments(self, call: OpenCall, fragment: str) -> None:
        """Add a fragment to a call's arguments; half a surrogate pair is held back."""
        if not fragment or (call.whole_text and self.is_in_whole_text(call, fragment)):
            return
        if call.held or not fragment.isascii():
            fragment = join_halves(call, fragment, self.note)
        if call.waits and not fragment.isspace():
            self.note("content_after_finish")
            self.choice(call.choice).has_reopened = True
            call.drop_placeholder(self.note)
        # Only a fragment that begins like a JSON value, after other arguments, may be a repetition of them.
        if fragment[:1] in OPENING and call.has_arguments and call.type != "custom":
            call.drop_placeholder(self.note)
            if call.repeated.is_repeated(fragment, call, self.note):
                return
        self._append(call, fragment)

    def _append(self, call: OpenCall, fragment: str) -> None:
        if call.may_repeat:
            if not call.keeps_repeating(fragment):
                self.report_call(call)
        elif fragment:
            call.arguments.append(fragment)
            self._out.append(
                ToolCallDelta(call.id, fragment, choice=call.choice, part=call.index, raw=self.raw)
            )

    def add_whole_arguments(self, call: OpenCall, arguments: object) -> None:
        """Add all arguments of a call, in an API that sends them as JSON values: JSON text is a departure."""
        if isinstance(arguments, str):
            self.note("arguments_unparsed")
            self.add_arguments(call, arguments)
        else:
            self.add_arguments(call, json_text({} if arguments is None else arguments))

    def add_fragment(self, part: OpenPart, fragment: object) -> bool:
        """Add a piece of arguments to a call, and return True; return False if it cannot be added.

        A piece for a call that was handed out may repeat its arguments, but not change them.
        """
        if isinstance(part, OpenCall):
            if part.closed:
                from tokenstream.formats._kit.repeated import add_late

                add_late(self, part.choice, part.sent_id, fragment)
            elif isinstance(fragment, str):
                self.add_arguments(part, fragment)
            elif fragment is not None:
                self.note("arguments_parsed")
                self.add_arguments(part, json_text(fragment))
        elif part.kind != "server_tool_call" or not isinstance(fragment, str):
            # The arguments of a call that the server runs itself can only grow as text.
            return False
        elif fragment and part.closed:
            self.note("call_after_done")
        elif fragment:
            self.add(part, fragment)
        return True

    def note_lost_arguments(self, fragment: object) -> None:
        """Note that arguments have come for a call that has not begun: they are in no call of the message."""
        if fragment is not None and not (isinstance(fragment, str) and says_no_arguments(fragment)):
            self._has_lost_arguments = True

    def end_at_mark(self, call: OpenCall, *, whole: bool = True) -> None:
        """Close a call at its own mark; one that lacks arguments waits for the end of the answer."""
        may_go_on = call.is_empty or call.breaks_off or call.is_unsure(for_now=True)
        call.waits = whole and not call.closed and may_go_on
        if not call.waits:
            self.close_call(call, whole=whole)

    def close_call(self, call: OpenCall, *, whole: bool = True) -> None:
        """Close a call; hand it out if it is whole, and drop it if it repeats a finished call."""
        if call.closed:
            return
        # Add the arguments that were held back: `{}`, or U+FFFD for half a surrogate pair.
        self._release(call)
        repeated = False
        if call.may_repeat:
            from tokenstream._basics.same_call import judge

            text, before = call.arguments.join(), [each.arguments_text for each in call.may_repeat]
            is_json = call.type != "custom"
            repeated = any(judge("again", each, text, is_json=is_json) == "repeated" for each in before)
            if not repeated:
                # The arguments are only the beginning of the finished call's arguments, so this is another
                # call, whose start was withheld until now.
                self.report_call(call)
        call.closed = True
        state = self.choice(call.choice)
        state.opened.pop(call.index, None)
        if repeated:
            self.note("call_repeated")
        elif not whole:
            self.note("call_open_at_end")
        elif call.is_whole and not (
            call.is_doubtful
            or call.is_unsure()
            or (call.is_empty and (call.is_unread or self._has_lost_arguments))
        ):
            finished = call.as_content(complete=True)
            state.ended.add(call, finished)
            state.held_calls.append(ToolCallDone(finished, choice=call.choice, part=call.index, raw=self.raw))
        else:
            # The message keeps the call, but it is not handed out.
            self.note("call_invalid")
            self._add(PartDone, call.choice, call.index).content = call.as_content(complete=False)
        if state.held_calls:
            self._out += state.take_ready()

    def _may_go_on(self, call: OpenCall) -> bool:
        """Return True if arguments of a call may follow its choice's finish reason: not if it takes none."""
        may_go_on = call.breaks_off if self._takes_nothing(call) else call.may_go_on
        return may_go_on or call.is_unsure(for_now=True)

    def _takes_nothing(self, call: OpenCall) -> bool:
        return self.offered is not None and self.offered.takes_nothing(call.name)

    # -- ends --------------------------------------------------------------

    @property
    def has_open(self) -> bool:
        """True if the server has not ended something that it has begun, in a format that marks such ends."""
        return any(not part.waits for choice in self.choices.values() for part in choice.opened.values())

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Record a choice's finish reason and close its open parts.

        The reason "stop" becomes "tool_calls" if the message calls tools: some providers
        send "stop" in both cases. Open calls with whole arguments are handed out, but not
        the last one if the reason means a cut, such as "length".

        Some servers send arguments after the reason. So a call without arguments, or with a part of them,
        waits for the end of the answer; and so does the report of the reason, which follows the calls.
        """
        state = self.choices.get(choice) or self.choice(choice)
        if self.may_hold_surrogates:
            raw_reason = mend_surrogates(raw_reason)
        early, state.early_finish = state.early_finish, None
        earlier = state.finish or early
        if earlier is not None:
            self.note("finish_repeated")
            if is_worse(earlier.reason, reason):
                reason, raw_reason = earlier.reason, earlier.raw_reason
            if state.finish is not None and state.finish.raw_reason == raw_reason:
                return
        if reason == "stop" and state.calls_seen:
            reason = "tool_calls"
        self.close_choice(state, complete=reason not in CUT_SHORT)
        message = mend_surrogates(state.finish_message) if self.may_hold_surrogates else state.finish_message
        # The stored event has no `raw`, so that it does not keep the payload in memory.
        state.finish = Finish(reason, raw_reason, message, choice=choice)
        state.finish_waits = bool(state.opened and state.open_calls())
        if not state.finish_waits and (early is None or state.finish != early):
            self._report_finish(state.finish)

    def _report_finish(self, finish: Finish) -> None:
        """Report a finish reason, unless it is a pause after which another answer goes on."""
        if self.withholds is not None and self.withholds(finish):
            self.withheld = finish
            return
        event = self._add(Finish, finish.choice)
        event.reason, event.raw_reason, event.message = finish.reason, finish.raw_reason, finish.message
        event.provider_data, event.order = None, self.choices[finish.choice].order

    def close_choice(self, choice: OpenChoice, *, complete: bool) -> None:
        """Close every part of a choice, except for calls whose arguments may still come.

        If the choice was cut off, its last call, even if it looks whole, and calls without arguments, which
        may have been cut off before their first piece, are not handed out.
        """
        last_call = None if complete else next(reversed(choice.open_calls()), None)
        for part in list(choice.opened.values()):
            if not isinstance(part, OpenCall):
                self.close(part)
            elif complete:
                part.waits = self._may_go_on(part)
                if not part.waits:
                    self.close_call(part)
            else:
                # After the call's own mark, any other part shows that no limit has cut the call off.
                is_after_mark = part.waits and part.index + 1 < choice.next_part
                was_followed = part is not last_call or is_after_mark
                self.close_call(part, whole=was_followed and part.arguments.length > 0)
        choice.current_part = None

    def close_all(self, *, complete: bool) -> None:
        """Close every part of every choice; if the answer was cut off, no tool call is handed out."""
        for choice in self.choices.values():
            for part in list(choice.opened.values()):
                if isinstance(part, OpenCall):
                    self.close_call(part, whole=complete)
                elif complete:
                    self.close(part)
                else:
                    self._release(part)
                    part.closed = True
            choice.opened.clear()
            self._out += choice.held_calls
            choice.held_calls, choice.current_part = [], None
            self._report_waiting_finish(choice)
        if self.stage is not None:
            # No event reports the end of a part that was cut off, so the stage learns of it here.
            self.stage.end(whole=complete)

    def _report_waiting_finish(self, choice: OpenChoice) -> None:
        if choice.finish_waits and choice.finish is not None:
            choice.finish_waits = False
            self._report_finish(choice.finish)


def make_result_of_part(choice: int, raw: Json) -> ToolResult:
    """Return the `ToolResult` that follows the end of a `ServerToolResult`; the accumulator fills it in.

    Only the accumulator has the whole content of a part whose result arrived in pieces.
    """
    result = ToolResult("", provider_executed=True, choice=choice, raw=raw)
    result.is_repeat = True
    return result


def empty_part(kind: str, data: JsonObject | None) -> TextPart | ReasoningPart:
    """Return a part without its text, for a text or else reasoning, with its data, if any."""
    if data is None:
        return BLANK_TEXT if kind == "text" else BLANK_REASONING
    return TextPart(provider_data=data) if kind == "text" else ReasoningPart(provider_data=data)
