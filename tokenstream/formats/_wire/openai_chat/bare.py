"""Servers' own routes with the content of a chunk in fewer layers, or in an extra one."""

from __future__ import annotations

from typing import Any

from tokenstream._basics.untrusted import dicts_of, is_dict, is_list

# Quirk (Cloudflare Workers AI, 2026-11): the text is `response`, where tokens such as 6 and true
# are JSON's numbers and booleans; recording: none.
# Quirk (Baidu Qianfan v1, 2026-11): the text is `result`, and `is_end` the end; recording: none.
_DELTA_FIELDS = {
    "response": "content",
    "result": "content",
    "tool_calls": "tool_calls",
    "function_call": "function_call",
}
"""Fields of a delta, by the payload's names."""
_CHOICE_FIELDS = frozenset({"finish_reason"})
_ENVELOPE = "output"
# Quirk (Alibaba DashScope, 2026-11): choices stand in `output`, or their text does; recording: none.
_OUTPUT_FIELDS = {"text": "content"}
"""Fields of a message, by the envelope's names."""
OVER_FIELD = "is_end"
"""A field that is true in the last payload."""

TEXTS = [(name,) for name, theirs in _DELTA_FIELDS.items() if theirs == "content"]
"""Places of the text in such payloads."""

BARE_FIELDS = frozenset({"response", "result", "tool_calls", _ENVELOPE})
"""Fields that identify such a payload."""
_ONLY_FIELDS = frozenset({"response", "tool_calls", "usage", "p"})
"""All fields that a payload may have if nothing else identifies it."""


def is_bare(payload: dict[str, Any]) -> bool:
    """Return whether a first payload is of such a route.

    Example:
        >>> is_bare({"response": "Hel", "p": "abc"}), is_bare({"response": "Hel", "done": False})
        (True, False)
        >>> is_bare({"tool_calls": [{"name": "now"}]}), is_bare({"response": None})
        (True, False)
    """
    output = payload.get(_ENVELOPE)
    if is_dict(output):
        return "request_id" in payload and _find_choices(output) is not None
    says = isinstance(payload.get("response"), str | int | float) or dicts_of(payload.get("tool_calls"))
    return bool(says) and payload.keys() <= _ONLY_FIELDS


def as_chunk(payload: dict[str, Any]) -> dict[str, Any] | None:
    """Convert a payload of such a route to a chunk; None for any other payload.

    Example:
        >>> as_chunk({"response": "Hel", "p": "abc"})["choices"][0]["delta"]
        {'role': 'assistant', 'content': 'Hel'}
        >>> as_chunk({"output": {"text": "Hel", "finish_reason": "null"}})["choices"]
        [{'message': {'role': 'assistant', 'content': 'Hel'}, 'finish_reason': None}]
    """
    output = payload.get(_ENVELOPE)
    if is_dict(output):
        choices = _find_choices(output)
        taken = {_ENVELOPE}
    else:
        delta = {theirs: payload[name] for name, theirs in _DELTA_FIELDS.items() if name in payload}
        fields = {name: payload[name] for name in _CHOICE_FIELDS if name in payload}
        text = delta.get("content")
        scalar = isinstance(payload.get("response"), int | float)
        known = bool(delta) and (text is None or isinstance(text, str) or scalar)
        choices = [{"index": 0, "delta": {"role": "assistant", **delta}, **fields}] if known else None
        taken = {*_DELTA_FIELDS, *_CHOICE_FIELDS, OVER_FIELD}
    if choices is None:
        return None
    return {**{name: value for name, value in payload.items() if name not in taken}, "choices": choices}


def _find_choices(output: dict[str, Any]) -> list[Any] | None:
    """Return the choices in an envelope; None if there are none."""
    choices = output.get("choices")
    if is_list(choices):
        return [_drop_null_reason(choice) for choice in choices]
    message = {theirs: output[name] for name, theirs in _OUTPUT_FIELDS.items() if name in output}
    if not message:
        return None
    rest = {name: value for name, value in output.items() if name not in _OUTPUT_FIELDS}
    return [_drop_null_reason({"message": {"role": "assistant", **message}, **rest})]


def _drop_null_reason(choice: object) -> object:
    """Return a choice with a finish reason of "null" replaced by None."""
    if is_dict(choice) and choice.get("finish_reason") == "null":
        return {**choice, "finish_reason": None}
    return choice
