"""The progress of tools in each protocol, and what a reader makes of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from datetime import date
from typing import Any

import anyio
import pytest

from tests.relay.encode.support import list_payloads
from tests.steps.answers import asking, async_stream_of, stream_of
from tests.support.encoders import PROTOCOLS, create, read_as
from tokenstream import Router, Steps, Stream, relay
from tokenstream.events import (
    Event,
    StepStart,
    TextDelta,
    ToolCallDone,
    ToolCallStart,
    ToolProgress,
    ToolResult,
)
from tokenstream.message import ToolCall
from tokenstream.relay import ProtocolName

SHOWN: list[Any] = ["asking", {"station": 2, "at": date(2026, 11, 27)}, None]
READ: list[Any] = ["asking", {"station": 2, "at": "2026-11-27"}, None]
"""What a reader gets: JSON values."""
KEEPING: list[ProtocolName] = ["tokenstream", "ndjson", "ui-message", "ag-ui"]


def weather(city: str) -> Generator[Any, None, str]:
    yield from SHOWN
    return city


def _events() -> list[Event]:
    router = Router()
    router.tool(weather)
    with Steps() as run, run.step("plan") as step:
        step.follow(stream_of(asking("Oslo"))).run(router)
    return [*run.events()]


@pytest.mark.parametrize("protocol", KEEPING)
def test_a_reader_gets_the_progress_and_then_the_result(protocol: ProtocolName) -> None:
    body = [*relay.encode(_events(), protocol)]
    found = [
        event
        for event in Stream(body, format=read_as(protocol))
        if isinstance(event, ToolProgress | ToolResult | ToolCallDone)
    ]

    assert [ToolProgress("call_0", "weather", output) for output in READ] == found[1:-1]
    assert (ToolCallDone, ToolResult("call_0", "Oslo")) == (type(found[0]), found[-1])


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_without_a_place_for_progress_leaves_it_out(protocol: ProtocolName) -> None:
    """Nothing else changes, and it counts as no loss: it was for the time until the result."""
    events = _events()
    without = [event for event in events if not isinstance(event, ToolProgress)]
    bodies = list[list[bytes]]()
    for each in (events, without):
        encoder = create(protocol, lossy=True)
        bodies.append([chunk for event in each for chunk in encoder.feed(event)])

    assert (bodies[0] == bodies[1]) == (protocol not in KEEPING)
    assert "tool_progress" not in relay.losses(protocol)


def test_progress_is_a_preliminary_output_in_a_ui_message() -> None:
    """The AI SDK sends what a tool yields so; the result replaces it."""
    outputs = [each for each in list_payloads(_events(), "ui-message") if "output" in each]

    assert [
        *[
            {"type": "tool-output-available", "toolCallId": "call_0", "output": output, "preliminary": True}
            for output in READ
        ],
        {"type": "tool-output-available", "toolCallId": "call_0", "output": "Oslo"},
    ] == outputs


def test_progress_is_an_activity_in_ag_ui() -> None:
    """The client shows the last one of each call."""
    activities = [each for each in list_payloads(_events(), "ag-ui") if each["type"] == "ACTIVITY_SNAPSHOT"]

    assert (3, 1) == (len(activities), len({each["messageId"] for each in activities}))
    assert {"toolCallId": "call_0", "toolName": "weather", "output": "asking"} == activities[0]["content"]
    assert "TOOL_PROGRESS" == activities[0]["activityType"]
    assert {"stepName": "weather", "toolCallId": "call_0"} == activities[0]["metadata"]["tokenstream"]


def test_an_activity_of_another_application_stays_unknown() -> None:
    content = {"toolCallId": "c", "output": 1}
    events: list[dict[str, Any]] = [
        {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
        {"type": "ACTIVITY_SNAPSHOT", "messageId": "m", "activityType": "TOOL_PROGRESS", "content": content},
        {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"},
    ]

    assert "ToolProgress" not in [type(event).__name__ for event in Stream(events, format="ag-ui")]


def test_clients_of_ui_messages_get_no_progress_of_an_unknown_call() -> None:
    """Clients fail at progress of an unknown call, so a call that its step has named is sent first."""
    call = ToolCall(id="c", name="shell", arguments_text="{}", complete=True)
    progress, result = ToolProgress("c", "shell", "1 of 2"), ToolResult("c", 1)
    known = list_payloads([StepStart("1", "shell", cause=call), progress, result, progress], "ui-message")

    unknown = list_payloads([TextDelta("Hi"), progress], "ui-message")
    assert [] == [each for each in unknown if "output" in each]
    assert ["tool-input-available", "tool-output-available", "tool-output-available"] == [
        each["type"] for each in known if "toolCallId" in each
    ]


@pytest.mark.parametrize("protocol", ["ui-message", "ag-ui"])
def test_progress_needs_no_run_around_it(protocol: ProtocolName) -> None:
    calls: list[Event] = [
        ToolCallStart("c", "shell"),
        ToolCallDone(ToolCall(id="c", name="shell", arguments_text="{}", complete=True)),
    ]
    body = [*relay.encode([*calls, ToolProgress("c", "shell", 1), ToolResult("c", 2)], protocol)]
    found = [event for event in Stream(body, format=read_as(protocol)) if isinstance(event, ToolProgress)]

    assert [ToolProgress("c", "shell", 1)] == found


async def _later(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    async for event in events:
        yield event


def test_a_page_gets_the_progress_while_the_tool_runs() -> None:
    gate = anyio.Event()

    async def look(city: str) -> AsyncGenerator[str, None]:
        yield "asking"
        await gate.wait()
        yield city

    sent: list[bytes] = []

    async def main() -> None:
        router = Router()
        router.tool("weather")(look)
        run = Steps()

        async def work() -> None:
            with run, run.step("plan") as step:
                async with step.follow(async_stream_of(asking("Oslo"))) as stream:
                    await stream.run(router)

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            async for chunk in relay.encode(_later(run.events()), "ui-message"):
                sent.append(chunk)
                if b"asking" in chunk:
                    gate.set()

    anyio.run(main)

    assert gate.is_set()
    assert b'"output":"Oslo"' in b"".join(sent)
