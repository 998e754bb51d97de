"""A server on loopback for the code in the documents: whole, slow, cut, late, busy."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from tests.docs.agent import AGENT, agent_reply
from tests.support.recordings import OURS
from tests.support.replies import at_once, refusal, reply, serve_in_time
from tokenstream import testing
from tokenstream.testing import Recording, Request

_CHAT = "/v1/chat/completions"
_MESSAGES = "/v1/messages"
_SLOW = "/slow/chat/completions"
_SILENT = "/silent/chat/completions"
_FLAKY = "/flaky/chat/completions"
_BUSY = "/busy/chat/completions"
_FORGETFUL = "/forgetful/chat/completions"
_CUT = "/cut"
_RECIPES = {
    "/recipe/chat/completions": OURS / "openai-chat" / "recipe.sse",
    "/recipe/messages": OURS / "anthropic" / "recipe_tool_call.sse",
}
"""Where a recipe is asked for as structured output, and as a tool's arguments."""
_MODEL = "example-model"
_GEMINI_MODELS = (_MODEL, "gemini-3.8-flash")
"""Names that stand in a path."""
_SLOW_SECONDS = 0.02
"""Between two events of the slow answer."""
_SILENT_SECONDS = 60.0
"""Longer than any test may take."""


_OVERLOADED = {"message": "The engine is overloaded", "type": "overloaded_error"}
_SCRIPT = (
    testing.script(id="docs", model=_MODEL)
    .text("Let me ", "look up ", "the weather ", "in Oslo.")
    .tool_call("get_weather", ('{"city": ', '"Oslo"', "}"))
    .usage(input_tokens=41, output_tokens=23)
    .finish("stop")
)
ANSWER = _SCRIPT.chunks("openai-chat")
"""The events of the answer: a text, a tool call, and what they cost, as `openai-chat` says it."""
ANTHROPIC_ANSWER = _SCRIPT.chunks("anthropic")
"""The same answer as `anthropic` says it."""
# Which of the two versions is asked differs between versions of the SDK.
_GEMINI = [
    f"/{version}/models/{model}:streamGenerateContent"
    for version in ("v1", "v1beta")
    for model in _GEMINI_MODELS
]
_OTHERS = {
    **dict.fromkeys(_GEMINI, "gemini"),
    "/v1/responses": "openai-responses",
    "/v2/chat": "cohere",
    "/api/chat": "ollama",
    f"/model/{_MODEL}/converse-stream": "bedrock-converse",
}
"""Where the SDKs of further providers ask, and the format of what they get."""


def _overloaded(retry_after: str) -> Recording:
    return reply(
        [(0.0, json.dumps({"error": _OVERLOADED}).encode())],
        content_type="application/json",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": retry_after},
    )


def _failing_at_first() -> Callable[[], Recording]:
    """Return what breaks one answer in the middle, refuses the next request, and answers the third."""
    broken = reply([(0.0, event) for event in ANSWER[:3]], cut="close")
    replies = itertools.cycle([broken, _overloaded("0"), at_once(ANSWER)])
    lock = threading.Lock()

    def next_reply() -> Recording:
        with lock:
            return next(replies)

    return next_reply


def _forgetful(request: Request) -> Recording:
    """Return a recipe; one without a number of people until a request tells what is wrong with it."""
    told = "corrected" in request.json["messages"][-1]["content"]
    recipe: dict[str, Any] = {"name": "Tea", "serves": 2 if told else "some", "ingredients": [], "steps": []}
    script = testing.script(id="docs", model=_MODEL).text(json.dumps(recipe)).finish("stop")
    return script.recording("openai-chat")


@contextmanager
def docs_server() -> Generator[dict[str, Any], None, None]:
    """Serve the answer, and give the names with which the documents ask for it."""
    flaky = _failing_at_first()
    replies = {
        _CHAT: at_once(ANSWER),
        _MESSAGES: at_once(ANTHROPIC_ANSWER),
        _SLOW: reply([(_SLOW_SECONDS, event) for event in ANSWER]),
        _BUSY: _overloaded("86400"),
        f"{_CUT}/chat/completions": at_once(ANSWER[:8]),
        **{route: _SCRIPT.recording(format) for route, format in _OTHERS.items()},
        **{route: reply([(0.0, path.read_bytes())]) for route, path in _RECIPES.items()},
        _SILENT: reply([*[(0.0, event) for event in ANSWER[:3]], (_SILENT_SECONDS, b"")]),
    }

    def answer(request: Request) -> Recording:
        if request.method != "POST":
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"this server answers POST, not {request.method}")
        if request.route == _FLAKY:
            return flaky()
        if request.route == _FORGETFUL:
            return _forgetful(request)
        if request.route.startswith(AGENT):
            return agent_reply(request)
        return replies.get(request.route) or refusal(HTTPStatus.NOT_FOUND, f"nothing is at {request.route}")

    messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
    with serve_in_time(answer) as server:
        yield {
            "url": server.url + _CHAT,
            "slow_url": server.url + _SLOW,
            "silent_url": server.url + _SILENT,
            "flaky_url": server.url + _FLAKY,
            "busy_url": server.url + _BUSY,
            "recipe_url": server.url + "/recipe/chat/completions",
            "recipe_tool_url": server.url + "/recipe/messages",
            # A model that forgets what a field is, until it is told.
            "forgetful_url": server.url + _FORGETFUL,
            # A model that calls `get_weather` for each city of a question, in three providers' formats.
            "agent_url": server.url + AGENT,
            # What an SDK is to be given as its base URL.
            "openai_url": server.url + "/v1",
            "anthropic_url": server.url,
            # The same for the SDKs of other providers.
            "server_url": server.url,
            # The same for openai, where the answer ends cleanly in the middle of the tool call.
            "cut_url": server.url + _CUT,
            "messages": messages,
            "payload": {"model": "example-model", "messages": messages, "stream": True},
            "headers": {"Authorization": "Bearer made-up"},
            # What a reader has of his own: an interface that shows a text, or blocks by their ids.
            "repaint": lambda _: None,
            "ui": SimpleNamespace(replace=lambda *_: None),
        }


def sdk_environment(names: dict[str, Any]) -> dict[str, str]:
    """Return the variables with which an SDK's client that is made without arguments asks the server."""
    return {
        "OPENAI_API_KEY": "made-up",
        "OPENAI_BASE_URL": names["openai_url"],
        "ANTHROPIC_API_KEY": "made-up",
        "ANTHROPIC_BASE_URL": names["anthropic_url"],
        "GEMINI_API_KEY": "made-up",
        "GOOGLE_GEMINI_BASE_URL": names["server_url"],
    }
