"""pydantic-ai: `tap` in the hook of the client that its model takes, and its runs, which pass unchanged."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.compare.frameworks.answers import ANSWERED, WARNINGS
from tests.steps.agents.support import tools_of
from tests.support.packages import needed
from tokenstream import Steps, tap, testing

# Where another extra has brought pydantic-ai alone, the client of its models is missing.
needed("agents")
ai = needed("pydantic_ai")
functions = needed("pydantic_ai.models.function")
messages = needed("pydantic_ai.messages")

pytestmark = [*WARNINGS]


def test_a_response_hook_sees_the_answers_of_an_agent() -> None:
    models, providers = needed("pydantic_ai.models.openai"), needed("pydantic_ai.providers.openai")
    transports = needed("httpx2")
    taps: list[Any] = []

    async def hook(response: Any) -> None:
        taps.append(tap(response))

    async def run() -> Any:
        client = transports.AsyncClient(
            transport=testing.transport(ANSWERED), event_hooks={"response": [hook]}
        )
        provider = providers.OpenAIProvider(api_key="k", base_url="http://testserver/v1", http_client=client)
        async with ai.Agent(models.OpenAIChatModel("m", provider=provider)).run_stream("Weather?") as result:
            return await result.get_output()

    assert "It is sunny." == asyncio.run(run())
    assert [("It is sunny.", "complete")] == [(tapped.message.text, tapped.message.ending) for tapped in taps]
    assert all(tapped.message.usage.output_tokens == 4 for tapped in taps)


CALLS = {"0": {"city": "Oslo"}, "1": {"city": "Nowhere"}}


def _has_asked(history: list[Any]) -> bool:
    return any(part.part_kind == "tool-return" for message in history for part in message.parts)


def _answer(history: list[Any], _: Any) -> Any:
    if _has_asked(history):
        return messages.ModelResponse(parts=[messages.TextPart("It is sunny.")])
    calls = [messages.ToolCallPart("weather", args, tool_call_id=f"c{id}") for id, args in CALLS.items()]
    return messages.ModelResponse(parts=[messages.ThinkingPart("Hm."), messages.TextPart("I ask."), *calls])


async def _stream(history: list[Any], _: Any) -> Any:
    if _has_asked(history):
        for piece in ("It is ", "sunny."):
            yield piece
        return
    yield {0: functions.DeltaThinkingPart(content="Hm.")}
    for piece in ("I ", "ask."):
        yield piece
    for index, (id, args) in enumerate(CALLS.items(), start=2):
        yield {index: functions.DeltaToolCall(name="weather", tool_call_id=f"c{id}")}
        yield {index: functions.DeltaToolCall(json_args=json.dumps(args))}


def _make_agent(**options: Any) -> Any:
    agent = ai.Agent(functions.FunctionModel(_answer, stream_function=_stream), **options)

    def weather(city: str) -> str:
        """Tell the weather."""
        if city == "Nowhere":
            raise ai.ModelRetry("there is no such city")
        return "sunny"

    agent.tool_plain(weather)
    return agent


async def _follow(opened: Any, run: Steps) -> Any:
    async with opened as events:
        return [(event, run.turns[-1].step.text) async for event in run.follow(events)]


@pytest.mark.parametrize("way", ["run_stream_events", "iter"])
def test_a_run_is_a_turn_with_answers_and_tools(way: str) -> None:
    with Steps() as run:
        items = asyncio.run(_follow(getattr(_make_agent(), way)("Weather?"), run))

    (turn,) = run.turns
    first, last = turn.step.messages
    assert (turn.state, turn.result, bool(run.total_usage)) == ("done", "It is sunny.", True)
    assert (first.reasoning, first.text, first.ending, first.finish_reason) == (
        ("Hm.", "I ask.", "complete", "tool_calls")
    )
    assert [(call.id, call.arguments) for call in first.tool_calls] == [
        (f"c{id}", arguments) for id, arguments in CALLS.items()
    ]
    assert (last.text, last.ending, last.finish_reason) == ("It is sunny.", "complete", "stop")
    assert sorted(tools_of(turn.step)) == [
        ("weather", "done", "sunny"),
        ("weather", "failed", "there is no such city"),
    ]
    assert any(text.endswith("It is ") for _, text in items) is (way == "run_stream_events")
    assert all(type(item).__module__.startswith("pydantic_") for item, _ in items)


@pytest.mark.parametrize("way", ["run_stream_events", "iter"])
def test_a_result_with_a_type_is_a_value(way: str) -> None:
    """pydantic-ai takes it from the call of a tool, which is a step as others are."""
    agent = ai.Agent(needed("pydantic_ai.models.test").TestModel(), output_type=list[int])
    with Steps() as run:
        asyncio.run(_follow(getattr(agent, way)("Count."), run))

    (turn,) = run.turns
    assert (turn.state, turn.result, turn.step.steps[0].state) == ("done", [0], "done")


@pytest.mark.parametrize("way", ["run_stream_events", "iter"])
def test_a_call_that_needs_an_approval_waits_for_the_next_run(way: str) -> None:
    model = needed("pydantic_ai.models.test").TestModel()
    agent = ai.Agent(model, output_type=[str, ai.DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)  # type: ignore[untyped-decorator,unused-ignore]
    def remove(path: str) -> str:
        """Remove a file."""
        return f"removed {path}"

    with Steps() as run:
        asyncio.run(_follow(getattr(agent, way)("Tidy up."), run))
        (first,) = run.turns
        asked = [(each.request["type"], each.request["name"]) for each in run.waiting]
        assert (first.state, asked) == ("waiting", [("approval", "remove")])
        assert [(step.name, step.state) for step in first.step.steps] == [("remove", "waiting")]

        call = first.result.approvals[0]
        answer = messages.ModelResponse(parts=[call])
        approved = ai.DeferredToolResults(approvals={call.tool_call_id: True})
        told = {"message_history": [answer], "deferred_tool_results": approved}
        asyncio.run(_follow(getattr(agent, way)(**told), run))
        assert run.waiting == ()

    last = run.turns[-1]
    assert (first.state, last.state, "removed" in last.result) == ("done", "done", True)


@pytest.mark.parametrize("way", ["run_stream_events", "iter"])
def test_an_exception_fails_what_is_open(way: str) -> None:
    async def fail(*_: Any) -> Any:
        yield "It is "
        raise RuntimeError("no")

    def fail_at_once(*_: Any) -> Any:
        raise RuntimeError("no")

    agent = ai.Agent(functions.FunctionModel(fail_at_once, stream_function=fail))
    with Steps() as run, pytest.raises(RuntimeError, match="no"):
        asyncio.run(_follow(getattr(agent, way)("Weather?"), run))

    assert [(turn.state, turn.error, turn.step.text) for turn in run.turns] == [
        ("failed", "RuntimeError: no", "It is " if way == "run_stream_events" else "")
    ]
