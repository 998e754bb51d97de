"""Answers in every format: what opens them, text deltas as servers send them, and what ends them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.compare.benchmarks import answers_of_google, answers_of_openai, answers_of_others
from tests.compare.benchmarks.bodies import ALPHABET, tokens
from tests.compare.benchmarks.shapes import Answer, Shape
from tests.support.wire import DONE, bytes_of, sse


def _of_objects(name: str, count: int) -> Answer:
    """Return the payloads of an answer as an SDK hands them over, decoded already."""
    made = ANSWERS[name.partition(",")[0]](name, count)

    def decoded(chunks: Sequence[bytes]) -> list[Any]:
        lines = [line for chunk in chunks for line in chunk.splitlines()]
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]

    head, deltas, tail = map(decoded, (made.head, made.deltas, made.tail))
    return Answer(name, made.format, head, deltas, [], tail, made.text)


def _of_text(name: str, count: int) -> Answer:
    texts = tokens(count)
    return Answer(name, name, [], [sse(text) for text in texts], [], [DONE], "".join(texts))


def _of_pieces(name: str, count: int) -> Answer:
    texts = tokens(count)
    return Answer(name, name, [], texts, [], [], "".join(texts))


def _of(shapes: dict[str, Shape]) -> dict[str, Callable[[str, int], Answer]]:
    return {name: shape.answer for name, shape in shapes.items()}


ANSWERS: dict[str, Callable[[str, int], Answer]] = {
    "openai-chat": answers_of_openai.CHAT.answer,
    "openai-chat, objects": _of_objects,
    **_of(answers_of_openai.SHAPES),
    "anthropic": answers_of_others.ANTHROPIC.answer,
    "anthropic, objects": _of_objects,
    **_of(answers_of_google.SHAPES),
    "gemini, JSON array": answers_of_google.gemini_array,
    **_of(answers_of_others.SHAPES),
    "text": _of_text,
    "pieces": _of_pieces,
}


def chat_event() -> bytes:
    """Return a text delta of OpenAI's chat that is 256 bytes long: what others are compared with."""
    choice = {"index": 0, "delta": {"content": " stream"}, "logprobs": None, "finish_reason": None}
    event = {
        "id": "chatcmpl-u8jzPde0IgxLd6GncfBAepfJBd0Kh",
        "object": "chat.completion.chunk",
        "created": 1778089090,
        "model": "gpt-4o-2024-08-06",
        "choices": [choice],
        "usage": None,
        "obfuscation": "",
    }
    hidden = ALPHABET[: 256 - len(bytes_of(event))]
    return bytes_of({**event, "obfuscation": hidden})
