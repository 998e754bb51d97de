"""Faults of the event layer, F52 to F60 of the fault matrix: events unknown, late, twice, missing."""

from __future__ import annotations

import pytest

from tests.faults.events.support import BODIES, CLAUDE_END, check_whole, every_format, outcome
from tests.stream.bodies import call, chunk
from tests.support import wire
from tests.support.wire import DONE, sse
from tokenstream.errors import StreamInterrupted, StreamTruncated
from tokenstream.events import Ping, TextDelta, Unknown
from tokenstream.framing import ServerSentEvent, SSEParser


@every_format
def test_f52_an_unknown_event_is_carried_and_never_fatal(format: str) -> None:
    """F52: it comes as `Unknown`, with its name and payload, where it stood."""
    found = outcome(BODIES[format].around(sse('{"type":"telemetry","a":1}', event="telemetry")))
    places = [
        place
        for place, event in enumerate(found.events)
        if isinstance(event, TextDelta) or (isinstance(event, Unknown) and event.kind == "event")
    ]
    before, unknown, after = (found.events[place] for place in places)

    check_whole(found)
    assert isinstance(before, TextDelta)
    assert isinstance(after, TextDelta)
    assert isinstance(unknown, Unknown)
    assert ("telemetry", {"type": "telemetry", "a": 1}) == (unknown.name, unknown.data)


@every_format
@pytest.mark.parametrize("lacking", [1, 2])
def test_f53_a_terminal_event_without_its_blank_line_is_one(format: str, lacking: int) -> None:
    """F53: it is whole, so it is taken, and counted."""
    body = BODIES[format]

    check_whole(outcome([*body.all[:-1], body.end[:-lacking]]), {"blank_line_missing": 1})


@every_format
def test_f53_a_missing_terminal_event_after_the_finish_reason_is_no_error(format: str) -> None:
    """F53: the answer is whole."""
    check_whole(outcome(BODIES[format].all[:-1]), {"done_missing": 1})


@every_format
def test_f53_a_missing_terminal_event_without_a_finish_reason_is_a_cut(format: str) -> None:
    """F53: nothing says that the answer is whole."""
    body = BODIES[format]
    found = outcome([*body.first, body.last])

    assert isinstance(found.error, StreamTruncated)
    assert found.error.retryable
    assert ("Hello €", "truncated", None) == (
        found.message.text,
        found.message.ending,
        found.message.finish_reason,
    )
    assert found.error.partial == found.message
    assert not found.departures


@every_format
def test_f54_a_connection_that_breaks_after_the_finish_reason_costs_nothing(format: str) -> None:
    """F54: the answer is whole: complete, with a departure, and no error."""
    check_whole(outcome(BODIES[format].all[:-1], ConnectionResetError("reset")), {"broken_after_finish": 1})


@every_format
def test_f54_a_connection_that_breaks_before_the_finish_reason_is_an_error(format: str) -> None:
    """F54: the other side of the rule; the transport's own error is the cause."""
    body, cause = BODIES[format], ConnectionResetError("reset")
    found = outcome([*body.first, body.last], cause)

    assert isinstance(found.error, StreamInterrupted)
    assert found.error.__cause__ is cause
    assert found.error.retryable
    assert ("Hello €", "truncated") == (found.message.text, found.message.ending)
    assert found.error.partial == found.message


@every_format
def test_f55_what_comes_after_the_terminal_event_is_ignored_and_counted(format: str) -> None:
    """F55: nothing is appended to an answer that is over."""
    body = BODIES[format]

    check_whole(outcome([*body.all, body.last]), {"data_after_end": 1})
    check_whole(outcome([*body.all, body.end]), {"data_after_end": 1})


@every_format
def test_f56_the_same_delta_twice_is_two_deltas(format: str) -> None:
    """F56: a model may repeat itself, so nothing is dropped that no id tells apart."""
    body = BODIES[format]

    check_whole(outcome(body.around(body.last)), text="Hello €lo €")


def test_f56_the_parser_gives_the_id_by_which_a_repeated_event_is_known() -> None:
    """F56: whoever replays events has to number them."""
    events = SSEParser().feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 2\ndata: b\n\n")

    assert ["1", "2", "2"] == [event.id for event in events]


def test_f57_blocks_that_come_in_turns_keep_each_its_own_text() -> None:
    """F57: the content index counts and not the order of arrival; turns are counted."""
    chunks = [
        wire.claude_start(),
        wire.claude_open(0, type="text", text=""),
        wire.claude_open(1, type="thinking", thinking="", signature=""),
        wire.claude_delta(1, "thinking_delta", thinking="Hm"),
        wire.claude_delta(0, "text_delta", text="Hel"),
        wire.claude_delta(1, "thinking_delta", thinking="m."),
        wire.claude_delta(0, "text_delta", text="lo €"),
        wire.claude_close(1),
        wire.claude_close(0),
        CLAUDE_END,
    ]
    found = outcome(chunks)

    check_whole(found, {"parts_interleaved": 3})
    assert "Hmm." == found.message.reasoning


def test_f57_tool_calls_that_come_in_turns_or_in_another_order_keep_their_own_arguments() -> None:
    """F57: the index counts; the calls stand in the order of their starts."""
    chunks = [
        chunk({"role": "assistant"}),
        chunk(call(1, "call_b", "get_time", '{"b"')),
        chunk(call(0, "call_a", "get_time", '{"a"')),
        chunk(call(1, None, None, ": 1}")),
        chunk(call(0, None, None, ": 0}")),
        chunk({}, "tool_calls"),
        DONE,
    ]
    found = outcome(chunks)

    assert [("call_b", {"b": 1}, True), ("call_a", {"a": 0}, True)] == [
        (call.id, call.arguments, call.complete) for call in found.message.tool_calls
    ]
    assert ("complete", None) == (found.message.ending, found.error)


@every_format
@pytest.mark.parametrize("sign", [b": keep-alive\n\n", sse('{"type": "ping"}', event="ping"), b":\n:\n:\n"])
def test_f58_pings_and_comments_are_no_events_unless_asked_for(format: str, sign: bytes) -> None:
    """F58: they are heartbeats and no content."""
    body = BODIES[format]
    plain = outcome(body.around(sign))
    pings = [event for event in outcome(body.around(sign), pings=True).events if isinstance(event, Ping)]

    check_whole(plain)
    assert outcome(body.all).events == plain.events
    assert max(1, sign.count(b":\n")) == len(pings)


@pytest.mark.parametrize(
    "line, expected",
    [
        ("id: é€", "é€"),
        ("id:  two spaces ", " two spaces "),
        ("id: a\0b", "before"),
        ("id", ""),
        ("id:", ""),
        ("id:7", "7"),
        ("id: \u2028", "\u2028"),
    ],
)
def test_f59_an_id_is_kept_as_it_was_sent(line: str, expected: str) -> None:
    """F59: text of any script, one leading space less, and none that holds NUL; no line end can be in it."""
    parser = SSEParser()
    events = parser.feed(f"id: before\ndata: 1\n\n{line}\ndata: 2\n\n".encode())

    assert ["before", expected] == [event.id for event in events]
    assert expected == parser.last_event_id


def test_f60_nothing_of_a_broken_connection_is_left_for_the_next_one() -> None:
    """F60: half an event, half a character, a line end, an id of half an event: gone; the last id stays."""
    cut_short = [
        b"data: half",
        b"data: \xe2\x82",
        b"event: add\n",
        b"id: 8\ndata: x\n",
        b"data: y\r",
        b"\xef\xbb",
    ]
    for rest in cut_short:
        parser = SSEParser()
        parser.feed(b"retry: 5\nid: 7\ndata: x\n\n" + rest)
        parser.end()
        parser.reset()

        assert ("7", 5, b"", None) == (parser.last_event_id, parser.retry, parser.tail, parser.unfinished)
        events = parser.feed(b"\n\xef\xbb\xbfdata: no mark\n\n")
        assert [] == events
        parser.reset()
        assert [ServerSentEvent(b"new", id="7")] == parser.feed(b"\xef\xbb\xbfdata: new\n\n")


@every_format
def test_f60_a_new_stream_knows_nothing_of_one_that_broke(format: str) -> None:
    """F60: no state is shared between streams."""
    body = BODIES[format]
    chunks = [*body.first, body.last]
    broken = outcome([*chunks[:-1], chunks[-1][:-5]])

    assert isinstance(broken.error, StreamTruncated)
    assert b"data: " in broken.error.tail
    check_whole(outcome(body.all))
