"""Clients of the sessions that the test server holds, which send and receive messages as JSON."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.packages import needed
from tests.support.timing import PATIENCE
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Generator

    from tokenstream.testing import Server

connect: Any = needed("websockets.sync.client").connect
exceptions: Any = needed("websockets.exceptions")

RESPONSES = "/v1/responses"
REALTIME = "/v1/realtime"
LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
PATHS = {"openai-responses": RESPONSES, "openai-realtime": REALTIME, "gemini-live": LIVE}

HELLO = testing.script().text("Hel", "lo").finish()
AGAIN = testing.script().text("Again").finish()
CALL = testing.script().tool_call("now", {}).finish()
PAUSED = testing.script().text("Hel").silence(60).text("lo, ", "all").finish()


class Client:
    """A WebSocket that speaks JSON."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    def send(self, kind: str = "", **fields: Any) -> None:
        """Send a message, of a type if the API has types."""
        self.socket.send(json.dumps({"type": kind, **fields} if kind else fields))

    def recv(self) -> Any:
        """Return the next message; a server that is silent fails the test."""
        return json.loads(self.socket.recv(timeout=PATIENCE))

    def until(self, kind: str) -> list[Any]:
        messages = [self.recv()]
        while messages[-1].get("type") != kind:
            messages.append(self.recv())
        return messages

    def until_content(self, name: str) -> list[Any]:
        """Return the messages up to the one whose `serverContent`, or which itself, has a field."""
        messages = [self.recv()]
        while name not in messages[-1] and name not in messages[-1].get("serverContent", {}):
            messages.append(self.recv())
        return messages

    def respond(self, **fields: Any) -> Any:
        """Ask OpenAI's Responses API for a response, and return it when it is complete."""
        self.send("response.create", **fields)
        last = self.recv()
        while last["type"] not in {"response.completed", "error"}:
            last = self.recv()
        return last.get("response", last)


@contextmanager
def open_client(server: Server, path: str) -> Generator[Client]:
    """Open a WebSocket at a path of the server; the first message of a session is read."""
    with connect(server.ws_url + path, proxy=None) as socket:
        client = Client(socket)
        if path == REALTIME:
            assert client.recv()["type"] == "session.created"
        yield client


@contextmanager
def opened(path: str, answers: Any, **options: Any) -> Generator[Client]:
    """Open a WebSocket at a path of a server of its own, which plays the answers in sessions."""
    with testing.serve(answers, sessions=True, **options) as server, open_client(server, path) as client:
        yield client
