"""Faults of the event layer, F38 to F60 of the fault matrix: what a user keeps and is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import USAGE, Source, call, chunk
from tests.stream.drivers import read_async, read_sync
from tests.support import wire
from tests.support.chunkings import bytewise, cut_at, whole
from tests.support.wire import DONE, sse
from tokenstream import Stream
from tokenstream.errors import (
    LimitExceeded,
    ProtocolError,
    ProviderError,
    StreamError,
    StreamInterrupted,
    StreamTruncated,
)
from tokenstream.events import Event, Ping, TextDelta, Unknown
from tokenstream.framing import ServerSentEvent, SSEParser
from tokenstream.message import Message

_MOST_BYTEWISE = 20_000


@dataclass
class Body:
    """An answer of two pieces of text, "Hel" and "lo €", in one format."""

    first: list[bytes]
    last: bytes
    """The second piece of text."""
    finish: bytes
    end: bytes

    @property
    def all(self) -> list[bytes]:
        return self.around()

    def around(self, *middle: bytes) -> list[bytes]:
        """Return the chunks with others between the two pieces of text."""
        return [*self.first, *middle, self.last, self.finish, self.end]


_CLAUDE_END = wire.claude_end("end_turn")
_CLAUDE_STOP = wire.claude("message_stop")
BODIES = {
    "openai-chat": Body(
        [chunk({"role": "assistant"}), chunk({"content": "Hel"})],
        chunk({"content": "lo €"}),
        chunk({}, "stop"),
        DONE,
    ),
    "anthropic": Body(
        [
            wire.claude_start(),
            wire.claude_open(0, type="text", text=""),
            wire.claude_delta(0, "text_delta", text="Hel"),
        ],
        wire.claude_delta(0, "text_delta", text="lo €"),
        wire.claude_close(0) + _CLAUDE_END.removesuffix(_CLAUDE_STOP),
        _CLAUDE_STOP,
    ),
}
CHAT, CLAUDE = BODIES["openai-chat"], BODIES["anthropic"]
every_format = pytest.mark.parametrize("format", BODIES)


@dataclass
class Outcome:
    """What a user can see of a stream that was read to its end."""

    events: list[Event]
    message: Message
    error: StreamError | None
    departures: dict[str, int]


def _all_events(stream: Any) -> Any:
    return stream


def _seen(reading: dict[str, Any]) -> dict[str, Any]:
    # How much was read before an error, and in how many chunks, does depend on the chunks.
    return {name: value for name, value in reading.items() if name not in ("bytes", "chunks")}


def outcome(chunks: list[bytes], cause: Exception | None = None, **options: Any) -> Outcome:
    """Read a body in both drivers, at several chunkings: the same is seen, and the source is closed once."""
    expected = read_sync(chunks, _all_events, cause, **options)
    for backend in ("asyncio", "trio"):
        assert expected == read_async(chunks, _all_events, cause, backend, **options)
    body = b"".join(chunks)
    for cut in (whole, bytewise) if len(body) < _MOST_BYTEWISE else (whole,):
        assert _seen(expected) == _seen(read_sync(cut(body), _all_events, cause, **options))
    assert expected["closed"] == 1
    stream, error = Stream(Source(chunks, cause), **options), None
    events: list[Event] = []
    try:
        for event in stream:
            events.append(event)
    except StreamError as caught:
        error = caught
    departures = {name: noted.count for name, noted in stream.departures.items()}
    return Outcome(events, stream.message, error, departures)


def check_whole(found: Outcome, departures: dict[str, int] | None = None, text: str = "Hello €") -> None:
    """The answer is whole: no error, and these departures alone."""
    assert (text, "complete", "stop", None) == (
        found.message.text,
        found.message.ending,
        found.message.finish_reason,
        found.error,
    )
    assert (departures or {}) == found.departures


def check_failed(found: Outcome, departures: dict[str, int] | None = None) -> StreamError:
    """The answer failed after "Hel": that is in the message and on the error, with these departures alone."""
    error = found.error
    assert error is not None
    assert ("Hel", "failed", None) == (
        found.message.text,
        found.message.ending,
        found.message.finish_reason,
    )
    assert error.partial == found.message
    assert len(found.events) == error.events_seen
    assert (departures or {}) == found.departures
    return error


# -- framing -----------------------------------------------------------------


@every_format
def test_f38_a_byte_order_mark_before_the_first_event_costs_no_event(format: str) -> None:
    """F38: it is stripped, once; the first event is not lost."""
    chunks = BODIES[format].all
    plain, marked = outcome(chunks), outcome([b"\xef\xbb\xbf" + chunks[0], *chunks[1:]])

    check_whole(marked)
    assert plain.events == marked.events


@every_format
def test_f39_comments_after_an_id_are_no_events(format: str) -> None:
    """F39: an id that was set once does not make events of the blank lines that follow it."""
    chunks = [b"id: 7\n\n", *(part for event in BODIES[format].all for part in (b": keep-alive\n\n", event))]
    found = outcome(chunks)

    check_whole(found)
    assert outcome(BODIES[format].all).events == found.events
    assert [] == SSEParser().feed(b"id: 7\n\n: keep-alive\n\n\n\n: keep-alive\n\n")


@every_format
@pytest.mark.parametrize("block", ["retry: 10", "event: ping", "event: add", "id: 4", "retry: 1\nid: 2"])
def test_f40_a_block_without_data_is_no_event(format: str, block: str) -> None:
    """F40: it is not dispatched, and the stream goes on."""
    found = outcome(BODIES[format].around(f"{block}\n\n".encode()))

    check_whole(found)
    assert outcome(BODIES[format].all).events == found.events


@every_format
@pytest.mark.parametrize("block", [b"data:\n\n", b"data\n\n", sse("")])
def test_f40_empty_data_is_a_sign_of_life(format: str, block: bytes) -> None:
    """F40: the parser gives an event with data "", which says nothing to a format; it is counted."""
    chunks = BODIES[format].around(block)

    assert [ServerSentEvent(b"")] == SSEParser().feed(block)
    check_whole(outcome(chunks), {"empty_data": 1})
    assert [Ping()] == [event for event in outcome(chunks, pings=True).events if isinstance(event, Ping)]


def test_f40_the_retry_of_a_block_without_data_is_recorded() -> None:
    """F40: it is what a reconnection waits."""
    parser = SSEParser()

    assert [] == parser.feed(b"retry: 1500\n\n")
    assert parser.retry == 1500


@pytest.mark.parametrize("value", ["+40", "4_0", " 40", "-40", "٤٠", "4.0", "40 ", "", "1e3", "0x10"])
def test_f41_a_retry_that_is_not_of_ascii_digits_is_ignored(value: str) -> None:
    """F41: the standard takes ASCII digits alone; int() takes more."""
    parser = SSEParser()
    (event,) = parser.feed(f"retry: 40\n\nretry: {value}\ndata: x\n\n".encode())

    assert (None, 40) == (event.retry, parser.retry)


@pytest.mark.parametrize("value", ["0", "00", "1" + "0" * 30, "9" * 5000])
def test_f42_a_retry_of_any_size_is_read_without_an_exception(value: str) -> None:
    """F42: it is a number of milliseconds, as it was sent; beyond 640 digits it is none."""
    parser = SSEParser()
    (event,) = parser.feed(f"retry: {value}\ndata: x\n\n".encode())
    expected = int(value) if len(value) <= 640 else None

    assert expected == event.retry
    assert expected == parser.retry


_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(line_end=_ENDS, blank=_ENDS, named=st.booleans())
def test_f43_an_event_is_out_with_its_blank_line_whatever_the_line_ends_are(
    line_end: bytes, blank: bytes, named: bool
) -> None:
    """F43: no line end waits for what may follow it, in any mix."""
    parser = SSEParser()
    head = b"id: 1" + line_end + (b"event: add" + line_end if named else b"")
    if line_end == b"\r" and blank == b"\n":
        # CR and LF are one line end; a blank line of LF is there with the next one.
        blank = b"\n\n"
    event = ServerSentEvent(b"x", "add" if named else "message", "1")

    for _ in range(3):
        assert [] == parser.feed(head + b"data: x" + line_end)
        assert [event] == parser.feed(blank)
    assert [] == parser.end()


@every_format
@given(data=st.data())
def test_f43_mixed_line_ends_give_the_same_answer(format: str, data: st.DataObject) -> None:
    """F43: each line may have a line end of its own kind, and be cut anywhere."""
    lines = b"".join(BODIES[format].all).split(b"\n")
    body = b"".join(
        line + (data.draw(_ENDS) if line else data.draw(st.sampled_from([b"\r", b"\r\n"]))) for line in lines
    )
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    stream = Stream(cut_at(body, places))

    assert "Hello €" == stream.final().text


# -- payloads ----------------------------------------------------------------


@every_format
@pytest.mark.parametrize(
    "payload, offset", [('{"choices": [}', 13), ("garbage", 0), ('{"type": "x"} {', 14), ('{"é": tru}', 7)]
)
def test_f44_a_payload_that_is_no_json_is_a_protocol_error_at_its_place(
    format: str, payload: str, offset: int
) -> None:
    """F44: the error has the event's number and the offset in bytes; what came before it is kept."""
    body = BODIES[format]
    found = outcome(body.around(sse(payload)))
    error = check_failed(found)

    assert type(error) is ProtocolError
    assert (len(body.first) + 1, offset) == (error.event, error.offset)
    assert str(error).startswith(f"frame {error.event}: the payload is not JSON")
    assert "garbage" not in str(error)
    assert ("server", False) == (error.kind, error.retryable)


@every_format
@pytest.mark.parametrize("payload", ["42", "null", "[1]", '"text"', "true", "1.5"])
def test_f45_a_payload_that_is_no_object_is_a_protocol_error(format: str, payload: str) -> None:
    """F45: nobody is given a number where events are expected."""
    body = BODIES[format]
    error = check_failed(outcome(body.around(sse(payload))))

    assert type(error) is ProtocolError
    assert (len(body.first) + 1, 0) == (error.event, error.offset)
    assert "a JSON object is expected" in str(error)


def test_f46_choices_that_are_null_or_empty_are_no_fault() -> None:
    """F46: the usage comes with no choices, and some servers write null."""
    nothing = sse('{"id":"c1","object":"chat.completion.chunk","model":"m","choices":null}')
    found = outcome(CHAT.around(nothing, USAGE))

    check_whole(found)
    assert found.message.usage is not None
    assert (7, 21) == (found.message.usage.input_tokens, found.message.usage.output_tokens)


@every_format
@pytest.mark.parametrize("opening, closing", [('{"a":', "}"), ("[", "]")])
def test_f47_json_of_any_depth_is_refused_without_a_recursion_error(
    format: str, opening: str, closing: str
) -> None:
    """F47: depth is bounded by `Limits.depth`."""
    body = BODIES[format]
    deep = opening * 100_000 + "1" + closing * 100_000
    error = check_failed(outcome(body.around(sse(f'{{"type": "ping", "a": {deep}}}'))))

    assert isinstance(error, LimitExceeded)
    assert ("depth", 200, len(body.first) + 1) == (error.limit, error.value, error.event)


@every_format
def test_f48_an_integer_of_thousands_of_digits_is_refused_without_a_value_error(format: str) -> None:
    """F48: digits are bounded by `Limits.digits`."""
    body = BODIES[format]
    error = check_failed(outcome(body.around(sse('{"type": "ping", "n": %s}' % ("9" * 5000)))))

    assert isinstance(error, LimitExceeded)
    assert ("digits", 4300, len(body.first) + 1) == (error.limit, error.value, error.event)


# -- errors of the provider --------------------------------------------------


@every_format
@pytest.mark.parametrize(
    "details, kind, retryable",
    [
        ({"type": "server_error", "message": "m"}, "server", True),
        ({"type": "overloaded_error", "message": "m"}, "overloaded", True),
        ({"type": "rate_limit_error", "message": "m", "code": "rate_limit"}, "rate_limited", True),
        ({"type": "invalid_request_error", "message": "m"}, "invalid_request", False),
        ({"type": "authentication_error", "message": "m"}, "authentication", False),
    ],
)
def test_f49_an_error_in_the_middle_of_the_stream_is_the_providers(
    format: str, details: dict[str, str], kind: str, retryable: bool
) -> None:
    """F49: its kind tells whether asking again may help."""
    payload = json.dumps({"error": details}).encode()
    error = check_failed(outcome(BODIES[format].around(b"data: " + payload + b"\n\n")))

    assert isinstance(error, ProviderError)
    assert (details["type"], details.get("code")) == (error.type, error.code)
    assert (kind, retryable) == (error.kind, error.retryable)


def test_f49_a_tool_call_that_was_handed_out_before_the_error_is_named() -> None:
    """F49: whoever asks again must know which calls may have been run."""
    chunks = [
        chunk({"role": "assistant", "content": "Hel"}),
        chunk(call(0, "call_a", "get_time", "{}")),
        chunk(call(1, "call_b", "get_time", '{"zone": ')),
        sse('{"error": {"message": "m", "type": "server_error"}}'),
    ]
    error = check_failed(outcome(chunks), {"call_open_at_end": 1})

    assert ("call_a",) == error.tool_calls_delivered
    assert [("call_a", True), ("call_b", False)] == [
        (call.id, call.complete) for call in error.partial.tool_calls
    ]


@every_format
@pytest.mark.parametrize(
    "payload",
    [
        {"type": "error", "error": {"type": "api_error", "message": "boom"}},
        {"error": {"message": "boom"}},
        {"error": "boom"},
        {"message": "boom"},
        {"detail": "boom"},
    ],
)
def test_f50_an_event_named_error_is_the_providers_error(format: str, payload: dict[str, Any]) -> None:
    """F50: whatever its payload looks like."""
    block = sse(payload, event="error")
    error = check_failed(outcome(BODIES[format].around(block)))

    assert isinstance(error, ProviderError)
    assert "boom" in str(error)


@every_format
def test_f51_an_error_event_of_plain_text_has_the_text_as_its_message(format: str) -> None:
    """F51: proxies write no JSON."""
    error = check_failed(outcome(BODIES[format].around(sse("upstream timeout", event="error"))))

    assert isinstance(error, ProviderError)
    assert "upstream timeout" in str(error)
    assert error.retryable


# -- what is unknown, late, twice or missing ---------------------------------


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
        _CLAUDE_END,
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
    """F58: they are signs of life and no content."""
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
