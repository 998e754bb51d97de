"""Fragments of a call's arguments are read at a glance in every format that has them."""

from __future__ import annotations

import pytest

from tests.support.answers_in_turns.answers import ANSWERS
from tests.support.in_turns import decoded
from tokenstream import Decoder
from tokenstream._connection.connection import Connection
from tokenstream.events import ToolCallDelta

_CALLS = [name for name in ANSWERS if name.endswith(", calls")]


@pytest.mark.parametrize("name", _CALLS)
def test_a_format_is_asked_for_a_shortcut_when_its_state_changes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Connection] = []
    ask = Connection.shortcut

    def counting(connection: Connection) -> object:
        asked.append(connection)
        return ask(connection)

    monkeypatch.setattr(Connection, "shortcut", counting)
    answer = ANSWERS[name]
    decoder = Decoder(answer.format)
    for payload in answer.head:
        decoder.feed(answer.wire(payload))
    asked.clear()
    pieces = ["[0", *(f", {number}" for number in range(1, 40))]
    events = [event for piece in pieces for event in decoder.feed(answer.wire(answer.delta(0, piece)))]

    assert pieces == [event.fragment for event in events if isinstance(event, ToolCallDelta)]
    assert len(asked) <= 3


@pytest.mark.parametrize("name", _CALLS)
def test_arguments_after_a_placeholder_are_the_same_at_a_glance(name: str) -> None:
    """White space and an empty object say nothing, in however many fragments they come."""
    answer = ANSWERS[name]
    for before in (["{}"], [" ", " ", " ", "{}"], [" ", "{", "}", " "], ["\n", "\n", "{ }", "{}"]):
        pieces = [answer.delta(0, text) for text in [*before, '{"a"', ": 1", "}"]]
        chunks = [*map(answer.wire, answer.head), *map(answer.wire, pieces)]
        plain = decoded(answer.format, chunks, shortcuts=False)

        assert plain == decoded(answer.format, chunks, shortcuts=True)
