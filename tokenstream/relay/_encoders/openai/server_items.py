"""The items of tools that the provider runs, in OpenAI's Responses API: each has a call and its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_list, text_of
from tokenstream.relay._encoders.server_input import complete_input
from tokenstream.relay._encoders.server_parts import text_of_result
from tokenstream.relay._encoders.values import parse_object

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.message import ServerToolCall, ServerToolResult

SERVER_CALL = "server_tool_call"
"""The kind of items that are calls of tools that the provider runs."""
_OWN_TYPES = {
    ("ws_", "web_search"): "web_search_call",
    ("fs_", "file_search"): "file_search_call",
    ("ci_", "code_interpreter"): "code_interpreter_call",
}
"""Maps the prefix of the id, and the name, of calls of OpenAI's own tools to the type of their items."""
_OTHER_TYPE = "mcp_call"
"""The type of the item of any other tool: that of a tool of an MCP server."""
_COMMON = frozenset({"id", "type", "status"})
"""The fields that all items have."""
_SENT_TYPES = frozenset({*_OWN_TYPES.values(), _OTHER_TYPE, "shell_call", "tool_search_call"})
"""The types of OpenAI's items, which are known if the fields of the provider are sent on."""


def server_item_type(call: ServerToolCall) -> str:
    """Return the type of the item of a call.

    Example:
        >>> from tokenstream.message import ServerToolCall
        >>> server_item_type(ServerToolCall(id="ws_1", name="web_search"))
        'web_search_call'
        >>> server_item_type(ServerToolCall(id="srvtoolu_1", name="web_search"))
        'mcp_call'
    """
    sent_type = text_of(call.provider_data or {}, "type") or ""
    if sent_type in _SENT_TYPES:
        # OpenAI has sent this item itself.
        return sent_type
    own = (each for (prefix, name), each in _OWN_TYPES.items() if (prefix, name) == (call.id[:3], call.name))
    return next(own, _OTHER_TYPE)


def server_item_fields(fields: dict[str, Any], *, is_whole: bool) -> dict[str, Any]:
    """Return the fields of an item besides its id, type and status.

    Args:
        fields: The call as `call` and, once it is known, its result as `result`.
        is_whole: True for the end of the item, which has the input and the result.
    """
    call: ServerToolCall = fields["call"]
    result: ServerToolResult | None = fields.get("result")
    type_, content = server_item_type(call), None if result is None else result.content
    if is_whole and result is not None and result.error is not None and type_ != _OTHER_TYPE:
        return {**_write_own(call, type_, content, is_whole=is_whole), "status": "failed"}
    if type_ != _OTHER_TYPE:
        return _write_own(call, type_, content, is_whole=is_whole)
    failure = None if result is None else result.error
    output = None if content is None or content == failure else text_of_result(content)
    sent = {name: value for name, value in (call.provider_data or {}).items() if name == "server_label"}
    return {
        "server_label": "",
        **sent,
        "name": call.name,
        "arguments": complete_input(call) if is_whole else "",
        "output": output,
        "error": failure,
        **({"status": "failed"} if failure is not None else {}),
    }


def _write_own(call: ServerToolCall, type_: str, content: Json, *, is_whole: bool) -> dict[str, Any]:
    """Return the fields of the item of one of OpenAI's own tools."""
    sent = {name: value for name, value in (call.provider_data or {}).items() if name not in _COMMON}
    if sent:
        return sent
    if type_ == "code_interpreter_call":
        outputs = content if is_list(content) else None
        return {"container_id": "", "code": call.arguments_text if is_whole else "", "outputs": outputs}
    arguments = (parse_object(call.arguments_text) or {}) if is_whole else {}
    if type_ == "file_search_call":
        queries = arguments.get("queries")
        results = content if is_list(content) else None
        return {"queries": queries if is_list(queries) else [], "results": results}
    return {"action": arguments}
