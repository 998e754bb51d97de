"""Answers that the fake models of these tests give, and what is to come of them."""

from __future__ import annotations

import pytest

from tokenstream import Stream, testing

ASKED = (
    testing.script(id="resp_1")
    .text("Let me see.")
    .tool_call("get_weather", {"city": "Oslo"})
    .tool_call("get_time", {"zone": "CET"})
    .usage(input_tokens=3, output_tokens=5)
    .finish("stop")
)
"""Text, and two calls of tools."""
CALLED = (
    testing.script(id="resp_1")
    .text("Let me see.")
    .tool_call("get_weather", {"city": "Oslo"})
    .usage(input_tokens=3, output_tokens=5)
    .finish("stop")
)
"""Text, and one call of a tool."""
ANSWERED = (
    testing.script(id="resp_2").text("It is sunny.").usage(input_tokens=13, output_tokens=4).finish("stop")
)
"""What follows the tool's result."""
WARNINGS = [
    # What the packages think of one another.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def check_asked(stream: Stream, format: str) -> None:
    """Check that the text and the calls of `ASKED` are read, and nothing else."""
    message = stream.final()

    assert format == stream.format
    assert ("Let me see.", "tool_calls", "complete") == (message.text, message.finish_reason, message.ending)
    assert [("get_weather", {"city": "Oslo"}), ("get_time", {"zone": "CET"})] == [
        (call.name, call.arguments) for call in message.tool_calls
    ]
    assert (3, 5) == (message.usage.input_tokens, message.usage.output_tokens)
    assert {} == stream.departures.details


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"
