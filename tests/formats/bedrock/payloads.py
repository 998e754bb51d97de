"""Payloads of Bedrock, and a reading of them that tells all that a user can see."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from tests.formats.told import Told
from tokenstream.formats import Format
from tokenstream.framing import EventStreamMessage

Named: TypeAlias = tuple[str, Mapping[str, Any]]
"""An event's name, and its payload."""


def frame(name: str, payload: Mapping[str, Any]) -> EventStreamMessage:
    written = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return EventStreamMessage(written.encode("utf-8", "surrogatepass"), name)


def read(format: Format, frames: Iterable[Any], *, end: bool = True) -> Told:
    return Told(format).read(frames, end=end)


# -- events of Converse ------------------------------------------------------

START: Named = ("messageStart", {"role": "assistant"})
USAGE: Named = (
    "metadata",
    {"usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}, "metrics": {"latencyMs": 100}},
)


def delta(index: Any, **fields: Any) -> Named:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": fields}


def text(index: Any, piece: Any) -> Named:
    return delta(index, text=piece)


def reasoning(index: Any, **fields: Any) -> Named:
    return delta(index, reasoningContent=fields)


def arguments(index: Any, fragment: Any) -> Named:
    return delta(index, toolUse={"input": fragment})


def block(index: Any, **start: Any) -> Named:
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def tool(index: Any, id: str = "t1", name: str = "now", **fields: Any) -> Named:
    return block(index, toolUse={"toolUseId": id, "name": name, **fields})


def stop(index: Any) -> Named:
    return "contentBlockStop", {"contentBlockIndex": index}


def finish(reason: Any = "end_turn", **fields: Any) -> Named:
    return "messageStop", {"stopReason": reason, **fields}
