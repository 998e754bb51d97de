"""Structured output of recorded answers: what `json.loads` says of the whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.support.beside import needs_recordings
from tests.support.recordings import Recorded, folders, ours, shared
from tests.support.texts import is_json
from tokenstream import Stream
from tokenstream.errors import StreamError
from tokenstream.message import Message, ToolCall

ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


def _check(recorded: Recorded) -> int:
    """Compare all that is JSON in an answer, and return how much there was."""

    def stream() -> Stream:
        return Stream([recorded.body], format=recorded.format)

    try:
        message = stream().final()
    except StreamError:
        return 0
    found = 0
    if is_json(message.text):
        _compare(stream, message.text, None)
        found += 1
    for name in {call.name for call in message.tool_calls}:
        found += _check_tool(stream, message, name)
    return found


def _check_tool(stream: Callable[[], Stream], message: Message, name: str) -> bool:
    calls = [call for call in message.tool_calls if call.name == name]
    with_arguments = [call for call in calls if call.arguments_text.strip(" \n{}")] or calls
    first: ToolCall = with_arguments[0]
    if not first.complete or first.type == "custom" or not is_json(first.arguments_text):
        return False
    _compare(stream, first.arguments_text, name)
    return True


def _compare(stream: Callable[[], Stream], text: str, tool: str | None) -> None:
    expected = json.loads(text)
    drafts = list(stream().partials(ANYTHING, tool=tool))

    assert expected == stream().result(ANYTHING, tool=tool)
    assert expected == drafts[-1].final() == drafts[-1].value
    if isinstance(expected, dict):
        for key in expected:
            if isinstance(expected[key], str):
                assert expected[key] == "".join(stream().field((key,), tool=tool))


@pytest.mark.slow
def test_our_recordings_have_the_output_that_their_text_says() -> None:
    """Those of structured output, and the arguments of every tool."""
    assert sum(map(_check, ours())) > 20


@needs_recordings
@pytest.mark.parametrize("folder", folders())
def test_recordings_have_the_output_that_their_text_says(folder: str) -> None:
    """Text that is JSON, and the arguments of every tool, of real servers."""
    for recorded in shared(folder):
        if recorded.format != "custom":
            _check(recorded)
