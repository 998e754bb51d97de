"""`stream.responses`: the answers, each with its id, text and ending; streams of one answer, or of none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests._sources.sockets import answer, event
from tests.stream.responses.support import FAILED, LIMITS, SESSION, AsyncItems, Items, tell
from tests.support.either import Each, at_once, got
from tests.support.raised import misuse
from tests.support.wire import DONE, sse
from tokenstream import AsyncStream, Stream
from tokenstream.errors import ProtocolError, ProviderError, StreamError, StreamInterrupted
from tokenstream.events import ProviderData, TextDelta, Unknown

pytestmark = pytest.mark.anyio


async def both(*items: Any, **options: Any) -> list[Any]:
    """Read all answers through either driver, and return what each came to; they must be equal."""

    async def read(stream: Any) -> list[Any]:
        told = []
        async for response in Each(stream.responses):
            error = None
            try:
                await got(response.final())
            except StreamError as caught:
                error = caught
            told.append(tell(response, error))
        return told

    told = at_once(read(Stream(Items(*items), **options)))
    assert told == await read(AsyncStream(AsyncItems(*items), **options))
    return told


async def test_answers_have_ids_texts_and_endings_of_their_own() -> None:
    messages = [SESSION, *answer("resp_1", "Hel", "lo"), LIMITS, *answer("resp_2", "Bye")]
    payloads = [json.loads(message) for message in messages]
    body = b"".join([sse(message) for message in messages])
    wanted = [("resp_1", "Hello", "complete", None), ("resp_2", "Bye", "complete", None)]

    assert wanted == await both(*messages)
    assert wanted == await both(*[message.encode() for message in messages], format="openai-realtime")
    assert wanted == await both(*payloads)
    assert wanted == await both(body)
    assert wanted == await both(*[body[place : place + 50] for place in range(0, len(body), 50)])


async def test_answers_that_are_given_in_turns_are_told_apart() -> None:
    one, two = answer("resp_1", "a", "b"), answer("resp_2", "1", "2")
    mixed = [one[0], two[0], LIMITS, *[each for pair in zip(one[1:], two[1:], strict=True) for each in pair]]

    assert await both(SESSION, *mixed) == [
        ("resp_1", "ab", "complete", None),
        ("resp_2", "12", "complete", None),
    ]
    with Stream(Items(SESSION, *mixed)) as stream:
        first = next(stream.responses)
        kept = [one for one in first if isinstance(one, Unknown | ProviderData)]
        assert [getattr(one, "name", "rate_limits") for one in kept] == ["session.created", "rate_limits"]
        assert isinstance(kept[1], ProviderData)
        assert [*kept[1].data] == ["rate_limits"]


async def test_an_answer_that_fails_does_not_end_the_connection() -> None:
    failed = answer("resp_1", "Hel", status="failed", **FAILED)

    assert await both(*failed, *answer("resp_2", "Hello")) == [
        ("resp_1", "Hel", "failed", ProviderError),
        ("resp_2", "Hello", "complete", None),
    ]


async def test_what_is_no_payload_fails_the_answer_that_it_came_in() -> None:
    one = answer("resp_1", "Hel")

    assert await both(*one[:4], "{", *one[4:], *answer("resp_2", "Hello"), format="openai-realtime") == [
        ("resp_1", "Hel", "failed", ProtocolError),
        ("resp_2", "Hello", "complete", None),
    ]


async def test_late_messages_of_an_answer_begin_no_other() -> None:
    late = event("response.output_text.delta", response_id="resp_1", delta="late")

    told = await both(*answer("resp_1", "Hello"), late, *answer("resp_2", "Bye"))

    assert [each[0] for each in told] == ["resp_1", "resp_2"]


async def test_turns_of_gemini_are_answers() -> None:
    """What the user said comes before the turn that answers it; a call does not end it."""

    def content(**fields: Any) -> str:
        return json.dumps({"serverContent": fields})

    messages = [
        json.dumps({"setupComplete": {}}),
        content(inputTranscription={"text": "Hi"}),
        json.dumps({"toolCall": {"functionCalls": [{"id": "a", "name": "now"}]}}),
        content(modelTurn={"parts": [{"text": "Hello"}]}),
        content(generationComplete=True),
        content(turnComplete=True),
        json.dumps({"sessionResumptionUpdate": {"newHandle": "h"}}),
        content(modelTurn={"parts": [{"text": "Bye"}]}),
        content(interrupted=True),
        content(turnComplete=True),
    ]

    assert await both(*messages) == [(None, "Hello", "complete", None), (None, "Bye", "complete", None)]
    first, second = [response.final() for response in Stream(Items(*messages)).responses]
    assert [call.name for call in first.tool_calls] == ["now"]
    assert (first.finish_reason, second.finish_reason) == ("tool_calls", "cancelled")
    assert second.provider_data == {"sessionResumptionUpdate": {"newHandle": "h"}}


async def test_an_answer_has_the_whole_interface_of_a_stream() -> None:
    source = Items(SESSION, *answer("resp_1", "Hel", "lo"), *answer("resp_2", "Bye"))
    stream = Stream(source)
    for response in stream.responses:
        assert [one.text for one in response if isinstance(one, TextDelta)] == ["Hel", "lo"]
        assert list(response.reasoning) == []
        assert list(response.tool_calls) == []
        assert list(response.text) == ["Hello"]
        assert [message.text for message in response.messages] == ["Hello"]
        assert (response.metrics.chunks, response.departures.details, response.response) == (9, {}, None)
        assert response.checkpoint().format == "openai-realtime"
        with misuse("consumed"):
            iter(response)
        break

    assert [response.final().text for response in stream.responses] == ["Bye"]
    with misuse("consumed"):
        for _ in stream.responses:
            pass


ONE = sse('{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}') + DONE


@pytest.mark.parametrize("options", [{}, {"format": "openai-chat"}])
async def test_a_stream_of_one_answer_gives_itself(options: dict[str, Any]) -> None:
    source, asource = Items(ONE[:30], ONE[30:]), AsyncItems(ONE[:30], ONE[30:])
    stream, astream = Stream(source, **options), AsyncStream(asource, **options)

    assert [list(response.text) for response in stream.responses] == [["Hi"]]
    assert [[piece async for piece in response.text] async for response in astream.responses] == [["Hi"]]
    assert (stream.message.ending, astream.message.ending) == ("complete", "complete")
    assert (stream.format, source.closed, asource.closed) == ("openai-chat", True, True)
    kept = Stream(Items(ONE), **options)
    assert list(kept.responses) == [kept]
    assert kept.message.text == "Hi"


async def test_a_stream_that_is_none_says_so_itself() -> None:
    strays = [
        Items(),
        Items(b"<html></html>"),
        Items(error=OSError("cable")),
        Items(ONE[:-20], error=OSError("x")),
    ]
    for stray in strays:
        with pytest.raises(StreamError):
            next(Stream(stray).responses).final()
    for chunks in ([], [b"<html></html>"], [ONE[:40]]):
        with pytest.raises(StreamError):
            _ = [response async for response in AsyncStream(AsyncItems(*chunks)).responses]
    with pytest.raises(StreamError):
        list(Stream(Items(ONE[:60])).responses)
    with pytest.raises(StreamInterrupted, match="cable"):
        await (await anext(AsyncStream(AsyncItems(error=OSError("cable"))).responses)).final()


async def test_what_looks_like_no_format_for_long_is_given_as_it_is() -> None:
    pings = [sse('{"type": "ping"}')] * 80

    assert [response.final().text for response in Stream(Items(*pings, ONE)).responses] == ["Hi"]


async def test_the_body_of_an_error_is_read_by_the_stream_itself() -> None:
    httpx: Any = __import__("httpx")
    response = httpx.Response(
        500, json={"error": {"message": "broken"}}, request=httpx.Request("GET", "http://x")
    )

    with pytest.raises(StreamError, match="broken"):
        next(Stream(response).responses).final()


async def test_answers_without_any_id_are_told_apart_by_their_ends() -> None:
    messages = [json.loads(message) for message in (*answer("", "Hel", "lo"), *answer("", "Bye"))]
    for message in messages:
        message.pop("response_id", None)
        message.get("response", {}).pop("id", None)

    assert await both(SESSION, *[json.dumps(message) for message in messages]) == [
        (None, "Hello", "complete", None),
        (None, "Bye", "complete", None),
    ]
