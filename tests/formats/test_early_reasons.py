"""Finish reasons that come before the content, in the formats that have them in a field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.support.chunkings import several
from tests.support.reading import Reading, read
from tests.support.wire import DONE, chat, chat_call, claude, claude_delta, claude_open, claude_start, sse
from tokenstream import Retry, Stream, resilient
from tokenstream.errors import StreamInterrupted, StreamTruncated
from tokenstream.formats import custom


def _gemini(text: str = "", finish: str | None = None, *, thought: bool = False) -> bytes:
    part = {"text": text, "thought": True} if thought else {"text": text}
    reason = {} if finish is None else {"finishReason": finish}
    return sse({"candidates": [{"content": {"parts": [part] if text else []}, **reason}]})


def _langchain(text: str = "", finish: str | None = None, **fields: Any) -> bytes:
    data = {} if finish is None else {"finish_reason": finish}
    return sse({"type": "AIMessageChunk", "content": text, "id": "r", "response_metadata": data, **fields})


def _own(text: str = "", finish: str | None = None) -> bytes:
    return sse({"said": text, **({} if finish is None else {"why": finish})})


class Wire(NamedTuple):
    """The words of a format: a start with a reason, a piece of text, a reason, and the end mark."""

    early: bytes
    text: Callable[[str], bytes]
    reason: bytes
    mark: bytes
    format: Any


WIRES = {
    "chat": Wire(
        chat({"role": "assistant", "content": ""}, "stop"),
        lambda text: chat({"content": text}),
        chat({}, "stop"),
        DONE,
        None,
    ),
    "chat's reasoning": Wire(
        chat({"role": "assistant"}, "stop") + chat({"reasoning_content": "Hm"}),
        lambda text: chat({"content": text}),
        chat({}, "stop"),
        DONE,
        None,
    ),
    "gemini": Wire(_gemini(finish="STOP"), _gemini, _gemini(finish="STOP"), DONE, None),
    "gemini's thoughts": Wire(
        _gemini(finish="STOP") + _gemini("Hm", thought=True), _gemini, _gemini(finish="STOP"), DONE, None
    ),
    "anthropic": Wire(
        claude_start() + claude("message_delta", delta={"stop_reason": "end_turn"}, usage={}),
        lambda text: claude_open(0, type="text", text="") + claude_delta(0, "text_delta", text=text),
        claude("message_delta", delta={"stop_reason": "end_turn"}, usage={}),
        claude("message_stop"),
        None,
    ),
    "langchain": Wire(
        _langchain(finish="stop"),
        _langchain,
        _langchain(finish="stop"),
        _langchain(finish="stop", chunk_position="last"),
        None,
    ),
    "a mapping": Wire(
        _own(finish="stop"),
        _own,
        _own(finish="stop"),
        DONE,
        custom(text="said", finish="why", sentinel="[DONE]"),
    ),
}
each_wire = pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)


def _end_of(got: Reading) -> tuple[str, str, str | None]:
    return got.text(), got.message.ending, got.message.finish_reason


@each_wire
def test_a_cut_after_an_early_reason_is_a_cut(wire: Wire) -> None:
    """The reason is none of the answer that goes on, at every chunking."""
    body = wire.early + wire.text("Hel")
    for chunks in several(body, "early").values():
        got = read(chunks, format=wire.format)

        assert ("Hel", "truncated", None) == _end_of(got)
        assert isinstance(got.error, StreamTruncated)
        assert got.error.partial == got.message
        assert got.closed


@each_wire
def test_another_reason_or_the_end_mark_confirms_it(wire: Wire) -> None:
    for end in (wire.mark, wire.reason + wire.mark):
        for chunks in several(wire.early + wire.text("Hello") + end, "whole").values():
            got = read(chunks, format=wire.format)

            assert (None, "Hello", "complete", "stop") == (got.error, *_end_of(got))


@pytest.mark.parametrize("name", ["chat", "gemini"])
def test_a_clean_end_confirms_a_reason_without_content(name: str) -> None:
    """Nothing was lost: the answer is empty."""
    got = read([WIRES[name].early])

    assert (None, "", "complete", "stop") == (got.error, *_end_of(got))


@pytest.mark.parametrize("name", ["chat", "gemini", "gemini's thoughts"])
def test_another_reason_suffices_where_no_mark_is_needed(name: str) -> None:
    wire = WIRES[name]
    got = read([wire.early + wire.text("Hello") + wire.reason])

    assert (None, "Hello", "complete", "stop") == (got.error, *_end_of(got))


@each_wire
def test_a_reset_after_an_early_reason_is_no_end(wire: Wire) -> None:
    bodies = [wire.early, wire.early + wire.text("Hel")]
    # An event of its own, in a format that marks the ends of parts, is no field of an early chunk.
    for body in bodies[wire is WIRES["anthropic"] :]:
        got = read([body], breaks_with=ConnectionResetError("reset"), format=wire.format)

        assert isinstance(got.error, StreamInterrupted)
        assert ("truncated", None) == _end_of(got)[1:]


@each_wire
def test_a_stop_after_an_early_reason_is_no_end(wire: Wire) -> None:
    with Stream([wire.early + wire.text("Hel"), wire.text("lo")], format=wire.format) as stream:
        next(iter(stream.text))

    assert ("stopped", None) == (stream.message.ending, stream.message.finish_reason)


@pytest.mark.parametrize("arguments", ['{"a":', '{"a":1}'])
@pytest.mark.parametrize(
    "early", [chat({"role": "assistant"}, "stop"), chat({"content": "So:"}, "stop"), chat({}, "tool_calls")]
)
def test_a_call_that_begins_after_a_reason_is_not_handed_out_at_a_cut(early: bytes, arguments: str) -> None:
    """What looks whole may be the beginning of another value; at the end mark, it is handed out."""
    begun = early + chat(chat_call(0, arguments, id="a", name="f"))
    cut = read([begun])
    whole = read([begun + chat(chat_call(0, "" if arguments[-1] == "}" else "1}")) + DONE])

    assert ([], StreamTruncated) == (cut.calls(), type(cut.error))
    assert ['{"a":1}'] == [call.arguments_text for call in whole.calls()]
    assert ("complete", "tool_calls") == _end_of(whole)[1:]


def test_a_call_whose_late_arguments_break_off_is_cut_off() -> None:
    begun = chat(chat_call(0, "", id="a", name="f"), "tool_calls") + chat(chat_call(0, '{"a":'))
    got = read([begun])

    assert ([], StreamTruncated) == (got.calls(), type(got.error))
    assert ("truncated", None) == _end_of(got)[1:]


def test_a_text_that_goes_on_after_a_second_reason_is_open_again() -> None:
    """Gateways write one on each chunk: the part stays open, and each piece makes the last reason void."""
    body = b"".join([_gemini("a", "STOP"), _gemini("b", "STOP"), _gemini("c")])
    for chunks in several(body, "second").values():
        got = read(chunks)

        assert ("abc", StreamTruncated) == (got.text(), type(got.error))


def test_sources_after_a_reason_leave_it() -> None:
    cited = {"index": 0, "groundingMetadata": {"groundingChunks": [{"web": {"uri": "https://a.example"}}]}}
    got = read([_gemini("Hello", "STOP") + sse({"candidates": [cited]})])

    assert ("Hello", "complete", "stop") == _end_of(got)


def test_an_error_after_an_early_reason_fails_the_answer() -> None:
    """Nothing had come that the reason could have ended."""
    busy = sse({"error": {"message": "busy", "code": "overloaded"}})
    got = read([chat({"role": "assistant"}, "stop") + busy])

    assert "busy" in str(got.error)
    assert ("", "failed") == _end_of(got)[:2]


def test_an_answer_cut_after_an_early_reason_is_asked_for_again() -> None:
    early = chat({"role": "assistant", "content": ""}, "stop")
    bodies = [[early + chat({"reasoning_content": "Hm"})], [early + chat({"content": "Hello"}) + DONE]]
    stream = resilient(lambda: bodies.pop(0), retry=Retry(attempts=2, wait=0))

    assert "Hello" == "".join(stream.text)
    assert "complete" == stream.message.ending
