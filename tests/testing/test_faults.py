"""Faults on demand: the content that can still be read, and the error that reports the fault."""

from __future__ import annotations

import inspect
import math
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest

from tests.support.playing import Playback, read, three_worlds
from tests.support.tables import in_one_test
from tests.support.wire import DONE, sse
from tokenstream import testing
from tokenstream.errors import (
    MisuseError,
    NotAStream,
    ProtocolError,
    ProviderError,
    StatusError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.testing import Recording, faults

if TYPE_CHECKING:
    from tokenstream.testing.faults import Fault

ANSWER = testing.script().text("Hel", "lo", " €").usage(input_tokens=3, output_tokens=3).finish("stop")
"""Its events: the role, three deltas, the finish reason, the usage, `[DONE]`."""
CHAT = ANSWER.recording("openai-chat")
WHOLE = "Hello €"
SSE = Recording.of([sse("a"), sse("b"), sse("c"), DONE], format="text", name="abc")


@dataclass
class Row:
    fault: Fault
    error: type[StreamError] | None = None
    text: str = WHOLE
    ending: str = "complete"


ROWS = [
    # The input ends cleanly, but before the end of the answer.
    Row(faults.empty(), StreamTruncated, "", "truncated"),
    Row(faults.cut(event=3), StreamTruncated, "Hello", "truncated"),
    Row(faults.cut(event=4), StreamTruncated, WHOLE, "truncated"),
    Row(faults.cut(event=5)),
    Row(faults.cut(at=-1)),
    Row(faults.no_done()),
    Row(faults.gzipped() | faults.cut(at=12), StreamTruncated, "", "truncated"),
    # The connection breaks; once the answer is whole that is no matter.
    Row(faults.close(event=3), StreamInterrupted, "Hello", "truncated"),
    Row(faults.reset(event=3), StreamInterrupted, "Hello", "truncated"),
    Row(faults.close(event=6)),
    Row(faults.reset(at=1.0)),
    # It takes long, or for ever.
    Row(faults.stall(event=3), StreamStalled, "Hello", "truncated"),
    Row(faults.stall(90, event=3)),
    Row(faults.stall(1000, event=3) | faults.heartbeat(15), StreamStalled, "Hello", "truncated"),
    Row(faults.slow(2)),
    Row(faults.slow(700), StreamStalled, "", "truncated"),
    # Some bytes are changed.
    Row(faults.garble(at=CHAT.body.index("€".encode()), data=b"\xff"), None, "Hello \ufffd\ufffd\ufffd"),
    Row(faults.bad_json(event=3), ProtocolError, "Hel", "failed"),
    Row(faults.garble(at=CHAT.body.index(b'"lo"'), data=b"<"), ProtocolError, "Hel", "failed"),
    # Some events are changed; chat does not number them, so that a repeated delta is a delta.
    Row(faults.duplicate(event=2), None, "HelHello €"),
    Row(faults.reorder(events=(3, 4)), None, "Hel €lo"),
    Row(faults.error_event("rate_limited", event=3), ProviderError, "Hello", "failed"),
    # Another answer replaces the stream.
    Row(faults.html_instead(), StatusError, "", "failed"),
    Row(faults.html_instead(200), NotAStream, "", "failed"),
    Row(faults.status(529), StatusError, "", "failed"),
    Row(faults.status(200), ProviderError, "", "failed"),
    # Unusual, but with the same meaning.
    Row(faults.wrong_content_type()),
    Row(faults.wrong_content_type(None)),
    Row(faults.split_utf8()),
    Row(faults.crlf()),
    Row(faults.bom()),
    Row(faults.heartbeat()),
    Row(faults.gzipped()),
    Row(faults.gzipped() | faults.slow(1)),
    Row(faults.crlf() | faults.bom() | faults.split_utf8()),
]  # fmt: skip


@three_worlds
@pytest.mark.parametrize("chunking", ["recorded", "whole", "bytes"])
@in_one_test("row", ROWS, ids=lambda row: row.fault.name)
def test_what_a_reader_meets(row: Row, chunking: Literal["recorded", "whole", "bytes"], world: str) -> None:
    playback = Playback(CHAT, chunking=chunking, fault=row.fault)
    met = read(world, playback)

    assert row.error is (None if met.error is None else type(met.error)), met.error
    assert (row.text, row.ending) == (met.message.text, met.message.ending)
    assert playback.closed
    if isinstance(met.error, StreamError):
        assert row.text == met.error.partial.text


# -- values ----------------------------------------------------------------


@in_one_test("written", [
    "cut(at=17)", "cut(event=3)", "close(at=0.5)", "reset()", "stall(seconds=90)", "stall(seconds=1, at=-1)",
    "slow(seconds=0.5)", "slow(seconds=0.0, factor=2)", "garble(at=4, seed=7)", "duplicate(event=2)",
    "reorder(events=(2, 3))", "reorder(seed=7)", "error_event(kind='server', message='Ouch')",
    "html_instead(status=503)", "status(code=429, message='Slow down', retry_after=2)", "empty()",
    "wrong_content_type(content_type='text/plain')", "no_done()", "split_utf8()", "crlf()", "bom()",
    "heartbeat(seconds=15)", "gzipped()", "bad_json()", "crlf() | cut(at=17)", "bom() | crlf() | cut(at=17)",
])  # fmt: skip
def test_a_fault_is_shown_as_it_is_written(written: str) -> None:
    names = {name: getattr(faults, name) for name in faults.__all__}
    one, other = (eval(written, {}, names) for _ in range(2))

    assert written == repr(one) == one.name
    assert one == other == pickle.loads(pickle.dumps(one))
    assert hash(one) == hash(other)
    assert one(CHAT) == other(CHAT)


def test_another_fault_is_not_equal() -> None:
    assert faults.cut(at=17) != faults.cut(at=18)
    assert faults.cut(at=17) != faults.close(at=17)
    assert faults.garble(at=3) == faults.garble(at=3, size=4, seed=0)


def test_faults_come_in_their_order() -> None:
    """`a | b`, a list and two steps are the same."""
    one, other = faults.crlf(), faults.cut(at=10)
    expected = SSE.with_fault(one).with_fault(other)

    assert expected == SSE.with_fault(one | other) == SSE.with_fault([one, other])
    assert b"data: a\r\n\r" == expected.body
    assert (one | (other | one)) == ((one | other) | one)
    assert SSE == SSE.with_fault([])
    assert "Fault()" == faults.combined([]).name


def test_what_is_no_fault_is_refused() -> None:
    named: Any = ["cut"]
    with pytest.raises(MisuseError, match=r"a str is not a fault: call a function of testing.faults"):
        SSE.with_fault(named)
    uncalled: Any = faults.cut
    with pytest.raises(
        MisuseError, match=r"a function is not a fault: call .*, such as faults\.cut\(at=17\)"
    ):
        SSE.with_fault(uncalled)
    with pytest.raises(MisuseError, match="a function is not a fault"):
        SSE.with_fault(faults.crlf() | uncalled)
    elsewhere: Any = {"where": 3}
    with pytest.raises(TypeError, match=r"cut\(\*, at: .* is not called like that"):
        faults.cut(**elsewhere)


def test_a_fault_says_which_details_it_takes() -> None:
    """The recording is not among them: it is passed later."""
    assert "(*, at: 'float | None' = None, event: 'int | None' = None) -> 'Fault'" == str(
        inspect.signature(faults.cut)
    )


def test_a_recording_is_not_changed() -> None:
    before = CHAT.body

    assert before != CHAT.with_fault(faults.cut(at=3)).body
    assert before == CHAT.body


# -- places ----------------------------------------------------------------


@in_one_test(("fault", "left"), [
    (faults.cut(at=0), b""),
    (faults.cut(at=7), b"data: a"),
    (faults.cut(at=len(SSE.body)), SSE.body),
    (faults.cut(at=-1), SSE.body[:-1]),
    (faults.cut(at=-len(SSE.body)), b""),
    (faults.cut(at=0.0), b""),
    (faults.cut(at=1.0), SSE.body),
    (faults.cut(), SSE.body[: len(SSE.body) // 2]),
    (faults.cut(event=0), b""),
    (faults.cut(event=2), sse("a") + sse("b")),
    (faults.cut(event=-1), SSE.body),
    (faults.cut(event=-2), SSE.body[:-14]),
])  # fmt: skip
def test_where_a_body_is_cut(fault: Fault, left: bytes) -> None:
    assert left == SSE.with_fault(fault).body


@in_one_test(("fault", "words"), [
    (faults.cut(at=47), "at=47 is outside of the body of 'abc', which has 41 bytes"),
    (faults.close(at=-42), "at=-42 is outside"),
    (faults.cut(at=True), "at=True is outside"),
    (faults.reset(at=1.5), "at=1.5 is not a fraction of a body"),
    (faults.stall(at=math.nan), "at=nan is not a fraction"),
    (faults.cut(event=5), "event=5 does not exist in 'abc', which has 4"),
    (faults.cut(event=-5), "event=-5 does not exist"),
    (faults.cut(at=3, event=1), "by `at` or by `event`, and not by both"),
    (faults.cut(at=cast("int", "3")), "at='3' is not a fraction"),
    (faults.cut(event=cast("int", 1.5)), "event=1.5 does not exist"),
    (faults.cut(event=False), "event=False does not exist"),
    (faults.duplicate(event=0), "event=0 does not exist"),
    (faults.bad_json(event=True), "event=True does not exist"),
    (faults.bad_json(event=4), "event 4 of 'abc' holds no JSON object"),
    (faults.empty() | faults.no_done(), "event=-1 does not exist"),
    (faults.empty() | faults.duplicate(), "the event in the middle does not exist"),
    (faults.garble(at=41), "nothing is left to garble after byte 41"),
    (faults.garble(size=0), "one byte at least"),
    (faults.garble(data=b""), "one byte at least"),
    (faults.reorder(events=(1, 9)), "event=9 does not exist"),
    (faults.reorder(events=(2, -3)), "name two different events to swap"),
    (faults.reorder(events=cast("tuple[int, int]", (1, 2, 3))), "name two different events to swap"),
    (faults.error_event(cast("Any", "busy")), "'busy' is not a kind of error: pass one of overloaded, "),
    (faults.status(99), "99 is not the status of an answer: pass one from 200 to 599"),
    (faults.html_instead(cast("int", "502")), "'502' is not the status of an answer"),
    (faults.reorder(events=(1, 2), seed=3), "not both"),
    (faults.cut(event=1) | faults.reorder(), "fewer than two events"),
    (faults.split_utf8(), "has no character of several bytes"),
    (faults.stall(-1), "seconds=-1 is invalid"),
    (faults.stall(math.nan), "seconds=nan is invalid"),
    (faults.slow(math.inf), "seconds=inf is invalid"),
    (faults.slow(factor=-2), "factor=-2 is invalid"),
    (faults.stall(cast("float", "9")), "seconds='9' is invalid"),
    (faults.heartbeat(0), "seconds=0 is invalid"),
    (faults.heartbeat(comment="hi\ndata: x"), "a text of one line"),
    (faults.stall() | faults.heartbeat(1), "no end of heartbeats"),
    (faults.gzipped() | faults.gzipped(), "is compressed already"),
    (faults.gzipped() | faults.crlf(), "is not text in lines"),
    (faults.html_instead() | faults.heartbeat(), "is not an SSE stream"),
])  # fmt: skip
def test_what_has_no_place_in_an_answer_is_misuse(fault: Fault, words: str) -> None:
    """A test that breaks nothing would prove nothing."""
    with pytest.raises(MisuseError, match=words):
        SSE.with_fault(fault)


@in_one_test(
    "fault",
    [
        faults.crlf(),
        faults.bom(),
        faults.heartbeat(),
        faults.heartbeat(5),
        faults.cut(event=2),
        faults.garble(event=1),
        faults.bad_json(),
        faults.duplicate(),
        faults.reorder(),
        faults.reorder(seed=3),
        faults.error_event(),
        faults.no_done(),
    ],
    ids=lambda fault: fault.name,
)
@in_one_test("format", ["openai-chat", "ollama", "bedrock-converse"])
def test_a_compressed_body_has_neither_lines_nor_events(format: str, fault: Fault) -> None:
    """The content type of a compressed body must not mislead a fault."""
    answer = testing.script().text("Hel", "lo wörld").finish().recording(format)

    with pytest.raises(MisuseError, match=r"is compressed|is not text in lines|is not an SSE stream"):
        answer.with_fault(faults.gzipped() | fault)


def test_comments_are_no_events() -> None:
    """Only frames with content are counted: neither heartbeats nor a retry time are."""
    noisy = Recording.of([b": hi\n\nretry: 5\n\ndata: a\n\n:\n\ndata: b\n\n"])

    assert noisy.body[: -len(b":\n\ndata: b\n\n")] == noisy.with_fault(faults.cut(event=1)).body
    assert noisy.body == noisy.with_fault(faults.cut(event=2)).body
