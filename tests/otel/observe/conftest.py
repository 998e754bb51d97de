"""A server for the tests of `observe`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.otel.observe.support import ANSWER, CHAT
from tests.support.replies import at_once, reply, serve_in_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.testing import Server


@pytest.fixture
def server() -> Iterator[Server]:
    whole = at_once(ANSWER.chunks("openai-chat"))
    refused = reply([(0.0, b'{"error": {"message": "my secret"}}')], status=429)
    with serve_in_time({CHAT: whole, "/busy" + CHAT: refused}) as server:
        yield server
