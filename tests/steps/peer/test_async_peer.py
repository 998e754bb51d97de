"""Conversations in JSON-RPC with a real process in coroutines: streams of asyncio, of trio and of anyio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.steps.peer.support import AGENT
from tests.steps.processes import KINDS, run_with_process
from tests.support.raised import misuse
from tokenstream import AsyncPeer, Deadlines, Steps
from tokenstream.errors import MisuseError, ProviderError, StreamInterrupted, StreamStalled, StreamTruncated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def run(kind: str, test: Callable[[Any], Awaitable[None]]) -> None:
    run_with_process(kind, AGENT, test)


pytestmark = pytest.mark.parametrize("kind", KINDS)


def test_both_sides_ask_and_answer(kind: str) -> None:
    """The ids of both begin at 0, and a message may be long."""

    async def test(process: Any) -> None:
        async with AsyncPeer(process.stdout, process.stdin) as peer:
            got = (await peer.ask("initialize", protocolVersion=1))["got"]
            assert got["params"] == {"protocolVersion": 1}
            turn = await peer.begin("session/prompt", sessionId="s1")
            seen: list[Any] = []
            async for message in peer:
                seen.append(message.method)
                if message.wants_reply:
                    await message.reply({"optionId": "allow"})
                    with pytest.raises(MisuseError, match="only one"):
                        await message.refuse(1, "too late")
                    await peer.notify("exit")
            assert seen == ["configWarning", *["session/update"] * 2, "session/request_permission", *seen[4:]]
            assert turn.result == {"stopReason": "end_turn"}

    run(kind, test)


def test_errors_are_those_of_the_synchronous_peer(kind: str) -> None:
    """A refusal, a silence and an end are told as in a `for` loop."""

    async def test(process: Any) -> None:
        async with AsyncPeer(process.stdout, process.stdin, deadlines=Deadlines(first_event=2)) as peer:
            with pytest.raises(ProviderError) as refused:
                await peer.ask("refuse")
            assert refused.value.data == {"mode": "x"}
            with pytest.raises(StreamTruncated):
                await peer.ask("die")
            with pytest.raises(StreamTruncated):
                await anext(peer)
            with pytest.raises(StopAsyncIteration):
                await anext(peer)
            await process.wait()
            with pytest.raises((StreamInterrupted, StreamTruncated)):
                # asyncio notices the end only after a first write.
                await peer.ask("initialize")

    run(kind, test)


@pytest.mark.slow
def test_a_silent_agent_meets_the_deadline_and_a_cancelled_request_goes_on(kind: str) -> None:
    """A timeout of the caller's loses nothing."""

    async def test(process: Any) -> None:
        async with AsyncPeer(process.stdout, process.stdin, deadlines=Deadlines(first_event=2)) as peer:
            with anyio.move_on_after(0.05) as scope:
                await anext(peer)
            assert scope.cancelled_caught
            assert await peer.ask("flood", count=3) is None
            assert [(await anext(peer)).params["number"] for _ in range(3)] == [0, 1, 2]
            with pytest.raises(StreamStalled):
                await peer.ask("sleep")

    run(kind, test)


@pytest.mark.slow
def test_a_run_is_built_and_an_answer_from_elsewhere_wakes_the_loop(kind: str) -> None:
    """`reply_soon` is for ordinary functions; meanwhile the loop waits for the agent."""

    async def test(process: Any) -> None:
        async with AsyncPeer(process.stdout, process.stdin) as peer, anyio.create_task_group() as tasks:

            async def answer_later(message: Any) -> None:
                await anyio.sleep(0.1)
                with misuse("concurrent"):
                    await peer.ask("initialize")
                peer.reply_soon(message, {"optionId": "allow"})

            steps = Steps()
            with steps:
                turn = await peer.begin("session/prompt", sessionId="s1", long=2)
                followed = steps.follow(peer, until=turn, exit_code=process.wait, stderr=process.stderr)
                async for message in followed:
                    if message.wants_reply:
                        tasks.start_soon(answer_later, message)
                assert [each.result for each in steps.turns] == ["I xxwait"]
                turn = await peer.begin("session/prompt", sessionId="s1", long=2)
                with pytest.raises(StreamTruncated) as caught:
                    async for message in steps.follow(
                        peer, until=turn, exit_code=process.wait, stderr=process.stderr
                    ):
                        if message.wants_reply:
                            await peer.notify("die")
                assert caught.value.stderr == "the disk is full\n"
                assert "exit code 3" in str(caught.value)
            assert [each.state for each in steps.turns] == ["done", "failed"]

    run(kind, test)


def test_another_thread_answers_through_the_run(kind: str) -> None:
    """A button's handler may run in any thread, while the loop waits for the agent."""

    async def test(process: Any) -> None:
        with Steps() as steps:
            async with AsyncPeer(process.stdout, process.stdin) as peer:
                turn = await peer.begin("session/prompt", sessionId="s1", long=2)
                async with anyio.create_task_group() as tasks:
                    async for message in steps.follow(peer, until=turn):
                        if message.wants_reply:
                            (waiting,) = steps.waiting
                            tasks.start_soon(anyio.to_thread.run_sync, steps.reply, waiting.id, {"n": 1})
                        elif "outcome" in message.params:
                            assert message.params["outcome"] == {"n": 1}
                assert (turn.result, steps.waiting) == ({"stopReason": "end_turn"}, ())

    run(kind, test)
