"""OpenAI Chat: custom tools, legacy function calls, and the further fields of a call."""

from __future__ import annotations

from typing import Any

from tests.formats.openai_chat.payloads import ROLE, call, chunk, read
from tests.formats.openai_chat.support import FIRST, SECOND, calling
from tests.formats.told import DONE
from tests.support.formats import OpenAIChat
from tokenstream.events import ToolCallStart
from tokenstream.message import OpaquePart


def test_a_nameless_call_of_another_type_is_kept_too() -> None:
    """Zhipu reports its own web search among the calls; values stay values."""
    item = {"id": "w1", "type": "web_search", "web_search": {"arguments": {"q": "x"}}, "search_result": [1]}
    got = read(ROLE, chunk({"tool_calls": [item]}))

    [part] = got.message.parts
    assert isinstance(part, OpaquePart)
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
    assert "tool_calls" == got.message.finish_reason


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
    """`"1"` and 1 are one index."""
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
