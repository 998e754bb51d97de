"""AG-UI: what subagents write is not the answer; and envelopes of TanStack AI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.formats.ag_ui.support import CALL, END, HELLO, START, run
from tokenstream import Limits, Stream
from tokenstream.errors import LimitExceeded, StreamTruncated
from tokenstream.message import ServerToolResult
from tokenstream.stages import Reorder

STARTED = {"type": "SUBAGENT_STARTED", "subagentRunId": "s", "name": "scout", "parentToolCallId": "c"}
FINISHED = {"type": "SUBAGENT_FINISHED", "subagentRunId": "s", "result": "sun"}
TEXT = [
    {"type": "TEXT_MESSAGE_START", "messageId": "w", "role": "assistant", "subagentRunId": "s"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "w", "delta": "I look", "subagentRunId": "s"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "w", "delta": " out.", "subagentRunId": "s"},
    {"type": "TEXT_MESSAGE_END", "messageId": "w", "subagentRunId": "s"},
]


def results_of(told: Any) -> list[tuple[str, Any]]:
    """Return the names and contents of the results among the parts."""
    return [(part.name, part.content) for part in told.message.parts if isinstance(part, ServerToolResult)]


def test_the_text_of_a_subagent_is_a_part_with_its_name() -> None:
    told = run(HELLO[0], HELLO[1], STARTED, *TEXT, FINISHED, HELLO[2], HELLO[3])

    assert "Hello" == told.message.text
    assert [("scout", "I look out.")] == results_of(told)
    assert set() == told.rules


def test_a_subagent_that_was_not_announced_has_the_id_of_its_run() -> None:
    """Chunks, and pieces without the start of their message, are a subagent's as well."""
    chunk = {"type": "TEXT_MESSAGE_CHUNK", "messageId": "w", "delta": "I look", "subagentRunId": "s"}

    assert [("s", "I look")] == results_of(run(*HELLO, chunk))
    assert [("s", "I look out.")] == results_of(run(*HELLO, *TEXT[1:]))
    assert {"part_unopened"} == run(*HELLO, *TEXT[1:]).rules


def test_a_call_of_a_subagent_is_the_clients() -> None:
    call, *rest = CALL
    (told,) = run(STARTED, {**call, "subagentRunId": "s"}, *rest).message.tool_calls

    assert told.provider_data is not None
    assert "s" == told.provider_data["subagentRunId"]


def test_the_names_of_subagents_have_a_bound() -> None:
    """Whoever sends many of them fills no memory."""
    events = [{**STARTED, "subagentRunId": str(number)} for number in range(5)]
    with pytest.raises(LimitExceeded, match="parts"):
        Stream([START, *events, END], limits=Limits(parts=3)).final()


def test_events_with_positions_are_read() -> None:
    """TanStack AI sends them where it keeps its answers, as JSON lines and over WebSockets."""
    envelopes = [{"id": f"o{at}", "chunk": event} for at, event in enumerate([START, *HELLO, END])]
    body = "".join(f"{json.dumps(each)}\n" for each in envelopes).encode()
    pieces = [body[at : at + 5] for at in range(0, len(body), 5)]

    for source in (envelopes, [body], pieces):
        stream = Stream(source)
        assert ("Hello", "r", "ag-ui") == (stream.final().text, stream.message.id, stream.format)
        assert {} == stream.departures.details
    for place in range(len(envelopes)):
        with pytest.raises(StreamTruncated):
            Stream(envelopes[:place]).final()


def test_an_event_with_a_position_that_comes_again_is_dropped_by_a_reorder() -> None:
    """Positions may be numbers, or any other ids."""
    for form in ("{}", "o{}"):
        envelopes = [{"id": form.format(at), "chunk": event} for at, event in enumerate([START, *HELLO, END])]
        twice = [*envelopes[:3], envelopes[2], *envelopes[3:]]
        stream = Stream(twice, reorder=Reorder("id"))
        assert ("Hello", ["frame_repeated"]) == (stream.final().text, [*stream.departures.details])
