"""What pydantic-ai makes of a model that is none, over its adapters for user interfaces."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from tests.compare.emitters.whole import Said, check_body
from tests.support.packages import needed
from tests.support.texts import pieces_of

pytestmark = pytest.mark.slow
_CALL = ("weather", {"city": "Oslo"})
SCENARIOS = {
    "words": Said("Hello, wörld. 日本 🙂\n\ndata: x"),
    "thoughts": Said("Hello", reasoning="Let me see."),
    "call": Said("It is sunny.", [_CALL]),
    "all": Said("Let me look.It is sunny.", [_CALL], "They ask."),
}


def _agent(name: str) -> Any:
    """Return an agent whose model says what a scenario does; after a call it says the last of it."""
    pydantic_ai, function = needed("pydantic_ai"), needed("pydantic_ai.models.function")
    told = SCENARIOS[name]

    async def says(messages: Any, _: Any) -> AsyncIterator[Any]:
        after = any(part.part_kind == "tool-return" for part in messages[-1].parts)
        first, last = told.text, ""
        if told.calls:
            first, _, last = told.text.partition("It is")
            last = f"It is{last}"
        if after:
            for piece in pieces_of(last, 4):
                yield piece
            return
        for piece in pieces_of(told.reasoning, 4):
            yield {0: function.DeltaThinkingPart(content=piece)}
        for piece in pieces_of(first, 4):
            yield piece
        for tool, arguments in told.calls:
            yield {5: function.DeltaToolCall(name=tool, tool_call_id="call_1")}
            for piece in pieces_of(json.dumps(arguments), 4):
                yield {5: function.DeltaToolCall(json_args=piece)}

    agent = pydantic_ai.Agent(function.FunctionModel(stream_function=says))

    async def weather(city: str) -> str:
        return f"sun over {city}"

    agent.tool_plain(weather)
    return agent


def _body(adapter: Any, request: dict[str, Any], name: str) -> bytes:
    async def body() -> bytes:
        run_input = adapter.build_run_input(json.dumps(request).encode())
        answer = adapter(agent=_agent(name), run_input=run_input)
        return "".join([event async for event in answer.encode_stream(answer.run_stream())]).encode()

    return anyio.run(body)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_over_ag_ui_says_what_the_model_said(name: str) -> None:
    request = {
        "threadId": "thread_1",
        "runId": "run_1",
        "state": {},
        "messages": [{"id": "message_1", "role": "user", "content": "Hi"}],
        "tools": [],
        "context": [],
        "forwardedProps": {},
    }
    body = _body(needed("pydantic_ai.ui.ag_ui").AGUIAdapter, request, name)

    check_body(body, SCENARIOS[name], format="ag-ui")
    check_body(body, SCENARIOS[name])


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_over_the_protocol_of_the_ai_sdk_says_what_the_model_said(name: str) -> None:
    message = {"id": "message_1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    request = {"trigger": "submit-message", "id": "chat_1", "messages": [message]}
    body = _body(needed("pydantic_ai.ui.vercel_ai").VercelAIAdapter, request, name)

    check_body(body, SCENARIOS[name], format="ui-message")
    check_body(body, SCENARIOS[name])
