"""Groq and OpenRouter: one row for each thing that one of them does its own way."""

from __future__ import annotations

from typing import Any

from tests.formats.openai_chat.dialects.support import USAGE, Says
from tests.formats.openai_chat.payloads import FINISH, ROLE, chunk, text
from tests.formats.told import DONE

HOSTED: dict[str, tuple[list[Any], Says]] = {
    # -- Groq
    "groq: usage in its own field": (
        [
            {**ROLE, "x_groq": {"id": "req_1"}},
            text("Hi", tool_calls=[]),
            {**FINISH, "x_groq": {"id": "req_1", "usage": {**USAGE, "queue_time": 0.1}}},
            DONE,
        ],
        Says("Hi", output_tokens=7, data={"x_groq": {"id": "req_1"}}, rules={"usage_misplaced"}),
    ),
    # -- OpenRouter
    "openrouter: details without text are kept as they came": (
        [
            ROLE,
            chunk(
                {
                    "reasoning_details": [
                        {"type": "reasoning.server_tool_call", "index": 0, "tool": {"name": "t"}}
                    ]
                }
            ),
            chunk({"reasoning_details": [{"type": "reasoning.text", "text": "", "index": 1, "format": "f"}]}),
            text("Hi"),
            FINISH,
            DONE,
        ],
        Says("Hi", kinds=["opaque", "text"]),
    ),
}
