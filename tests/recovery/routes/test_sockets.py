"""Routes over real connections: three servers of three APIs, which fail in the middle of their answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anyio
import pytest

from tests.recovery.routes.providers import TRUTH, Provider, rest_of
from tests.support.effort import in_steps
from tokenstream import Deadlines, Message, Retry, Route, aconnect, connect, testing
from tokenstream.errors import StreamError
from tokenstream.testing import Recording, Request, faults, serve

_APIS = {
    "openai-chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent",
}
_DEADLINES = Deadlines(first_event=20, idle_content=20)


class Servers:
    """Three servers, each of which draws a fault for each request."""

    def __init__(self) -> None:
        self.random = random.Random(0)
        self.asked: list[str] = []
        self._stack = ExitStack()
        self.urls = {
            api: self._stack.enter_context(serve(self._answers(api), format=api)).url + path
            for api, path in _APIS.items()
        }

    def close(self) -> None:
        """Stop all servers."""
        self._stack.close()

    def _answers(self, api: str) -> Callable[[Request], Recording]:
        def answer(request: Request) -> Recording:
            self.asked.append(api)
            text = rest_of(request.json, api)
            words = [word if not index else f" {word}" for index, word in enumerate(text.split(" "))]
            recording = testing.script().text(*words).finish().recording(api)
            at = self.random.random()
            fault: Any = self.random.choice(
                [
                    None,
                    faults.cut(at=at),
                    faults.close(at=at),
                    faults.reset(at=at),
                    faults.error_event(),
                    faults.status(self.random.choice([401, 429, 503])),
                    faults.html_instead(200),
                    faults.empty(),
                ]
            )
            return recording if fault is None else recording.with_fault(fault)

        return answer


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Give servers that all cases of a process share."""
    started = Servers()
    yield started
    started.close()


@pytest.mark.slow
@pytest.mark.parametrize("world", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize("block", range(4))
def test_an_answer_over_sockets_is_the_truth_or_an_error_with_its_beginning(
    servers: Servers, world: str, block: int
) -> None:
    """Each case asks two or three providers, of which any request may fail at any byte."""
    for seed in range(block * 50, block * 50 + 50, in_steps(4)):
        servers.random.seed(f"{world} {seed}")
        servers.asked.clear()
        apis = servers.random.sample(list(_APIS), servers.random.choice([2, 3]))
        attempts = [servers.random.randint(1, 2) for _ in apis]
        first, *others = [
            Route(servers.urls[api], json=Provider(api).payload, attempts=count, name=api, failures=None)
            for api, count in zip(apis, attempts, strict=True)
        ]
        retry = Retry(routes=others, wait=0)
        if world == "sync":
            text, message, error = _read(first, retry)
        else:
            text, message, error = anyio.run(_read_async, first, retry, backend=world)

        told = f"{world} {seed}: {apis} {attempts}, asked {servers.asked}, {error!r}"
        if error is None:
            assert (text, message.text, message.complete) == (TRUTH, TRUTH, True), told
        else:
            assert TRUTH.startswith(text), told
            assert error.partial.text.startswith(text), told
        assert all(servers.asked.count(api) <= most for api, most in zip(apis, attempts, strict=True)), told


def _read(first: Route, retry: Retry) -> tuple[str, Message, StreamError | None]:
    pieces: list[str] = []
    error = None
    with connect(first, retry=retry, deadlines=_DEADLINES) as stream:
        try:
            for piece in stream.text:
                pieces.append(piece)
        except StreamError as raised:
            error = raised
    return "".join(pieces), stream.message, error


async def _read_async(first: Route, retry: Retry) -> tuple[str, Message, StreamError | None]:
    pieces: list[str] = []
    error = None
    async with aconnect(first, retry=retry, deadlines=_DEADLINES) as stream:
        try:
            async for piece in stream.text:
                pieces.append(piece)
        except StreamError as raised:
            error = raised
    return "".join(pieces), stream.message, error
