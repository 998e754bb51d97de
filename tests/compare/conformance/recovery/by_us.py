"""This library: `connect` with a route to the other provider."""

from __future__ import annotations

from typing import Any

from tests.compare.conformance.recovery.peer import PythonPeer, Told
from tests.compare.conformance.recovery.providers import IDLE, TOOL, World
from tokenstream import Deadlines, Retry, Route, connect


def _payload(world: World, format: str) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user", "content": world.answer.question}],
        "stream": True,
    }
    if format == "anthropic":
        payload["max_tokens"] = 500
    if world.answer.calls and format == "anthropic":
        payload["tools"] = [
            {"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["parameters"]}
        ]
    elif world.answer.calls:
        payload["tools"] = [{"type": "function", "function": TOOL}]
    return payload


def tell(world: World, told: Told, *, again: bool = False) -> None:
    """Ask, show the pieces of the text, and run the calls behind it.

    Args:
        told: Where this is noted.
        again: True to ask for all of it again where nothing else helps; the published results are without it.
    """
    path = "messages" if world.other_format == "anthropic" else "chat/completions"
    other = Route(f"{world.other}/{path}", json=_payload(world, world.other_format))
    with connect(
        f"{world.first}/chat/completions",
        json=_payload(world, "openai-chat"),
        deadlines=Deadlines(first_event=30, idle_bytes=IDLE),
        retry=Retry(routes=[other], again=again, wait=0.1),
    ) as stream:
        for piece in stream.text:
            told.text += piece
        for call in stream.tool_calls:
            told.calls.append((call.name, call.arguments))


US = PythonPeer(
    "tokenstream",
    how="`connect(…, retry=Retry(routes=[Route(…)]))`, the loops over `stream.text` and `stream.tool_calls`",
    packages=("llm-tokenstream", "httpx"),
    modules=("tokenstream",),
    tell=tell,
)
