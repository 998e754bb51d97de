"""Services that were switched off: an error names them, and says what to use in their place."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support.recordings import shared
from tokenstream import AsyncStream, Decoder, MisuseError, Stream
from tokenstream.errors import NotAStream

RUN = {"id": "run_1", "object": "thread.run", "status": "queued", "model": "m", "last_error": None}
DELTA = {
    "id": "msg_1",
    "object": "thread.message.delta",
    "delta": {"content": [{"index": 0, "type": "text", "text": {"value": "Hel"}}]},
}
FAILED = {**RUN, "status": "failed", "last_error": {"code": "server_error", "message": "m"}}
STEP = {"id": "step_1", "object": "thread.run.step.delta", "delta": {"step_details": {"tool_calls": []}}}
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("thread.run.created", RUN),
    ("thread.message.delta", DELTA),
    ("thread.run.step.delta", STEP),
    ("thread.run.failed", FAILED),
]
SENTENCE = (
    "the stream is a run of OpenAI's Assistants API, which was switched off on 2026-08-26: it is not read; "
    'use the Responses API, format="openai-responses"'
)


def _named(event: str, payload: dict[str, Any]) -> Any:
    return f"event: {event}\ndata: {json.dumps(payload)}\n\n".encode()


def _nameless(_event: str, payload: dict[str, Any]) -> Any:
    return f"data: {json.dumps(payload)}\n\n".encode()


def _object_of_the_sdk(event: str, payload: dict[str, Any]) -> Any:
    return {"event": event, "data": payload}


def _without_kind(event: str, payload: dict[str, Any]) -> Any:
    return _named(event, {key: value for key, value in payload.items() if key != "object"})


@pytest.mark.parametrize("write", [_named, _nameless, _object_of_the_sdk, _without_kind])
@pytest.mark.parametrize(("event", "payload"), EVENTS, ids=[event for event, _ in EVENTS])
def test_a_run_of_assistants_is_an_error_that_names_the_service(
    event: str, payload: dict[str, Any], write: Any
) -> None:
    with pytest.raises(NotAStream) as caught:
        Stream([write(event, payload)]).final()

    assert SENTENCE in str(caught.value)


def test_an_async_stream_says_the_same() -> None:
    async def body() -> Any:
        yield _named(*EVENTS[0])

    async def read() -> None:
        await AsyncStream(body()).final()

    with pytest.raises(NotAStream, match="switched off on 2026-08-26: it is not read; use the Responses API"):
        asyncio.run(read())


def test_an_event_of_the_same_name_with_a_type_is_of_another_service() -> None:
    """The objects of Assistants have no type."""
    with pytest.raises(NotAStream, match="no known format"):
        Stream([_named("thread.message.delta", {"type": "thread.message.delta", "delta": "Hel"})]).final()


@pytest.mark.parametrize("make", [Stream, Decoder], ids=lambda make: make.__name__)
def test_to_name_a_format_of_a_service_that_is_gone_is_misuse(make: Any) -> None:
    options: dict[str, Any] = {"format": "openai-assistants"}
    with pytest.raises(MisuseError, match=r"Assistants API, which was switched off .* use the Responses API"):
        make(*([[]] if make is Stream else []), **options)


@pytest.mark.parametrize("recorded", shared("openai-assistants"), ids=lambda each: each.name)
def test_a_recorded_run_of_assistants_is_that_error(recorded: Any) -> None:
    for body in (recorded.body, recorded.body.partition(b"\n\n")[0] + b"\n\n"):
        with pytest.raises(NotAStream, match="OpenAI's Assistants API, which was switched off"):
            Stream([body]).final()
