"""The streams of cohere's SDK, over real connections: its v2 and v1 clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests._sources import scenarios
from tests._sources.scenarios import Body, Opener, body_of
from tests._sources.sdks import AtOnce, Closing, Cut, Garbage, Reading, opening, opening_async
from tests.support.either import at_once
from tests.support.loopback import Loopback, chunked
from tests.support.packages import needed
from tests.support.wire import DONE, sse
from tokenstream import Stream, testing
from tokenstream.errors import ProviderError

cohere = needed("cohere")

# Importing the SDK takes seconds on a busy machine.
pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]


USAGE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 21},
    "tokens": {"input_tokens": 7, "output_tokens": 24},
    "cached_tokens": 2,
}
_SAID = body_of("cohere", testing.script().reasoning("Hm.")).frames
_PLAN = {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will ask."}}}
_CALLED = _SAID[-1].replace(
    b"event: tool-call-start", sse(_PLAN, event="tool-plan-delta") + b"event: tool-call-start"
)
V2 = Body("cohere", [*_SAID[:-1], _CALLED + DONE], ["Let ", "me ", "see – 🌊."])
"""With a plan before the call, and with a sentinel, which scripts lack."""


def line(kind: str, **fields: Any) -> bytes:
    payload = {"is_finished": kind == "stream-end", "event_type": kind, **fields}
    return json.dumps(payload, ensure_ascii=False).encode() + b"\n"


V1 = Body(
    "cohere",
    [
        line("stream-start", generation_id="g1") + line("text-generation", text="Let "),
        line("text-generation", text="me "),
        line("text-generation", text="see – 🌊."),
        line(
            "stream-end",
            finish_reason="COMPLETE",
            response={"text": "Let me see – 🌊.", "generation_id": "g1", "meta": USAGE},
        ),
    ],
    ["Let ", "me ", "see – 🌊."],
)

ASKED: dict[str, Any] = {"model": "command-a", "messages": [{"role": "user", "content": "Weather?"}]}
ASKED_V1: dict[str, Any] = {"model": "command-a", "message": "Weather?"}
OPTIONS: dict[str, Any] = {"api_key": "k", "max_retries": 0}


_v2 = opening(
    lambda url: cohere.ClientV2(base_url=url, **OPTIONS), lambda client: client.chat_stream(**ASKED)
)
_v1 = opening(
    lambda url: cohere.Client(base_url=url, **OPTIONS), lambda client: client.chat_stream(**ASKED_V1)
)
_raw = opening(
    lambda url: cohere.ClientV2(base_url=url, **OPTIONS),
    lambda client: client.with_raw_response.chat_stream(**ASKED),
    is_entered=True,
)
_raw_manager = opening(
    lambda url: cohere.ClientV2(base_url=url, **OPTIONS),
    lambda client: client.with_raw_response.chat_stream(**ASKED),
)
_async_v2 = opening_async(
    lambda url: cohere.AsyncClientV2(base_url=url, **OPTIONS), lambda client: client.chat_stream(**ASKED)
)
_async_v1 = opening_async(
    lambda url: cohere.AsyncClient(base_url=url, **OPTIONS), lambda client: client.chat_stream(**ASKED_V1)
)
_async_raw = opening_async(
    lambda url: cohere.AsyncClientV2(base_url=url, **OPTIONS),
    lambda client: client.with_raw_response.chat_stream(**ASKED),
    is_entered=True,
)


OPENERS = {"v2": (_v2, V2), "v1": (_v1, V1), "raw response": (_raw, V2), "raw manager": (_raw_manager, V2)}
ASYNC_OPENERS = {"v2": (_async_v2, V2), "v1": (_async_v1, V1), "raw response": (_async_raw, V2)}
each_opener = pytest.mark.parametrize(("opener", "body"), OPENERS.values(), ids=OPENERS)


class TestStreams(Reading, AtOnce, Cut, Closing, Garbage):
    """What holds for the streams of any SDK."""

    openers = OPENERS
    async_openers = ASYNC_OPENERS
    untapped = frozenset({"raw response", "raw manager"})
    items = "cohere."


@pytest.mark.parametrize("opener", [_v2, _v1, _raw_manager], ids=["v2", "v1", "raw manager"])
def test_a_refused_request_is_a_status_error(opener: Opener) -> None:
    """The request goes out at the first read; the SDK's exception is told as ours."""
    at_once(scenarios.raises_what_a_status_means(opener))


@each_opener
def test_an_answer_that_failed_is_the_provider_speaking(opener: Opener, body: Body) -> None:
    """The finish reason ERROR ends the answer with an error, whose words are the server's."""
    end = (
        line("stream-end", finish_reason="ERROR", error="busy", response={})
        if body is V1
        else sse(
            {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "busy"}}, event="message-end"
        )
    )
    with (
        Loopback(chunked([*body.frames[:2], end])) as server,
        opener(server.url) as source,
        pytest.raises(ProviderError, match="busy") as caught,
    ):
        Stream(source).final()

    assert ("server", "ERROR", "Let me ") == (caught.value.kind, caught.value.type, caught.value.partial.text)
