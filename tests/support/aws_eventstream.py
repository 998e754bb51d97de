"""Packs messages of AWS's binary event streams, checksums included."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

_INTEGERS = {2: ">b", 3: ">h", 4: ">i", 5: ">q", 8: ">q"}
_PADDING = "abcdefghijklmnopqrstuvwxyz"


class Typed:
    """A header's value with the type that it is written in."""

    def __init__(self, kind: int, value: Any) -> None:
        self.kind = kind
        self.value = value


def header(name: str, value: Any) -> bytes:
    """Pack a header; text is written as a string, anything else is `Typed`."""
    encoded = name.encode()
    typed = value if isinstance(value, Typed) else Typed(7, value)
    start = bytes([len(encoded)]) + encoded + bytes([typed.kind])
    if typed.kind in _INTEGERS:
        return start + struct.pack(_INTEGERS[typed.kind], typed.value)
    if typed.kind in (6, 7):
        data = typed.value if isinstance(typed.value, bytes) else typed.value.encode()
        return start + struct.pack(">H", len(data)) + data
    return start + (typed.value or b"")


def message(headers: Mapping[str, Any], payload: bytes = b"") -> bytes:
    return pack(b"".join(header(name, value) for name, value in headers.items()), payload)


def pack(headers: bytes, payload: bytes) -> bytes:
    """Pack a message: two lengths and their checksum, the content, and the checksum of all."""
    lengths = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    content = lengths + struct.pack(">I", crc32(lengths)) + headers + payload
    return content + struct.pack(">I", crc32(content))


def event(name: str, payload: Mapping[str, Any]) -> bytes:
    return message(
        {":event-type": name, ":content-type": "application/json", ":message-type": "event"},
        json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"),
    )


def exception(name: str, payload: Mapping[str, Any]) -> bytes:
    """Pack an exception as Bedrock sends it."""
    return message(
        {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"},
        json.dumps(payload).encode(),
    )


def chunk(payload: Mapping[str, Any] | bytes, *, padding: int | None = 7) -> bytes:
    """Pack a chunk of a model's own stream, as InvokeModelWithResponseStream sends it."""
    inner = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
    outer = {"bytes": base64.b64encode(inner).decode()}
    if padding is not None:
        outer["p"] = _PADDING[:padding]
    return event("chunk", outer)


def converse(*events: tuple[str, Mapping[str, Any]]) -> bytes:
    return b"".join(
        event(name, {**payload, "p": _PADDING[: 3 + number % 20]})
        for number, (name, payload) in enumerate(events)
    )


def invoke(payloads: Iterable[Mapping[str, Any]]) -> bytes:
    """Pack a body of InvokeModelWithResponseStream."""
    return b"".join(chunk(payload, padding=2 + number % 20) for number, payload in enumerate(payloads))
