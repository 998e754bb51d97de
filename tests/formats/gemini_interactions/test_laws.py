"""The Interactions API: bounds, and laws that hold for every answer."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.formats.gemini_interactions.support import (
    USAGE,
    WHOLE,
    completed,
    created,
    delta,
    event,
    read,
    start,
    stop,
)
from tests.formats.told import reads_alike_at_a_glance
from tests.support.formats import GeminiInteractions
from tokenstream.errors import LimitExceeded
from tokenstream.limits import Limits


@given(st.lists(st.text('ab\\"\n}é🎉', min_size=1, max_size=4), max_size=9))
def test_thoughts_known_by_their_bytes_give_what_decoding_gives(pieces: list[str]) -> None:
    """A summary comes in pieces, as text does."""
    summaries = [delta(0, "thought_summary", content={"type": "text", "text": piece}) for piece in pieces]
    written = [(name, json.dumps(payload).encode()) for name, payload in summaries]
    frames = [created(), start(0, "thought"), *written, stop(0), completed()]

    reads_alike_at_a_glance(GeminiInteractions, frames)


def test_open_steps_are_bounded() -> None:
    """A step without content holds memory too."""
    told = read(*[start(index, "model_output") for index in range(9)], limits=Limits(parts=4))

    assert isinstance(told.error, LimitExceeded)
    assert told.error.limit == "parts"
    closed = [each for index in range(9) for each in (start(index, "model_output"), stop(index))]
    assert read(*closed, completed(), limits=Limits(parts=4)).error is None


EVERYTHING: list[Any] = [
    created(),
    event("interaction.status_update", status="in_progress", continuation_token="t", event_id="e1"),
    start(0, "thought", signature="c2ln"),
    delta(0, "thought_summary", content={"type": "text", "text": "a"}),
    delta(0, "thought_signature", signature="c2ln"),
    stop(0, step_usage=USAGE),
    start(1, "model_output", content=[{"type": "text", "text": "a"}]),
    delta(1, "text", text="b"),
    delta(1, "text_annotation_delta", annotations=[{"type": "url_citation", "url": "u"}]),
    delta(1, "audio", data="AAAA"),
    delta(1, "image", data="AAAA"),
    stop(1),
    start(2, "function_call", id="c1", name="f", arguments={}),
    delta(2, "arguments_delta", arguments='{"a": 1}'),
    stop(2),
    start(3, "google_search_call", id="s"),
    delta(3, "google_search_call", arguments={"q": 1}),
    stop(3),
    start(4, "google_search_result", call_id="s"),
    delta(4, "google_search_result", result=[]),
    stop(4),
    event("content.start", index=5, content={"type": "text", "text": "a"}),
    completed("requires_action", usage=USAGE),
    completed("failed", errors=[{"code": "internal", "message": "m"}]),
    event("interaction.completed", interaction=WHOLE),
    WHOLE,
    event("error", error={"code": "internal", "message": "m"}),
]
