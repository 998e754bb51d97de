"""Answers as OpenAI sends them, and Mistral."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.compare.benchmarks.shapes import Event, Payload, Shape, alone, code, letters, named, nameless
from tests.support.wire import DONE

if TYPE_CHECKING:
    import random

_ITEM = "msg_059e023db00a851000691f2a73e17081948d7803eaad776686"
_RESPONSE: Payload = {
    "id": "resp_059e023db00a851000691f2a72a8e481949e1e12ae6dd9ea2e",
    "object": "response",
    "created_at": 1763650163,
    "status": "in_progress",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "model": "gpt-5.1-2025-11-13",
    "output": [],
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "usage": None,
}
_RESPONSE_USAGE: Payload = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 99,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 110,
}


def _response(kind: str, number: int, **fields: Any) -> Event:
    return kind, {"type": kind, "sequence_number": number, **fields}


def _responses_delta(number: int, text: str, source: random.Random) -> Event:
    place = {"item_id": _ITEM, "output_index": 0, "content_index": 0}
    # OpenAI fills each text up to sixteen characters, so that its length tells little.
    hidden = code(source, 16 - len(text) % 16)
    return _response(
        "response.output_text.delta", number + 4, **place, delta=text, logprobs=[], obfuscation=hidden
    )


def _responses_item(status: str) -> Payload:
    return {"id": _ITEM, "type": "message", "status": status, "content": [], "role": "assistant"}


RESPONSES = Shape(
    "openai-responses",
    named,
    _responses_delta,
    (
        _response("response.created", 0, response=_RESPONSE),
        _response("response.in_progress", 1, response=_RESPONSE),
        _response("response.output_item.added", 2, output_index=0, item=_responses_item("in_progress")),
        _response(
            "response.content_part.added",
            3,
            item_id=_ITEM,
            output_index=0,
            content_index=0,
            part={"type": "output_text", "annotations": [], "logprobs": [], "text": ""},
        ),
    ),
    (
        _response("response.output_item.done", 99_998, output_index=0, item=_responses_item("completed")),
        _response(
            "response.completed",
            99_999,
            response={**_RESPONSE, "status": "completed", "usage": _RESPONSE_USAGE},
        ),
    ),
)


def _completion(text: str, finish: str | None = None) -> Event:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return "", {
        "id": "cmpl-9fXkQmBv4TzLr2WnYs7HdJc1",
        "object": "text_completion",
        "created": 1794700000,
        "model": "gpt-3.5-turbo-instruct:20230824-v2",
        "choices": [choice],
        "usage": None,
    }


COMPLETIONS = Shape(
    "openai-completions",
    nameless,
    lambda _, text, __: _completion(text),
    tail=(_completion("", "stop"),),
    last=DONE,
)

_SPOKEN: Payload = {"response_id": "resp_UCsMehGAkWvj7FAc9QeWJ", "output_index": 0}


def _realtime(kind: str, **fields: Any) -> Event:
    return kind, {"type": kind, "event_id": "event_8oOOL8dKLzdocJ2isAjIh", **fields}


def _realtime_delta(_: int, text: str, source: random.Random) -> Event:
    kind = "response.output_text.delta"
    return kind, {
        "type": kind,
        "event_id": f"event_{code(source, 21)}",
        "response_id": _SPOKEN["response_id"],
        "item_id": "item_KtJ0RlgLKOmxgJTeKdNnF",
        "output_index": 0,
        "content_index": 0,
        "delta": text,
        "obfuscation": code(source, 16 - len(text) % 16),
    }


_REALTIME_RESPONSE: Payload = {"object": "realtime.response", "id": _SPOKEN["response_id"], "output": []}
_REALTIME_ITEM: Payload = {
    "id": "item_KtJ0RlgLKOmxgJTeKdNnF",
    "object": "realtime.item",
    "type": "message",
    "status": "in_progress",
    "role": "assistant",
    "content": [],
}
REALTIME = Shape(
    "openai-realtime",
    alone,
    _realtime_delta,
    (
        _realtime("response.created", response={**_REALTIME_RESPONSE, "status": "in_progress"}),
        _realtime("response.output_item.added", **_SPOKEN, item=_REALTIME_ITEM),
        _realtime(
            "response.content_part.added",
            **_SPOKEN,
            item_id=_REALTIME_ITEM["id"],
            content_index=0,
            part={"type": "text", "text": ""},
        ),
    ),
    (
        _realtime("response.output_item.done", **_SPOKEN, item={**_REALTIME_ITEM, "status": "completed"}),
        _realtime("response.done", response={**_REALTIME_RESPONSE, "status": "completed", "usage": None}),
    ),
)

LIVE = Shape(
    "openai-live",
    alone,
    lambda _, text, __: _realtime("session.output_transcript.delta", delta=text),
    (_realtime("session.started", session={"id": "live_1", "model": "gpt-live-1", "status": "active"}),),
    (_realtime("session.closed", reason="close_requested", usage={"seconds": 9}),),
)


def _mistral(delta: Payload, finish: str | None, source: random.Random | None) -> Event:
    payload = {
        "id": "6dc321029f5d4aa5899c1b38c9657a61",
        "object": "chat.completion.chunk",
        "created": 1757759492,
        "model": "mistral-medium-2508",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return "", payload if source is None else {**payload, "p": letters(source, 36)}


MISTRAL = Shape(
    "mistral",
    nameless,
    lambda _, text, source: _mistral({"content": text}, None, source),
    (_mistral({"role": "assistant", "content": ""}, None, None),),
    (_mistral({"content": ""}, "stop", None),),
    DONE,
)


SHAPES = {
    "openai-chat, Mistral": MISTRAL,
    "openai-responses": RESPONSES,
    "openai-completions": COMPLETIONS,
    "openai-realtime, messages": REALTIME,
    "openai-live, messages": LIVE,
}
"""The shapes of answers, by their names in the tables."""
