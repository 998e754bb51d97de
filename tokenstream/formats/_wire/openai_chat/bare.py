"""Convert payloads of servers' native routes to chunks.

These *bare* payloads have the content of a chunk in fewer layers than a chunk, or in one more. Each
is converted to a chunk, and then read as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dicts_of, is_dict, is_list
from tokenstream.formats._kit.values import split_names

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject

# Quirk (Cloudflare Workers AI, 2026-11): the text is `response`, a piece in each payload, where tokens
# such as 6 and true are JSON's numbers and booleans, as in `content` (cloudflare/ai#651); recording:
# workers_ai.
# Quirk (Baidu Qianfan v1, 2025-01): the text is `result`, a piece in each payload, and `is_end` the end;
# https://cloud.baidu.com/doc/WENXINWORKSHOP/s/klxcxcbth, recording: qianfan.
_DELTA_FIELDS = {
    "response": "content",
    "result": "content",
    "tool_calls": "tool_calls",
    "function_call": "function_call",
}
"""Maps the names of a bare payload's fields to the names in a delta."""
_CHOICE_FIELDS = frozenset({"finish_reason"})
ENVELOPE = "output"
"""The field whose object contains the answer in some payloads, as an envelope contains a letter."""
# Quirk (Alibaba DashScope, 2025-11): `output` contains choices, or a text instead; recordings:
# dashscope_pieces, dashscope_text.
_OUTPUT_FIELDS = {"text": "content"}
"""Maps the names of fields in the envelope `output` to the names in a message."""
LAST_FIELD = "is_end"
"""A field that is true in the last payload of an answer."""

TEXT_PATHS = [(name,) for name, chat_name in _DELTA_FIELDS.items() if chat_name == "content"]
"""Paths to the text in bare payloads."""

BARE_FIELDS = frozenset({"response", "result", "tool_calls", ENVELOPE})
"""Fields of which a *bare* payload (a chunk's content without the chunk around it) has at least one."""
_ONLY_FIELDS = split_names("response tool_calls usage p")
"""All fields that a first payload without an envelope may have; with any other, it is not recognised."""


def has_bare_layout(payload: JsonObject) -> bool | None:
    """Return whether an answer's first payload is bare; None if it may be, but has no content.

    A bare payload has no layers `choices` and `delta` around its content, or has them in an envelope.
    """
    output = payload.get(ENVELOPE)
    if is_dict(output):
        # Payloads of other formats may have an `output`, too, but not this id.
        return "request_id" in payload and _find_choices(output) is not None
    text = payload.get("response")
    has_content = isinstance(text, str | int | float) or bool(dicts_of(payload.get("tool_calls")))
    # Payloads of other formats may have these fields, too, but beside others.
    if not has_content or not payload.keys() <= _ONLY_FIELDS:
        return False
    return None if text == "" else True


def convert_to_chunk(payload: JsonObject) -> JsonObject | None:
    """Put the content of a bare payload into the layers of a chunk; None if it is not bare.

    Example:
        >>> convert_to_chunk({"response": "Hel", "p": "abc"})["choices"][0]["delta"]
        {'role': 'assistant', 'content': 'Hel'}
        >>> convert_to_chunk({"output": {"text": "Hel", "finish_reason": "null"}})["choices"]
        [{'message': {'role': 'assistant', 'content': 'Hel'}, 'finish_reason': None}]
    """
    output = payload.get(ENVELOPE)
    if is_dict(output):
        # The content is in an envelope; otherwise, the payload itself has it.
        choices = _find_choices(output)
        moved_fields = {ENVELOPE}
    else:
        choices = _make_choices(payload)
        moved_fields = {*_DELTA_FIELDS, *_CHOICE_FIELDS, LAST_FIELD}
    if choices is None:
        return None
    return {
        **{name: value for name, value in payload.items() if name not in moved_fields},
        "choices": choices,
    }


def _make_choices(payload: JsonObject) -> list[Any] | None:
    """Return the content of a bare payload without an envelope as one choice; None without content."""
    delta = {chat_name: payload[name] for name, chat_name in _DELTA_FIELDS.items() if name in payload}
    text = delta.get("content")
    # Only `response` may be a number or a boolean, which is then a token of the text.
    is_text = text is None or isinstance(text, str) or isinstance(payload.get("response"), int | float)
    if not delta or not is_text:
        return None
    fields = {name: payload[name] for name in _CHOICE_FIELDS if name in payload}
    return [{"index": 0, "delta": {"role": "assistant", **delta}, **fields}]


def _find_choices(output: JsonObject) -> list[Any] | None:
    """Return the choices in an envelope, or its text as the only choice; None if it has neither."""
    choices = output.get("choices")
    if is_list(choices):
        return [_drop_null_reason(choice) for choice in choices]
    message = {chat_name: output[name] for name, chat_name in _OUTPUT_FIELDS.items() if name in output}
    if not message:
        return None
    other_fields = {name: value for name, value in output.items() if name not in _OUTPUT_FIELDS}
    return [_drop_null_reason({"message": {"role": "assistant", **message}, **other_fields})]


def _drop_null_reason(choice: object) -> object:
    if is_dict(choice) and choice.get("finish_reason") == "null":
        return {**choice, "finish_reason": None}
    return choice
