"""A tool call that a model has written in its text, where the server has not read it, is a departure."""

from __future__ import annotations

import random

import pytest

from tests.support.wire import chat
from tokenstream import Stream

BAR = "\uff5c"
LEAKS = {
    "hermes": '<tool_call>\n{"name": "look", "arguments": {"at": "x"}}\n</tool_call>',
    "qwen": "<tool_call>\n<function=look>\n<parameter=at>\nx\n</parameter>\n</function>\n</tool_call>",
    "qwen_bare": "<function=look>\n<parameter=at>\nx\n</parameter>\n</function>",
    "glm": "<tool_call>look\n<arg_key>at</arg_key>\n<arg_value>x</arg_value>\n</tool_call>",
    "dsml": f'<{BAR}DSML{BAR}function_calls><{BAR}DSML{BAR}invoke name="look"></{BAR}DSML{BAR}invoke>',
    "deepseek": f"<{BAR}tool▁calls▁begin{BAR}><{BAR}tool▁call▁begin{BAR}>function<{BAR}tool▁sep{BAR}>look",
    "kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.look:0",
    "mistral": '[TOOL_CALLS][{"name": "look", "arguments": {}}]',
    "llama": '<|python_tag|>{"name": "look", "parameters": {}}',
    "harmony": "<|channel|>commentary to=functions.look <|constrain|>json<|message|>{}",
    "minimax": '<minimax:tool_call><invoke name="look">',
    "anthropic": '<function_calls><invoke name="look"><parameter name="at">x</parameter></invoke>',
    "gemma": "```tool_code\nprint(look(at='x'))\n```",
}
TALK = [
    "Set `<tool_call>{` as the start word.",
    "It looks so:\n```xml\n<tool_call>\n{...}\n</tool_call>\n```\nThat is all.",
    "```python\nPARSER = '<|python_tag|>'\n```",
    "a < b, [TOOL_CALLS] and <function> are words, and so is <invoke>.",
    "The first tag is <tool_call>, the last one </tool_call>.",
    "x <tool_callbacks>{",
]


def _body(text: str) -> bytes:
    third = len(text) // 3
    return chat({"content": text[:third]}) + chat({"content": text[third:]}) + chat({}, "stop")


@pytest.mark.parametrize("dialect", LEAKS)
@pytest.mark.parametrize("around", ["{}", "Let me look.\n{}", "```py\n1\n```\n{} So."])
def test_the_departure_names_the_dialect(dialect: str, around: str) -> None:
    """However the bytes arrive; the text itself stays as it came, and no call is made of it."""
    text = around.format(LEAKS[dialect])
    body = _body(text)
    cuts = random.Random(dialect).sample(range(len(body)), 3)
    for chunks in [[body], *[[body[:cut], body[cut:]] for cut in cuts]]:
        stream = Stream(chunks)
        message = stream.final()

        assert f"({dialect})" in stream.departures["call_in_text"].rule
        assert (text, ()) == (message.text, message.tool_calls)
        assert 1 == stream.departures["call_in_text"].count


def test_bare_json_is_a_call_of_an_offered_tool_alone() -> None:
    """Structured output may look the same."""
    text = ' {"name": "look", "parameters": {"at": "x"}}'
    known, other, unknown = (
        Stream([_body(text)], tools=["look"]),
        Stream([_body(text)], tools=["see"]),
        Stream([_body(text)]),
    )
    for stream in (known, other, unknown):
        stream.final()

    assert "(llama_json)" in known.departures["call_in_text"].rule
    assert not {"call_in_text"} & {*other.departures, *unknown.departures}


LONG = ["```" + LEAKS["hermes"] * 2_000, "<tool_call>" + " " * 20_000, "<tool_call" * 5_000]


@pytest.mark.parametrize("text", [*TALK, *LONG], ids=lambda text: text[:40])
def test_a_text_about_the_markup_is_no_call(text: str) -> None:
    """Markup in code and half an opening are left alone; a long text of them is read once."""
    stream = Stream([_body(text)])
    stream.final()

    assert "call_in_text" not in stream.departures


def test_harmony_may_name_the_tool_before_the_channel() -> None:
    """The recipient of a message stands in its role, or in its channel."""
    stream = Stream([_body("<|start|>assistant to=functions.look<|channel|>commentary json<|message|>{}")])
    stream.final()

    assert "(harmony)" in stream.departures["call_in_text"].rule
