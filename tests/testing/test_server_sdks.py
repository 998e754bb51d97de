"""The providers' own SDKs, pointed at the replay server, read the demo's recordings as we do."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from tests.support.packages import needed
from tests.support.replies import at_once, serve_in_time
from tokenstream import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.testing import Recording, Server

# Importing an SDK takes seconds on a busy machine.


def _recorded(name: str) -> Recording:
    return at_once(files("tokenstream.cli").joinpath("recordings", name).read_bytes())


@pytest.fixture
def server() -> Iterator[Server]:
    replies = {
        "/v1/chat/completions": _recorded("openai-chat.sse"),
        "/v1/messages": _recorded("anthropic.sse"),
    }
    with serve_in_time(replies) as running:
        yield running


def test_openai_reads_the_same_answer(server: Server) -> None:
    """Text, calls, usage and finish reason agree, through the SDK's own accumulator."""
    openai = needed("openai")
    asked = [{"role": "user", "content": "Why?"}]
    with (
        openai.OpenAI(api_key="made-up", base_url=f"{server.url}/v1", max_retries=0) as client,
        client.chat.completions.stream(
            model="demo-1",
            messages=asked,
            stream_options={"include_usage": True},
        ) as theirs,
    ):
        answer = theirs.get_final_completion()
    with connect(f"{server.url}/v1/chat/completions") as stream:
        ours = stream.final()
    choice = answer.choices[0]
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls]

    assert choice.message.content == ours.text
    assert calls == [(call.id, call.name, call.arguments_text) for call in ours.tool_calls]
    assert choice.finish_reason == ours.raw_finish_reason
    assert answer.usage.completion_tokens == ours.usage.output_tokens


def test_anthropic_reads_the_same_answer(server: Server) -> None:
    """Reasoning with its signature, text, call, usage and finish reason agree."""
    anthropic = needed("anthropic")
    with (
        anthropic.Anthropic(api_key="made-up", base_url=server.url, max_retries=0) as client,
        client.messages.stream(
            model="demo-2", max_tokens=1024, messages=[{"role": "user", "content": "What may I keep?"}]
        ) as theirs,
    ):
        answer = theirs.get_final_message()
    with connect(f"{server.url}/v1/messages") as stream:
        ours = stream.final()
    thinking, text, call = answer.content
    reasoning = ours.parts[0]

    assert reasoning.kind == "reasoning"
    assert (thinking.thinking, thinking.signature) == (reasoning.text, reasoning.signature)
    assert text.text == ours.text
    assert [(call.id, call.name, call.input)] == [
        (ours.id, ours.name, ours.arguments) for ours in ours.tool_calls
    ]
    assert answer.stop_reason == ours.raw_finish_reason
    assert answer.usage.output_tokens == ours.usage.output_tokens


def test_the_sdks_find_the_request_id_where_they_look_for_it(server: Server) -> None:
    """OpenAI's is `x-request-id`, Anthropic's `request-id`."""
    anthropic = needed("anthropic")
    with anthropic.Anthropic(api_key="made-up", base_url=server.url, max_retries=0) as client:
        raw = client.messages.with_raw_response.create(
            model="demo-2", max_tokens=8, stream=True, messages=[{"role": "user", "content": "Hello"}]
        )
        raw.http_response.read()

        assert "req_0000000000000001" == raw.request_id
