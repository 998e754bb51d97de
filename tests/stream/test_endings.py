"""What decides an ending: what the server has said of its answer's end, and what comes then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import anyio
import httpx
import pytest

from tests.stream.bodies import call, chunk
from tests.support.playing import silent_after
from tests.support.wire import DONE, claude, claude_close, claude_delta, claude_open, claude_start, sse
from tokenstream import AsyncStream, Deadlines, Decoder, Retry, Stream, resilient, tap
from tokenstream.errors import StreamError
from tokenstream.events import Finish, TextDelta
from tokenstream.formats._endings import ENDINGS, find_end_sign
from tokenstream.testing import script

TEXT = [chunk({"role": "assistant", "content": "Hel"}), chunk({"content": "lo"})]
REASON, ERROR = chunk({}, "stop"), sse({"error": {"message": "busy", "type": "server_error", "code": 503}})
ASIDE = sse({"type": "x_note", "error": {"message": "busy", "type": "server_error"}})
OPEN_CALL = [chunk(call(0, "call_a", "look", '{"a"'))]
WAITS = [chunk(call(0, "call_a", "look", "")), chunk({}, "tool_calls")]
CLAUDE = [claude_start(), claude_open(0, type="text", text=""), claude_delta(0, "text_delta", text="Hi")]
CLAUDE_REASON = [claude_close(0), claude("message_delta", delta={"stop_reason": "end_turn"}, usage={})]
HALF = b'data: {"id": "a1", "obj'
UI = [
    sse({"type": "start", "messageId": "m"}),
    sse({"type": "text-start", "id": "0"}),
    sse({"type": "text-delta", "id": "0", "delta": "Hi"}),
    sse({"type": "text-end", "id": "0"}),
]
UI_FINISH = sse({"type": "finish", "finishReason": "stop"})


def gemini(text: str, reason: str | None = None, *, choice: int = 0, **more: Any) -> bytes:
    finish = {} if reason is None else {"finishReason": reason}
    content = {"parts": [{"text": text}], "role": "model"}
    candidates = [{"content": content, "index": choice, **finish}]
    return sse({"candidates": candidates, "modelVersion": "gemini-2.5", **more})


def responses(type: str, **fields: Any) -> bytes:  # noqa: A002 - the format's word
    return sse({"type": type, **fields}, event=type)


RESPONSES = [
    responses("response.created", response={"id": "r", "model": "m", "status": "in_progress"}),
    responses("response.output_text.delta", item_id="i", output_index=0, content_index=0, delta="Hi"),
]
FAILED_HEAD = {"id": "r", "model": "m", "status": "failed", "output": [], "error": {"code": "server_error"}}
WORST = responses("response.completed", response=FAILED_HEAD)
REFUSED = {"stop_reason": "end_turn", "stop_details": {"type": "refusal"}}
ENDED, BROKEN, SILENT = "truncated StreamTruncated", "truncated StreamInterrupted", "truncated StreamStalled"
FAILED, STOPPED, COMPLETE = "failed ProviderError", "stopped", "complete"


class Row(NamedTuple):
    """The endings of a body, by what comes when all of it was read."""

    chunks: list[bytes]
    end: str
    reset: str
    stop: str
    """By `stop`, `close`, the end of the block, a cancellation and Ctrl-C."""
    left: str
    """If the code that a tap watches closes its source."""
    silence: str


ROWS = {
    "nothing but text": Row(TEXT, ENDED, BROKEN, STOPPED, STOPPED, SILENT),
    "half a frame behind text": Row([*TEXT, HALF], ENDED, BROKEN, STOPPED, STOPPED, SILENT),
    "blocks that are open": Row(CLAUDE, ENDED, BROKEN, STOPPED, STOPPED, SILENT),
    "an error that may be none": Row([*TEXT, ASIDE], FAILED, FAILED, STOPPED, STOPPED, FAILED),
    "a reason before any content": Row([REASON], COMPLETE, BROKEN, STOPPED, STOPPED, SILENT),
    "a reason first, half a frame": Row([REASON, HALF], ENDED, BROKEN, STOPPED, STOPPED, SILENT),
    "a reason, and content behind it": Row(
        [*TEXT, REASON, chunk({"content": "!"})], ENDED, BROKEN, STOPPED, STOPPED, SILENT
    ),
    "a reason, but a call waits": Row(WAITS, COMPLETE, BROKEN, STOPPED, COMPLETE, COMPLETE),
    "a call waits, half a frame": Row([*WAITS, HALF], ENDED, BROKEN, STOPPED, ENDED, ENDED),
    "a reason": Row([*TEXT, REASON], *[COMPLETE] * 5),
    "a reason, half a frame": Row([*TEXT, REASON, HALF], *[COMPLETE] * 5),
    "a reason, then an error": Row([*TEXT, REASON, ERROR], *[COMPLETE] * 5),
    "a reason behind blocks": Row([*CLAUDE, *CLAUDE_REASON], *[COMPLETE] * 5),
    "a reason, more may follow": Row([gemini("Hel"), gemini("lo", "STOP")], *[COMPLETE] * 5),
    "more may follow, half a frame": Row(
        [gemini("Hel"), gemini("lo", "STOP"), HALF], ENDED, BROKEN, COMPLETE, COMPLETE, SILENT
    ),
    "a sentinel": Row([*TEXT, DONE], COMPLETE, BROKEN, STOPPED, COMPLETE, COMPLETE),
    "a sentinel, but a call is open": Row([*OPEN_CALL, DONE], ENDED, BROKEN, STOPPED, ENDED, ENDED),
    "a sentinel, then a finish": Row([*UI, DONE, UI_FINISH], *[COMPLETE] * 5),
    "a sentinel and nothing before": Row([DONE], ENDED, BROKEN, STOPPED, STOPPED, SILENT),
    "a terminal event": Row([*TEXT, REASON, DONE], *[COMPLETE] * 5),
    "a terminal event, open parts": Row([*CLAUDE, claude("message_stop")], *[ENDED] * 5),
    "a reason, and a worse one": Row(
        [*CLAUDE, claude_close(0), claude("message_delta", delta=REFUSED, usage={})], *[COMPLETE] * 5
    ),
    "a terminal event, a worse mark": Row([*RESPONSES, WORST], *[FAILED] * 5),
    "an error": Row([*TEXT, ERROR], FAILED, FAILED, FAILED, FAILED, FAILED),
}
"""By what the server has said, as the last that it said of the end."""


REASONS = [gemini("Hel", "STOP"), gemini("lo", "STOP"), gemini(" you", "STOP")]
"""An answer of a server that says in each chunk that it is over."""


class Reset(ConnectionError): ...


def _source(chunks: list[bytes], what: str, read_by: list[Any]) -> Iterator[bytes]:
    yield from chunks
    if what == "reset":
        raise Reset
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "stop":
        read_by[0].stop()
        yield b": ping\n\n"


def _outcome(stream: Any, error: StreamError | None) -> str:
    return " ".join([stream.message.ending, *([] if error is None else [type(error).__name__])])


def _read(chunks: list[bytes], what: str, opened: Any = lambda body: body) -> str:
    read_by: list[Any] = []
    stream = Stream(opened(_source(chunks, what, read_by)))
    read_by.append(stream)
    return _read_to_its_end(stream)


def _read_to_its_end(stream: Stream) -> str:
    error: StreamError | None = None
    try:
        with suppress(KeyboardInterrupt), stream:
            stream.final()
    except StreamError as raised:
        error = raised
    return _outcome(stream, error)


async def _aread(chunks: list[bytes], what: str) -> str:
    async def body() -> Any:
        for each in _source(chunks, what, read_by):
            yield each
            # Without a pause, what follows would be read before this was.
            await anyio.wait_all_tasks_blocked()

    read_by: list[Any] = []
    stream = AsyncStream(body())
    read_by.append(stream)
    error: StreamError | None = None
    try:
        async with stream:
            await stream.final()
    except StreamError as raised:
        error = raised
    return _outcome(stream, error)


def _tapped(chunks: list[bytes], what: str) -> str:
    tapped: Any = tap(_source(chunks, what, []))
    with suppress(Reset):
        for _, each in zip(chunks, tapped, strict=False) if what == "stop" else enumerate(tapped):
            assert each
        tapped.close()
    return _outcome(tapped, tapped.error)


def _in_silence(chunks: list[bytes]) -> str:
    return _read_to_its_end(
        silent_after(*chunks).stream(deadlines=Deadlines(idle_content=9.0, after_finish=2.0))
    )


@pytest.mark.anyio
@pytest.mark.parametrize("name", ROWS)
async def test_what_the_server_has_said_decides_the_ending(name: str) -> None:
    """A loop, an async loop and a tap that have read the same tell the same, but for one column."""
    row = ROWS[name]

    for what in ("end", "reset", "stop"):
        assert [getattr(row, what)] * 2 == [_read(row.chunks, what), await _aread(row.chunks, what)], what
    assert row.stop == _read(row.chunks, "interrupt")
    assert [row.end, row.reset, row.left] == [_tapped(row.chunks, what) for what in ("end", "reset", "stop")]
    assert row.silence == _in_silence(row.chunks)


def test_each_row_of_the_table_is_reached() -> None:
    reached = set[str]()
    for row in ROWS.values():
        decoder = Decoder()
        has_events = sum([len(decoder.feed(each)) for each in row.chunks])
        if row.chunks[-1] != HALF and has_events and decoder.error is None:
            said = find_end_sign(decoder._machine.link.connection.format)  # noqa: SLF001 - no user sees it
            endings = ENDINGS[said]
            told = (endings.clean, endings.broken, endings.stopped, endings.left)
            seen = [each.split()[0] for each in (row.end, row.reset, row.stop, row.left)]
            assert [each or like for each, like in zip(told, seen, strict=True)] == seen, said
            assert row.silence == (row.end if endings.ends_in_silence else row.reset).replace(BROKEN, SILENT)
            reached.add(said)

    assert reached == {*ENDINGS}


@pytest.mark.parametrize("name", ROWS)
def test_the_borders_of_chunks_change_no_ending(name: str) -> None:
    chunks = ROWS[name].chunks

    assert [_stopped_at(chunks, at) for at in range(6)] == [
        _stopped_at([b"".join(chunks)], at) for at in range(6)
    ]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("what", ["end", "reset"])
def test_a_guard_decides_before_all_else(name: str, what: str) -> None:
    endings = list[str]()
    for judge, hold in ((lambda _: "no", False), (lambda _: "no", True), (lambda _: 1 / 0, False)):
        stream: Any = Stream(_source(ROWS[name].chunks, what, []))
        stream.guard(judge, first_tokens=1000, hold=hold)
        endings.append(_read_to_its_end(stream))

    assert endings == [STOPPED, STOPPED, "failed GuardFailed"]


@pytest.mark.parametrize("what", ["end", "reset", "stop"])
@pytest.mark.parametrize("name", ROWS)
def test_the_body_of_a_refusal_is_no_answer(name: str, what: str) -> None:
    """The status decides, whatever the body says and however it ends."""
    outcome = _read(ROWS[name].chunks, what, lambda body: httpx.Response(503, content=body))

    assert outcome == (STOPPED if what == "stop" else "failed StatusError")


@pytest.mark.parametrize(
    "chunks, endings",
    [
        pytest.param(REASONS, [*[STOPPED] * 4, COMPLETE, *[STOPPED] * 3, COMPLETE], id="in chunks"),
        pytest.param([b"".join(REASONS)], [*[STOPPED] * 8, COMPLETE], id="at once"),
        pytest.param([gemini("Hel"), gemini("lo", "STOP")], [*[STOPPED] * 5, *[COMPLETE] * 4], id="once"),
    ],
)
def test_a_stop_amid_an_answer_with_a_reason_in_each_chunk_is_one(
    chunks: list[bytes], endings: list[str]
) -> None:
    """The first reason can't be told from the last, unless more was read, or content has followed."""
    assert endings == [_stopped_at(chunks, number) for number in range(9)]


def _stopped_at(chunks: list[bytes], number: int) -> str:
    stream = Stream(iter(chunks))
    with suppress(StreamError):
        for index, _ in enumerate(stream):
            if index == number:
                stream.stop()
    return stream.message.ending


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [gemini("Hel"), gemini("lo", "STOP", usageMetadata={"promptTokenCount": 3})],
            id="with usage behind it",
        ),
        pytest.param(script().text("Hel", "lo").finish().chunks("tokenstream"), id="with a record behind it"),
    ],
)
@pytest.mark.parametrize("joined", [False, True])
def test_a_stop_at_the_only_reason_leaves_the_answer_complete(chunks: list[bytes], *, joined: bool) -> None:
    """Programs leave their loop there, whatever a server says behind it, and in how many chunks."""
    with resilient(lambda _: iter([b"".join(chunks)] if joined else chunks)) as stream:
        for event in stream:
            if isinstance(event, Finish):
                break

    assert (stream.message.ending, stream.message.text) == (COMPLETE, "Hello")


def test_a_choice_with_its_reason_is_complete_while_another_goes_on() -> None:
    """A stop cuts off only what has not ended."""
    chunks = [
        gemini("A"),
        gemini("B", choice=1),
        gemini("", "STOP"),
        gemini("C", choice=1),
        gemini("D", choice=1),
    ]
    with Stream(iter(chunks)) as stream:
        for event in stream:
            if isinstance(event, TextDelta) and event.text == "C":
                stream.stop()

    assert [each.ending for each in stream.messages] == [COMPLETE, STOPPED]


def test_a_stop_amid_an_answer_that_was_held_back_is_one() -> None:
    with resilient(lambda _: iter([*TEXT, REASON, DONE]), Retry(accept=lambda _: True)) as stream:
        for event in stream:
            if isinstance(event, TextDelta):
                break

    assert (stream.message.ending, stream.message.text) == (STOPPED, "Hel")
