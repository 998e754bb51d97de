"""A stream that was cut never looks finished, and loses nothing that had arrived whole."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable

import pytest

from tests.support import chunkings, wire
from tests.support.effort import in_steps
from tests.support.prefix import Prefix, Said
from tests.support.reading import Reading, read
from tests.support.recordings import ours
from tests.support.sampling import sampled
from tests.support.texts import pieces_of
from tokenstream import Limits, Stream
from tokenstream.errors import StreamInterrupted, StreamTruncated
from tokenstream.message import ToolCall

_ARGUMENTS = '{"path": "/srv/x", "note": "\\u00e9 – 漢字 \\ud83d\\ude00", "force": true}'
_WITHIN_ESCAPES = 16
"""Characters in a fragment of the arguments, so that two of the escapes are cut."""
_TEXT = "Grüße – 漢字 🌊 end"


def _text_stream() -> bytes:
    return (
        b"".join([wire.sse(piece) for piece in ("Hel", "lo", " – gr", "üße ", "漢", "字🌊", ".")]) + wire.DONE
    )


def _chat_with_call() -> bytes:
    chunks = [wire.chat({"role": "assistant", "content": ""})]
    chunks += [wire.chat({"content": piece}) for piece in pieces_of(_TEXT, 9)]
    chunks.append(wire.chat(wire.chat_call(0, "", id="call_a", name="rm")))
    chunks += [wire.chat(wire.chat_call(0, piece)) for piece in pieces_of(_ARGUMENTS, _WITHIN_ESCAPES)]
    chunks += [wire.chat({}, "tool_calls"), wire.chat_usage(7, 21), wire.DONE]
    return b"".join(chunks)


def _chat_with_calls_in_turns() -> bytes:
    first, second = pieces_of('{"path": "/srv/x"}', 9), pieces_of('{"depth": 12, "all": []}', 12)
    chunks = [
        wire.chat(wire.chat_call(0, "", id="call_a", name="rm")),
        wire.chat(wire.chat_call(1, "", id="call_b", name="ls")),
    ]
    for one, other in zip(first, second, strict=True):
        chunks += [wire.chat(wire.chat_call(0, one)), wire.chat(wire.chat_call(1, other))]
    chunks += [wire.chat({}, "tool_calls"), wire.DONE]
    return b"".join(chunks)


def _chat_with_reasoning_and_two_choices() -> bytes:
    return b"".join(
        [
            wire.chat({"role": "assistant", "reasoning_content": "Hm – "}),
            wire.chat({"role": "assistant", "content": "No"}, index=1),
            wire.chat({"reasoning_content": "漢字"}),
            wire.chat({"content": "Yes"}),
            wire.chat({"content": "."}, index=1),
            wire.chat({}, "length", index=1),
            wire.chat({"content": "!"}),
            wire.chat({}, "stop"),
            wire.DONE,
        ]
    )


def _claude_with_calls() -> bytes:
    chunks = [wire.claude_start(), wire.claude_open(0, type="thinking", thinking="", signature="")]
    chunks += [wire.claude_delta(0, "thinking_delta", thinking=piece) for piece in pieces_of(_TEXT, 9)]
    chunks += [wire.claude_delta(0, "signature_delta", signature="c2ln"), wire.claude_close(0)]
    chunks.append(wire.claude_open(1, type="text", text=""))
    chunks.append(wire.claude("ping"))
    chunks += [wire.claude_delta(1, "text_delta", text=piece) for piece in pieces_of(_TEXT, 9)]
    chunks.append(wire.claude_close(1))
    for index, arguments in ((2, _ARGUMENTS), (3, "")):
        chunks.append(wire.claude_open(index, type="tool_use", id=f"toolu_{index}", name="rm", input={}))
        chunks += [
            wire.claude_delta(index, "input_json_delta", partial_json=piece)
            for piece in ("", *pieces_of(arguments, _WITHIN_ESCAPES))
        ]
        chunks.append(wire.claude_close(index))
    return b"".join([*chunks, wire.claude_end("tool_use")])


def _claude_with_blocks_in_turns() -> bytes:
    chunks = [wire.claude_start()]
    chunks += [
        wire.claude_open(index, type="tool_use", id=f"toolu_{index}", name=name, input={})
        for index, name in enumerate(("rm", "ls"))
    ]
    for piece in pieces_of('{"a": [1, 23]}', 8):
        chunks += [wire.claude_delta(index, "input_json_delta", partial_json=piece) for index in (0, 1)]
    return b"".join([*chunks, wire.claude_close(1), wire.claude_close(0), wire.claude_end("tool_use")])


_HAND_MADE = {
    "text": ("text", _text_stream()),
    "chat, a call": ("openai-chat", _chat_with_call()),
    "chat, calls in turns": ("openai-chat", _chat_with_calls_in_turns()),
    "chat, two choices": ("openai-chat", _chat_with_reasoning_and_two_choices()),
    "anthropic, calls": ("anthropic", _claude_with_calls()),
    "anthropic, blocks in turns": ("anthropic", _claude_with_blocks_in_turns()),
}
# What each prefix of another format's stream says is told in the tests of that format.
_RECORDED = {
    recorded.name: (recorded.format, recorded.body)
    for recorded in ours()
    if recorded.format in ("openai-chat", "anthropic")
}
_STREAMS = _HAND_MADE | _RECORDED
_ANSWERS = {name: Prefix(body, format) for name, (format, body) in _STREAMS.items()}


def _check_content(format: str, prefix: Prefix, reading: Reading, answer: Prefix) -> None:
    """Nothing lost, nothing invented: each choice says what the whole events of the prefix say."""
    messages = {message.choice: message for message in reading.messages}
    for index, said in prefix.choices.items():
        message = messages.get(index)
        if message is None:
            assert (said.text, said.reasoning, said.refusal, said.calls) == ("", "", "", {})
            continue
        assert (said.text, said.reasoning, said.refusal) == (message.text, message.reasoning, message.refusal)
        assert (said.text, said.reasoning) == (reading.text(index), reading.reasoning(index))
        assert [(call.id, call.name, call.arguments) for call in said.calls.values()] == [
            (call.id, call.name, call.arguments_text) for call in message.tool_calls
        ]
        over = (said.finish is not None or prefix.done) and (_is_over(prefix) or not prefix.finished)
        assert ("complete" if over else "truncated") == message.ending
        assert said.finish is not None or message.finish_reason is None
    _check_calls(format, prefix, reading, answer)


def _check_calls(format: str, prefix: Prefix, reading: Reading, answer: Prefix) -> None:
    """A call is handed out when it is over, as it is in the whole answer, and never before."""
    for index, said in prefix.choices.items():
        handed_out = {
            call.id: (call.name, call.arguments_text, call.complete) for call in reading.calls(index)
        }
        whole = {call.id: (call.name, call.arguments, True) for call in answer.said(index).calls.values()}
        assert handed_out.items() <= whole.items()
        closed = {call.id for call in said.calls.values() if call.closed and call.whole}
        if not prefix.done:
            # A call without arguments waits for them until the answer is over.
            closed -= _waiting(said) - handed_out.keys()
        if format == "anthropic":
            assert closed == handed_out.keys()
        else:
            # A call may also be over because the next one began.
            assert closed <= handed_out.keys()
            assert all(call.whole for call in said.calls.values() if call.id in handed_out)


def _waiting(said: Said) -> set[str]:
    """Return the ids of the calls that have no arguments so far."""
    return {call.id for call in said.calls.values() if call.arguments in ("", "{}")}


def _lacks_arguments(prefix: Prefix) -> bool:
    """Return True if a call waits for its arguments behind a finish reason, and not the end of the answer."""
    return prefix.finished and not prefix.done and any(map(_waiting, prefix.choices.values()))


def _is_over(prefix: Prefix) -> bool:
    """Return True if nothing was lost by a cut: no frame that might have held arguments of a waiting call."""
    is_cut = bool(prefix.tail.strip()) and not prefix.taken
    return prefix.finished and not (_lacks_arguments(prefix) and is_cut)


def _check_error(cut: int, prefix: Prefix, reading: Reading) -> None:
    """A cut before the end of the answer is an error that holds all that there was; later there is none."""
    error = reading.error
    assert reading.closed
    if _is_over(prefix):
        assert error is None
        return
    assert isinstance(error, StreamTruncated)
    assert error.partial is reading.message
    assert "done_missing" not in reading.departures
    assert (len(reading.events), cut) == (error.events_seen, error.bytes_seen)
    if not prefix.taken:
        assert prefix.tail[: Limits().tail] == error.tail
    delivered = tuple(call.id for message in reading.messages for call in reading.calls(message.choice))
    assert sorted(delivered) == sorted(error.tool_calls_delivered)
    assert error.retryable


def _check_cut(name: str, cut: int, *, named: bool) -> None:
    format, body = _STREAMS[name]
    prefix = Prefix(body[:cut], format)
    reading = read([body[:cut]], format=format if named else None)
    _check_error(cut, prefix, reading)
    _check_content(format, prefix, reading, _ANSWERS[name])


def _sample(name: str, most: int) -> Iterable[int]:
    """Return some places to cut: both ends, around blank lines, and anywhere."""
    body = _STREAMS[name][1]
    chance = random.Random(name)
    borders = [
        place + shift
        for place in range(len(body))
        if body.startswith(b"\n\n", place)
        for shift in (-1, 0, 1, 2)
    ]
    places = {0, 1, 5, len(body) - 1, len(body)}
    places.update(chance.sample(borders, min(len(borders), most)))
    places.update(chance.sample(range(len(body)), most))
    return sorted(places)


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("named", [True, False], ids=["named", "detected"])
@pytest.mark.parametrize("name", sampled(sorted(_STREAMS), one_in=3))
def test_a_stream_that_is_cut_is_truncated_and_keeps_what_had_come(name: str, named: bool) -> None:
    """No false call, no false end, no character lost that stood in an event that had arrived whole."""
    for cut in (*range(30), *_sample(name, 10)):
        _check_cut(name, min(cut, len(_STREAMS[name][1])), named=named)


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False], ids=["named", "detected"])
@pytest.mark.parametrize("name", _STREAMS)
def test_any_stream_cut_at_any_byte_is_truncated_and_keeps_what_had_come(name: str, named: bool) -> None:
    length = len(_STREAMS[name][1])
    for cut in range(not named, length + 1, 2 * in_steps(11, length // 2)):
        _check_cut(name, cut, named=named)


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("name", sampled(sorted(_STREAMS), one_in=3))
def test_a_cut_means_the_same_however_the_chunks_came(name: str) -> None:
    """Events, message and error of a cut stream do not depend on where its chunks end."""
    body = _STREAMS[name][1]
    for cut in random.Random(name).sample(range(len(body)), 8):
        start = body[:cut]
        expected = read([start]).seen()
        for chunks in (chunkings.sized(start, 7), chunkings.seeded(start, cut), chunkings.per_event(start)):
            assert expected == read(chunks).seen()


def _check_break(name: str, cut: int) -> None:
    format, body = _STREAMS[name]
    prefix = Prefix(body[:cut], format)
    cause = ConnectionResetError("reset")
    broken = read([body[:cut]], breaks_with=cause, format=format)
    cut_off = read([body[:cut]], format=format)
    assert broken.closed
    lacks_arguments = _lacks_arguments(prefix)
    if not (lacks_arguments and _is_over(prefix)):
        # A clean end may be the answer's: it hands out the calls that wait, and a break does not.
        assert cut_off.messages == broken.messages
        assert cut_off.events == broken.events
    if prefix.finished and not lacks_arguments:
        assert broken.error is None
        assert "broken_after_finish" in broken.departures
        return
    assert isinstance(broken.error, StreamInterrupted)
    assert broken.error.__cause__ is cause
    assert broken.error.retryable
    assert broken.error.partial is broken.message
    assert (len(broken.events), cut) == (broken.error.events_seen, broken.error.bytes_seen)
    if not prefix.taken:
        assert prefix.tail[: Limits().tail] == broken.error.tail


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("name", sampled(sorted(_STREAMS), one_in=3))
def test_a_transport_that_breaks_keeps_what_a_cut_keeps(name: str) -> None:
    """The error is another one and has its cause; the partial answer is that of a clean cut."""
    for cut in _sample(name, 8):
        _check_break(name, cut)


@pytest.mark.slow
@pytest.mark.parametrize("name", _STREAMS)
def test_a_transport_that_breaks_at_any_byte_keeps_what_a_cut_keeps(name: str) -> None:
    length = len(_STREAMS[name][1])
    for cut in range(zlib.crc32(name.encode()) % 3, length + 1, 3 * in_steps(11, length // 3)):
        _check_break(name, cut)


def test_a_tool_call_that_was_cut_is_kept_but_not_complete() -> None:
    """The arguments so far can be read; the call is not handed out and says that it is not whole."""
    body = _chat_with_call()
    cut = body.index(b"force")
    stream = Stream([body[:cut]])
    calls: list[ToolCall] = []
    with pytest.raises(StreamTruncated) as caught:
        calls.extend(stream.tool_calls)
    (call,) = caught.value.partial.tool_calls

    assert [] == calls
    assert (call.id, call.name, call.complete) == ("call_a", "rm", False)
    assert _ARGUMENTS.startswith(call.arguments_text)
    assert call.arguments_text


@pytest.mark.parametrize("finish", ["length", "content_filter", "error"])
def test_a_call_that_is_open_when_the_answer_is_cut_by_its_provider_is_never_handed_out(finish: str) -> None:
    """At `length`, `content_filter` or an error the last call may lack its rest though it looks whole."""
    for stop in range(len(_ARGUMENTS) + 1):
        call = wire.chat_call(0, _ARGUMENTS[:stop], id="call_a", name="rm")
        reading = read([wire.chat(call) + wire.chat({}, finish) + wire.DONE])
        assert reading.message is not None
        (kept,) = reading.message.tool_calls

        assert [] == reading.calls()
        assert (_ARGUMENTS[:stop], False, finish) == (
            kept.arguments_text,
            kept.complete,
            reading.message.finish_reason,
        )


@pytest.mark.slow
@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_a_call_whose_arguments_are_no_json_at_its_end_is_never_handed_out(finish: str) -> None:
    """A server that says that the call is over when half of it is missing is not believed."""
    for stop in range(1, len(_ARGUMENTS)):
        call = wire.chat_call(0, _ARGUMENTS[:stop], id="call_a", name="rm")
        block = wire.claude_delta(0, "input_json_delta", partial_json=_ARGUMENTS[:stop])
        for body in (
            wire.chat(call) + wire.chat({}, finish) + wire.DONE,
            wire.claude_start()
            + wire.claude_open(0, type="tool_use", id="toolu_1", name="rm", input={})
            + block
            + wire.claude_close(0)
            + wire.claude_end("max_tokens"),
        ):
            reading = read([body])
            assert reading.message is not None
            (kept,) = reading.message.tool_calls

            assert [] == reading.calls()
            assert (_ARGUMENTS[:stop], False) == (kept.arguments_text, kept.complete)


def test_calls_handed_out_before_the_cut_are_named_on_the_error() -> None:
    """A later failure does not recall a call; the error lists the ids of those that may have been run."""
    body = _claude_with_calls()
    cut = body.index(b'"id": "toolu_3"')
    reading = read([body[:cut]])

    assert ["toolu_2"] == [call.id for call in reading.calls()]
    assert reading.error is not None
    assert ("toolu_2",) == reading.error.tool_calls_delivered


def test_the_tail_on_the_error_is_bounded() -> None:
    """An unfinished event of any size leaves at most `Limits.tail` bytes on the error."""
    reading = read([wire.chat({"content": "Hel"}), b'data: {"x": "' + b"a" * 10_000], limits=Limits(tail=100))

    assert reading.error is not None
    assert 100 == len(reading.error.tail)
    assert reading.error.tail.startswith(b'data: {"x": "aaa')


def test_a_choice_that_was_announced_and_never_finished_is_reported_as_truncated() -> None:
    """Nothing came of it but that it exists; that is what the error is about."""
    body = [wire.chat({"content": "a"}), wire.chat({"role": "assistant"}, index=1), wire.chat({}, "stop")]
    got = read(body)

    assert isinstance(got.error, StreamTruncated)
    assert [(0, "complete"), (1, "truncated")] == [(told.choice, told.ending) for told in got.messages]
