"""What the tests of `observe` are given: OpenTelemetry in memory, and a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.otel.backend import Backend
from tests.otel.observe.support import ANSWER, CHAT
from tokenstream.testing._serve.server import ReplayServer, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    """Answer or refuse, by the path."""
    whole = Reply(chunks=[(0.0, chunk) for chunk in ANSWER.chunks("openai-chat")])
    refused = Reply(chunks=[(0.0, b'{"error": {"message": "my secret"}}')], status=429)
    with ReplayServer({CHAT: whole, "/busy" + CHAT: refused}) as server:
        yield server
