"""Chunks read at a glance: which ones each format knows how to read, and that they say the same."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from tests.compare.benchmarks.answers import ANSWERS
from tests.support.answers_in_turns.answers import ANSWERS as IN_TURNS
from tests.support.in_turns import decoded
from tokenstream import Decoder
from tokenstream._connection.connection import Connection
from tokenstream.departures import Departures
from tokenstream.events import Event, ToolCallDelta
from tokenstream.formats._base import Unit
from tokenstream.limits import DEFAULT_LIMITS

_NAMES = [name for name in ANSWERS if name != "pieces"]
_UNITS = {
    "anthropic, objects": {"payload"},
    "anthropic-agents": set[str](),
    "openai-chat, objects": {"payload"},
    "bedrock-converse": set[str](),
    "bedrock-invoke, Claude": set[str](),
    "bedrock-invoke, Llama": set[str](),
    "cohere, v1": {"event", "line"},
    "gemini, SSE": {"event", "element"},
    "gemini, JSON array": {"element"},
    "gemini-live, messages": {"message"},
    "langchain, JSON lines": {"event", "line"},
    "langchain-protocol, JSON lines": {"event", "line"},
    "llamaindex, JSON lines": {"event", "line"},
    "ollama": {"event", "line"},
    "openai-live, messages": {"message"},
    "openai-realtime, messages": {"message"},
    "tokenstream": {"event", "line", "message"},
}
"""What each reads; what stands in messages of AWS has a way of its own."""
_BY_ID = frozenset({"anthropic-agents"})
"""Formats that look at the id of each event, and so decode it."""
_LEARNT = 40
"""Deltas after which every format has learnt what the next one looks like."""


def _read(connection: Connection, chunk: Any) -> list[Event]:
    if isinstance(chunk, dict):
        connection.take_payloads()
    return [event for frame in connection.framing.frames(chunk) for event in connection.format.feed(frame)]


def _reading(name: str) -> tuple[Connection, list[Any]]:
    """Return a connection that has read the start of an answer, and the chunks that come then."""
    answer = ANSWERS[name](name, 2 * _LEARNT)
    connection = Connection(
        answer.format, limits=DEFAULT_LIMITS, departures=Departures(), found=lambda _: None
    )
    for chunk in [*answer.head, *answer.deltas[:_LEARNT]]:
        _read(connection, chunk)
    return connection, [chunk for chunk in answer.deltas[_LEARNT:] if not isinstance(chunk, str)]


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("name", _NAMES)
def test_a_chunk_read_at_a_glance_says_what_it_says_in_the_plain_way(name: str) -> None:
    """Every format reads its text deltas so, and its events are the same."""
    quick, chunks = _reading(name)
    plain, _ = _reading(name)
    glances = 0
    for chunk in chunks:
        read = quick.shortcut()
        event = None if read is None else read(chunk)
        glances += event is not None

        assert _read(plain, chunk) == (_read(quick, chunk) if event is None else [event])
    assert (len(chunks) // 2 < glances) is (name not in _BY_ID)
    assert plain.frames_seen == quick.frames_seen


@pytest.mark.parametrize("name", _NAMES)
def test_a_format_reads_no_chunks_at_a_glance_that_it_does_not_come_in(name: str) -> None:
    """What is no such chunk would be compared in vain, each time."""
    format = _reading(name)[0].format

    found: set[str] = {
        unit for unit in get_args(Unit) if format.shortcut(unit, 10**6, b"", b"\n") is not None
    }
    assert _UNITS.get(name, {"event"}) == found


# -- fragments of a call's arguments, in every format that has them -----------------------

_CALLS = [name for name in IN_TURNS if name.endswith(", calls")]


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
    answer = IN_TURNS[name]
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
    answer = IN_TURNS[name]
    for before in (["{}"], [" ", " ", " ", "{}"], [" ", "{", "}", " "], ["\n", "\n", "{ }", "{}"]):
        pieces = [answer.delta(0, text) for text in [*before, '{"a"', ": 1", "}"]]
        chunks = [*map(answer.wire, answer.head), *map(answer.wire, pieces)]
        plain = decoded(answer.format, chunks, shortcuts=False)

        assert plain == decoded(answer.format, chunks, shortcuts=True)
