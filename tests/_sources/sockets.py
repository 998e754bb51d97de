"""WebSocket servers on the loopback address, and what they say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tokenstream.testing._serve.serve import client_context, server_context

__all__ = ["ASK", "BYE", "Script", "answer", "client_context", "event", "open_socket", "talk"]

ASK = json.dumps({"type": "response.create"})
BYE = json.dumps({"type": "bye"})
"""Has the server say farewell."""
Script = Callable[[ServerConnection], None]


@contextmanager
def open_socket(script: Script, *, tls: bool = False) -> Generator[str]:
    """Open a server that plays a script on each connection, and give its address."""

    def play(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            script(connection)

    server: Server
    context = server_context("127.0.0.1") if tls else None
    with serve(play, "127.0.0.1", 0, ssl=context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{'wss' if tls else 'ws'}://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "event_1", **fields})


def answer(id: str, *pieces: str, status: str = "completed", **fields: Any) -> list[str]:
    """Return the events of one response, whose last one ends it."""
    where = {"response_id": id, "item_id": f"item_{id}", "output_index": 0, "content_index": 0}
    item = {"id": f"item_{id}", "type": "message", "role": "assistant"}
    head = {"id": id, "object": "realtime.response"}
    return [
        event("response.created", response={**head, "status": "in_progress"}),
        event("response.output_item.added", response_id=id, output_index=0, item=item),
        event("response.content_part.added", part={"type": "text", "text": ""}, **where),
        *[event("response.output_text.delta", delta=piece, **where) for piece in pieces],
        event("response.content_part.done", part={"type": "text"}, **where),
        event("response.output_item.done", response_id=id, output_index=0, item=item),
        event("response.done", response={**head, "status": status, **fields}),
    ]


def talk(connection: ServerConnection) -> None:
    """Answer each request with "Hello", and close the connection when asked to."""
    connection.send(event("session.created", session={"model": "gpt-realtime"}))
    for number, message in enumerate(connection, 1):
        if message == BYE:
            return
        for each in answer(f"resp_{number}", "Hel", "lo"):
            connection.send(each)
