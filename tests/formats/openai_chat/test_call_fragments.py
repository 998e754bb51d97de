"""OpenAI Chat: which tool call a fragment belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_chat.payloads import call, chunk, item_of, text
from tests.formats.openai_chat.support import FIRST, SECOND, calling, handed_out
from tests.support.tables import in_one_test

_BOTH = [("f", FIRST), ("g", SECOND)]


_ANSWERS: dict[str, tuple[list[Any], list[tuple[str, str]]]] = {
    "fragments of both in turns": (
        [
            call("", index=0, id="c1", name="f"),
            call("", index=1, id="c2", name="g"),
            call('{"a"', index=0),
            call('{"b":[', index=1),
            call(":1}", index=0),
            call("2]}", index=1),
        ],
        _BOTH,
    ),
    "indexes below 0 and huge": (
        [
            call("", index=-3, id="c1", name="f"),
            call(FIRST, index=-3),
            call("", index=10**18, id="c2", name="g"),
            call(SECOND, index=10**18),
        ],
        _BOTH,
    ),
    "no index, fragments without anything": (
        [call("", id="c1", name="f"), call('{"a"'), call(":1}"), call("", id="c2", name="g"), call(SECOND)],
        _BOTH,
    ),
    "neither id nor index, whole": ([call(FIRST, name="f"), call(SECOND, name="g")], _BOTH),
    "neither id nor index, the name in every fragment": (
        [call('{"a"', name="f"), call(":1}", name="f"), call(SECOND, name="g")],
        _BOTH,
    ),
    "neither id nor index, known by their place": (
        [
            chunk({"tool_calls": [item_of("", name="f"), item_of("", name="g")]}),
            chunk({"tool_calls": [item_of('{"a"'), item_of('{"b":')]}),
            chunk({"tool_calls": [item_of(":1}"), item_of("[2]}")]}),
        ],
        _BOTH,
    ),
    "two ids on one index": (
        [
            call("", index=0, id="c1", name="f"),
            call(FIRST, index=0),
            call("", index=0, id="c2", name="g"),
            call(SECOND, index=0),
        ],
        _BOTH,
    ),
    "another name after whole arguments": (
        [call(FIRST, index=0, name="f"), call("", index=0, name="g"), call(SECOND, index=0)],
        _BOTH,
    ),
    "ids that are the text null": (
        [call(FIRST, index=0, id="null", name="f"), call(SECOND, index=0, id="null", name="g")],
        _BOTH,
    ),
    "the name in every fragment": (
        [call('{"a"', index=0, name="f"), call(":", index=0, name="f"), call("1}", index=0, name="f")],
        [("f", FIRST)],
    ),
    "the name again before a nested object": (
        [call('{"a":', index=0, name="f"), call('{"b":2}', index=0, name="f"), call("}", index=0, name="f")],
        [("f", '{"a":{"b":2}}')],
    ),
    "two equal calls on one index": (
        [call(FIRST, index=0, name="f"), call(FIRST, index=0, name="f")],
        [("f", FIRST), ("f", FIRST)],
    ),
    "two calls with one id and one index": (
        [call(FIRST, index=0, id="c1", name="f"), call(SECOND, index=0, id="c1", name="f")],
        [("f", FIRST), ("f", SECOND)],
    ),
    "an id that comes late": (
        [call('{"a"', index=0, name="f"), call(":1}", index=0, id="late")],
        [("f", FIRST)],
    ),
    "arguments before the name": (
        [call(FIRST, index=0), call("", index=0, id="c1", name="f")],
        [("f", FIRST)],
    ),
    "a blank name opens nothing": (
        [call('{"a"', index=0, name=" "), call(":1}", index=0, name="f")],
        [("f", FIRST)],
    ),
    "two documents in one call": ([call(FIRST + SECOND, index=0, id="c1", name="f")], []),
    "an empty object as text before the arguments": (
        [call("{}", index=0, id="c1", name="f"), call('{"a"', index=0), call(":1}", index=0)],
        [("f", FIRST)],
    ),
    "an empty object at the beginning of free text": (
        [call("{}", index=0, id="c1", name="f", body="custom"), call(FIRST, index=0, body="custom")],
        [("f", "{}" + FIRST)],
    ),
    "an empty object and another one in one fragment": ([call("{}" + FIRST, index=0, id="c1", name="f")], []),
    "an empty object that is all there is": (
        [call("{}", index=0, id="c1", name="f"), call(FIRST, index=1, id="c2", name="f")],
        [("f", FIRST), ("f", "{}")],
    ),
    "an empty object, and another call on the same index": (
        [call("{}", index=0, name="f"), call(FIRST, index=0, name="f")],
        [("f", FIRST), ("f", "{}")],
    ),
    "an object as arguments": (
        [call({"a": 1}, index=0, id="c1", name="f"), call(SECOND, index=1, id="c2", name="g")],
        [("f", '{"a": 1}'), ("g", SECOND)],
    ),
    "two equal calls without arguments in one list": (
        [chunk({"tool_calls": [item_of("", index=0, name="now"), item_of("", index=0, name="now")]})],
        [("now", ""), ("now", "")],
    ),
    "an object in place of the list": (
        [chunk({"tool_calls": item_of(FIRST, index=0, id="c1", name="f")})],
        [("f", FIRST)],
    ),
    "name and arguments in the item itself": (
        [chunk({"tool_calls": [None, "x", {"id": "c1", "name": "f", "arguments": FIRST}]})],
        [("f", FIRST)],
    ),
    "text between the fragments": (
        [call("", index=0, id="c1", name="f"), text("so"), call(FIRST, index=0), text(" be it")],
        [("f", FIRST)],
    ),
}
"""Answers, with the calls that are handed out."""


@in_one_test("payloads, expected", _ANSWERS.values(), ids=_ANSWERS)
def test_fragments_find_their_call(payloads: list[Any], expected: list[tuple[str, str]]) -> None:
    assert expected == handed_out(*payloads)


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
        ([call("{}", name="f", index=0, id="c1"), call(FIRST, index=0)], "arguments_placeholder"),
        (
            [
                call(FIRST, name="f", index=0, id="c1"),
                call("{}", name="g", index=1, id="c2"),
                call("x", index=0),
            ],
            "call_after_done",
        ),
    ],
)
def test_every_rule_that_bends_to_a_server_is_counted(payloads: list[Any], rule: str) -> None:
    """The departures say what a server does that its documents do not."""
    assert rule in calling(*payloads).rules
