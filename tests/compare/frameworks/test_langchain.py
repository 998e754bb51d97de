"""LangChain's model streams: the real packages, and models that stand in for a provider."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.compare.frameworks.answers import ANSWERED, ASKED, CALLED, WARNINGS, check_asked, get_weather
from tests.compare.frameworks.models import FORMS, model
from tests.support.packages import needed
from tokenstream import AsyncStream, Stream, tap, testing
from tokenstream.errors import (
    ProtocolError,
    ProviderError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamTruncated,
)

anthropic = needed("langchain_anthropic")
fakes = needed("langchain_core.language_models.fake_chat_models")
messages = needed("langchain_core.messages")
needed("langchain_openai")
prebuilt = needed("langgraph.prebuilt")

pytestmark = [*WARNINGS]


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_a_models_stream_is_read(options: dict[str, Any]) -> None:
    check_asked(Stream(model(ASKED, **options).stream("Weather?")), "langchain")


def test_an_asynchronous_stream_gives_the_same() -> None:
    async def read() -> Any:
        return await AsyncStream(model(ASKED).astream("Weather?")).final()

    theirs, ours = Stream(model(ASKED).stream("Weather?")).final(), asyncio.run(read())

    assert [(call.name, call.arguments) for call in theirs.tool_calls] == [
        (call.name, call.arguments) for call in ours.tool_calls
    ]
    assert (theirs.text, theirs.usage) == (ours.text, ours.usage)


def test_reasoning_is_read_in_both_forms() -> None:
    script = testing.script().reasoning("Hm.").text("Hi").finish("stop")

    for options in list(FORMS.values())[2:]:
        message = Stream(model(script, **options).stream("Hi")).final()

        assert ("Hm.", "Hi") == (message.reasoning, message.text)


@pytest.mark.parametrize("options", [{}, {"output_version": "v1"}], ids=["its blocks", "standard blocks"])
def test_the_blocks_of_another_provider_are_read(options: dict[str, Any]) -> None:
    script = testing.script().reasoning("Hm.").text("Let me see.").tool_call("get_weather", {"city": "Oslo"})
    with testing.serve(script.usage(input_tokens=3, output_tokens=5).finish(), format="anthropic") as server:
        claude = anthropic.ChatAnthropic(model="m", api_key="k", base_url=server.url, **options)
        stream = Stream(claude.stream("Weather?"))
        message = stream.final()

    assert ("Hm.", "Let me see.", "tool_use") == (message.reasoning, message.text, message.raw_finish_reason)
    assert [{"city": "Oslo"}] == [call.arguments for call in message.tool_calls]
    assert (3, 5) == (message.usage.input_tokens, message.usage.output_tokens)
    assert {} == stream.departures.details


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_an_answer_that_was_cut_is_truncated_though_langchain_ends_it(options: dict[str, Any]) -> None:
    """The provider's input ends cleanly before its end; the call it was in is not handed out."""
    cut = testing.faults.cut(event=-4)

    with pytest.raises(StreamTruncated) as caught:
        Stream(model(ASKED, fault=cut, **options).stream("Weather?")).final()

    assert "Let me see." == caught.value.partial.text
    assert [True, False] == [call.complete for call in caught.value.partial.tool_calls]


def test_what_the_model_raises_is_the_cause() -> None:
    reset = testing.faults.reset(event=-4)

    with pytest.raises(StreamInterrupted) as caught:
        Stream(model(ASKED, fault=reset).stream("Weather?")).final()

    assert "Let me see." == caught.value.partial.text
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("fault", "expected", "kind"),
    [
        (testing.faults.status(429), StatusError, "rate_limited"),
        (testing.faults.status(401), StatusError, "authentication"),
        (testing.faults.error_event(), ProviderError, "overloaded"),
        (testing.faults.bad_json(event=4), ProtocolError, "server"),
    ],
    ids=["busy", "no key", "error in the stream", "no JSON"],
)
def test_what_the_providers_sdk_raises_beneath_is_reported_as_everywhere(
    fault: Any, expected: type[StreamError], kind: str
) -> None:
    with pytest.raises(expected) as caught:
        Stream(model(ASKED, fault=fault).stream("Weather?")).final()

    assert kind == caught.value.kind
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "source",
    [
        lambda: fakes.FakeListChatModel(responses=["Hello there"]).stream("Hi"),
        lambda: fakes.GenericFakeChatModel(messages=iter(["Hello there"])).stream("Hi"),
        lambda: fakes.FakeMessagesListChatModel(responses=[messages.AIMessage("Hello there")]).stream("Hi"),
    ],
    ids=["marks its last chunk", "marks it, too", "does not stream"],
)
def test_langchains_own_fakes_are_complete(source: Any) -> None:
    """LangChain's fakes know no finish reason, and say their end in the last chunk, or all at once."""
    stream = Stream(source())

    assert ("Hello there", "complete") == (stream.final().text, stream.message.ending)
    assert ["finish_missing"] == list(stream.departures.details)


def test_a_loop_over_a_models_stream_may_stay_as_it_is() -> None:
    tapped = tap(model(ASKED).stream("Weather?"))
    theirs = "".join(chunk.text for chunk in tapped)

    assert theirs == tapped.message.text
    assert ("complete", None) == (tapped.message.ending, tapped.error)


def test_a_response_hook_sees_each_answer_of_a_graph() -> None:
    taps: list[Any] = []

    async def hook(response: Any) -> None:
        taps.append(tap(response))

    async def run() -> Any:
        agent = prebuilt.create_react_agent(model(CALLED, ANSWERED, hook=hook, streaming=True), [get_weather])
        return await agent.ainvoke({"messages": [("user", "Weather?")]})

    state = asyncio.run(run())

    assert "It is sunny." == state["messages"][-1].text
    assert ["Let me see.", "It is sunny."] == [tapped.message.text for tapped in taps]
    assert ["complete", "complete"] == [tapped.message.ending for tapped in taps]
    assert all(tapped.metrics.ttft is not None for tapped in taps)
