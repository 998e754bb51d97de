"""LangChain's and LangGraph's streams of events, version 3: the real packages, and models of no provider."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.compare.frameworks.answers import ANSWERED, ASKED, CALLED, WARNINGS, check_asked, get_weather
from tests.compare.frameworks.models import FORMS, model
from tests.support.packages import needed
from tokenstream import AsyncStream, Steps, Stream, tap, testing
from tokenstream.errors import ProviderError, StatusError, StreamInterrupted, StreamTruncated
from tokenstream.events import ToolResult

agents = needed("langchain.agents")
anthropic = needed("langchain_anthropic")
fakes = needed("langchain_core.language_models.fake_chat_models")
tools = needed("langchain_core.tools")
needed("langchain_openai")

pytestmark = [
    *WARNINGS,
    pytest.mark.filterwarnings("ignore:.*(beta|experimental).*"),
    pytest.mark.skipif(
        not hasattr(needed("langchain_core.language_models").BaseChatModel, "stream_events"),
        reason="version 3 of the events came with langchain-core 1.4",
    ),
]

QUESTION = {"messages": [("user", "Weather?")]}


def agent(*answers: Any, **options: Any) -> Any:
    return agents.create_agent(model(*answers, **options), [get_weather])


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_a_models_events_are_read(options: dict[str, Any]) -> None:
    events = model(ASKED, **options).stream_events("Weather?", version="v3")
    check_asked(Stream(events), "langchain-protocol")


def test_asynchronous_events_are_the_same() -> None:
    """Awaited or not: the stream of events would be the whole message if it were awaited once more."""

    async def read(*, awaited: bool) -> Any:
        events = model(ASKED).astream_events("Weather?", version="v3")
        return await AsyncStream(await events if awaited else events).final()

    theirs = Stream(model(ASKED).stream_events("Weather?", version="v3")).final()
    for awaited in (False, True):
        ours = asyncio.run(read(awaited=awaited))

        assert (theirs.text, theirs.usage) == (ours.text, ours.usage)
        assert [call.arguments for call in theirs.tool_calls] == [call.arguments for call in ours.tool_calls]


def test_reasoning_and_a_limit_of_another_provider_are_read() -> None:
    """Anthropic's API sends reasoning as it comes."""
    script = testing.script().reasoning("Hm.").text("Oslo is").usage(input_tokens=3, output_tokens=5)
    with testing.serve(script.finish("length"), format="anthropic") as server:
        claude = anthropic.ChatAnthropic(model="m", api_key="k", base_url=server.url)
        message = Stream(claude.stream_events("Weather?", version="v3")).final()

    assert ("Hm.", "Oslo is", "length", "max_tokens") == (
        message.reasoning,
        message.text,
        message.finish_reason,
        message.raw_finish_reason,
    )


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_an_answer_that_was_cut_is_truncated_though_langchain_ends_it(options: dict[str, Any]) -> None:
    """The provider's input ends cleanly before its end; the call it was in is not handed out."""
    cut = testing.faults.cut(event=-4)

    with pytest.raises(StreamTruncated) as caught:
        Stream(model(ASKED, fault=cut, **options).stream_events("Weather?", version="v3")).final()

    assert "Let me see." == caught.value.partial.text
    assert [True, False] == [call.complete for call in caught.value.partial.tool_calls]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (testing.faults.reset(event=-4), StreamInterrupted),
        (testing.faults.status(429), StatusError),
        (testing.faults.error_event(), ProviderError),
    ],
    ids=["broken", "busy", "error in the stream"],
)
def test_what_the_model_raises_is_the_cause(fault: Any, expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught:
        Stream(model(ASKED, fault=fault).stream_events("Weather?", version="v3")).final()

    assert caught.value.__cause__ is not None


def test_a_loop_over_events_may_stay_as_it_is() -> None:
    tapped = tap(model(ASKED).stream_events("Weather?", version="v3"))
    passed = list(tapped)

    async def loop() -> Any:
        other = tap(await model(ASKED).astream_events("Weather?", version="v3"))
        assert len(passed) == len([event async for event in other])
        return other

    for each in (tapped, asyncio.run(loop())):
        assert ("Let me see.", "complete") == (each.message.text, each.message.ending)
    assert "Let me see." == str(tapped.text)


def test_each_answer_of_a_graph_is_read_in_turn() -> None:
    events = list(stream := Stream(agent(CALLED, ANSWERED).stream_events(QUESTION, version="v3")))
    responses = Stream(agent(CALLED, ANSWERED).stream_events(QUESTION, version="v3")).responses

    assert ["sunny in Oslo"] == [event.output for event in events if isinstance(event, ToolResult)]
    assert ["Let me see.", "It is sunny."] == [response.final().text for response in responses]
    assert "complete" == stream.message.ending


def test_a_graph_whose_stream_is_closed_early_is_stopped() -> None:
    cities: list[str] = []

    def note(city: str) -> str:
        """Note a city."""
        cities.append(city)
        return "noted"

    def make() -> Any:
        called = testing.script(id="resp_1").text("Let me see.").tool_call("note", {"city": "Oslo"}).finish()
        return agents.create_agent(model(called, ANSWERED), [note])

    async def leave() -> None:
        async with AsyncStream(make().astream_events(QUESTION, version="v3")) as stream:
            async for _ in stream.text:
                break

    run = make().stream_events(QUESTION, version="v3")
    with Stream(run) as stream:
        next(iter(stream.text))
    asyncio.run(leave())

    assert run.output is not None
    assert [] == cities


def test_a_graph_with_a_subagent_is_followed() -> None:
    helper = agents.create_agent(model(ANSWERED), [], name="helper")

    def ask(city: str) -> str:  # noqa: ARG001 - the helper answers
        """Tell the weather."""
        return str(helper.invoke(QUESTION)["messages"][-1].text)

    asking = tools.StructuredTool.from_function(ask, name="get_weather")
    boss = agents.create_agent(model(CALLED, ANSWERED), [asking], name="boss")
    with Steps() as run:
        passed = list(run.follow(boss.stream_events(QUESTION, version="v3")))
    (turn,) = run.turns
    (tool,) = turn.step.steps
    (below,) = tool.steps

    assert passed
    assert ("done", "It is sunny.") == (turn.state, turn.result)
    assert ("get_weather", "done", "It is sunny.") == (tool.name, tool.state, tool.result)
    assert tool.cause is not None
    assert {"city": "Oslo"} == tool.cause.arguments
    assert ("done", "It is sunny.") == (below.state, below.text)
    assert turn.step.usage.total_tokens == run.total_usage.total_tokens - below.usage.total_tokens  # type: ignore[operator]


def test_an_asynchronous_graph_is_followed() -> None:
    """LangGraph goes on with a cut answer, but the turn has failed."""

    async def follow(fault: Any = None) -> Any:
        graph = agent(ANSWERED, fault=fault)
        with Steps() as run:
            async for _ in run.follow(await graph.astream_events(QUESTION, version="v3")):
                pass
        return run.turns[0].state

    assert "done" == asyncio.run(follow())
    assert "failed" == asyncio.run(follow(testing.faults.cut(event=-4)))


@pytest.mark.parametrize("mode", [{}, {"stream_mode": ["updates"]}, {"subgraphs": True}], ids=str)
def test_the_default_stream_of_a_graph_is_read(mode: dict[str, Any]) -> None:
    graph, messages = needed("langgraph.graph"), needed("langchain_core.messages")
    call = {"name": "look", "args": {"city": "Oslo"}, "id": "c"}
    said = {
        "ask": messages.AIMessage("I look.", tool_calls=[call]),
        "tools": messages.ToolMessage("sunny", tool_call_id="c", name="look"),
        "answer": messages.AIMessage("It is sunny."),
    }
    builder = graph.StateGraph(graph.MessagesState)
    for name, message in said.items():
        builder.add_node(name, lambda _, message=message: {"messages": [message]})
    for before, after in zip([graph.START, *said], [*said, graph.END], strict=True):
        builder.add_edge(before, after)
    with Steps() as run:
        for _ in run.follow(builder.compile().stream(QUESTION, **mode)):
            pass

    assert [(step.name, step.state, step.text) for step in run.steps] == [
        ("ask", "done", "I look."),
        ("look", "done", ""),
        ("answer", "done", "It is sunny."),
    ]
    assert run.steps[1].cause is not None
    assert run.steps[1].cause.arguments == {"city": "Oslo"}
