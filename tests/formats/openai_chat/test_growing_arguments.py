"""OpenAI Chat: a gateway sends the arguments of a call again in each fragment, as they grow."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.formats.openai_chat.payloads import FINISH, Payload, call, read
from tests.formats.told import DONE
from tests.support.streams import json_values
from tests.support.tables import in_one_test
from tokenstream.events import ToolCallDelta
from tokenstream.partial_json import PartialJSONParser


def snapshots(text: str, ends: list[int], again: Payload) -> list[Payload]:
    first, *rest = [text[:end] for end in [*sorted(ends), len(text)]]
    return [call(first, name="pay", index=0, id="a"), *[call(part, index=0, **again) for part in rest]]


@in_one_test("again", [{}, {"id": "a"}, {"id": "a", "name": "pay"}], ids=repr)
@in_one_test("ends", [[6], [7], [6, 7, 9], [1, 2, 3], [2, 8, 8], [7, 12]], ids=repr)
def test_arguments_that_grow_are_given_once(ends: list[int], again: Payload) -> None:
    """Wherever a snapshot ends, even where an object may begin."""
    got = read(*snapshots('{"usd": 100}', ends, again), FINISH, DONE)

    assert [("pay", '{"usd": 100}')] == got.called
    given = [event.fragment for event in got.events if isinstance(event, ToolCallDelta)]
    assert '{"usd": 100}' == "".join(given)


@pytest.mark.parametrize(
    "pieces",
    [
        ['{"a":', '{"a":', "1}}"],
        ['{"a":', '{"a":1}', "}"],
        ['{"a":', '{"a":1}}'],
        ['{"a":[', '{"a":[', "]}]}"],
        ['{"a":', '{"a":{', '"a":2}}}'],
        ["[", "[", "[", "]", "]]"],
    ],
    ids="".join,
)
def test_pieces_that_look_like_growth_are_pieces(pieces: list[str]) -> None:
    """What was held back is given in its place."""
    first, *rest = pieces
    got = read(
        call(first, name="f", index=0, id="a"), *[call(piece, index=0) for piece in rest], FINISH, DONE
    )

    assert [("f", "".join(pieces))] == got.called
    assert set() == got.rules


def test_two_whole_calls_in_a_row_are_no_growth() -> None:
    """Without an id, the second document is a second call."""
    got = read(call("{}", name="f", index=0), call('{"a": 1}{"a": 2}', index=0), FINISH, DONE)

    assert [("f", '{"a": 1}'), ("f", '{"a": 2}')] == got.called


@given(json_values, st.data(), st.booleans())
@example({"a": {"a": {}}}, None, True)
def test_snapshots_and_pieces_of_the_same_call_are_the_same(value: Any, data: Any, shortcuts: bool) -> None:
    """Cut anywhere; at least three snapshots, or two of which only one reading is JSON."""
    text = json.dumps({"a": value})
    ends = [5] if data is None else data.draw(st.lists(st.integers(1, len(text) - 1), min_size=1, max_size=9))
    bounds = sorted({0, *ends, len(text)})
    pieces = [text[start:end] for start, end in itertools.pairwise(bounds)]
    first = call(pieces[0], name="pay", index=0, id="a")
    in_pieces = read(
        first, *[call(piece, index=0) for piece in pieces[1:]], FINISH, DONE, shortcuts=shortcuts
    )
    grown = read(*snapshots(text, bounds[1:-1], {}), FINISH, DONE, shortcuts=shortcuts)

    assert [("pay", text)] == in_pieces.called == grown.called
    parser = PartialJSONParser()
    parser.feed("".join([pieces[0], text[: bounds[2]]] if len(pieces) > 1 else []))
    # Read as pieces, the first two snapshots are no beginning of JSON.
    if parser.error is not None:
        assert "arguments_repeated" in grown.rules
