"""A chat service on this machine, as a bot sees it: each message with all its texts."""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tokenstream import testing

WORDS = [f"word{number} " for number in range(1_300)]
_SHORT = testing.script().text("The ", "sky ", "is ", "blue.").finish("stop").recording("openai-chat")
_growing = testing.script()
for _ in range(25):
    _growing = _growing.text("word", " ").silence(0.1)
LINES = [f"    line_{number} = compute({number})" for number in range(220)]
_CODE = "\n".join(["Here it is:", "", "```python", "def f():", *LINES, "```", "That is all."])
_CUT = testing.script().text("It goes ", "on").finish("length").recording("openai-chat")
ANSWERS = {
    "Why?": _growing.text("end.").finish("stop").recording("openai-chat"),
    "Write a lot!": testing.script().text(*WORDS).finish("stop").recording("openai-chat"),
    "Code!": testing.script().text(*re.findall(r"(?s).{1,15}", _CODE)).finish().recording("openai-chat"),
    "Go on!": _CUT,
    "Say nothing!": testing.script().finish("stop").recording("openai-chat"),
    "Wait!": _SHORT,
    "Break!": _SHORT.with_fault(testing.faults.close(event=3)),
    "Shout!": testing.script().text("<!chan", "nel> <@U1>: a < b.").finish("stop").recording("openai-chat"),
    "Refuse!": _SHORT.with_fault(testing.faults.status(500)),
}
"""Answers to what a user may say to a bot."""


def answer(request: testing.Request) -> testing.Recording:
    """Answer a bot's request to the model, whose question may mention the bot."""
    question = request.json["messages"][-1]["content"]
    return next(answer for asked, answer in ANSWERS.items() if question.endswith(asked))


def assert_code_is_whole(texts: list[str]) -> None:
    """Check the messages that show the code: each has whole lines, and closes what it opens."""
    lines = [line for text in texts for line in text.split("\n")]

    assert all(text.count("```") % 2 == 0 for text in texts)
    assert LINES == [line for line in lines if line.startswith("    ")]
    assert {"Here it is:", "", "```python", "def f():", "```", "That is all."} == {*lines} - {*LINES}


class ChatService(ABC):
    """The service: it refuses messages that are empty or too long, and edits that change nothing.

    Args:
        limit: The most characters of a message.
        last: How the text ends after which nothing more comes.
    """

    def __init__(self, limit: int, last: str = "") -> None:
        self.messages: list[list[str]] = []
        self.is_over = asyncio.Event()
        self._limit = limit
        self._last = last

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[str]:
        """Serve until the context ends, which has the address."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.reply)
        async with TestServer(app) as server:
            yield str(server.make_url(""))

    @abstractmethod
    async def reply(self, request: web.Request) -> web.StreamResponse:
        """Answer a call of the service's API."""

    def send(self, text: str) -> int:
        self._check(text)
        self.messages.append([text])
        return len(self.messages)

    def edit(self, number: int, text: str) -> None:
        self._check(text)
        assert self.messages[number - 1][-1] != text
        self.messages[number - 1].append(text)

    def _check(self, text: str) -> None:
        assert 0 < len(text.strip()) <= len(text) <= self._limit
        if text.rstrip().endswith(self._last):
            self.is_over.set()

    @property
    def texts(self) -> list[str]:
        return [texts[-1] for texts in self.messages]


def json_of(**values: Any) -> web.Response:
    """Return a response with an object of JSON, of the type that discord.py wants."""
    return web.Response(body=json.dumps(values), headers={"Content-Type": "application/json"})
