"""The streams of mistralai's SDK, over real connections."""

from __future__ import annotations

from typing import Any

import pytest

from tests._sources import scenarios
from tests._sources.scenarios import FRAMINGS, Body
from tests._sources.sdks import AtOnce, Closing, Cut, Garbage, Reading, on_asyncio, opening, opening_async
from tests.stream.bodies import chunk
from tests.support.packages import needed
from tests.support.wire import DONE

client_module = needed("mistralai.client")

# Importing the SDK takes seconds on a busy machine.
pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]

CALL = {"id": "a1b2c3d4e", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}, "index": 0}
CHAT = Body(
    "openai-chat",
    [
        chunk({"role": "assistant", "content": ""}) + chunk({"content": "Let "}),
        chunk({"content": "me "}),
        chunk({"content": "see – 🌊."}),
        b"".join(
            [
                chunk(
                    {"content": "", "tool_calls": [CALL]},
                    "tool_calls",
                    usage={"prompt_tokens": 7, "completion_tokens": 21, "total_tokens": 28},
                ),
                DONE,
            ]
        ),
    ],
    ["Let ", "me ", "see – 🌊."],
)
THINKING = Body(
    "openai-chat",
    [
        chunk({"role": "assistant", "content": ""})
        + chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]})
        + chunk({"content": "Let "}),
        chunk({"content": "me see."}),
        chunk({"content": ""}, "stop") + DONE,
    ],
    ["Let ", "me see."],
)
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Weather?"}]}


def _client(url: str) -> Any:
    return client_module.Mistral(api_key="k", server_url=url)


_stream = opening(_client, lambda client: client.chat.stream(**ASKED))
_entered = opening(_client, lambda client: client.chat.stream(**ASKED), is_entered=True)
_async_stream = opening_async(_client, lambda client: client.chat.stream_async(**ASKED), is_awaited=True)
_async_unawaited = opening_async(_client, lambda client: client.chat.stream_async(**ASKED))


OPENERS = {"stream": _stream, "entered": _entered}
ASYNC_OPENERS = {"stream_async": _async_stream, "stream_async not awaited": _async_unawaited}
BODIES = {"chat": CHAT, "thinking": THINKING}
OPENED = {
    f"{way}, {name}": (opener, body) for way, opener in OPENERS.items() for name, body in BODIES.items()
}
ASYNC_OPENED = {
    f"{way}, {name}": (opener, body) for way, opener in ASYNC_OPENERS.items() for name, body in BODIES.items()
}


class TestStreams(Reading, AtOnce, Cut, Closing, Garbage):
    """What holds for the streams of any SDK; the response beneath is read."""

    openers = OPENED
    async_openers = ASYNC_OPENED
    framings = FRAMINGS
    items = "mistralai.client.models.completionevent.CompletionEvent"


@on_asyncio
async def test_a_refused_request_is_a_status_error() -> None:
    """Where the stream awaits the request, the SDK's exception is told as ours."""
    await scenarios.raises_what_a_status_means(_async_unawaited)
