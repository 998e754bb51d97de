"""Bodies as servers send them, made from a seed, with the text that they hold."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.wire import DONE, bytes_of, sse

if TYPE_CHECKING:
    from collections.abc import Callable

_COMMON = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an "
    "they which one you were all her she there would their we him been has when who will no more if out so "
    "said what up its about into than them can only other time new some could these two may first then do"
)
_SUBWORDS = [
    "ing",
    "ization",
    "er",
    "un",
    "ly",
    "tion",
    "ness",
    "ment",
    "s",
    "ed",
    "able",
    " Stream",
    " token",
]
_MARKS = [".", ",", ".", ",", ":", ";", "!", "?", " (", ")", " -", " **", "**", "`", " =", "()", " {", "}"]
_LINES = ["\n", "\n\n", ".\n\n", ":\n\n", "\n    ", "\n- "]
_QUOTES = [' "', '"', '",', '":', ' ["', "\\n", "\\", '\\"']
_ACCENTS = ["é", " naïve", " für", " año", "’s", " –", "…", " “", "”", " Größe"]
_FAR = ["日本", "語", "。", " 東京", "了", " мир", "ать"]
_ASTRAL = [" 🙂", "🎉", " 🚀"]
# Of a thousand tokens of prose with a little code, so many are of each kind.
_KINDS = [
    (_SUBWORDS, 150),
    (_MARKS, 140),
    (_LINES, 35),
    (_QUOTES, 30),
    (_ACCENTS, 20),
    (_FAR, 12),
    (_ASTRAL, 3),
]

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event's bytes on the wire, and the payload in it; None where that is no JSON."""

    wire: bytes
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class Body:
    """An answer as it comes over the wire."""

    format: Any
    chunks: list[bytes]
    payloads: list[bytes]
    text: str


def tokens(count: int, seed: int = 0) -> list[str]:
    """Return `count` pieces of text of the kinds and lengths that models send."""
    source = random.Random(seed)
    words = [f" {word}" for word in _COMMON.split()]
    names, weights = [words, *(kind[0] for kind in _KINDS)], [1000 - sum(w for _, w in _KINDS)]
    weights += [weight for _, weight in _KINDS]
    return [source.choice(source.choices(names, weights)[0]) for _ in range(count)]


def _body(format: str, chunks: list[Chunk], text: str) -> Body:
    payloads = [chunk.payload for chunk in chunks if chunk.payload is not None]
    return Body(format, [chunk.wire for chunk in chunks], payloads, text)


def _openai_chunk(source: random.Random, choices: list[Any], usage: object = None) -> Chunk:
    shape = {
        "id": "chatcmpl-u8jzPde0IgxLd6GncfBAepfJBd0Kh",
        "object": "chat.completion.chunk",
        "created": 1778089090,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_560af6e559",
        "choices": choices,
        "usage": usage,
        "obfuscation": "",
    }
    # OpenAI fills each line up to a length of 7 modulo 16, so that it tells little of the token.
    missing = (7 - len(b"data: " + bytes_of(shape))) % 16
    shape["obfuscation"] = "".join(source.choices(ALPHABET, k=missing))
    payload = bytes_of(shape)
    return Chunk(sse(payload.decode()), payload)


def openai_chat(count: int, seed: int = 0) -> Body:
    """Return a chat completion of `count` pieces of text, key for key as OpenAI sends it."""
    texts, source = tokens(count, seed), random.Random(seed)

    def said(delta: dict[str, Any], finish: str | None = None) -> Chunk:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _openai_chunk(source, [choice])

    usage = {
        "prompt_tokens": 171,
        "completion_tokens": count,
        "total_tokens": 171 + count,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    chunks = [
        said({"role": "assistant", "content": "", "refusal": None}),
        *[said({"content": text}) for text in texts],
        said({}, "stop"),
        _openai_chunk(source, [], usage),
        Chunk(DONE, None),
    ]
    return _body("openai-chat", chunks, "".join(texts))


def anthropic(count: int, seed: int = 0) -> Body:
    """Return a message of `count` pieces of text as Anthropic sends it: names, pings, padding."""
    source = random.Random(seed)

    def sent(kind: str, fields: dict[str, Any]) -> Chunk:
        payload = bytes_of({"type": kind, **fields})
        padded = payload[:-1] + b" " * source.randrange(16) + b"}"
        return Chunk(sse(padded.decode(), event=kind), padded)

    usage = {"input_tokens": 450, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    message: dict[str, Any] = {
        "id": "msg_0CsTy4Qwb8DwkNhFdnXsiVpz",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-20250514",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1, "service_tier": "standard"},
    }
    texts = tokens(count, seed)
    ping = Chunk(sse('{"type": "ping"}', event="ping"), b'{"type": "ping"}')
    chunks = [
        sent("message_start", {"message": message}),
        sent("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ping,
        *[
            sent("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": text}})
            for text in texts
        ],
        sent("content_block_stop", {"index": 0}),
        sent(
            "message_delta",
            {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": count}},
        ),
        sent("message_stop", {}),
    ]
    return _body("anthropic", chunks, "".join(texts))


def plain_text(count: int, seed: int = 0) -> Body:
    """Return `count` bare tokens in `data:` lines, as tutorials teach."""
    texts = tokens(count, seed)
    chunks = [Chunk(sse(text), None) for text in texts]
    return _body("text", [*chunks, Chunk(DONE, None)], "".join(texts))


BODIES: dict[str, Callable[..., Body]] = {
    "openai-chat": openai_chat,
    "anthropic": anthropic,
    "text": plain_text,
}

_HEADS = {"openai-chat": 1, "anthropic": 3, "text": 0}
_TAILS = {"openai-chat": 3, "anthropic": 3, "text": 1}


def middle_of(body: Body) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return what opens a body of one event to a chunk, the text deltas, and what closes it."""
    head, tail = _HEADS[body.format], len(body.chunks) - _TAILS[body.format]
    return body.chunks[:head], body.chunks[head:tail], body.chunks[tail:]
