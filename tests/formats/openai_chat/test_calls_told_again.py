"""OpenAI Chat: a gateway sends a whole call after its fragments; the tool runs once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.openai_chat.payloads import FINISH, Payload, Read, call, chunk, item_of, read
from tests.formats.told import DONE
from tests.support.streams import json_values
from tests.support.tables import in_one_test
from tests.support.wire import sses
from tokenstream import Stream
from tokenstream._basics import same_call
from tokenstream._basics.json import canonical_json

PAY = [call('{"usd":', name="pay", index=0, id="a"), call(" 100}", index=0)]
PAID = ("a", "pay", '{"usd": 100}')
ids = pytest.mark.parametrize("ids", [{"id": "a"}, {}, {"id": ""}, {"id": None}], ids=repr)
whole = pytest.mark.parametrize("arguments", ['{"usd": 100}', '{"usd":100}', {"usd": 100}])


def handed_out(got: Read) -> list[tuple[str, str, str]]:
    return [(made.id, made.name, made.arguments_text) for made in got.calls]


@ids
@whole
@in_one_test("name", ["pay", "", None])
@in_one_test("index", [{"index": 0}, {}], ids=["index", "no index"])
def test_the_whole_call_after_its_fragments_is_the_same_call(
    ids: Payload, arguments: Any, name: str | None, index: Payload
) -> None:
    got = read(*PAY, call(arguments, name=name, **index, **ids), FINISH, DONE)

    assert [PAID] == handed_out(got)
    assert [PAID[2]] == [made.arguments_text for made in got.message.tool_calls]
    assert "call_repeated" in got.rules


def test_each_tool_of_several_runs_once_when_all_are_sent_again() -> None:
    other = [call('{"km": ', name="go", index=1, id="b"), call("7}", index=1)]
    again = [item_of(PAID[2], name="pay", index=0, id="a"), item_of('{"km": 7}', name="go", index=1, id="b")]
    got = read(*PAY, *other, chunk({"tool_calls": again}, "tool_calls"), DONE)

    assert [PAID, ("b", "go", '{"km": 7}')] == handed_out(got)


@pytest.mark.parametrize(
    "item",
    [
        {"id": "b", "name": "pay", "index": 0, "arguments": '{"usd": 100}'},
        {"id": "a", "name": "pay", "index": 1, "arguments": '{"usd": 100}'},
        {"id": "a", "name": "pay", "index": 0, "arguments": '{"usd": 200}'},
        {"id": "a", "name": "pay", "index": 0, "arguments": '{"usd": true}'},
        {"name": "pay", "index": 0, "arguments": '{"usd": 200}'},
        {"name": "give", "index": 0, "arguments": '{"usd": 100}'},
    ],
    ids=["id", "index", "arguments", "boolean", "arguments without id", "name"],
)
def test_a_call_that_differs_is_another_call(item: Payload) -> None:
    got = read(*PAY, call(item.pop("arguments"), **item), FINISH, DONE)

    assert 2 == len(got.calls) == len({made.id for made in got.calls})


def test_without_ids_a_repeated_name_begins_another_call() -> None:
    """Some servers use one index for all calls, and send no ids."""
    first = [call('{"usd":', name="pay", index=0), call(" 100}", index=0)]
    got = read(*first, call('{"usd": 100}', name="pay", index=0), FINISH, DONE)

    assert [("pay", PAID[2])] * 2 == got.called


def test_the_older_form_has_one_call() -> None:
    """A `function_call` never has an id."""
    pieces = ['{"usd":', " 100}", '{"usd": 100}']
    payloads = [chunk({"function_call": {"name": "pay", "arguments": piece}}) for piece in pieces]

    assert [("pay", PAID[2])] == read(*payloads, FINISH, DONE).called


@pytest.mark.parametrize("shortcuts", [True, False])
def test_fragments_without_a_name_are_sent_again_on_the_fast_path_as_well(shortcuts: bool) -> None:
    pieces = ["{", *[f'"{number}": {number}, ' for number in range(40)], '"last": {}', "}"]
    fragments = [call("", name="pay", index=0, id="a"), *[call(piece, index=0) for piece in pieces]]
    arguments = "".join(pieces)
    got = read(*fragments, call(arguments, index=0), FINISH, DONE, shortcuts=shortcuts)

    assert [("a", "pay", arguments)] == handed_out(got)


def test_many_small_repetitions_of_a_long_call_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """The long arguments are decoded once."""
    decoded: list[int] = []

    def count(value: Any) -> str | None:
        decoded.append(len(value))
        return canonical_json(value)

    monkeypatch.setattr(same_call, "canonical_json", count)
    long = json.dumps({"text": "x" * 100_000})
    first = call(long, name="pay", index=0, id="a")
    read(first, *[call("{}", name="pay", index=0, id="a")] * 50, FINISH, DONE)

    assert len(long) <= sum(decoded) < len(long) + 1_000


def test_small_values_in_long_arguments_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of many empty lists takes linear time."""
    compared: list[Any] = []
    monkeypatch.setattr(same_call, "canonical_json", compared.append)
    long = [call('{"a": "' + "x" * 1_000 + '", "b": [[]', name="f", index=0, id="a")]
    pieces = [call(piece, index=0) for piece in [",", "[]"] * 50]
    got = read(*long, *pieces, call("]}", index=0), FINISH, DONE)

    assert [] == compared
    assert 51 == got.calls[0].arguments_text.count("[]")


@given(st.data())
def test_calls_that_are_sent_again_anywhere_later_are_handed_out_once(data: st.DataObject) -> None:
    """Each call with its own id, in fragments; some are told again, whole, at any later place."""
    values = data.draw(st.lists(st.dictionaries(st.text(max_size=3), json_values, max_size=2), max_size=4))
    payloads: list[Payload] = []
    for index, value in enumerate(values):
        text = json.dumps(value)
        called: Payload = {"name": f"f{index}", "index": index, "id": f"c{index}"}
        cut = data.draw(st.integers(0, len(text)))
        payloads += [call(text[:cut], **called), call(text[cut:], index=index)]
        told = data.draw(st.lists(st.integers(0, index), max_size=2))
        for earlier in told:
            again: Payload = {"name": f"f{earlier}", "index": earlier}
            fields = data.draw(st.sampled_from([{"id": f"c{earlier}"}, {}]))
            payloads.append(call(json.dumps(values[earlier], indent=1), **again, **fields))
    body = b"".join(sses(*payloads, FINISH))
    size = data.draw(st.integers(1, len(body)))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    stream = Stream([*pieces, b"data: [DONE]\n\n"], format="openai-chat")

    expected = [(f"c{index}", json.dumps(value)) for index, value in enumerate(values)]
    assert expected == sorted((made.id, made.arguments_text) for made in stream.tool_calls)
