"""A stream as the bytes of a protocol, or as its payloads, in the colour that it has."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from tests.support.reading import Chunks
from tokenstream import AsyncStream, Steps, Stream, relay, testing
from tokenstream.errors import (
    MisuseError,
    NotExpressible,
    ProviderError,
    StreamError,
    StreamInterrupted,
)
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    PartDone,
    PartStart,
    Restarted,
    StepDone,
    StepStart,
    Stopped,
    TextDelta,
    ToolCallStart,
    UsageUpdate,
)
from tokenstream.message import Citation, Message, TextPart, Usage
from tokenstream.relay._encode import AsyncEncoded, Encoded
from tokenstream.relay._encoders import names
from tokenstream.relay._protocols import protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ANSWER = testing.script(id="a1", model="m").text("Hel", "lo").tool_call("now", {"a": 1}).finish("tool_calls")
_HTTP: list[Any] = [name for name in (*names(), "ndjson", "mistral") if not protocol(name).messages]


async def _all(pieces: AsyncIterator[Any]) -> list[Any]:
    return [piece async for piece in pieces]


@pytest.mark.parametrize("name", [*names(), "ndjson"])
def test_a_stream_of_either_colour_gives_the_same_bytes(name: Any) -> None:
    """Each piece is what one event becomes; the joined bytes are an answer that our own reader takes."""
    source = ANSWER.chunks("openai-chat")
    whole = list(relay.encode(Stream(source), name, raw=True))

    assert whole == anyio.run(lambda: _all(relay.encode(AsyncStream(source), name, raw=True)))
    assert all(whole)
    # A WebSocket's messages are told from the pieces of a body by the first of them.
    message = Stream(whole if protocol(name).messages else [b"".join(whole)], format=_read_as(name)).final()
    assert "Hello" == message.text
    assert "complete" == message.ending
    calls = [call.name for call in message.tool_calls]
    assert calls == ([] if name in {"openai-completions", "tgi", "text"} else ["now"])


def _read_as(name: str) -> Any:
    return "tokenstream" if name == "ndjson" else name


@pytest.mark.parametrize("name", [name for name in (*names(), "ndjson") if name != "text"])
def test_payloads_are_the_same_without_borders(name: Any) -> None:
    """Dicts that JSON holds, of which our own reader makes the same answer; sentinels are left out."""
    found = list(relay.payloads(Stream(ANSWER.chunks("openai-chat")), name))

    assert found
    assert all(isinstance(each, dict) for each in found)
    assert found == json.loads(json.dumps(found))
    assert found[0] is not found[-1]
    if name not in {"openai-assistants", "bedrock-invoke"}:
        message = Stream(found, format=_read_as(name)).final()
        assert ("Hello", "complete") == (message.text, message.ending)


def test_ids_count_the_events() -> None:
    """Ours have a position each; in other event streams the last SSE event of each has it."""
    events: list[Event] = [TextDelta("a"), TextDelta("b"), Finish("stop")]
    ours = b"".join(relay.encode(iter(events), ids=True)).decode()
    theirs = b"".join(relay.encode(iter(events), "ui-message", ids=True)).decode()

    assert ["1", "2", "3", "4"] == [line[4:] for line in ours.splitlines() if line.startswith("id: ")]
    found = theirs.split("\n\n")
    assert 'id: 1\ndata: {"type":"text-delta","id":"txt-0","delta":"a"}' in found
    assert 'id: 2\ndata: {"type":"text-delta","id":"txt-0","delta":"b"}' in found
    assert [1, 2, 3, 4] == [each["at"] for each in relay.payloads(iter(events), ids=True)]
    with pytest.raises(MisuseError, match="no ids"):
        relay.encode(iter(events), "ollama", ids=True)


def test_ids_of_the_provider_stay_in() -> None:
    """The answer's id is another for each answer, unless the provider's is asked for."""
    bodies = [b"".join(relay.encode(ANSWER.stream("anthropic"), "ui-message")) for _ in range(2)]
    ids = {json.loads(body.split(b"\n")[0][6:])["messageId"] for body in bodies}

    assert 2 == len(ids)
    assert "a1" not in ids
    assert b'"messageId":"a1"' in b"".join(relay.encode(ANSWER.stream("anthropic"), "ui-message", raw=True))
    again: list[Event] = [Restarted(Message(), StreamInterrupted("cut")), TextDelta("a"), Finish("stop")]
    assert 2 == len({next(iter(relay.payloads(again, "ui-message")))["messageId"] for _ in range(2)})
    for name in _HTTP:
        body = b"".join(
            relay.encode(testing.script(id="secret7").text("a").finish().stream("anthropic"), name)
        )
        assert b"secret7" not in body, name


@pytest.mark.parametrize("name", _HTTP)
def test_an_error_ends_the_bytes(name: Any) -> None:
    """It is the protocol's own error; our reader raises it, with what had come."""
    source = ANSWER.chunks("openai-chat")[:4]
    if not protocol(name).has_errors:
        with pytest.raises(StreamError):
            list(relay.encode(Stream(source), name))
        return
    chunks = list(relay.encode(Stream(source), name))
    with pytest.raises(StreamError) as told:
        Stream([b"".join(chunks)], format=_read_as(name)).final()
    assert told.value.partial.text == "Hello"


def test_the_words_of_an_error_stay_in() -> None:
    """What a provider or a transport says may be private: only its kind is told."""

    def events() -> Iterator[Event]:
        yield TextDelta("a")
        raise ProviderError("the provider reports an error: key sk-1 is no good", kind="authentication")

    run = Steps()
    with run, pytest.raises(StreamError), run.step("ask"):
        next(each for each in events() if isinstance(each, StepDone))
    told = list(relay.payloads(list(run.events())))
    assert ["ProviderError"] == [each["error"] for each in told if each["type"] == "step_done"]
    assert "sk-1" in str(list(relay.payloads(list(run.events()), raw=True)))

    for name in _HTTP:
        assert b"sk-1" not in b"".join(relay.encode(events(), name)), name
        assert b"sk-1" in b"".join(relay.encode(events(), name, raw=True)), name


def test_a_stopped_answer_is_told_as_far_as_a_protocol_can() -> None:
    """Ours says so; UI streams were cancelled; where there is no word, the answer ends there."""

    def stopped() -> Stream:
        stream = testing.script().text("Hel", "lo", " there").finish().stream("openai-chat")
        stream.guard(lambda message: "off topic" if message.text == "Hello" else None, first_tokens=2)
        return stream

    ours = b"".join(relay.encode(stopped()))
    assert ours.endswith(b'{"type":"end","ending":"stopped"}\n\n')
    assert "stopped" == Stream([ours]).final().ending
    assert b'"type":"abort"' in b"".join(relay.encode(stopped(), "ui-message"))
    assert "cancelled" == Stream([b"".join(relay.encode(stopped(), "ag-ui"))]).final().finish_reason
    assert "stop" == Stream([b"".join(relay.encode(stopped(), "openai-chat"))]).final().finish_reason


def test_what_has_no_place_is_left_out_or_refused() -> None:
    """Everything that has no place is dropped by default; where that is not wanted, the iterator says so."""
    events: list[Event] = [TextDelta("a"), CitationAdded(Citation(text="b"), part=1), Finish("stop")]

    assert b"data: a\n\ndata: [DONE]\n\n" == b"".join(relay.encode(events, "text"))
    with pytest.raises(NotExpressible):
        list(relay.encode(events, "text", drop=()))
    with pytest.raises(MisuseError, match="cannot be written"):
        relay.encode(events, cast("Any", "nothing"))
    with pytest.raises(MisuseError, match="not JSON objects"):
        relay.payloads(events, "text")
    nothing: Any = 7
    with pytest.raises(MisuseError, match="is not iterable"):
        relay.encode(nothing)


# -- closing -------------------------------------------------------------------------


def test_closing_the_bytes_closes_the_stream() -> None:
    """Who stops reading, fails or is cancelled leaves nothing open."""
    source = Chunks(ANSWER.chunks("openai-chat"))
    pieces = relay.encode(Stream(source))
    next(pieces)
    assert isinstance(pieces, Encoded)
    pieces.close()
    assert source.closed
    assert [] == list(pieces)

    async def cancelled() -> None:
        source = Chunks(ANSWER.chunks("openai-chat"))

        async def forever() -> AsyncIterator[bytes]:
            async for chunk in source:
                yield chunk
                await anyio.sleep_forever()

        async with AsyncStream(forever()) as stream:
            pieces = relay.encode(stream)
            with anyio.move_on_after(0.05):
                await _all(pieces)
            assert stream.message.ending in {"stopped", "truncated"}
            assert isinstance(pieces, AsyncEncoded)
            assert [] == await _all(pieces)

    anyio.run(cancelled)


def test_a_reader_of_a_broadcast_is_encoded() -> None:
    """One upstream, two protocols at once."""
    one, two = Stream(ANSWER.chunks("openai-chat")).tee(2)
    ours, text = relay.encode(one), relay.encode(two, "text")
    found = [next(ours), next(ours), next(ours)]
    words = [next(text)]

    assert b"data: Hel\n\ndata: lo\n\ndata: [DONE]\n\n" == b"".join([*words, *text])
    assert "complete" == Stream([*found, *ours]).final().ending


# -- shaping -------------------------------------------------------------------------


def _text_of(chunks: Any) -> list[str]:
    return [event.text for event in Stream([b"".join(chunks)]) if isinstance(event, TextDelta)]


def test_text_is_shaped_on_its_way() -> None:
    """A number that comes in pieces is redacted, and words come whole; nobody is told of what was there."""
    said = testing.script().text("card 1234", "5678123", "45678 is", " his").text(" own").finish("stop")
    for name in ("tokenstream", "ndjson", "ui-message", "openai-responses", "anthropic"):
        body = b"".join(
            relay.encode(said.stream("openai-chat"), name, shape=lambda text: text.redact(r"\d{16}").words())
        )
        assert "card [redacted] is his own" == Stream([body], format=_read_as(name)).final().text
        assert b"1234" not in body
    pieces = _text_of(relay.encode(said.stream("openai-chat"), shape=lambda text: text.words()))
    assert ["card", " 1234567812345678", " is", " his", " own"] == pieces


def test_what_is_said_of_a_part_stays_behind_its_text() -> None:
    """Ends and citations wait for the text before them; other parts do not."""
    events: list[Event] = [
        PartStart(TextPart(text="Hel")),
        TextDelta("lo wor"),
        CitationAdded(Citation(url="https://a.test"), part=1),
        ToolCallStart("c", "now", part=2),
        UsageUpdate(Usage(output_tokens=1)),
        TextDelta("ld"),
        PartDone(TextPart(text="Hello world")),
        Finish("stop"),
    ]
    found = list(relay.payloads(iter(events), shape=lambda text: text.words()))

    assert [
        "part_start",
        "text_delta",
        "tool_call_start",
        "usage_update",
        "text_delta",
        "citation_added",
        "part_done",
        "finish",
        "end",
    ] == [each["type"] for each in found]
    assert ["Hello", " world"] == [each["text"] for each in found if each["type"] == "text_delta"]


def test_held_text_comes_before_whatever_ends_the_answer() -> None:
    """A stop and an error let go of it; an answer that begins again drops it."""

    def shaped(*events: Event, error: StreamError | None = None) -> list[str]:
        def source() -> Iterator[Event]:
            yield from events
            if error is not None:
                raise error

        pieces = relay.payloads(source(), shape=lambda text: text.words())
        return [each.get("text", each["type"]) for each in pieces]

    assert ["a", "stopped", "end"] == shaped(TextDelta("a"), Stopped("no"))
    assert ["a", "error"] == shaped(TextDelta("a"), error=StreamInterrupted("no"))
    assert ["a", "end"] == shaped(TextDelta("a"))
    assert ["restarted", "b", "end"] == shaped(TextDelta("a"), Restarted(Message()), TextDelta("b"))


def test_a_shape_gives_text_in_pieces() -> None:
    """What gives something else is refused where it stands, and so are payloads that it cannot reach."""
    for shape in (lambda text: text.accumulate(), lambda text: text.markdown_blocks(), lambda _: "text"):
        with pytest.raises(MisuseError, match="shape="):
            relay.encode([], shape=shape)
    with pytest.raises(MisuseError, match="raw=True"):
        relay.encode([], raw=True, shape=lambda text: text.words())


def test_choices_and_steps_hold_their_own_text() -> None:
    """The end of one never lets go of another's."""
    first, second = TextDelta("a", part=0), TextDelta("b", part=1)
    first.step, second.step = "1", "2"
    done = Finish("stop")
    done.step = "1"
    found = list(relay.payloads([first, second, done], shape=lambda text: text.words()))
    assert ["a", "finish", "b", "end"] == [each.get("text", each["type"]) for each in found]
    found = list(
        relay.payloads(
            [TextDelta("a"), TextDelta("b", choice=1), Finish("stop")], shape=lambda text: text.words()
        )
    )
    assert ["a", "finish", "b", "end"] == [each.get("text", each["type"]) for each in found]


@pytest.mark.parametrize("end", [Stopped("off topic"), Restarted(Message(), StreamInterrupted("cut"))])
def test_what_ends_one_step_leaves_the_text_of_another(end: Event) -> None:
    """Its text is held still: nothing of it is lost, and nothing of a secret is let go."""
    events: list[Event] = [
        TextDelta("a"), TextDelta("key 12", part=1), end, TextDelta("34", part=1), Finish("stop")
    ]  # fmt: skip
    for event, step in zip(events, "12122", strict=True):
        event.step = step
    found = list(relay.payloads(events, shape=lambda text: text.redact(r"\d{4}")))
    assert "key [redacted]" == "".join(each["text"] for each in found if each.get("part") == 1)


# -- runs ----------------------------------------------------------------------------


def _run(seed: int) -> Steps:
    """Return a run of three steps, read in turns, event by event."""
    dice = random.Random(seed)
    answers = [
        testing.script()
        .reasoning("Hm", ".")
        .text(f"text {number} ", "is ", "here")
        .tool_call("now", {"n": number})
        for number in range(3)
    ]
    with Steps() as run:
        left = []
        for number, answer in enumerate(answers):
            step = run.step("ask" if number else "plan", agent="a")
            left.append((step, iter(step.follow(answer.finish("tool_calls").stream("anthropic")))))
        while left:
            mine = dice.choice(left)
            if next(mine[1], None) is None:
                left.remove(mine)
                mine[0].end()
    return run


@pytest.mark.parametrize("seed", range(5))
def test_a_run_is_carried_with_its_steps(seed: int) -> None:
    """Three steps in turns: our own reader is given the same events again, in either colour."""
    run = _run(seed)
    events = run.events().ready()
    chunks = list(relay.encode(run.events(), raw=True))
    stream = Stream([b"".join(chunks)])
    again = list(stream)

    assert chunks == anyio.run(lambda: _all(relay.encode(run.events(), raw=True)))
    assert events == again
    assert [event.step for event in events] == [event.step for event in again]
    assert "complete" == stream.message.ending
    whole = b"".join(chunks)
    assert whole.count(b"is here") == 3


@pytest.mark.parametrize("seed", range(3))
def test_one_steps_end_closes_nobody_elses_part(seed: int) -> None:
    """In AG-UI and in UI messages every text has its own id, one start, one end, and all of its pieces."""
    for name, started, ended, said, id in (
        ("ui-message", "text-start", "text-end", "text-delta", "id"),
        ("ag-ui", "TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "TEXT_MESSAGE_CONTENT", "messageId"),
    ):
        opened: set[str] = set()
        texts: dict[str, str] = {}
        for each in relay.payloads(_live(_run(seed)), cast("Any", name)):
            if each["type"] == started:
                assert each[id] not in texts
                opened.add(each[id])
                texts[each[id]] = ""
            elif each["type"] == ended:
                opened.remove(each[id])
            elif each["type"] == said:
                assert each[id] in opened
                texts[each[id]] += each["delta"]
            elif each["type"] in ("RUN_FINISHED", "finish", "finish-step"):
                assert not opened
        assert {f"text {number} is here" for number in range(3)} == set(texts.values())


def _live(run: Steps) -> list[Event]:
    """Return a run's events, of which each step's are spread over those of the others."""
    lanes: dict[str | None, list[Event]] = {}
    for event in run.events().ready():
        lanes.setdefault(event.step, []).append(event)
    dice = random.Random(1)
    found: list[Event] = []
    while lanes:
        key = dice.choice(list(lanes))
        found.append(lanes[key].pop(0))
        if not lanes[key]:
            del lanes[key]
    return found


def test_a_run_that_failed_says_so() -> None:
    """The last of its own steps tells how it ended; a step within another one does not."""
    failed: list[Event] = [StepStart("1", "a"), StepStart("2", "b", "1"), StepDone("2", "failed", "no")]
    assert b'"ending":"complete"' in list(relay.encode([*failed, StepDone("1")]))[-1]
    assert b'"type":"error"' in list(relay.encode([*failed, StepDone("1", "failed")]))[-1]
    assert b'"ending":"stopped"' in list(relay.encode([*failed, StepDone("1", "stopped")]))[-1]
    assert b"RUN_ERROR" in list(relay.encode([*failed, StepDone("1", "failed")], "ag-ui"))[-1]


def test_steps_are_told_in_ui_streams() -> None:
    """AG-UI has events for them, whose names are unique while they are open; UI messages have data parts."""
    events: list[Event] = [StepStart("1", "ask"), StepStart("2", "ask"), StepDone("1"), TextDelta("a")]
    names = [
        (each["type"], each["stepName"]) for each in relay.payloads(events, "ag-ui") if "stepName" in each
    ]
    assert [
        ("STEP_STARTED", "ask"),
        ("STEP_STARTED", "ask 2"),
        ("STEP_FINISHED", "ask"),
        ("STEP_FINISHED", "ask 2"),
    ] == names
    parts = [each for each in relay.payloads(events, "ui-message") if each["type"] == "data-step"]
    assert [("1", "running"), ("2", "running"), ("1", "done")] == [
        (each["id"], each["data"]["state"]) for each in parts
    ]


def test_the_headers_of_a_protocol() -> None:
    """Nothing in between buffers or changes such a body; a WebSocket has none."""
    found = relay.headers("ui-message")
    assert "v1" == found["x-vercel-ai-ui-message-stream"]
    assert "no-cache, no-transform" == found["cache-control"]
    assert "no" == relay.headers()["x-accel-buffering"]
    assert "identity" == relay.headers("ndjson")["content-encoding"]
    with pytest.raises(MisuseError, match="WebSocket"):
        relay.headers("gemini-live")


@pytest.mark.parametrize("protocol", ["tokenstream", "ndjson", "openai-chat"])
def test_a_view_is_no_stream(protocol: Any) -> None:
    """What gives pieces of text has no events to send: the error says what to pass."""
    with Stream(["Hel", "lo"], format="pieces") as stream:
        pieces: Any = stream.text
        with pytest.raises(MisuseError, match="pass the stream itself"):
            list(relay.encode(pieces, protocol))
