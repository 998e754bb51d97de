"""OpenAI Chat: a tool's name that comes in pieces, again, or as it grows."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest

from tests.formats.openai_chat.payloads import ROLE, call, chunk
from tests.formats.openai_chat.support import calling
from tests.support.wire import DONE as DONE_SENT
from tests.support.wire import chat, sses
from tokenstream import AsyncStream, Decoder, Stream, Tags, Tools, tap
from tokenstream.errors import MisuseError
from tokenstream.events import TextDelta, ToolCallStart

END = chunk({}, "tool_calls")


def look_up() -> None:
    """Look up."""


def _called(*payloads: Any) -> list[tuple[str, str]]:
    return calling(*payloads).called


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
    for piece in filter(None, (arguments[:cut], arguments[cut:])):
        sent.append(chunk({"function_call": {"arguments": piece}}) if is_legacy else call(piece, index=0))

    assert [(name, arguments)] == _called(*sent)


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

    assert [("now", ""), ("later", "")] == _called(first, second)


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

    assert [("look_up", '{"a":1}')] == _called(*pieces)
    for tools, names in ([look_up], ["look_up"]), (["look_", "up"], ["look_", "up"]):
        assert names == _with_tools(tools, *pieces)
