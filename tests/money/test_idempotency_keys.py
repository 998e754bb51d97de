"""A server that honours an idempotency key answers each request that asks for something new."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from tests.recovery.continuing import TEXT, cut, obeys
from tokenstream import Retry, aconnect, connect, relay, testing
from tokenstream.testing import Recording, Request

URL = "https://api.openai.com/v1/chat/completions"
PAYLOAD = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Tell me of a river."}]}
WHOLE = testing.script().text(TEXT).finish("stop").recording("openai-chat")
BROKEN = Recording.of(cut())
BUSY = Recording(status=503)


def keys_of(
    answers: Sequence[Any], retry: Retry, headers: Any, *, is_async: bool, **options: Any
) -> list[str | None]:
    """Ask until the answer is whole; return the key of each request."""
    transport = testing.transport(answers)
    options |= {"json": PAYLOAD, "retry": retry, "headers": headers}
    if is_async:
        client = httpx.AsyncClient(transport=transport)
        message = asyncio.run(aconnect(URL, client=client, **options).final())
    else:
        message = connect(URL, client=httpx.Client(transport=transport), **options).final()
    assert TEXT == message.text
    return [request.headers.get("idempotency-key") for request in transport.requests]


def rest(request: Request) -> Recording:
    """Return the answer of a model that goes on."""
    asked: Any = request.json
    words = obeys(asked["messages"][1]["content"]).replace(" ", " \0").split("\0")
    return testing.script().text(*words).finish("stop").recording("openai-chat")


def rest_that_breaks(request: Request) -> Recording:
    """Return the answer of a model that goes on, and breaks off with four words still to come."""
    return Recording.of(rest(request).chunks()[:-6])


@pytest.mark.parametrize("is_async", [False, True], ids=["connect", "aconnect"])
@pytest.mark.parametrize(
    "headers", [{"Idempotency-Key": "k"}, [(b"idempotency-key", b"k")]], ids=["dict", "list"]
)
def test_the_same_key_is_sent_until_content_has_arrived(headers: Any, is_async: bool) -> None:
    """After content, the server would only repeat the answer that broke off."""
    answers = [BUSY, BROKEN, BUSY, BROKEN, WHOLE]

    keys = keys_of(answers, Retry(again=True, wait=0, attempts=5), headers, is_async=is_async)

    assert ["k", "k", "k-2", "k-2", "k-3"] == keys


@pytest.mark.parametrize("is_async", [False, True], ids=["connect", "aconnect"])
def test_a_question_to_a_relay_has_a_key_by_itself(is_async: bool) -> None:
    """A journal then has the model asked once, even if the first response is lost."""
    told = Recording.of([*relay.encode(WHOLE.stream(), "tokenstream")])
    keys = [
        keys_of([BUSY, BUSY, body], Retry(wait=0), {}, is_async=is_async, format=format)
        for body, format in ((told, "tokenstream"), (told, "tokenstream"), (WHOLE, None))
    ]

    assert [1, 1, 1] == [len(set(each)) for each in keys]
    assert keys[0] != keys[1]
    assert all(key is not None and re.fullmatch("[0-9a-f]{32}", key) for key in keys[0])
    assert keys[2][0] is None


@pytest.mark.parametrize("is_async", [False, True], ids=["connect", "aconnect"])
def test_each_continuation_has_a_key_of_its_own(is_async: bool) -> None:
    """One that was refused is asked for again with the same key."""
    answers = [BROKEN, BUSY, rest_that_breaks, rest]
    retry = Retry(again=True, wait=0, attempts=5)

    keys = keys_of(answers, retry, {"Idempotency-Key": "k"}, is_async=is_async)

    assert ["k", "k-2", "k-2", "k-3"] == keys
