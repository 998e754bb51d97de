"""The same answer on every wire that aimock speaks: read right whole, and complete at no cut."""

from __future__ import annotations

import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import pytest
from websockets.sync.client import connect as connect_socket

from tests.emitters import aimock
from tests.emitters.whole import check_body, check_payloads, said
from tokenstream import Message, Stream, aconnect, connect

pytestmark = pytest.mark.slow
_ASKED = [(wire, name) for wire in aimock.WIRES for name in aimock.WIRES[wire].scenarios()]


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with aimock.serving() as address:
        yield address


@pytest.mark.parametrize("wire", aimock.WIRES)
def test_an_answer_says_the_same_on_every_wire(url: str, wire: str) -> None:
    """Text, calls and reasoning, at three chunkings; a cut is complete only where nothing is missing."""
    asked = aimock.WIRES[wire]
    for name in asked.scenarios():
        response = httpx.post(f"{url}{asked.path}", json=asked.ask(name), trust_env=False)
        assert response.is_success
        check_body(
            response.content, aimock.expected(asked, name), content_type=response.headers["content-type"]
        )


@pytest.mark.parametrize("wire", aimock.SOCKETS)
def test_an_answer_says_the_same_over_a_websocket(url: str, wire: str) -> None:
    """Read as it comes, from the messages again, and cut after each of them."""
    path, ask, thinks, _ = aimock.SOCKETS[wire]
    for name, (_, told) in aimock.SCENARIOS.items():
        expected = told if thinks else type(told)(told.text, told.calls)
        messages: list[dict[str, Any]] = []
        with connect_socket(f"{url.replace('http', 'ws', 1)}{path}") as socket, Stream(socket) as stream:
            for message in ask(name):
                socket.send(json.dumps(message))
            response = next(iter(stream.responses))
            for event in response:
                if event.raw and (not messages or messages[-1] is not event.raw):
                    messages.append(event.raw)
            assert (said(response.message), response.message.ending) == (expected, "complete")
        check_payloads(messages, expected, format=wire)


def test_answers_that_are_asked_for_at_once_are_not_mixed_up(url: str) -> None:
    """Each says its own, in threads and in tasks: their texts are compared, not how they ended."""

    def ask(job: tuple[str, str]) -> Message:
        wire = aimock.WIRES[job[0]]
        with connect(f"{url}{wire.path}", json=wire.ask(job[1])) as stream:
            return stream.final()

    async def aask(job: tuple[str, str], messages: dict[tuple[str, str], Message]) -> None:
        wire = aimock.WIRES[job[0]]
        async with aconnect(f"{url}{wire.path}", json=wire.ask(job[1])) as stream:
            messages[job] = await stream.final()

    async def ask_all() -> dict[tuple[str, str], Message]:
        messages: dict[tuple[str, str], Message] = {}
        async with anyio.create_task_group() as tasks:
            for job in _ASKED:
                tasks.start_soon(aask, job, messages)
        return messages

    expected = {job: aimock.expected(aimock.WIRES[job[0]], job[1]) for job in _ASKED}
    with ThreadPoolExecutor(16) as pool:
        threads = dict(zip(_ASKED, map(said, pool.map(ask, _ASKED)), strict=True))
    tasks = {job: said(message) for job, message in anyio.run(ask_all).items()}

    assert expected == threads
    assert expected == tasks
