"""OpenAI Chat: calls that are known to be whole, that a message repeats or that come in two fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.openai_chat.payloads import HEAD, ROLE, answer, call, chunk, item_of, read, text
from tests.formats.openai_chat.support import END, FIRST, SECOND, calling, handed_out
from tests.formats.told import DONE
from tests.support import chunkings
from tests.support.tables import in_one_test
from tests.support.wire import sses
from tokenstream import Stream
from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.repeated import Wholeness


def test_a_call_of_a_growing_message_that_gets_its_name_too_late_begins_anew() -> None:
    def message(finish: str | None = None, **body: Any) -> dict[str, Any]:
        told = {"tool_calls": [{"id": "c1", "function": body}]}
        return {**HEAD, "choices": [{"index": 0, "message": told, "finish_reason": finish}]}

    got = read(
        message("tool_calls", arguments=FIRST[:3]),
        message(arguments=FIRST),
        message(name="f", arguments=FIRST),
    )

    assert [("f", FIRST)] == got.called
    assert ["opaque", "tool_call"] == got.kinds
    part = got.parts[0]
    assert {"id": "c1", "type": "function", "arguments": FIRST[:3]} == part.data


def test_a_message_that_grows_hands_out_each_call_once() -> None:
    """Where whole messages come again and again, calls grow in them."""

    def grown(*items: Any) -> Any:
        return chunk(message={"tool_calls": list(items)})

    half, whole = item_of('{"a"', id="c1", name="f"), item_of(FIRST, id="c1", name="f")
    parsed = item_of({"b": 2}, id="c2", name="g")
    got = calling(grown(half), grown(whole), grown(whole, parsed), grown(whole, parsed))

    assert [("f", FIRST), ("g", '{"b": 2}')] == got.called


def test_a_message_repeats_the_calls_of_its_deltas() -> None:
    """Writer sends both: the call is handed out once."""
    item = item_of(FIRST, index=0, id="c1", name="f")
    got = calling(chunk({"tool_calls": [item]}, message={"tool_calls": [item]}))

    assert ([("f", FIRST)], {"text_twice"}) == (got.called, got.rules)


@pytest.mark.parametrize("sent", ["", FIRST[:3]])
@pytest.mark.parametrize("told", [FIRST, json.loads(FIRST)])
@pytest.mark.parametrize("id", [{}, {"id": "c1"}, {"id": "other"}])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_message_has_what_the_deltas_lack_of_a_call(
    sent: str, told: object, id: dict[str, str], *, is_late: bool
) -> None:
    begun = call(sent, name="f", index=0, id="c1")
    whole = {"message": {"tool_calls": [item_of(told, name="f", **id)]}}
    end = [END, chunk(**whole)] if is_late else [chunk({}, "tool_calls", **whole)]
    got = read(ROLE, begun, *end, DONE)

    ((name, arguments),) = got.called
    assert ("f", json.loads(FIRST)) == (name, json.loads(arguments))
    assert "tool_calls" == got.reason


def test_a_message_has_what_the_deltas_lack_of_a_function_call() -> None:
    """The older form has no id, and there is only one."""
    begun = chunk({"function_call": {"name": "f", "arguments": ""}})
    whole = chunk(message={"function_call": {"name": "f", "arguments": FIRST}})

    assert [("f", FIRST)] == read(ROLE, begun, chunk({}, "function_call"), whole, DONE).called


def test_a_message_with_other_arguments_contradicts_a_call_that_was_handed_out() -> None:
    """The answer ends as failed; other white space is no other value."""
    begun = call(FIRST, name="f", index=0, id="c1")
    got = read(ROLE, begun, END, chunk(message={"tool_calls": [item_of(SECOND, id="c1", name="f")]}), DONE)
    same = chunk(message={"tool_calls": [item_of('{"a": 1}', id="c1", name="f")]})

    assert isinstance(got.format.error, ProtocolError)
    assert "late_content" in got.rules
    assert ([("f", FIRST)], {"text_twice"}) == (
        (again := read(ROLE, begun, END, same, DONE)).called,
        again.rules,
    )


def test_a_call_that_only_the_message_has_is_handed_out() -> None:
    items = [item_of(FIRST, id="c1", name="f"), item_of(SECOND, id="c2", name="g")]
    got = read(
        ROLE,
        call(FIRST, name="f", index=0, id="c1"),
        chunk({}, "tool_calls", message={"tool_calls": items}),
        DONE,
    )

    assert [("f", FIRST), ("g", SECOND)] == got.called


def test_a_call_that_was_rewritten_in_a_growing_message_is_never_a_mixture() -> None:
    """Two versions of the arguments do not make a third one."""
    versions = ['{"a":1', '{"bc":22}', '{"a"', '{"a":1}']
    grown = [chunk(message={"tool_calls": [item_of(version, id="c1", name="f")]}) for version in versions]

    assert [] == calling(*grown[:2]).called
    assert [("f", '{"a":1}')] == calling(*grown).called
    assert 2 == calling(*grown).format.departures.details["text_rewritten"]


def test_arguments_that_are_empty_in_a_later_version_change_nothing() -> None:
    """A server that leaves them out for a while has taken nothing back."""
    grown = [
        chunk(message={"tool_calls": [item_of(version, id="c1", name="f")]}) for version in ("{}", "", "{}")
    ]
    got = calling(*grown)

    assert ([("f", "{}")], set()) == (got.called, got.rules)


@pytest.mark.parametrize("name", [None, "f"])
def test_half_a_character_in_what_waits_for_a_name_is_replaced(name: str | None) -> None:
    """Whether the name comes with a later chunk or never: the message can be written as JSON."""
    got = calling(
        call("\ud83c", index=0, id="c\ud83c", type="t\ud83c", x="\ud83c"),
        call("", index=0, name=name),
        text("a"),
    )

    assert got.message == type(got.message).model_validate_json(got.message.model_dump_json())
    assert "c\ufffd" in got.message.model_dump_json()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


# -- wholeness -----------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=4), _VALUES, max_size=3) | st.lists(_VALUES, max_size=3), st.data())
def test_an_object_is_whole_at_its_last_bracket_and_not_before(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    cut = data.draw(st.integers(0, len(text)))
    follower = Wholeness()
    follower.add(text[:cut])

    assert (cut == len(text)) == follower.whole

    follower.add(text[cut:])
    follower.add(" \n")

    assert follower.whole

    follower.add(" {}")
    follower.add("}")

    assert not follower.whole


@pytest.mark.parametrize("text", ["1", '"a"', "null", "", "  ", "x{}"])
def test_what_is_no_object_is_never_known_to_be_whole(text: str) -> None:
    """A number may always go on."""
    follower = Wholeness()
    follower.add(" ")
    follower.add(text)
    follower.add(text)

    assert not follower.whole


def test_text_after_a_fragment_beside_empty_text_is_text() -> None:
    """What the bytes around a text look like says nothing of what stood elsewhere in the same bytes."""
    fragment = call('{"a": 1}', index=0)
    fragment["choices"][0]["delta"] = {"content": "", **fragment["choices"][0]["delta"]}
    got = read(
        call("", index=0, id="c1", name="f"), text("a"), text("b"), fragment, text("c"), text("d"), DONE
    )

    assert "abcd" == got.message.text
    assert ['{"a": 1}'] == [made.arguments_text for made in got.message.tool_calls]


@pytest.mark.parametrize("fragments", [['{"a"', ": 1", "}"], ["", '{"a": 1', "}"]])
def test_ids_made_up_for_each_fragment_begin_no_new_calls(fragments: list[str]) -> None:
    """Proxies do so; without a name a fragment can only go on with the call on its index."""
    first, *rest = [call(text, index=0, id=f"id_{n}") for n, text in enumerate(fragments)]
    first["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] = "rm"
    got = answer(first, *rest)

    assert [("id_0", "rm", {"a": 1})] == [(done.id, done.name, done.arguments) for done in got.calls]
    assert "call_repeated" in got.rules


def test_an_id_without_a_name_is_another_call_where_the_one_before_it_is_whole() -> None:
    got = answer(
        call("{}", name="rm", index=0, id="a"),
        call('{"b": ', index=0, id="b"),
        call("2}", name="ls", index=0),
    )

    assert [("a", "{}"), ("b", '{"b": 2}')] == [(done.id, done.arguments_text) for done in got.calls]


def test_two_ids_that_both_lack_a_name_are_two_calls() -> None:
    got = answer(call("{}", index=0, id="a"), call("{}", index=0, id="b"))

    assert ["opaque", "opaque"] == got.kinds


def _in_both_fields(arguments: str, name: str = "f", **item: Any) -> dict[str, Any]:
    body = {"name": name, "arguments": arguments}
    return {"function_call": body, "tool_calls": [{"type": "function", **item, "function": body}]}


def test_a_call_in_two_fields_of_a_delta_is_one_call() -> None:
    """`tool_calls` counts, which has the id; the old field says the same again."""
    got = read(
        ROLE,
        *[chunk(_in_both_fields(piece, index=0, id="c1")) for piece in ('{"n"', ":1}", "")],
        chunk({"tool_calls": None, "function_call": None}, "tool_calls"),
        DONE,
    )

    assert ([("f", '{"n":1}')], ["c1"]) == (got.called, [done.id for done in got.calls])
    assert {"call_twice", "call_repeated"} == got.rules


def test_a_call_in_two_fields_of_a_whole_message_is_one_call() -> None:
    """A document is read as its stream is."""
    got = read({**HEAD, "choices": [{"index": 0, "message": _in_both_fields("{}"), "finish_reason": "stop"}]})

    assert ([("f", "{}")], True) == (got.called, "call_twice" in got.rules)


def _old(arguments: str, **name: str) -> dict[str, Any]:
    return chunk({"function_call": {**name, "arguments": arguments}})


_SAID = {
    "whole": [call(FIRST, index=0, id="c1", name="f"), _old(FIRST, name="f")],
    "empty": [call("{}", index=0, id="c1", name="f"), _old("", name="f"), _old("{}")],
    "in pieces": [call(FIRST, id="c1", name="f"), _old("", name="f"), _old(FIRST[:2]), _old(FIRST[2:])],
    "piece by piece": [
        call(FIRST[:2], index=0, id="c1", name="f"),
        _old(FIRST[:2], name="f"),
        call(FIRST[2:], index=0),
        _old(FIRST[2:]),
    ],
    "with other arguments": [call(FIRST, index=0, id="c1", name="f"), _old('{"a":2}', name="f")],
    "the old field first": [_old(FIRST, name="f"), call(FIRST, index=0, id="c1", name="f")],
}


@in_one_test("payloads", list(_SAID.values()), ids=list(_SAID))
def test_a_tool_that_both_fields_call_in_several_deltas_runs_once(payloads: list[Any]) -> None:
    """What the field that comes later says is kept, and not handed out, at every chunking."""
    body = b"".join(sses(ROLE, *payloads, END))
    for chunks in chunkings.several(body, "both fields").values():
        with Stream(chunks, format="openai-chat") as stream:
            told = [done.arguments_text for done in stream.tool_calls]
            calls = stream.message.tool_calls

        assert ([calls[0].arguments_text], [True, False]) == (told, [call.complete for call in calls])
        assert {"call_twice", "call_invalid"} <= stream.departures.details.keys()


def test_another_call_in_the_old_field_is_another_call() -> None:
    """Only what says the same is the same call."""
    both = {**_in_both_fields('{"n":1}', index=0, id="c1"), "function_call": {"name": "g", "arguments": "{}"}}

    assert [("f", '{"n":1}'), ("g", "{}")] == handed_out(chunk(both))
    message = {**HEAD, "choices": [{"index": 0, "message": both, "finish_reason": "stop"}]}
    assert [("f", '{"n":1}'), ("g", "{}")] == sorted(read(message).called)
