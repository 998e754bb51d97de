"""What editors infer of sessions and their answers; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, assert_type

from tokenstream import AsyncSession, AsyncStream, Message, Retry, Router, Session, Stream, Tools, connect
from tokenstream.events import ToolProgress
from tokenstream.session import Answer, AsyncAnswer
from tokenstream.turns import ToolResults


def sessions(open_socket: Any, router: Router, tools: Tools, results: ToolResults) -> None:
    """An answer is a stream that can be interrupted."""
    session = Session(
        open_socket, model="gpt-5.1", tools=tools, settings={"store": False}, retry=Retry(wait=0)
    )
    with session as entered:
        assert_type(entered, Session)
    answer = session.ask("Hello", router=router)
    assert_type(answer, Answer)
    stream: Stream = answer
    with answer as opened:
        assert_type(opened, Answer)
    assert_type(stream.final(), Message)
    assert_type(answer.interrupt(played_ms=1_200.0), None)
    assert_type(session.ask(results, lane="a", job="caller 7"), Answer)
    assert_type(session.messages, list[Message])
    assert_type(session.turns("openai-chat"), list[dict[str, Any]])
    assert_type((session.rotations, session.resent), tuple[int, int])
    assert_type(session.format, str | None)
    Session(open_socket, fallback=lambda payload: connect("https://localhost", json=payload))
    Session(open_socket, tools=router)
    Session(open_socket, retries=3)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    assert_type(router.tools_only(), Router)
    assert_type(router.tools_only(ToolProgress), Router)


async def async_sessions(open_socket: Any) -> None:
    async with AsyncSession(open_socket, format="gemini-live") as session:
        assert_type(session, AsyncSession)
        async with session.ask("Hello") as answer:
            assert_type(answer, AsyncAnswer)
            stream: AsyncStream = answer
            pieces: AsyncIterator[str] = answer.text
            assert_type(await answer.interrupt(), None)
            assert_type(await stream.final(), Message)
            assert_type([piece async for piece in pieces], list[str])
        assert_type(await session.aclose(), None)
