"""Qwen, Moonshot, Gemini, Cloudflare and others: one row for each thing done its own way."""

from __future__ import annotations

from typing import Any

from tests.formats.openai_chat.dialects.support import ARGUMENTS, CALLED, USAGE, Says
from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, chunk, item_of, text
from tests.formats.told import DONE

COMPATIBLE: dict[str, tuple[list[Any], Says]] = {
    # -- Qwen, Moonshot
    "dashscope: cumulative messages in an envelope": (
        [
            {
                "output": {
                    "choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": why}]
                },
                "usage": {"input_tokens": 5, "output_tokens": 7},
                "request_id": "r",
            }
            for said, why in (("Hi", "null"), ("Hi you", "null"), ("Hi you!", "stop"))
        ],
        Says("Hi you!", output_tokens=7, data={"request_id": "r"}),
    ),
    "dashscope: pieces in an envelope": (
        [
            {"output": {"text": said, "finish_reason": why}, "request_id": "r"}
            for said, why in (("Hi", "null"), (" you", "null"), ("", "stop"))
        ],
        Says("Hi you"),
    ),
    "moonshot: usage in the choice": (
        [ROLE, chunk({"reasoning_content": "Hm"}), text("Hi"), chunk({}, "stop", usage=USAGE), DONE],
        Says("Hi", "Hm", output_tokens=7, rules={"usage_misplaced"}),
    ),
    # -- Gemini's compatible endpoint
    "gemini: a call without an index, and stop": (
        [
            chunk(
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            **item_of(ARGUMENTS, name="get_weather"),
                            "id": "",
                            "type": "function",
                            "extra_content": {"google": {"thought_signature": "s"}},
                        }
                    ],
                }
            ),
            FINISH,
            DONE,
        ],
        Says(calls=CALLED, finish="tool_calls", rules={"call_index_missing", "call_id_missing"}),
    ),
    # -- Cloudflare, Baidu
    "cloudflare: text without choices": (
        [
            {"response": "Hi", "p": "abc"},
            {"response": " you", "p": "a"},
            {"response": "", "usage": USAGE},
            DONE,
        ],
        Says("Hi you", finish=None, output_tokens=7, rules={"finish_missing"}),
    ),
    "cloudflare: calls without choices": (
        [
            {"response": None, "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]},
            {"response": "", "usage": USAGE},
            DONE,
        ],
        Says(
            calls=CALLED,
            finish=None,
            rules={"finish_missing", "call_index_missing", "call_id_missing", "arguments_parsed"},
        ),
    ),
    "cloudflare: text that is a number or a boolean": (
        [
            {"response": '{"is_fruit": ', "p": "ab"},
            {"response": True, "p": "a"},
            {"response": ', "n": '},
            {"response": 0},
            {"response": 6, "p": "abc"},
            {"response": 6, "p": "abc"},
            {"response": "}"},
            {"response": "", "usage": USAGE},
            DONE,
        ],
        Says(
            '{"is_fruit": true, "n": 066}',
            finish=None,
            output_tokens=7,
            rules={"finish_missing", "text_parsed"},
        ),
    ),
    "cloudflare: deltas that are numbers or booleans": (
        [ROLE, *[chunk({"content": said}) for said in ("[", 1, "]", 0, 0, False, 1.5)], FINISH, DONE],
        Says("[1]00false1.5", kinds=["text"], rules={"text_parsed"}),
    ),
    "cloudflare: a document whose text is a boolean": (
        [
            {
                **HEAD,
                "choices": [{"message": {"role": "assistant", "content": False}, "finish_reason": "stop"}],
            }
        ],
        Says("false", rules={"text_parsed", "done_missing"}),
    ),
    "cloudflare: reasoning that is a number": (
        [ROLE, *[chunk({"reasoning_content": said}) for said in ("n = ", 1, 0)], text("10"), FINISH, DONE],
        Says("10", reasoning="n = 10", rules={"text_parsed"}),
    ),
    "cloudflare: calls alone, in pieces": (
        [
            {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "get_weather", "arguments": ""}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": ARGUMENTS[:4]}}], "p": "ab"},
            {"tool_calls": [{"index": 0, "function": {"arguments": ARGUMENTS[4:]}}], "p": "a"},
            {"response": "", "usage": USAGE},
            DONE,
        ],
        Says(calls=CALLED, finish=None, rules={"finish_missing"}),
    ),
    "baidu: text without choices, and a mark at the end": (
        [
            {
                "id": "as-1",
                "object": "chat.completion",
                "created": 1,
                "sentence_id": 0,
                "is_end": False,
                "result": "Hi",
            },
            {
                "id": "as-1",
                "object": "chat.completion",
                "created": 1,
                "sentence_id": 1,
                "is_end": True,
                "result": " you",
                "finish_reason": "normal",
                "usage": USAGE,
            },
        ],
        Says("Hi you", output_tokens=7, data={"sentence_id": 1}),
    ),
}
