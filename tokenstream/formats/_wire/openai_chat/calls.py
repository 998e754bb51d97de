"""Assign fragments to tool calls, and detect the ends of calls.

The format does not mark the end of a call, and servers differ in how a fragment names its
call: by id, by index, by its position in the list, or not at all, which means the last call.
A call ends when another call begins, or with the choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.chat_words import LEGACY
from tokenstream._basics.json import says_no_arguments
from tokenstream._basics.untrusted import dicts_of, fields_except, says_nothing
from tokenstream.errors import LimitExceeded
from tokenstream.formats._kit.identity import Identity
from tokenstream.formats._wire.openai_chat.call import ABSENT, ChatCall, Fragment
from tokenstream.message import OpaquePart

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.formats._kit.parts import Parts


class ChatCalls:
    """The tool calls of one choice."""

    def __init__(self, parts: Parts, choice: int) -> None:
        self._parts = parts
        self._choice = choice
        self._identity = Identity[ChatCall]()
        """Finds calls by their ids and indexes."""
        self._by_position: dict[int, ChatCall] = {}
        """Calls by their last position in a list of several fragments."""
        self._last_call: ChatCall | None = None
        """The call that began last; a fragment that names no call continues it."""
        # Single calls that need attention.
        self._unnamed_calls: list[ChatCall] = []
        self._given_up: list[ChatCall] = []
        """Calls that were reported without a name; it may still come, with a fragment of its own."""
        self._waiting_calls: list[ChatCall] = []
        """Calls whose name another piece may continue."""
        self._list_count = 0
        """Number of lists (`tool_calls` of a delta) read so far."""

    def begin_list(self) -> None:
        """Note that another list of fragments begins: a list never has two fragments of the same call."""
        self._list_count += 1

    def read(self, items: object) -> None:
        """Read the `tool_calls` of a delta."""
        self.begin_list()
        listed = dicts_of(items)
        for position, item in enumerate(listed):
            self._read_fragment(Fragment(item, position if len(listed) > 1 else None))

    def read_whole(self, items: list[JsonObject]) -> None:
        """Read the calls of a whole message, which repeats those of the deltas: add what these lack.

        A call that has no id, or another one, is the call at its position.
        """
        self.open_waiting()
        self.begin_list()
        known = [*self._identity.items]
        for position, item in enumerate(items):
            fragment = Fragment(item, None)
            at_position = known[position] if position < len(known) else None
            call = self._identity.find_named([fragment.id]) or at_position
            if call is None:
                self.add(self.begin(fragment), fragment)
                continue
            self._parts.tell_fields(fragment.extras or {}, call.fields)
            if call.part is not None and call.name == fragment.name and fragment.arguments is not ABSENT:
                from tokenstream.formats._kit.repeated import complete_arguments

                complete_arguments(self._parts, call.part, fragment.arguments)

    def read_legacy(self, body: JsonObject) -> None:
        """Read the `function_call` of a delta, the older form of `tool_calls`."""
        # It counts as a list with one fragment.
        self.begin_list()
        # All fragments of the `function_call` have one made-up index, and so belong to one call.
        self._read_fragment(Fragment({"index": LEGACY, "type": LEGACY, "function": body}, None))

    def report_nameless(self) -> None:
        """Report calls without a name as opaque parts, and forget them; open calls with a name.

        Nobody can run a call without a name, but its data are not lost.
        """
        self.open_waiting()
        if not self._unnamed_calls:
            return
        unnamed, self._unnamed_calls = self._unnamed_calls, []
        reported = set(unnamed)
        self._identity.drop(unnamed)
        self._by_position = {key: call for key, call in self._by_position.items() if call not in reported}
        if self._last_call in reported:
            self._last_call = None
        lacking = [call for call in self._identity.items if call.lacks_arguments]
        for call in unnamed:
            if call.id is None and call.pending and len(lacking) == len(unnamed) == 1:
                # Quirk (gateways, 2026-11): the arguments have another index than the head of their call.
                self._parts.note("call_index_reused")
                self._add_pending(lacking[0], call)
                continue
            data = call.give_up()
            self._parts.note_lost_arguments(data["arguments"])
            self._given_up.append(call)
            # `fields_except` leaves out empty fields.
            self._parts.whole(self._choice, OpaquePart(type="tool_call", data=fields_except(data) or {}))

    # -- assigning fragments -----------------------------------------------

    def _read_fragment(self, fragment: Fragment) -> None:
        if fragment.is_whole and self._repeats_whole_call(fragment):
            self._parts.note("call_repeated")
            return
        call = self._find_call(fragment)
        if call is None:
            call = self.begin(fragment)
        elif fragment.id or (fragment.name and fragment.name == call.name):
            # Only the first fragment of a call should have an id and a name.
            self._parts.note("call_repeated")
        self.add(call, fragment)

    def _repeats_whole_call(self, fragment: Fragment) -> bool:
        """Return whether a fragment with whole arguments only repeats a call that arrived in pieces.

        Gateways send the whole call after its fragments. If neither has an id, or if the two are in one list,
        the fragment is another call.
        """
        named = self._identity.find_named([fragment.id])
        if fragment.index is not None:
            call = self._identity.find_at(fragment.index)
        else:
            call = self._last_call if fragment.id is None else named
        # A `function_call` never has an id, but there is only one.
        has_id = call is not None and (call.id is not None or fragment.index == LEGACY)
        if call is None or not has_id or call.last_list == self._list_count:
            return False
        if fragment.id is not None and named is not call:
            # The id is that of another call.
            return False
        part = call.part
        if part is None or fragment.name not in ("", call.name) or call.type == "custom":
            return False
        return call.is_whole and part.repeated.has(fragment.arguments, part)

    def _find_call(self, fragment: Fragment) -> ChatCall | None:
        """Return the call of a fragment's id, else of its index, else of its position; None for a new one."""
        if fragment.id is not None:
            return self._find_by_id(fragment, fragment.id)
        if fragment.index is not None:
            return self._find_by_index(fragment, fragment.index)
        self._parts.note("call_index_missing")
        if fragment.name:
            return self._find_by_name(fragment)
        if fragment.position is not None:
            return self._by_position.get(fragment.position, self._last_call)
        return self._find_in_turn(fragment)

    def _find_in_turn(self, fragment: Fragment) -> ChatCall | None:
        """Return the call of a fragment that names none: the last one, unless several wait for arguments."""
        if self._last_call is None or not self._last_call.name or fragment.arguments in (ABSENT, "", None):
            return self._last_call
        self.open_waiting()
        part = self._parts.find_call_in_turn(self._choice)
        return next((call for call in self._identity.items if part and call.part is part), self._last_call)

    def _find_by_id(self, fragment: Fragment, id: str) -> ChatCall | None:
        # The call that the fragment would continue if the fragment had no id; the call may have another id.
        index = fragment.index
        likely_call = self._last_call if index is None else self._identity.find_at(index)
        # The same id with two indexes means two calls.
        call = likely_call if likely_call and likely_call.id == id else self._identity.find_named([id])
        if call:
            return None if self._begins_another(call, fragment) else call
        if fragment.index is None:
            self._parts.note("call_index_missing")
        if likely_call is None:
            return None
        # The id of a call may arrive late: the fragment continues a call that has no id yet.
        same_name = not likely_call.name or not fragment.name or fragment.name == likely_call.name
        if likely_call.is_waiting and self._join_names(likely_call, fragment) is not None:
            same_name = True
        if likely_call.id is None and same_name and not likely_call.is_whole:
            return likely_call
        if fragment.index is None:
            return None
        # Some servers make up an id for each fragment; a fragment without a name cannot begin a call.
        has_name = likely_call.part is not None or likely_call.is_waiting
        if has_name and not likely_call.is_whole and not fragment.name:
            self._parts.note("call_repeated")
            return self._find_in_turn(fragment) if self._identity.is_shared(fragment.index) else likely_call
        self._parts.note("call_index_reused")
        return None

    def _find_by_index(self, fragment: Fragment, index: int | str) -> ChatCall | None:
        call = self._identity.find_at(index)
        if call is not None and self._begins_another(call, fragment):
            self._parts.note("call_index_reused")
            return None
        return self._find_in_turn(fragment) if self._identity.is_shared(index) else call

    def _begins_another(self, call: ChatCall, fragment: Fragment) -> bool:
        """Return whether a fragment with the id or index of a known call begins another call.

        Some servers repeat the name in every fragment, and others use one index for all
        calls: the presence of a name does not tell one from the other.
        """
        if not fragment.name or not call.name:
            return False
        has_other_index = fragment.index is not None and call.index not in (None, fragment.index)
        # One list does not contain two fragments of the same call.
        if has_other_index or call.last_list == self._list_count:
            return True
        is_over = self._parts.choice(self._choice).finish is not None
        may_continue = call.part is not None and (is_over or call.part.placeholder)
        if may_continue and fragment.id is not None and (fragment.id, fragment.name) == (call.id, call.name):
            # The arguments of a call that had none, or those of a call that is over: no others may follow.
            return False
        has_arguments = call.part is not None and (call.part.has_arguments or call.part.placeholder != "")
        if call.is_waiting or (self._parts.offered and not has_arguments):
            # Without arguments so far, a name is another tool's, or a piece of this one.
            return self._join_names(call, fragment) is None
        if fragment.name != call.name:
            # Another call, unless the arguments continue those of the known call, which are not whole.
            return fragment.opens_value or call.is_whole
        if fragment.opens_value:
            # Unless the arguments so far are whole, the bracket may be inside them.
            return call.is_whole
        # OpenAI begins a call with a name and empty arguments, so this may be the start of another call.
        # For free text, it may also be a continuation. Servers that repeat the name in every fragment never
        # send a fragment without one.
        is_empty_start = fragment.arguments == "" and fragment.id is not None and call.type != "custom"
        return is_empty_start and call.has_nameless_fragment and call.is_whole

    def _find_by_name(self, fragment: Fragment) -> ChatCall | None:
        call = self._last_call
        # One list does not contain two fragments of the same call.
        if call is None or call.last_list == self._list_count:
            return None
        if not call.name:
            # The last call waits for its name, which is in this fragment.
            return call
        if call.is_waiting:
            # Without arguments so far, a name is another tool's, or a piece of this one.
            return None if self._join_names(call, fragment) is None else call
        # Some servers repeat the name in each fragment: it is the same call if its arguments are incomplete,
        # or if nothing but white space follows them.
        has_begun = call.part is not None and call.part.has_arguments
        goes_on = not call.is_whole or (call.repeats_name and fragment.is_blank)
        return call if fragment.name == call.name and has_begun and goes_on else None

    # -- adding to a call --------------------------------------------------

    def begin(self, fragment: Fragment) -> ChatCall:
        """Create a call for a fragment; first hand out the last call, if its arguments are whole."""
        if len(self._identity.items) >= self._parts.limits.tool_calls:
            raise LimitExceeded(limit="tool_calls", value=self._parts.limits.tool_calls)
        # Even though the name of the call may still arrive.
        self._parts.close_current(self._parts.choice(self._choice))
        self._end_last_call()
        call = self._last_call = ChatCall(fragment)
        self._identity.begin(call, None)
        self._unnamed_calls.append(call)
        # The name of an earlier call may come after the finish reason: its arguments are those of this one.
        earlier = next((each for each in self._given_up if each.is_continued_by(fragment)), None)
        if earlier is not None:
            self._given_up.remove(earlier)
            call.pending = earlier.pending
        return call

    def _end_last_call(self) -> None:
        """Hand out the last call, because a new one begins; if its arguments are not whole, leave it open.

        Free text may always go on, so a call with free text is whole only when the choice ends. Nor
        is a call whole that has no arguments, or an empty object: some servers send the arguments later.
        """
        last_call = self._last_call
        part = None if last_call is None or not last_call.is_whole else last_call.part
        if part is None or part.type == "custom":
            return
        if not part.placeholder and not says_no_arguments(part.arguments.join()):
            self._parts.close_call(part)

    def add(self, call: ChatCall, fragment: Fragment) -> None:
        """Add a fragment to a call: its id, index, position, further fields, name and arguments."""
        call.take(fragment, self._list_count)
        self._identity.add_name(call, fragment.id)
        if fragment.index is not None:
            self._identity.place(call, fragment.index)
        if fragment.position is not None:
            self._by_position[fragment.position] = call
        if call.part is None:
            self._take_name(call, fragment)
        elif fragment.name not in ("", call.name):
            self._continue_name(call, call.part, fragment)
        call.is_unread = call.is_unread or fragment.is_unread
        if call.is_unread and call.part is not None:
            call.part.note_unread()
        self.add_arguments(call, fragment.arguments)

    # -- names in pieces ---------------------------------------------------

    def _take_name(self, call: ChatCall, fragment: Fragment) -> None:
        """Take the name in a fragment, and open the call once no piece of the name can follow.

        A name is whole if arguments come with it or after it, or if it is the name of an offered tool
        that begins no other tool's name.
        """
        if fragment.name:
            if not call.name:
                self._unnamed_calls.remove(call)
                self._waiting_calls.append(call)
            # Another piece may continue the name.
            call.name, call.is_waiting = self._join_names(call, fragment) or fragment.name, True
        if not call.is_waiting:
            return
        tools = self._parts.offered
        is_offered = tools is not None and call.name in tools and not tools.may_continue(call.name)
        if is_offered or not (fragment.arguments is ABSENT or fragment.arguments in ("", None)):
            self._open_call(call)

    def _continue_name(self, call: ChatCall, part: OpenCall, fragment: Fragment) -> None:
        """Add a piece of the name that comes behind arguments; one that fits no offered tool is told."""
        name = None if part.closed else self._join_names(call, fragment)
        self._parts.note("delta_misfits" if name is None else "call_unnamed")
        call.name = part.name = name or call.name

    def _join_names(self, call: ChatCall, fragment: Fragment) -> str | None:
        """Return the name of a call with the piece of it in a fragment; None if that names another call."""
        so_far, piece = call.name, fragment.name
        # A name that was sent again, or that has grown.
        if piece.startswith(so_far):
            return piece
        if so_far == piece or not piece:
            return so_far
        joined, tools = so_far + piece, self._parts.offered
        if tools and (piece in tools or not (joined in tools or tools.may_continue(joined))):
            return None
        return joined

    def open_waiting(self) -> None:
        """Open the calls whose name is whole, because something else than a piece of it has arrived."""
        for call in [*self._waiting_calls]:
            self._open_call(call)

    def _open_call(self, call: ChatCall) -> None:
        """Open a call, whose name is whole, after the calls that have begun before it."""
        for earlier in self._waiting_calls[: self._waiting_calls.index(call)]:
            self._open_call(earlier)
        self._waiting_calls.remove(call)
        call.is_waiting = False
        # A `function_call` never has an id, so a missing one is not a departure.
        call_id = "" if call.index == LEGACY else call.id
        # Copy the fields: the start event belongs to the caller, and `call.fields` will change.
        call.part = self._parts.open_call(
            self._choice,
            call_id,
            call.name,
            type=call.type,
            provider_data={**call.fields} or None,
            number=call.index,
        )
        if any(
            other.name == call.name and (other.index == LEGACY) != (call.index == LEGACY)
            for other in self._identity.items
        ):
            # The two fields may be about one call, which must not run twice.
            self._parts.note("call_twice")
            call.part.note_doubt()
        if call.is_unread:
            call.part.note_unread()
        self._add_pending(call, call)

    def _add_pending(self, call: ChatCall, waiting: ChatCall) -> None:
        """Add the arguments that were held back for a call without a name."""
        pending, waiting.pending = waiting.pending, []
        for arguments in pending:
            self.add_arguments(call, arguments)

    def add_arguments(self, call: ChatCall, arguments: object) -> None:
        """Add arguments to a call; hold them back until the call has a name."""
        # Ignore empty arguments (fragments may follow an empty object), except null, which is a departure.
        if arguments is ABSENT or (says_nothing(arguments) and arguments is not None):
            return
        if arguments is None:
            self._parts.note("arguments_null")
        elif call.part is None:
            # The call has no name yet.
            if not call.pending:
                self._parts.note("call_unnamed")
            call.pending.append(arguments)
        elif call.part.closed:
            self._parts.add_fragment(call.part, arguments)
        elif isinstance(arguments, str):
            self._add_text(call.part, arguments)
        else:
            self._drop_placeholder(call.part)
            self._parts.add_fragment(call.part, arguments)

    def _add_text(self, call: OpenCall, text: str) -> None:
        """Add argument text; an empty object is held back, because the arguments may follow it."""
        # Quirk (gateways to Bedrock, 2025-12): `{}` is sent first, then the arguments;
        # openai/openai-agents-js#712.
        if call.has_arguments or call.type == "custom":
            self._parts.add_arguments(call, text)
            return
        if text.lstrip().startswith("{"):
            # These are the arguments; without a brace, they continue the held-back text.
            self._drop_placeholder(call)
        text, call.placeholder = call.placeholder + text, ""
        if text.strip() == "{}":
            # Reported only when the call is closed, if no other arguments arrive.
            call.placeholder = text
        else:
            self._parts.add_arguments(call, text)

    def _drop_placeholder(self, call: OpenCall) -> None:
        """Drop a `{}`, a departure, that was sent before the real arguments, if the call has one."""
        if call.placeholder:
            call.placeholder = ""
            self._parts.note("arguments_placeholder")
