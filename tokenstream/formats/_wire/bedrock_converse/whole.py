"""Convert the blocks of a Converse answer, which is not streamed, to starts and deltas of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, is_list
from tokenstream.formats._kit.values import json_text

if TYPE_CHECKING:
    from collections.abc import Callable

StartAndDeltas: TypeAlias = tuple[dict[str, Any], list[dict[str, Any]]]
"""A block as a stream would send it: the fields of its start event, and its deltas in order."""


def is_whole(payload: dict[str, Any]) -> bool:
    """Return whether a payload is an answer that was not streamed.

    Example:
        >>> is_whole({"output": {"message": {"content": []}}, "stopReason": "end_turn"}), is_whole({})
        (True, False)
    """
    message = dict_of(dict_of(payload, "output"), "message")
    return is_list(message.get("content")) and "stopReason" in payload


def start_and_deltas(block: dict[str, Any]) -> StartAndDeltas:
    """Return the start and the deltas that a block of a whole answer would have in a stream.

    Example:
        >>> start_and_deltas({"text": "Hello"})
        ({}, [{'text': 'Hello'}])
        >>> start_and_deltas({"toolUse": {"toolUseId": "t1", "name": "now", "input": {}}})
        ({'toolUse': {'toolUseId': 't1', 'name': 'now', 'input': '{}'}}, [])
    """
    for name, convert in _CONVERTERS.items():
        value = block.get(name)
        if value is not None:
            return convert(value)
    # A block of another kind has no deltas, so all of it is its start.
    return block, []


def _convert_text(value: object) -> StartAndDeltas:
    """Convert a text: return an empty start, and a delta with the text."""
    return {}, [{"text": value}]


def _convert_call(value: object) -> StartAndDeltas:
    """Convert a tool call: return a start with the arguments as text, and no deltas."""
    if not is_dict(value) or value.get("input") is None:
        return {"toolUse": value}, []
    # Converse documents arguments as JSON values, a stream sends them as text.
    return {"toolUse": {**value, "input": json_text(value["input"])}}, []


def _convert_reasoning(value: object) -> StartAndDeltas:
    """Convert reasoning: return an empty start, and a delta with its text, signature or redacted content."""
    if not is_dict(value):
        # Malformed: it is reported as the start of a block.
        return {"reasoningContent": value}, []
    other_fields = {name: inner for name, inner in value.items() if name != "reasoningText"}
    return {}, [{"reasoningContent": {**dict_of(value, "reasoningText"), **other_fields}}]


def _convert_cited_text(value: object) -> StartAndDeltas:
    """Convert a cited text: return an empty start, and deltas with the citations and then with the text."""
    if not is_dict(value):
        # Malformed: it is reported as the start of a block.
        return {"citationsContent": value}, []
    citations = [{"citation": citation} for citation in dicts_of(value.get("citations"))]
    return {}, [*citations, *dicts_of(value.get("content"))]


_CONVERTERS: dict[str, Callable[[object], StartAndDeltas]] = {
    "text": _convert_text,
    "toolUse": _convert_call,
    "reasoningContent": _convert_reasoning,
    "citationsContent": _convert_cited_text,
}
"""Converters for blocks that a stream sends in another form; any other block is used as its start."""
