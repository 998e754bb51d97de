"""Faults of the event layer, F38 to F43 of the fault matrix: framing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.events.support import BODIES, check_whole, every_format, outcome
from tests.support.chunkings import cut_at
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Stream
from tokenstream.events import Ping
from tokenstream.framing import ServerSentEvent, SSEParser


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
def test_f40_empty_data_is_a_heartbeat(format: str, block: bytes) -> None:
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


@in_one_test("value", ["+40", "4_0", " 40", "-40", "٤٠", "4.0", "40 ", "", "1e3", "0x10"])
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
