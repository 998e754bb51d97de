"""Messages of a Gemini Live session, and what reading them gives."""

from __future__ import annotations

import base64
from typing import Any, TypeAlias

from tests.formats.told import Told, frame_of
from tests.support.formats import GeminiLive

Payload: TypeAlias = dict[str, Any]

SETUP: Payload = {"setupComplete": {"sessionId": "s-1"}}


def content(**fields: Any) -> Payload:
    return {"serverContent": fields}


def turn(*parts: Payload) -> Payload:
    return content(modelTurn={"parts": list(parts)})


def text(piece: str) -> Payload:
    return turn({"text": piece})


def inline(data: bytes, mime: str | None = "audio/pcm;rate=24000") -> Payload:
    fields = {"mimeType": mime, "data": base64.b64encode(data).decode()}
    return turn({"inlineData": {name: value for name, value in fields.items() if value is not None}})


def spoken(words: str) -> Payload:
    return content(outputTranscription={"text": words})


def tool_call(*calls: Payload) -> Payload:
    return {"toolCall": {"functionCalls": list(calls)}}


GENERATED = content(generationComplete=True)
DONE = content(turnComplete=True)
INTERRUPTED = content(interrupted=True)


def read(*payloads: Payload | bytes, format: GeminiLive | None = None) -> Told:
    return Told(format or GeminiLive()).read(map(frame_of, payloads))
