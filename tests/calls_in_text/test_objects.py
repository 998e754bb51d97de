"""The object of a call in a text: which members have its arguments, and strings that are nearly JSON."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.calls_in_text.support import (
    WRITERS,
    Call,
    at_every_cut,
    broken_in,
    calls_of,
    joined,
    read,
    text_of,
)
from tests.calls_in_text.test_streams import body
from tokenstream import Router, Stream, Tags, Tools
from tokenstream.events import Event, ToolCallDone
from tokenstream.message import ToolCall

RAW = [
    # A value as the model writes it between quotes, what it means, and the repairs.
    ("a\nb", "a\nb", ["raw_control"]),
    ("\t", "\t", ["raw_control"]),
    ("a\x00\x1bb\x1f", "a\x00\x1bb\x1f", ["raw_control"]),
    ("\n\n\n", "\n\n\n", ["raw_control"]),
    ("it\\'s", "it's", ["bad_escape"]),
    ("\\d+\\.", "\\d+\\.", ["bad_escape"]),
    ("C:\\Users\\me", "C:\\Users\\me", ["bad_escape"]),
    ("\\u12", "\\u12", ["bad_escape"]),
    ("\\\n", "\\\n", ["bad_escape", "raw_control"]),
    ('say \\"hi\\"\n\\u00e9\\n', 'say "hi"\né\n', ["raw_control"]),
    ("\x7f\u2028é\\\\", "\x7f\u2028é\\", []),
]
MARKUPS = {written: write([Call("look", {"text": "~"})]) for written, (_, write) in WRITERS.items()}
JSON_DIALECTS = [written for written, markup in MARKUPS.items() if '"text": "~"' in markup]
PYTHON_DIALECTS = [written for written, markup in MARKUPS.items() if "text='~'" in markup]


def repairs_of(events: list[Event]) -> list[str]:
    return [
        repair.name for event in events if isinstance(event, ToolCallDone) for repair in event.call.repairs
    ]


@pytest.mark.parametrize(("raw", "meant", "repairs"), RAW)
@pytest.mark.parametrize("written", JSON_DIALECTS)
def test_a_string_with_raw_characters_is_what_the_model_meant(
    written: str, raw: str, meant: str, repairs: list[str]
) -> None:
    dialect, write = WRITERS[written]
    for arguments in ({"text": "~"}, {"items": ["~", {"~": 1}]}):
        markup = write([Call("look", arguments)]).replace("~", raw)
        expected: Any = json.loads(json.dumps(arguments).replace("~", json.dumps(meant)[1:-1]))
        events = at_every_cut(markup, dialect, every=9)

        assert [Call("look", expected)] == calls_of(events)
        assert repairs == repairs_of(events)
        assert "" == text_of(events)


@pytest.mark.parametrize(("raw", "meant", "repairs"), RAW)
def test_arguments_within_a_string_are_mended_too(raw: str, meant: str, repairs: list[str]) -> None:
    """The model has escaped them once where twice is right."""
    inner = f'{{"text": "{raw}"}}'
    markup = f'<tool_call>{{"name": "look", "arguments": {json.dumps(inner)}}}</tool_call>'
    events = read([markup], "hermes")

    assert [Call("look", {"text": meant})] == calls_of(events)
    assert ["json_in_string", *repairs] == repairs_of(events)


@pytest.mark.parametrize(("raw", "meant", "repairs"), RAW)
def test_lists_in_parameters_are_mended_too(raw: str, meant: str, repairs: list[str]) -> None:
    markup = (
        f'<tool_call><function=look><parameter=items>["{raw}"]</parameter>'
        f'<parameter=text>{{"{raw}"}}</parameter></function></tool_call>'
    )
    events = read([markup], "qwen")

    assert [Call("look", {"items": [meant], "text": f'{{"{raw}"}}'})] == calls_of(events)
    assert repairs == repairs_of(events)


@pytest.mark.parametrize("written", PYTHON_DIALECTS)
def test_a_python_string_may_have_line_endings(written: str) -> None:
    dialect, write = WRITERS[written]
    for quote, repairs in (("'", ["raw_control"]), ('"', ["raw_control"]), ('"""', []), ("'''", [])):
        markup = write([Call("look", {"text": "~"})]).replace("'~'", f"{quote}a\n\tb\n{quote}")
        events = read([markup], dialect)

        assert [Call("look", {"text": "a\n\tb\n"})] == calls_of(events)
        assert repairs == repairs_of(events)


def test_a_repair_is_reported_once() -> None:
    text = "\n" * 5_000
    events = read([f'<tool_call>{{"name": "look", "arguments": {{"text": "{text}"}}}}</tool_call>'], "hermes")

    assert ["raw_control"] == repairs_of(events)


def _read_one(arguments: str) -> list[Event]:
    return read([f'<tool_call>{{"name": "look", "arguments": {arguments}}}</tool_call>'], "hermes")


@pytest.mark.parametrize("seed", range(30))
def test_what_is_mended_is_json(seed: int) -> None:
    dice = random.Random(seed)
    string = "".join(dice.choices(["\\", "\n", "'", "u", "1234", "d", "é", "\t", "\\\\", '\\"'], k=12))
    events, whole = _read_one(f'{{"a": "{string}b"}}'), _read_one(json.dumps({"a": string}))

    assert [Call("look", {"a": string})] == calls_of(whole)
    assert [] == repairs_of(whole)
    assert not repairs_of(events) or all(call.arguments["a"][-1] == "b" for call in calls_of(events))


def test_text_that_is_no_json_stays_as_it_is() -> None:
    """Mending a string makes no value of it."""
    for text in ("a 'b\nc'", '{"a": "\n', '"\n', "", "\n"):
        assert [] == calls_of(_read_one(text))


def test_the_dialects_with_json_are_many() -> None:
    assert {"hermes", "mistral v11", "kimi", "harmony", "deepseek v3"} <= {*JSON_DIALECTS}


ARGUMENTS = {"text": "a", "n": 3}
AROUND = {
    # The dialect, and the markup around the object of a call.
    "hermes": ("<tool_call>\n{}\n</tool_call>", "hermes"),
    "mistral": ("[TOOL_CALLS] [{}]", "mistral"),
    "mistral, one": ("[TOOL_CALLS] {}", "mistral"),
    "llama": ("<|python_tag|>{}", "llama"),
    "tool_calls": ("<tool_calls>\n{}\n</tool_calls>", "tool_calls"),
    "cohere": ("<|START_ACTION|>[{}]<|END_ACTION|>", "cohere"),
}
HOLDERS = ["arguments", "parameters", "input"]
OF_THE_CALL: list[dict[str, Any]] = [{"id": "x"}, {"type": "function"}, {"index": 0}, {"tool_call_id": "0"}]
STRANGE: list[dict[str, Any]] = [
    {"path": "/etc"},
    {"text": "a", "n": 3},
    {"kwargs": {"text": "a"}},
    {"arguments_": {}},
    {"Arguments": {"n": 1}},
    {"id": 1, "path": None},
]


def objects_of(members: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of a call with these members: before its name, behind it, and within `function`."""
    named = {"name": "look"}
    return [named | members, members | named, {"type": "function", "function": named | members}]


def events_of(around: str, *objects: dict[str, Any], between: str = ", ") -> Any:
    markup, dialect = AROUND[around]
    inner = between.join(json.dumps(each) for each in objects)
    text = markup.replace("{}", inner)
    events = read([text], dialect)
    assert joined(events) == joined(read(list(text), dialect))
    return events


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("around", AROUND)
def test_each_of_three_members_may_hold_the_arguments(around: str, holder: str) -> None:
    for others in [{}, *OF_THE_CALL, *STRANGE]:
        for members in ({holder: ARGUMENTS} | others, others | {holder: ARGUMENTS}):
            for each in objects_of(members):
                events = events_of(around, each)

                assert [Call("look", ARGUMENTS)] == calls_of(events)
                assert "" == text_of(events)


@pytest.mark.parametrize("around", AROUND)
def test_a_name_alone_is_a_call_without_arguments(around: str) -> None:
    for others in ({}, *OF_THE_CALL):
        for each in objects_of(others):
            assert [Call("look", {})] == calls_of(events_of(around, each))


@pytest.mark.parametrize("strange", STRANGE, ids=str)
@pytest.mark.parametrize("around", AROUND)
def test_other_members_are_never_a_call_without_arguments(around: str, strange: dict[str, Any]) -> None:
    following = {"name": "look", "arguments": ARGUMENTS}
    for each in objects_of(strange):
        alone = events_of(around, each)
        both = events_of(around, each, following, between="; " if around == "llama" else ", ")

        assert ([], 1, "") == (calls_of(alone), broken_in(alone), text_of(alone))
        assert 1 == broken_in(both)
        assert [Call("look", ARGUMENTS)] == calls_of(both) or around == "mistral, one"


def test_the_bare_object_stays_text_with_strange_members() -> None:
    for strange in STRANGE:
        text = json.dumps({"name": "look"} | strange)
        events = at_every_cut(text, "llama_json")

        assert ([], text) == (calls_of(events), text_of(events))
    for holder in HOLDERS:
        text = json.dumps({"name": "look", "index": 0, holder: ARGUMENTS})
        assert [Call("look", ARGUMENTS)] == calls_of(at_every_cut(text, "llama_json"))


def test_the_model_hears_of_a_call_with_strange_members() -> None:
    def look(text: str = "") -> str:
        raise AssertionError(text)

    text = '<tool_call>{"name": "look", "text": "a"}</tool_call>'
    with Stream(body(text), tags=Tags(calls=True), tools=[look]) as stream:
        results = stream.run(Router(Tools(look)))
    (call,) = stream.message.tool_calls

    assert ToolCall(id="call_0", name="look") == call
    assert {"call_0"} == results.errors
    assert "The call of look is not whole." in results["call_0"]
    assert "call_invalid" in stream.departures.details
