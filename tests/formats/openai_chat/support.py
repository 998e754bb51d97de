"""OpenAI Chat: the calls of an answer, and a report of usage."""

from __future__ import annotations

from typing import Any

from tests.formats.openai_chat.payloads import ROLE, chunk, read
from tests.formats.told import DONE

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
END = chunk({}, "tool_calls")
FIRST, SECOND = '{"a":1}', '{"b":[2]}'


def handed_out(*payloads: Any) -> list[tuple[str, str]]:
    return read(ROLE, *payloads, END, DONE).called
