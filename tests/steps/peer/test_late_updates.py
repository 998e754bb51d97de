"""Updates of ACP that come after the answer to their prompt: they belong to no later turn."""

from __future__ import annotations

import asyncio
import io
import json
import os
import queue
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.support.tables import in_one_test
from tests.support.timing import PATIENCE
from tokenstream import AsyncPeer, Peer, Steps
from tokenstream.steps._agents.acp import ACP
from tokenstream.steps._peer import base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    import pytest


def _update(kind: str, **fields: Any) -> dict[str, Any]:
    params = {"sessionId": "s1", "update": {"sessionUpdate": kind, **fields}}
    return {"jsonrpc": "2.0", "method": "session/update", "params": params}


def _says(text: str, kind: str = "agent_message_chunk", **fields: Any) -> dict[str, Any]:
    return _update(kind, content={"type": "text", "text": text}, **fields)


def _answer(id: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": {"stopReason": "end_turn"}}


def _bytes(*messages: dict[str, Any]) -> bytes:
    """Return messages as an agent writes them."""
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


_FIRST = [_says("One", messageId="m1"), _update("tool_call", toolCallId="t1", title="look")]
"""The updates of the first turn."""
_LATE: dict[str, list[dict[str, Any]]] = {
    "text": [_says(", two.", messageId="m1")],
    "reasoning": [_says("Hm.", "agent_thought_chunk", messageId="m1")],
    "a tool's end": [_update("tool_call_update", toolCallId="t1", status="completed")],
}
"""Updates of the first turn that come late."""
_WITHOUT_IDS: dict[str, list[dict[str, Any]]] = {
    "text without an id": [_says(", two.")],
    "several pieces": [_says(", "), _says("two.")],
    "a plan": [_update("plan", entries=[{"content": "Look.", "status": "completed"}])],
    "a tool": [_update("tool_call", toolCallId="t2", title="look", status="completed")],
}
"""Updates without an id of the first turn, which only their place can tell."""


def _turns(*events: dict[str, Any] | int) -> list[Any]:
    """Return what a run has of each turn; a number is the id of a prompt that is sent."""
    with Steps() as run:
        reader = ACP(run)
        for event in events:
            if isinstance(event, int):
                reader.read_sent("session/prompt", {"sessionId": "s1"}, event)
            elif "id" in event:
                reader.read_answer("session/prompt", event)
            else:
                reader.read(event)
        reader.end(None)
    return [
        (
            [message.text or message.parts for message in turn.step.messages],
            [tool.name for tool in turn.step.steps],
            turn.step.updates,
        )
        for turn in run.turns
    ]


_ROUNDS: list[dict[str, Any] | int] = [
    0, *_FIRST, _answer(0),
    1, _says("Two.", messageId="m2"), _answer(1),
    2, _says("Three.", messageId="m3"), _answer(2),
]  # fmt: skip
"""Three prompts, each with what the agent says to it."""


@in_one_test("late", _WITHOUT_IDS.values(), ids=_WITHOUT_IDS)
def test_an_update_between_two_prompts_belongs_to_no_later_turn(late: list[dict[str, Any]]) -> None:
    assert _turns(*_ROUNDS) == _turns(*_ROUNDS[:4], *late, *_ROUNDS[4:])


@in_one_test("late", _LATE.values(), ids=_LATE)
def test_an_update_with_an_id_belongs_to_the_turn_of_its_id(late: list[dict[str, Any]]) -> None:
    """A tool in the background may end long after its turn: whatever its place, it is no later turn's."""
    for place in range(4, len(_ROUNDS) + 1):
        assert _turns(*_ROUNDS) == _turns(*_ROUNDS[:place], *late, *_ROUNDS[place:]), place


def test_a_prompt_that_waits_for_the_turn_in_progress_gets_what_follows() -> None:
    """If the next prompt is sent early, the answer to the first one ends the first turn alone."""
    turns = _turns(0, _says("One."), 1, _answer(0), _says("Two."), _answer(1))

    assert [["One."], ["Two."]] == [texts for texts, _, _ in turns]


def test_a_long_prompt_that_waits_explains_the_tokens_of_its_turn() -> None:
    """A turn with a long prompt may have more tokens than the session had before, all of them its own."""
    with Steps() as run:
        reader = ACP(run)
        for number, text in enumerate(("Look.", "All of this: " + 60_000 * "x")):
            reader.read_sent("session/prompt", {"sessionId": "s1", "prompt": [{"text": text}]}, number)
        for number, tokens in enumerate((10_000, 25_000)):
            reader.read(_says("Yes."))
            usage = {"inputTokens": tokens, "outputTokens": 10}
            reader.read_answer(
                "session/prompt", {"id": number, "result": {"stopReason": "end_turn", "usage": usage}}
            )

    assert [10_000, 25_000] == [turn.usage.input_tokens for turn in run.turns]


def test_without_the_prompts_each_turn_begins_with_its_updates() -> None:
    """The messages of the agent alone do not tell when a prompt was sent."""
    turns = _turns(_says("One."), _answer(0), _says("Two."), _answer(1))

    assert [["One."], ["Two."]] == [texts for texts, _, _ in turns]


@contextmanager
def _pipe() -> Generator[tuple[Any, Any]]:
    """Make a pipe; both of its ends are closed in the end."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as agent, os.fdopen(writer, "wb", buffering=0) as out:
        yield agent, out


def _read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a peer read once before a prompt, with all the time that a busy machine needs for it."""
    monkeypatch.setattr(base, "LEAST_WAIT", PATIENCE)
    times = iter(range(1_000_000))
    monkeypatch.setattr(base, "time", SimpleNamespace(monotonic=lambda: float(next(times))))


def _results(run: Steps) -> list[Any]:
    return [turn.result for turn in run.turns]


@in_one_test("late", _WITHOUT_IDS.values(), ids=_WITHOUT_IDS)
def test_what_the_pipe_holds_before_a_prompt_is_sent_belongs_to_no_later_turn(
    late: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a prompt, a peer reads what is there, since its place alone tells whose it is."""
    _read_once(monkeypatch)
    with _pipe() as (reader, out), Peer(reader, io.BytesIO()) as peer, Steps() as run:
        for number, text in enumerate(("One", "Three.")):
            out.write(b"" if not number else _bytes(*late))
            asked = peer.begin("session/prompt", sessionId="s1")
            out.write(_bytes(_says(text), _answer(number)))
            list(run.follow(peer, until=asked, agent="acp"))
        out.close()

    assert ["One", "Three."] == _results(run)


def test_what_the_pipe_holds_before_a_prompt_in_coroutines_belongs_to_no_later_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _read_once(monkeypatch)

    async def follow() -> list[Any]:
        reader = asyncio.StreamReader()
        with Steps() as run:
            peer = AsyncPeer(reader, _Nowhere())
            for number, text in enumerate(("One", "Three.")):
                reader.feed_data(b"" if not number else _bytes(_says(", two.")))
                asked = await peer.begin("session/prompt", sessionId="s1")
                reader.feed_data(_bytes(_says(text), _answer(number)))
                async for _ in run.follow(peer, until=asked, agent="acp"):
                    pass
        return _results(run)

    assert ["One", "Three."] == asyncio.run(follow())


def _round(number: int, text: str) -> bytes:
    """Return what an agent writes in a turn."""
    return _bytes(_says(text), _answer(number))


def test_a_source_whose_reads_have_no_limit_is_not_read_before_a_prompt() -> None:
    """An iterator would wait for a turn that has not begun, and so for ever."""
    waiting: queue.Queue[bytes] = queue.Queue()
    with Steps() as run:
        peer = Peer(iter(waiting.get_nowait, None), io.BytesIO())
        for number, text in enumerate(("One", "Two.")):
            asked = peer.begin("session/prompt", sessionId="s1")
            waiting.put(_round(number, text))
            list(run.follow(peer, until=asked, agent="acp"))

    assert ["One", "Two."] == _results(run)


def test_a_source_that_survives_no_cancelled_read_is_not_read_before_a_prompt() -> None:
    """An asynchronous generator is over once a read is cancelled, and the conversation with it."""

    async def follow() -> list[Any]:
        waiting: asyncio.Queue[bytes] = asyncio.Queue()

        async def read() -> AsyncIterator[bytes]:
            while True:
                yield await waiting.get()

        with Steps() as run:
            peer = AsyncPeer(read(), _Nowhere())
            for number, text in enumerate(("One", "Two.")):
                asked = await peer.begin("session/prompt", sessionId="s1")
                waiting.put_nowait(_round(number, text))
                async for _ in run.follow(peer, until=asked, agent="acp"):
                    pass
        return _results(run)

    assert ["One", "Two."] == asyncio.run(follow())


class _Nowhere:
    """A stream of asyncio that is written in vain."""

    def write(self, data: bytes) -> None:
        """Take some bytes."""

    async def drain(self) -> None:
        """Return at once."""
