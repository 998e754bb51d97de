"""Qwen, Moonshot, Zhipu, Gemini, Cloudflare, GitHub and others: one row for each thing done its own way."""

from __future__ import annotations

from typing import Any

from tests.formats.openai_chat.dialects.support import ARGUMENTS, CALLED, USAGE, Says, bare
from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, call, chunk, item_of, text
from tests.formats.told import DONE

COMPATIBLE: dict[str, tuple[list[Any], Says]] = {
    # -- Qwen, Moonshot, Zhipu, MiniMax
    "qwen: an empty id after the first fragment": (
        [
            chunk({"role": "assistant", "content": None, "reasoning_content": "Hm"}),
            call("", name="get_weather", id="c1", index=0, type="function"),
            call(ARGUMENTS, id="", index=0, type="function"),
            chunk({}, "tool_calls"),
            bare(usage=USAGE),
            DONE,
        ],
        Says(reasoning="Hm", calls=CALLED, finish="tool_calls", output_tokens=7),
    ),
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
    "zhipu: a sensitive answer": (
        [ROLE, text("Hi"), chunk({}, "sensitive"), DONE],
        Says("Hi", finish="content_filter"),
    ),
    "zhipu: a broken network": (
        [ROLE, text("Hi"), chunk({}, "network_error"), DONE],
        Says("Hi", finish="error"),
    ),
    "minimax: the whole message at the end": (
        [
            ROLE,
            text("Hi"),
            {**FINISH, "base_resp": {"status_code": 0, "status_msg": ""}},
            {
                **chunk(None, "stop", message={"role": "assistant", "content": "Hi"}),
                "object": "chat.completion",
            },
            DONE,
        ],
        Says("Hi", rules={"finish_repeated", "text_twice"}),
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
    "gemini: two calls on one index": (
        [
            ROLE,
            call(ARGUMENTS, name="get_weather", id="c1", index=0),
            call("{}", name="now", id="c2", index=0),
            FINISH,
            DONE,
        ],
        Says(calls=[*CALLED, ("now", "{}")], finish="tool_calls", rules={"call_index_reused"}),
    ),
    "gemini: a signature in a delta of its own": (
        [ROLE, text("Hi"), chunk({"extra_content": {"google": {"thought_signature": "s"}}}), FINISH, DONE],
        Says("Hi", kinds=["text", "reasoning"]),
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
    "cloudflare: a first text that is a number": (
        [{"response": 6}, {"response": "!"}, DONE],
        Says("6!", finish=None, rules={"finish_missing", "text_parsed"}),
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
    # -- GitHub and Azure AI Inference, and others
    "github: a first chunk without choices, and calls without a type": (
        [
            {"choices": [], "created": 0, "id": "", "model": ""},
            ROLE,
            call("", name="get_weather", id="c1", index=0),
            call(ARGUMENTS, index=0),
            chunk({}, "tool_calls"),
            DONE,
        ],
        Says(calls=CALLED, finish="tool_calls"),
    ),
    "databricks: what it adds": (
        [ROLE, {**text("Hi"), "databricks_output": {"trace": 1}}, FINISH, DONE],
        Says("Hi", data={"databricks_output": {"trace": 1}}),
    ),
    "watsonx, ai21 and others: the end of the input": (
        [ROLE, text("Hi"), FINISH],
        Says("Hi", rules={"done_missing"}),
    ),
    "models that think in tags: the tags are text": (
        [ROLE, text("<think>"), text("Hm</think>"), text("Hi"), FINISH, DONE],
        Says("<think>Hm</think>Hi"),
    ),
}
