"""Parts with an id on the wire: texts and calls of UI streams, whose deltas may alternate."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from tokenstream._basics.untrusted import fields_except, text_of
from tokenstream.events import ToolProgress
from tokenstream.formats._kit.blocks import KeyedParts
from tokenstream.formats._kit.open import OpenCall, OpenPart, note_unread_texts
from tokenstream.formats._kit.parts import empty_part
from tokenstream.formats._kit.repeated import add_late
from tokenstream.formats._kit.values import fragment_text
from tokenstream.message import OpaquePart

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.message import FinishReason, Part, ServerToolCall

NamedKind: TypeAlias = Literal["text", "reasoning"]
CALL = "tool_call"
"""The kind in the keys of all calls: of the application's tools, and of those that the server runs itself."""


class NamedParts(KeyedParts[tuple[str, str], OpenPart]):
    """Turns texts, reasoning and tool calls into events, for formats whose deltas contain the part's id.

    The key of a part is its kind and its id. The server chooses the ids, and may use an id again once its
    part is closed.
    """

    __slots__ = ("_answered", "_data", "_newest_ids", "own_calls", "server_calls")

    id_field: ClassVar[str]
    """The payload field with the id of a text."""
    text_fields: ClassVar[tuple[str, ...]]
    """Fields of a text's payload that do not become `provider_data` of its part."""

    def _set_up(self) -> None:
        super()._set_up()
        self._newest_ids: dict[NamedKind, str] = {"text": "", "reasoning": ""}
        """The id of the part opened last, by kind."""
        self._answered: set[str] = set()
        """Ids of the calls whose result was reported."""
        self.own_calls: dict[str, str] = {}
        """Names of the tools that the client's calls are for, by the ids of the calls that were not cut."""
        self.server_calls: set[str] = set()
        """Ids of the calls of tools that the server runs itself, and not the client."""
        self._data: dict[int, JsonObject] = {}
        """The `provider_data` of texts and reasoning, by part index."""

    # -- text and reasoning ------------------------------------------------

    def start(self, kind: NamedKind, id: str, data: JsonObject | None = None) -> OpenPart:
        """Open a part and return it; a part with the same id that is still open is closed before that."""
        self._free((kind, id))
        part = self.open(0, self.make_empty_part(kind, data))
        if data is not None:
            self._data[part.index] = data
        self._open[kind, id] = part
        self._newest_ids[kind] = id
        return part

    def _note_taken(self, key: tuple[str, str], *, is_open: bool) -> None:
        """Count a new part with the id of an open one as a departure; that of a closed one may be its id."""
        if is_open:
            super()._note_taken(key, is_open=is_open)

    def is_own_call(self, id: str, *, executed: bool) -> bool:
        """Return True if a call is the client's, so that its result is no part.

        The call may be of an earlier answer; a result that the server has produced itself then is a part.
        """
        return id in self.own_calls or not (executed or id in self.server_calls)

    def progress_of_call(self, id: str, output: Json) -> bool:
        """Report what a tool shows while it runs; return False, and do nothing, if its call has a result."""
        if id in self._answered:
            return False
        self.emit(ToolProgress(id, self.own_calls.get(id, ""), output, raw=self.raw))
        return True

    def answer_call(self, id: str, payload: JsonObject) -> bool:
        """Record a call's result; a second one counts and is reported as unknown, and the result is False."""
        if id in self._answered:
            self.note("result_repeated")
            self.unknown(text_of(payload, "type") or "", payload)
            return False
        self._answered.add(id)
        return True

    def make_empty_part(self, kind: NamedKind, data: JsonObject | None) -> Part:
        return empty_part(kind, data)

    def get_or_open(self, kind: NamedKind, id: str) -> OpenPart:
        """Return the open part with this id; without one, which is a departure, open one."""
        part = self._open.get((kind, id))
        if part is None:
            self._note_unopened((kind, id))
            part = self.start(kind, id)
        return part

    def read_delta(self, payload: JsonObject, *, kind: NamedKind) -> None:
        """Add the text in a payload's `delta` to the part with the payload's id."""
        delta = payload.get("delta")
        if not isinstance(delta, str):
            self.note("delta_misfits")
            self.unknown(text_of(payload, "type") or kind, payload)
            return
        part = self.get_or_open(kind, self.id_in(payload, kind))
        # All fields but those of a text's own (`text_fields`) become the part's data.
        self.merge_data(part, kind, fields_except(payload, *self.text_fields))
        self.add(part, delta)

    def id_in(self, payload: JsonObject, kind: NamedKind, *, new: bool = False) -> str:
        """Return the id of a payload's text or reasoning; without one, of the part opened last, or ""."""
        id = payload.get(self.id_field)
        if isinstance(id, str):
            return id
        if self.expects_id(payload):
            self.note("part_index_missing")
        return "" if new else self._newest_ids[kind]

    def expects_id(self, payload: JsonObject) -> bool:
        """Return True if the documentation promises an id in such a payload, as by default in all."""
        return True

    def _end_block(self, block: OpenPart) -> None:
        # The library that wrote the mark has read the whole call, so no token limit has cut it off.
        self._close_part(block, whole=True)

    def _note_closed(self, key: tuple[str, str], part: OpenPart | None) -> None:
        # A call without an id is known by its start event only.
        if key != (CALL, ""):
            super()._note_closed(key, part)

    def merge_data(self, part: OpenPart, kind: NamedKind, data: JsonObject | None) -> None:
        """Add fields to the `provider_data` of an open part; if they change, report its start again."""
        if data is None:
            return
        earlier = self.data_of(part)
        merged = {**(earlier or {}), **data}
        if merged != earlier:
            self._data[part.index] = merged
            self.report_start_again(part, self.make_empty_part(kind, merged))

    def data_of(self, part: OpenPart) -> JsonObject | None:
        return self._data.get(part.index)

    # -- tool calls --------------------------------------------------------

    def start_call(
        self,
        id: str,
        name: str,
        data: JsonObject | None = None,
        *,
        type: str = "function",  # noqa: A002 - the field's name
    ) -> OpenCall | None:
        """Open a call of one of the application's tools; return None if it has no name or is not new."""
        key = CALL, id
        # A call that was handed out may be sent again; `open_call` then compares the two.
        if key in self._open or (key in self._closed and not self.choice(0).ended.has(id)):
            self.note("call_repeated")
            return None
        if not name:
            # Nothing can run a call without a name, but its data are kept.
            self.note("call_nameless")
            self._note_closed(key, None)
            self.whole(0, OpaquePart(type="tool_call", data={"id": id, **(data or {})}))
            return None
        call = self.open_call(0, id or None, name, type=type, provider_data=data)
        self._open[key] = call
        # An id may be used again; then it is that of this call.
        self._answered.discard(id)
        self.server_calls.discard(id)
        self.own_calls[id] = name
        return call

    def start_server_call(self, call: ServerToolCall) -> OpenPart | None:
        """Open a call of a tool that the server runs itself; return None if there was a call with this id."""
        key = CALL, call.id
        if key in self._open or key in self._closed:
            self.note("call_repeated")
            return None
        self._answered.discard(call.id)
        self.own_calls.pop(call.id, None)
        self.server_calls.add(call.id)
        part = self._open[key] = self.open(0, call)
        return part

    def add_to_call(self, id: str, fragment: str) -> bool:
        """Add a fragment to a call; drop it if the call is closed; return False if there was no such call."""
        part = self._open.get((CALL, id))
        if part is None:
            if (CALL, id) in self._closed:
                add_late(self, 0, id, fragment)
                return True
            if fragment and not fragment.isspace():
                self.note("part_unopened")
                self.note_lost_arguments(fragment)
            return False
        return self.add_fragment(part, fragment)

    def read_fragment(self, payload: JsonObject, *, field: str) -> None:
        """Add the piece of arguments in a payload to its call; without one, report the payload as unknown."""
        fragment = fragment_text(payload.get(field), self.note)
        if fragment is None:
            self.note("delta_misfits")
            note_unread_texts(self._open.get((CALL, call_id_of(payload))), payload)
        elif self.add_to_call(call_id_of(payload), fragment):
            return
        # The fragment is not text, or its call does not exist.
        self.unknown(text_of(payload, "type") or field, payload)

    def remove_call(self, id: str) -> OpenPart | None:
        """Remove and return the open call with this id, for the caller to close it; None if there is none."""
        part = self._open.pop((CALL, id), None)
        # Also if no call was open: `add_to_call` then drops later fragments with this id.
        self._note_closed((CALL, id), part)
        return part

    # -- endings common to all formats -------------------------------------

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        if self.own_calls.keys() <= self._answered:
            # The server has sent the results of all calls, so the client need not run any of them:
            # `Parts.finish` must not turn "stop" into "tool_calls".
            self.choice(choice).calls_seen = 0
        super().finish(choice, reason, raw_reason)


def call_id_of(payload: JsonObject) -> str:
    return text_of(payload, "toolCallId") or ""
