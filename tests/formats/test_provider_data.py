"""Fields without an event of their own: one event a payload, and `Unknown` for what no document names."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest

from tests.formats.told import Told
from tests.support import registry
from tests.support.beside import needs_recordings
from tests.support.packages import needed
from tests.support.recordings import Recorded, ours, shared
from tests.support.tables import in_one_test
from tests.support.wire import DONE, chat
from tokenstream import Stream
from tokenstream.errors import StreamError
from tokenstream.events import Event, Finish, ProviderData, Unknown

_FIELD = "unheard"


def _read(recorded: Recorded) -> tuple[list[Event], Stream]:
    stream, events = Stream(recorded.body), list[Event]()
    with suppress(StreamError):
        events.extend(stream)
    return events, stream


_MOST_UNKNOWN = {"openai-chat": 6, "openai-realtime": 161, "ag-ui": 4}
"""Payloads that no format reads, and in `openai-chat` the fields `name` and `sla_metrics` of two servers."""
_MOST_DATA = {"openai-chat": 1_027, "openai-responses": 16}


@needs_recordings
def test_real_servers_send_little_that_is_unknown() -> None:
    """Of the events of real answers, few are `Unknown`, and few more have only the provider's fields."""
    unknown, data = Counter[str](), Counter[str]()
    for recorded in shared():
        for event in _read(recorded)[0]:
            unknown[recorded.format] += isinstance(event, Unknown)
            data[recorded.format] += isinstance(event, ProviderData)
    assert [name for name, count in unknown.items() if count > _MOST_UNKNOWN.get(name, 0)] == []
    assert [name for name, most in _MOST_DATA.items() if data[name] > most] == []


@in_one_test("recorded", ours(), ids=lambda recorded: recorded.name)
def test_a_payload_has_one_event_for_its_fields(recorded: Recorded) -> None:
    events, stream = _read(recorded)
    told = [
        (id(event.raw), event.shared, event.choice) for event in events if isinstance(event, ProviderData)
    ]
    ended = {(id(event.raw), event.choice) for event in events if isinstance(event, Finish)}

    assert len(told) == len(set(told)), recorded.name
    for event in events:
        if isinstance(event, ProviderData) and not event.shared:
            assert not event.data or (id(event.raw), event.choice) not in ended
        if isinstance(event, ProviderData):
            assert {*event.data, *event.lists} <= stream.messages[event.choice].provider_data.keys()
    unknown = {event.name for event in events if isinstance(event, Unknown)}
    assert unknown.isdisjoint(stream.message.provider_data), "a field of a recording has no document"


def test_choices_in_turns_have_the_fields_that_came_with_the_finish_of_the_first() -> None:
    """A field of the answer belongs to each of its choices, also if it is not sent again."""
    first: dict[str, Any] = {_FIELD: 1}
    second: dict[str, Any] = {_FIELD: 2}
    sent = [
        chat({"content": "a"}),
        chat({}, "stop", service_tier="flex", **first),
        chat({"content": "b"}, index=1, **second),
        chat({}, "stop", index=1),
    ]
    stream = Stream([*sent, DONE])

    stream.final()
    for message in stream.messages:
        assert ("flex", 2) == (message.provider_data["service_tier"], message.provider_data[_FIELD])


_CHUNK = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
_SDK_TYPES: list[tuple[str, str, Any]] = [
    ("openai-chat", "openai.types.chat:ChatCompletionChunk", _CHUNK),
    ("openai-responses", "openai.types.responses:Response", ("response.created", "response")),
    ("openai-realtime", "openai.types.realtime:RealtimeResponse", ("response.created", "response")),
    ("anthropic", "anthropic.types.beta:BetaMessage", ("message_start", "message")),
    ("gemini", "google.genai.types:GenerateContentResponse", {"candidates": []}),
    ("gemini", "google.genai.types:Candidate", {"content": {"parts": [{"text": "Hi"}]}}),
    ("ag-ui", "ag_ui.core:RunFinishedEvent", {"type": "RUN_FINISHED", "runId": "r"}),
    ("cohere", "cohere:NonStreamedChatResponse", {"text": "Hi", "generation_id": "g"}),
    ("ollama", "ollama:GenerateResponse", {"model": "m", "response": "Hi", "done": False}),
    ("mistral-conversations", "mistralai.client.models:MessageOutputEvent", {"type": "message.output.delta"}),
]


@pytest.mark.parametrize(
    ("name", "place", "payload"), _SDK_TYPES, ids=lambda each: each if ":" in each else ""
)
def test_what_an_sdk_names_is_documented(name: str, place: str, payload: Any) -> None:
    """A field of the provider's SDK is read, or it is told as a field of the provider."""
    module, _, of = place.partition(":")
    needed(module.partition(".")[0])
    sdk_type = getattr(import_module(module), of)
    for field, info in sdk_type.model_fields.items():
        key = info.alias or field
        if isinstance(payload, tuple):
            sent: Any = {"type": payload[0], payload[1]: {"id": "a", key: [{"x": 1}]}}
        else:
            sent = {**payload, key: payload.get(key, [{"x": 1}])}
        sent = {"candidates": [sent]} if of == "Candidate" else sent
        told = Told(registry.load(name)()).read([json.dumps(sent).encode()])

        assert key not in told.unknown
