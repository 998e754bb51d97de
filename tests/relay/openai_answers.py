"""The messages that OpenAI's encoders have sent."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.sent import read
from tokenstream.message import MediaPart, Message

FORMATS = ("openai-chat", "openai-responses", "openai-completions", "openai-realtime")


def message_of(format: str, chunks: Iterable[bytes], *remarks: str) -> Message:
    message, error = read(chunks, format, *remarks)
    if error is not None:
        raise error
    return message


def media_of(message: Message) -> list[MediaPart]:
    return [part for part in message.parts if isinstance(part, MediaPart)]
