"""DeepSeek, xAI, Groq and OpenRouter: one row for each thing that one of them does its own way."""

from __future__ import annotations

from typing import Any

from tests.formats.openai_chat.dialects.support import ARGUMENTS, CALLED, USAGE, Says, bare, one
from tests.formats.openai_chat.payloads import FINISH, ROLE, call, chunk, text
from tests.formats.told import DONE

HOSTED: dict[str, tuple[list[Any], Says]] = {
    # -- DeepSeek, xAI
    "deepseek: reasoning beside null text": (
        [
            one({"role": "assistant", "content": None, "reasoning_content": "Hm"}),
            one({"content": None, "reasoning_content": " so"}),
            one({"content": "Yes", "reasoning_content": None}),
            one({"content": ""}, "stop", top={"usage": {**USAGE, "prompt_cache_hit_tokens": 3}}),
            DONE,
        ],
        Says("Yes", "Hm so", output_tokens=7),
    ),
    "xai: a call whole in one chunk": (
        [
            ROLE,
            call(ARGUMENTS, name="get_weather", id="c1", index=0, type="function"),
            chunk({}, "tool_calls"),
            DONE,
        ],
        Says(calls=CALLED, finish="tool_calls"),
    ),
    "xai: sources at the end, cumulative usage on the way": (
        [
            ROLE,
            {**text("Hi"), "usage": {**USAGE, "completion_tokens": 1}},
            {**FINISH, "usage": USAGE},
            bare(citations=["https://u.test/1", "https://u.test/2"], usage=USAGE),
            DONE,
        ],
        Says("Hi", output_tokens=7, kinds=["text", "citation", "citation"]),
    ),
    # -- Groq
    "groq: usage in its own field": (
        [
            {**ROLE, "x_groq": {"id": "req_1"}},
            text("Hi", tool_calls=[]),
            {**FINISH, "x_groq": {"id": "req_1", "usage": {**USAGE, "queue_time": 0.1}}},
            DONE,
        ],
        Says("Hi", output_tokens=7, data={"x_groq": {"id": "req_1"}}, rules={"usage_misplaced"}),
    ),
    "groq: tools that it ran": (
        [
            ROLE,
            chunk({"reasoning": "Hm"}),
            chunk({"executed_tools": [{"index": 0, "type": "search", "arguments": "{}"}]}),
            chunk({"executed_tools": [{"index": 0, "type": "search", "arguments": "{}", "output": "o"}]}),
            text("Hi"),
            FINISH,
            DONE,
        ],
        Says("Hi", "Hm", kinds=["reasoning", "server_tool_call", "server_tool_result", "text"]),
    ),
    # -- OpenRouter
    "openrouter: reasoning in two fields": (
        [
            chunk(
                {
                    "role": "assistant",
                    "reasoning": "Hm",
                    "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "index": 0}],
                }
            ),
            chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]}),
            {**text("Hi", native_finish_reason=None), "provider": "P"},
            one({}, "stop", native_finish_reason="end_turn", top={"usage": {**USAGE, "cost": 0.5}}),
            DONE,
        ],
        Says(
            "Hi",
            "Hm",
            output_tokens=7,
            data={"provider": "P", "native_finish_reason": "end_turn"},
            rules={"reasoning_twice"},
        ),
    ),
    "openrouter: details without text are kept as they came": (
        [
            ROLE,
            chunk(
                {
                    "reasoning_details": [
                        {"type": "reasoning.server_tool_call", "index": 0, "tool": {"name": "t"}}
                    ]
                }
            ),
            chunk({"reasoning_details": [{"type": "reasoning.text", "text": "", "index": 1, "format": "f"}]}),
            text("Hi"),
            FINISH,
            DONE,
        ],
        Says("Hi", kinds=["opaque", "text"]),
    ),
}
