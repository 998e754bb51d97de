"""An answer to observe, and the names of the metrics."""

from __future__ import annotations

from typing import Any

from tokenstream import Stream, testing

ANSWER = (
    testing.script(id="chatcmpl-1", model="m-2026-01-01")
    .silence(0.5)
    .reasoning("Hm.")
    .silence(0.25)
    .text("Hel")
    .silence(0.125)
    .text("lo")
    .usage(input_tokens=41, output_tokens=23, cached_tokens=16, reasoning_tokens=5)
    .finish()
)
CHAT = "/v1/chat/completions"
DURATION = "gen_ai.client.operation.duration"
FIRST = "gen_ai.client.operation.time_to_first_chunk"

TOKENS = "gen_ai.client.token.usage"


def replayed(script: testing.Script = ANSWER, format: str = "openai-chat", **options: Any) -> Stream:
    return script.stream(format, pace="recorded", started_at=0.0, **options)
