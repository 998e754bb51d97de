"""LlamaIndex's model streams: the real package, its mocks, and one that hands a provider's chunks on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compare.frameworks.answers import ASKED, WARNINGS
from tests.support.packages import needed
from tokenstream import AsyncStream, Stream, testing
from tokenstream.errors import StreamTruncated

types = needed("llama_index.core.base.llms.types")
mock = needed("llama_index.core.llms.mock")
tools = needed("llama_index.core.tools")
sdk = needed("openai")
transports = needed("httpx2")

pytestmark = [*WARNINGS]

HELLO = "text text text"


def chat(transport: Any) -> Iterator[Any]:
    """Stream as LlamaIndex's integration of openai does: the message so far, and the chunk as `raw`."""
    client = sdk.OpenAI(
        api_key="k", base_url="http://testserver/v1", http_client=transports.Client(transport=transport)
    )
    text, calls = "", dict[int, list[str]]()
    for chunk in client.chat.completions.create(model="m", messages=[], stream=True):
        delta = chunk.choices[0].delta if chunk.choices else None
        piece = (delta and delta.content) or ""
        text += piece
        for told in (delta and delta.tool_calls) or ():
            call = calls.setdefault(told.index, [told.id, told.function.name, ""])
            call[2] += told.function.arguments or ""
        blocks = [
            types.TextBlock(text=text),
            *[
                types.ToolCallBlock(tool_call_id=id, tool_name=name, tool_kwargs=arguments or {})
                for id, name, arguments in calls.values()
            ],
        ]
        message = types.ChatMessage(role="assistant", blocks=blocks)
        yield types.ChatResponse(message=message, delta=piece, raw=chunk)


def test_a_chat_models_stream_is_read() -> None:
    stream = Stream(chat(testing.transport(ASKED)))
    pieces, message = list(stream.text), stream.final()

    assert "llamaindex" == stream.format
    assert "Let me see." == "".join(pieces) == message.text
    assert [("get_weather", {"city": "Oslo"}), ("get_time", {"zone": "CET"})] == [
        (call.name, call.arguments) for call in message.tool_calls
    ]
    assert (3, 5) == (message.usage.input_tokens, message.usage.output_tokens)
    assert ("tool_calls", "complete", {}) == (
        message.finish_reason,
        message.ending,
        stream.departures.details,
    )


def test_an_answer_that_was_cut_is_truncated_though_llamaindex_ends_it() -> None:
    cut = testing.faults.cut(event=-4)

    with pytest.raises(StreamTruncated) as caught:
        Stream(chat(testing.transport(ASKED, fault=cut))).final()

    assert "Let me see." == caught.value.partial.text
    assert not any(call.complete for call in caught.value.partial.tool_calls)


def test_a_mock_that_hands_no_chunk_on_ends_with_its_input() -> None:
    """Chat and completion, synchronous and not."""
    asked = [types.ChatMessage("Hi")]

    async def read() -> list[str]:
        model = mock.MockLLM(max_tokens=3)
        sources = (model.astream_chat(asked), model.astream_complete("Hi"))
        return [(await AsyncStream(source).final()).text for source in sources]

    model = mock.MockLLM(max_tokens=3)
    sources = (model.stream_chat(asked), model.stream_complete("Hi"))

    assert [HELLO] * 2 == [Stream(source).final().text for source in sources] == asyncio.run(read())


def test_calls_of_a_model_that_answers_in_one_piece_are_whole() -> None:
    def add(a: int = 1) -> int:
        """Add."""
        return a + 1

    model = mock.MockFunctionCallingLLM()
    message = Stream(model.stream_chat_with_tools([tools.FunctionTool.from_defaults(add)], "Hi")).final()

    assert [("add", {"a": 1})] == [(call.name, call.arguments) for call in message.tool_calls]
