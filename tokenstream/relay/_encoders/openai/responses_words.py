"""The words of OpenAI's Responses API for items and events, and the fields of a response."""

from __future__ import annotations

from typing import Any, NamedTuple


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
"""The names for each kind of item that is a call."""
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
RESPONSE_FIELDS: dict[str, Any] = {
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
