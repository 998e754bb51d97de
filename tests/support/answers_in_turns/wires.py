"""An answer whose texts can be written in turns, and the bytes of its payloads."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from tests.support.aws_eventstream import message
from tests.support.wire import bytes_of

Payload: TypeAlias = dict[str, Any]
Wire: TypeAlias = "Callable[[Payload], bytes]"


def sse(payload: Payload, *, name: str = "") -> bytes:
    """Return an SSE event; `name` is the payload's field that names it."""
    head = b"event: %b\n" % payload[name].encode() if name else b""
    return b"%bdata: %b\n\n" % (head, bytes_of(payload))


def json_line(payload: Payload) -> bytes:
    return bytes_of(payload) + b"\n"


def aws_event(name: str, payload: Payload) -> bytes:
    return message({":event-type": name, ":message-type": "event"}, bytes_of(payload))


def converse_event(payload: Payload) -> bytes:
    kinds = {"delta": "contentBlockDelta", "start": "contentBlockStart"}
    return aws_event(next((kinds[key] for key in payload if key in kinds), "messageStart"), payload)


def invoke_event(payload: Payload) -> bytes:
    outer = {"p": payload["p"]} if "p" in payload else {}
    inner = {key: value for key, value in payload.items() if key not in outer}
    return aws_event("chunk", {"bytes": base64.b64encode(bytes_of(inner)).decode(), **outer})


@dataclass(frozen=True)
class Answer:
    """An answer whose texts can be written in turns.

    Args:
        delta: Makes the payload that adds a piece to the text of a number.
        head: Payloads that open the texts.
        wire: Makes the bytes of a payload.
    """

    format: Any
    delta: Callable[[int, str], Payload]
    head: tuple[Payload, ...] = ()
    wire: Wire = sse
    texts: int = 2


named_event = partial(sse, name="type")


def is_binary(answer: Answer) -> bool:
    """True if an answer is sent in AWS's binary streams."""
    return answer.wire in (converse_event, invoke_event)
