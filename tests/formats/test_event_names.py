"""The name of a server-sent event, and the type that its payload has, in the formats that have both."""

from __future__ import annotations

import json
from typing import Any

from tests.formats.told import Told, tell
from tests.support import registry
from tests.support.recordings import frames_of
from tests.support.tables import in_one_test
from tokenstream import testing
from tokenstream.framing import ServerSentEvent
from tokenstream.limits import DEFAULT_LIMITS

SCRIPT = testing.script().text("Hel", "lo", "!").tool_call("ring", {"bird": "tern"}).finish("tool_calls")
FORMATS = {
    "anthropic": "type",
    "cohere": "type",
    "gemini-interactions": "event_type",
    "openai-responses": "type",
    "ag-ui": "type",
    "ui-message": "type",
}
"""The field that has the type."""
NAMED = ["anthropic", "cohere", "openai-responses"]
"""The formats whose documents have the name, too."""


def payloads_of(format: str) -> list[dict[str, Any]]:
    frames: list[Any] = frames_of(b"".join(SCRIPT.chunks(format)))
    bodies = [frame if isinstance(frame, bytes) else frame.payload for frame in frames]
    return [json.loads(body) for body in bodies if body != b"[DONE]"]


def read(format: str, events: list[tuple[str, dict[str, Any]]], id: str = "") -> Told:
    frames = [ServerSentEvent(json.dumps(payload).encode(), name, id) for name, payload in events]
    return tell(registry.create(format, limits=DEFAULT_LIMITS), *frames)


def seen(told: Told) -> Any:
    return told.texts, [call.arguments for call in told.calls], told.reason, told.error


@in_one_test("format", FORMATS)
def test_the_type_of_the_payload_counts_and_without_it_the_name_of_the_event(format: str) -> None:
    """Proxies drop names or put wrong ones back; servers that name their events may leave the type out."""
    field, payloads = FORMATS[format], payloads_of(format)
    types = [payload[field] for payload in payloads]
    bare = [{name: value for name, value in payload.items() if name != field} for payload in payloads]
    plain = read(format, list(zip(types, payloads, strict=True)))
    untyped = read(format, list(zip(types, bare, strict=True)))
    # What Cohere sends under the name of an error is one.
    wrong = "citation-end" if format == "cohere" else "error"
    misnamed = read(format, [(wrong, payload) for payload in payloads])
    nameless = [read(format, [("message", payload) for payload in payloads], id) for id in ("", "7")]

    assert (["Hel", "lo", "!"], [{"bird": "tern"}], "tool_calls", None) == seen(plain)
    assert [seen(plain)] * 4 == [seen(told) for told in (untyped, misnamed, *nameless)]
    assert len(payloads) == untyped.departures["type_missing"]
    if format in NAMED:
        assert len(payloads) == misnamed.departures["event_name_differs"]
        assert [len(payloads)] * 2 == [told.departures["event_name_missing"] for told in nameless]
