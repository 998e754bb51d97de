"""The object of a call in a text: which members have its arguments, and what nobody can be sure of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.calls_in_text.support import Call, broken_in, calls_of, joined, read, text_of
from tests.calls_in_text.test_faults import at_every_cut
from tests.calls_in_text.test_streams import body
from tokenstream import Router, Stream, Tags, Tools
from tokenstream.message import ToolCall

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
