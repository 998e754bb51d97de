"""The OpenAI Agents SDK: the answers of a run, out of its events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.compare.frameworks.answers import ANSWERED, CALLED, WARNINGS, get_weather
from tests.support.packages import needed
from tokenstream import AsyncStream, Steps, tap, testing

agents = needed("agents")
sdk = needed("openai")
transports = needed("httpx2")

pytestmark = [*WARNINGS]


def make_agent(tool: Any, called: Any = CALLED, *, chat: bool = False, hook: Any = None) -> Any:
    """Return an agent whose model calls a tool, and then answers."""
    agents.set_tracing_disabled(disabled=True)
    transport = testing.transport([called, ANSWERED])
    hooks = {"response": [hook]} if hook is not None else {}
    client = sdk.AsyncOpenAI(
        api_key="k",
        base_url="http://testserver/v1",
        http_client=transports.AsyncClient(transport=transport, event_hooks=hooks),
    )
    make = agents.OpenAIChatCompletionsModel if chat else agents.OpenAIResponsesModel
    return agents.Agent(name="Weather", tools=[tool], model=make("m", client))


def run(*, chat: bool = False, hook: Any = None, asks: bool = False) -> Any:
    """Start a run whose model calls a tool, which may need an approval, and then answers."""
    tool = agents.function_tool(get_weather, needs_approval=asks)
    return agents.Runner.run_streamed(make_agent(tool, chat=chat, hook=hook), "Weather?")


def test_the_events_of_a_run_are_its_models_first_answer() -> None:
    async def read() -> Any:
        result = run()
        async with AsyncStream(result.stream_events()) as stream:
            return await stream.final(), stream.format, result

    message, format, result = asyncio.run(read())

    assert "openai-responses" == format
    assert ("Let me see.", ["get_weather"]) == (message.text, [call.name for call in message.tool_calls])
    assert "It is sunny." == result.final_output


@pytest.mark.parametrize("chat", [False, True], ids=["responses", "chat completions"])
def test_responses_gives_all_answers_of_a_run(chat: bool) -> None:
    """One after the other, also where the SDK gives all of them one id."""

    async def read() -> list[Any]:
        async with AsyncStream(run(chat=chat).stream_events()) as stream:
            return [await response.final() async for response in stream.responses]

    said = asyncio.run(read())

    assert [("Let me see.", "tool_calls"), ("It is sunny.", "stop")] == [
        (message.text, message.finish_reason) for message in said
    ]
    assert [8, 17] == [message.usage.total_tokens for message in said]


def test_a_response_hook_sees_each_answer_of_a_run() -> None:
    taps: list[Any] = []

    async def hook(response: Any) -> None:
        taps.append(tap(response))

    async def read() -> None:
        async for _ in run(hook=hook).stream_events():
            pass

    asyncio.run(read())

    assert ["Let me see.", "It is sunny."] == [tapped.message.text for tapped in taps]


def test_the_result_itself_tells_what_an_agent_that_is_a_tool_asks_and_spends() -> None:
    """No event has either: the outer tool only has no result."""

    async def main() -> None:
        with Steps() as steps:
            inner = make_agent(agents.function_tool(get_weather, needs_approval=True))
            asked_of = testing.script(id="resp_0").tool_call("ask", {"input": "Oslo?"}).usage(input_tokens=3)
            outer = make_agent(
                inner.as_tool("ask", "Ask.", on_stream=lambda _: None), asked_of.finish("stop")
            )
            result = agents.Runner.run_streamed(outer, "Weather?")
            async for _ in steps.follow(result):
                pass
            (waiting,) = steps.waiting
            (asked,) = result.interruptions
            assert (waiting.id, waiting.request["name"]) == (asked.raw_item.call_id, "get_weather")
            assert [each.state for each in steps.steps[0].steps] == ["waiting"]
            assert steps.total_usage.input_tokens == result.context_wrapper.usage.input_tokens == 6

    asyncio.run(main())


def test_a_tool_that_needs_an_approval_waits_for_it() -> None:
    async def main() -> None:
        with Steps() as first, Steps() as other:
            result = run(asks=True)
            async for _ in first.follow(result.stream_events()):
                pass
            (agent,) = first.steps
            (tool,) = agent.steps
            (request,) = first.waiting
            assert (agent.state, tool.state, tool.result) == ("waiting", "waiting", None)
            assert (request.request["type"], request.request["name"]) == ("approval", "get_weather")

            state = result.to_state()
            for interruption in result.interruptions:
                state.approve(interruption)
            events = [
                event
                async for event in first.follow(
                    agents.Runner.run_streamed(result.current_agent, state).stream_events()
                )
            ]
            assert (first.waiting, agent.state, tool.state) == ((), "done", "done")
            assert tool.result == "sunny in Oslo"
            assert first.steps[-1].text == "It is sunny."

            for _ in other.follow(events):
                pass
            results = [step.result for each in other.steps for step in [each, *each.steps]]
            assert "sunny in Oslo" in results

    asyncio.run(main())
