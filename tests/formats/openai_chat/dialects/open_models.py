"""Hosts of open models, Mistral, vLLM, llama.cpp and Perplexity: one row for each thing done its own way."""

from __future__ import annotations

from typing import Any

from tests.formats.openai_chat.dialects.support import ARGUMENTS, CALLED, FOUND, USAGE, Says, one
from tests.formats.openai_chat.payloads import FINISH, ROLE, call, chunk, item_of, text
from tests.formats.told import DONE

OPEN_MODELS: dict[str, tuple[list[Any], Says]] = {
    # -- Together, Fireworks, Cerebras
    "together: text beside the delta": (
        [text("", text=""), text("Hi", text="Hi"), text("!", text="!"), FINISH, DONE],
        Says("Hi!", rules={"text_twice"}),
    ),
    "together: a completion's object with deltas": (
        [{**text("Hi", text="Hi", seed=7), "object": "completion.chunk"}, FINISH, DONE],
        Says("Hi", data={"seed": 7}, rules={"text_twice"}),
    ),
    "fireworks: figures in the last chunk": (
        [
            ROLE,
            chunk({"reasoning_content": "Hm"}),
            text("Hi"),
            one({}, "stop", raw_output={"x": 1}, top={"usage": USAGE, "perf_metrics": {"t": 1}}),
            DONE,
        ],
        Says("Hi", "Hm", output_tokens=7, data={"perf_metrics": {"t": 1}, "raw_output": {"x": 1}}),
    ),
    "cerebras: times in the last chunk": (
        [ROLE, text("Hi"), {**FINISH, "usage": USAGE, "time_info": {"queue_time": 0.1}}, DONE],
        Says("Hi", output_tokens=7, data={"time_info": {"queue_time": 0.1}}),
    ),
    "sambanova: usage in the last chunk with text": (
        [ROLE, {**text("Hi"), "usage": USAGE}, FINISH, DONE],
        Says("Hi", output_tokens=7),
    ),
    # -- Mistral
    "mistral: content as a list": (
        [
            chunk(
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}],
                }
            ),
            chunk(
                {
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": " so"}], "closed": True}
                    ]
                }
            ),
            chunk(
                {"content": [{"type": "text", "text": "Yes"}, {"type": "reference", "reference_ids": [1]}]}
            ),
            {**FINISH, "usage": USAGE},
            DONE,
        ],
        Says("Yes", "Hm so", output_tokens=7, kinds=["reasoning", "text", "citation"]),
    ),
    "mistral: content of kinds without a word": (
        [
            ROLE,
            chunk(
                {
                    "content": [
                        {"type": "tool_file", "tool": "t", "file_id": "f"},
                        {"type": "tool_reference", "title": "T"},
                    ]
                }
            ),
            FINISH,
            DONE,
        ],
        Says(kinds=["opaque", "citation"]),
    ),
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
    "mistral: the length of the model": (
        [ROLE, text("Hi"), chunk({}, "model_length"), DONE],
        Says("Hi", finish="length"),
    ),
    # -- vLLM, SGLang
    "vllm: reasoning under its new name": (
        [ROLE, chunk({"reasoning": "Hm"}), text("Hi"), FINISH, DONE],
        Says("Hi", "Hm"),
    ),
    "vllm: the same reasoning under both names": (
        [ROLE, chunk({"reasoning": "Hm", "reasoning_content": "Hm"}), text("Hi"), FINISH, DONE],
        Says("Hi", "Hm", rules={"reasoning_twice"}),
    ),
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
    "vllm: a name in every fragment": (
        [
            ROLE,
            call("", name="get_weather", id="c1", index=0, type="function"),
            call('{"city":', name="get_weather", index=0),
            call(' "Oslo"}', name="get_weather", index=0),
            chunk({}, "tool_calls"),
            DONE,
        ],
        Says(calls=CALLED, finish="tool_calls", rules={"call_repeated"}),
    ),
    "vllm: arguments that are null": (
        [
            ROLE,
            chunk(
                {
                    "tool_calls": [
                        {"index": 0, "id": "c1", "function": {"name": "get_weather", "arguments": None}}
                    ]
                }
            ),
            call(ARGUMENTS, index=0),
            chunk({}, "tool_calls"),
            DONE,
        ],
        Says(calls=CALLED, finish="tool_calls", rules={"arguments_null"}),
    ),
    "vllm: a call after one without arguments": (
        [
            ROLE,
            call("", name="now", id="c1", index=0),
            call(ARGUMENTS, name="get_weather", id="c2", index=1),
            chunk({}, "tool_calls"),
            DONE,
        ],
        Says(calls=[("get_weather", ARGUMENTS), ("now", "")], finish="tool_calls"),
    ),
    "vllm: an answer that was given up": (
        [ROLE, text("Hi"), chunk({}, "abort"), DONE],
        Says("Hi", finish="cancelled"),
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
    "llama.cpp: usage and timings in the chunk of the finish": (
        [
            ROLE,
            text("Hi"),
            {**FINISH, "usage": USAGE, "timings": {"prompt_n": 5}, "__verbose": {"x": 1}},
            DONE,
        ],
        Says("Hi", output_tokens=7, data={"timings": {"prompt_n": 5}, "__verbose": {"x": 1}}),
    ),
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
    "perplexity: the whole message in every chunk": (
        [
            {
                **chunk(
                    {"role": "assistant", "content": "Hi"}, message={"role": "assistant", "content": "Hi"}
                ),
                "citations": ["u1"],
            },
            {
                **chunk({"content": " you"}, "stop", message={"role": "assistant", "content": "Hi you"}),
                "citations": ["u1"],
                "search_results": [{"url": "u1", "title": "T"}],
                "usage": USAGE,
            },
            DONE,
        ],
        Says("Hi you", output_tokens=7, kinds=["text", "citation"], rules={"text_twice"}),
    ),
    "perplexity: images and questions beside the answer": (
        [
            {**text("Hi"), "images": FOUND, "related_questions": ["And then?"]},
            {**text(" you"), "images": FOUND, "related_questions": ["And then?"]},
            FINISH,
            DONE,
        ],
        Says("Hi you", kinds=["text"], data={"images": FOUND, "related_questions": ["And then?"]}),
    ),
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
