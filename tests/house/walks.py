"""Count the Python calls of what a user does most, so that a longer way is seen before it is slow."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import repeat
from types import FrameType
from typing import Any, TypeAlias

import httpx
import websockets.sync.client
from pydantic import BaseModel

from tests.project import PACKAGE
from tokenstream import Retry, Session, Steps, Stream, connect, relay, testing
from tokenstream.formats._wire.openai_chat import OpenAIChat
from tokenstream.stream._options import enter_clock, leave_clock

_URL = "https://api.openai.com/v1/chat/completions"
_OVERLOADED = {"error": {"message": "overloaded", "type": "server_error"}}
_LONG, _SHORT = ["word "] * 400, ["word "] * 3
"""The texts of an answer whose steady state is counted, and of one that is counted whole."""


class _Order(BaseModel):
    article: str
    amount: int


class Counter:
    """Count calls, with the functions and the modules of the package that are in them.

    Attributes:
        calls: Number of calls of Python, also in other packages.
        own: Number of calls of the package's functions.
    """

    def __init__(self) -> None:
        self.calls = self.own = 0
        self.functions = set[tuple[str, str]]()

    @property
    def modules(self) -> set[str]:
        """The modules of the package that these functions are in."""
        return {file for file, _ in self.functions}

    def run(self, do: Callable[[], object]) -> None:
        """Do something, and count meanwhile."""
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            do()
        finally:
            sys.setprofile(before)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            code = frame.f_code
            self.calls += 1
            if code.co_filename.startswith(str(PACKAGE)):
                self.own += 1
                self.functions.add((code.co_filename, code.co_qualname))

    def __str__(self) -> str:
        """Show the four numbers."""
        return f"{self.calls:6} / {self.own:5} / {len(self.functions):4} / {len(self.modules):4}"


Walk: TypeAlias = "Callable[[], AbstractContextManager[Callable[[], object]]]"
"""Prepares a walk; the context has the walk itself."""


def walk(prepared: Walk) -> Counter:
    """Count a walk, after one that fills all caches, by a clock that stands still.

    Where time passes, a reader subtracts what it has taken itself now and then, and this takes calls, too.
    """
    # What other tests' answers have proved would take the room of what this one's proves.
    vars(OpenAIChat.fast).pop("templates", None)
    counter = Counter()
    # To read it is no call of Python, as with the real one.
    enter_clock(repeat(0.0).__next__)
    try:
        with prepared() as do:
            do()
        # The collector may end generators of earlier walks, which would count as calls.
        gc.disable()
        with prepared() as do:
            counter.run(do)
    finally:
        gc.enable()
        leave_clock()
    return counter


def _chunks(pieces: Sequence[str]) -> list[bytes]:
    return testing.script().text(*pieces).finish("stop").chunks("openai-chat")


@contextmanager
def _delta() -> Generator[Callable[[], object]]:
    with Stream(_chunks(_LONG)) as stream:
        yield partial(next, _later(stream))


@contextmanager
def _piece() -> Generator[Callable[[], object]]:
    with Stream(_chunks(_LONG)) as stream:
        yield partial(next, _later(stream.text))


@contextmanager
def _draft() -> Generator[Callable[[], object]]:
    with Stream(_chunks(['{"article": "', *_LONG, '", "amount": 1}'])) as stream:
        yield partial(next, _later(stream.partials(_Order)))


def _later(items: Iterable[Any]) -> Iterator[Any]:
    """Return an iterator in the middle of an answer, where each piece takes the same way."""
    begun = iter(items)
    for _ in range(len(_LONG) // 2):
        next(begun)
    return begun


@contextmanager
def _short() -> Generator[Callable[[], object]]:
    chunks = _chunks(_SHORT)
    yield lambda: Stream(chunks).final()


@contextmanager
def _connected(failures: int, **options: Any) -> Generator[Callable[[], object]]:
    body = b"".join(_chunks(_SHORT))

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal failures
        if failures:
            failures -= 1
            return httpx.Response(503, headers={"retry-after": "0"}, json=_OVERLOADED)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:

        def ask() -> None:
            with connect(_URL, json={"model": "m", "messages": []}, client=client, **options) as stream:
                stream.final()

        yield ask


@contextmanager
def _relayed() -> Generator[Callable[[], object]]:
    async def send(_: object) -> None:
        pass

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def respond() -> None:
        answer = testing.script().text(*_SHORT).finish("stop").astream("openai-chat")
        await relay.respond(answer)(scope, receive, send)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    yield lambda: asyncio.run(respond())


@contextmanager
def _line() -> Generator[Callable[[], object]]:
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    start = {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in _LONG
    ]
    lines: list[dict[str, Any]] = [{"type": "system", "subtype": "init", "session_id": "s"}]
    lines += [
        {"type": "stream_event", "session_id": "s", "uuid": str(number), "event": event}
        for number, event in enumerate([start, block, *deltas])
    ]
    with Steps("look") as run:
        yield partial(next, _later(run.follow([json.dumps(line) for line in lines], agent="claude-code")))


@contextmanager
def _asked() -> Generator[Callable[[], object]]:
    script = [testing.script().text(*_SHORT).finish("stop") for _ in range(2)]
    with testing.serve(script, sessions=True) as server:
        url = f"{server.ws_url}/v1/responses"
        with Session(lambda: websockets.sync.client.connect(url), model="gpt-5.1") as session:
            session.ask("What time is it?").final()
            yield lambda: session.ask("And now?").final()


WALKS: dict[str, Walk] = {
    "a text delta": _delta,
    "a piece of stream.text": _piece,
    "a draft of partials(Order)": _draft,
    "Stream of a short answer": _short,
    "connect": partial(_connected, 0),
    "connect(retry=), which succeeds at once": partial(_connected, 0, retry=Retry()),
    "connect(retry=), after a 503": partial(_connected, 1, retry=Retry()),
    "relay.respond": _relayed,
    "a line of Claude Code": _line,
    "a question over an open WebSocket": _asked,
}
"""Each walk by its name."""


def count_retry(failures: int) -> int:
    """Return the package's calls for `retry=` and a retry, beyond those of an answer without `retry=`.

    Args:
        failures: Number of times that the server answers with 503 first: 0 for an answer at once, or 1.
    """
    walks = ("connect(retry=), which succeeds at once", "connect(retry=), after a 503")
    return walk(WALKS[walks[failures]]).own - walk(WALKS["connect"]).own
