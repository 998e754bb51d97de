"""What real servers sent goes back to them: nothing lost, and in a shape that their SDKs would send."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.recordings import SHARED, Recorded, ours, shared
from tests.turns.sdks import accept, attempt
from tokenstream import Decoder
from tokenstream.errors import StreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.message import Message

_APIS = {
    "anthropic": ("anthropic",),
    "bedrock-converse": ("bedrock",),
    "bedrock-invoke": ("anthropic", "bedrock"),
    "cohere": ("cohere",),
    "gemini": ("gemini",),
    "ollama": ("ollama",),
    "openai-chat": ("openai-chat", "mistral"),
    "openai-responses": ("openai-responses",),
}
"""The APIs whose own answers come in a format."""
_DROPPED = {
    "anthropic": {"incomplete", "reasoning"},
    "bedrock": {"incomplete", "reasoning", "server_tool_result", "opaque", "citation"},
    "cohere": {"incomplete", "citation"},
    "gemini": {"incomplete"},
    "mistral": {
        "incomplete",
        "reasoning",
        "refusal",
        "signature",
        "citation",
        "media",
        "server_tool_call",
        "server_tool_result",
        "opaque",
        "custom_tool_call",
    },
    "ollama": {"incomplete"},
    "openai-chat": {"incomplete", "media", "opaque"},
    "openai-responses": {"incomplete"},
}
"""What may have to be left out of an API's own answers, as docs/turns.md says."""
_NEWER_THAN_THE_SDK = {
    # A search names an API as its source, of which the types of openai 3.52 know nothing.
    "openai-responses/resp-openai-pydai-e5cda9b7",
}

_RECORDED = [
    pytest.param(recorded, api, id=f"{recorded.name}-{api}")
    for recorded in [*ours(), *shared()]
    for api in _APIS.get(recorded.format, ())
]


def _messages(recorded: Recorded) -> list[Message]:
    decoder = Decoder(recorded.format)
    try:
        for _ in decoder.feed(recorded.body):
            pass
        for _ in decoder.end():
            pass
        decoder.check()
    except StreamError:
        # What had come until then can be sent, too.
        pass
    return decoder.messages


def _turns(recorded: Recorded, api: str) -> Iterator[Any]:
    for message in _messages(recorded):
        turn, lost = attempt(message, api)
        if lost:
            assert set(lost) <= _DROPPED[api]
            turn, lost = attempt(message, api, drop=tuple(lost))
            assert not lost
        elif lost is not None:
            assert not message.text.strip()
            assert not any(call.complete for call in message.tool_calls)
        if turn is not None:
            yield turn


@pytest.mark.skipif(not SHARED.exists(), reason="the recordings of real servers are not beside the checkout")
def test_the_recordings_of_real_servers_are_found() -> None:
    """The round trip does not pass because there was nothing to send."""
    assert len(_RECORDED) > 400


@pytest.mark.parametrize(("recorded", "api"), _RECORDED)
def test_an_answer_goes_back_to_its_own_api(recorded: Recorded, api: str) -> None:
    """The official SDK takes the turn, and only what is documented has to be left out."""
    for turn in _turns(recorded, api):
        if recorded.name not in _NEWER_THAN_THE_SDK:
            accept(api, turn)


# -- against what was sent, put together in the plainest way -----------------------


def _payloads(recorded: Recorded) -> Iterator[dict[str, Any]]:
    for line in recorded.body.decode("utf-8", "replace").splitlines():
        if line.startswith("data:"):
            try:
                payload = json.loads(line.removeprefix("data:"))
            except ValueError:
                continue
            if isinstance(payload, dict):
                yield payload


def _said(value: Any) -> Any:
    """Return a value without the fields that say nothing."""
    if isinstance(value, dict):
        return {key: _said(inner) for key, inner in value.items() if inner not in (None, "", [], {})}
    return [_said(inner) for inner in value] if isinstance(value, list) else value


def _grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    kind = delta["type"]
    if kind == "text_delta":
        block["text"] += delta["text"]
    elif kind == "thinking_delta":
        block["thinking"] += delta["thinking"]
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]
    elif kind == "input_json_delta":
        block["json"] = block.get("json", "") + delta["partial_json"]
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or []), delta["citation"]]
    else:
        block.update({key: value for key, value in delta.items() if key != "type"})


def _claude_blocks(recorded: Recorded) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for payload in _payloads(recorded):
        if payload.get("type") == "message_start":
            # Calls made by code stand whole in the start.
            blocks += deepcopy(payload["message"].get("content") or [])
        elif payload.get("type") == "content_block_start":
            assert len(blocks) == payload["index"]
            blocks.append(deepcopy(payload["content_block"]))
        elif payload.get("type") == "content_block_delta":
            _grow(blocks[payload["index"]], payload["delta"])
    for block in blocks:
        written = block.pop("json", "")
        if written:
            block["input"] = json.loads(written)
    return [block for block in blocks if block["type"] != "text" or block["text"].strip()]


_WHOLE_CLAUDE = [
    recorded
    for recorded in [*ours(), *shared("anthropic")]
    if recorded.format == "anthropic" and b"message_stop" in recorded.body
]
_CUT_OR_ODD = {
    # The token limit cut a call's arguments.
    "anthropic/anthropic-anthropic-sdk-python-incomplete-partial-json-response-e0e79ee1",
}


@pytest.mark.parametrize("recorded", _WHOLE_CLAUDE, ids=lambda recorded: recorded.name)
def test_anthropic_gets_every_block_back_as_it_sent_it(recorded: Recorded) -> None:
    """Texts, signatures, inputs, results and sources are those of the wire, in their order."""
    if recorded.name in _CUT_OR_ODD:
        return
    expected = _said(_claude_blocks(recorded))
    turns = list(_turns(recorded, "anthropic"))

    assert expected == (_said(turns[0]["content"]) if turns else [])


_ENDS = ("response.completed", "response.incomplete")


def _items_of(recorded: Recorded) -> list[dict[str, Any]]:
    """Return the items of the terminal event; what is encrypted as it stood when its item was done."""
    items: list[dict[str, Any]] = []
    done: dict[int, dict[str, Any]] = {}
    for payload in _payloads(recorded):
        if payload.get("type") == "response.output_item.done" and payload["item"]:
            done[payload["output_index"]] = payload["item"]
        elif payload.get("type") in _ENDS:
            items = payload["response"]["output"] or []
    return [
        # The terminal event encrypts it anew; the documents say that the item's end counts.
        done.get(index, item) if item["type"] in ("reasoning", "compaction") else item
        for index, item in enumerate(items)
    ]


_WHOLE_RESPONSES = [
    recorded
    for recorded in [*ours(), *shared("openai-responses")]
    if recorded.format == "openai-responses" and _items_of(recorded)
]


def _comparable(items: list[dict[str, Any]]) -> Any:
    for item in items:
        for part in item.get("content") or ():
            part.pop("logprobs", None)
    return _said(items)


@pytest.mark.parametrize("recorded", _WHOLE_RESPONSES, ids=lambda recorded: recorded.name)
def test_responses_gets_every_item_back_as_it_sent_it(recorded: Recorded) -> None:
    """Ids, phases, encrypted reasoning, calls and hosted tools are those of the answer's end."""
    (turn,) = _turns(recorded, "openai-responses")
    expected = [
        item
        for item in _items_of(recorded)
        if item["type"] != "function_call" or item["status"] == "completed"
    ]

    assert _comparable(expected) == _comparable(turn)


def _signatures(value: Any) -> Iterator[str]:
    """Give every signature in a JSON value, in order."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("thoughtSignature", "thought_signature") and isinstance(inner, str):
                yield inner
            else:
                yield from _signatures(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _signatures(inner)


def _is_signed(body: bytes) -> bool:
    return b"thoughtSignature" in body or b"thought_signature" in body


_GEMINI = [
    recorded
    for recorded in [*ours(), *shared("gemini-sse")]
    if recorded.format == "gemini" and _is_signed(recorded.body)
]


@pytest.mark.parametrize("recorded", _GEMINI, ids=lambda recorded: recorded.name)
def test_gemini_gets_every_signature_back(recorded: Recorded) -> None:
    """Each of them, in its order; a next turn without one is refused."""
    sent = [
        signature for payload in _payloads(recorded) for signature in _signatures(payload.get("candidates"))
    ]

    assert sent == [signature for turn in _turns(recorded, "gemini") for signature in _signatures(turn)]
