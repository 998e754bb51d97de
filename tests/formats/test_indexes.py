"""Indexes that a server sends as floats or as text: JSON written by some languages has 0.0 in place of 0."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.calls import payloads_in
from tests.support.tables import in_one_test
from tokenstream import Stream, testing

_INDEXES = ("index", "output_index", "content_index", "summary_index")
_ANSWER = (
    testing.script()
    .text("Two ", "calls")
    .tool_call("look", {"at": "a"})
    .tool_call("look", {"at": "b"})
    .finish("tool_calls")
)
_NAMES = (
    "openai-chat",
    "openai-responses",
    "openai-realtime",
    "anthropic",
    "gemini",
    "cohere",
    "gemini-interactions",
)


def _converted(value: Any, convert: Any) -> Any:
    """Return a payload whose indexes are converted, at any depth."""
    if isinstance(value, dict):
        return {
            key: convert(item) if key in _INDEXES and isinstance(item, int) else _converted(item, convert)
            for key, item in value.items()
        }
    return [_converted(item, convert) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("convert", [float, str])
@in_one_test("name", _NAMES)
def test_an_index_is_the_same_number_as_a_float_and_as_text(name: Any, convert: Any) -> None:
    """An answer with two calls has the same texts and calls, whether an index is 1, 1.0 or "1"."""
    payloads = payloads_in(_ANSWER.chunks(name))
    converted = [_converted(each, convert) for each in payloads]
    plain, other = (Stream(body, format=name).final() for body in (payloads, converted))

    assert 2 == len(other.tool_calls)
    assert plain.parts == other.parts
    assert plain.finish_reason == other.finish_reason
