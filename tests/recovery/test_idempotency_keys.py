"""A server that honours an idempotency key answers each request that asks for something new."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.recovery.continuing import TEXT, cut, obeys
from tokenstream import Retry, aconnect, connect, testing

URL = "https://api.openai.com/v1/chat/completions"
PAYLOAD = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Tell me of a river."}]}
WHOLE = testing.script().text(TEXT).finish("stop").chunks("openai-chat")
BROKEN = cut()
BUSY = 503


class Server:
    """Answers each request with the next of its answers, and notes the key of each.

    Args:
        answers: The chunks of each answer, a status, or a function of the answer so far that returns chunks.
    """

    def __init__(self, *answers: list[bytes] | int | Callable[[str], list[bytes]]) -> None:
        self._answers = list(answers)
        self.keys: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers.get("idempotency-key"))
        answer = self._answers.pop(0)
        if isinstance(answer, int):
            return httpx.Response(answer)
        if callable(answer):
            answer = answer(json.loads(request.content)["messages"][1]["content"])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(answer))

    def keys_of(self, retry: Retry, headers: Any, *, is_async: bool) -> list[str | None]:
        """Ask until the answer is whole; return the key of each request."""
        transport = httpx.MockTransport(self)
        options: dict[str, Any] = {"json": PAYLOAD, "retry": retry, "headers": headers}
        if is_async:
            client = httpx.AsyncClient(transport=transport)
            message = asyncio.run(aconnect(URL, client=client, **options).final())
        else:
            message = connect(URL, client=httpx.Client(transport=transport), **options).final()
        assert TEXT == message.text
        return self.keys


def rest(given: str) -> list[bytes]:
    """Return the answer of a model that goes on."""
    words = obeys(given).replace(" ", " \0").split("\0")
    return testing.script().text(*words).finish("stop").chunks("openai-chat")


def rest_that_breaks(given: str) -> list[bytes]:
    """Return the answer of a model that goes on, and breaks off with four words still to come."""
    return rest(given)[:-6]


@pytest.mark.parametrize("is_async", [False, True], ids=["connect", "aconnect"])
@pytest.mark.parametrize(
    "headers", [{"Idempotency-Key": "k"}, [(b"idempotency-key", b"k")]], ids=["dict", "list"]
)
def test_the_same_key_is_sent_until_content_has_arrived(headers: Any, is_async: bool) -> None:
    """Then, the server would only repeat the answer that broke off."""
    server = Server(BUSY, BROKEN, BUSY, BROKEN, WHOLE)

    keys = server.keys_of(Retry(mode="restart", wait=0, attempts=5), headers, is_async=is_async)

    assert ["k", "k", "k-2", "k-2", "k-3"] == keys


@pytest.mark.parametrize("is_async", [False, True], ids=["connect", "aconnect"])
def test_each_continuation_has_a_key_of_its_own(is_async: bool) -> None:
    """One that was refused is asked for again with the same key."""
    server = Server(BROKEN, BUSY, rest_that_breaks, rest)

    keys = server.keys_of(
        Retry(mode="continue", wait=0, attempts=5), {"Idempotency-Key": "k"}, is_async=is_async
    )

    assert ["k", "k-2", "k-2", "k-3"] == keys


def test_no_key_is_invented() -> None:
    """Only the caller knows if a server would charge for both requests."""
    server = Server(BUSY, BROKEN, rest)

    assert [None] * 3 == server.keys_of(Retry(mode="continue", wait=0, attempts=5), {}, is_async=False)


def test_a_hedge_has_a_key_of_its_own() -> None:
    """With the same key, a server would make it wait for the first one."""
    keys: list[str | None] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers.get("idempotency-key"))
        if len(keys) == 1:
            await asyncio.sleep(60)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(WHOLE))

    async def ask() -> str:
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        stream = aconnect(
            URL,
            json=PAYLOAD,
            headers={"Idempotency-Key": "k"},
            client=client,
            retry=Retry(hedge_after=0.01, wait=0),
        )
        return (await stream.final()).text

    assert TEXT == asyncio.run(ask())
    assert ["k", "k-2"] == keys
