"""A stream as the bytes of a protocol, or as its payloads, in the colour that it has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from tests.relay.encode.support import all_of
from tests.support.encoders import READ_BACK, Encoder, load, read_as
from tests.support.reading import Chunks
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Steps, Stream, aconnect, connect, relay, testing
from tokenstream.errors import MisuseError, ProviderError, StreamError, StreamInterrupted, StreamTruncated
from tokenstream.events import CitationAdded, Event, Finish, Restarted, StepDone, Stopped, TextDelta
from tokenstream.message import Citation, Message

ANSWER = testing.script(id="a1", model="m").text("Hel", "lo").tool_call("now", {"a": 1}).finish("tool_calls")


@pytest.mark.parametrize("name", READ_BACK)
def test_a_stream_of_either_colour_gives_the_same_bytes(name: Any) -> None:
    source = ANSWER.chunks("openai-chat")
    whole = list(relay.encode(Stream(source), name, raw=True))

    assert whole == anyio.run(lambda: all_of(relay.encode(AsyncStream(source), name, raw=True)))
    assert all(whole)
    message = Stream([b"".join(whole)], format=read_as(name)).final()
    assert ("Hello", "complete") == (message.text, message.ending)
    calls = [call.name for call in message.tool_calls]
    assert calls == (["now"] if "tool_call" in load(name).expresses else [])


@in_one_test("name", [name for name in READ_BACK if name != "text"])
def test_payloads_are_the_same_without_borders(name: Any) -> None:
    """Dicts that JSON holds, of which our own reader makes the same answer; sentinels are left out."""
    found = list(relay.payloads(Stream(ANSWER.chunks("openai-chat")), name))

    assert [dict] == [*{type(each) for each in found}]
    assert found == json.loads(json.dumps(found))
    assert found[0] is not found[-1]
    if name != "bedrock-invoke":
        message = Stream(found, format=read_as(name)).final()
        assert ("Hello", "complete") == (message.text, message.ending)


def test_ids_count_the_events() -> None:
    """Ours have a position each; in other event streams the last SSE event of each has it."""
    events: list[Event] = [TextDelta("a"), TextDelta("b"), Finish("stop")]
    ours = b"".join(relay.encode(iter(events), ids=True)).decode()
    found = b"".join(relay.encode(iter(events), "ui-message", ids=True)).decode().split("\n\n")

    assert ["1", "2", "3", "4"] == [line[4:] for line in ours.splitlines() if line.startswith("id: ")]
    assert 'id: 1\ndata: {"type":"text-delta","id":"txt-0","delta":"a"}' in found
    assert 'id: 2\ndata: {"type":"text-delta","id":"txt-0","delta":"b"}' in found
    assert [1, 2, 3, 4] == [each["at"] for each in relay.payloads(iter(events), ids=True)]
    with pytest.raises(MisuseError, match="no ids"):
        relay.encode(iter(events), "ollama", ids=True)
    with pytest.raises(MisuseError, match="'ui-message' have no place for ids"):
        relay.payloads(iter(events), "ui-message", ids=True)


def test_ids_of_the_provider_stay_in() -> None:
    """The answer's id is another for each answer, unless the provider's is asked for."""
    bodies = [b"".join(relay.encode(ANSWER.stream("anthropic"), "ui-message")) for _ in range(2)]
    ids = {json.loads(body.split(b"\n")[0][6:])["messageId"] for body in bodies}

    assert 2 == len(ids)
    assert "a1" not in ids
    assert b'"messageId":"a1"' in b"".join(relay.encode(ANSWER.stream("anthropic"), "ui-message", raw=True))
    again: list[Event] = [Restarted(Message(), StreamInterrupted("cut")), TextDelta("a"), Finish("stop")]
    assert 2 == len({next(iter(relay.payloads(again, "ui-message")))["messageId"] for _ in range(2)})
    for name in READ_BACK:
        body = b"".join(
            relay.encode(testing.script(id="secret7").text("a").finish().stream("anthropic"), name)
        )
        assert b"secret7" not in body, name


@in_one_test("name", READ_BACK)
def test_an_error_ends_the_bytes(name: Any) -> None:
    chunks = list(relay.encode(Stream(ANSWER.chunks("openai-chat")[:4]), name))
    with pytest.raises(StreamError) as told:
        Stream([b"".join(chunks)], format=read_as(name)).final()
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

    for name in READ_BACK:
        assert b"sk-1" not in b"".join(relay.encode(events(), name)), name
        assert b"sk-1" in b"".join(relay.encode(events(), name, raw=True)), name


def test_a_stopped_answer_is_reported_as_far_as_a_protocol_can() -> None:
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


def test_an_encoder_is_told_the_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """A protocol that has a word for each ending can send it, with an error and without one."""

    def word(encoder: Encoder, *_: object) -> list[tuple[str, Any]]:
        return [("", str(encoder.ending))]

    monkeypatch.setattr(load("text"), "encode_tail", word)
    monkeypatch.setattr(load("text"), "encode_error", word)

    def failing(error: StreamError) -> Iterator[Event]:
        yield TextDelta("a")
        raise error

    ended: list[list[Event]] = [[TextDelta("a"), Finish("stop")], [TextDelta("a"), Stopped("enough")]]
    sources = [*ended, failing(StreamTruncated("cut")), failing(ProviderError("no"))]
    expected = ["complete", "stopped", "truncated", "failed"]
    assert [f"data: {each}\n\n".encode() for each in expected] == [
        list(relay.encode(each, "text"))[-1] for each in sources
    ]


def test_what_has_no_place_is_left_out() -> None:
    """Only what is no answer in a protocol of the relay is refused."""
    events: list[Event] = [TextDelta("a"), CitationAdded(Citation(text="b"), part=1), Finish("stop")]

    assert b"data: a\n\ndata: [DONE]\n\n" == b"".join(relay.encode(events, "text"))
    with pytest.raises(MisuseError, match="not JSON objects"):
        relay.payloads(events, "text")
    nothing: Any = 7
    with pytest.raises(MisuseError, match="is not iterable"):
        relay.encode(nothing)


def test_a_silence_has_heartbeats_where_a_read_can_be_ended() -> None:
    script = testing.script().text("Hel").silence(0.5).text("lo").finish("stop")
    with testing.serve([script] * 2, pace="recorded") as server:
        url = f"{server.url}/v1/chat/completions"
        sync = list(relay.encode(connect(url, json={"stream": True}), keep_alive=0.2))
        others = anyio.run(lambda: all_of(relay.encode(aconnect(url, json={"stream": True}), keep_alive=0.2)))

    for told in (sync, others):
        assert b": keep-alive\n\n" in told
        assert "Hello" == Stream([b"".join(told)]).final().text


# -- closing -------------------------------------------------------------------------


def test_closing_the_bytes_closes_the_stream() -> None:
    """Who stops reading, fails or is cancelled leaves nothing open."""
    source = Chunks(ANSWER.chunks("openai-chat"))
    pieces: Any = relay.encode(Stream(source))
    next(pieces)
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
                await all_of(pieces)
            assert stream.message.ending in {"stopped", "truncated"}
            assert [] == await all_of(pieces)

    anyio.run(cancelled)


def test_the_headers_of_a_protocol() -> None:
    """Nothing in between buffers or changes such a body."""
    found = relay.headers("ui-message")
    assert "v1" == found["x-vercel-ai-ui-message-stream"]
    assert "no-cache, no-transform" == found["cache-control"]
    assert "no" == relay.headers()["x-accel-buffering"]
    assert "identity" == relay.headers("ndjson")["content-encoding"]


@pytest.mark.parametrize("protocol", ["tokenstream", "ndjson", "openai-chat"])
def test_a_view_is_no_stream(protocol: Any) -> None:
    """What gives pieces of text has no events to send: the error says what to pass."""
    with Stream(["Hel", "lo"], format="pieces") as stream:
        pieces: Any = stream.text
        with pytest.raises(MisuseError, match="pass the stream itself"):
            list(relay.encode(pieces, protocol))
