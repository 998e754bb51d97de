"""OpenAI Chat: when a call is handed out or kept back, custom tools, legacy calls, and further fields."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_chat.payloads import FINISH, ROLE, answer, call, chunk, item_of, read
from tests.formats.openai_chat.support import END, FIRST, SECOND, calling
from tests.formats.told import DONE
from tests.support.formats import OpenAIChat
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Decoder
from tokenstream.errors import LimitExceeded, StreamTruncated
from tokenstream.events import PartDone, ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.limits import Limits


def test_a_call_is_handed_out_whole_at_the_finish() -> None:
    got = calling(
        call("", index=0, id="c1", type="function", name="get_weather"),
        call('{"ci', index=0),
        call('ty":"Oslo"}', index=0),
    )

    [start] = [event for event in got.events if isinstance(event, ToolCallStart)]
    assert ("c1", "get_weather", "function") == (start.id, start.name, start.type)
    assert ['{"ci', 'ty":"Oslo"}'] == [e.fragment for e in got.events if isinstance(e, ToolCallDelta)]
    assert [{"city": "Oslo"}] == [done.arguments for done in got.calls]
    assert ("tool_calls", set()) == (got.reason, got.rules)


def test_a_call_is_handed_out_when_the_next_one_starts() -> None:
    got = read(ROLE, call('{"a":1}', index=0, id="c1", name="f"), call("", index=1, id="c2", name="g"))

    assert [("f", '{"a":1}')] == got.called
    assert isinstance(got.error, StreamTruncated)


def test_a_text_ends_with_the_first_fragment_of_a_call() -> None:
    decoder = Decoder("openai-chat")
    for payload in (ROLE, chunk({"content": "Let me see."})):
        decoder.feed(sse(payload))
    ended = decoder.feed(sse(call("", index=0, id="c1", name="get_weather")))
    begun = decoder.feed(sse(call('{"a":1}', index=0)))

    assert [PartDone] == [type(event) for event in ended]
    assert [ToolCallStart, ToolCallDelta] == [type(event) for event in begun]


def test_a_call_that_is_cut_is_never_handed_out() -> None:
    for cut in ("", '{"path": "/hom', '{"path": "/home"}'):
        got = read(ROLE, call(cut, index=0, id="c1", name="rm"))

        assert [] == got.calls
        assert [False] == [part.complete for part in got.message.tool_calls]


@pytest.mark.parametrize("reason", ["length", "content_filter", "error", "abort"])
def test_the_call_that_was_being_written_is_not_handed_out_when_the_answer_was_cut(reason: str) -> None:
    got = read(ROLE, call('{"a":1}', index=0, id="c1", name="rm"), chunk({}, reason), DONE)

    assert ([], {"call_open_at_end"}) == (got.calls, got.rules)
    assert '{"a":1}' == got.message.tool_calls[0].arguments_text


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_calls_in_turns_without_arguments_yet_are_not_handed_out_when_the_answer_was_cut(reason: str) -> None:
    calls = call("", index=0, id="c1", name="f"), call('{"x":', index=1, id="c2", name="g")
    cut = read(ROLE, *calls, chunk({}, reason), DONE)
    whole = calling(*calls, call("1}", index=1, id=None))

    assert [] == cut.called
    assert [("f", ""), ("g", '{"x":1}')] == whole.called


def test_a_stop_on_a_message_with_calls_means_tool_calls() -> None:
    """Some servers say "stop" for both; their word is kept."""
    got = answer(call("{}", index=0, id="c1", name="f"))

    assert ("tool_calls", "stop") == (got.reason, got.raw_reason)


def test_done_without_a_finish_reason_ends_the_calls() -> None:
    got = read(ROLE, call('{"a":1}', index=0, id="c1", name="f"), DONE)

    assert ([("f", '{"a":1}')], {"finish_missing"}) == (got.called, got.rules)


def test_arguments_that_are_no_json_are_kept_and_never_handed_out() -> None:
    got = calling(call("{a:", index=0, id="c1", name="f"))

    assert ([], {"call_invalid"}) == (got.calls, got.rules)
    assert [("{a:", False)] == [(part.arguments_text, part.complete) for part in got.message.tool_calls]


def test_null_stands_for_no_arguments() -> None:
    """VLLM and Writer send it with the name."""
    payload = chunk({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": None}}]})
    got = calling(payload, call("{}", index=0, id=None))

    assert ([("f", "{}")], {"arguments_null"}) == (got.called, got.rules)


def test_blanks_after_the_end_of_a_call_say_nothing() -> None:
    got = calling(
        call("[]", index=0, id="c1", name="f"), call("{}", index=1, id="c2", name="g"), call(" ", index=0)
    )

    assert ([("f", "[]"), ("g", "{}")], set()) == (got.called, got.rules)


def test_a_name_that_comes_after_the_finish_begins_another_call() -> None:
    """What had no name by then was given up."""
    got = read(
        ROLE,
        call("{"),
        call('{"a"', index=0, id="c0"),
        call("{}", index=1, id="c1", name="f"),
        END,
        call("{}", index=0, name="g"),
        DONE,
    )

    assert [("f", "{}"), ("g", "{}")] == got.called
    assert ["tool_call", "opaque", "opaque", "tool_call"] == got.kinds


def test_an_id_that_was_never_sent_is_made_up_once() -> None:
    """Every event of the call has it, and calls differ in it."""
    got = calling(call("{}", index=0, name="f"), call("{}", index=1, name="g"))

    ids = [event.id for event in got.events if isinstance(event, ToolCallStart)]
    assert 2 == len(set(ids))
    assert ids == [done.id for done in got.calls]


def test_a_call_that_never_gets_a_name_is_kept_but_is_no_call() -> None:
    """Nobody can run it, and nothing is lost."""
    got = calling(call('{"a"', index=0, id="c1"), call(":1}", index=0))

    assert ((), []) == (got.message.tool_calls, got.calls)
    [part] = got.parts
    assert {"id": "c1", "type": "function", "arguments": FIRST} == part.data


def test_calls_of_several_choices_are_kept_apart() -> None:
    item = item_of("", index=0, id="c1", name="f")
    got = read(
        chunk({"role": "assistant", "tool_calls": [item]}),
        chunk({"role": "assistant", "tool_calls": [item]}, choice=1),
        chunk({"tool_calls": [item_of('{"n":1}', index=0)]}, choice=1),
        chunk({"tool_calls": [item_of('{"n":0}', index=0)]}),
        chunk({}, "tool_calls", choice=1),
        END,
        DONE,
    )

    assert [(1, '{"n":1}'), (0, '{"n":0}')] == [
        (event.choice, event.call.arguments_text) for event in got.events if isinstance(event, ToolCallDone)
    ]


@in_one_test(
    "name",
    [call(None, index=0, name="f"), call(None, id="c1", name="f"), call("", index=0, id="c1", name="f")],
)
def test_a_name_after_the_finish_reason_has_the_arguments_before_it(name: Any) -> None:
    """A tool is not run without the arguments that its call has."""
    for before in (
        [call('{"n": 1}', index=0, id="c1")],
        [call('{"n":', index=0, id="c1"), call(" 1}", index=0)],
    ):
        got = read(ROLE, *before, FINISH, name, DONE)

        assert [("f", '{"n": 1}')] == got.called


def test_a_limit_that_is_met_at_the_end_of_the_input_is_reported() -> None:
    """Nothing is raised from `end`."""
    nameless = [call("{}", index=n) for n in range(3)]
    got = read(ROLE, *nameless, limits=Limits(parts=2))

    assert isinstance(got.error, StreamTruncated)
    assert isinstance(read(ROLE, FINISH, *nameless, limits=Limits(parts=2)).error, LimitExceeded)


@pytest.mark.slow
def test_a_long_call_costs_no_more_at_its_end_than_at_its_start() -> None:
    """No fragment is looked at twice, also where every fragment repeats the name."""
    pieces = ['{"text": "'] + ["x" * 8] * 20_000 + ['"}']
    got = calling(*[call(piece, index=0, name="f") for piece in pieces])

    assert [("f", "".join(pieces))] == got.called


def test_a_nameless_call_of_another_type_is_kept_too() -> None:
    """Zhipu reports its own web search among the calls; values stay values."""
    item = {"id": "w1", "type": "web_search", "web_search": {"arguments": {"q": "x"}}, "search_result": [1]}
    got = read(ROLE, chunk({"tool_calls": [item]}))

    [part] = got.parts
    assert {"id": "w1", "type": "web_search", "arguments": [{"q": "x"}], "search_result": [1]} == part.data


def test_a_custom_tools_input_is_free_text() -> None:
    nulls = {"index": 0, "id": None, "type": None, "function": None}
    got = calling(
        call("", index=0, id="c1", type="custom", body="custom", name="run"),
        chunk({"tool_calls": [{**nulls, "custom": {"input": "SELECT "}}]}),
        chunk({"tool_calls": [{**nulls, "custom": {"name": None, "input": "1 }"}}]}),
        call("", index=1, id="c2", name="g"),
    )

    assert [("run", "SELECT 1 }"), ("g", "")] == got.called
    assert ("custom", "SELECT 1 }") == (got.calls[0].type, got.calls[0].arguments)


def test_a_custom_tools_input_may_go_on_after_another_call_began() -> None:
    """Free text has no end of its own, so the choice's end is its end."""
    got = calling(
        call("SELECT ", index=0, id="c1", type="custom", body="custom", name="run"),
        call(FIRST, index=1, id="c2", name="f"),
        call("1", index=0, body="custom"),
    )

    assert [("run", "SELECT 1"), ("f", FIRST)] == got.called
    assert set() == got.rules


def test_a_custom_call_without_input_waits_for_the_finish() -> None:
    got = calling(
        call("", index=0, id="c1", type="custom", body="custom", name="run"),
        call("{}", index=1, id="c2", name="g"),
        call("later", index=0, body="custom"),
    )

    assert {("run", "later"), ("g", "{}")} == set(got.called)


def test_a_call_of_an_unknown_type_is_read_like_any_other() -> None:
    got = calling(call('{"q":1}', index=0, id="c1", type="mcp", body="mcp", name="find"))

    assert ([("find", '{"q":1}')], "mcp") == (got.called, got.calls[0].type)


def test_the_legacy_function_call_is_one_call() -> None:
    got = read(
        ROLE,
        chunk({"content": None, "function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"a"'}}),
        chunk({"function_call": {"arguments": ":1}"}}),
        chunk({"function_call": {}}, "function_call"),
        DONE,
    )

    assert ([("f", FIRST)], "function_call", set()) == (got.called, got.calls[0].type, got.rules)
    assert "tool_calls" == got.reason


def test_a_signature_on_a_call_is_kept_with_it() -> None:
    """Gemini wants it back with the call, byte for byte."""
    signature = {"google": {"thought_signature": "c2ln"}}
    got = calling(
        call(FIRST, index=0, id="c1", name="f", extra_content=signature),
        call("", index=1, id="c2", name="g"),
        chunk(
            {
                "tool_calls": [
                    {
                        "index": 1,
                        "extra_content": signature,
                        "function": {"arguments": SECOND, "x": 1, "y": 2},
                    }
                ]
            }
        ),
    )

    assert [{"extra_content": signature}, {"extra_content": signature, "x": 1, "y": 2}] == [
        done.provider_data for done in got.calls
    ]


def test_custom_calls_may_share_an_index() -> None:
    """A new id there is another call, once the first has any text."""
    got = calling(
        call("ls", index=0, type="custom", body="custom", name="run"),
        call("pwd", index=0, id="c2", type="custom", body="custom", name="run"),
    )

    assert [("run", "ls"), ("run", "pwd")] == got.called
    assert "call_index_reused" in got.rules


def test_an_index_may_be_written_as_digits() -> None:
    got = calling(
        call('{"a"', index="1", id="c1", name="f"),
        call(":1}", index=1),
        call('{"b"', index=2, id="c2", name="g"),
        call(":2}", index="2"),
    )

    assert [("f", '{"a":1}'), ("g", '{"b":2}')] == got.called


def test_fields_of_a_call_may_come_with_any_fragment() -> None:
    got = calling(
        call('{"a"', index=0, id="c1", name="f", x=1),
        call(":", index=0, y=2, x=3),
        call("1}", index=0, z="\ud800"),
        call("{}", index=1, id="c2", name="g"),
        call("", index=0, late=True),
    )
    [start, _] = [event for event in got.events if isinstance(event, ToolCallStart)]

    assert {"x": 1} == start.provider_data
    assert {"x": 3, "y": 2, "z": "\ufffd"} == got.calls[0].provider_data


def test_fields_of_a_call_are_not_copied_with_each_that_is_added() -> None:
    """A server that sends a new field with each fragment does not make each one dearer."""
    made = OpenAIChat()
    kept = set()
    fields: list[dict[str, Any]] = [{f"f{n}": n} for n in range(9)]
    made.feed(call("[", index=0, id="c1", name="f"))
    [open_call] = made.parts.choices[0].open_calls()
    for field in fields:
        fragment = call("", index=0, **field)
        made.feed(fragment)
        kept.add(id(open_call.provider_data))

    assert {f"f{n}": n for n in range(9)} == open_call.provider_data
    assert {id(open_call.provider_data)} == kept
