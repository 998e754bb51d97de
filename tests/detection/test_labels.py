"""Labels of a body and paths of endpoints count where its bytes do not tell; no payload is of two formats."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detection.support import CHAT, greets, respond
from tests.support import registry, wire
from tests.support.chunkings import bytewise
from tests.support.paths import PATHS
from tests.support.reading import read
from tests.support.recordings import frames_of, ours, shared
from tests.support.tables import in_one_test
from tests.support.wire import DONE, sse
from tokenstream._providers.apis import APIRecord, all_apis
from tokenstream.errors import NotAStream, StreamTruncated
from tokenstream.framing import EventStreamMessage, ServerSentEvent


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "text/plain; charset=utf-8", "application/json"]
)
def test_a_wrong_content_type_is_a_departure(content_type: str) -> None:
    """The bytes are SSE, so it is a stream, and the label is counted."""
    reading = respond(CHAT, content_type)

    assert greets(reading, "openai-chat")
    assert {"content_type_wrong": 1} == reading.departures


@pytest.mark.parametrize("content_type", ["text/event-stream", "Text/Event-Stream;charset=UTF-8", None])
def test_the_right_content_type_or_none_is_no_departure(content_type: str | None) -> None:
    """Upper case and parameters are part of the standard, and sources without a head have no label."""
    reading = respond(CHAT, content_type)

    assert greets(reading, "openai-chat")
    assert {} == reading.departures


def test_the_charset_of_a_stream_is_utf_8_whatever_its_label_says() -> None:
    """SSE has no other encoding."""
    reading = respond(wire.chat({"content": "€"}) + wire.DONE, "text/event-stream; charset=iso-8859-1")

    assert "€" == reading.message.text


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("body", [b"", b"\n", b": ping\n\n", b"retry: 10\n\n"], ids=repr)
def test_a_body_without_an_event_is_truncated(status: int, body: bytes) -> None:
    reading = respond(b"" if status == 204 else body, status=status)
    error = reading.error

    assert isinstance(error, StreamTruncated)
    assert (0, True) == (error.events_seen, error.retryable)
    assert ("truncated", ()) == (reading.message.ending, reading.message.parts)
    assert reading.closed


def _first_objects(body: bytes, most: int) -> list[tuple[dict[str, Any], str]]:
    """Return the first payloads of a body that are JSON objects, each with its event's name."""
    found = []
    for frame in frames_of(body)[:most]:
        event, payload = "", frame
        if isinstance(frame, ServerSentEvent | EventStreamMessage):
            event, payload = frame.event, frame.payload
        try:
            value = json.loads(payload) if isinstance(payload, bytes) else payload
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append((value, "" if event == "message" else event))
    return found


@pytest.mark.not_quick
def test_no_payload_is_claimed_by_two_formats() -> None:
    """The order in which formats are asked does not matter, and the commonest may be asked first."""
    claimed = {
        (recorded.name, names)
        for recorded in [*ours(), *shared()]
        for payload, event in _first_objects(recorded.body, 6)
        if len(names := tuple(n for n in registry.names() if registry.load(n).recognises(payload, event))) > 1
    }

    assert set() == claimed


@pytest.mark.parametrize(
    "body, name",
    [
        (DONE, "openai-chat"),
        (sse('{"choices":[]}'), "openai-chat"),
        (sse('{"choices":[]}') + DONE, "openai-chat"),
        (sse('{"type":"start"}'), "ui-message"),
        (sse('{"type":"start"}') + DONE, "ui-message"),
    ],
)
def test_a_body_that_ends_before_it_tells_is_of_the_only_format_it_can_be(body: bytes, name: str) -> None:
    """What little came is read as such, so that a cut is a cut and not an unknown format."""
    for chunks in (bytewise(body), [body]):
        reading = read(chunks)

        assert name == reading.format
        assert not isinstance(reading.error, NotAStream)


@in_one_test(("path", "format"), PATHS.items())
def test_a_path_has_one_format(path: str, format: str) -> None:
    """No path matches two rows, so that their order says nothing."""
    matching = [name for end, name in registry.path_patterns() if end.search(path)]

    assert [format] == matching
    assert format == registry.format_of_path(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "api", [api for api in all_apis() if api.paths is not None], ids=lambda api: api.name
)
@given(st.data())
def test_no_path_of_an_api_is_that_of_another(api: APIRecord, data: st.DataObject) -> None:
    path = data.draw(st.from_regex(f"^(/v1|/models/m)?(?:{api.paths})$", fullmatch=True))

    assert [api.name] == [name for end, name in registry.path_patterns() if end.search(path)]


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/chat", "/v1/models", "/completionsx"])
def test_other_paths_have_none(path: str) -> None:
    assert registry.format_of_path(path) is None
