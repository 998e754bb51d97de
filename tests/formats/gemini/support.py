"""What reading chunks of Gemini gives."""

from __future__ import annotations

from typing import Any

from tests.formats.gemini.payloads import STOP, Payload, chunk
from tests.formats.told import Told, tell
from tests.support.formats import Gemini


def gemini(*frames: Any, plain: bool = False) -> Told:
    return tell(Gemini(), *frames, plain=plain)


def one(*parts: Payload) -> Told:
    return gemini(chunk(*parts), STOP)
