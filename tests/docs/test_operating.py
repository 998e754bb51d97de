"""Somebody is on call: from one log of hundreds of answers, the failing provider and answer are found."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest

from tests.support.logged import logging_to
from tokenstream import Retry, aconnect, testing
from tokenstream.errors import StreamError

PROVIDERS = [f"{name}.example" for name in ("alder", "birch", "cedar", "dogwood", "elm")]
"""Hosts of five providers."""
FAILING = "cedar.example"
"""The one that cuts off each third of its answers."""
STREAMS = 500
SCRIPT = testing.script().text("What ", "was ", "asked ", "is ", "private.").finish("stop")
PATHS = {"openai-chat": "/v1/chat/completions", "anthropic": "/v1/messages"}
CHUNKS = {format: SCRIPT.chunks(format) for format in PATHS}


class JSONLines(logging.Formatter):
    """Writes records as many applications do: the text, and what is given beside it."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "level": record.levelname,
                "text": record.getMessage(),
                "origin": getattr(record, "origin", None),
            }
        )


@contextmanager
def logged(formatter: logging.Formatter, level: int) -> Generator[io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    with logging_to(handler, level):
        yield out


class Providers:
    """Answers requests to all hosts, each with an id of its own."""

    def __init__(self) -> None:
        self.count = 0
        self.cut: set[str] = set()
        """Ids of the requests whose answers were cut off."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        number = self.count = self.count + 1
        id, format = f"req_{number:05}", "anthropic" if "messages" in request.url.path else "openai-chat"
        await anyio.lowlevel.checkpoint()
        chunks = CHUNKS[format]
        if request.url.host == FAILING and number % 3 == 0:
            self.cut.add(id)
            chunks = chunks[: len(chunks) // 2]
        headers = {"content-type": "text/event-stream", "x-request-id": id}
        return httpx.Response(200, headers=headers, content=b"".join(chunks))


async def ask_all(providers: Providers) -> list[StreamError]:
    """Ask for all answers at once; return the errors of those that failed."""
    failed = list[StreamError]()
    transport = httpx.MockTransport(providers)
    async with httpx.AsyncClient(transport=transport) as client, anyio.create_task_group() as tasks:

        async def ask(number: int) -> None:
            host, path = PROVIDERS[number % len(PROVIDERS)], [*PATHS.values()][number % 2]
            retry = Retry(attempts=2, again=True, wait=0) if number % 4 == 0 else None
            url = f"https://{host}{path}"
            try:
                async with aconnect(url, json={"model": "m"}, client=client, retry=retry) as stream:
                    await stream.final()
            except StreamError as error:
                failed.append(error)

        for number in range(STREAMS):
            tasks.start_soon(ask, number)
    return failed


def found(text: str, lines: list[str]) -> list[str]:
    return [line for line in lines if text in line]


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_grep_finds_the_failing_provider_and_the_failing_answer(loop: str) -> None:
    providers = Providers()
    with logged(logging.Formatter("%(levelname)s %(name)s %(message)s"), logging.DEBUG) as out:
        failed = anyio.run(ask_all, providers, backend=loop)
    lines = out.getvalue().splitlines()
    broken = [line for line in lines if re.search(r"truncated|StreamTruncated", line)]

    assert failed
    assert len(lines) == len({*lines})
    # Each host has its own answers, and only one of them has broken ones.
    assert [host for host in PROVIDERS if found(host, broken)] == [FAILING]
    assert len(broken) == len(found(FAILING, broken))
    # Each broken answer has its own lines: those of its request, and of no other one.
    for id in providers.cut:
        (line,) = found(id, broken)
        answer = line.rpartition(" · answer ")[2]
        assert {line.rpartition(" · answer ")[2] for line in found(id, lines)} == {answer}
    for error in failed:
        assert f"{FAILING}/v1/" in str(error)
        assert error.request_id is not None
        assert found(error.request_id, broken)


@pytest.mark.slow
def test_the_same_is_found_in_a_log_of_json_lines() -> None:
    providers = Providers()
    with logged(JSONLines(), logging.DEBUG) as out:
        failed = anyio.run(ask_all, providers)
    records: list[dict[str, Any]] = [json.loads(line) for line in out.getvalue().splitlines()]
    broken = [record["origin"] for record in records if "truncated" in record["text"]]

    assert {origin["host"] for origin in broken} == {FAILING}
    assert {origin["request_id"] for origin in broken} == {error.request_id for error in failed}
    assert all(origin["bytes"] > 0 and origin["events"] > 0 for origin in broken)
    assert {origin["host"] for record in records if (origin := record["origin"])} == {*PROVIDERS}
