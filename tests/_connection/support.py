"""Reading a body over one connection."""

from __future__ import annotations

from typing import Any

from tokenstream import Decoder


def read(body: bytes, size: int, **options: Any) -> Decoder:
    decoder = Decoder(**options)
    for start in range(0, len(body), size):
        decoder.feed(body[start : start + size])
    decoder.end()
    return decoder
