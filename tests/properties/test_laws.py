"""Laws that hold for every stream: drawn, not chosen."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support import wire
from tests.support.chunkings import chunked
from tests.support.reading import Reading, aread, read
from tests.support.streams import Answer, answers, any_bytes, bodies, text_answers
from tests.support.wire import sse
from tokenstream import Decoder, Message, Stream
from tokenstream.errors import StreamError, StreamTruncated

_FORMATS = [None, "openai-chat", "anthropic", "text"]
_asynchronous = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _seen(reading: Reading) -> dict[str, Any]:
    """Return all that must not depend on chunks: how much had been read beyond a fault does."""
    seen = reading.seen()
    if seen["error"] is not None and not isinstance(reading.error, StreamTruncated):
        for name in ("bytes_seen", "tail", "body"):
            seen["error"].pop(name, None)
    return seen


@pytest.mark.slow
@given(cut=chunked(bodies()))
def test_the_borders_of_chunks_mean_nothing(cut: tuple[bytes, list[bytes]]) -> None:
    body, chunks = cut

    assert _seen(read([body])) == _seen(read(chunks))


@given(cut=chunked(any_bytes), format=st.sampled_from(_FORMATS))
def test_the_borders_of_chunks_mean_nothing_in_broken_streams_either(
    cut: tuple[bytes, list[bytes]], format: str | None
) -> None:
    body, chunks = cut
    if format == "text":
        # After a comment it is an event stream; a body that is nothing but text has no events to compare.
        body, chunks = b":\n" + body, [b":\n", *chunks]

    assert _seen(read([body], format=format)) == _seen(read(chunks, format=format))


@pytest.mark.anyio
@_asynchronous
@given(cut=chunked(bodies() | any_bytes))
async def test_sync_and_async_see_the_same(cut: tuple[bytes, list[bytes]]) -> None:
    _, chunks = cut

    assert read(chunks).seen() == (await aread(chunks)).seen()


@given(cut=chunked(bodies() | any_bytes))
def test_the_decoder_gives_what_the_stream_gives(cut: tuple[bytes, list[bytes]]) -> None:
    _, chunks = cut
    decoder = Decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    events += decoder.end()
    reading = read(chunks)

    assert reading.events == events
    assert reading.message == decoder.message
    assert str(reading.error) == str(decoder.error)


@given(answer=answers, line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_the_message_says_what_the_server_said(answer: Answer, line_end: bytes) -> None:
    reading = read([answer.body(line_end=line_end)])
    message = reading.message
    assert message is not None

    assert reading.error is None
    assert (answer.format, "complete") == (reading.format, message.ending)
    assert (answer.text, answer.reasoning) == (message.text, message.reasoning)
    assert [(call.id, call.name, call.arguments) for call in answer.calls] == [
        (call.id, call.name, call.arguments_text) for call in message.tool_calls
    ]
    assert [*message.tool_calls] == reading.calls()
    assert ("tool_calls" if answer.calls else "stop") == message.finish_reason


@given(answer=text_answers())
def test_bare_text_is_taken_as_it_is(answer: Answer) -> None:
    """The format `text` joins what stands in the `data:` lines, whatever it looks like, up to `[DONE]`."""
    reading = read([answer.body()], format="text")
    message = reading.message
    assert message is not None

    assert reading.error is None
    assert answer.text == message.text == reading.text()


def _grew(before: Message, after: Message) -> bool:
    """Tell whether a snapshot holds all that an earlier one held."""
    if len(after.parts) < len(before.parts):
        return False
    for earlier, later in zip(before.parts, after.parts, strict=False):
        if earlier.kind != later.kind or (earlier.complete and earlier != later):
            return False
        for name in ("text", "arguments_text", "transcript", "data"):
            old, new = getattr(earlier, name, None), getattr(later, name, None)
            if isinstance(old, str | bytes) and not (isinstance(new, type(old)) and new[: len(old)] == old):
                return False
    return after.text.startswith(before.text) or len({part.kind for part in before.parts}) > 1


@given(body=bodies())
def test_snapshots_only_grow_and_never_change(body: bytes) -> None:
    kept: list[tuple[Message, str]] = []
    stream = Stream([body])
    try:
        for _ in stream:
            message = stream.message
            kept.append((message, message.model_dump_json()))
    except StreamError as error:
        partial = error.partial
        kept.append((partial, partial.model_dump_json()))

    assert all(_grew(earlier, later) for (earlier, _), (later, _) in pairwise(kept))
    assert all(dumped == message.model_dump_json() for message, dumped in kept)


@given(body=bodies())
def test_messages_go_through_json_and_back(body: bytes) -> None:
    for message in read([body]).messages:
        assert message == Message.model_validate_json(message.model_dump_json())


@pytest.mark.parametrize(
    "payload",
    [
        wire.chat_payload({"content": "x\ud800"}),
        wire.chat_payload({"reasoning_content": "x\ud800"}),
        wire.chat_payload(wire.chat_call(0, '{"a": "\ud800"}', id="call_a", name="rm")),
        wire.chat_payload(wire.chat_call(0, "{}", id="call_a", name="rm\ud800")),
        wire.chat_payload(wire.chat_call(0, "{}", id="call_\ud800", name="rm")),
        wire.chat_payload({"content": "x"}, novelty={"of": ["\ud800"]}),
        wire.chat_payload({"content": "x"}) | {"id": "\ud800"},
    ],
    ids=[
        "text",
        "reasoning",
        "arguments",
        "a tool's name",
        "a call's id",
        "an unknown field",
        "the answer's id",
    ],
)
def test_a_message_goes_through_json_whatever_halves_of_pairs_were_sent(payload: dict[str, Any]) -> None:
    """Half a surrogate pair can stand in JSON as an escape, but not in UTF-8: no message holds one."""
    message = read([wire.sse(payload) + wire.chat({}, "stop") + wire.DONE]).message
    assert message is not None

    assert message == Message.model_validate_json(message.model_dump_json())


@given(cut=chunked(any_bytes), format=st.sampled_from(_FORMATS))
@example(cut=(b"", [b"data: " + b"[" * 100_000 + b"\n\n"]), format="openai-chat")
@example(cut=(b"", [b'data: {"id": ' + b"9" * 5_000 + b"}\n\n"]), format=None)
@example(cut=(b"", [sse("42")]), format="openai-chat")
@example(cut=(b"", [b"data: \xff\n\n"]), format="anthropic")
@example(cut=(b"", [wire.sse({"choices": None})]), format="openai-chat")
def test_no_input_raises_anything_but_a_stream_error(
    cut: tuple[bytes, list[bytes]], format: str | None
) -> None:
    _, chunks = cut
    reading = read(chunks, format=format)
    assert reading.message is not None
    for message in reading.messages:
        assert message.ending in {"complete", "truncated", "failed"}
        assert message.text == "".join(part.text for part in message.parts if part.kind == "text")
        for call in message.tool_calls:
            assert not call.complete or call in reading.calls(message.choice)
    assert reading.closed
    assert (reading.error is None) == reading.message.complete or len(reading.messages) > 1
    if reading.error is not None:
        assert reading.error.partial == reading.message
