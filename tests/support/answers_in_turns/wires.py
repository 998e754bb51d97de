"""An answer whose texts can be written in turns, and the bytes of its payloads."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.support.aws_eventstream import message

if TYPE_CHECKING:
    from collections.abc import Callable


Payload: TypeAlias = dict[str, Any]
Wire: TypeAlias = "Callable[[Payload], bytes]"


def written(payload: Payload) -> bytes:
    """Return a payload as JSON."""
    try:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # JSON can hold a lone surrogate only as an escape.
        return json.dumps(payload, separators=(",", ":")).encode()


def sse(payload: Payload, *, name: str = "") -> bytes:
    """Return an SSE event; `name` is the payload's field that names it."""
    head = b"event: %b\n" % payload[name].encode() if name else b""
    return b"%bdata: %b\n\n" % (head, written(payload))


def json_line(payload: Payload) -> bytes:
    return written(payload) + b"\n"


def aws_event(name: str, payload: Payload) -> bytes:
    """Return an event of AWS's binary streams."""
    return message({":event-type": name, ":message-type": "event"}, written(payload))


def converse_event(payload: Payload) -> bytes:
    kinds = {"delta": "contentBlockDelta", "start": "contentBlockStart"}
    return aws_event(next((kinds[key] for key in payload if key in kinds), "messageStart"), payload)


def invoke_event(payload: Payload) -> bytes:
    outer = {"p": payload["p"]} if "p" in payload else {}
    inner = {key: value for key, value in payload.items() if key not in outer}
    return aws_event("chunk", {"bytes": base64.b64encode(written(inner)).decode(), **outer})


@dataclass(frozen=True)
class Answer:
    """An answer whose texts can be written in turns.

    Args:
        format: The format.
        delta: Makes the payload that adds a piece to the text of a number.
        head: Payloads that open the texts.
        wire: Makes the bytes of a payload.
        texts: Number of texts.
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
