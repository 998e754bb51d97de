"""OpenAI Chat as other servers speak it: one row for each thing that one of them does its own way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.openai_chat_payloads import FINISH, HEAD, ROLE, Read, call, chunk, item_of, read, text
from tests.formats.told import DONE, bytes_of
from tokenstream import Stream
from tokenstream.errors import ProviderError
from tokenstream.events import TextDelta
from tokenstream.formats._wire.openai_chat import OpenAIChat
from tokenstream.framing.aws_eventstream import EventStreamMessage
from tokenstream.message import FoundImage, Message

ARGUMENTS = '{"city": "Oslo"}'
CALLED = [("get_weather", ARGUMENTS)]
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
FILTER = {"hate": {"filtered": False, "severity": "safe"}}


@dataclass
class Says:
    """What an answer must say; what is not named here is not compared."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Of the calls that are handed out, names and arguments."""
    finish: str | None = "stop"
    output_tokens: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """Some fields of the message's data."""
    kinds: list[str] | None = None
    """The kinds of the message's parts."""
    rules: set[str] = field(default_factory=set)
    """The departures, but for `role_missing`."""


def _has(message: Message, says: Says) -> None:
    assert (says.text, says.reasoning, says.finish) == (
        message.text,
        message.reasoning,
        message.finish_reason,
    )
    if says.output_tokens is not None:
        assert message.usage is not None
        assert says.output_tokens == message.usage.output_tokens
    assert says.data == {name: message.provider_data.get(name) for name in says.data}


def one(delta: Any = None, finish: Any = None, *, top: Any = None, **beside: Any) -> dict[str, Any]:
    """One chunk; `top` stands beside its choices, and the rest beside its delta."""
    return {**chunk(delta, finish, **beside), **(top or {})}


def bare(**fields: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [], **fields}


FOUND = [
    {
        "image_url": "https://a.test/cat.png",
        "origin_url": "https://a.test/cats",
        "title": "A cat",
        "width": 300,
        "height": 200,
    }
]

ROWS: dict[str, tuple[list[Any], Says]] = {
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
            for said, why in (("Hi", "null"), ("Hi you", "stop"))
        ],
        Says("Hi you", output_tokens=7, data={"request_id": "r"}, rules={"done_missing"}),
    ),
    "dashscope: pieces in an envelope": (
        [
            {"output": {"text": said, "finish_reason": why}, "request_id": "r"}
            for said, why in (("Hi", "null"), (" you", "null"), ("", "stop"))
        ],
        Says("Hi you", rules={"done_missing"}),
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


@pytest.mark.parametrize(("payloads", "says"), ROWS.values(), ids=ROWS)
def test_a_server_that_has_its_own_way_says_the_same(payloads: list[Any], says: Says) -> None:
    """Whatever its accent: text, reasoning, calls, finish reason, usage and data are where they belong."""
    got = read(*payloads)

    assert got.error is None
    _has(got.message, says)
    assert sorted(says.calls) == sorted(got.called)
    assert says.rules == got.rules
    if says.kinds is not None:
        assert says.kinds == got.kinds


@pytest.mark.parametrize(("payloads", "says"), ROWS.values(), ids=ROWS)
def test_a_server_that_has_its_own_way_is_recognised(payloads: list[Any], says: Says) -> None:
    """No dialect has to be named, whatever comes first."""
    lines = [payload if payload == DONE else bytes_of(payload) for payload in payloads]
    stream = Stream([b"data: %b\n\n" % line for line in lines])

    assert says.text == stream.final().text
    assert "openai-chat" == stream.format


ERRORS: dict[str, tuple[Any, str]] = {
    "openai": ({"error": {"message": "m", "type": "server_error", "code": None}}, "server"),
    "vllm, older": (
        {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
        "invalid_request",
    ),
    "openrouter": ({**chunk({"content": ""}, "error"), "error": {"code": 502, "message": "m"}}, "server"),
    "groq": ({**chunk({}), "x_groq": {"error": {"message": "m", "type": "overloaded"}}}, "overloaded"),
    "groq, a call that failed": (
        {"error": {"message": "m", "code": "tool_use_failed", "failed_generation": "x"}},
        "invalid_request",
    ),
    "minimax": ({"base_resp": {"status_code": 1002, "status_msg": "rate_limit: m"}}, "rate_limited"),
    "dashscope": ({"code": "Throttling.RateQuota", "message": "m", "request_id": "r"}, "rate_limited"),
    "baidu": ({"error_code": 336_501, "error_msg": "rate_limit m"}, "rate_limited"),
    "quota within a success": ({"error": {"message": "m", "code": "insufficient_quota"}}, "rate_limited"),
    "databricks": ({"error_code": "BAD_REQUEST", "message": "m"}, "invalid_request"),
    "mistral": (
        {"object": "error", "message": "m", "type": "invalid_request_error", "code": 400},
        "invalid_request",
    ),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("payload", "kind"), ERRORS.values(), ids=ERRORS)
def test_an_error_in_a_servers_own_shape_is_the_providers(payload: Any, kind: str, first: bool) -> None:
    """Before the text and after it, with what had come."""
    got = read(payload) if first else read(ROLE, text("Hi"), payload, DONE)

    assert isinstance(got.error, ProviderError)
    assert kind == got.error.kind
    assert ("" if first else "Hi") == got.message.text


def _parts(got: Read) -> list[Any]:
    return [part.model_dump(exclude_none=True) for part in got.message.parts]


def test_steps_of_reasoning_are_parts_with_what_was_done() -> None:
    """Each for itself; a step without words is one too."""
    steps = [
        {"thought": "Look.", "type": "web_search", "web_search": {"k": 1}},
        {"type": "execute_python", "x": 1},
    ]
    got = read(ROLE, text("a"), chunk({"reasoning_steps": steps}), text("b"), FINISH, DONE)

    assert [
        {"kind": "text", "text": "a", "complete": True},
        {
            "kind": "reasoning",
            "text": "Look.",
            "complete": True,
            "provider_data": {"type": "web_search", "web_search": {"k": 1}},
        },
        {
            "kind": "reasoning",
            "text": "",
            "complete": True,
            "provider_data": {"type": "execute_python", "x": 1},
        },
        {"kind": "text", "text": "b", "complete": True},
    ] == _parts(got)


@pytest.mark.parametrize(
    "payload",
    [
        {"response": {"text": "x"}},
        {"result": 7},
        {"output": {"id": 1}},
        {"output": [1], "request_id": "r"},
        {"response": "x", "type": "news"},
        {"output": {"choices": 7}},
    ],
)
def test_fields_of_the_same_name_that_hold_something_else_are_carried(payload: Any) -> None:
    """As an event without a word of ours."""
    got = read(ROLE, text("Hi"), payload, FINISH, DONE)

    assert "Hi" == got.message.text
    assert payload in got.carried.values()


@pytest.mark.parametrize("choices", [[7], [None], [{"message": {"content": "Hi"}, "finish_reason": "stop"}]])
def test_choices_in_an_envelope_are_those_of_a_chunk(choices: Any) -> None:
    """And what would break a chunk breaks it there too."""
    got = read(ROLE, {"output": {"choices": choices}}, FINISH, DONE)

    assert (choices == [7]) == (got.error is not None)


def test_what_a_search_found_stands_on_the_message() -> None:
    """What is no image, or no question, is passed over; it stays in the provider's data."""
    found = {"images": [*FOUND, {"title": "none"}, 7], "related_questions": ["And then?", None]}
    message = read({**text("Hi"), **found}, FINISH, DONE).message

    cat = FoundImage(
        url="https://a.test/cat.png", page_url="https://a.test/cats", title="A cat", width=300, height=200
    )
    assert ((cat,), ("And then?",)) == (message.images, message.related_questions)
    again = Message.model_validate_json(message.model_dump_json())
    assert (message, message.images) == (again, again.images)
    assert ((), ()) == (Message().images, Message().related_questions)


_SPOKEN = [
    chunk({"role": "assistant"}),
    chunk({"reasoning": "Hm", "channel": "analysis"}),
    chunk({"content": "Let ", "channel": "commentary"}),
    chunk({"content": "me ", "channel": "commentary"}),
    chunk({"content": "see.", "channel": "commentary"}),
    chunk({"content": "It "}),
    chunk({"content": "is "}),
    chunk({"content": "5."}),
    chunk({"content": "Wait", "channel": "commentary"}),
    chunk({"content": "!", "channel": "final"}),
    chunk({"content": "?", "channel": None}),
]


@pytest.mark.parametrize("shortcuts", [False, True])
def test_the_channel_of_a_text_is_its_phase(*, shortcuts: bool) -> None:
    """A text in another channel is a part of its own; Groq names none for the final answer."""
    message = read(*_SPOKEN, FINISH, DONE, shortcuts=shortcuts).message

    assert "Let me see.It is 5.Wait!?" == message.text
    assert [
        ("Let me see.", "commentary"),
        ("It is 5.", None),
        ("Wait", "commentary"),
        ("!", "final_answer"),
        ("?", None),
    ] == [(part.text, part.phase) for part in message.parts if part.kind == "text"]
    assert "final" == message.provider_data["channel"]
    assert message == Message.model_validate_json(message.model_dump_json())


BARE: list[Any] = [
    *[
        {"response": f"{said} ", "p": padding}
        for said, padding in (("a", "x"), ("b", "yy"), ("ö", "z"), ("\n", "ab"))
    ],
    {"response": "\ud83c", "p": "x"},
    {"response": "\udf0a", "p": "x"},
    {"response": "c"},
    {"response": 6},
    {"response": ""},
    {"response": "d", "usage": USAGE},
    {"response": None, "tool_calls": [{"name": "f", "arguments": {}}]},
    {"result": "e", "is_end": False},
    {"result": "f", "is_end": True},
    {"output": {"text": "g", "finish_reason": "null"}},
    {"response": "h", "type": "news"},
    text("i"),
    call("{}", name="g", id="c1", index=0),
]


@given(st.lists(st.one_of(st.sampled_from(BARE[:4]), st.sampled_from(BARE)), max_size=30))
def test_payloads_without_choices_are_read_at_a_glance_too(payloads: list[Any]) -> None:
    """Nothing is otherwise than where each of them is decoded."""
    plain, glance = read(*payloads, DONE, shortcuts=False), read(*payloads, DONE)

    assert [(event, event.raw) for event in plain.events] == [(event, event.raw) for event in glance.events]
    assert repr(plain.error) == repr(glance.error)
    assert dict(plain.format.departures) == dict(glance.format.departures)
    assert plain.messages == glance.messages


def test_a_binary_message_in_a_run_of_text_is_read_in_the_plain_way() -> None:
    """It has a name, and is no chunk like the last one."""
    plain = [text("a"), text("b"), {**text("c"), "created": 7}]
    format = OpenAIChat()
    for payload in plain:
        format.feed(payload)
    events = format.feed(EventStreamMessage(bytes_of(text("d")), event="chunk"))

    assert ["d"] == [event.text for event in events if isinstance(event, TextDelta)]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"response": "a"}, True),
        ({"response": "a", "p": "x", "usage": {}}, True),
        ({"response": "a", "model": "m", "done": False}, False),
        ({"response": {"id": "r"}}, False),
        ({"response": 6}, True),
        ({"response": False, "p": "x"}, True),
        ({"response": None}, False),
        ({"tool_calls": [{"name": "f"}], "p": "x"}, True),
        ({"tool_calls": [], "p": "x"}, False),
        ({"tool_calls": [{"name": "f"}], "id": "r"}, False),
        ({"output": {"text": "a"}, "request_id": "r"}, True),
        ({"output": {"text": "a"}}, False),
        ({"output": {"x": 1}, "request_id": "r"}, False),
        ({"object": "chat.reasoning"}, True),
        ({"object": "chat.completion.done"}, True),
    ],
)
def test_a_payload_of_a_servers_own_route_is_recognised(payload: Any, expected: bool) -> None:
    """Where nothing in it is another format's."""
    assert expected == OpenAIChat.recognises(payload, "")
