"""The same answer on every wire that aimock speaks: read right whole, and complete at no cut."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect as connect_socket

from tests.compare.emitters import aimock
from tests.compare.emitters.whole import check_body, check_payloads, said
from tokenstream import Stream

pytestmark = pytest.mark.slow


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
