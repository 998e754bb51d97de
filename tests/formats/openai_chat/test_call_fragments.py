"""OpenAI Chat: which tool call a fragment belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_chat.payloads import call, chunk, item_of, text
from tests.formats.openai_chat.support import FIRST, SECOND, calling, handed_out
from tests.support.tables import in_one_test

_BOTH = [("f", FIRST), ("g", SECOND)]


@in_one_test(
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
            [
                call("", index=-3, id="c1", name="f"),
                call(FIRST, index=-3),
                call("", index=10**18, id="c2", name="g"),
                call(SECOND, index=10**18),
            ],
            _BOTH,
            id="indexes below 0 and huge",
        ),
        pytest.param(
            [
                call("", id="c1", name="f"),
                call('{"a"'),
                call(":1}"),
                call("", id="c2", name="g"),
                call(SECOND),
            ],
            _BOTH,
            id="no index, fragments without anything",
        ),
        pytest.param(
            [call(FIRST, name="f"), call(SECOND, name="g")], _BOTH, id="neither id nor index, whole"
        ),
        pytest.param(
            [call('{"a"', name="f"), call(":1}", name="f"), call(SECOND, name="g")],
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
                call(FIRST, index=0),
                call("", index=0, id="c2", name="g"),
                call(SECOND, index=0),
            ],
            _BOTH,
            id="two ids on one index",
        ),
        pytest.param(
            [call(FIRST, index=0, name="f"), call("", index=0, name="g"), call(SECOND, index=0)],
            _BOTH,
            id="another name after whole arguments",
        ),
        pytest.param(
            [call(FIRST, index=0, id="null", name="f"), call(SECOND, index=0, id="null", name="g")],
            _BOTH,
            id="ids that are the text null",
        ),
        pytest.param(
            [call('{"a"', index=0, name="f"), call(":", index=0, name="f"), call("1}", index=0, name="f")],
            [("f", FIRST)],
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
            [call(FIRST, index=0, name="f"), call(FIRST, index=0, name="f")],
            [("f", FIRST), ("f", FIRST)],
            id="two equal calls on one index",
        ),
        pytest.param(
            [call(FIRST, index=0, id="c1", name="f"), call(SECOND, index=0, id="c1", name="f")],
            [("f", FIRST), ("f", SECOND)],
            id="two calls with one id and one index",
        ),
        pytest.param(
            [call('{"a"', index=0, name="f"), call(":1}", index=0, id="late")],
            [("f", FIRST)],
            id="an id that comes late",
        ),
        pytest.param(
            [call(FIRST, index=0), call("", index=0, id="c1", name="f")],
            [("f", FIRST)],
            id="arguments before the name",
        ),
        pytest.param(
            [call('{"a"', index=0, name=" "), call(":1}", index=0, name="f")],
            [("f", FIRST)],
            id="a blank name opens nothing",
        ),
        pytest.param([call(FIRST + SECOND, index=0, id="c1", name="f")], [], id="two documents in one call"),
        pytest.param(
            [call("{}", index=0, id="c1", name="f"), call('{"a"', index=0), call(":1}", index=0)],
            [("f", FIRST)],
            id="an empty object as text before the arguments",
        ),
        pytest.param(
            [call("{}", index=0, id="c1", name="f", body="custom"), call(FIRST, index=0, body="custom")],
            [("f", "{}" + FIRST)],
            id="an empty object at the beginning of free text",
        ),
        pytest.param(
            [call("{}" + FIRST, index=0, id="c1", name="f")],
            [],
            id="an empty object and another one in one fragment",
        ),
        pytest.param(
            [call("{}", index=0, id="c1", name="f"), call(FIRST, index=1, id="c2", name="f")],
            [("f", FIRST), ("f", "{}")],
            id="an empty object that is all there is",
        ),
        pytest.param(
            [call("{}", index=0, name="f"), call(FIRST, index=0, name="f")],
            [("f", FIRST), ("f", "{}")],
            id="an empty object, and another call on the same index",
        ),
        pytest.param(
            [call({"a": 1}, index=0, id="c1", name="f"), call(SECOND, index=1, id="c2", name="g")],
            [("f", '{"a": 1}'), ("g", SECOND)],
            id="an object as arguments",
        ),
        pytest.param(
            [chunk({"tool_calls": [item_of("", index=0, name="now"), item_of("", index=0, name="now")]})],
            [("now", ""), ("now", "")],
            id="two equal calls without arguments in one list",
        ),
        pytest.param(
            [chunk({"tool_calls": item_of(FIRST, index=0, id="c1", name="f")})],
            [("f", FIRST)],
            id="an object in place of the list",
        ),
        pytest.param(
            [chunk({"tool_calls": [None, "x", {"id": "c1", "name": "f", "arguments": FIRST}]})],
            [("f", FIRST)],
            id="name and arguments in the item itself",
        ),
        pytest.param(
            [call("", index=0, id="c1", name="f"), text("so"), call(FIRST, index=0), text(" be it")],
            [("f", FIRST)],
            id="text between the fragments",
        ),
    ],
)
def test_fragments_find_their_call(payloads: list[Any], expected: list[tuple[str, str]]) -> None:
    """By id, index, place or as the last one; two calls are never merged, one never split."""
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
