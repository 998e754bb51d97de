"""A tool call's arguments while they are written: looked at in each delta, or never."""

from __future__ import annotations

import copy
import gc
import json
import pickle
from types import FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import call, chunk
from tests.support.effort import examples
from tests.support.texts import pieces_of
from tests.support.wire import DONE
from tokenstream import Decoder, Message, Stream, StreamTruncated
from tokenstream._answer.accumulator import Accumulator
from tokenstream.events import PartStart, ToolCallDelta, ToolCallStart
from tokenstream.formats import Format
from tokenstream.message import ServerToolCall, ToolCall
from tokenstream.partial_json import PartialJSONParser

_FRAGMENTS = ['{"ci', 'ty": "Os', 'lo", "days"', ": 12", ', "tags": ["a", tr', 'ue, {"x":', " 1}]", "}"]
_SEEN = [
    {},
    {"city": "Os"},
    {"city": "Oslo"},
    {"city": "Oslo"},
    {"city": "Oslo", "days": 12, "tags": ["a"]},
    {"city": "Oslo", "days": 12, "tags": ["a", True, {}]},
    {"city": "Oslo", "days": 12, "tags": ["a", True, {"x": 1}]},
    {"city": "Oslo", "days": 12, "tags": ["a", True, {"x": 1}]},
]
_BODY = [
    chunk(call(0, "call_a", "get_weather", "")),
    *[chunk(call(0, None, None, fragment)) for fragment in _FRAGMENTS],
    chunk({}, "tool_calls"),
    DONE,
]


def _deltas(fragments: list[str], accumulator: Accumulator, part: int = 0) -> list[ToolCallDelta]:
    deltas = [ToolCallDelta("c", fragment, part=part) for fragment in fragments]
    for delta in deltas:
        accumulator.take(delta)
    return deltas


def test_each_delta_shows_the_arguments_as_far_as_they_have_come() -> None:
    decoder = Decoder("openai-chat")
    ways: list[Any] = [Stream(_BODY), (event for piece in _BODY for event in decoder.feed(piece))]
    for events in ways:
        deltas = (event for event in events if isinstance(event, ToolCallDelta))

        assert _SEEN == [copy.deepcopy(delta.partial_arguments) for delta in deltas]


def test_a_message_shows_the_arguments_of_a_call_that_still_arrives_and_of_one_that_was_cut() -> None:
    """A program that looks at the message now and then reads each of its parts in the same way."""
    stream, kept = Stream(_BODY[:-2]), list[Message]()
    with pytest.raises(StreamTruncated) as caught:
        for event in stream:
            kept += [stream.message] if isinstance(event, ToolCallDelta) else []
    parts = [message.parts[0] for message in [*kept, caught.value.partial]]

    assert [*_SEEN, _SEEN[-1]] == [part.partial_arguments for part in parts if isinstance(part, ToolCall)]


@pytest.mark.parametrize("kind", [ToolCall, ServerToolCall])
def test_a_kept_part_shows_its_own_arguments(kind: type[ToolCall | ServerToolCall]) -> None:
    texts = ["", " ", '{"city": "Os', '{"a": 1, "b": oops']
    parts = [kind.model_validate_json(kind(arguments_text=text).model_dump_json()) for text in texts]

    assert [None, None, {"city": "Os"}, {"a": 1}] == [part.partial_arguments for part in parts]
    assert "SELECT" == ToolCall(type="custom", arguments_text="SELECT").partial_arguments


def test_an_event_that_is_kept_shows_what_has_come_since() -> None:
    """The value is live: it is the same in each event of a call."""
    deltas = [event for event in Stream(_BODY) if isinstance(event, ToolCallDelta)]

    assert _SEEN[-1] == deltas[0].partial_arguments
    assert deltas[0].partial_arguments is deltas[-1].partial_arguments


def test_nothing_to_show_yet_is_none() -> None:
    accumulator = Accumulator()

    assert [None, None, {}] == [
        _deltas([fragment], accumulator)[0].partial_arguments for fragment in ("  ", "\n", "{")
    ]


def test_broken_arguments_stay_as_they_were_before_the_fault() -> None:
    accumulator = Accumulator()
    deltas = _deltas(['{"a": 1, "b": oops', ', "c": 2}'], accumulator)

    assert [{"a": 1}, {"a": 1}] == [delta.partial_arguments for delta in deltas]


def test_a_custom_tools_input_shows_as_text() -> None:
    accumulator = Accumulator()
    accumulator.take(ToolCallStart("c", "run_python", type="custom"))
    first, second = ToolCallDelta("c", '{"a"'), ToolCallDelta("c", ": 1")
    accumulator.take(first)
    begun = first.partial_arguments
    accumulator.take(second)

    assert ('{"a"', '{"a": 1') == (begun, second.partial_arguments)


def test_an_empty_object_that_comes_first_is_not_shown() -> None:
    """Some servers send it before the arguments; where nothing follows, it is the arguments."""
    begun, end = chunk(call(0, "call_a", "get_weather", "{}")), chunk({}, "tool_calls")
    shown = [
        [event.partial_arguments for event in Stream(chunks) if isinstance(event, ToolCallDelta)]
        for chunks in ([begun, chunk(call(0, None, None, '{"a": 1}')), end, DONE], [begun, end, DONE])
    ]

    assert [[{"a": 1}], [{}]] == shown


def test_an_event_that_nobody_has_given_knows_its_own_fragment() -> None:
    event = ToolCallDelta("c", '{"a": "x')
    given_out = _deltas(_FRAGMENTS[:2], Accumulator())[1]
    copied = pickle.loads(pickle.dumps(given_out))

    assert {"a": "x"} == event.partial_arguments == event.partial_arguments
    assert copied.partial_arguments is None
    assert {"city": "Os"} == given_out.partial_arguments


def test_arguments_show_wherever_an_event_says_that_they_belong() -> None:
    """Events made by hand may put them on a part that began as something else."""
    accumulator = Accumulator()
    accumulator.take(PartStart(ServerToolCall()))

    assert [{"a": 1}] == [delta.partial_arguments for delta in _deltas(['{"a": 1}'], accumulator)]


def test_an_event_that_is_kept_keeps_its_call_and_nothing_else() -> None:
    body = [chunk({"content": "Let me look."}), *_BODY]
    kept = [event for event in Stream(body) if isinstance(event, ToolCallStart | ToolCallDelta)]
    assert isinstance(kept[-1], ToolCallDelta)
    assert _SEEN[-1] == kept[-1].partial_arguments
    reached: dict[int, object] = {}
    waiting: list[object] = [*kept]
    while waiting:
        held = waiting.pop()
        if id(held) not in reached and not isinstance(held, type | ModuleType | FunctionType):
            reached[id(held)] = held
            waiting += gc.get_referents(held)

    assert any(isinstance(held, PartialJSONParser) for held in reached.values())
    assert not any(isinstance(held, Stream | Accumulator | Format) for held in reached.values())
    assert not any("look." in held for held in reached.values() if isinstance(held, str))


def test_a_delta_of_a_call_is_copied_and_pickled_without_its_link() -> None:
    [delta, *_] = [event for event in Stream(_BODY) if isinstance(event, ToolCallDelta)]
    alike = ToolCallDelta("call_a", delta.fragment)

    assert repr(alike) == repr(delta)
    assert [alike] * 4 == [delta, copy.copy(delta), copy.deepcopy(delta), pickle.loads(pickle.dumps(delta))]
    assert not hasattr(pickle.loads(pickle.dumps(delta)), "_link")


def test_looking_changes_nothing_about_the_event() -> None:
    event, same = ToolCallDelta("c", '{"a"', raw=b"{}"), ToolCallDelta("c", '{"a"')
    before = repr(event), pickle.dumps(event)
    _ = event.partial_arguments

    assert (repr(event), pickle.dumps(event)) == before
    assert event == same
    assert pickle.loads(pickle.dumps(event)) == event
    assert copy.copy(event) == event


def test_one_parser_is_made_for_a_call_and_only_when_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads tool calls and no partial arguments does not pay for them."""
    made: list[PartialJSONParser] = []

    def make(*, lenient: bool) -> PartialJSONParser:
        made.append(PartialJSONParser(lenient=lenient))
        return made[-1]

    monkeypatch.setattr("tokenstream.partial_json.PartialJSONParser", make)
    deltas = _deltas(_FRAGMENTS, Accumulator())
    before = len(made)
    for delta in deltas:
        _ = delta.partial_arguments

    assert (0, 1) == (before, len(made))


@examples(60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    st.integers(1, 9),
    st.data(),
)
def test_the_moments_at_which_somebody_looks_change_nothing(value: Any, size: int, data: Any) -> None:
    text = json.dumps({"value": value})
    fragments = pieces_of(text, size)
    accumulator = Accumulator()
    deltas: list[ToolCallDelta] = []
    for fragment in fragments:
        deltas += _deltas([fragment], accumulator)
        if data.draw(st.booleans()):
            _ = deltas[-1].partial_arguments
    late = _deltas(fragments, Accumulator())[-1]

    assert {"value": value} == deltas[-1].partial_arguments == late.partial_arguments


@pytest.mark.slow
def test_looking_at_each_delta_reads_each_character_once() -> None:
    """What is given to the parser adds up to the text, over more pieces than are joined at once."""
    accumulator = Accumulator()
    accumulator.take(ToolCallStart("c", "write", type="custom"))
    read: list[str] = []
    for number in range(3_000):
        delta = ToolCallDelta("c", f"{number:04d}")
        accumulator.take(delta)
        if number % 7:
            before = sum(map(len, read))
            read.append(delta.partial_arguments[before:])

    assert "".join(read) == "".join([f"{number:04d}" for number in range(3_000)])
