"""What answers with tool calls are made of, and an empty Redis for the stores of such calls."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from redis import Redis

from tests.support.redis_servers import RedisServer
from tests.support.wire import DONE, chat_call, sse


def calling(
    *calls: tuple[str, str], id: str | None = None, finish: str | None = "tool_calls", choice: int = 0
) -> list[bytes]:
    """Return an answer with calls, each a name and arguments; without a finish, it is cut off."""
    events: list[Any] = [
        {"delta": chat_call(number, text, id=f"call_{number}", name=name)}
        for number, (name, text) in enumerate(calls)
    ]
    events += [{"delta": {}, "finish_reason": finish}] if finish else []
    head = {} if id is None else {"id": id}
    chunks = [sse({**head, "choices": [{"index": choice, **event}]}) for event in events]
    return [*chunks, DONE] if finish else chunks


@contextmanager
def flushed(server: RedisServer) -> Generator[Redis]:
    with Redis(unix_socket_path=server.path) as client:
        client.flushall()
        yield client
