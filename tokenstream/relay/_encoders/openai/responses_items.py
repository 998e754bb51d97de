"""The words of OpenAI's Responses API, and its items, also those of tools that the provider runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenstream._basics.untrusted import dicts_of, is_dict, is_list, says_nothing, text_of
from tokenstream.formats._wire.openai_responses.words import failure_in
from tokenstream.relay._encoders.values import parse_object
from tokenstream.relay._encoders.whole_parts import complete_input, says_more, text_of_result

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
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
    sent_type = text_of(call.provider_data or {}, "type") or ""
    if sent_type in _SENT_TYPES:
        # OpenAI has sent this item itself.
        return sent_type
    own = (each for (prefix, name), each in _OWN_TYPES.items() if (prefix, name) == (call.id[:3], call.name))
    return next(own, _OTHER_TYPE)


def server_item_fields(fields: JsonObject, *, is_whole: bool) -> JsonObject:
    """Return an item's fields besides id, type and status; only a whole item has the input and the result."""
    call: ServerToolCall = fields["call"]
    result: ServerToolResult | None = fields.get("result")
    type_, content = server_item_type(call), None if result is None else result.content
    failure = None if result is None else result.error
    if type_ != _OTHER_TYPE:
        failed = {"status": "failed"} if is_whole and failure is not None else {}
        return {**_write_own(call, type_, result, is_whole=is_whole), **failed}
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


def find_lost(fields: JsonObject) -> list[str]:
    """Return what the item of a call has no field for: the output of a tool of OpenAI's own, or its error."""
    call: ServerToolCall = fields["call"]
    result: ServerToolResult = fields["result"]
    if server_item_type(call) == _OTHER_TYPE:
        return []
    item, content, error = server_item_fields(fields, is_whole=True), result.content, result.error
    outputs = dicts_of(item.get("outputs"))
    logs = [text_of(output, "logs") for output in outputs]
    is_output_sent = content in item.values() or text_of_result(content) in logs
    if is_list(content):
        is_output_sent = is_output_sent or content == outputs[: len(content)]
    is_empty = says_nothing(content) if error is None else not says_more(content, error)
    is_error_sent = error is None or error in logs or failure_in(item) == error
    # The output is the error, and there is a field for it.
    is_error_sent = is_error_sent or (is_output_sent and is_empty and not says_nothing(content))
    return [
        *([] if is_output_sent or is_empty else ["the output of an OpenAI tool"]),
        *([] if is_error_sent else ["the error of an OpenAI tool"]),
    ]


def _write_own(
    call: ServerToolCall, type_: str, result: ServerToolResult | None, *, is_whole: bool
) -> JsonObject:
    """Return the fields of the item of one of OpenAI's own tools."""
    content = None if result is None else result.content
    sent = {name: value for name, value in (call.provider_data or {}).items() if name not in _COMMON}
    if sent:
        return sent
    if type_ == "code_interpreter_call":
        outputs = None if result is None else _outputs_of(result)
        return {"container_id": "", "code": call.arguments_text if is_whole else "", "outputs": outputs}
    arguments = (parse_object(call.arguments_text) or {}) if is_whole else {}
    if type_ == "file_search_call":
        queries = arguments.get("queries")
        results = content if is_list(content) else None
        return {"queries": queries if is_list(queries) else [], "results": results}
    return {"action": arguments}


def _outputs_of(result: ServerToolResult) -> list[JsonObject]:
    """Return what a program has written, and then its error, as the outputs of OpenAI's code interpreter."""
    content, error = result.content, result.error
    if is_list(content) and all(is_dict(output) and "type" in output for output in content):
        outputs = content
    else:
        outputs = [{"type": "logs", "logs": text} for text in [text_of_result(content)] if text]
    is_told = error in (None, "failed") or any(output.get("logs") == error for output in outputs)
    # The status of the item says no more than that the program has failed.
    return outputs if is_told else [*outputs, {"type": "logs", "logs": error}]


class TextNames(NamedTuple):
    """The API's names in the events of one kind of text, such as a refusal."""

    item_type: str
    list_field: str
    """The field of the item that contains the content."""
    index_field: str
    """The field of an event for the index of the content."""
    content_event: str
    """The prefix of the events for the start and the end of the content."""
    text_event: str
    """The prefix of the events for the pieces of the text."""
    content_type: str
    text_field: str
    """The field of the content that contains the text."""


class CallNames(NamedTuple):
    """The API's names in the events of one kind of tool call."""

    item_type: str
    arguments_event: str
    """The prefix of the events for the arguments."""
    arguments_field: str
    """The field of the item that contains the arguments."""


_MESSAGE = ("message", "content", "content_index", "response.content_part")
TEXTS = {
    "text": TextNames(*_MESSAGE, "response.output_text", "output_text", "text"),
    "refusal": TextNames(*_MESSAGE, "response.refusal", "refusal", "refusal"),
    "reasoning": TextNames(
        "reasoning",
        "summary",
        "summary_index",
        "response.reasoning_summary_part",
        "response.reasoning_summary_text",
        "summary_text",
        "text",
    ),
    "reasoning_text": TextNames(
        "reasoning",
        "content",
        "content_index",
        "response.content_part",
        "response.reasoning_text",
        "reasoning_text",
        "text",
    ),
}
"""The names for each kind of item that is a text; "reasoning" is a summary of reasoning."""
CALL_NAMES = {
    "tool_call": CallNames("function_call", "response.function_call_arguments", "arguments"),
    "custom_tool_call": CallNames("custom_tool_call", "response.custom_tool_call_input", "input"),
}
PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "image_generation_call": "ig",
    "function_call_output": "fco",
    "custom_tool_call_output": "ctco",
}
"""Maps types of items to the prefixes of their ids."""
RESPONSE_FIELDS: JsonObject = {
    "background": False,
    "completed_at": None,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "output": [],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": None,
    "user": None,
}
"""The fields of a response besides its id, its model, its status and the time of its creation."""
