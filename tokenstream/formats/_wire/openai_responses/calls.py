"""Output items that call tools of the application, or ask the application for approval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.text_log import TextLog
from tokenstream._basics.untrusted import dict_of, is_dict, text_of
from tokenstream.errors import LimitExceeded
from tokenstream.formats._kit.open import mend_surrogates
from tokenstream.formats._wire.openai_responses.item import ResponseItem
from tokenstream.formats._wire.openai_responses.words import arguments_of, described, written
from tokenstream.message import OpaquePart

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.formats._kit.parts import Parts

_TYPES = {"function_call": "function", "custom_tool_call": "custom"}
"""Maps types of items that call a tool which the application described to the type of the tool call."""
_CLIENTS = frozenset({"apply_patch_call", "computer_call", "local_shell_call", "mcp_approval_request"})
"""Types of items that call a tool which OpenAI describes and the application runs, or ask for approval."""
_TEXT_FIELDS = {"arguments": "function", "input": "custom"}
_CALL_FIELDS = ("call_id", "name", "arguments", "input", "parsed_arguments")
"""Fields of a call that are read elsewhere; the last of them is added by the SDK's stream helper."""
_CUT = frozenset({"incomplete", "failed"})


def is_clients(item_type: str, item: dict[str, Any]) -> bool:
    """Return whether an item is for the application: the application runs the tool, and not the provider.

    Args:
        item_type: The item's type.
        item: The item as the server sent it.

    Example:
        >>> is_clients("tool_search_call", {"execution": "client"}), is_clients("mcp_call", {})
        (True, False)
    """
    if item_type == "tool_search_call":
        return item.get("execution") == "client"
    if item_type == "shell_call":
        return (text_of(dict_of(item, "environment"), "type") or "local") == "local"
    return item_type in _TYPES or item_type in _CLIENTS


class CallItem(ResponseItem):
    """A tool call, whose arguments are text or, for tools that OpenAI describes, fields of the item."""

    __slots__ = ("_call", "_item", "_settled", "_unnamed")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        super().__init__(parts, item_type, index)
        self._call: OpenCall | None = None
        self._item: dict[str, Any] = {}
        """The latest data of the call, until it has a name."""
        self._unnamed = TextLog()
        """Arguments that arrived before the name of the call."""
        self._settled = False
        """True once the server has sent the whole arguments in one piece."""

    def take(self, item: dict[str, Any], *, over: bool) -> None:
        """Open the call once it has a name, and hand it out once it is over."""
        if self.over:
            return
        described_by_us = self.type in _TYPES
        fields = described(item, *_CALL_FIELDS) if described_by_us else item
        if self._call is None:
            name = text_of(item, "name") or ("" if described_by_us else self.type.removesuffix("_call"))
            if name:
                self._open(item, name, fields)
            else:
                self._item = item
        call = self._call
        if call is None:
            if over:
                self._give_up(item)
            return
        call.provider_data = fields
        if over:
            self._take_arguments(call, arguments_of(item, self.type))
            self._end(whole=text_of(item, "status") not in _CUT)

    def _open(self, item: dict[str, Any], name: str, fields: dict[str, Any] | None) -> None:
        """Open the call, and add the arguments that were held back."""
        call_id = text_of(item, "call_id")
        if call_id is None and self.type != "mcp_approval_request":
            self.parts.note("call_id_missing")
        self._call = self.parts.open_call(
            0,
            call_id or text_of(item, "id"),
            name,
            type=_TYPES.get(self.type, self.type),
            provider_data=fields,
        )
        held, self._unnamed, self._item = self._unnamed.join(), TextLog(), {}
        self.parts.add_arguments(self._call, held)

    def _give_up(self, item: dict[str, Any]) -> None:
        """Report a call without a name as an opaque part: nobody can run it, but its data are not lost."""
        self.over = True
        self.parts.note("call_nameless")
        self.parts.whole(0, OpaquePart(type=self.type, data=item))

    def _take_arguments(self, call: OpenCall, arguments: object) -> None:
        if is_dict(arguments) and self.type in _TYPES:
            self.parts.note("arguments_parsed")
        text = written(arguments)
        if text:
            self._settle(call, text)

    def _settle(self, call: OpenCall, text: str) -> None:
        """Set the whole arguments, which replace the fragments if they differ."""
        self._settled = True
        if self.parts.may_hold_surrogates:
            text = mend_surrogates(text)
        given = call.arguments.join()
        if text.startswith(given):
            self.parts.add_arguments(call, text[len(given) :])
        else:
            self.parts.note("arguments_rewritten")
            call.arguments = TextLog()
            call.arguments.append(text)

    def add(self, field: str, text: str) -> bool:
        """Add to the arguments or the input of the call."""
        if field not in _TEXT_FIELDS:
            return False
        if self.over:
            self.parts.note("call_after_done")
        elif self._call is None:
            self.parts.note("call_unnamed")
            self._wait(text)
        else:
            self.parts.add_arguments(self._call, text)
        return True

    def settle(self, field: str, text: str, name: str | None = None) -> bool:
        """Set the whole arguments of the call, and its name if the start had none."""
        if field not in _TEXT_FIELDS:
            return False
        if self._call is None and name and not self.over:
            self._open(self._item, name, described(self._item, *_CALL_FIELDS))
        if self._call is not None:
            self._settle(self._call, text)
        elif not self.over:
            self._unnamed = TextLog()
            self._wait(text)
        return True

    def _wait(self, text: str) -> None:
        """Hold back arguments until the call has a name."""
        self._unnamed.append(text)
        if self._unnamed.length > self.parts.limits.text:
            raise LimitExceeded(limit="text", value=self.parts.limits.text)

    def close(self, *, complete: bool) -> None:
        """Close a call whose item had no end event.

        The call is handed out if the server sent its arguments in one piece, or if they are
        an object, so that their end is certain.
        """
        call = self._call
        if call is None and self._unnamed.length:
            field = "input" if self.type == "custom_tool_call" else "arguments"
            self._give_up({**self._item, field: self._unnamed.join()})
        certain = self._settled or (call is not None and call.type == "function" and call.begins_object)
        self._end(whole=complete and certain)

    def _end(self, *, whole: bool) -> None:
        # Drop the call: from here on, the message holds the arguments.
        call, self._call = self._call, None
        self.over = True
        if call is not None:
            self.parts.close_call(call, whole=whole)
