"""Nothing of a session waits for the garbage collector once it was closed, however its answers were left."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import anyio
import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from tests._sources.sockets import answer, event
from tests.formats.openai_responses import payloads
from tests.stream.responses.test_of_openai import answer as response
from tests.support.either import Each, at_once, got, inside
from tests.support.uncollected import left_by, left_by_async
from tokenstream import AsyncSession, Retry, Router, Session
from tokenstream.errors import TokenStreamError

PARAMETERS = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TOOLS = [{"type": "function", "name": "rm", "parameters": PARAMETERS}]
"""As the API has them: pydantic's descriptions of functions wait for the collector themselves."""
router = Router()


@router.tool
def rm(path: str) -> str:
    return path


class Connection:
    """The server of one API, in the place of the client's connection; it may break inside of each answer."""

    def __init__(self, api: str, *, breaks: bool = False) -> None:
        self.api = api
        self.breaks = breaks
        self.count = 0
        self.closed = False
        greeting = event("session.created", session={"model": "gpt-realtime"})
        self.messages: list[str] = [greeting] if api == "openai-realtime" else []

    def take(self, message: str) -> None:
        payload = json.loads(message)
        if payload.get("type") == "response.create":
            self.count += 1
            self.reply(f"resp_{self.count}", payload)
        elif payload.get("type") == "session.update":
            self.messages.append(event("session.updated", session=payload["session"]))
        elif "setup" in payload:
            self.messages.append(json.dumps({"setupComplete": {}}))
        elif "clientContent" in payload or "realtimeInput" in payload:
            parts = [{"modelTurn": {"parts": [{"text": text}]}} for text in ("Hel", "lo")]
            ends = [{"generationComplete": True}, {"turnComplete": True}]
            self.say([json.dumps({"serverContent": each}) for each in (*parts, *ends)])

    def reply(self, id: str, payload: dict[str, Any]) -> None:
        if self.api == "openai-realtime":
            self.say(answer(id, "Hel", "lo"))
        elif payload.get("tools") and self.count == 1:
            self.say([json.dumps(each) for each in payloads.answer(*payloads.remove())])
        else:
            self.say([json.dumps(each) for each in response(id, "Hel", "lo")])

    def say(self, messages: list[str]) -> None:
        self.messages += messages[:4] if self.breaks else messages

    def give(self) -> str:
        if self.messages:
            return self.messages.pop(0)
        raise ConnectionClosedError(None, None) if self.breaks else ConnectionClosedOK(None, None)

    def ping(self) -> None:
        """Do nothing: the peer is always there."""


class SyncConnection(Connection):
    def send(self, message: str) -> None:
        self.take(message)

    def recv(self, timeout: float | None = None) -> str:
        if not self.messages and not self.breaks and timeout is not None:
            raise TimeoutError
        return self.give()

    def close(self) -> None:
        self.closed = True


class AsyncConnection(Connection):
    async def send(self, message: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.take(message)

    async def recv(self) -> str:
        await anyio.lowlevel.checkpoint()
        if not (self.messages or self.breaks or self.closed):
            await anyio.sleep_forever()
        return self.give()

    async def close(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed = True


async def two_questions(opened: Any) -> None:
    async with inside(opened()) as session:
        for question in ("one", "two"):
            async with inside(session.ask(question)) as said:
                assert (await got(said.final())).text == "Hello"
    assert [message.text for message in session.messages] == ["Hello", "Hello"]


async def left_early(opened: Any) -> None:
    async with inside(opened()) as session:
        async with inside(session.ask("one")) as said:
            assert await anext(Each(said.text)) == "Hel"
        assert (await got(session.ask("two").final())).text == "Hello"


async def left_by_an_exception(opened: Any) -> None:
    with suppress(KeyError):
        async with inside(opened()) as session, inside(session.ask("one")) as said:
            await anext(Each(said.text))
            raise KeyError


async def never_read(opened: Any) -> None:
    async with inside(opened()) as session:
        session.ask("one")


async def kept_longer(opened: Any) -> None:
    async with inside(opened()) as session:
        said = session.ask("one")
        await anext(Each(said.text))
    del session
    with suppress(TokenStreamError):
        await got(said.final())


async def shared(opened: Any) -> None:
    async with inside(opened()) as session, inside(session.ask("one")) as said:
        one, two = said.tee(2)
        await anext(Each(one.text))
        await got(two.final())


async def retried(opened: Any) -> None:
    async with inside(opened(retry=Retry(attempts=2, wait=0))) as session:
        assert (await got(session.ask("one").final())).text == "Hello"


async def broken(opened: Any) -> None:
    with suppress(TokenStreamError):
        async with inside(opened(breaks=True)) as session:
            await got(session.ask("one").final())


async def with_tools(opened: Any) -> None:
    async with inside(opened(tools=TOOLS)) as session:
        assert (await got(session.ask("one", router=router).final())).text == "Hello"


APIS = ("openai-responses", "openai-realtime", "gemini-live")
TALKS = [
    *(two_questions, left_early, left_by_an_exception, never_read, kept_longer),
    *(retried, broken, with_tools),
]


@pytest.mark.parametrize("api", APIS)
def test_a_session_leaves_nothing(api: str) -> None:
    def opened(*, breaks: bool = False, **options: Any) -> Session:
        return Session(lambda: SyncConnection(api, breaks=breaks), model="m", format=api, **options)

    def run() -> None:
        for talk in (*TALKS, shared):
            at_once(talk(opened))

    assert left_by(run) == {}


@pytest.mark.anyio
@pytest.mark.parametrize("api", APIS)
async def test_an_asynchronous_session_leaves_nothing(api: str) -> None:
    def opened(*, breaks: bool = False, **options: Any) -> AsyncSession:
        return AsyncSession(lambda: AsyncConnection(api, breaks=breaks), model="m", format=api, **options)

    async def run() -> None:
        for talk in TALKS:
            await talk(opened)
        for _ in range(3):
            await anyio.lowlevel.checkpoint()

    assert await left_by_async(run) == {}
