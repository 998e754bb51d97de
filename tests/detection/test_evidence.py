"""Only proof chooses a format: what says nothing waits, and changes nothing."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.detection.support import CHAT, greets
from tests.support import chunkings, registry, wire
from tests.support.reading import Reading, read
from tests.support.recordings import Recorded, frames_of, ours, shared
from tests.support.sampling import in_turn, part_of
from tests.support.wire import DONE, sse
from tokenstream import Decoder, Limits, Stream
from tokenstream.errors import NotAStream, ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import TextDelta, Unknown
from tokenstream.framing import EventStreamMessage, ServerSentEvent

BARE = [
    *("null", "true", "7", "-1.5e3", '""', '"ready"', "[]", "[0, null]", "ping", "PONG", "Connected"),
    *("keep-alive", "heartbeat 3", "ping - 2026-11-02T10:20:30.123Z", "2026-11-02 10:20:30", "10:20"),
    *("Mon, 02 Nov 2026 10:20:30 GMT", ": waiting for a worker", "[OPEN]", "(waiting)", "QUEUED"),
    *("IN_QUEUE", "LOADING…", "WARMING...", "in_queue", "None", "Loading...", '"[WAIT]"', '": still here"'),
    *("2026-11-02 10:20:30 +0000 UTC",),
    *("Mon Nov 02 2026 10:20:30 GMT+0100 (Central European Standard Time)", "Mon Nov  2 10:20:30 UTC 2026"),
    *("11/2/2026, 10:20:30 AM", "2-Nov-2026 10:20", "20261102T102030Z", "[2026-11-02 10:20:30]"),
    *("event: opened", "id: 7", "data:"),
]
"""Data that are known not to be content."""
OBJECTS = [
    sse("{}"),
    sse("{}", event="message"),
    sse('{"place": 4}', event="queue"),
    sse('{"type": "hello"}'),
    sse('{"type": "heartbeat", "n": 1}'),
    sse('{"request": "r1", "worker": null}'),
    sse('{"response": ""}'),
    sse('{"code": 0, "message": "success"}'),
    sse('{"code": "timeout", "message": "no page"}', event="worker.failed"),
    sse("null", event="opened"),
    sse("words of any kind", event="opened"),
]
"""Frames without content that are not bare."""
NOTHING = [*map(sse, BARE), *OBJECTS, b": hi\n\n", b"retry: 30\n\n", sse("", event="ping")]


def _seen(reading: Reading) -> tuple[object, ...]:
    message = reading.message
    calls = [(call.name, call.arguments_text) for call in message.tool_calls]
    error = reading.error
    return type(error), message.ending, message.text, calls, reading.format


def _begins_with(characters: bytes, recorded: Recorded) -> bool:
    return recorded.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in characters


def _streams(recordings: list[Recorded]) -> list[Recorded]:
    """Return the recordings of server-sent events that are not too large, and whose payloads are objects."""
    found = []
    for recorded in recordings:
        if (
            not _begins_with(b"{[\0<", recorded)
            and recorded.format not in ("text", "custom")
            and len(recorded.body) < 60_000
        ):
            found.append(recorded)
    return found


def _check_law(recorded: Recorded, frames: list[bytes], chance: random.Random) -> None:
    """A frame that says nothing, before or within a stream, changes nothing, at any chunking."""
    base = read([recorded.body])
    places = [b"", *chunkings.per_event(recorded.body)]
    if not recorded.body.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")):
        # A line after the last event would belong to that event.
        places.pop()
    for frame in frames:
        for place in (0, chance.randrange(len(places))):
            before = b"".join(places[: place + 1])
            body = before + frame + recorded.body[len(before) :]
            for format in (None, base.format):
                for chunks in ([body], chunkings.seeded(body, frame, cuts=20)):
                    got = read(chunks, format=format)

                    assert _seen(base) == _seen(got), (recorded.name, frame, place, format)


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("recorded", _streams(ours()), ids=lambda recorded: recorded.name)
def test_a_frame_that_says_nothing_changes_nothing(recorded: Recorded) -> None:
    """Gateways greet and keep connections alive in many ways; detected or named, the answer is the same."""
    chance = random.Random(recorded.name)

    _check_law(recorded, chance.sample(NOTHING, 3), chance)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_frame_that_says_nothing_changes_a_real_stream() -> None:
    chance = random.Random(1)
    for recorded in [*_streams(ours()), *part_of(_streams(shared()), one_in=3)]:
        _check_law(recorded, in_turn(NOTHING, recorded.name, one_in=len(NOTHING)), chance)


@pytest.mark.parametrize(
    "recorded", [each for each in ours() if _begins_with(b"{[", each)], ids=lambda recorded: recorded.name
)
def test_lines_that_say_nothing_change_nothing(recorded: Recorded) -> None:
    frames: list[Any] = frames_of(recorded.body)
    lines = b"".join(frame.replace(b"\n", b" ") + b"\n" for frame in frames)

    assert _seen(read([lines])) == _seen(read([b'{"state": "loading"}\n{}\n', lines]))


@pytest.mark.parametrize("first", BARE)
def test_bare_data_before_a_stream_are_skipped_and_counted(first: str) -> None:
    reading = read([sse(first) * 2 + CHAT])

    assert greets(reading, "openai-chat")
    assert {"bare_frame": 2} == {name: count for name, count in reading.departures.items() if "frame" in name}


@pytest.mark.parametrize("format", [None, "openai-chat", "anthropic"])
@pytest.mark.parametrize("blank", [b"", b"\n"], ids=["events", "lines"])
def test_events_in_the_data_of_events_are_an_error_that_says_so(format: Any, blank: bytes) -> None:
    """A server that hands whole events to a library sends `data: data: {…}`."""
    lines = [line for event in chunkings.per_event(CHAT) for line in event.strip().split(b"\n")]
    body = b"".join(b"data: " + line + b"\n" + (blank or b"\n") for line in lines)
    for chunks in chunkings.several(body, "wrapped").values():
        reading = read(chunks, format=format)

        assert isinstance(reading.error, ProtocolError)
        assert "begin with `data:` again" in str(reading.error)


# -- text --------------------------------------------------------------------


@pytest.mark.parametrize(
    "first", ["Hello", "I", "AI", "Once upon", "a", '"', "[1", "#", "**", "data: Hi", '"two words"']
)
def test_bare_text_goes_out_at_once(first: str) -> None:
    """Only what is known not to be content waits."""
    decoder = Decoder()

    assert [first] == [event.text for event in decoder.feed(sse(first)) if isinstance(event, TextDelta)]
    assert "text" == decoder.format


@pytest.mark.parametrize("data", BARE)
def test_bare_data_alone_are_the_text(data: str) -> None:
    """If nothing else comes, the model has said it; the sentinel tells at once, without the input's end."""
    decoder = Decoder()
    decoder.feed(sse(data) + DONE)

    assert (data, "end") == (decoder.message.text, decoder.stop)
    assert data == read([sse(data)]).text()


def test_objects_before_a_text_are_no_piece_of_it() -> None:
    reading = read([sse('{"state": "loading"}') + sse("Hel") + sse('{"a": 1}') + DONE])

    assert ("text", 'Hel{"a": 1}') == (reading.format, reading.text())
    assert [{"state": "loading"}] == [event.data for event in reading.events if isinstance(event, Unknown)]


@pytest.mark.parametrize("after", [CHAT, wire.claude_start()], ids=["openai-chat", "anthropic"])
def test_a_proof_after_text_is_an_error(after: bytes) -> None:
    """JSON of a known format is never handed out as text."""
    reading = read([sse("Welcome to the gateway") + after])

    assert type(reading.error) is ProtocolError
    assert not reading.error.retryable
    assert "Welcome to the gateway" == reading.text()
    assert greets(read([sse("Hi") + DONE], format="text"), "text")


def test_the_wait_is_bounded() -> None:
    """64 frames, or as many bytes as an event may have: then it is text, or no stream."""
    text, objects = Decoder(), Decoder()
    small = Decoder(limits=Limits(event=50))
    for _ in range(65):
        text.feed(sse("1"))
        objects.feed(sse('{"state": "loading"}'))
    for _ in range(3):
        small.feed(sse('{"state": "loading", "n": 1}'))

    assert "1" * 65 == text.message.text
    assert isinstance(objects.error, NotAStream)
    assert isinstance(small.error, NotAStream)
    assert greets(read([sse('{"state": "loading"}') * 64 + CHAT]), "openai-chat")


# -- who claims what ---------------------------------------------------------


_LIKE_REALTIME = "transcription/openai_session"
"""A session that only transcribes, whose later events a conversation has, too."""


def _claims(recordings: list[Recorded]) -> set[tuple[str, str, tuple[str, ...]]]:
    found = set()
    for recorded in recordings:
        for frame in frames_of(recorded.body):
            event, payload = "", frame
            if isinstance(frame, ServerSentEvent | EventStreamMessage):
                event, payload = frame.event, frame.payload
            try:
                value = json.loads(payload) if isinstance(payload, bytes) else payload
            except ValueError:
                continue
            event = "" if event == "message" else event
            if isinstance(value, dict):
                names = tuple(
                    name for name in registry.names() if registry.load(name).recognises(value, event)
                )
                found.add((recorded.name, recorded.format, names))
    return {(name, format, names) for name, format, names in found if set(names) - {format}}


def test_no_frame_is_claimed_by_another_format() -> None:
    assert {(_LIKE_REALTIME, "transcription", ("openai-realtime",))} == _claims(ours())


@pytest.mark.few_rows(4)
@pytest.mark.parametrize(
    "recorded",
    [each for each in _streams(ours()) if each.name != _LIKE_REALTIME],
    ids=lambda recorded: recorded.name,
)
def test_frames_in_any_order_are_of_their_own_format_or_of_none(recorded: Recorded) -> None:
    events, chance = chunkings.per_event(recorded.body), random.Random(recorded.name)
    for _ in range(3):
        chance.shuffle(events)

        assert read([b"".join(events)]).format in (recorded.format, None)


_NAMES = ("response.parrot", "response.message.part", "thread.parrot", "agent.session.parrot")
_MORE = ("session.parrot", "user.parrot", "message_parrot", "content-parrot", "data-parrot", "TEXT_PARROT")
_PLAIN = ("CUSTOM", "RAW", "start", "finish", "abort", "delta", "status", "keepalive", "transcription.parrot")
_WORDS = (*_NAMES, *_MORE, *_PLAIN)
_FIELDS: list[dict[str, Any]] = [
    {},
    {"delta": "Hi"},
    {"text": "Hi", "id": "e1"},
    {"data": {"text": "Hi"}},
    {"content_index": 0, "text": "Hi"},
    {"messages": [{"role": "assistant", "content": [{"text": "Hi"}]}]},
]


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("word", _WORDS)
def test_an_invented_vocabulary_is_never_complete(word: str) -> None:
    for fields in _FIELDS:
        for named, typed, count in ((1, 0, 1), (0, 1, 3), (1, 1, 2)):
            payload = {**fields, **({"type": word} if typed else {})}
            body = sse(json.dumps(payload), event=word if named else "") * count
            for end in (b"", DONE):
                error = read([body + end]).error

                assert isinstance(error, NotAStream | StreamTruncated), (payload, error)


_BORROWED = (
    {"type": "message_start", "text": "Hi"},
    {"type": "content_block_delta", "text": "Hi"},
    {"type": "message-end", "text": "Hi"},
    {"type": "RUN_FINISHED", "text": "Hi"},
    {"event_type": "interaction.completed", "text": "Hi"},
)
"""Events of a vocabulary that has the words of a format, but not its fields."""


@pytest.mark.parametrize("payload", _BORROWED, ids=lambda payload: payload.get("type", "interaction"))
def test_a_borrowed_word_is_no_proof(payload: dict[str, Any]) -> None:
    """The text is in a field that the format of the word lacks: an empty answer would be a lie."""
    for count in (1, 3):
        reading = read([sse(json.dumps(payload)) * count + DONE])

        assert isinstance(reading.error, NotAStream | StreamTruncated), reading.error
    assert "openai-chat" == read([sse(json.dumps(payload)) + CHAT]).format


@pytest.mark.parametrize("end", [b"", DONE], ids=["cut", "done"])
@pytest.mark.parametrize(
    "format, payload",
    [
        ("ui-message", {"type": "finish"}),
        ("ui-message", {"type": "abort", "reason": "user"}),
        ("ag-ui", {"type": "RUN_FINISHED"}),
        ("openai-responses", {"type": "response.completed"}),
        ("openai-responses", {"type": "response.incomplete"}),
    ],
)
def test_an_end_that_says_nothing_else_is_a_cut_detected_and_named(
    format: Any, payload: dict[str, Any], end: bytes
) -> None:
    """The servers write a start, or a field of their own, with each end: what the end belongs to is lost."""
    for count in (1, 2):
        body = [sse(json.dumps(payload)) * count + end]
        readings = [read(body), read(body, format=format)]

        assert [StreamTruncated] * 2 == [type(each.error) for each in readings]
        assert ["truncated"] * 2 == [each.message.ending for each in readings]


def test_a_borrowed_word_makes_no_answer_in_a_named_format() -> None:
    """The beginning of a message is no content: nothing but what is unknown has come after it."""
    body = b"".join(sse(json.dumps(payload)) for payload in _BORROWED[:2])

    assert type(read([body + DONE], format="anthropic").error) is ProtocolError


def test_the_error_of_an_event_before_any_answer_counts_if_none_comes() -> None:
    event = sse('{"type": "worker.failed", "error": {"message": "no worker", "type": "rate_limit_error"}}')
    for end in (b"", DONE):
        error = read([event + end]).error

        assert type(error) is ProviderError
        assert ("rate_limited", True) == (error.kind, error.retryable)
    assert greets(read([event + CHAT]), "openai-chat")


@pytest.mark.parametrize("end", [b"", DONE], ids=["cut", "done"])
@pytest.mark.parametrize("format", [None, "openai-responses"])
def test_another_vocabulary_of_responses_is_refused(format: Any, end: bytes) -> None:
    """GigaChat and Cortex have events of the names `response.…`: an answer of unknown events is no answer."""
    body = sse('{"messages": [{"content": [{"text": "Hi"}]}]}', event="response.message.delta")
    body += sse('{"finish_reason": "stop"}', event="response.message.done")
    error = read([body + end], format=format).error

    assert type(error) is (NotAStream if format is None else ProtocolError)
    assert not error.retryable


@pytest.mark.parametrize(
    "format, payload",
    [
        ("ag-ui", {"type": "CUSTOM", "name": "n", "value": 1}),
        ("openai-chat", {"state": "loading"}),
        ("ui-message", {"type": "parrot"}),
        ("anthropic", {"type": "parrot"}),
    ],
)
def test_an_answer_of_unknown_payloads_is_never_complete(format: Any, payload: dict[str, Any]) -> None:
    error = read([sse(json.dumps(payload)) * 2 + DONE], format=format).error

    assert type(error) is ProtocolError
    assert not error.retryable


@pytest.mark.parametrize("field", ["session.started", "user.message", "agent.message"])
def test_a_type_alone_makes_no_session(field: str) -> None:
    """Events of Anthropic's sessions have a time, too; other servers greet with such types."""
    reading = read([sse(json.dumps({"type": field, "id": "e1"})) + CHAT])

    assert reading.format in ("openai-chat", None)
    assert "anthropic-agents" != reading.format


# -- what is known, and not read ---------------------------------------------

_HELLO_OF_MODEL: list[dict[str, Any]] = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hi"}}},
    {"contentBlockStop": {"contentBlockIndex": 0}},
    {"messageStop": {"stopReason": "tool_use"}},
]
_OTHERS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "agent": ("InvokeAgent", [{"chunk": {"bytes": b"Hello"}}]),
    "flow": ("InvokeFlow", [{"flowOutputEvent": {"content": {"document": "Hi"}}}]),
    "harness: hook": ("InvokeHarness", [*_HELLO_OF_MODEL, {"hookEvent": {"name": "n"}}]),
    "harness: results": ("InvokeHarness", [*_HELLO_OF_MODEL, {"messageStart": {"role": "user"}}]),
    "harness: limit": (
        "InvokeHarness",
        [*_HELLO_OF_MODEL[:3], {"messageStop": {"stopReason": "max_iterations_exceeded"}}],
    ),
    "snowflake": (
        "Snowflake",
        [{"choices": [{"delta": {"type": "tool_use", "tool_use_id": "t", "name": "f"}}]}],
    ),
}


@pytest.mark.parametrize("kind", _OTHERS)
def test_a_stream_that_is_known_but_not_read_is_named(kind: str) -> None:
    name, payloads = _OTHERS[kind]
    stream = Stream(payloads)
    with pytest.raises(NotAStream, match=name) as caught:
        stream.final()

    assert not caught.value.retryable
    assert "complete" != stream.message.ending


def test_responses_with_the_other_apis_object_are_recognised_by_their_numbers() -> None:
    response = {"id": "r", "object": "realtime.response", "status": "completed", "output": []}
    text = {"item_id": "i", "output_index": 0, "content_index": 0, "delta": "Hi"}
    body = sse(json.dumps({"type": "response.created", "sequence_number": 1, "response": response}))
    body += sse(json.dumps({"type": "response.output_text.delta", "sequence_number": 2, **text}))
    body += sse(json.dumps({"type": "response.completed", "sequence_number": 3, "response": response}))

    assert greets(read([body]), "openai-responses")
