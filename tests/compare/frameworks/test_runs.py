"""Whole runs of frameworks, followed: the real packages, and models that stand in for a provider."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.compare.frameworks import models, test_openai_agents
from tests.compare.frameworks.answers import ANSWERED, ASKED, CALLED, WARNINGS, get_weather
from tests.support.packages import needed
from tokenstream import AsyncStream, Steps, testing
from tokenstream.errors import NotAStream
from tokenstream.steps import Step

prebuilt = needed("langgraph.prebuilt")
workflows = needed("llama_index.core.agent.workflow")
mock = needed("llama_index.core.llms.mock")

pytestmark = [*WARNINGS]


def flat(steps: tuple[Step, ...]) -> list[Step]:
    return [each for step in steps for each in (step, *flat(step.steps))]


def follow(events: Any) -> tuple[Steps, list[Any]]:
    async def read() -> tuple[Steps, list[Any]]:
        with Steps() as run:
            passed = [event async for event in run.follow(events())]
        return run, passed

    return asyncio.run(read())


def get_time(zone: str) -> str:
    """Tell the time."""
    return f"noon in {zone}"


def asked(*answers: Any, **options: Any) -> Any:
    """Return the events of a graph whose model gives these answers."""
    model = models.model(*answers, **options)
    agent = prebuilt.create_react_agent(model, [get_weather, get_time])
    return agent.astream_events({"messages": [("user", "Weather?")]}, version="v2")


def test_a_graph_of_langgraph_is_followed() -> None:
    run, passed = follow(lambda: asked(ASKED, ANSWERED))
    steps = flat(run.steps)
    tools = {step.name: step for step in steps if step.cause is not None}

    assert "on_chain_end" == passed[-1]["event"]
    assert {"done"} == {step.state for step in steps}
    assert ["Let me see.", "It is sunny."] == [step.text for step in steps if step.name == "ChatOpenAI"]
    assert {"get_weather": {"city": "Oslo"}, "get_time": {"zone": "CET"}} == {
        name: step.cause.arguments for name, step in tools.items() if step.cause is not None
    }
    assert "sunny in Oslo" == tools["get_weather"].result.content
    assert 25 == run.total_usage.total_tokens


@pytest.mark.parametrize("mode", ["messages", ["updates", "messages"]], ids=["alone", "among others"])
@pytest.mark.parametrize("options", models.FORMS.values(), ids=models.FORMS)
def test_the_messages_of_a_graph_are_followed(options: dict[str, Any], mode: Any) -> None:
    """The way in which LangGraph's own pages show tokens; in `for`, too."""
    model = models.model(CALLED, ANSWERED, **options)
    graph = prebuilt.create_react_agent(model, [get_weather])
    with Steps() as run:
        passed = list(run.follow(graph.stream({"messages": [("user", "Weather?")]}, stream_mode=mode)))
    first, tool, last = run.steps

    assert passed
    assert [("agent", "done"), ("get_weather", "done"), ("agent", "done")] == [
        (step.name, step.state) for step in run.steps
    ]
    assert ("Let me see.", "It is sunny.") == (first.text, last.text)
    assert tool.cause is not None
    assert {"city": "Oslo"} == tool.cause.arguments


def test_a_run_of_agents_is_followed() -> None:
    run, _ = follow(lambda: test_openai_agents.run().stream_events())
    (agent,) = run.steps
    (tool,) = agent.steps

    assert ("Weather", "Weather", "done") == (agent.name, agent.agent, agent.state)
    assert ["Let me see.", "It is sunny."] == [message.text for message in agent.messages]
    assert tool.cause is not None
    assert ("get_weather", "call_1", "sunny in Oslo") == (tool.name, tool.cause.id, tool.result)
    assert 25 == run.total_usage.total_tokens


def test_a_workflow_of_llamaindex_is_followed() -> None:
    def look(city: str = "Oslo") -> str:
        """Tell the weather."""
        return f"sunny in {city}"

    def events() -> Any:
        model = mock.MockFunctionCallingLLM()
        agent = workflows.FunctionAgent(name="weather", description="Weather", tools=[look], llm=model)
        return agent.run(user_msg="Weather?").stream_events()

    run, _ = follow(events)
    (agent,) = run.steps
    (tool,) = agent.steps

    assert ("weather", "done", "Tool calls complete.") == (agent.name, agent.state, agent.text)
    assert tool.cause is not None
    assert ("look", {"city": "Oslo"}, "sunny in Oslo") == (
        tool.name,
        tool.cause.arguments,
        tool.result.content,
    )


def test_a_run_is_no_answer() -> None:
    async def read() -> None:
        await AsyncStream(asked(CALLED, ANSWERED)).final()

    with pytest.raises(NotAStream, match=r"run\.follow"):
        asyncio.run(read())


def test_a_run_whose_provider_fails_has_failed() -> None:
    async def read(run: Steps) -> None:
        with run:
            async for _ in run.follow(asked(ANSWERED, fault=testing.faults.status(500))):
                pass

    run = Steps()
    with pytest.raises(Exception, match="500"):
        asyncio.run(read(run))

    assert "failed" == run.state
    assert {"failed"} == {step.state for step in flat(run.steps)}
