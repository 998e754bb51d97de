"""OpenAI Chat: which tool call a fragment belongs to, and names in pieces, again, or as they grow."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest

from tests.formats.openai_chat.payloads import ROLE, call, chunk, item_of, text
from tests.formats.openai_chat.support import END, FIRST, SECOND, calling, handed_out
from tests.support.tables import in_one_test
from tests.support.wire import DONE as DONE_SENT
from tests.support.wire import chat, sses
from tokenstream import AsyncStream, Decoder, Stream, Tags, Tools, tap
from tokenstream.errors import MisuseError
from tokenstream.events import TextDelta, ToolCallStart

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
        [("f", "{}"), ("f", FIRST)],
    ),
    "an empty object, and another call on the same index": (
        [call("{}", index=0, name="f"), call(FIRST, index=0, name="f")],
        [("f", "{}"), ("f", FIRST)],
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
    "arguments at another index than the head of their call": (
        [
            call(FIRST, index=0, id="c1", name="f"),
            call("", index=0, id="c2", name="g"),
            call(SECOND[:3], index=1),
            call(SECOND[3:], index=1),
        ],
        [("f", FIRST), ("g", SECOND)],
    ),
    "arguments of one of two calls": (
        [call("", index=0, id="c1", name="f"), call("", index=1, id="c2", name="g"), call(SECOND, index=2)],
        [],
    ),
    "arguments of a call with an id and without a name": (
        [call("", index=0, id="c1", name="f"), call(SECOND, index=1, id="c2")],
        [],
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


def look_up() -> None:
    """Look up."""


def _with_tools(tools: Any, *payloads: Any) -> list[str]:
    """Return the names of the calls of an answer, in their order, where the tools are known."""
    body = [*sses(ROLE, *payloads, END), DONE_SENT]
    return [each.name for each in Stream(body, format="openai-chat", tools=tools).final().tool_calls]


@pytest.mark.parametrize("seed", range(40))
def test_a_name_in_any_pieces_is_one_name(seed: int) -> None:
    way = random.Random(seed)
    name, arguments = (
        "look_up_" + "".join(way.choices("abcxyz_", k=way.randint(1, 20))) + "z",
        '{"n": [1, 2]}',
    )
    cuts = [0, *sorted(way.sample(range(1, len(name)), way.randint(0, 4))), len(name)]
    # Snapshots are all of the name so far, each time.
    are_snapshots = way.random() < 0.3
    pieces = [name[0 if are_snapshots else begin : end] for begin, end in pairwise(cuts)]
    repeats_id, is_legacy = way.random() < 0.5, way.random() < 0.2
    sent = []
    for number, piece in enumerate(pieces):
        ids = {"id": "c1"} if number == 0 or repeats_id else {}
        empty = way.choice([None, ""])
        if is_legacy:
            body = {"name": piece} | ({} if empty is None else {"arguments": empty})
            sent.append(chunk({"function_call": body}))
        else:
            sent.append(call(empty, index=0, name=piece, **ids))
    cut = way.randint(0, len(arguments))
    told = [
        chunk({"function_call": {"arguments": piece}}) if is_legacy else call(piece, index=0)
        for piece in (arguments[:cut], arguments[cut:])
        if piece
    ]
    # Pieces may come behind the first arguments, which then are not whole.
    behind = way.randint(1, len(sent)) if len(told) > 1 else len(sent)
    sent = [*sent[:behind], *told[:1], *sent[behind:], *told[1:]]

    assert [(name, arguments)] == handed_out(*sent)


def test_the_start_of_a_call_has_the_whole_name() -> None:
    pieces = [call("", index=0, id="a", name="look_"), call("", index=0, name="up")]
    for after in ([call("{}", index=0)], [chunk({"content": "Hm"})], []):
        events = calling(*pieces, *after).events
        starts = [event.name for event in events if isinstance(event, ToolCallStart)]

        assert ["look_up"] == starts
        order = [type(event) for event in events if isinstance(event, ToolCallStart | TextDelta)]
        assert ToolCallStart is order[0]


@pytest.mark.parametrize(
    ("tools", "second", "expected"),
    [
        (["look", "look_up"], "_up", ["look_up"]),
        (["look", "up"], "up", ["look", "up"]),
        (["look", "see"], "see", ["look", "see"]),
        (["look", "see"], "look", ["look"]),
        (["look_up", "other"], "_up", ["look_up"]),
        ([look_up], "_up", ["look_up"]),
        ([look_up], "see", ["look", "see"]),
        ([], "see", ["looksee"]),
        (Tools(look_up), "_up", ["look_up"]),
        (None, "see", ["looksee"]),
    ],
)
def test_known_tools_tell_a_piece_from_another_tool(tools: Any, second: str, expected: list[str]) -> None:
    """A piece that is a tool's name, or makes none, begins another call."""
    assert expected == _with_tools(
        tools, call("", index=0, name="look"), call("", index=0, name=second), call("{}", index=0)
    )


def test_another_id_is_another_call() -> None:
    first, second = call("", index=0, id="a", name="now"), call("", index=0, id="b", name="later")

    assert [("now", ""), ("later", "")] == handed_out(first, second)


def test_a_known_name_starts_its_call_at_once() -> None:
    for name, is_immediate in [("look_up", True), ("see", False), ("see_all", True)]:
        decoder = Decoder("openai-chat", tools=["look_up", "see", "see_all"])
        body = "data: " + json.dumps(call(index=0, name=name)) + "\n\n"
        events = decoder.feed(body)

        assert is_immediate == any(isinstance(event, ToolCallStart) for event in events)


def test_functions_types_and_names_are_known_as_tools() -> None:
    """A name alone has no schema, and the schema of a function tells what its arguments are."""

    def book(seats: int) -> None:
        """Book."""

    text = "<tool_call><function=%s><parameter=seats>2</parameter></function></tool_call>"
    named = [chat({"content": text % name}) for name in ("book", "look")]
    tools: Any = [book, "look", Tools(look_up)]
    stream = Stream([*named, chat({}, "stop"), DONE_SENT], tools=tools, tags=Tags(calls="qwen"))

    assert [{"seats": 2}, {"seats": "2"}] == [each.arguments for each in stream.final().tool_calls]
    for names in (["book", "look"], ["look_up", "book"]):
        assert names == _with_tools(tools, *[call("", index=0, name=name) for name in names])


@pytest.mark.parametrize("tools", ["look", 7, [7], [look_up, look_up], look_up])
def test_what_is_no_tool_is_refused_at_once(tools: Any) -> None:
    """Nothing of the answer is read before that."""
    for make in (Stream, AsyncStream):
        with pytest.raises(MisuseError, match="tool"):
            make([b""], tools=tools)
    with pytest.raises(MisuseError, match="tool"):
        Decoder(tools=tools)
    with pytest.raises(MisuseError, match="tool"):
        tap([b""], tools=tools)


def test_names_of_two_calls_come_in_pieces_in_turns() -> None:
    """The start of the second call does not end the first one's name; the calls keep their order."""
    begun = [
        {"index": 0, "id": "a", "function": {"name": "look_"}},
        {"index": 1, "id": "b", "function": {"name": "go"}},
    ]
    more = [{"index": 0, "function": {"name": "up"}}, {"index": 1, "function": {"name": "_on"}}]
    told = calling(
        chunk({"tool_calls": begun}),
        chunk({"tool_calls": more}),
        call('{"b":2}', index=1),
        call('{"a":1}', index=0),
    )

    starts = [event.name for event in told.events if isinstance(event, ToolCallStart)]
    assert ["look_up", "go_on"] == starts
    assert {("look_up", '{"a":1}'), ("go_on", '{"b":2}')} == set(told.called)


@pytest.mark.parametrize("id", [{}, {"id": "a"}])
def test_a_name_in_pieces_needs_no_index(id: dict[str, str]) -> None:
    pieces = [call("", name="look_", **id), call("", name="up"), call('{"a":1}')]

    assert [("look_up", '{"a":1}')] == handed_out(*pieces)
    for tools, names in ([look_up], ["look_up"]), (["look_", "up"], ["look_", "up"]):
        assert names == _with_tools(tools, *pieces)
