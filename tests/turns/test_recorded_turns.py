"""What real servers sent goes back to them: nothing lost, and in a shape that their SDKs would send."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from struct import unpack
from typing import Any

import pytest

from tests.support.beside import needs_recordings
from tests.support.recordings import Recorded, ours, shared
from tests.turns.sdks import METHODS, accept, attempt
from tokenstream import Decoder, Message
from tokenstream.errors import StreamError

_APIS = {
    "anthropic": ("anthropic",),
    "bedrock-converse": ("bedrock",),
    "bedrock-invoke": ("anthropic", "bedrock"),
    "cohere": ("cohere",),
    "gemini": ("gemini",),
    "gemini-live": ("gemini",),
    "ollama": ("ollama",),
    "openai-chat": ("openai-chat",),
    "openai-responses": ("openai-responses",),
}
"""The APIs whose own answers come in a format."""
_DROPPED = {
    "anthropic": {"incomplete", "reasoning"},
    "bedrock": {"incomplete", "reasoning", "server_tool_call", "server_tool_result", "opaque", "citation"},
    "cohere": {"incomplete", "citation"},
    "gemini": {"incomplete"},
    "mistral": {"incomplete"},
    "ollama": {"incomplete"},
    "openai-chat": {"incomplete", "media", "opaque"},
    "openai-responses": {"incomplete"},
}
"""Kinds of parts that may have to be left out of an API's own answers, as docs/guides/turns.md says."""
_NEWER_THAN_THE_SDK = {
    # A search names an API as its source, of which the types of openai 3.52 know nothing.
    "openai-responses/resp-openai-pydai-e5cda9b7"
}

_RECORDED = [*ours(), *shared()]


def _apis_of(recorded: Recorded) -> tuple[str, ...]:
    # The conversations of Mistral are another API, to which no turns are sent.
    is_mistral = "mistral" in recorded.name and recorded.format != "mistral-conversations"
    more = ("mistral",) if is_mistral else ()
    return (*_APIS.get(recorded.format, ()), *more)


def _all(format: str) -> list[Recorded]:
    return [recorded for recorded in _RECORDED if recorded.format == format]


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


def _faults(recordings: list[Recorded], check: Callable[[Recorded], None]) -> dict[str, str]:
    faults: dict[str, str] = {}
    for recorded in recordings:
        try:
            check(recorded)
        except (AssertionError, ValueError) as fault:
            faults[recorded.name] = f"{type(fault).__name__}: {fault}"
    return faults


@needs_recordings
def test_the_recordings_of_real_servers_are_found() -> None:
    """The round trip does not pass because there was nothing to send."""
    assert len(_RECORDED) > 800


@pytest.mark.parametrize("api", _DROPPED)
def test_every_answer_goes_back_to_its_own_api(api: str) -> None:
    """The official SDK takes each turn, and only what is documented has to be left out."""

    def check(recorded: Recorded) -> None:
        for turn in _turns(recorded, api):
            if recorded.name not in _NEWER_THAN_THE_SDK:
                accept(api, turn)

    assert {} == _faults([recorded for recorded in _RECORDED if api in _apis_of(recorded)], check)


@pytest.mark.parametrize("format", _APIS)
def test_a_message_that_was_stored_gives_the_same_turns(format: str) -> None:
    def check(recorded: Recorded) -> None:
        for message in _messages(recorded):
            stored = Message.model_validate_json(message.model_dump_json())
            for api in METHODS:
                assert attempt(message, api) == attempt(stored, api)

    assert {} == _faults(_all(format), check)


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


_CUT = {
    # The token limit cut a call's arguments.
    "anthropic/anthropic-anthropic-sdk-python-incomplete-partial-json-response-e0e79ee1"
}


def test_anthropic_gets_every_block_back_as_it_sent_it() -> None:
    def check(recorded: Recorded) -> None:
        turns = list(_turns(recorded, "anthropic"))

        assert _said(_claude_blocks(recorded)) == (_said(turns[0]["content"]) if turns else [])

    whole = [recorded for recorded in _all("anthropic") if b"message_stop" in recorded.body]
    assert {} == _faults([recorded for recorded in whole if recorded.name not in _CUT], check)


_ENDS = ("response.completed", "response.incomplete")


def _items_of(recorded: Recorded) -> list[dict[str, Any]]:
    """Return the items of the terminal event; what is encrypted as it stood when its item was done."""
    items: list[dict[str, Any]] = []
    done: dict[int, dict[str, Any]] = {}
    for payload in _payloads(recorded):
        if payload.get("type") == "response.output_item.done" and payload["item"]:
            # A server that sends no index has ended its items in their order.
            done[payload.get("output_index", len(done))] = payload["item"]
        elif payload.get("type") in _ENDS:
            items = payload["response"]["output"] or []
    return [
        # The terminal event encrypts it anew; the documents say that the item's end counts.
        done.get(index, item) if item["type"] in ("reasoning", "compaction") else item
        for index, item in enumerate(items)
    ]


def _comparable(items: list[dict[str, Any]]) -> Any:
    for item in items:
        for part in item.get("content") or ():
            part.pop("logprobs", None)
    return _said(items)


def _sendable(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out calls that were cut, and the reasoning that led to them or to nothing."""
    whole = [item for item in items if item["type"] != "function_call" or item["status"] == "completed"]
    while whole and whole[-1]["type"] == "reasoning":
        whole.pop()
    return whole


@pytest.mark.not_quick
def test_responses_gets_every_item_back_as_it_sent_it() -> None:
    """Ids, phases, encrypted reasoning, calls and hosted tools are those of the answer's end."""

    def check(recorded: Recorded) -> None:
        turns = list(_turns(recorded, "openai-responses"))

        assert _comparable(_sendable(_items_of(recorded))) == (_comparable(turns[0]) if turns else [])

    assert {} == _faults([recorded for recorded in _all("openai-responses") if _items_of(recorded)], check)


def _sent_parts(recorded: Recorded) -> Iterator[dict[str, Any]]:
    for payload in _payloads(recorded):
        for candidate in (payload.get("candidates") or ())[:1]:
            yield from (candidate.get("content") or {}).get("parts") or ()


def _joined(parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join text with text: it goes on until a signature or another kind comes."""
    joined: list[dict[str, Any]] = []
    for part in parts:
        before = joined[-1] if joined else {}
        if part.keys() in ({"text"}, {"text", "thought"}) and part.keys() == before.keys():
            before["text"] += part["text"]
        elif any(part.values()):
            joined.append(deepcopy(part))
    return joined


def _is_plain(recorded: Recorded) -> bool:
    """Tell whether a recording is one answer of generateContent, without arguments in pieces."""
    odd = (b"willContinue", b"thought_signature", b'"index": 1')
    return b"data:" in recorded.body and not any(word in recorded.body for word in odd)


def test_gemini_gets_every_part_back_as_it_sent_it() -> None:
    """Signatures above all, each on the part that it came on; a next turn without one is refused."""

    def check(recorded: Recorded) -> None:
        turns = list(_turns(recorded, "gemini"))
        sent = _joined(_sent_parts(recorded))

        assert _said(sent) == (_said(_joined(turns[0]["parts"])) if turns else [])

    assert {} == _faults([recorded for recorded in _all("gemini") if _is_plain(recorded)], check)


def _messages_of_aws(body: bytes) -> Iterator[dict[str, Any]]:
    while body:
        total, headers = unpack(">II", body[:8])
        yield json.loads(body[12 + headers : total - 4])
        body = body[total:]


def _grow_block(block: dict[str, Any], delta: dict[str, Any]) -> None:
    (name, value), *_ = delta.items()
    if name == "text":
        block["text"] = block.get("text", "") + value
    elif name == "reasoningContent":
        block.setdefault("reasoning", {"text": "", "signature": ""})
        block["reasoning"] = {key: text + value.get(key, "") for key, text in block["reasoning"].items()}
    elif name == "toolUse":
        block["toolUse"]["input"] = block["toolUse"].get("input", "") + value["input"]
    else:
        block.setdefault(name, []).append(value)


def _bedrock_block(block: dict[str, Any]) -> dict[str, Any]:
    if "reasoning" in block:
        return {"reasoningContent": {"reasoningText": block["reasoning"]}}
    if "toolUse" in block:
        call = block["toolUse"]
        written = {"input": json.loads(call.get("input") or "{}")}
        return {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"], **written}}
    if "citation" in block:
        content = [{"text": block["text"]}]
        return {"citationsContent": {"content": content, "citations": block["citation"]}}
    return block


def _bedrock_blocks(recorded: Recorded) -> list[dict[str, Any]]:
    blocks: dict[int, dict[str, Any]] = {}
    for payload in _messages_of_aws(recorded.body):
        if "contentBlockIndex" in payload:
            block = blocks.setdefault(payload["contentBlockIndex"], deepcopy(payload.get("start", {})))
            if "delta" in payload:
                _grow_block(block, payload["delta"])
    return [_bedrock_block(block) for block in blocks.values() if block.get("text", "x").strip()]


def test_bedrock_gets_every_block_back_as_it_sent_it() -> None:
    def check(recorded: Recorded) -> None:
        (turn,) = _turns(recorded, "bedrock")

        assert _said(_bedrock_blocks(recorded)) == _said(turn["content"])

    found = [recorded for recorded in _all("bedrock-converse") if b"toolResult" not in recorded.body]
    assert {} == _faults(found, check)


_PROOFS = ("signature", "thought_signature", "data")


def _proofs(value: Any) -> Iterator[str]:
    """Give every signature and piece of encrypted reasoning in a JSON value, in order."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _PROOFS and isinstance(inner, str) and inner:
                yield inner
            elif key != "audio":
                yield from _proofs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _proofs(inner)


def _deltas(recorded: Recorded) -> Iterator[Any]:
    for payload in _payloads(recorded):
        for choice in payload.get("choices") or ():
            yield choice.get("delta")


def test_chat_gets_every_proof_of_reasoning_back() -> None:
    """Signatures and encrypted reasoning are those of the deltas, byte for byte, in their order."""

    def check(recorded: Recorded) -> None:
        sent = [proof for delta in _deltas(recorded) for proof in _proofs(delta)]

        assert sent == [proof for turn in _turns(recorded, "openai-chat") for proof in _proofs(turn)]

    signed = (b'"signature"', b"thought_signature", b"reasoning.encrypted")
    found = [recorded for recorded in _all("openai-chat") if any(word in recorded.body for word in signed)]
    assert {} == _faults(found, check)
