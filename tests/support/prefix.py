"""The expected reading of a prefix of a stream, by a second, tiny reader that knows no chunks.

It reads the three formats as their documents describe them, and takes the input
as a whole: events are separated by blank lines, payloads are parsed by `json.loads`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """A tool call in its state so far."""

    id: str
    name: str
    arguments: str = ""
    closed: bool = False
    stopped: bool = False
    """True once its block has ended; a call without arguments may owe that to the token limit."""

    @property
    def whole(self) -> bool:
        """True if the arguments are one JSON value, or empty."""
        return _parsed(self.arguments or "{}") is not None


@dataclass
class Said:
    """The content of one choice so far."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: dict[int, Call] = field(default_factory=dict)
    finish: str | None = None

    def close_stopped(self) -> None:
        """Take calls whose block ended as whole: the token limit did not cut them."""
        for call in self.calls.values():
            call.closed = call.closed or call.stopped


@dataclass
class Prefix:
    """The whole events of a prefix, and the rest after them."""

    body: bytes
    format: Any
    choices: dict[int, Said] = field(default_factory=dict)
    done: bool = False
    """True if it holds the terminal event."""
    left: bytes = b""
    """The bytes of the cut event."""
    taken: bool = False
    """True if the cut event was whole nevertheless."""

    def __post_init__(self) -> None:
        *events, self.left = self.body.split(b"\n\n")
        for event in events:
            self._read(_payload(event), whole=True)
        payload = _payload(self.left)
        if self.format != "text" or payload == b"[DONE]":
            self.taken = payload == b"[DONE]" or _parsed(payload) is not None
            self._read(payload, whole=self.taken)

    @property
    def tail(self) -> bytes:
        """The bytes of an incomplete event; comments belong to no event."""
        lines = self.left.splitlines(keepends=True)
        return b"".join([line for line in lines if not (line.startswith(b":") and line.endswith(b"\n"))])

    @property
    def finished(self) -> bool:
        return self.done or (
            bool(self.choices) and all(said.finish is not None for said in self.choices.values())
        )

    def said(self, choice: int = 0) -> Said:
        return self.choices.setdefault(choice, Said())

    def _read(self, payload: bytes, *, whole: bool) -> None:
        if not whole or not payload:
            return
        if payload == b"[DONE]":
            self.done = True
        elif self.format == "text":
            self.said().text += payload.decode()
        elif self.format == "openai-chat":
            for choice in json.loads(payload)["choices"]:
                self._read_choice(choice)
        else:
            self._read_claude(json.loads(payload))

    def _read_choice(self, choice: dict[str, Any]) -> None:
        said = self.said(choice["index"])
        delta = choice["delta"]
        said.text += delta.get("content") or ""
        said.reasoning += delta.get("reasoning_content") or ""
        said.refusal += delta.get("refusal") or ""
        for fragment in delta.get("tool_calls") or ():
            if fragment.get("id"):
                said.calls[fragment["index"]] = Call(fragment["id"], fragment["function"]["name"])
            said.calls[fragment["index"]].arguments += fragment["function"]["arguments"]
        if choice["finish_reason"] is not None:
            said.finish = choice["finish_reason"]
            for call in said.calls.values():
                call.closed = True

    def _read_claude(self, payload: dict[str, Any]) -> None:
        said = self.said()
        delta = payload.get("delta", {})
        if payload["type"] == "content_block_start":
            said.close_stopped()
        match payload["type"]:
            case "content_block_start" if payload["content_block"]["type"] == "tool_use":
                block = payload["content_block"]
                said.calls[payload["index"]] = Call(block["id"], block["name"])
            case "content_block_delta":
                said.text += delta.get("text", "")
                said.reasoning += delta.get("thinking", "")
                if payload["index"] in said.calls:
                    said.calls[payload["index"]].arguments += delta.get("partial_json", "")
            case "content_block_stop" if payload["index"] in said.calls:
                call = said.calls[payload["index"]]
                call.stopped, call.closed = True, bool(call.arguments)
            case "message_delta":
                said.finish = delta["stop_reason"]
                if said.finish != "max_tokens":
                    said.close_stopped()
            case "message_stop":
                self.done = True
            case _:
                pass


def _payload(event: bytes) -> bytes:
    lines = [line for line in event.split(b"\n") if line.startswith(b"data: ")]
    return lines[0].removeprefix(b"data: ") if lines else b""


def _parsed(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
