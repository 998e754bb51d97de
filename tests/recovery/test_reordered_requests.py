"""`connect(…, reorder=Reorder(…))`: frames out of order and twice, also over the connections of a retry."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.recovery.test_background import PAYLOAD, TEXT, URL, WHOLE
from tokenstream import Message, Retry, aconnect, connect
from tokenstream.stages import Reorder


def shuffled(chunks: list[bytes]) -> list[bytes]:
    """Return frames with neighbours swapped, and every third one twice."""
    swapped = [each for pair in zip(chunks[1::2], chunks[::2], strict=False) for each in pair]
    swapped += chunks[len(swapped) :]
    return [each for place, chunk in enumerate(swapped) for each in [chunk] * (1 + (place % 3 == 0))]


def read(cut: int, retry: Retry | None, *, is_async: bool) -> Message:
    """Read an answer that breaks after so many frames, and whose rest is asked for."""

    def answer(request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("starting_after")
        chunks = WHOLE[:cut] if after is None else WHOLE[int(after) + 1 :]
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=headers, content=b"".join(shuffled(chunks)))

    transport = httpx.MockTransport(answer)
    options: dict[str, Any] = {"json": PAYLOAD, "retry": retry, "reorder": Reorder()}
    if is_async:
        return asyncio.run(aconnect(URL, client=httpx.AsyncClient(transport=transport), **options).final())
    return connect(URL, client=httpx.Client(transport=transport), **options).final()


@pytest.mark.parametrize("is_async", [False, True], ids=["connect", "aconnect"])
@pytest.mark.parametrize("retry", [None, Retry(wait=0)], ids=["one request", "with retry"])
def test_a_request_takes_a_stage_that_sorts_frames(retry: Retry | None, is_async: bool) -> None:
    """As `Stream` and `resilient` do."""
    message = read(len(WHOLE), retry, is_async=is_async)

    assert (TEXT, "complete") == (message.text, message.ending)


@pytest.mark.slow
@pytest.mark.parametrize("is_async", [False, True], ids=["connect", "aconnect"])
def test_the_rest_of_a_broken_answer_is_sorted_too(is_async: bool) -> None:
    """Wherever it breaks: the numbers go on over the next connection."""
    expected = read(len(WHOLE), None, is_async=is_async)
    for cut in range(1, len(WHOLE) - 1):
        assert expected.parts == read(cut, Retry(wait=0), is_async=is_async).parts, cut
