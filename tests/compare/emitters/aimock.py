"""aimock, a server of npm that speaks the wire of every large provider: what is asked of it, and how."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.compare.emitters.whole import Said
from tests.support.node import node_with

_SCRIPT = Path(__file__).with_name("aimock.mjs")
_OSLO, _NOW = '{"city": "Oslo", "days": 3}', "{}"
_LONG = "".join(f"Line {number} of a long answer.\n" for number in range(60))
_ODD = 'A "quote", a \\ and a \t tab, {"json": [1, 2]}, data: x\n\nevent: y\n\n[DONE] \u2028 é 日本 🙂'


def _call(name: str, arguments: str) -> dict[str, str]:
    return {"name": name, "arguments": arguments}


def _block(name: str, arguments: str) -> dict[str, str]:
    return {"type": "toolCall", **_call(name, arguments)}


def _words(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


SCENARIOS: dict[str, tuple[dict[str, Any], Said]] = {
    "some words": ({"content": "Hello, it is noon."}, Said("Hello, it is noon.")),
    "odd words": ({"content": _ODD}, Said(_ODD)),
    "many words": ({"content": _LONG}, Said(_LONG)),
    "white space": ({"content": "  a \n\n b  "}, Said("  a \n\n b  ")),
    "too few words": ({"content": "Hello, it", "finishReason": "length"}, Said("Hello, it")),
    "a number": ({"content": "42"}, Said("42")),
    "a truth": ({"content": "true"}, Said("true")),
    "thoughts": ({"content": "Hello", "reasoning": "They greet."}, Said("Hello", reasoning="They greet.")),
    "one call": ({"toolCalls": [_call("weather", _OSLO)]}, Said(calls=[("weather", json.loads(_OSLO))])),
    "no arguments": ({"toolCalls": [_call("now", _NOW)]}, Said(calls=[("now", {})])),
    "two of them": (
        {"toolCalls": [_call("weather", _OSLO), _call("now", _NOW)]},
        Said(calls=[("weather", json.loads(_OSLO)), ("now", {})]),
    ),
    "twice the same": (
        {"toolCalls": [_call("weather", _OSLO), _call("weather", _OSLO)]},
        Said(calls=[("weather", json.loads(_OSLO))] * 2),
    ),
    "words, then a run": (
        {"content": "Let me look.", "toolCalls": [_call("weather", _OSLO)]},
        Said("Let me look.", [("weather", json.loads(_OSLO))]),
    ),
    "a run, then words": (
        {"blocks": [_block("weather", _OSLO), _words("Looking.")]},
        Said("Looking.", [("weather", json.loads(_OSLO))]),
    ),
    "in turns": (
        {"blocks": [_block("weather", _OSLO), _words("Look"), _block("now", _NOW), _words("ing.")]},
        Said("Looking.", [("weather", json.loads(_OSLO)), ("now", {})]),
    ),
}
"""Fixtures by the message that asks for them, and what they say. No name is part of another."""
AFTER_TOOLS = "It is noon there."
"""The answer to the results of tools."""
REFUSED = "too much"
"""The message that is answered with an error."""


class Wire:
    """One way to ask.

    Args:
        ask: Returns the request's body for a user's message.
        thinks: Whether aimock has a place for reasoning there; "text" where it calls that text.
        calls: Whether it has one for calls.
        plan: What it says before calls, as reasoning.
    """

    def __init__(
        self,
        path: str,
        ask: Callable[[str], dict[str, Any]],
        *,
        thinks: bool | str = True,
        calls: bool = True,
        plan: str = "",
    ) -> None:
        self.path = path
        self.ask = ask
        self.thinks = thinks
        self.calls = calls
        self.plan = plan

    def scenarios(self) -> list[str]:
        """Return the names of what it can say."""
        return [name for name, (_, told) in SCENARIOS.items() if self.calls or not told.calls]


def expected(wire: Wire, name: str) -> Said:
    told = SCENARIOS[name][1]
    if wire.thinks is True:
        return told
    thoughts = told.reasoning if wire.thinks == "text" else ""
    return Said(thoughts + told.text, told.calls, wire.plan if told.calls else "")


def _chat(model: str) -> Callable[[str], dict[str, Any]]:
    return lambda said: {
        "model": model,
        "stream": True,
        "max_tokens": 99,
        "messages": [{"role": "user", "content": said}],
    }


def _gemini(said: str) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": said}]}]}


def _converse(said: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"text": said}]}]}


_GOOGLES = "models/gemini-3-flash:streamGenerateContent?alt=sse"
_CHAT, _CLAUDE = _chat("gpt-4o"), _chat("claude-sonnet-4-5")
WIRES: dict[str, Wire] = {
    "openai-chat": Wire("/v1/chat/completions", _CHAT),
    "azure": Wire("/openai/deployments/gpt-4o/chat/completions?api-version=1", _CHAT),
    "openai-responses": Wire(
        "/v1/responses", lambda said: {"model": "gpt-4o", "stream": True, "input": said}
    ),
    "anthropic": Wire("/v1/messages", _CLAUDE),
    "gemini": Wire(f"/v1beta/{_GOOGLES}", _gemini),
    "vertex": Wire(f"/v1/projects/p/locations/l/publishers/google/{_GOOGLES}", _gemini),
    "gemini-interactions": Wire(
        "/v1beta/interactions",
        lambda said: {"model": "gemini-3-flash", "stream": True, "input": said},
        thinks=False,
    ),
    "bedrock-invoke": Wire("/model/anthropic.claude-3/invoke-with-response-stream", _CLAUDE),
    "bedrock-converse": Wire("/model/anthropic.claude-3/converse-stream", _converse),
    "ollama": Wire("/api/chat", _CHAT),
    "ollama-generate": Wire(
        "/api/generate", lambda said: {"model": "llama", "stream": True, "prompt": said}, calls=False
    ),
    "cohere": Wire("/v2/chat", _CHAT, thinks="text", plan="I will use the requested tool."),
}
"""The wires of HTTP."""


def _realtime(said: str) -> list[dict[str, Any]]:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": said}]}
    return [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]


def _live(said: str) -> list[dict[str, Any]]:
    turn = {"role": "user", "parts": [{"text": said}]}
    return [
        {"setup": {"model": "models/gemini-3-flash"}},
        {"clientContent": {"turns": [turn], "turnComplete": True}},
    ]


class Socket(NamedTuple):
    path: str
    ask: Callable[[str], list[dict[str, Any]]]
    """Returns the messages to send for a user's message."""
    thinks: bool
    """Whether reasoning has a place there."""
    waits: bool = False
    """Whether the real server says nothing more after calls until it has their results; aimock goes on."""

    def asked_in_turn(self) -> list[str]:
        return [
            name
            for name, (response, _) in SCENARIOS.items()
            if not (self.waits and response.get("blocks", [{}])[0].get("type") == "toolCall")
        ]


SOCKETS: dict[str, Socket] = {
    "openai-realtime": Socket("/v1/realtime?model=gpt-realtime", _realtime, False),
    "openai-responses": Socket(
        "/v1/responses",
        lambda said: [
            {
                "type": "response.create",
                "model": "gpt-4o",
                "input": [{"type": "message", "role": "user", "content": said}],
            }
        ],
        True,
    ),
    "gemini-live": Socket(
        "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
        _live,
        False,
        waits=True,
    ),
}
"""Its WebSockets, which do otherwise than the real servers:

- Responses: no response is remembered, so `previous_response_id` is ignored; `response.cancel` is an error.
- Realtime: after `response.cancel`, the answer goes on to its end, and `response.cancelled` follows.
- Gemini Live: a question interrupts nothing, no handle is given, and calls end their turn.
"""


@contextmanager
def serving() -> Generator[str]:
    """Run aimock with all scenarios, and give its address; skip where it is not installed."""
    folder, node = node_with("@copilotkit/aimock")
    # A script given as text finds its packages from the folder that it runs in.
    command = [node, "--input-type=module", "--eval", _SCRIPT.read_text("utf-8")]
    fixtures: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"hasToolResult": True}, {"content": AFTER_TOOLS}),
        ({"userMessage": REFUSED}, {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}),
        *(({"userMessage": name}, response) for name, (response, _) in SCENARIOS.items()),
    ]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{json.dumps(fixtures)}\n")
        process.stdin.flush()
        address = process.stdout.readline().strip()
        assert address, "aimock did not start"
        yield address
        process.stdin.close()
