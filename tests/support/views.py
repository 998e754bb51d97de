"""The views of a stream, by name, for tests that apply to each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

VIEWS: dict[str, Callable[[Any], Any]] = {
    "text": lambda stream: stream.text,
    "tool calls": lambda stream: stream.tool_calls,
    "complete calls": lambda stream: stream.tool_calls.when_complete(),
    "another choice": lambda stream: stream.choice(1).text,
    "drafts": lambda stream: stream.partials(dict[str, Any]),
    "items": lambda stream: stream.items(str, at="steps"),
    "a field": lambda stream: stream.field("title"),
    "validated calls": lambda stream: stream.validated_calls(get_weather=dict[str, Any]),
    "drafts of calls": lambda stream: stream.tool_partials(get_weather=dict[str, Any]),
}
