"""Effects of each kind of fault on the bytes, their times and the chunk boundaries."""

from __future__ import annotations

import json
import zlib

import pytest

from tests.support.aws_eventstream import event as aws
from tests.support.wire import DONE, sse
from tokenstream import testing
from tokenstream.errors import MisuseError, NotExpressible, ProviderError, StatusError
from tokenstream.testing import Arrival, Recording, faults

ANSWER = testing.script().text("Hel", "lo", " €").usage(input_tokens=3, output_tokens=3).finish("stop")
"""Its events: the role, three deltas, the finish reason, the usage, `[DONE]`."""
CHAT = ANSWER.recording("openai-chat")
SSE = Recording.of([sse("a"), sse("b"), sse("c"), DONE], format="text", name="abc")
LINES = Recording.of([b'{"a": 1}\n', b'{"a": 2}\n', b'{"a": 3}\n'])
ARRAY = Recording.of([b'[{"a": 1}\n', b',\n{"a": 2}\n', b',\n{"a": 3}', b"\n]"])
SOCKET = Recording.of([b'{"n": 1}', b'{"n": 2}', b'{"n": 3}'], messages=True, name="socket")
BINARY = Recording.of([aws("messageStart", {}), aws("messageStop", {"a": 1})])


# -- on the way ------------------------------------------------------------


def test_a_cut_keeps_times_and_borders() -> None:
    recording = Recording(
        (Arrival(1.0, sse("a")), Arrival(2.0, sse("b")), Arrival(3.0, sse("c"))),
        headers={"content-type": "text/event-stream", "content-length": "27"},
        breaks="stall",
    )
    cut = recording.with_fault(faults.cut(at=12))

    assert (Arrival(1.0, sse("a")), Arrival(2.0, b"dat")) == cut.arrivals
    assert ({"content-type": "text/event-stream"}, None) == (cut.headers, cut.breaks)


def test_the_messages_of_a_websocket_come_whole() -> None:
    """A cut message does not arrive at all, and a fault that would cut one is refused."""
    assert [b'{"n": 1}'] == SOCKET.with_fault(faults.close(at=12)).chunks()
    assert [b'{"n": 1}', b'{"n": 2}'] == SOCKET.with_fault(faults.close(at=16)).chunks()
    assert [b'{"n": 1}', b'{"n": 3}', b'{"n": 2}'] == SOCKET.with_fault(
        faults.reorder(events=(2, 3))
    ).chunks()
    assert [b'{"n": 1}', b'{"n": 1}'] == SOCKET.with_fault(faults.duplicate(event=1)).chunks()[:2]
    for fault in (faults.split_utf8(), faults.gzipped(), faults.crlf(), faults.bom(), faults.heartbeat()):
        with pytest.raises(MisuseError):
            SOCKET.with_fault(fault)


def test_a_stall_moves_what_comes_after() -> None:
    """A chunk stalled in its middle arrives in two."""
    stalled = SSE.with_fault(faults.stall(90, at=12))

    assert [(0.0, sse("a")), (0.0, b"dat"), (90.0, b"a: b\n\n")] == list(stalled.arrivals[:3])
    assert {90.0} == {at for at, _ in stalled.arrivals[2:]}


def test_a_slow_answer_takes_its_time() -> None:
    recording = Recording((Arrival(1.0, b"a"), Arrival(3.0, b"b")))

    assert [1.5, 4.0] == [at for at, _ in recording.with_fault(faults.slow(0.5)).arrivals]
    assert [2.0, 6.0] == [at for at, _ in recording.with_fault(faults.slow(factor=2)).arrivals]


def test_each_character_of_several_bytes_is_split() -> None:
    recording = Recording.of(["data: é漢🌊\n\n".encode(), sse("a")])

    assert [b"data: \xc3", b"\xa9\xe6", b"\xbc\xa2\xf0\x9f", b"\x8c\x8a\n\n", sse("a")] == (
        recording.with_fault(faults.split_utf8()).chunks()
    )


def test_a_compressed_body_can_be_read_as_it_comes() -> None:
    recording = SSE.replaced(headers={"content-length": "41"}).with_fault(faults.gzipped())
    inflate = zlib.decompressobj(wbits=31)

    assert [*SSE.chunks(), b""] == [inflate.decompress(chunk) for chunk in recording.chunks()]
    assert inflate.eof
    assert {"content-encoding": "gzip"} == recording.headers
    broken = SSE.with_fault(faults.reset(at=1.0) | faults.gzipped())
    assert (4, "reset") == (len(broken.arrivals), broken.breaks)
    assert b"" == zlib.decompress(Recording().with_fault(faults.gzipped()).body, 31)


# -- bytes and events --------------------------------------------------------


def test_garbled_bytes_are_all_others() -> None:
    one, again, other = (SSE.with_fault(faults.garble(at=7, size=5, seed=seed)) for seed in (1, 1, 2))

    assert one == again != other
    assert [7, 8, 9, 10, 11] == [
        place for place, (old, new) in enumerate(zip(SSE.body, one.body, strict=True)) if old != new
    ]
    assert [len(chunk) for chunk in SSE.chunks()] == [len(chunk) for chunk in one.chunks()]
    assert SSE.body[:-2] + b"xy" == SSE.with_fault(faults.garble(at=-2, data=b"xyz")).body


def _numbers(recording: Recording) -> list[int]:
    return [each["a"] for each in json.loads(recording.body)]


def test_an_event_comes_twice() -> None:
    assert [sse("b"), sse("b")] == SSE.with_fault(faults.duplicate(event=2)).chunks()[1:3]
    assert [b'{"a": 2}\n'] * 2 == LINES.with_fault(faults.duplicate()).chunks()[1:3]
    assert [1, 1, 2, 3] == _numbers(ARRAY.with_fault(faults.duplicate(event=1)))
    assert [1, 2, 3, 3] == _numbers(ARRAY.with_fault(faults.duplicate(event=-1)))
    assert b"data: a\n\ndata: a" == Recording.of([b"data: a"]).with_fault(faults.duplicate()).body
    assert b'{"a": 1}\n{"a": 2}\n{"a": 2}' == (
        Recording.of([b'{"a": 1}\n{"a": 2}']).with_fault(faults.duplicate(event=2)).body
    )
    assert BINARY.body + BINARY.chunks()[1] == BINARY.with_fault(faults.duplicate(event=2)).body


def test_events_change_places() -> None:
    assert b"acb[DONE]" == SSE.with_fault(faults.reorder(events=(2, 3))).body.replace(b"data: ", b"").replace(
        b"\n", b""
    )
    assert SSE.with_fault(faults.reorder(events=(2, 3))) == SSE.with_fault(faults.reorder())
    assert [3, 2, 1] == _numbers(ARRAY.with_fault(faults.reorder(events=(1, -1))))
    assert sse("b") + sse("a") == Recording.of([b"data: a\n\ndata: b"]).with_fault(faults.reorder()).body


@pytest.mark.parametrize("seed", range(8))
def test_a_shuffle_is_another_order_of_the_same_events(seed: int) -> None:
    """The shuffled order never equals the original, which would be no fault."""
    shuffled = LINES.with_fault(faults.reorder(seed=seed))

    assert LINES.body != shuffled.body
    assert sorted(LINES.chunks("events")) == sorted(shuffled.chunks("events"))
    assert shuffled == LINES.with_fault(faults.reorder(seed=seed))


def test_the_last_event_is_missing() -> None:
    """An array is still one, and the times of the others stay."""
    assert SSE.body[:-14] == SSE.with_fault(faults.no_done()).body
    assert [1, 2] == _numbers(ARRAY.with_fault(faults.no_done()))
    assert [] == _numbers(Recording.of([b'[{"a": 1}]']).with_fault(faults.no_done()))
    assert BINARY.chunks()[:1] == BINARY.with_fault(faults.no_done()).chunks()


def test_lines_end_as_on_windows() -> None:
    mixed = Recording.of([b"data: a\r\n\r\nda", b"ta: b\n", b"\n"])

    assert [b"data: a\r\n\r\nda", b"ta: b\r\n", b"\r\n"] == mixed.with_fault(faults.crlf()).chunks()


def test_comments_are_between_events() -> None:
    """Never inside one, also where the last has no end."""
    said = b": alive\n\n"

    assert sse("a") + said + b"data: b" == (
        Recording.of([b"data: a\n", b"\ndata: b"]).with_fault(faults.heartbeat(comment="alive")).body
    )
    assert sse("a") + said == (Recording.of([sse("a")]).with_fault(faults.heartbeat(comment="alive")).body)


def test_heartbeats_fill_the_silence() -> None:
    """Every so many seconds, but in the middle of an event."""
    recording = Recording(
        (Arrival(1.0, b"data: a\n\nda"), Arrival(4.0, b"ta: b\n\n"), Arrival(5.0, sse("c")))
    )
    beating = recording.with_fault(faults.heartbeat(0.4))

    assert [0.4, 0.8, 1.0, 4.0, 4.4, 4.8, 5.0] == pytest.approx([at for at, _ in beating.arrivals])
    assert b": keep-alive\n\n" * 2 + sse("a") + sse("b") + b": keep-alive\n\n" * 2 + sse("c") == (
        beating.body
    )


# -- errors of the provider ----------------------------------------------------


@pytest.mark.parametrize(
    "format", ["openai-chat", "openai-responses", "anthropic", "gemini", "ollama", "cohere"]
)
def test_the_provider_s_own_error_comes_in_the_middle(format: str) -> None:
    recording = ANSWER.recording(format)
    stream = recording.stream(fault=faults.error_event("overloaded", message="Too busy", at=0.5))

    with pytest.raises(ProviderError, match="Too busy") as caught:
        stream.final()
    assert "failed" == caught.value.partial.ending


def test_an_error_is_after_the_event_that_is_there() -> None:
    recording = CHAT.replaced(format=None)
    sent = CHAT.chunks()
    for at in (len(sent[0]) + 1, len(sent[0]) + 20, len(sent[0] + sent[1])):
        broken = recording.with_fault(faults.error_event(at=at))
        assert sent[:2] == broken.chunks()[:-1]
        assert b"server_overloaded" in broken.chunks()[-1]
    assert 1 == len(CHAT.with_fault(faults.error_event(event=0)).chunks())
    assert len(sent) + 1 == len(CHAT.with_fault(faults.error_event(at=1.0)).chunks())


def test_an_error_fits_the_framing_of_the_recording() -> None:
    payloads = [b'{"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]}'] * 2
    array = Recording.of([b"[" + payloads[0], b",\n" + payloads[1], b"]"], format="gemini")
    realtime = testing.script().text("Hi").finish().recording("openai-realtime")
    logged = Recording.of(
        [b"data: " + chunk + b"\n\n" for chunk in realtime.chunks()], format="openai-realtime"
    )
    lines = Recording.of([b'{"choices": []}\n', b'{"choices": []}\n'], format="openai-chat")

    for fault, count in (
        (faults.error_event(event=1), 2),
        (faults.error_event(at=0), 1),
        (faults.error_event(event=-1), 3),
    ):
        assert count == len(json.loads(array.with_fault(fault).body))
    assert logged.with_fault(faults.error_event(event=2)).chunks()[-1].startswith(b"data: {")
    assert b"\n" == lines.with_fault(faults.error_event(event=1)).chunks()[-1][-1:]
    assert not realtime.with_fault(faults.error_event(event=2)).chunks()[-1].startswith(b"data")


def test_an_error_that_cannot_be_written_is_misuse() -> None:
    """Reasons: an unknown format, a format without errors, or a recording without events."""
    with pytest.raises(MisuseError, match="cannot be detected from its bytes"):
        LINES.with_fault(faults.error_event())
    with pytest.raises(MisuseError, match="has no events"):
        SSE.replaced(format="openai-chat").with_fault(faults.gzipped() | faults.error_event())
    with pytest.raises(NotExpressible, match="'gemini-live' has no place for an error"):
        ANSWER.recording("gemini-live").with_fault(faults.error_event())
    with pytest.raises(MisuseError, match="the format 'pieces' cannot be written"):
        SSE.replaced(format="pieces").with_fault(faults.error_event())


# -- another answer --------------------------------------------------------------


def test_a_refusal_says_when_to_come_again() -> None:
    stream = CHAT.stream(fault=faults.status(429, message="Slow down", retry_after=2))

    with pytest.raises(StatusError, match="Slow down") as caught:
        stream.final()
    error = caught.value
    assert (429, "rate_limited", 2.0, True) == (error.status, error.kind, error.retry_after, error.retryable)
    # Without words of its own, it names no other trouble than its status.
    with pytest.raises(StatusError, match=r"status 401; .*: Refused; check the API key"):
        CHAT.stream(fault=faults.status(401)).final()


@pytest.mark.parametrize(("status", "title"), [(200, "Sign in"), (502, "502 Bad Gateway"), (418, "418")])
def test_a_web_page_comes_instead(status: int, title: str) -> None:
    page = SOCKET.replaced(arrivals=(Arrival(1.5, b"{}"),)).with_fault(faults.html_instead(status))

    assert (status, 1.5, False) == (page.status, page.arrivals[0].at, page.messages)
    assert f"<title>{title}</title>".encode() in page.body
    assert "text/html; charset=utf-8" == page.content_type
    assert 0.0 == Recording().with_fault(faults.html_instead()).arrivals[0].at


def test_a_label_may_be_wrong_or_missing() -> None:
    assert "text/plain" == CHAT.with_fault(faults.wrong_content_type("text/plain")).content_type
    assert CHAT.with_fault(faults.wrong_content_type(None)).content_type is None
    assert CHAT.body == CHAT.with_fault(faults.wrong_content_type()).body
