"""Hosts of open models, Mistral, vLLM, llama.cpp and Perplexity: one row for each thing done its own way."""

from __future__ import annotations

from typing import Any

from tests.formats.openai_chat.dialects.support import CALLED, USAGE, Says
from tests.formats.openai_chat.payloads import FINISH, ROLE, call, chunk, item_of, text
from tests.formats.told import DONE

OPEN_MODELS: dict[str, tuple[list[Any], Says]] = {
    # -- Together
    "together: text beside the delta": (
        [text("", text=""), text("Hi", text="Hi"), text("!", text="!"), FINISH, DONE],
        Says("Hi!", rules={"text_twice"}),
    ),
    "together: a completion's object with deltas": (
        [{**text("Hi", text="Hi", seed=7), "object": "completion.chunk"}, FINISH, DONE],
        Says("Hi", data={"seed": 7}, rules={"text_twice"}),
    ),
    # -- Mistral
    "mistral: calls whole in one list, as objects, without ids": (
        [
            ROLE,
            chunk(
                {
                    "tool_calls": [
                        {**item_of({"a": 1}, name="f"), "id": "null"},
                        {**item_of("{}", name="g"), "id": "null"},
                    ]
                }
            ),
            chunk({}, "tool_calls"),
            DONE,
        ],
        Says(
            calls=[("f", '{"a": 1}'), ("g", "{}")],
            finish="tool_calls",
            rules={"call_id_missing", "call_index_missing", "arguments_parsed"},
        ),
    ),
    # -- vLLM, SGLang
    "vllm: usage with each chunk, and why it stopped": (
        [
            {**ROLE, "usage": {**USAGE, "completion_tokens": 0}},
            {**text("Hi", tool_calls=[], token_ids=[1, 2]), "usage": {**USAGE, "completion_tokens": 1}},
            {
                **chunk({}, "stop", stop_reason=128_009, token_ids=[3]),
                "usage": USAGE,
                "prompt_token_ids": [9],
            },
            DONE,
        ],
        Says(
            "Hi",
            output_tokens=7,
            data={"stop_reason": 128_009, "token_ids": [1, 2, 3], "prompt_token_ids": [9]},
        ),
    ),
    "sglang: empty names and ids after the first fragment": (
        [
            ROLE,
            call('{"city":', name="get_weather", id="c1", index=0, type="function"),
            call(' "Oslo"}', name="", id="", index=0),
            chunk({}, "tool_calls", matched_stop=7),
            DONE,
        ],
        Says(calls=CALLED, finish="tool_calls", data={"matched_stop": 7}),
    ),
    # -- llama.cpp
    "llama.cpp: progress before the text": (
        [
            {**ROLE, "prompt_progress": {"total": 9, "processed": 4}},
            {**chunk({}), "prompt_progress": {"total": 9, "processed": 9}},
            text("Hi"),
            FINISH,
            DONE,
        ],
        Says("Hi", data={"prompt_progress": {"total": 9, "processed": 9}}),
    ),
    # -- Perplexity
    "perplexity: concise streams": (
        [
            {
                **chunk(
                    {
                        "role": "assistant",
                        "content": "",
                        "reasoning_steps": [
                            {
                                "thought": "Look.",
                                "type": "web_search",
                                "web_search": {"search_keywords": ["k"]},
                            }
                        ],
                    }
                ),
                "object": "chat.reasoning",
            },
            {
                **chunk(
                    {"content": "", "reasoning_steps": [{"thought": "Read.", "type": "fetch_url_content"}]}
                ),
                "object": "chat.reasoning",
            },
            {
                **chunk(
                    {"role": "assistant", "content": ""},
                    message={"role": "assistant", "content": "", "reasoning_steps": [{"thought": "Look."}]},
                ),
                "object": "chat.reasoning.done",
                "search_results": [{"url": "u1"}],
            },
            text("Hi"),
            {
                **chunk({"content": ""}, "stop", message={"role": "assistant", "content": "Hi"}),
                "object": "chat.completion.done",
                "search_results": [{"url": "u1"}, {"url": "u2"}],
                "usage": USAGE,
            },
            DONE,
        ],
        Says(
            "Hi",
            "Look.Read.",
            output_tokens=7,
            kinds=["reasoning", "reasoning", "citation", "text", "citation"],
            rules={"text_twice"},
        ),
    ),
}
