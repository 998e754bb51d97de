"""AG-UI: what the protocol's own package writes and makes."""

from __future__ import annotations

import json

import pytest

from tests.formats.told import tell
from tests.support.formats import AGUI
from tests.support.packages import needed
from tests.support.reading import read
from tokenstream.events import PartDone


@pytest.mark.slow
def test_what_the_protocols_own_encoder_writes_is_read() -> None:
    core, encoder = needed("ag_ui.core"), needed("ag_ui.encoder")
    events = [
        core.RunStartedEvent(thread_id="t", run_id="r"),
        core.StepStartedEvent(step_name="s"),
        core.ReasoningStartEvent(message_id="q"),
        core.ReasoningMessageStartEvent(message_id="q"),
        core.ReasoningMessageContentEvent(message_id="q", delta="Hm"),
        core.ReasoningMessageEndEvent(message_id="q"),
        core.ReasoningEncryptedValueEvent(subtype="message", entity_id="q", encrypted_value="ZW5j"),
        core.ReasoningEndEvent(message_id="q"),
        core.TextMessageStartEvent(message_id="m", role="assistant"),
        core.TextMessageContentEvent(message_id="m", delta="Grüß "),
        core.TextMessageContentEvent(message_id="m", delta="dich 🌊\n"),
        core.TextMessageEndEvent(message_id="m"),
        core.TextMessageChunkEvent(message_id="n", delta="!"),
        core.ToolCallStartEvent(tool_call_id="c", tool_call_name="ls", parent_message_id="m"),
        core.ToolCallArgsEvent(tool_call_id="c", delta='{"all": true}'),
        core.ToolCallEndEvent(tool_call_id="c"),
        core.ToolCallResultEvent(message_id="x", tool_call_id="c", content="a.txt"),
        core.ToolCallChunkEvent(tool_call_id="d", tool_call_name="pwd", delta="{}"),
        core.StateSnapshotEvent(snapshot={"a": 1}),
        core.StateDeltaEvent(delta=[{"op": "add", "path": "/b", "value": 2}]),
        core.ActivitySnapshotEvent(message_id="y", activity_type="plan", content={}),
        core.CustomEvent(name="n", value=1),
        core.RawEvent(event={"a": 1}),
        core.StepFinishedEvent(step_name="s"),
        core.RunFinishedEvent(
            thread_id="t", run_id="r", usage=[core.TokenUsage(input_tokens=3, output_tokens=2)]
        ),
    ]
    body = "".join(map(encoder.EventEncoder().encode, events)).encode()
    for chunks in ([body], [body[at : at + 1] for at in range(len(body))]):
        reading = read(chunks)
        message = reading.message

        assert ("ag-ui", None, {}) == (reading.format, reading.error, reading.departures)
        assert ("Grüß dich 🌊\n!", "Hm", "complete") == (message.text, message.reasoning, message.ending)
        assert [("ls", {"all": True}), ("pwd", {})] == [(c.name, c.arguments) for c in reading.calls()]
        assert 2 == (message.usage.output_tokens)


def test_every_event_of_the_protocols_package_is_known() -> None:
    """A type that the package has and we do not would be carried as unknown, without its meaning."""
    types = {event.value for event in needed("ag_ui.core").EventType}

    assert {kind for kind in types if AGUI.recognises({"type": kind}, "") is not False} == types


def test_objects_of_the_package_are_payloads() -> None:
    """Dumped by alias, as the package itself writes them."""
    core = needed("ag_ui.core")
    dumped = [
        json.loads(event.model_dump_json(by_alias=True))
        for event in (
            core.RunStartedEvent(thread_id="t", run_id="r"),
            core.TextMessageChunkEvent(message_id="m", delta="Hi"),
            core.RunFinishedEvent(thread_id="t", run_id="r"),
        )
    ]
    told = tell(AGUI(), *dumped, plain=True)

    assert ("Hi", None) == (told.message.text, told.error)
    assert any(isinstance(event, PartDone) for event in told.events)
