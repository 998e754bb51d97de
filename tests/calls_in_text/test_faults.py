"""Calls of a text that the model has written with a fault: what is sure is read, and the rest is told."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.calls_in_text.support import DSML, M3, WRITERS, Call, at_every_cut, broken_in, calls_of, text_of
from tests.calls_in_text.test_objects import repairs_of

NEXT = Call("look", {"text": "b"})
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}, "box": {"anyOf": [{"type": "object"}]}}}
TOOL = {"name": "look", "parameters": SCHEMA}


@pytest.mark.parametrize("written", ["kimi", "deepseek v3", "deepseek v3.1", "harmony"])
def test_a_missing_brace_takes_no_other_call_with_it(written: str) -> None:
    """The markup behind it ends the arguments."""
    dialect, write = WRITERS[written]
    markup = write([Call("look", {"text": "<~"}), NEXT])
    events = at_every_cut(markup.replace('"<~"}', '"<~"'), dialect)

    assert [Call("look", {"text": "<~"}), NEXT] == calls_of(events)
    assert ["missing_end"] == repairs_of(events)


@pytest.mark.parametrize(
    ("arguments", "read_calls", "broken"),
    [
        ('{"text": "a"', 2, 0),
        ('{"items": [1, 2]', 2, 0),
        ('{"items": [1, 2', 1, 1),
        ('{"text": ', 1, 1),
        ('{"text": "a",', 1, 1),
        ('{"text": "<|tool_call_end|>"}', 2, 0),
    ],
)
def test_arguments_that_end_too_early_are_reported(arguments: str, read_calls: int, broken: int) -> None:
    begin, end = "<|tool_call_begin|>functions.look:0<|tool_call_argument_begin|>", "<|tool_call_end|>"
    calls = f'{begin}{arguments}{end}{begin}{{"text": "b"}}{end}'
    events = at_every_cut(f"<|tool_calls_section_begin|>{calls}<|tool_calls_section_end|>", "kimi")

    assert read_calls == len(calls_of(events))
    assert NEXT == calls_of(events)[-1]
    assert broken == broken_in(events)
    assert "begin|>" not in text_of(events)


@pytest.mark.parametrize("bad", ["x=b'z'", "x=1e999", "x=name", "x=-1e999, y=1"])
@pytest.mark.parametrize("dialect", ["pythonic", "lfm2", "llama4"])
def test_a_python_call_that_is_no_literal_takes_no_other_call_with_it(dialect: str, bad: str) -> None:
    opening, end = {"lfm2": ("<|tool_call_start|>", "<|tool_call_end|>"), "pythonic": ("", "")}.get(
        dialect, ("<|python_start|>", "<|python_end|>")
    )
    events = at_every_cut(f"{opening}[look({bad}), look(text='b')]{end}", dialect)

    assert [NEXT] == calls_of(events)
    assert 1 == broken_in(events)
    assert "" == text_of(events)


@pytest.mark.parametrize(
    ("value", "meant"),
    [("108.", 108.0), (".5", 0.5), ("True", True), ("None", None), ("1_000", 1000), ("word", "word")],
)
def test_a_bare_value_of_a_notation_is_a_literal(value: str, meant: object) -> None:
    """Strings have quotes there, so a form of Python is a number or a name."""
    events = at_every_cut(f"<|tool_call>call:look{{a:{value},b:[{value}]}}<tool_call|>", "gemma4")

    assert [Call("look", {"a": meant, "b": [meant]})] == calls_of(events)
    assert ["python_literal"] * (value != "word") == repairs_of(events)


@pytest.mark.parametrize(
    ("value", "told", "meant"),
    [("n", "42", 42), ("n", "many", "many"), ("box", '{"a": 1}', {"a": 1}), ("other", "42", "42")],
)
def test_a_schema_counts_more_than_the_models_word_for_a_string(value: str, told: str, meant: object) -> None:
    parameter = f'<{DSML}parameter name="{value}" string="true">{told}</{DSML}parameter>'
    events = at_every_cut(f'<{DSML}invoke name="look">{parameter}</{DSML}invoke>', "dsml", tools=[TOOL])

    assert [Call("look", {value: meant})] == calls_of(events)


def test_a_missing_comma_in_a_notation_is_added() -> None:
    text = '<|tool_call>call:look{a:<|"|>x<|"|>b:<|"|>y<|"|>n:1}<tool_call|>'
    events = at_every_cut(text, "gemma4")

    assert [Call("look", {"a": "x", "b": "y", "n": 1})] == calls_of(events)
    assert ["missing_comma"] == repairs_of(events)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [("text={'b', 'a', (1, {2})}", ["b", "a", [1, [2]]]), ("text='a\0b'", "a\0b"), ("text=[{1}]", [[1]])],
)
def test_python_without_a_form_in_json_is_read(arguments: str, meant: object) -> None:
    """A set is a list, in the order in which the model has written it."""
    events = at_every_cut(f"<|tool_call_start|>[look({arguments})]<|tool_call_end|>", "lfm2")

    assert [Call("look", {"text": meant})] == calls_of(events)


@pytest.mark.parametrize("written", ["seed", "glm", "dsml", "kimi_k3", "minimax", "minimax_m3", "anthropic"])
@pytest.mark.parametrize("value", ["x\n", "\n", "\n\nx  \n\n", "a\r\nb\r\n"])
def test_a_value_keeps_its_line_endings(written: str, value: str) -> None:
    dialect, write = WRITERS[written]
    call = Call("look", {"text": value})

    assert [call] == calls_of(at_every_cut(write([call]), dialect))


@pytest.mark.parametrize("written", ["qwen", "seed", "minimax", "anthropic"])
def test_a_line_with_the_next_element_ends_a_value(written: str) -> None:
    dialect, write = WRITERS[written]
    call = Call("look", {"text": "a\nb", "items": ["x"]})
    events = at_every_cut(re.sub("\n?</parameter>", "", write([call]), count=1), dialect)

    assert [call] == calls_of(events)
    assert ["missing_end"] == repairs_of(events)


@pytest.mark.parametrize(
    ("dialect", "markup"),
    [
        ("hermes", '<tool_call>{"name": "look", "arguments": {"text": "b"}}'),
        ("kimi", '<|tool_call_begin|>functions.look:0<|tool_call_argument_begin|>{"text": "b"}'),
        ("qwen", '<tool_call><function=look>{"text": "b"}'),
        ("gemma4", '<|tool_call>call:look{text:<|"|>b<|"|>}'),
    ],
)
@pytest.mark.parametrize("after", ["\nThat is <b>all</b>.", " So", "\n\n```py\n1\n```\n", "a b" * 100])
def test_text_after_whole_arguments_is_text_again(dialect: str, markup: str, after: str) -> None:
    """The missing end is told as a repair; if an end follows soon, the call is incomplete."""
    end = {"kimi": "<|tool_call_end|>", "qwen": "</function>", "gemma4": "<tool_call|>"}.get(
        dialect, "</tool_call>"
    )
    events = at_every_cut(f"Look: {markup}{after}", dialect)
    two = at_every_cut(f"Look: {markup}{after}{markup}{end}", dialect)
    ended = at_every_cut(f"{markup}{after}{end}", dialect)

    assert [NEXT] == calls_of(events)
    assert ["missing_end"] == repairs_of(events) == repairs_of(two)
    assert f"Look: {after.lstrip()}" == text_of(events)
    assert [NEXT] * 2 == calls_of(two)
    assert (len(after) < 256) == broken_in(ended)


@pytest.mark.parametrize(
    ("box", "meant"),
    [
        ("{0}<n>1{0}</n>\n{0}<box>\n{0}<n>2{0}</n>{0}</box>", {"n": 1, "box": {"n": 2}}),
        ("{0}<n>1{0}</n>{0}<n>2{0}</n>", {"n": [1, 2]}),
        ("{0}<tag>{0}<item>a{0}</item>{0}</tag>", {"tag": ["a"]}),
        ("", {}),
        ("x{0}<n>1{0}</n>", None),
        ("{0}</box>{0}</n>{0}<box>", None),
        ("{0}<n>1{0}</n> and {0}<n>2{0}</n>", None),
        ("{0}<n>1{0}</m>", None),
        ("{0}<a>" * 99 + "{0}</a>" * 99, None),
    ],
    ids=lambda each: str(each)[:40],
)
def test_elements_within_a_value_are_objects_and_lists(box: str, meant: Any) -> None:
    box = box.replace("{0}", M3)
    inner = {"anyOf": [{"type": "object", "properties": {"n": {"type": "integer"}}}]}
    schema: dict[str, Any] = {"properties": {"box": {"$ref": "#/$defs/box"}}, "$defs": {"box": inner}}
    schema["$defs"]["box"]["anyOf"][0]["properties"]["box"] = {"$ref": "#/$defs/box"}
    tools: list[Any] = [{"name": "look", "parameters": schema}]
    text = f'{M3}<tool_call>{M3}<invoke name="look">{M3}<box>{box}{M3}</box>{M3}</invoke>{M3}</tool_call>'
    events = at_every_cut(text, "minimax_m3", tools=tools)

    assert [Call("look", {"box": meant})] * (meant is not None) == calls_of(events)
    assert (meant is None) == broken_in(events)


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>look>{"text": "b"}</tool_call>',
        '[Calling tool: look({"text": "b"})]',
        '<|tool_call>:look{text:<|"|>b<|"|>}<tool_call|>',
        '<|tool_call>call:look{text:<|"|>b<|"|>}<turn|>',
        (
            "<|tool_call:start|>look\n<|tool_arg:start|>text<|tool_arg:value|>b<|tool_arg:end|>\n"
            "<|tool_call:end|>"
        ),
        "<tool_call>\n{'name': 'look', 'arguments': {'text': 'b'}}\n</tool_call>",
        "<tool_call>{'arguments': {'text': 'b'}, 'type': 'function', 'name': 'look'}</tool_call>",
        "<tool_call>Room/look\n<arg_key>text</arg_key>\n<arg_value>b</arg_value>\n</tool_call>",
        '<|tool_call>:call:look{text:<|"|>b<|"|>}<tool_call|><turn|>',
        (
            '<|open|>toolscall tool="look" index="1"<|sep|><|open|>argument key="text" type="string"<|sep|>b'
            "<|close|>argument<|sep|><|close|>call<|sep|><|close|>toolsmessage<|sep|>"
        ),
        (
            "<tool_call>\n<function=look>\n<parameter=text>\nb\n</parameter>\n</function>\n</function>\n"
            "</function_invocation>\n</tool_call>"
        ),
        '<tool_call>{"name": "look", "arguments": {"text": "b"}}</tool_call><|im_end|>',
    ],
)
def test_forms_that_were_seen_are_read_with_what_is_left_behind_them(text: str) -> None:
    for answer, around in ((text, ""), (f"Ok.\n{text}\nDone.", "Ok.\nDone.")):
        events = at_every_cut(answer, tools=["look"])

        assert [NEXT] == calls_of(events)
        assert around == text_of(events)


@pytest.mark.parametrize(
    ("members", "calls", "broken", "told"),
    [
        ("'name': 'look', 'text': 'b'", 0, 1, ""),
        ("'name': 'other', 'arguments': {'text': 'b'}", 0, 0, None),
        ("'name': look", 0, 0, None),
        ("'name': None, 'arguments': {}", 0, 0, None),
        ("'type': 'function', 'function': {'name': 'look', 'arguments': {'text': 'b'}}", 1, 0, ""),
        ("'name': 'look', 'arguments': {'text': 'b', 'text': 'c'}", 0, 0, None),
        (f"'name': 'look', 'arguments': {{'text': '{'x' * 17_000}'}}", 0, 0, None),
        ("'name': 'look', 'arguments': {'text': '}\\'{'}", 1, 0, ""),
    ],
)
def test_an_object_in_pythons_quotes_is_the_same_object(
    members: str, calls: int, broken: int, told: str | None
) -> None:
    text = f"<tool_call>{{{members}}}</tool_call>"
    events = at_every_cut(text, "hermes", tools=["look"])

    assert (calls, broken) == (len(calls_of(events)), broken_in(events))
    assert (text if told is None else told) == text_of(events)
    assert ["python_literal"] * calls == repairs_of(events)
