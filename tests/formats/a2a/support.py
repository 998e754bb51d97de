"""Payloads of A2A in the four ways in which servers send them."""

from __future__ import annotations

from typing import Any

from tests.formats.told import Told, frame_of
from tests.support.formats import A2A

_FIELDS = {"status-update": "statusUpdate", "artifact-update": "artifactUpdate"}
WIRES = ("1.0", "1.0 http", "0.3")


def payload(kind: str, wire: str = "1.0", **content: Any) -> dict[str, Any]:
    inner = {"kind": kind, **content} if wire == "0.3" else {_FIELDS.get(kind, kind): content}
    return inner if wire.endswith("http") else {"jsonrpc": "2.0", "id": "r-1", "result": inner}


def state(word: str, wire: str = "1.0") -> str:
    return word if wire == "0.3" else f"TASK_STATE_{word.upper().replace('-', '_')}"


def piece(text: str, wire: str = "1.0", **fields: Any) -> dict[str, Any]:
    return {**({"kind": "text"} if wire == "0.3" else {}), "text": text, **fields}


def message(text: str, wire: str = "1.0", id: str = "m1") -> dict[str, Any]:
    role = "agent" if wire == "0.3" else "ROLE_AGENT"
    return {"messageId": id, "role": role, "parts": [piece(text, wire)]}


def status(word: str, text: str | None = None, wire: str = "1.0", **fields: Any) -> dict[str, Any]:
    said = {} if text is None else {"message": message(text, wire, f"m-{text}")}
    found = {"state": state(word, wire), **said}
    return payload("status-update", wire, taskId="t1", contextId="c1", status=found, **fields)


def artifact(*texts: str, id: str = "a1", wire: str = "1.0", **fields: Any) -> dict[str, Any]:
    content = {"artifactId": id, "parts": [piece(text, wire) for text in texts]}
    return payload("artifact-update", wire, taskId="t1", contextId="c1", artifact=content, **fields)


def task(word: str, *artifacts: dict[str, Any], wire: str = "1.0", **fields: Any) -> dict[str, Any]:
    found = {"state": state(word, wire)}
    return payload("task", wire, id="t1", contextId="c1", status=found, artifacts=[*artifacts], **fields)


def whole(text: str, id: str = "a1") -> dict[str, Any]:
    return {"artifactId": id, "parts": [piece(text)]}


def read(*frames: Any, **options: Any) -> Told:
    """Read payloads up to the end of the input; the text that has arrived is known, as in a stream."""
    format = A2A(**options)
    told = Told(format)
    format.parts.find_text = lambda asked: _text_at(told, asked.part)
    return told.read([frame_of(frame) for frame in frames])


def _text_at(told: Told, index: int) -> str:
    parts: Any = told.parts
    return getattr(parts[index], "text", "") if index < len(parts) else ""
