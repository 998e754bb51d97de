"""Faults of the event layer, F38 to F43 of the fault matrix: framing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.events.support import BODIES, check_whole, every_format, outcome
from tests.support.chunkings import cut_at
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


@pytest.mark.parametrize("value", ["0", "00", "1" + "0" * 30, "9" * 5000])
def test_f42_a_retry_of_any_size_is_read_without_an_exception(value: str) -> None:
    """F42: it is a number of milliseconds, as it was sent; beyond 640 digits it is none."""
    parser = SSEParser()
    (event,) = parser.feed(f"retry: {value}\ndata: x\n\n".encode())
    expected = int(value) if len(value) <= 640 else None

    assert expected == event.retry
    assert expected == parser.retry


_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


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
