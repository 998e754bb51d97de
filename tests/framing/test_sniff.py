"""What a body is, by its first bytes."""

from __future__ import annotations

from zlib import crc32

from tests.support.tables import in_one_test
from tokenstream.framing._sniff import sniff, title_of

EVENT_STREAM = "text/event-stream; charset=utf-8"
BINARY = "application/vnd.amazon.eventstream"
_LENGTHS = (100).to_bytes(4, "big") + (60).to_bytes(4, "big")
PRELUDE = _LENGTHS + crc32(_LENGTHS).to_bytes(4, "big")


@in_one_test(
    "start, content_type, found",
    [
        (b"data: a", None, "sse"),
        (b"event:x", "application/octet-stream", "sse"),
        (b"id", EVENT_STREAM, "undecided"),
        (b": comment", None, "sse"),
        (b"\xef\xbb\xbf\n\ndata:", None, "sse"),
        (b'{"a"', EVENT_STREAM, "json"),
        (b"  [", EVENT_STREAM, "json"),
        (b"<html>", EVENT_STREAM, "html"),
        (b"foo: bar\n", EVENT_STREAM, "sse"),
        (b"foo: bar\n", "text/plain", "unknown"),
        (b"database", None, "unknown"),
        (b"\x00\x00", None, "undecided"),
        (PRELUDE, "application/octet-stream", "aws-eventstream"),
        (PRELUDE[:8] + b"\x00\x00\x00\x00", None, "unknown"),
        (PRELUDE[:8] + b"\x00\x00\x00\x00", BINARY, "aws-eventstream"),
        (PRELUDE[:1], BINARY, "aws-eventstream"),
        (b"\x80" + PRELUDE, None, "unknown"),
        (b'{"message"', BINARY, "json"),
        (b"<html>", BINARY, "html"),
        (b"dat", None, "undecided"),
        (b"", None, "undecided"),
        (b" " * 5000, None, "sse"),
    ],
)
def test_the_first_bytes_count_more_than_the_label(
    start: bytes, content_type: str | None, found: str
) -> None:
    """Labels are often wrong; the bytes are what is read."""
    assert sniff(start, content_type, over=False) == found


def test_at_the_end_there_is_nothing_to_wait_for() -> None:
    """A body that ends in the name of its first field, or in its first lengths, was an event stream."""
    assert sniff(b"dat", None, over=True) == "sse"
    assert sniff(b"dog", None, over=True) == "unknown"
    assert {sniff(PRELUDE[:size], None, over=True) for size in range(1, 12)} == {"aws-eventstream"}
    assert sniff(b"\x00\x01\x02binary", None, over=True) == "unknown"
    assert sniff(b"", None, over=True) == "sse"


@in_one_test(
    ("start", "kind", "at_end"),
    [
        (b"error", "undecided", "unknown"),
        (b"error:", "undecided", "unknown"),
        (b"error: ", "undecided", "unknown"),
        (b"error: {", "sse", "sse"),
        (b"error:{", "sse", "sse"),
        (b"error: no such model", "unknown", "unknown"),
    ],
)
def test_a_body_that_begins_with_an_error_field_is_a_stream(start: bytes, kind: str, at_end: str) -> None:
    """The field is that of some gateways: a text may begin with the word, but not with JSON behind it."""
    assert (kind, at_end) == (sniff(start, None, over=False), sniff(start, None, over=True))


def test_a_pages_title_is_found() -> None:
    assert title_of("<HTML><TITLE a='b'>\n Log\n in </TITLE>") == "Log in"
    assert title_of("<html><body>") == ""
    assert title_of("<title" * 3 + ">Bad Gateway</title>") == "Bad Gateway"
    assert title_of("<title <title>") == ""


def test_a_page_of_titles_that_never_close_costs_no_more_than_its_length() -> None:
    assert title_of("<title" * 200_000) == ""
