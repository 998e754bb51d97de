"""The clients of Ollama, AG-UI and the AI SDK read from a script's bytes what it says.

The AI SDK runs in Node, where `TOKENSTREAM_NODE` names a folder that has it; without it
the same scripts are held against the rules of its schema and of its accumulator.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.compare.sdks.relay.heard import PATIENT, Heard, Law, few
from tests.relay.sent import bare
from tests.support.effort import examples, trials
from tests.support.encoders import load
from tests.support.node import node_with
from tests.support.packages import needed
from tests.support.scripts import scripts
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.message import FinishReason
    from tokenstream.testing import Script

_READER = Path(__file__).with_name("ui_messages.mjs")
_BREAKING = {"ollama": "\x85"}
"""Characters at which a client ends a line that has not ended, as httpx does; Ollama escapes the others."""


# -- Ollama ---------------------------------------------------------------------


def by_ollama(chunks: list[bytes]) -> Heard:
    """Add up the lines of `ollama.Client.chat`."""
    ollama = needed("ollama")
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=iter(chunks)))
    heard = Heard()
    with ollama.Client(host="http://sdk.test", transport=transport) as client:
        lines = list(client.chat("m", [{"role": "user", "content": "Hi"}], stream=True))
    for line in lines:
        heard.text += line.message.content or ""
        heard.reasoning += line.message.thinking or ""
        heard.calls += [
            ("", call.function.name, dict(call.function.arguments)) for call in line.message.tool_calls or ()
        ]
        heard.end = line.done_reason or heard.end
    assert [False] * (len(lines) - 1) + [True] == [line.done for line in lines]
    return heard


# -- AG-UI ----------------------------------------------------------------------


class Run:
    """What AG-UI's reference client makes of a run, with the order that it enforces."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.open: dict[tuple[str, str], list[str]] = {}
        """The pieces of what has begun, by what it is and its id."""
        self.over = False

    def take(self, event: Any) -> None:
        """Take an event of ag-ui-protocol."""
        kind = event.type.value
        assert not self.over, f"{kind} comes after the end"
        assert ("run", "") in self.open or kind in ("RUN_STARTED", "RUN_ERROR"), f"{kind} comes first"
        noun, _, act = kind.rpartition("_")
        name = getattr(event, "tool_call_id", None) or getattr(event, "message_id", None) or ""
        if noun == "RUN":
            getattr(self, f"_{act.lower()}")(event)
        elif act == "START":
            assert (noun, name) not in self.open, f"{name} has begun already"
            self.open[noun, name] = [getattr(event, "tool_call_name", "")]
        elif act == "END":
            self._close(noun, self.open.pop((noun, name)), name)
        else:
            self.open[noun, name].append(event.delta)

    def _started(self, event: Any) -> None:
        assert event.thread_id
        assert event.run_id
        self.open["run", ""] = []

    def _finished(self, event: Any) -> None:
        assert [("run", "")] == list(self.open), "a run ends when all in it has ended"
        # What AG-UI has no outcome for is in the metadata, which its clients hand to the application.
        told = (event.metadata or {}).get("tokenstream", {})
        self.heard.end, self.over = told.get("finishReason", event.outcome.type), True

    def _close(self, noun: str, pieces: list[str], name: str) -> None:
        tool, *rest = pieces
        if noun == "TOOL_CALL":
            self.heard.calls.append((name, tool, json.loads("".join(rest))))
        elif noun == "TEXT_MESSAGE":
            self.heard.text += "".join(rest)
        elif noun == "REASONING_MESSAGE":
            self.heard.reasoning += "".join(rest)


@cache
def _run_events() -> TypeAdapter[Any]:
    event: Any = needed("ag_ui.core").Event
    return TypeAdapter(event)


def by_ag_ui(chunks: list[bytes]) -> Heard:
    """Read each event with the types of ag-ui-protocol, which know all of its fields."""
    run = Run()
    for payload in bare(chunks):
        event = _run_events().validate_python(payload)
        assert payload == event.model_dump(mode="json", by_alias=True)
        assert not event.model_extra
        run.take(event)
    assert run.over
    return run.heard


# -- the AI SDK -------------------------------------------------------------------

_ID, _CALL = {"id": str}, {"toolCallId": str}
_CHUNKS: dict[str, dict[str, Any]] = {
    "start": {"messageId": str},
    "start-step": {},
    "text-start": _ID,
    "text-delta": {**_ID, "delta": str},
    "text-end": _ID,
    "reasoning-start": _ID,
    "reasoning-delta": {**_ID, "delta": str},
    "reasoning-end": _ID,
    "tool-input-start": {**_CALL, "toolName": str},
    "tool-input-delta": {**_CALL, "inputTextDelta": str},
    "tool-input-available": {**_CALL, "toolName": str, "input": object},
    "message-metadata": {"messageMetadata": dict},
    "abort": {},
    "finish-step": {},
    "finish": {"finishReason": str},
}
"""The fields that a chunk of each type must have by the SDK's schema; `messageMetadata` it may have."""


class Chat:
    """What the accumulator of the AI SDK makes of chunks: a delta needs its start."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.open: set[str] = set()
        self.inputs: dict[str, str] = {}

    def take(self, chunk: dict[str, Any]) -> None:
        """Take a chunk."""
        kind, known = chunk["type"], _CHUNKS[chunk["type"]]
        assert known.keys() <= chunk.keys() <= {"type", "messageMetadata", *known}
        assert all(isinstance(chunk[name], expected) for name, expected in known.items())
        noun, _, act = kind.rpartition("-")
        name = chunk.get("id", chunk.get("toolCallId", ""))
        if noun == "tool-input":
            self._call(act, name, chunk)
        elif noun in ("text", "reasoning"):
            self._text(noun, act, name, chunk)
        elif kind in ("finish", "abort"):
            self.heard.end = chunk.get("finishReason", kind)

    def _text(self, noun: str, act: str, name: str, chunk: dict[str, Any]) -> None:
        if act == "start":
            self.open.add(name)
        elif act == "end":
            self.open.remove(name)
        else:
            assert name in self.open
            setattr(self.heard, noun, getattr(self.heard, noun) + chunk["delta"])

    def _call(self, act: str, name: str, chunk: dict[str, Any]) -> None:
        if act == "start":
            self.inputs[name] = ""
        elif act == "delta":
            self.inputs[name] += chunk["inputTextDelta"]
        else:
            assert chunk["input"] == json.loads(self.inputs[name])
            self.heard.calls.append((name, chunk["toolName"], chunk["input"]))


def by_the_rules(chunks: list[bytes]) -> Heard:
    """Hold chunks against the rules of the AI SDK."""
    *payloads, end = bare(chunks)
    chat = Chat()
    for payload in payloads:
        chat.take(payload)
    assert "[DONE]" == end
    assert ["start", "start-step"] == [payload["type"] for payload in payloads[:2]]
    assert payloads[-2]["type"] == "finish-step" or payloads[-1]["type"] == "abort"
    assert set() == chat.open
    return chat.heard


def by_the_ai_sdk(bodies: list[bytes]) -> list[Heard]:
    """Read bodies with the transport and the accumulator of the AI SDK's chat, in Node."""
    folder, node = node_with("ai")
    told = subprocess.run(
        [node, "--input-type=module", "--eval", _READER.read_text("utf-8")],
        cwd=folder,
        input=json.dumps([base64.b64encode(body).decode() for body in bodies]),
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    return [_of_a_message(each) for each in json.loads(told)]


def _of_a_message(told: dict[str, Any]) -> Heard:
    assert [] == told["errors"]
    heard = Heard(end=told["finish"])
    for part in told["message"]["parts"]:
        kind = part["type"]
        if kind in ("text", "reasoning"):
            setattr(heard, kind, getattr(heard, kind) + part["text"])
        elif part.get("state") == "input-available":
            heard.calls.append((part["toolCallId"], kind.removeprefix("tool-"), part["input"]))
    return heard


# -- what holds ---------------------------------------------------------------------

READERS: dict[str, tuple[str, Callable[[list[bytes]], Heard]]] = {
    "ollama": ("ollama", by_ollama),
    "ag-ui": ("ag-ui", by_ag_ui),
    "ui-message": ("ui-message", by_the_rules),
}
of_a_client = pytest.mark.parametrize("format", READERS)


def _ends(format: str) -> Mapping[FinishReason, str]:
    """Return a format's words; one without a word for calls says that the answer ended by itself."""
    words = load(format).words
    return {"tool_calls": words["stop"], **words}


def _chunks(script: Script, format: str) -> list[bytes]:
    """Return what is played, where the client does not end a line in its middle."""
    chunks = script.chunks(format)
    body = b"".join(chunks).decode()
    assume(not any(character in body for character in _BREAKING.get(format, "")))
    return chunks


_MANY = trials(300, one_in=8)
LAW: Law[list[bytes]] = Law(
    {format: _ends(format) for format in READERS}, ("reasoning",), played=_chunks, readers=READERS
)


@of_a_client
@few
def test_a_client_reads_what_a_script_says(format: str, data: st.DataObject) -> None:
    said, heard = LAW.drawn(format, data)
    assert said == heard


@pytest.mark.slow
def test_the_ai_sdk_reads_what_many_scripts_say() -> None:
    """All in one process: the SDK's own transport, schema and accumulator."""
    drawn: list[Script] = []

    @given(scripts("ui-message"))
    @examples(_MANY, suppress_health_check=PATIENT, database=None)
    def draw(script: Script) -> None:
        drawn.append(script)

    draw()
    heard = by_the_ai_sdk([b"".join(script.chunks("ui-message")) for script in drawn])

    assert [LAW.said(script, "ui-message") for script in drawn] == heard
    assert len(drawn) >= examples(_MANY).max_examples


def test_the_client_of_ollama_raises_an_error_in_the_middle() -> None:
    """The line that is an error and nothing else."""
    ollama = needed("ollama")
    with pytest.raises(ollama.ResponseError, match="No"):
        by_ollama(testing.script().text("Hi").error("No").chunks("ollama"))


def test_ag_ui_knows_the_events_that_other_scripts_have() -> None:
    """An error, an interruption with usage, and a call that was cut."""
    adapter = _run_events()
    failed = testing.script().text("Hi").error("Busy")
    paused = testing.script().text("Hi").usage(input_tokens=1, cached_tokens=2).finish("pause")
    for script in (failed, paused):
        for payload in bare(script.chunks("ag-ui")):
            assert payload == adapter.validate_python(payload).model_dump(mode="json", by_alias=True)
