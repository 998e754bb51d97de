"""Sessions over the live connections of google-genai, which sets them up itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.packages import needed
from tokenstream import AsyncSession, MisuseError, Router, testing
from tokenstream.testing import faults

genai: Any = needed("google.genai")
needed("websockets")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]


@asynccontextmanager
async def live(answers: list[Any]) -> AsyncGenerator[tuple[testing.Server, Callable[[], Any]]]:
    """Serve answers, and give a function that opens connections of the SDK."""
    async with testing.serve(answers, sessions=True, tls=True) as server:
        options = {"base_url": server.url, "async_client_args": {"ssl": server.client_context}}
        client = genai.Client(api_key="k", http_options=options)
        config = {"response_modalities": ["TEXT"], "system_instruction": "Be brief."}
        yield server, lambda: client.aio.live.connect(model="m", config=config)


def said(text: str, *added: Any) -> Any:
    recording = testing.script().text(text).finish().recording("gemini-live")
    return recording.with_fault(*added) if added else recording


async def ask(session: AsyncSession, question: str, **options: Any) -> str:
    async with session.ask(question, **options) as answer:
        return (await answer.final()).text


@pytest.mark.slow
async def test_questions_and_tools_over_the_connection_of_the_sdk() -> None:
    """The setup is the SDK's, and is sent once."""
    router = Router()

    @router.tool
    def now(zone: str) -> str:
        return f"noon in {zone}"

    call = testing.script().tool_call("now", {"zone": "UTC"}).finish()
    async with live([said("Hello"), call, said("It is noon."), said("Bye")]) as (server, opens):
        async with AsyncSession(opens) as session:
            assert await ask(session, "Hi") == "Hello"
            assert await ask(session, "What time is it?", router=router) == "It is noon."
            assert await ask(session, "Bye") == "Bye"
            assert session.rotations == 0
        sent = server.exchanges[0].received_json

    assert [next(iter(each)) for each in sent] == [
        "setup",
        "clientContent",
        "clientContent",
        "toolResponse",
        "clientContent",
    ]


async def test_another_connection_of_the_sdk_gets_the_whole_conversation() -> None:
    answers = [said("Hello"), said("lost", faults.go_away(0)), said("Bye")]
    async with live(answers) as (server, opens), AsyncSession(opens) as session:
        assert await ask(session, "Hi") == "Hello"
        await ask(session, "And?")
        assert await ask(session, "Bye") == "Bye"
        assert (session.rotations, session.resent) == (1, 1)
        turns = server.exchanges[-1].received_json[1]["clientContent"]["turns"]

    assert [turn["parts"][0]["text"] for turn in turns] == ["Hi", "Hello", "And?", "lost", "Bye"]


@pytest.mark.parametrize(
    "options",
    [
        {"model": "m"},
        {"tools": [{"functionDeclarations": []}]},
        {"settings": {"systemInstruction": "Be brief."}},
    ],
)
async def test_what_belongs_to_the_setup_is_given_to_the_sdk(options: dict[str, Any]) -> None:
    async with live([said("Hello")]) as (_, opens):
        with pytest.raises(MisuseError, match="pass model, tools and settings to its connect"):
            async with AsyncSession(opens, **options):
                pytest.fail("it is not open")
