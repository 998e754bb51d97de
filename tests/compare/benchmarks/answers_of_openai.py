"""Answers as OpenAI sends them, and Mistral."""

from __future__ import annotations

import random
from typing import Any

from tests.compare.benchmarks.shapes import Event, Payload, Shape, alone, code, letters, named, nameless
from tests.support.wire import DONE, bytes_of

_CHAT_ID = "chatcmpl-u8jzPde0IgxLd6GncfBAepfJBd0Kh"


def _chat(text: str, source: random.Random) -> Event:
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    shape = {
        "id": _CHAT_ID,
        "object": "chat.completion.chunk",
        "created": 1778089090,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_560af6e559",
        "choices": [choice],
        "usage": None,
        "obfuscation": "",
    }
    # OpenAI fills each line up to a length of 7 modulo 16, so that it tells little of the token.
    missing = (7 - len(b"data: " + bytes_of(shape))) % 16
    return "", {**shape, "obfuscation": code(source, missing)}


CHAT = Shape(
    "openai-chat", nameless, lambda _, text, source: _chat(text, source), ids={"chatcmpl-1": _CHAT_ID}
)

_ITEM = "msg_059e023db00a851000691f2a73e17081948d7803eaad776686"


def _responses_delta(number: int, text: str, source: random.Random) -> Event:
    place = {"item_id": _ITEM, "output_index": 0, "content_index": 0}
    # OpenAI fills each text up to sixteen characters, so that its length tells little.
    hidden = code(source, 16 - len(text) % 16)
    kind = "response.output_text.delta"
    head = {"type": kind, "sequence_number": number + 4}
    return kind, {**head, **place, "delta": text, "logprobs": [], "obfuscation": hidden}


RESPONSES = Shape("openai-responses", named, _responses_delta, ids={"msg_1": _ITEM})


_COMPLETION = "cmpl-9fXkQmBv4TzLr2WnYs7HdJc1"


def _completion(text: str) -> Event:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": None}
    return "", {
        "id": _COMPLETION,
        "object": "text_completion",
        "created": 1794700000,
        "model": "gpt-3.5-turbo-instruct:20230824-v2",
        "choices": [choice],
        "usage": None,
    }


COMPLETIONS = Shape(
    "openai-completions", nameless, lambda _, text, __: _completion(text), ids={"cmpl-1": _COMPLETION}
)


def _realtime(kind: str, **fields: Any) -> Event:
    return kind, {"type": kind, "event_id": "event_8oOOL8dKLzdocJ2isAjIh", **fields}


_REALTIME_IDS = {"resp_1": "resp_UCsMehGAkWvj7FAc9QeWJ", "item_1": "item_KtJ0RlgLKOmxgJTeKdNnF"}


def _realtime_delta(_: int, text: str, source: random.Random) -> Event:
    kind = "response.output_text.delta"
    return kind, {
        "type": kind,
        "event_id": f"event_{code(source, 21)}",
        "response_id": _REALTIME_IDS["resp_1"],
        "item_id": _REALTIME_IDS["item_1"],
        "output_index": 0,
        "content_index": 0,
        "delta": text,
        "obfuscation": code(source, 16 - len(text) % 16),
    }


REALTIME = Shape("openai-realtime", alone, _realtime_delta, ids=_REALTIME_IDS)

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
