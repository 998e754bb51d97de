"""Runs of google-adk with a scripted model: what its runner yields passes unchanged, and the tree grows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.steps.agents.support import follow, tools_of
from tests.steps.told import told
from tests.support.packages import needed
from tokenstream import Steps

agents = needed("google.adk.agents")
config = needed("google.adk.agents.run_config")
models = needed("google.adk.models")
runners = needed("google.adk.runners")
streaming = needed("google.adk.utils.streaming_utils")
types = needed("google.genai.types")


def _chunk(part: dict[str, Any], **fields: Any) -> Any:
    candidate = {"content": {"role": "model", "parts": [part]}, **fields}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 12} if fields else None
    return types.GenerateContentResponse.model_validate({"candidates": [candidate], "usageMetadata": usage})


_SCRIPT = (
    [
        _chunk({"text": "I think.", "thought": True}),
        _chunk({"text": "I ask "}),
        _chunk({"text": "the helper."}),
        _chunk({"functionCall": {"name": "now", "args": {"zone": "UTC"}}}, finishReason="STOP"),
    ],
    [
        _chunk(
            {"functionCall": {"name": "transfer_to_agent", "args": {"agent_name": "helper"}}},
            finishReason="STOP",
        )
    ],
    [_chunk({"text": "It is "}), _chunk({"text": "noon."}, finishReason="STOP")],
)


class Scripted(models.BaseLlm):  # type: ignore[misc, name-defined]
    """Answers with the chunks of a script, through ADK's own code for a model that streams."""

    asked: int = 0

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncIterator[Any]:
        """Yield the pieces of the next answer, if they are asked for, and then the whole."""
        chunks, self.asked = _SCRIPT[self.asked], self.asked + 1
        aggregator = streaming.StreamingResponseAggregator()
        for chunk in chunks:
            async for response in aggregator.process_response(chunk):
                if stream:
                    yield response
        yield aggregator.close()


def now(zone: str) -> dict[str, str]:
    """Tell the time."""
    return {"time": f"12:00 {zone}"}


async def _run(mode: Any) -> tuple[Steps, list[Any]]:
    model = Scripted(model="scripted")
    helper = agents.LlmAgent(name="helper", model=model, description="tells the time")
    root = agents.LlmAgent(name="root", model=model, tools=[now], sub_agents=[helper])
    runner = runners.InMemoryRunner(agent=root, app_name="app")
    await runner.session_service.create_session(app_name="app", user_id="u", session_id="s")
    question = types.Content(role="user", parts=[types.Part(text="What time is it?")])
    events = runner.run_async(
        user_id="u", session_id="s", new_message=question, run_config=config.RunConfig(streaming_mode=mode)
    )
    with Steps() as run:
        return run, [event async for event in run.follow(events)]


@pytest.mark.parametrize("mode", ["SSE", "NONE"])
def test_each_agent_of_a_run_is_a_step_with_its_answers_and_tools(mode: str) -> None:
    """The steps are the same with the model's pieces and without."""
    run, events = asyncio.run(_run(config.StreamingMode[mode]))

    (turn,) = run.turns
    root, helper = turn.step.steps
    assert {type(event).__name__ for event in events} == {"Event"}
    assert (run.agent, turn.state, turn.result) == ("adk", "done", "It is noon.")
    assert [message.text for message in root.messages] == ["I ask the helper.", ""]
    assert root.messages[0].reasoning == "I think."
    assert [message.text for message in helper.messages] == ["It is noon."]
    assert tools_of(root) == [
        ("now", "done", {"time": "12:00 UTC"}),
        ("transfer_to_agent", "done", {"result": None}),
    ]
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (30, 6)


def test_the_json_of_the_events_gives_the_same_run() -> None:
    run, events = asyncio.run(_run(config.StreamingMode.SSE))

    for camel in (False, True):
        lines = [json.loads(event.model_dump_json(exclude_none=True, by_alias=camel)) for event in events]
        (turn,) = follow(lines)[0].turns
        assert tools_of(turn.step.steps[0]) == tools_of(run.turns[0].step.steps[0])
        assert turn.step.steps[1].text == run.turns[0].step.steps[1].text
        assert turn.usage.output_tokens == run.turns[0].usage.output_tokens
    assert told(
        follow([json.loads(event.model_dump_json(exclude_none=True)) for event in events])[0]
    ) == told(run)


class _Asks(models.BaseLlm):  # type: ignore[misc, name-defined]
    """Calls a tool; once that has run, it answers."""

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncIterator[Any]:
        """Yield the next answer whole."""
        said = str(llm_request.contents)
        part = {"text": "Done."} if "dropped" in said else {"functionCall": {"name": "drop", "args": {}}}
        content = types.Content.model_validate({"role": "model", "parts": [part]})
        yield models.LlmResponse(content=content, finish_reason="STOP")


def drop() -> dict[str, str]:
    """Drop the table."""
    return {"done": "dropped"}


def test_a_tool_that_is_to_be_confirmed_waits() -> None:
    """ADK asks with a call of its own; the next invocation has the tool's result."""

    async def main() -> None:
        tool = needed("google.adk.tools").FunctionTool(drop, require_confirmation=True)
        agent = agents.LlmAgent(name="keeper", model=_Asks(model="scripted"), tools=[tool])
        runner = runners.InMemoryRunner(agent=agent, app_name="app")
        session = await runner.session_service.create_session(app_name="app", user_id="u")

        def events(part: Any) -> Any:
            message = types.Content.model_validate({"role": "user", "parts": [part]})
            return runner.run_async(user_id="u", session_id=session.id, new_message=message)

        with Steps() as run:
            async for _ in run.follow(events({"text": "Drop it."})):
                pass
            (request,) = run.waiting
            ((step,),) = [agent.steps for agent in run.turns[0].step.steps]
            assert (run.turns[0].state, step.name, step.state) == ("waiting", "drop", "waiting")

            answer = {"id": request.id, "name": "adk_request_confirmation", "response": {"confirmed": True}}
            async for _ in run.follow(events({"functionResponse": answer})):
                pass
            assert run.waiting == ()
            assert (step.state, step.result) == ("done", {"done": "dropped"})
            assert [turn.state for turn in run.turns] == ["done", "done"]
            assert run.turns[1].result == "Done."

    asyncio.run(main())
