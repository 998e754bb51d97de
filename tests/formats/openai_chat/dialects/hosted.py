"""Azure, DeepSeek, xAI, Groq and OpenRouter: one row for each thing that one of them does its own way."""

from __future__ import annotations

from typing import Any

from tests.formats.openai_chat.dialects.support import ARGUMENTS, CALLED, FILTER, USAGE, Says, bare, one
from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, call, chunk, text
from tests.formats.told import DONE

HOSTED: dict[str, tuple[list[Any], Says]] = {
    # -- Azure
    "azure: a first chunk about the prompt": (
        [
            {
                "id": "",
                "model": "",
                "created": 0,
                "object": "",
                "choices": [],
                "prompt_filter_results": [{"prompt_index": 0}],
            },
            ROLE,
            text("Hi", content_filter_results=FILTER),
            FINISH,
            DONE,
        ],
        Says("Hi", data={"prompt_filter_results": [{"prompt_index": 0}], "content_filter_results": FILTER}),
    ),
    "azure: late annotations without a delta": (
        [
            ROLE,
            text("Hi"),
            FINISH,
            {
                **HEAD,
                "object": "",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": None,
                        "content_filter_results": FILTER,
                        "content_filter_offsets": {"check_offset": 0, "start_offset": 0, "end_offset": 2},
                    }
                ],
            },
            DONE,
        ],
        Says(
            "Hi",
            data={
                "content_filter_results": FILTER,
                "content_filter_offsets": {"check_offset": 0, "start_offset": 0, "end_offset": 2},
            },
        ),
    ),
    "azure: an answer that was filtered": (
        [ROLE, text("Hi"), chunk({}, "content_filter", content_filter_results=FILTER), DONE],
        Says("Hi", finish="content_filter"),
    ),
    # -- DeepSeek
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
    "deepseek: out of resources": (
        [ROLE, text("Hi"), chunk({}, "insufficient_system_resource"), DONE],
        Says("Hi", finish="error"),
    ),
    # -- xAI
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
    "groq: usage in both fields": (
        [ROLE, text("Hi"), {**FINISH, "x_groq": {"usage": USAGE}}, bare(usage=USAGE), DONE],
        Says("Hi", output_tokens=7, rules={"usage_misplaced"}),
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
    "openrouter: an image as a data URL": (
        [
            ROLE,
            chunk({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,YWI="}}]}),
            FINISH,
            DONE,
        ],
        Says(kinds=["media"]),
    ),
}
