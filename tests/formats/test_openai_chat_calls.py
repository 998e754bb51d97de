"""OpenAI Chat: which tool call a fragment belongs to, and when a call is handed out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.openai_chat_payloads import FINISH, HEAD, ROLE, answer, call, chunk, item_of, read, text
from tests.formats.told import DONE
from tokenstream.errors import LimitExceeded, StreamTruncated
from tokenstream.events import ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.formats._kit.whole import Wholeness
from tokenstream.formats._wire.openai_chat import OpenAIChat
from tokenstream.limits import Limits
from tokenstream.message import OpaquePart

_END = chunk({}, "tool_calls")


def _calls(*payloads: Any) -> list[tuple[str, str]]:
    return read(ROLE, *payloads, _END, DONE).called


def test_a_call_is_handed_out_whole_at_the_finish() -> None:
    """Its fragments come as deltas; the call comes once, with its arguments joined."""
    got = read(
        ROLE,
        call("", index=0, id="c1", type="function", name="get_weather"),
        call('{"ci', index=0),
        call('ty":"Oslo"}', index=0),
        _END,
        DONE,
    )

    [start] = [event for event in got.events if isinstance(event, ToolCallStart)]
    assert ("c1", "get_weather", "function") == (start.id, start.name, start.type)
    assert ['{"ci', 'ty":"Oslo"}'] == [e.fragment for e in got.events if isinstance(e, ToolCallDelta)]
    assert [{"city": "Oslo"}] == [done.arguments for done in got.calls]
    assert ("tool_calls", set()) == (got.message.finish_reason, got.rules)


def test_a_call_is_handed_out_when_the_next_one_starts() -> None:
    """Its arguments are whole, and another call says that nothing more will come."""
    got = read(
        ROLE,
        call('{"a":1}', index=0, id="c1", name="f"),
        call("", index=1, id="c2", name="g"),
    )

    assert [("f", '{"a":1}')] == got.called
    assert isinstance(got.error, StreamTruncated)


def test_a_call_that_is_cut_is_never_handed_out() -> None:
    """Also when its arguments look whole: nothing said that it ended."""
    for cut in ("", '{"path": "/hom', '{"path": "/home"}'):
        got = read(ROLE, call(cut, index=0, id="c1", name="rm"))

        assert [] == got.calls
        assert [False] == [part.complete for part in got.message.tool_calls]


@pytest.mark.parametrize("reason", ["length", "content_filter", "error", "abort"])
def test_the_call_that_was_being_written_is_not_handed_out_when_the_answer_was_cut(reason: str) -> None:
    """It is kept in the message, with its text."""
    got = read(ROLE, call('{"a":1}', index=0, id="c1", name="rm"), chunk({}, reason), DONE)

    assert ([], {"call_open_at_end"}) == (got.calls, got.rules)
    assert '{"a":1}' == got.message.tool_calls[0].arguments_text


def test_a_stop_on_a_message_with_calls_means_tool_calls() -> None:
    """Some servers say "stop" for both; their word is kept."""
    got = answer(call("{}", index=0, id="c1", name="f"))

    assert ("tool_calls", "stop") == (got.message.finish_reason, got.message.raw_finish_reason)


def test_done_without_a_finish_reason_ends_the_calls() -> None:
    """[DONE] counts as the finish, with a departure."""
    got = read(ROLE, call('{"a":1}', index=0, id="c1", name="f"), DONE)

    assert ([("f", '{"a":1}')], {"finish_missing"}) == (got.called, got.rules)


def test_arguments_that_are_no_json_are_kept_and_never_handed_out() -> None:
    """The call stays in the message, not complete."""
    got = read(ROLE, call('{"a":', index=0, id="c1", name="f"), _END, DONE)

    assert ([], {"call_invalid"}) == (got.calls, got.rules)
    assert [('{"a":', False)] == [(part.arguments_text, part.complete) for part in got.message.tool_calls]


_A, _B = '{"a":1}', '{"b":[2]}'
_BOTH = [("f", _A), ("g", _B)]


@pytest.mark.parametrize(
    "payloads, expected",
    [
        pytest.param(
            [
                call("", index=0, id="c1", name="f"),
                call("", index=1, id="c2", name="g"),
                call('{"a"', index=0),
                call('{"b":[', index=1),
                call(":1}", index=0),
                call("2]}", index=1),
            ],
            _BOTH,
            id="fragments of both in turns",
        ),
        pytest.param(
            [call(_A, index=0, id="c1", name="f"), call(_B, index=1, id="c2", name="g")],
            _BOTH,
            id="each whole in one chunk",
        ),
        pytest.param(
            [
                chunk(
                    {
                        "tool_calls": [
                            item_of(_A, index=0, id="c1", name="f"),
                            item_of(_B, index=1, id="c2", name="g"),
                        ]
                    }
                )
            ],
            _BOTH,
            id="both in one chunk",
        ),
        pytest.param(
            [
                call("", index=1, id="c1", name="f"),
                call(_A, index=1),
                call("", index=2, id="c2", name="g"),
                call(_B, index=2),
            ],
            _BOTH,
            id="indexes from 1",
        ),
        pytest.param(
            [
                call("", index=-3, id="c1", name="f"),
                call(_A, index=-3),
                call("", index=10**18, id="c2", name="g"),
                call(_B, index=10**18),
            ],
            _BOTH,
            id="indexes below 0 and huge",
        ),
        pytest.param(
            [
                call("", index="0", id="c1", name="f"),
                call(_A, index="0"),
                call("", index="b", id="c2", name="g"),
                call(_B, index="b"),
            ],
            _BOTH,
            id="indexes that are text",
        ),
        pytest.param(
            [
                call("", id="c1", name="f"),
                call('{"a"'),
                call(":1}"),
                call("", id="c2", name="g"),
                call(_B),
            ],
            _BOTH,
            id="no index, fragments without anything",
        ),
        pytest.param(
            [call('{"a"', id="c1", name="f"), call(":1}", id="c1"), call(_B, id="c2", name="g")],
            _BOTH,
            id="no index, the id in every fragment",
        ),
        pytest.param(
            [call(_A, name="f"), call(_B, name="g")],
            _BOTH,
            id="neither id nor index, whole",
        ),
        pytest.param(
            [call("", name="f"), call('{"a"'), call(":1}"), call("", name="g"), call(_B)],
            _BOTH,
            id="neither id nor index, in fragments",
        ),
        pytest.param(
            [call('{"a"', name="f"), call(":1}", name="f"), call(_B, name="g")],
            _BOTH,
            id="neither id nor index, the name in every fragment",
        ),
        pytest.param(
            [
                chunk({"tool_calls": [item_of("", name="f"), item_of("", name="g")]}),
                chunk({"tool_calls": [item_of('{"a"'), item_of('{"b":')]}),
                chunk({"tool_calls": [item_of(":1}"), item_of("[2]}")]}),
            ],
            _BOTH,
            id="neither id nor index, known by their place",
        ),
        pytest.param(
            [
                call("", index=0, id="c1", name="f"),
                call(_A, index=0),
                call("", index=0, id="c2", name="g"),
                call(_B, index=0),
            ],
            _BOTH,
            id="two ids on one index",
        ),
        pytest.param(
            [call(_A, index=0, id="", name="f"), call(_B, index=0, id="", name="g")],
            _BOTH,
            id="two names on one index, ids empty",
        ),
        pytest.param(
            [
                call(_A, index=0, name="f"),
                call("", index=0, name="g"),
                call(_B, index=0),
            ],
            _BOTH,
            id="another name after whole arguments",
        ),
        pytest.param(
            [call(_A, index=0, id="null", name="f"), call(_B, index=0, id="null", name="g")],
            _BOTH,
            id="ids that are the text null",
        ),
        pytest.param(
            [
                call("", index=0, id="c1", name="f"),
                call(_A, index=0, id="c1", name="f"),
                call("", index=1, id="c2", name="g"),
                call(_B, index=1, id="c2", name="g"),
            ],
            _BOTH,
            id="ids and names repeated",
        ),
        pytest.param(
            [call('{"a"', index=0, name="f"), call(":", index=0, name="f"), call("1}", index=0, name="f")],
            [("f", _A)],
            id="the name in every fragment",
        ),
        pytest.param(
            [
                call('{"a":', index=0, name="f"),
                call('{"b":2}', index=0, name="f"),
                call("}", index=0, name="f"),
            ],
            [("f", '{"a":{"b":2}}')],
            id="the name again before a nested object",
        ),
        pytest.param(
            [call(_A, index=0, name="f"), call(_A, index=0, name="f")],
            [("f", _A), ("f", _A)],
            id="two equal calls on one index",
        ),
        pytest.param(
            [call(_A, index=0, id="c1", name="f"), call(_B, index=0, id="c1", name="f")],
            [("f", _A), ("f", _B)],
            id="two calls with one id and one index",
        ),
        pytest.param(
            [
                call("{}", index=0, id="c1", name="f"),
                call("", index=0, id="c1", name="f"),
                call(" ", index=0),
            ],
            [("f", "{} ")],
            id="a name and blanks after the end",
        ),
        pytest.param(
            [call('{"a"', index=0, name="f"), call(":1}", index=0, id="late")],
            [("f", _A)],
            id="an id that comes late",
        ),
        pytest.param(
            [call('{"a"', name="f"), call(":1}", id="late")],
            [("f", _A)],
            id="an id that comes late, without an index",
        ),
        pytest.param(
            [call(_A, index=0), call("", index=0, id="c1", name="f")],
            [("f", _A)],
            id="arguments before the name",
        ),
        pytest.param([call(_A), call("", name="f")], [("f", _A)], id="arguments before the name, no index"),
        pytest.param(
            [call('{"a"', index=0, name=" "), call(":1}", index=0, name="f")],
            [("f", _A)],
            id="a blank name opens nothing",
        ),
        pytest.param([call(_A + _B, index=0, id="c1", name="f")], [("f", _A), ("f", _B)], id="glued"),
        pytest.param(
            [call(_A, index=0, id="c1", name="f"), call(_B, index=0)],
            [("f", _A), ("f", _B)],
            id="glued in fragments",
        ),
        pytest.param([call(index=0, id="c1", name="f")], [("f", "")], id="no arguments at all"),
        pytest.param([call("", index=0, id="c1", name="f")], [("f", "")], id="empty arguments"),
        pytest.param([call({}, index=0, id="c1", name="f")], [("f", "")], id="an empty object as arguments"),
        pytest.param(
            [call({}, index=0, id="c1", name="f"), call(_A, index=0)],
            [("f", _A)],
            id="an empty object before the arguments",
        ),
        pytest.param(
            [call("{}", index=0, id="c1", name="f"), call('{"a"', index=0), call(":1}", index=0)],
            [("f", _A)],
            id="an empty object as text before the arguments",
        ),
        pytest.param(
            [call(index=0, id="c1", name="f"), call(" {} ", index=0), call(" ", index=0), call(_A, index=0)],
            [("f", _A)],
            id="an empty object in a fragment of its own before the arguments",
        ),
        pytest.param(
            [call("{}", index=0, id="c1", name="f"), call(" " + _A, index=0)],
            [("f", " " + _A)],
            id="an empty object and blanks before the arguments",
        ),
        pytest.param(
            [call("{}", index=0, id="c1", name="f", body="custom"), call(_A, index=0, body="custom")],
            [("f", "{}" + _A)],
            id="an empty object at the beginning of free text",
        ),
        pytest.param(
            [call("{}", index=0, id="c1", name="f"), call("{}", index=0), call(_A, index=0)],
            [("f", _A)],
            id="two empty objects before the arguments",
        ),
        pytest.param(
            [call("{}", index=0, id="c1", name="f"), call({"a": 1}, index=0)],
            [("f", '{"a": 1}')],
            id="an empty object before an object",
        ),
        pytest.param(
            [call("{}", index=0), call("", index=0, id="c1", name="f"), call(_A, index=0)],
            [("f", _A)],
            id="an empty object before the name",
        ),
        pytest.param(
            [call("{}" + _A, index=0, id="c1", name="f")],
            [("f", "{}"), ("f", _A)],
            id="an empty object glued to another",
        ),
        pytest.param(
            [call("{}", index=0, id="c1", name="f"), call(_A, index=1, id="c2", name="f")],
            [("f", "{}"), ("f", _A)],
            id="an empty object that is all there is",
        ),
        pytest.param(
            [call("{}", index=0, name="f"), call(_A, index=0, name="f")],
            [("f", "{}"), ("f", _A)],
            id="an empty object, and another call on the same index",
        ),
        pytest.param(
            [call({"a": 1}, index=0, id="c1", name="f"), call(_B, index=1, id="c2", name="g")],
            [("f", '{"a": 1}'), ("g", _B)],
            id="an object as arguments",
        ),
        pytest.param([call([1], name="f")], [("f", "[1]")], id="an array as arguments"),
        pytest.param(
            [call({"a": 1}, index=0, name="f"), call({"b": 2}, index=0, name="g")],
            [("f", '{"a": 1}'), ("g", '{"b": 2}')],
            id="objects as arguments on one index",
        ),
        pytest.param(
            [chunk({"tool_calls": [item_of("", index=0, name="now"), item_of("", index=0, name="now")]})],
            [("now", ""), ("now", "")],
            id="two equal calls without arguments in one list",
        ),
        pytest.param(
            [call("", index=0, id=7, name="f"), call(_A, index=0, id=7)],
            [("f", _A)],
            id="an id that is a number",
        ),
        pytest.param(
            [chunk({"tool_calls": item_of(_A, index=0, id="c1", name="f")})],
            [("f", _A)],
            id="an object in place of the list",
        ),
        pytest.param(
            [chunk({"tool_calls": [None, "x", {"id": "c1", "name": "f", "arguments": _A}]})],
            [("f", _A)],
            id="name and arguments in the item itself",
        ),
        pytest.param(
            [
                call("", index=0, id="c1", name="f"),
                text("so"),
                call(_A, index=0),
                text(" be it"),
            ],
            [("f", _A)],
            id="text between the fragments",
        ),
    ],
)
def test_fragments_find_their_call(payloads: list[Any], expected: list[tuple[str, str]]) -> None:
    """By id, index, place or as the last one; two calls are never merged, one never split."""
    assert expected == _calls(*payloads)


def test_null_stands_for_no_arguments() -> None:
    """VLLM and Writer send it with the name."""
    payload = chunk({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": None}}]})
    got = read(ROLE, payload, call("{}", index=0, id=None), _END, DONE)

    assert ([("f", "{}")], {"arguments_null"}) == (got.called, got.rules)


@pytest.mark.parametrize(
    "payloads, rule",
    [
        ([call("{}", name="f", id="c1")], "call_index_missing"),
        ([call("{}", name="f", index=0)], "call_id_missing"),
        ([call("{}", name="f", index=0, id="c1"), call("", index=0, id="c1")], "call_repeated"),
        (
            [call("{}", name="f", index=0, id="c1"), call("{}", name="f", index=0, id="c2")],
            "call_index_reused",
        ),
        ([call("{}", index=0), call("", name="f", index=0)], "call_unnamed"),
        ([call({"a": 1}, name="f", index=0, id="c1")], "arguments_parsed"),
        ([call("{}", name="f", index=0, id="c1"), call("{}", index=0)], "arguments_placeholder"),
        (
            [
                call("{}", name="f", index=0, id="c1"),
                call("{}", name="g", index=1, id="c2"),
                call("{}", index=0),
            ],
            "call_after_done",
        ),
    ],
)
def test_every_rule_that_bends_to_a_server_is_counted(payloads: list[Any], rule: str) -> None:
    """The departures say what a server does that its documents do not."""
    assert rule in read(ROLE, *payloads, _END, DONE).rules


def test_blanks_after_the_end_of_a_call_say_nothing() -> None:
    """They are no departure."""
    got = read(
        ROLE,
        call("{}", index=0, id="c1", name="f"),
        call("{}", index=1, id="c2", name="g"),
        call(" ", index=0),
        _END,
        DONE,
    )

    assert ([("f", "{}"), ("g", "{}")], set()) == (got.called, got.rules)


def test_a_name_that_comes_after_the_finish_begins_another_call() -> None:
    """What had no name by then was given up."""
    got = read(
        ROLE,
        call("{"),
        call('{"a"', index=0, id="c0"),
        call("{}", index=1, id="c1", name="f"),
        _END,
        call("{}", index=0, name="g"),
        DONE,
    )

    assert [("f", "{}"), ("g", "{}")] == got.called
    assert ["tool_call", "opaque", "opaque", "tool_call"] == got.kinds


def test_an_id_that_was_never_sent_is_made_up_once() -> None:
    """Every event of the call has it, and calls differ in it."""
    got = read(ROLE, call("{}", index=0, name="f"), call("{}", index=1, name="g"), _END, DONE)

    ids = [event.id for event in got.events if isinstance(event, ToolCallStart)]
    assert 2 == len(set(ids))
    assert ids == [done.id for done in got.calls]


def test_a_call_that_never_gets_a_name_is_kept_but_is_no_call() -> None:
    """Nobody can run it, and nothing is lost."""
    got = read(ROLE, call('{"a"', index=0, id="c1"), call(":1}", index=0), _END, DONE)

    assert ((), []) == (got.message.tool_calls, got.calls)
    [part] = got.message.parts
    assert isinstance(part, OpaquePart)
    assert {"id": "c1", "type": "function", "arguments": _A} == part.data


def test_a_nameless_call_of_another_type_is_kept_too() -> None:
    """Zhipu reports its own web search among the calls; values stay values."""
    item = {"id": "w1", "type": "web_search", "web_search": {"arguments": {"q": "x"}}, "search_result": [1]}
    got = read(ROLE, chunk({"tool_calls": [item]}))

    [part] = got.message.parts
    assert isinstance(part, OpaquePart)
    assert {
        "id": "w1",
        "type": "web_search",
        "arguments": [{"q": "x"}],
        "search_result": [1],
    } == part.data


def test_a_call_of_a_growing_message_that_gets_its_name_too_late_begins_anew() -> None:
    """What it had said before its choice was over was given as no call, and stays that."""

    def message(finish: str | None = None, **body: Any) -> dict[str, Any]:
        told = {"tool_calls": [{"id": "c1", "function": body}]}
        return {**HEAD, "choices": [{"index": 0, "message": told, "finish_reason": finish}]}

    got = read(
        message("tool_calls", arguments=_A[:3]), message(arguments=_A), message(name="f", arguments=_A)
    )

    assert [("f", _A)] == got.called
    assert ["opaque", "tool_call"] == got.kinds
    part = got.message.parts[0]
    assert isinstance(part, OpaquePart)
    assert {"id": "c1", "type": "function", "arguments": _A[:3]} == part.data


def test_a_custom_tools_input_is_free_text() -> None:
    """It is no JSON; nulls in its later fragments say nothing."""
    nulls = {"index": 0, "id": None, "type": None, "function": None}
    got = read(
        ROLE,
        call("", index=0, id="c1", type="custom", body="custom", name="run"),
        chunk({"tool_calls": [{**nulls, "custom": {"input": "SELECT "}}]}),
        chunk({"tool_calls": [{**nulls, "custom": {"name": None, "input": "1 }"}}]}),
        call("", index=1, id="c2", name="g"),
        _END,
        DONE,
    )

    assert [("run", "SELECT 1 }"), ("g", "")] == got.called
    assert ("custom", "SELECT 1 }") == (got.calls[0].type, got.calls[0].arguments)


def test_a_custom_tools_input_may_go_on_after_another_call_began() -> None:
    """Free text has no end of its own, so the choice's end is its end."""
    got = read(
        ROLE,
        call("SELECT ", index=0, id="c1", type="custom", body="custom", name="run"),
        call(_A, index=1, id="c2", name="f"),
        call("1", index=0, body="custom"),
        _END,
        DONE,
    )

    assert [("run", "SELECT 1"), ("f", _A)] == got.called
    assert set() == got.rules


def test_a_custom_call_without_input_waits_for_the_finish() -> None:
    """Another call's start does not end a call that has said nothing yet."""
    got = read(
        ROLE,
        call("", index=0, id="c1", type="custom", body="custom", name="run"),
        call("{}", index=1, id="c2", name="g"),
        call("later", index=0, body="custom"),
        _END,
        DONE,
    )

    assert {("run", "later"), ("g", "{}")} == set(got.called)


def test_a_call_of_an_unknown_type_is_read_like_any_other() -> None:
    """The object in it that has a name and arguments is its body."""
    got = read(ROLE, call('{"q":1}', index=0, id="c1", type="mcp", body="mcp", name="find"), _END, DONE)

    assert ([("find", '{"q":1}')], "mcp") == (got.called, got.calls[0].type)


def test_the_legacy_function_call_is_one_call() -> None:
    """From before there were tools: one call, without an id."""
    got = read(
        ROLE,
        chunk({"content": None, "function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"a"'}}),
        chunk({"function_call": {"arguments": ":1}"}}),
        chunk({"function_call": {}}, "function_call"),
        DONE,
    )

    assert ([("f", _A)], "function_call", set()) == (got.called, got.calls[0].type, got.rules)
    assert "tool_calls" == got.message.finish_reason


@pytest.mark.parametrize("field", ["tool_calls", "function_call"])
@pytest.mark.parametrize("value", [7, "x", True])
def test_calls_that_are_no_calls_are_carried(field: str, value: Any) -> None:
    """A field of the wrong type is not lost."""
    assert value == answer(chunk({field: value})).message.provider_data[field]


def test_a_signature_on_a_call_is_kept_with_it() -> None:
    """Gemini wants it back with the call, byte for byte."""
    signature = {"google": {"thought_signature": "c2ln"}}
    got = read(
        ROLE,
        call(_A, index=0, id="c1", name="f", extra_content=signature),
        call("", index=1, id="c2", name="g"),
        chunk(
            {
                "tool_calls": [
                    {"index": 1, "extra_content": signature, "function": {"arguments": _B, "x": 1, "y": 2}}
                ]
            }
        ),
        _END,
        DONE,
    )

    assert [{"extra_content": signature}, {"extra_content": signature, "x": 1, "y": 2}] == [
        done.provider_data for done in got.calls
    ]


def test_calls_of_several_choices_are_kept_apart() -> None:
    """The same index and id may occur in each choice."""
    item = item_of("", index=0, id="c1", name="f")
    got = read(
        chunk({"role": "assistant", "tool_calls": [item]}),
        chunk({"role": "assistant", "tool_calls": [item]}, choice=1),
        chunk({"tool_calls": [item_of('{"n":1}', index=0)]}, choice=1),
        chunk({"tool_calls": [item_of('{"n":0}', index=0)]}),
        chunk({}, "tool_calls", choice=1),
        _END,
        DONE,
    )

    assert [(1, '{"n":1}'), (0, '{"n":0}')] == [
        (event.choice, event.call.arguments_text) for event in got.events if isinstance(event, ToolCallDone)
    ]


def test_a_message_that_grows_hands_out_each_call_once() -> None:
    """Where whole messages come again and again, calls grow in them."""

    def grown(*items: Any) -> Any:
        return chunk(message={"tool_calls": list(items)})

    half, whole = item_of('{"a"', id="c1", name="f"), item_of(_A, id="c1", name="f")
    parsed = item_of({"b": 2}, id="c2", name="g")
    got = read(ROLE, grown(half), grown(whole), grown(whole, parsed), grown(whole, parsed), _END, DONE)

    assert [("f", _A), ("g", '{"b": 2}')] == got.called


def test_a_message_repeats_the_calls_of_its_deltas() -> None:
    """Writer sends both: the call is handed out once."""
    item = item_of(_A, index=0, id="c1", name="f")
    got = read(ROLE, chunk({"tool_calls": [item]}, message={"tool_calls": [item]}), _END, DONE)

    assert ([("f", _A)], {"text_twice"}) == (got.called, got.rules)


def test_a_call_that_was_rewritten_in_a_growing_message_is_never_a_mixture() -> None:
    """Two versions of the arguments do not make a third one."""
    versions = ['{"a":1', '{"bc":22}', '{"a"', '{"a":1}']
    grown = [chunk(message={"tool_calls": [item_of(version, id="c1", name="f")]}) for version in versions]

    assert [] == read(ROLE, *grown[:2], _END, DONE).called
    assert [("f", '{"a":1}')] == read(ROLE, *grown, _END, DONE).called
    assert 2 == read(ROLE, *grown, _END, DONE).format.departures["text_rewritten"].count


def test_arguments_that_are_empty_in_a_later_version_change_nothing() -> None:
    """A server that leaves them out for a while has taken nothing back."""
    grown = [
        chunk(message={"tool_calls": [item_of(version, id="c1", name="f")]}) for version in ("{}", "", "{}")
    ]
    got = read(ROLE, *grown, _END, DONE)

    assert ([("f", "{}")], set()) == (got.called, got.rules)


@pytest.mark.parametrize("name", [None, "f"])
def test_half_a_character_in_what_waits_for_a_name_is_replaced(name: str | None) -> None:
    """Whether the name comes with a later chunk or never: the message can be written as JSON."""
    got = read(
        ROLE,
        call("\ud83c", index=0, id="c\ud83c", type="t\ud83c", x="\ud83c"),
        call("", index=0, name=name),
        text("a"),
        _END,
        DONE,
    )

    assert got.message == type(got.message).model_validate_json(got.message.model_dump_json())
    assert "c\ufffd" in got.message.model_dump_json()


def test_custom_calls_may_share_an_index() -> None:
    """A new id there is another call, once the first has any text."""
    got = read(
        ROLE,
        call("ls", index=0, type="custom", body="custom", name="run"),
        call("pwd", index=0, id="c2", type="custom", body="custom", name="run"),
        _END,
        DONE,
    )

    assert [("run", "ls"), ("run", "pwd")] == got.called
    assert "call_index_reused" in got.rules


def test_an_index_may_be_written_as_digits() -> None:
    """`"1"` and 1 are one index."""
    got = read(
        ROLE,
        call('{"a"', index="1", id="c1", name="f"),
        call(":1}", index=1),
        call('{"b"', index=2, id="c2", name="g"),
        call(":2}", index="2"),
        _END,
        DONE,
    )

    assert [("f", '{"a":1}'), ("g", '{"b":2}')] == got.called


def test_fields_of_a_call_may_come_with_any_fragment() -> None:
    """The call has them all when it is handed out, and what was given before does not change."""
    got = read(
        ROLE,
        call('{"a"', index=0, id="c1", name="f", x=1),
        call(":", index=0, y=2, x=3),
        call("1}", index=0, z="\ud800"),
        call("{}", index=1, id="c2", name="g"),
        call("", index=0, late=True),
        _END,
        DONE,
    )
    [start, _] = [event for event in got.events if isinstance(event, ToolCallStart)]

    assert {"x": 1} == start.provider_data
    assert {"x": 3, "y": 2, "z": "\ufffd"} == got.calls[0].provider_data


def test_fields_of_a_call_are_not_copied_with_each_that_is_added() -> None:
    """A server that sends a new field with each fragment does not make each one dearer."""
    made = OpenAIChat()
    kept = set()
    fields: list[dict[str, Any]] = [{f"f{n}": n} for n in range(9)]
    made.feed(call("", index=0, id="c1", name="f"))
    [open_call] = made.parts.choices[0].calls()
    for field in fields:
        fragment = call("", index=0, **field)
        made.feed(fragment)
        kept.add(id(open_call.provider_data))

    assert {f"f{n}": n for n in range(9)} == open_call.provider_data
    assert {id(open_call.provider_data)} == kept


@pytest.mark.parametrize(
    "payloads",
    [
        [call("{}", index=n, id=f"c{n}", name="f") for n in range(4)],
        [call("{}", index=n) for n in range(4)],
        [call("{}" * 4, index=0, id="c", name="f")],
    ],
)
def test_more_calls_than_the_limit_end_the_stream(payloads: list[Any]) -> None:
    """`Limits.tool_calls` bounds them, named or not, glued or not."""
    got = read(ROLE, *payloads, _END, DONE, limits=Limits(tool_calls=3))

    assert isinstance(got.error, LimitExceeded)
    assert "tool_calls" == got.error.limit


def test_a_limit_that_is_met_at_the_end_of_the_input_is_told() -> None:
    """Nothing is raised from `end`."""
    nameless = [call("{}", index=n) for n in range(3)]
    got = read(ROLE, *nameless, limits=Limits(parts=2))

    assert isinstance(got.error, StreamTruncated)
    assert isinstance(read(ROLE, FINISH, *nameless, limits=Limits(parts=2)).error, LimitExceeded)


def test_a_long_call_costs_no_more_at_its_end_than_at_its_start() -> None:
    """No fragment is looked at twice, also where every fragment repeats the name."""
    pieces = ['{"text": "'] + ["x" * 8] * 20_000 + ['"}']
    got = read(ROLE, *[call(piece, index=0, name="f") for piece in pieces], _END, DONE)

    assert [("f", "".join(pieces))] == got.called


# -- wholeness -----------------------------------------------------------------------------


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), _VALUES, max_size=3) | st.lists(_VALUES, max_size=3), st.data())
def test_an_object_is_whole_at_its_last_bracket_and_not_before(value: Any, data: st.DataObject) -> None:
    """However its text is cut, and whatever brackets and quotes its strings hold."""
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
    """Its name may come later, so nothing is glued to a whole call."""
    got = answer(
        call("{}", name="rm", index=0, id="a"),
        call('{"b": ', index=0, id="b"),
        call("2}", name="ls", index=0),
    )

    assert [("a", "{}"), ("b", '{"b": 2}')] == [(done.id, done.arguments_text) for done in got.calls]


def test_two_ids_that_both_lack_a_name_are_two_calls() -> None:
    """Neither is begun, so neither goes on."""
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


@pytest.mark.parametrize(
    "payloads",
    [
        [call(_A, index=0, id="c1", name="f"), _old(_A, name="f")],
        [call("{}", index=0, id="c1", name="f"), _old("", name="f"), _old("{}")],
        [call(_A, id="c1", name="f"), _old("", name="f"), _old(_A[:2]), _old(_A[2:])],
        [
            call(_A[:2], index=0, id="c1", name="f"),
            _old(_A[:2], name="f"),
            call(_A[2:], index=0),
            _old(_A[2:]),
        ],
        [call(_A, index=0, id="c1", name="f"), _old(_A, name="f"), _old(_A, name="f")],
    ],
    ids=["whole", "empty", "in pieces", "piece by piece", "twice"],
)
def test_a_call_that_the_old_field_says_again_in_a_later_delta_is_one_call(payloads: list[Any]) -> None:
    """`tool_calls` counts, as it does within one delta."""
    got = read(ROLE, *payloads, _END, DONE)

    assert ["c1"] == [done.id for done in got.calls]
    assert "call_twice" in got.rules


@pytest.mark.parametrize(
    "payloads",
    [
        [_old('{"a":2}', name="f")],
        [_old("", name="f"), _old('{"a":'), _old("2}")],
        [_old('{"a"', name="f"), _old(":2}", name="f")],
        [_old(_A, name="f"), _old('{"a":2}', name="f")],
    ],
    ids=["whole", "in pieces", "with its name again", "behind a repetition"],
)
def test_a_call_of_the_old_field_that_begins_like_another_is_a_call_of_its_own(payloads: list[Any]) -> None:
    """What was taken for a repetition belongs to it, and none of it is lost."""
    assert [("f", _A), ("f", '{"a":2}')] == _calls(call(_A, index=0, id="c1", name="f"), *payloads)


def test_another_call_in_the_old_field_is_another_call() -> None:
    """Only what says the same is the same call."""
    both = {**_in_both_fields('{"n":1}', index=0, id="c1"), "function_call": {"name": "g", "arguments": "{}"}}

    assert [("f", '{"n":1}'), ("g", "{}")] == _calls(chunk(both))
    message = {**HEAD, "choices": [{"index": 0, "message": both, "finish_reason": "stop"}]}
    assert [("f", '{"n":1}'), ("g", "{}")] == sorted(read(message).called)
