"""The providers' own SDKs, reading the same bytes, agree with us on what follows their documents."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.packages import needed
from tests.support.reading import read
from tests.support.recordings import Recorded, of_the_demo, ours
from tests.support.tables import in_one_test

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from tokenstream.message import Message

httpx2: Any = needed("httpx2")
openai: Any = needed("openai")
anthropic: Any = needed("anthropic")


def _uncut() -> list[Recorded]:
    """Return our recordings and the demo's, without what was cut on purpose."""
    found = ours()
    for path in of_the_demo():
        body = path.read_bytes()
        reading = read([body])
        if reading.error is None and reading.format is not None:
            found.append(Recorded(f"demo/{path.stem}", reading.format, body, {}))
    return found


_UNCUT = _uncut()
_CHAT = [recorded for recorded in _UNCUT if recorded.format == "openai-chat"]
_CLAUDE = [recorded for recorded in _UNCUT if recorded.format == "anthropic"]


@dataclass
class Told:
    """What one reader says of one choice, in plain values."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: list[tuple[str, str, Any]] = field(default_factory=list)
    finish: str | None = None
    id: str | None = None
    model: str | None = None
    usage: dict[str, int | None] = field(default_factory=dict)


def _by_us(message: Message) -> Told:
    usage = message.usage
    return Told(
        text=message.text,
        reasoning=message.reasoning,
        refusal=message.refusal,
        tool_calls=[(call.id, call.name, call.arguments) for call in message.tool_calls],
        finish=message.raw_finish_reason,
        id=message.id,
        model=message.model,
        usage={}
        if not usage
        else {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached": usage.cached_tokens,
            "reasoning": usage.reasoning_tokens,
        },
    )


def _messages(recorded: Recorded) -> dict[int, Told]:
    return {message.choice: _by_us(message) for message in read([recorded.body]).messages}


@contextlib.contextmanager
def _transport(body: bytes) -> Generator[Any]:
    """Give an HTTP client that answers every request with these bytes, out of memory."""

    def answer(request: Any) -> Any:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(body), request=request)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        yield client


@contextlib.contextmanager
def _openai(body: bytes) -> Generator[Any]:
    with _transport(body) as http:
        yield openai.OpenAI(api_key="k", base_url="http://sdk.test/v1", max_retries=0, http_client=http)


def _openai_usage(usage: Any) -> dict[str, int | None]:
    if usage is None:
        return {}
    inputs, outputs = usage.prompt_tokens_details, usage.completion_tokens_details
    return {
        "input": usage.prompt_tokens,
        "output": usage.completion_tokens,
        "cached": None if inputs is None else inputs.cached_tokens,
        "reasoning": None if outputs is None else outputs.reasoning_tokens,
    }


def _reasoning_in(said: Any) -> str:
    """Return the reasoning in a delta or a message; its field is one that the SDK only passes on."""
    texts = (getattr(said, name, None) for name in ("reasoning_content", "reasoning"))
    return next((text for text in texts if text), "")


def _fold(chunks: Iterable[Any]) -> dict[int, Told]:
    """Add up the SDK's chunks as its documents show it: by hand, in a loop."""
    told: dict[int, Told] = {}
    arguments: dict[tuple[int, int], list[str]] = {}
    usage: dict[str, int | None] = {}
    for chunk in chunks:
        usage = _openai_usage(chunk.usage) or usage
        for choice in chunk.choices:
            one = told.setdefault(choice.index, Told(id=chunk.id, model=chunk.model))
            delta = choice.delta
            one.text += delta.content or ""
            one.refusal += delta.refusal or ""
            one.reasoning += _reasoning_in(delta)
            one.finish = choice.finish_reason or one.finish
            for call in delta.tool_calls or ():
                if call.id:
                    arguments[choice.index, call.index] = [call.id, call.function.name, ""]
                arguments[choice.index, call.index][2] += call.function.arguments or ""
    for (index, _), (id_, name, text) in arguments.items():
        told[index].tool_calls.append((id_, name, json.loads(text or "{}")))
    for one in told.values():
        one.usage = usage
    return told


def _of_completion(completion: Any) -> dict[int, Told]:
    return {
        choice.index: Told(
            text=choice.message.content or "",
            reasoning=_reasoning_in(choice.message),
            refusal=choice.message.refusal or "",
            tool_calls=[
                (call.id, call.function.name, json.loads(call.function.arguments or "{}"))
                for call in choice.message.tool_calls or ()
            ],
            finish=choice.finish_reason,
            id=completion.id,
            model=completion.model,
            usage=_openai_usage(completion.usage),
        )
        for choice in completion.choices
    }


def _of_message(message: Any) -> Told:
    usage = message.usage
    details = getattr(usage, "output_tokens_details", None)
    return Told(
        text="".join([block.text for block in message.content if block.type == "text"]),
        reasoning="".join([block.thinking for block in message.content if block.type == "thinking"]),
        tool_calls=[
            (block.id, block.name, block.input) for block in message.content if block.type == "tool_use"
        ],
        finish=message.stop_reason,
        id=message.id,
        model=message.model,
        usage={
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached": usage.cache_read_input_tokens,
            "reasoning": None if details is None else details.thinking_tokens,
        },
    )


def _name(recorded: Recorded) -> str:
    return recorded.name


@pytest.mark.parametrize("recorded", _CHAT, ids=_name)
def test_the_chunks_of_openai_add_up_to_our_message(recorded: Recorded) -> None:
    """`create(stream=True)`, added up in the loop that its documents show, gives what we give."""
    with _openai(recorded.body) as client:
        chunks = list(client.chat.completions.create(model="m", messages=[], stream=True))

    assert _fold(chunks) == _messages(recorded)


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("recorded", _CHAT, ids=_name)
def test_the_final_completion_of_openai_is_our_message(recorded: Recorded) -> None:
    """`.stream()` gives what we give; where it refuses to, its own snapshot does.

    An answer that ends with `length` or `content_filter` is an error there, an ending here.
    """
    refusals = (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError)
    with _openai(recorded.body) as client, client.chat.completions.stream(model="m", messages=[]) as stream:
        try:
            completion = stream.get_final_completion()
        except refusals:
            completion = stream.current_completion_snapshot

    assert _of_completion(completion) == _messages(recorded)


@in_one_test("recorded", _CLAUDE, ids=_name)
def test_the_final_message_of_anthropic_is_our_message(recorded: Recorded) -> None:
    """`.stream()` gives the text, thinking, calls, usage and stop reason that we give."""
    with _transport(recorded.body) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://sdk.test", max_retries=0, http_client=http)
        with client.messages.stream(model="claude-sonnet-4-6", messages=[], max_tokens=9) as stream:
            final = stream.get_final_message()

    assert {0: _of_message(final)} == _messages(recorded)


@in_one_test("recorded", _CLAUDE, ids=_name)
def test_the_blocks_of_anthropic_are_our_parts(recorded: Recorded) -> None:
    """Each block of the SDK's message is a part of ours, in that order, with its citations and signature."""
    with _transport(recorded.body) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://sdk.test", max_retries=0, http_client=http)
        with client.messages.stream(model="claude-sonnet-4-6", messages=[], max_tokens=9) as stream:
            final = stream.get_final_message()
    message = read([recorded.body]).message
    assert message is not None
    kinds = {
        "text": "text",
        "thinking": "reasoning",
        "redacted_thinking": "reasoning",
        "tool_use": "tool_call",
        "server_tool_use": "server_tool_call",
        "web_search_tool_result": "server_tool_result",
    }

    assert [kinds[block.type] for block in final.content] == [
        part.kind for part in message.parts if part.kind != "citation"
    ]
    assert [
        (citation.url, citation.cited_text)
        for block in final.content
        for citation in getattr(block, "citations", None) or ()
    ] == [(citation.url, citation.text) for citation in message.citations]
    signed = [block for block in final.content if block.type == "thinking" and block.signature]
    assert [block.signature for block in signed] == [
        part.signature for part in message.parts if part.kind == "reasoning" and part.signature is not None
    ]
