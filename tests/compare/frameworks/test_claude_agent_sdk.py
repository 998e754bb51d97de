"""Messages of claude-agent-sdk, which its own parser makes of Claude Code's lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.steps.agents.support import body_of, follow
from tests.steps.told import told
from tests.support.packages import needed
from tokenstream import Steps

parser = needed("claude_agent_sdk._internal.message_parser")

_NAMES = ("api-error", "permission-denied", "two-tools-partial", "two-tools-whole")


def _messages_of(name: str) -> list[Any]:
    messages = [parser.parse_message(json.loads(line)) for line in body_of(name).splitlines()]
    return [message for message in messages if message is not None]


@pytest.mark.parametrize("name", [f"claude-code-own-{name}" for name in _NAMES])
def test_the_messages_of_the_sdk_give_the_run_of_the_lines(name: str) -> None:
    messages = _messages_of(name)

    async def query() -> AsyncIterator[Any]:
        for message in messages:
            yield message

    async def main() -> tuple[Steps, list[Any]]:
        with Steps() as run:
            return run, [message async for message in run.follow(query())]

    run, given = asyncio.run(main())

    assert all(got is message for got, message in zip(given, messages, strict=True))
    assert run.agent == "claude-code"
    assert told(run) == told(follow(body_of(name))[0])


def test_messages_of_the_sdk_before_the_first_turn_are_no_mistake() -> None:
    """A hook may speak first."""
    hook = {"type": "system", "subtype": "hook_started", "hook_name": "SessionStart", "session_id": "s"}
    with Steps() as run:
        for _ in run.follow([parser.parse_message(hook), *_messages_of("claude-code-own-two-tools-whole")]):
            pass

    assert [turn.result for turn in run.turns] == ["It said hello."]


def test_a_query_that_is_left_stops_the_turn() -> None:
    """Nothing is called done that was not read to its end."""
    messages = _messages_of("claude-code-own-two-tools-partial")
    with Steps() as run, run.follow(messages[:-3]) as followed:
        for _ in zip(followed, range(8), strict=False):
            pass

    assert run.turns[0].state == "stopped"
