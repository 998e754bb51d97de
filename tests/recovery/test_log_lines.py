"""The log of retries, fallbacks and hedges has one line for each, with its cause and its wait."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import httpx
import pytest

from tests.recovery.attempts import in_each_world, play
from tests.support.logged import logging_to, words_of
from tests.support.tables import in_one_test
from tokenstream import Retry, Route, Routes, aconnect, aresilient, testing

WHOLE = testing.script().text("Hello wonderful world").finish("stop").chunks("openai-chat")
LONG = testing.script().text(*[f"word {n}, " for n in range(60)]).finish("stop").chunks("openai-chat")
BUSY = [{"type": "error", "error": {"type": "overloaded_error", "message": "private words"}}]
CLAUDE = testing.script().text("Hello wonderful world").finish("stop").chunks("anthropic")


def said(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    """Return what was logged at a level, without the origins."""
    records = [record for record in caplog.records if record.name == "tokenstream"]
    return words_of(record for record in records if record.levelno == level)


@in_each_world
def test_each_retry_is_a_line_with_its_cause_and_its_wait(
    world: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tokenstream")
    play(world, [BUSY, BUSY, CLAUDE], Retry(attempts=4, wait=lambda _: 0.04), format="anthropic")

    cause = "overloaded (ProviderError): the provider reports an error"
    assert said(caplog) == [f"retry {number} of 3 in 0.0 s: {cause}" for number in (1, 2)]
    assert "private" not in caplog.text


@in_one_test(
    ("kind", "expected"),
    [
        ("short", "retry 1 of 2 in 0.0 s: network (StreamTruncated)"),
        ("long", "continuation 1 of 2 in 0.0 s: network (StreamTruncated)"),
        ("numbered", "resume 1 of 2 in 0.0 s: network (StreamTruncated)"),
    ],
)
def test_a_line_tells_what_is_asked_for(kind: str, expected: str) -> None:
    """A retry begins again; a continuation or a resume go on."""
    lines = list[logging.LogRecord]()
    handler = logging.Handler(logging.INFO)
    handler.emit = lines.append  # type: ignore[method-assign,assignment]
    chunks: Sequence[Any] = LONG[: 3 if kind == "short" else 50]
    if kind == "numbered":
        chunks = [b"id: %d\n%b" % pair for pair in enumerate(chunks, 1)]
    with logging_to(handler, logging.INFO):
        play("sync", [chunks, LONG, LONG], Retry(again=True, wait=0), format="openai-chat")

    cause = f"the input ended after {len(chunks)} frames, before the end of the answer"
    assert words_of(lines)[0] == f"{expected}: {cause}"


@pytest.mark.anyio
async def test_the_next_route_is_named_and_the_origin_is_that_of_the_last_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line has both: who has failed, and who is asked instead."""
    caplog.set_level(logging.DEBUG, "tokenstream")

    def answered(request: httpx.Request) -> httpx.Response:
        host, headers = request.url.host, {"x-request-id": f"req_{request.url.host[0]}"}
        if host == "a.example":
            return httpx.Response(503, headers=headers, json={"error": {"message": "private words"}})
        return httpx.Response(
            200, headers={**headers, "content-type": "text/event-stream"}, content=b"".join(CLAUDE)
        )

    async with httpx.AsyncClient(transport=httpx.MockTransport(answered)) as client:
        second = Route("https://b.example/v1/messages", json={}, name="second", client=client)
        retry = Retry(attempts=1, routes=[second])
        async with aconnect("https://a.example/v1/messages", json={}, client=client, retry=retry) as stream:
            await stream.final()
    (line,) = [
        record for record in caplog.records if record.levelno == logging.INFO and record.name == "tokenstream"
    ]
    ended = caplog.records[-1]

    assert line.getMessage().startswith(
        "fallback 1 of 1 to second in 0.0 s: overloaded (StatusError 503): the server answered with status "
        "503 · a.example/v1/"
    )
    assert (line.origin["host"], line.origin["request_id"]) == ("a.example", "req_a")  # type: ignore[attr-defined]
    assert "b.example/v1/messages · anthropic · second · req_b · attempt 2 of 2" in ended.getMessage()
    assert line.origin["answer_id"] == ended.origin["answer_id"]  # type: ignore[attr-defined]


async def asynchronously(chunks: Sequence[bytes], first: float = 0.0) -> AsyncIterator[bytes]:
    await anyio.sleep(first)
    for chunk in chunks:
        yield chunk


@pytest.mark.anyio
async def test_a_hedge_is_a_line_with_its_wait(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tokenstream")
    late = iter([30.0, 0.0])

    def ask() -> AsyncIterator[bytes]:
        return asynchronously(WHOLE, next(late))

    async with aresilient(ask, Retry(routes=Routes(hedge_after=0.02))) as stream:
        await stream.final()

    assert said(caplog) == ["hedge to ask after 0.0 s: the first attempt has brought no content"]


@in_each_world
def test_no_two_lines_of_two_answers_look_the_same(world: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tokenstream")
    for _ in range(3):
        play(world, [WHOLE[:1], WHOLE], Retry(wait=0), format="openai-chat")
    lines = [record.getMessage() for record in caplog.records if record.name == "tokenstream"]

    assert len(lines) == len({*lines}) == 3 * 4
    assert "wonderful" not in caplog.text


def test_handlers_that_write_json_get_the_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tokenstream")
    play("sync", [BUSY, CLAUDE], Retry(wait=0), format="anthropic")
    written = [json.loads(json.dumps(record.origin)) for record in caplog.records]  # type: ignore[attr-defined]

    assert {"host", "path", "format", "model", "request_id", "answer_id", "attempt", "attempts"} <= {
        *written[0]
    }
    assert {"seconds", "bytes", "events"} <= {*written[0]}
    assert len({each["answer_id"] for each in written}) == 1
