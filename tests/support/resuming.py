"""Answers that are cut, saved as a checkpoint, and resumed in another stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.formats.gemini_interactions.support import DONE, completed, created, delta, start, stop
from tests.formats.gemini_interactions.support import event as step_event
from tests.formats.openai_responses.test_properties import EVERYTHING
from tests.support import wire
from tests.support.recordings import ours, shared
from tokenstream import Checkpoint, Message, Stream
from tokenstream.errors import StreamError
from tokenstream.events import Event
from tokenstream.framing import SSEParser

RESUMABLE = ("gemini-interactions", "openai-responses")


class Answer(NamedTuple):
    """An answer, as the bytes of its SSE events."""

    name: str
    format: Any
    chunks: list[bytes]


class Came(NamedTuple):
    """Everything that a user sees of an answer, or of the rest of one."""

    events: list[Event]
    message: Message
    delivered: tuple[str, ...]
    error: type[Exception] | None
    text: str


def read(stream: Stream) -> Came:
    events: list[Event] = []
    error = None
    try:
        events.extend(stream)
    except StreamError as failed:
        error = type(failed)
    try:
        text = "".join(stream.text)
    except StreamError:
        text = stream.message.text
    return Came(events, stream.message, stream.checkpoint().tool_calls_delivered, error, text)


def stored(checkpoint: Checkpoint) -> Checkpoint:
    return Checkpoint.model_validate_json(checkpoint.model_dump_json())


def standing(answer: Answer) -> Iterator[tuple[int, Checkpoint]]:
    """Yield the number of events and the checkpoint, before the first event and after each."""
    stream = Stream(answer.chunks, format=answer.format)
    count = 0
    yield count, stream.checkpoint()
    try:
        for count, _ in enumerate(stream, 1):
            yield count, stream.checkpoint()
    except StreamError:
        # It has its own checkpoint.
        return


def rest_of(answer: Answer, position: int | str | None, chunks: list[bytes]) -> list[bytes]:
    """Return a server's events after a position, that of the last of these chunks that has one."""
    places = [place for place, chunk in enumerate(chunks) if position_in(answer, chunk) == position]
    return chunks[places[-1] + 1 :]


def position_in(answer: Answer, chunk: bytes) -> int | str | None:
    (frame,) = SSEParser().frames(chunk)
    payload = frame.payload if not isinstance(frame, bytes) else frame
    if payload == b"[DONE]":
        return None
    name = "sequence_number" if answer.format == "openai-responses" else "event_id"
    found: int | str | None = json.loads(payload).get(name)
    return found


def is_numbered(answer: Answer) -> bool:
    """True if each event has its own position."""
    places = [position_in(answer, chunk) for chunk in answer.chunks]
    if places[-1] is None:
        del places[-1]
    if answer.format == "openai-responses":
        return places == [*range(len(places))]
    return None not in places and len(places) == len({*places})


def chunks_of(body: bytes) -> list[bytes]:
    """Return the events of a body, each with its end; comments are none."""
    events = body.replace(b"\r\n", b"\n").split(b"\n\n")
    return [event + b"\n\n" for event in events if any(line[:5] == b"data:" for line in event.split(b"\n"))]


def recorded() -> list[Answer]:
    """Return the recordings of formats whose servers resume answers, and one answer with everything."""
    found = [
        Answer(each.name, each.format, chunks_of(each.body))
        for each in (*ours(), *shared(*RESUMABLE))
        if each.format in RESUMABLE and b"data:" in each.body
    ]
    return [each for each in found if len(each.chunks) > 1]


def _numbered(frames: list[tuple[str, Any]]) -> list[bytes]:
    return [
        wire.sse(
            "[DONE]" if isinstance(payload, bytes) else {**payload, "event_id": f"e{number}"}, event=name
        )
        for number, (name, payload) in enumerate(frames)
    ]


HALF = "\ud83d"


def _kept(payloads: list[Any]) -> Iterator[Any]:
    """Yield the events of a response that its provider keeps, each with the id of its item."""
    ids = {each["output_index"]: each["item"].get("id") for each in payloads if "item" in each}
    first, *rest = payloads
    yield {**first, "response": {**first["response"], "background": True}}
    for each in rest:
        yield {**each, "item_id": ids[each["output_index"]]} if "item_id" in each else each


RESPONSE = Answer("everything", "openai-responses", wire.sses(*_kept(EVERYTHING)))
"""A response with every kind of item."""
INTERACTION = Answer(
    "steps",
    "gemini-interactions",
    _numbered(
        [
            created(),
            start(0, "thought"),
            delta(0, "thought_summary", content={"type": "text", "text": "Hm"}),
            delta(0, "thought_signature", signature="c2ln"),
            stop(0),
            start(1, "model_output"),
            delta(1, "text", text="Hel"),
            delta(1, "text", text="lo " + HALF),
            delta(1, "text", text="\ude00."),
            delta(
                1, "text_annotation_delta", annotations=[{"type": "url_citation", "url": "https://a.test"}]
            ),
            delta(1, "audio", data="AAAA", mime_type="audio/mpeg"),
            delta(1, "audio", data="AAAA"),
            stop(1),
            start(2, "function_call", id="c1", name="now", arguments={"a": 1}),
            stop(2),
            start(3, "function_call", id="c2", name="remove", arguments={}),
            start(4, "google_search_call", id="s1"),
            delta(3, "arguments_delta", arguments='{"path": "/t'),
            delta(3, "arguments_delta", arguments='mp"}'),
            delta(4, "google_search_call", arguments={"queries": ["cats"]}),
            stop(3),
            stop(4),
            start(5, "google_search_result", call_id="s1", result=[{"url": "https://a.test"}]),
            stop(5),
            start(6, "macaw", color="red"),
            step_event("interaction.status_update", status="in_progress", usage={"total_tokens": 3}),
            stop(6),
            completed(usage={"total_tokens": 7}),
            DONE,
        ]
    ),
)
"""An interaction with every kind of step."""
SCRIPTED = [RESPONSE, INTERACTION]
