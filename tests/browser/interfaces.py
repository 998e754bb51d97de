"""A relay for the interfaces of others: it answers the last message, in the protocol that its path names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
from starlette.applications import Starlette
from starlette.routing import Route

from tests.steps.news import run_with_news
from tokenstream import AsyncStream, relay, testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from tokenstream.events import Event

PIECES = ("It is ", "größer, ", "<b>😀</b>", "\n\nDone.")
TEXT = "".join(PIECES)
_REASONED = testing.script().reasoning("Let me ", "see.")
_ANSWERS = {
    "Answer": _REASONED.text(*PIECES).finish(),
    "Break": _REASONED.text(*PIECES[:2]).error("The key is sk-secret", kind="rate_limited"),
    "Fail": testing.script().error("The key is sk-secret", kind="rate_limited"),
    "Approve": testing.script()
    .text("May I?")
    .tool_call("approve", {"command": "rm x"}, id="call_1")
    .finish(),
}


async def _paced(script: testing.Script) -> AsyncIterator[bytes]:
    for chunk in script.chunks("anthropic"):
        await anyio.sleep(0.03)
        yield chunk


async def _run() -> AsyncIterator[Event]:
    for event in run_with_news():
        await anyio.sleep(0.01)
        yield event


def _answer(said: str) -> AsyncIterable[Event]:
    """Return the answer to a message; what answers a call of a tool is said again."""
    if said == "Work":
        return _run()
    return AsyncStream(_paced(_ANSWERS.get(said, testing.script().text(f"You said: {said}").finish())))


def _last(body: dict[str, Any]) -> str:
    """Return the text of the last message, as AG-UI or the AI SDK sends it."""
    message = body["messages"][-1]
    if "parts" not in message:
        return str(message["content"])
    outputs = [json.dumps(part["output"]) for part in message["parts"] if "output" in part]
    return "".join(outputs or [part["text"] for part in message["parts"] if part["type"] == "text"])


def make_relay(asked: list[dict[str, Any]], *further: Route) -> Starlette:
    """Return the relay, which also serves other routes, and keeps the bodies of requests in `asked`."""

    async def chat(request: Request) -> Response:
        asked.append(await request.json())
        made: Any = relay.respond(_answer(_last(asked[-1])), protocol=request.path_params["protocol"])
        return made  # type: ignore[no-any-return] # an ASGI application

    return Starlette(routes=[Route("/relay/{protocol}", chat, methods=["POST"]), *further])
