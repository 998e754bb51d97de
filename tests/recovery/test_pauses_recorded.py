"""Real compactions of Anthropic, in two requests: one pauses after its compaction, and one goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import wire
from tests.support.beside import SHARED, needs_recordings
from tokenstream import Message, Retry, Stream, resilient
from tokenstream.framing import SSEParser
from tokenstream.recovery import Attempt

COMPACTIONS = ["compaction-1-c6a584b9", "compaction-response-4e3381c9"]
QUESTION = {"role": "user", "content": "Sum it up."}


def body_of(name: str) -> bytes:
    return next((SHARED / "recordings" / "anthropic").glob(f"*{name}.sse")).read_bytes()


def split(body: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the answer as the API sends it with `pause_after_compaction`, in two responses.

    The tokens of the compaction are in `iterations` alone; those of the rest are the answer's.
    """
    parser = SSEParser()
    start: dict[str, Any]
    events: list[dict[str, Any]]
    start, *events = [json.loads(event.data) for event in [*parser.feed(body), *parser.end()]]
    last = next(place for place, event in enumerate(events) if event["type"] == "content_block_stop")
    paused, following = events[: last + 1], events[last + 1 :]
    ended = next(event for event in following if event["type"] == "message_delta")
    spent = [each for each in ended["usage"].pop("iterations", []) if each["type"] == "compaction"]
    usage = {"input_tokens": 0, "output_tokens": 0, "iterations": spent}
    delta = {"stop_reason": "compaction", "stop_sequence": None}
    paused += [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]
    begun: dict[str, Any] = {**start, "message": {**start["message"], "id": "msg_2"}}
    rest: list[dict[str, Any]] = [{**event, "index": 0} if "index" in event else event for event in following]
    return (
        [wire.sse(event, event=event["type"]) for event in (start, *paused)],
        [wire.sse(event, event=event["type"]) for event in (begun, *rest)],
    )


@needs_recordings
@pytest.mark.parametrize("name", COMPACTIONS)
def test_the_answer_after_a_compaction_is_the_recorded_one(name: str) -> None:
    body = body_of(name)
    legs, asked = split(body), list[Any]()

    def ask(attempt: Attempt) -> list[bytes]:
        asked.append(attempt.request({"messages": [QUESTION]}))
        return legs[len(asked) - 1]

    with resilient(ask, Retry(attempts=9, pauses=8)) as stream:
        message = stream.final()
    whole = Stream(body).final()
    assert whole.parts == message.parts
    assert ["compaction", "end_turn"] == [leg.reason for leg in stream.pauses]
    assert [_compaction(whole)] == asked[1]["messages"][-1]["content"]
    counted = (whole.usage.input_tokens, whole.usage.output_tokens)
    assert counted == (message.usage.input_tokens, message.usage.output_tokens)


def _compaction(message: Message) -> Any:
    return message.to_anthropic()["content"][0]
