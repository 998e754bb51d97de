"""What one piece of a body has behind the provider's error is read before the error is raised."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.wire import chat_payload, sses
from tokenstream import AsyncStream, Retry, Stream, aresilient
from tokenstream.errors import ProviderError
from tokenstream.events import TextDelta

COUNTS = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16, "cost": 0.25}
FRAMES = sses(
    chat_payload({"content": "Hel"}),
    {"error": {"code": 502, "message": "upstream"}},
    chat_payload({"content": "lo"}, "stop"),
    {"choices": [], "usage": COUNTS},
    "[DONE]",
)
PIECE = b"".join(FRAMES)


async def one_piece() -> AsyncIterator[bytes]:
    yield PIECE


def told(usage: Any) -> tuple[Any, Any]:
    return usage.output_tokens, usage.cost


@pytest.mark.parametrize("source", [[PIECE], FRAMES, iter([PIECE]), (each for each in [PIECE])])
def test_a_failed_answer_has_its_counts_however_it_came(source: Any) -> None:
    stream, words = Stream(source), list[str]()
    with pytest.raises(ProviderError, match="upstream") as caught:
        words.extend(event.text for event in stream if isinstance(event, TextDelta))

    assert caught.value.partial is not None
    assert ("Hel", (9, 0.25)) == (caught.value.partial.text, told(caught.value.partial.usage))


@pytest.mark.anyio
async def test_an_async_generator_and_its_attempts_have_the_counts_too() -> None:
    with pytest.raises(ProviderError) as caught:
        await AsyncStream(one_piece()).final()
    stream = aresilient(lambda _: one_piece(), Retry(attempts=2, wait=0, again=True))
    with pytest.raises(ProviderError):
        await stream.final()

    assert caught.value.partial is not None
    usages = [caught.value.partial.usage, *(each.usage for each in stream.attempts)]
    assert [(9, 0.25)] * 3 == [told(usage) for usage in usages]


def test_a_generator_is_not_asked_for_more_after_an_error() -> None:
    stream = Stream(each for each in FRAMES)
    with pytest.raises(ProviderError):
        stream.final()

    assert None is stream.message.usage.cost
