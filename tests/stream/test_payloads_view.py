"""`stream.payloads`: each payload of the server once, as it came, and then the error."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import pytest

from tests.support.recordings import OURS
from tests.support.tables import in_one_test
from tests.support.wire import DONE, sse
from tokenstream import AsyncStream, Retry, Stream, connect, tap, testing
from tokenstream.errors import MisuseError, ProviderError, StreamError
from tokenstream.framing import SSEParser

HI = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
BUSY = {"error": {"message": "busy"}}
EMPTY = {"choices": [{"index": 0, "delta": {"content": ""}}]}


def frames(*payloads: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads)


def sent(body: bytes) -> list[Any]:
    """Return the payloads of a body of server-sent events, read with nothing but the parser."""
    events = SSEParser().feed(body)
    return [json.loads(event.data) for event in events if event.data.strip() not in ("", "[DONE]")]


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


async def _read_async(chunks: list[bytes], format: Any) -> list[Any]:
    async def source() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [payload async for payload in AsyncStream(source(), format=format).payloads]


def _read_tapped(payloads: list[Any], format: Any) -> tuple[list[Any], Any]:
    tapped = tap(iter(payloads), format=format)
    passed, found = tapped.payloads, list[Any]()
    for count, _ in enumerate(tapped, start=1):
        found += passed
        assert count == len(found)
    return [*found, *passed], tapped.message


def check(body: bytes, format: Any) -> None:
    wanted, message = sent(body), Stream([body], format=format).final()

    for size in (len(body), 7):
        stream = Stream(cut(body, size), format=format)
        assert wanted == list(stream.payloads)
        assert message == stream.message
    assert wanted == anyio.run(_read_async, cut(body, 101), format)
    found, tapped = _read_tapped(wanted, format)
    assert (wanted, message.text) == (found, tapped.text)


FORMATS = ["openai-chat", "openai-responses", "anthropic", "gemini", "cohere", "mistral", "ag-ui"]


@pytest.mark.slow
@in_one_test("format", FORMATS)
def test_each_payload_of_an_answer_is_given_once_in_its_order(format: Any) -> None:
    answer = testing.script().reasoning("hm").text("Hel", "lo").tool_call("f", {"a": 1}).finish()
    check(b"".join(answer.chunks(format)), format)


@pytest.mark.slow
@in_one_test("name", ["openai-chat", "anthropic", "openai-responses"])
def test_recorded_answers_have_all_their_payloads(name: str) -> None:
    for path in sorted((OURS / name).glob("*.sse"))[:4]:
        body = path.read_bytes()
        with suppress(StreamError):
            Stream([body]).final()
            check(body, None)


def test_those_before_an_error_come_first_and_it_is_raised_again() -> None:
    stream, found = Stream([frames(HI, BUSY)]), list[Any]()
    for _ in range(2):
        with pytest.raises(ProviderError):
            for payload in stream.payloads:
                found.append(payload)
    assert [HI, BUSY] == found
    assert "Hi" == stream.message.text

    tapped = tap(iter([HI, BUSY]), format="openai-chat")
    passed = tapped.payloads
    assert [HI, BUSY] == [*tapped]
    assert [HI, BUSY] == [next(passed), next(passed)]
    with pytest.raises(ProviderError):
        next(passed)


def test_the_message_grows_beside_it() -> None:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    stream = Stream([frames(HI, EMPTY, HI, end)])

    assert ["Hi", "HiHi", "HiHi", "HiHi"] == [stream.message.text for _ in stream.payloads]


def test_it_goes_on_where_a_view_stopped() -> None:
    body = testing.script().text("a", "b", "c").finish().chunks("anthropic")
    wanted = sent(b"".join(body))
    stream = Stream(body)
    payloads = stream.payloads
    first = [next(payloads), next(payloads)]

    assert "abc" == "".join(stream.text)
    assert wanted == [*first, *payloads]
    assert [] == [*stream.payloads]


def test_bare_text_is_given_as_it_came() -> None:
    body = b"".join(map(sse, ["Hel", "{lo", "42"])) + DONE

    assert ["Hel", "{lo", "42"] == [*Stream([body], format="text").payloads]
    assert ["a", "b"] == [*Stream(["a", "b"], format="pieces").payloads]


def test_those_of_each_attempt_are_given() -> None:
    cut_off, answer = testing.script().text("H"), testing.script().text("Hi").finish()
    retry = Retry(again=True, wait=0)
    with testing.serve([cut_off, answer]) as server:
        url = f"{server.url}/v1/chat/completions"
        with connect(url, json={"stream": True}, retry=retry) as stream:
            found = list(stream.payloads)
    texts = [choice["delta"].get("content") for payload in found for choice in payload["choices"]]

    assert ["H", "Hi"] == list(filter(None, texts))


READS: list[Any] = [lambda stream: next(iter(stream)), Stream.final, lambda stream: next(stream.text)]


@in_one_test("read", READS)
def test_after_the_first_read_it_is_too_late(read: Any) -> None:
    """Nobody had asked for the payloads, so they were not kept."""
    stream = Stream([frames(HI), frames(HI)], format="openai-chat")
    with suppress(StreamError):
        read(stream)
    stream.close()

    with pytest.raises(MisuseError, match="before anything is read") as caught:
        _ = stream.payloads
    assert "consumed" == caught.value.kind
