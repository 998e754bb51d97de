"""A client that calls an ASGI application without a server, and decides when to send and to leave."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from tests.support.timing import PATIENCE


class Client:
    """Calls an application, and records its messages.

    Args:
        spec: The version of ASGI; from 2.4 on sending to a client that has gone raises.
        slow: Called at each chunk before it is taken.
    """

    def __init__(
        self, *, spec: str = "2.3", method: str = "POST", slow: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": spec},
            "http_version": "1.1",
            "method": method,
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [
                (b"host", b"made.up"),
                (b"accept-encoding", b"gzip"),
                (b"content-type", b"application/json"),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
        }
        self.request = b"{}"
        """The body of the request."""
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.bodies: list[bytes] = []
        self.ended = False
        self.sending = 0
        self._late = tuple(map(int, spec.split("."))) >= (2, 4)
        self._slow = slow
        self._asked = False
        self._gone = anyio.Event()
        self._news = anyio.Event()

    @property
    def body(self) -> bytes:
        return b"".join(self.bodies)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def leave(self) -> None:
        self._gone.set()

    async def until(self, arrived: Callable[[], bool]) -> None:
        with anyio.fail_after(PATIENCE):
            while not arrived():
                await self._news.wait()

    async def call(self, app: Any) -> None:
        with anyio.fail_after(PATIENCE):
            await app(self.scope, self.receive, self.send)

    @asynccontextmanager
    async def calling(self, app: Any) -> AsyncGenerator[None]:
        """Call an application in a task of its own, which has ended after the block."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.call, app)
            yield

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self.request, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        assert self.sending == 0, "two tasks send at once"
        self.sending += 1
        await anyio.lowlevel.checkpoint()
        if self._gone.is_set() and self._late:
            self.sending -= 1
            raise OSError("the client has gone")
        if message["type"] == "http.response.start":
            assert self.status is None
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            assert self.status is not None
            assert not self.ended
            if self._slow is not None:
                await self._slow()
            if message.get("body"):
                self.bodies.append(message["body"])
            self.ended = not message.get("more_body", False)
        self.sending -= 1
        self._news.set()
        self._news = anyio.Event()


async def response_to(
    app: Any,
    method: str = "POST",
    path: str = "/",
    body: Any = b"{}",
    *,
    root: str = "",
    query: str = "",
    **headers: str,
) -> Client:
    """Send a request, and return the client once the response has ended."""
    client = Client(method=method)
    client.scope |= {"path": root + path, "root_path": root, "query_string": query.encode()}
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    client.scope["headers"] = [*(dict(client.scope["headers"]) | named).items()]
    client.request = body if isinstance(body, bytes) else json.dumps(body).encode()
    await client.call(app)
    return client
