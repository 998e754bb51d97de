"""Output items that call tools of the application, or ask the application for approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tokenstream._basics.json import says_no_arguments
from tokenstream._basics.text_log import TextLog
from tokenstream._basics.untrusted import dict_of, is_dict, text_of
from tokenstream.errors import LimitExceeded
from tokenstream.formats._kit.identity import likeness_of_call
from tokenstream.formats._kit.repeated import add_late, compare_arguments, complete_arguments
from tokenstream.formats._kit.values import split_names
from tokenstream.formats._wire.openai_responses.item import ResponseItem
from tokenstream.formats._wire.openai_responses.words import arguments_of, arguments_text, data_of
from tokenstream.message import OpaquePart

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenCall

_CALL_TYPES = {"function_call": "function", "custom_tool_call": "custom"}
"""Maps types of items that call one of the application's own tools to the `type` of the tool call."""
_APPLICATION_TYPES = split_names("apply_patch_call computer_call local_shell_call mcp_approval_request")
"""Types of items that call a tool which OpenAI describes and the application runs, or ask for approval."""
_INPUT_FIELDS = frozenset({"arguments", "input"})
_CALL_FIELDS = split_names("call_id name arguments input parsed_arguments")
"""Fields of a call that are read elsewhere; the SDK's stream helper adds the last one."""
_CUT_OFF_STATUSES = frozenset({"incomplete", "failed"})


def is_for_application(item_type: str, item: JsonObject) -> bool:
    """Return whether an item asks the application, not the provider, to run a tool or approve a call."""
    if item_type == "tool_search_call":
        return item.get("execution") == "client"
    if item_type == "shell_call":
        # OpenAI runs the commands only in an environment of another type.
        return (text_of(dict_of(item, "environment"), "type") or "local") == "local"
    return item_type in _CALL_TYPES or item_type in _APPLICATION_TYPES


class CallItem(ResponseItem):
    """A tool call, whose arguments are text or, for tools that OpenAI describes, fields of the item."""

    __slots__ = ("_call", "_custom_call", "_has_all_arguments", "_item", "_sent_id", "_unnamed")

    def _set_up(self) -> None:
        self._call: OpenCall | None = None
        """The call; None until its name is known, and again once the call is closed."""
        self._custom_call: OpenCall | None = None
        """The call with free text that was closed, if this is one: its last pieces may come late."""
        self._sent_id = ""
        """The id that the server sent with the call; "" until the call is open."""
        self._item: JsonObject = {}
        """The latest data of the call, until it has a name."""
        self._unnamed = TextLog()
        """Arguments that arrived before the name of the call."""
        self._has_all_arguments = False
        """True once the server has sent the whole arguments in one piece."""

    def read_item(self, item: JsonObject, *, complete: bool) -> None:
        """Open the call once it has a name; close it if the item is complete."""
        if self.ended and self._call is None:
            if complete and self.type in _CALL_TYPES:
                compare_arguments(self.parts, 0, self._sent_id, arguments_of(item, self.type))
            return
        # If OpenAI described the tool, the item has no name, and its other fields are the arguments.
        is_applications_tool = self.type in _CALL_TYPES
        data = data_of(item, *_CALL_FIELDS) if is_applications_tool else item
        if self._call is None:
            name = text_of(item, "name") or ("" if is_applications_tool else self.type.removesuffix("_call"))
            if name:
                self._open_call(item, name, data)
            else:
                # Kept until the event with the whole arguments, which may have the name.
                self._item = item
        call = self._call
        if call is None:
            if complete:
                self._report_nameless(item)
            return
        call.provider_data = data
        if complete:
            if text_of(item, "call_id") and not says_no_arguments(
                arguments_text(arguments_of(item, self.type))
            ):
                # Here the server says whose they are.
                call.take_turns(None)
            self.read_arguments(call, arguments_of(item, self.type))
            self._close_call(whole=text_of(item, "status") not in _CUT_OFF_STATUSES)

    @override
    def likeness(self, whole: JsonObject) -> int:
        text = arguments_text(arguments_of(whole, self.type))
        if self._call is not None:
            return likeness_of_call(self._call, self.call_id, whole, text)
        if self.call_id is not None and text_of(whole, "call_id") not in {None, self.call_id}:
            return -1
        is_other = self.ended and self.parts.choice(0).ended.differ_from(self._sent_id, text)
        return 0 if is_other else 1 + self.ended

    @property
    @override
    def call(self) -> OpenCall | None:
        """The open call; None before its name is known, and once it is closed."""
        return self._call

    def _open_call(self, item: JsonObject, name: str, data: JsonObject | None) -> None:
        call_id = text_of(item, "call_id")
        # The application answers a request for approval by the item's id.
        if call_id is None and self.type != "mcp_approval_request":
            self.parts.note("call_id_missing")
        self._call = self.parts.open_call(
            0,
            call_id or text_of(item, "id"),
            name,
            type=_CALL_TYPES.get(self.type, self.type),
            provider_data=data,
        )
        self._sent_id = self._call.sent_id
        held_back, self._unnamed, self._item = self._unnamed.join(), TextLog(), {}
        self.parts.add_arguments(self._call, held_back)

    def _report_nameless(self, item: JsonObject) -> None:
        """Report a call without a name as an opaque part: nobody can run it, but its data are not lost."""
        self.ended = True
        self.parts.note("call_nameless")
        self.parts.note_lost_arguments(item.get("arguments", item.get("input")))
        self.parts.whole(0, OpaquePart(type=self.type, data=item))

    def read_arguments(self, call: OpenCall, arguments: object) -> None:
        if is_dict(arguments) and self.type in _CALL_TYPES:
            self.parts.note("arguments_parsed")
        text = arguments_text(arguments)
        if text:
            self._set_arguments(call, text)

    def _set_arguments(self, call: OpenCall, text: str) -> None:
        self._has_all_arguments = True
        # By OpenAI's documents, an item is whole at its end; its clients replace what they have.
        complete_arguments(self.parts, call, text, replaces="all")

    def add_input(self, field: str, text: str) -> bool:
        if field not in _INPUT_FIELDS:
            return False
        if self._call is not None:
            self.parts.add_arguments(self._call, text)
        elif self.ended:
            if self._custom_call is None or not self.parts.is_in_whole_text(self._custom_call, text):
                add_late(self.parts, 0, self._sent_id, text)
        else:
            self.parts.note("call_unnamed")
            self._hold_back(text)
        return True

    def set_input(self, field: str, text: str, name: str | None) -> bool:
        """Set the whole arguments of the call, and its name if the start of the item had none."""
        if field not in _INPUT_FIELDS:
            return False
        if self._call is None and name and not self.ended:
            # Here is the name that the stored item lacked.
            self._open_call(self._item, name, data_of(self._item, *_CALL_FIELDS))
        if self._call is not None:
            self._set_arguments(self._call, text)
        elif self.ended:
            compare_arguments(self.parts, 0, self._sent_id, text)
        else:
            # The call still has no name. This text replaces the fragments.
            self._unnamed = TextLog()
            self._hold_back(text)
        return True

    def _hold_back(self, text: str) -> None:
        self._unnamed.append(text)
        if self._unnamed.length > self.parts.limits.text:
            raise LimitExceeded(limit="text", value=self.parts.limits.text)

    def close(self, *, complete: bool) -> None:
        """Close a call whose item had no end event.

        If the answer was not cut off (`complete`), the call is handed out if the server sent its
        arguments in one piece, or if they are an object, so that their end is certain.
        """
        call = self._call
        if call is None and self._unnamed.length:
            field = "input" if self.type == "custom_tool_call" else "arguments"
            self._report_nameless({**self._item, field: self._unnamed.join()})
        has_object = call is not None and call.type == "function" and call.begins_object
        self._close_call(whole=complete and (self._has_all_arguments or has_object))

    def _close_call(self, *, whole: bool) -> None:
        self.ended = True
        if self._call is not None:
            self.parts.end_at_mark(self._call, whole=whole)
            if self._call.closed:
                # Drop the call: from here on, the message holds the arguments.
                self._custom_call = self._call if self._call.type == "custom" else None
                self._call = None
