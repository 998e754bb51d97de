"""Answers in openai-chat, as compatible servers send them."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.compare.conformance.case import BERGEN, BERGEN_TEXT, OSLO, OSLO_TEXT, CompatibleCase
from tests.support import wire
from tests.support.texts import pieces_of

_END = wire.chat({}, "stop") + wire.DONE
_CALLED = wire.chat({}, "tool_calls") + wire.DONE


def _call(**fields: Any) -> dict[str, Any]:
    return {"tool_calls": [fields]}


def _function(arguments: Any, name: str | None = None) -> dict[str, Any]:
    return {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}


def _whole_call(index: int | None, id: str | None, arguments: Any, name: str = "weather") -> bytes:
    call: dict[str, Any] = {"type": "function", "function": _function(arguments, name)}
    if index is not None:
        call["index"] = index
    if id is not None:
        call["id"] = id
    return wire.chat({"role": "assistant", **_call(**call)})


def _begun(id: str = "call_1", arguments: Any = "", index: int = 0, name: str = "weather") -> bytes:
    return _whole_call(index, id, arguments, name)


def _rest(arguments: Any, index: int = 0, **extra: Any) -> bytes:
    return wire.chat(_call(index=index, function=_function(arguments), **extra))


_OSLO_CALL = [("call_1", "weather", OSLO)]
_BOTH_CALLS = [("call_1", "weather", OSLO), ("call_2", "weather", BERGEN)]

_case = partial(CompatibleCase, "openai-chat")
CASES = [
    _case(
        "role-repeated",
        "`role` in every delta (many servers)",
        b"".join([wire.chat({"role": "assistant", "content": piece}) for piece in ("Hel", "lo")]) + _END,
        text="Hello",
        about={"role": "assistant"},
    ),
    _case(
        "id-and-name-repeated",
        "a call's id and name in every fragment (one of vLLM's parsers)",
        b"".join([_begun(arguments=piece) for piece in pieces_of(OSLO_TEXT, 6)]) + _CALLED,
        calls=_OSLO_CALL,
    ),
    _case(
        "id-and-name-empty-later",
        '`"id": ""` and `"name": ""` after the first fragment (Qwen, SGLang)',
        _begun()
        + b"".join(
            [
                wire.chat(_call(index=0, id="", function={"name": "", "arguments": piece}))
                for piece in pieces_of(OSLO_TEXT, 6)
            ]
        )
        + _CALLED,
        calls=_OSLO_CALL,
    ),
    _case(
        "index-missing",
        "whole calls without `index` (Gemini's OpenAI endpoint)",
        _whole_call(None, "call_1", OSLO_TEXT) + _whole_call(None, "call_2", BERGEN_TEXT) + _CALLED,
        calls=_BOTH_CALLS,
    ),
    _case(
        "index-missing-in-fragments",
        "one call in fragments without `index`",
        _whole_call(None, "call_1", "")
        + b"".join([wire.chat(_call(function=_function(piece))) for piece in pieces_of(OSLO_TEXT, 6)])
        + _CALLED,
        calls=_OSLO_CALL,
    ),
    _case(
        "first-index-is-1",
        "the first call has `index` 1",
        _begun(index=1) + _rest(OSLO_TEXT, 1) + _CALLED,
        calls=_OSLO_CALL,
    ),
    _case(
        "one-index-for-two-calls",
        "two calls with different ids, both on index 0 (Gemini's OpenAI endpoint)",
        _begun(arguments=OSLO_TEXT) + _begun("call_2", BERGEN_TEXT) + _CALLED,
        calls=_BOTH_CALLS,
    ),
    _case(
        "calls-in-turns",
        "fragments of two calls, alternating",
        _begun()
        + _begun("call_2", index=1)
        + b"".join(
            [
                _rest(one) + _rest(other, 1)
                for one, other in zip(pieces_of(OSLO_TEXT, 6), pieces_of(BERGEN_TEXT, 6), strict=True)
            ]
        )
        + _CALLED,
        calls=_BOTH_CALLS,
    ),
    _case(
        "two-calls-in-one-delta",
        "two whole calls in one delta (xAI, Groq, Mistral)",
        wire.chat(
            {
                "role": "assistant",
                "tool_calls": [
                    {"index": 0, "id": "call_1", "function": _function(OSLO_TEXT, "weather")},
                    {"index": 1, "id": "call_2", "function": _function(BERGEN_TEXT, "weather")},
                ],
            }
        )
        + _CALLED,
        calls=_BOTH_CALLS,
    ),
    _case(
        "arguments-null",
        "`arguments: null` with the name (vLLM)",
        _begun(arguments=None) + _rest(OSLO_TEXT) + _CALLED,
        calls=_OSLO_CALL,
    ),
    _case(
        "arguments-an-object",
        "arguments as a JSON object rather than text (gateways)",
        _begun(arguments=OSLO) + _CALLED,
        calls=_OSLO_CALL,
    ),
    _case(
        "finish-is-stop",
        "`finish_reason: stop` after a call (Gemini's OpenAI endpoint)",
        _begun() + _rest(OSLO_TEXT) + _END,
        calls=_OSLO_CALL,
    ),
    _case(
        "finish-empty",
        '`finish_reason: ""` in every chunk before the last (SGLang, gateways)',
        wire.chat({"role": "assistant", "content": "Hel"}, "")
        + wire.chat({"content": "lo"}, "")
        + wire.chat(_call(index=0, id="call_1", function=_function("", "weather")), "")
        + b"".join([wire.chat(wire.chat_call(0, piece), "") for piece in pieces_of(OSLO_TEXT, 6)])
        + _CALLED,
        text="Hello",
        calls=_OSLO_CALL,
    ),
    _case(
        "done-missing",
        "no `[DONE]` (many gateways)",
        wire.chat({"role": "assistant", "content": "Hello"}) + wire.chat({}, "stop"),
        text="Hello",
    ),
    _case(
        "usage-null-later",
        "usage in one chunk, `usage: null` in the next",
        wire.chat({"role": "assistant", "content": "Hello"}, usage=None)
        + wire.chat_usage(7, 21)
        + wire.chat({}, "stop", usage=None)
        + wire.DONE,
        text="Hello",
        about={"usage": [7, 21]},
    ),
    _case(
        "usage-with-the-finish",
        "usage in the same chunk as the finish reason (llama.cpp, DeepSeek)",
        wire.chat({"role": "assistant", "content": "Hello"})
        + wire.chat({}, "stop", usage={"prompt_tokens": 7, "completion_tokens": 21, "total_tokens": 28})
        + wire.DONE,
        text="Hello",
        about={"usage": [7, 21]},
    ),
    _case(
        "usage-grows",
        "the usage so far, in every chunk (vLLM's continuous statistics, xAI)",
        b"".join(
            [
                wire.chat(
                    {"role": "assistant", "content": piece},
                    usage={"prompt_tokens": 7, "completion_tokens": count, "total_tokens": 7 + count},
                )
                for count, piece in ((1, "Hel"), (2, "lo"))
            ]
        )
        + wire.chat({}, "stop", usage={"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9})
        + wire.DONE,
        text="Hello",
        about={"usage": [7, 2]},
    ),
    _case(
        "reasoning-in-two-fields",
        "the same reasoning as `reasoning_content` and as `reasoning` (shims)",
        b"".join(
            [wire.chat({"reasoning_content": piece, "reasoning": piece}) for piece in ("Let me ", "see.")]
        )
        + wire.chat({"content": "Hello"})
        + _END,
        text="Hello",
        about={"reasoning": "Let me see."},
    ),
    _case(
        "reasoning-and-details",
        "the same reasoning as `reasoning` and as `reasoning_details` (OpenRouter)",
        b"".join(
            [
                wire.chat(
                    {
                        "content": "",
                        "reasoning": piece,
                        "reasoning_details": [{"type": "reasoning.text", "text": piece, "index": 0}],
                    }
                )
                for piece in ("Let me ", "see.")
            ]
        )
        + wire.chat({"content": "Hello"})
        + _END,
        text="Hello",
        about={"reasoning": "Let me see."},
    ),
    _case(
        "empty-first-chunk",
        'a first chunk without choices, `"object": ""`, `"model": ""` (Azure)',
        wire.sse(
            {
                "id": "",
                "object": "",
                "created": 0,
                "model": "",
                "choices": [],
                "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
            }
        )
        + wire.chat({"role": "assistant", "content": "Hello"})
        + _END,
        text="Hello",
    ),
    _case(
        "empty-tool-calls",
        "`tool_calls: []` in ordinary deltas (vLLM, Groq)",
        b"".join(
            [wire.chat({"role": "assistant", "content": piece, "tool_calls": []}) for piece in ("Hel", "lo")]
        )
        + _END,
        text="Hello",
    ),
    _case(
        "comments",
        "comments between the events (OpenRouter, DeepSeek)",
        b": OPENROUTER PROCESSING\n\n" + wire.chat({"content": "Hello"}) + b": keep-alive\n\n" + _END,
        text="Hello",
    ),
    _case(
        "comment-after-an-id",
        "an `id:` once, a comment and a `retry:` later (gateways)",
        b"id: 1\n"
        + wire.chat({"content": "Hel"})
        + b": ping\n\nretry: 3000\n\n"
        + wire.chat({"content": "lo"})
        + _END,
        text="Hello",
    ),
    _case(
        "byte-order-mark",
        "a byte order mark before the first event",
        b"\xef\xbb\xbf" + wire.chat({"content": "Hel"}) + wire.chat({"content": "lo"}) + _END,
        text="Hello",
    ),
    _case(
        "invalid-utf-8",
        "a byte in the text that is not UTF-8",
        wire.chat({"content": "Hel?"}).replace(b"?", b"\xff") + wire.chat({"content": "lo"}) + _END,
        text="Hel\N{REPLACEMENT CHARACTER}lo",
    ),
    _case(
        "error-in-the-stream",
        "an error object after the first text, then `[DONE]` (OpenAI, most servers)",
        wire.chat({"content": "Hel"})
        + wire.sse({"error": {"message": "overloaded", "type": "server_error", "code": None}})
        + wire.DONE,
        text="Hel",
        fails=True,
    ),
    _case(
        "error-as-an-object-type",
        '`"object": "error"` next to the message (older vLLM)',
        wire.chat({"content": "Hel"})
        + wire.sse({"object": "error", "message": "m", "type": "BadRequestError", "code": 400})
        + wire.DONE,
        text="Hel",
        fails=True,
    ),
    _case(
        "error-as-a-finish-reason",
        "a chunk with `error` and `finish_reason: error` (OpenRouter)",
        wire.chat({"content": "Hel"})
        + wire.chat({"content": ""}, "error", error={"code": 502, "message": "upstream"})
        + wire.DONE,
        text="Hel",
        fails=True,
    ),
]
