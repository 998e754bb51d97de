"""OpenAI Chat: the calls of an answer, and a report of usage."""

from __future__ import annotations

from typing import Any

from tests.formats.openai_chat.payloads import ROLE, Payload, Read, chunk, read
from tests.formats.told import DONE
from tokenstream.formats import Frame

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
END = chunk({}, "tool_calls")
FIRST, SECOND = '{"a":1}', '{"b":[2]}'


def calling(*payloads: Payload | Frame, **options: Any) -> Read:
    """Read an answer that begins as the documents say, and ends with calls."""
    return read(ROLE, *payloads, END, DONE, **options)


def handed_out(*payloads: Any) -> list[tuple[str, str]]:
    return calling(*payloads).called
