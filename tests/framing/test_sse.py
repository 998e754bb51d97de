"""Server-sent events by the letter of the WHATWG HTML standard; and streams that hold no event."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given

from tests.framing.support import Whatwg, chunkings, event_streams, shared_cases
from tests.support import wire
from tests.support.beside import needs_cases
from tests.support.chunkings import chunked, sized
from tests.support.tables import in_one_test
from tests.support.wire import chat
from tokenstream import Decoder
from tokenstream.errors import NotAStream, StreamTruncated
from tokenstream.events import TextDelta
from tokenstream.framing import ServerSentEvent, SSEParser
from tokenstream.limits import Limits

CASES = shared_cases()


def event(data: str, name: str = "message", id: str = "", retry: int | None = None) -> ServerSentEvent:
    """Make an event the way a test tells of it."""
    return ServerSentEvent(data.encode(), name, id, retry)


def read(chunks: list[bytes]) -> tuple[list[ServerSentEvent], SSEParser]:
    parser = SSEParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.end(), parser


# One row per clause: what the standard says, bytes, events.
CLAUSES: dict[str, tuple[bytes, list[ServerSentEvent]]] = {
    "one leading byte order mark is stripped": (b"\xef\xbb\xbfdata: a\n\n", [event("a")]),
    "a second byte order mark belongs to the name": (
        b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n",
        [event("b")],
    ),
    "a byte order mark later on belongs to the name": (b"\n\xef\xbb\xbfdata: a\n\n", []),
    "LF ends a line": (b"data: a\n\ndata: b\n\n", [event("a"), event("b")]),
    "CR ends a line": (b"data: a\r\rdata: b\r\r", [event("a"), event("b")]),
    "CRLF ends one line": (b"data: a\r\ndata: b\r\n\r\n", [event("a\nb")]),
    "line ends may be mixed": (b"data: a\rdata: b\ndata: c\r\n\n", [event("a\nb\nc")]),
    "LF CR is two line ends": (b"data: a\n\rdata: b\n\r", [event("a"), event("b")]),
    "VT, FF, FS, NEL and U+2028 end no line": (
        "data: a\x0b\x0c\x1c\x85\u2028b\n\n".encode(),
        [event("a\x0b\x0c\x1c\x85\u2028b")],
    ),
    "an unfinished event is discarded": (b"data: a\n\ndata: b\n", [event("a")]),
    "an unfinished line is discarded": (b"data: a\n\ndata: b", [event("a")]),
    "data lines are joined by LF": (b"data: a\ndata\ndata: b\n\n", [event("a\n\nb")]),
    "one empty data line makes an event": (b"data:\n\n", [event("")]),
    "data without a colon is an empty data line": (b"data\n\ndata\ndata\n\n", [event(""), event("\n")]),
    "no data, no event": (b"event: x\nid: 1\nretry: 4\n\n\n\n", []),
    "one leading space is removed": (b"data:a\ndata: b\ndata:  c\ndata:\td\n\n", [event("a\nb\n c\n\td")]),
    "a line of one space is not blank": (b"data: a\n \ndata: b\n\n", [event("a\nb")]),
    "names are compared to the letter": (b"Data: a\n data: b\ndata : c\nda: d\ndatax: e\n\n", []),
    "NUL is kept in data and names": (b"event: \0\ndata: a\0\n\n", [event("a\0", "\0")]),
    "unknown fields are ignored": (b'foo: 1\n{"a": 1}\ndata: b\n\n', [event("b")]),
    "comments are ignored": (b": x\n:\ndata: a\n:data: b\ndata: c\n\n", [event("a\nc")]),
    "the last name counts": (b"event: a\nevent: b\ndata: 1\n\n", [event("1", "b")]),
    "an empty name is none": (b"event: a\nevent\ndata: 1\n\n", [event("1")]),
    "a name lasts for one block": (b"event: a\ndata: 1\n\ndata: 2\n\n", [event("1", "a"), event("2")]),
    "an id stays": (b"id: 1\ndata: a\n\ndata: b\n\n", [event("a", id="1"), event("b", id="1")]),
    "an empty id resets": (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [event("a", id="1"), event("b")]),
    "an id without data counts": (b"id: 1\n\ndata: a\n\n", [event("a", id="1")]),
    "an id with NUL is ignored": (b"id: 1\nid: \x002\ndata: a\n\n", [event("a", id="1")]),
    "ids stay beside names": (
        b"id: 1\n\nevent: x\ndata: a\n\nevent: x\ndata: b\n\n",
        [event("a", "x", "1"), event("b", "x", "1")],
    ),
    "retry takes digits": (b"retry: 0040\ndata: a\n\ndata: b\n\n", [event("a", retry=40), event("b")]),
    "retry takes ASCII digits only": (
        "retry: +1\nretry: 1_0\nretry: ٤\nretry: ²\nretry: 1 \nretry\nretry:  1\ndata: a\n\n".encode(),
        [event("a")],
    ),
    "the last valid retry counts": (b"retry: 1\nretry: 2\nretry: x\ndata: a\n\n", [event("a", retry=2)]),
    "a retry too long for a number is ignored": (b"retry: " + b"9" * 5_000 + b"\ndata: a\n\n", [event("a")]),
    "zeros make a retry no longer": (b"retry: " + b"0" * 5_000 + b"\ndata: a\n\n", [event("a", retry=0)]),
    "malformed names are no known names": (b"da\xffta: a\ndata: b\n\n", [event("b")]),
    "malformed bytes become U+FFFD in names and ids": (
        b"event: \xff\nid: \xc3\ndata: a\n\n",
        [event("a", "\ufffd", "\ufffd")],
    ),
}


@in_one_test("clause", CLAUSES)
def test_each_clause_of_the_standard_holds_at_every_chunking(clause: str) -> None:
    body, expected = CLAUSES[clause]

    assert all(expected == read(chunks)[0] for chunks in chunkings(body))


@given(chunked(event_streams))
def test_any_stream_reads_as_the_standard_says(drawn: tuple[bytes, list[bytes]]) -> None:
    body, chunks = drawn
    oracle = Whatwg(body)
    events, parser = read(chunks)

    assert [(e.event, e.data, e.id, e.retry) for e in oracle.events] == [
        (e.event, e.data, e.id, e.retry) for e in events
    ]
    assert (oracle.last_event_id, oracle.retry, oracle.comments) == (
        parser.last_event_id,
        parser.retry,
        parser.comments,
    )


@needs_cases
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_verified_cases_hold_at_every_chunking(case: dict[str, Any]) -> None:
    expected = (
        [(e["event"], e["data"], e["id"], e.get("retry")) for e in case["events"]],
        case["final_last_event_id"],
        case["final_retry"],
    )
    for chunks in chunkings(case["body"]):
        events, parser = read(chunks)
        seen = [(e.event, e.data, e.id, e.retry) for e in events]

        assert expected == (seen, parser.last_event_id, parser.retry)


@pytest.mark.parametrize("blank", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
def test_an_event_is_out_at_the_first_byte_of_its_blank_line(ending: bytes, blank: bytes) -> None:
    """Nothing waits for the LF that may follow a CR, and that LF is no blank line of its own."""
    if (ending, blank) == (b"\r", b"\n"):
        blank = b"\n\n"  # CR LF is one line end
    stream = (b"id: 1\ndata: a" + ending + blank) * 2
    due = len(stream) // 2 - len(blank) + (2 if blank == b"\n\n" else 1)
    parser = SSEParser()
    out = [at + 1 for at in range(len(stream)) if parser.feed(stream[at : at + 1])]

    assert [due, due + len(stream) // 2] == out


def test_malformed_bytes_in_data_become_replacement_characters_and_are_counted() -> None:
    """One for each maximal subpart; those that the server sent itself do not count."""
    events, parser = read([b"data: \xe2\x82A\xed\xa0\x80\xef\xbf\xbd\n\n: \xff\n\ndata: \xff\n"])

    assert ["\ufffdA\ufffd\ufffd\ufffd\ufffd"] == [e.data for e in events]
    assert 4 == parser.replaced


def test_a_character_that_the_line_end_cuts_is_counted() -> None:
    """The line ends whatever was begun in it, also in a payload read in pieces."""
    events, parser = read([b"data: " + b"\xe2\x82\xac" * 40_000 + b"\xe2\x82\n\n"])

    assert "€" * 40_000 + "\ufffd" == events[0].data
    assert 1 == parser.replaced


@given(chunked(event_streams))
def test_replacements_are_counted_the_same_at_every_chunking(drawn: tuple[bytes, list[bytes]]) -> None:
    """The count is that of the data handed out, less what was sent as U+FFFD."""
    body, chunks = drawn
    events, parser = read(chunks)
    sent = sum(e.payload.decode("utf-8", "ignore").count("\ufffd") for e in events)
    expected = sum(e.data.count("\ufffd") for e in events) - sent

    assert (expected, expected) == (parser.replaced, read([body])[1].replaced)


def test_frames_gives_plain_events_as_bare_payloads() -> None:
    """Bytes stand for an event without name, id and retry; nothing is lost that way."""
    parser = SSEParser()
    frames = parser.frames(
        b"data: 1\n\nevent: x\ndata: 2\n\nretry: 3\ndata: 3\n\nid: 4\ndata: 4\n\ndata: 5\n\n"
    )

    assert [b"1", event("2", "x"), event("3", retry=3), event("4", id="4"), event("5", id="4")] == frames


def test_bytearrays_and_memoryviews_are_bytes_too() -> None:
    """The payload is a copy: what the transport does with its buffer later does not show."""
    parser = SSEParser()
    buffer = bytearray(b"data: a\n\n")
    chunks: list[Any] = [buffer, memoryview(buffer), buffer]
    frames = [parser.frames(chunk) for chunk in chunks]
    buffer[:] = bytes(len(buffer))

    assert [[b"a"]] * 3 == frames


UNFINISHED: list[tuple[bytes, ServerSentEvent | None, bytes]] = [
    (b"", None, b""),
    (b'data: a\n\ndata: {"b', event('{"b'), b'data: {"b'),
    (b"data: [DONE]\n", event("[DONE]"), b"data: [DONE]\n"),
    (b"data: [DONE]", event("[DONE]"), b"data: [DONE]"),
    (b"data: a\ndata: b\nda", event("a\nb"), b"data: a\ndata: b\nda"),
    (b"data: a\ndata", event("a\n"), b"data: a\ndata"),
    (b"event: x\nid: 2\nretry: 3\ndata: a", event("a", "x", "2", 3), b"event: x\nid: 2\nretry: 3\ndata: a"),
    (b"event: x\n", None, b"event: x\n"),
    (b"id: 1\n\nid\ndata: a", event("a"), b"id: \ndata: a"),
    (b"\xef\xbb", None, b"\xef\xbb"),
    (b"\xef\xbb\xbfdata: a", event("a"), b"data: a"),
]


@in_one_test(("body", "unfinished", "tail"), UNFINISHED)
def test_what_was_not_finished_can_be_read_at_every_chunking(
    body: bytes, unfinished: ServerSentEvent | None, tail: bytes
) -> None:
    """Several real servers forget the last blank line: what it would have completed is offered."""
    for chunks in chunkings(body):
        parser = read(chunks)[1]

        assert (unfinished, tail) == (parser.unfinished, parser.tail)


@given(chunked(event_streams))
def test_unfinished_is_what_a_blank_line_would_have_brought(drawn: tuple[bytes, list[bytes]]) -> None:
    """Asking changes nothing: the blank line may still come."""
    parser = SSEParser()
    for chunk in drawn[1]:
        parser.feed(chunk)
    unfinished = parser.unfinished

    assert ([unfinished] if unfinished else []) == parser.feed(b"\n\n")
    assert None is parser.unfinished


def test_reset_keeps_the_id_and_forgets_the_rest() -> None:
    """A reconnection starts from the id of the last blank line, and with a byte order mark of its own."""
    parser = SSEParser()
    parser.feed(b"\xef\xbb\xbfretry: 5\n: x\n\nid: 1\ndata: a\n\nid: 2\nevent: lost\ndata: lost\r")
    parser.end()
    parser.reset()

    assert [event("b", id="1")] == parser.feed(b"\xef\xbb\xbf\ndata: b\n\n")
    assert ("1", 5, 1, b"") == (parser.last_event_id, parser.retry, parser.comments, parser.tail)


def test_an_event_shows_what_it_is() -> None:
    assert "ServerSentEvent(b'a')" == repr(event("a"))
    assert "ServerSentEvent(b'a', event='x', id='1', retry=2)" == repr(event("a", "x", "1", 2))
    assert f"ServerSentEvent(b'{'a' * 80}'…)" == repr(event("a" * 81))


def test_an_event_is_a_value() -> None:
    """Equal fields make equal events, and they pickle."""
    one = event("a", "x", "1", 2)

    assert one == pickle.loads(pickle.dumps(one))
    assert one != event("a", "x", "1")


STRAY = b'{\n  "error": {\n    "message": "busy"\n  }\n}'


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
@pytest.mark.parametrize("stray", [STRAY, b"[" + STRAY + b"]", b"[\n" + STRAY + b"\n]"])
def test_json_that_is_in_no_field_can_be_read_at_every_chunking(stray: bytes, end: bytes) -> None:
    """The standard ignores such lines; they are kept apart, from the first that begins an object on."""
    text = b"data: a\n\nnonsense\n[DONE]\n" + stray + end
    for chunks in chunkings(text):
        parser = SSEParser()
        events = [each for chunk in chunks for each in parser.feed(chunk)]

        assert [event("a")] == events
        assert stray == parser.stray.rstrip(b"\n")


def test_what_is_in_no_field_is_bounded_and_forgotten_with_its_connection() -> None:
    """`Limits.tail` bounds what is kept, and a new connection begins with nothing."""
    parser = SSEParser(limits=Limits(tail=40))
    parser.feed(b'{"a": 1\n' + b'"x": 2\n' * 20)

    assert b"{" == parser.stray[:1]
    assert len(parser.stray) <= 40
    parser.reset()
    assert b"" == parser.stray
    assert b"" == SSEParser().stray


_BODY = (
    b"\xef\xbb\xbf: first\r\n\r\ndata: 1\r\n: within\r\ndata: 2\r\n\r\n:\r\n:\r\n\r\n"
    b"id: 7\ndata: 3\n\n: between\n\nevent: message\ndata: 4\n\n: last\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 9, 1000])
def test_comments_change_no_event_wherever_chunks_end(size: int) -> None:
    decoder = Decoder("text")
    events = [event for chunk in sized(_BODY, size) for event in decoder.feed(chunk)]

    assert ["1\n2", "3", "4"] == [event.text for event in events if isinstance(event, TextDelta)]


def test_a_comment_that_never_ended_is_no_unfinished_event() -> None:
    """What is open behind it is."""
    decoder = Decoder("openai-chat")
    decoder.feed(chat({"content": "Hi"}, "stop").rstrip(b"\n") + b"\n: pi")
    decoder.end()

    assert (None, "Hi") == (decoder.error, decoder.message.text)


def test_a_sentinel_alone_is_an_empty_text() -> None:
    """Bare text has no payloads that could be missing: it is complete, and says that it is empty."""
    decoder = Decoder("text")
    decoder.feed(wire.DONE)
    decoder.end()

    assert decoder.error is None
    assert ("complete", 1) == (decoder.message.ending, decoder.departures.details["answer_empty"])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("format", [None, "openai-chat"])
def test_events_without_their_blank_lines_are_reported(format: Any, end: bytes) -> None:
    """Asking again would bring the same: what took the lines apart is to be mended."""
    line = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}' + end
    decoder = Decoder(format)
    for chunk in (b"event: x" + end, line, line, b"data: [DONE]" + end):
        decoder.feed(chunk)
    decoder.end()

    assert isinstance(decoder.error, NotAStream)
    assert "no blank line ends the events of the body: the blank lines" in str(decoder.error)
    assert "ask again" not in str(decoder.error)


def test_an_event_of_several_lines_that_was_cut_is_truncated() -> None:
    decoder = Decoder()
    decoder.feed(b'data: {"choices":\ndata: [{"index":0}]\n')
    decoder.end()

    assert isinstance(decoder.error, StreamTruncated)
