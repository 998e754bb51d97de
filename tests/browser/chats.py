"""A relay whose answers belong to chats, in the protocol that a framework of JavaScript reads."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import anyio
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from tests.support.served import lifespan_in
from tokenstream import AsyncStream, relay, testing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

_WORDS = ("Let ", "me ", "look ", "it ", "up. ", "\U0001f327 ", "Done.")


def _is_slow(body: dict[str, Any]) -> bool:
    return "slowly" in str(body.get("messages")) or "slowly" in str(body.get("forwardedProps"))


class Chats:
    """The answers of chats, each of which follows the running one at an address of its own.

    Args:
        protocol: The relay's protocol.
        name: Reads a chat's name from the body of a request.
        answers: The path at which the answers are, below that of the chats.
        by_id: True if a chat's address also has an answer that has ended, if a request names it.
    """

    def __init__(
        self,
        protocol: relay.ProtocolName,
        name: Callable[[dict[str, Any]], str],
        *,
        answers: str = "",
        by_id: bool = False,
    ) -> None:
        self.journal = relay.MemoryJournal(drain=0)
        self._protocol: relay.ProtocolName = protocol
        self._name = name
        self._answers = answers
        self._by_id = by_id
        self._running: dict[str, str] = {}
        """The id of the running answer of each chat."""
        self.routes = [
            Route("/", self.ask, methods=["POST"]),
            Route(f"{answers}/{{id}}", self.answer),
            Route("/{chat}/stream", self.resume),
            Route("/{chat}/stop", self.stop, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        body = await request.json()
        id = request.headers.get("x-answer-id") or secrets.token_urlsafe()
        chat = self._name(body)
        self._running[chat] = id
        chunks = self._chunks(chat, slow=_is_slow(body), breaks="break" in str(body.get("messages")))
        location = f"{request.url.path}{self._answers}/{{id}}"
        made: Any = relay.respond(
            AsyncStream(chunks), protocol=self._protocol, journal=self.journal, id=id, location=location
        )
        return made  # type: ignore[no-any-return] # an ASGI application

    async def answer(self, request: Request) -> Response:
        return self._follow(request, request.path_params["id"])

    async def resume(self, request: Request) -> Response:
        id = self._running.get(request.path_params["chat"])
        if self._by_id:
            id = request.headers.get("x-answer-id", id)
        return Response(status_code=204) if id is None else self._follow(request, id)

    async def stop(self, request: Request) -> Response:
        id = self._running.get(request.path_params["chat"], "")
        return JSONResponse({"state": await relay.stop(self.journal, id)})

    def _follow(self, request: Request, id: str) -> Response:
        last_event_id = request.headers.get("last-event-id")
        made: Any = relay.follow(self.journal, id, last_event_id, protocol=self._protocol)
        return made  # type: ignore[no-any-return] # an ASGI application

    async def _chunks(self, chat: str, *, slow: bool, breaks: bool) -> AsyncIterator[bytes]:
        script = testing.script().text(*_WORDS).tool_call("get_weather", {"city": "Oslo"}).finish()
        chunks = script.chunks("openai-chat")
        try:
            for chunk in chunks[:4] if breaks else chunks:
                await anyio.sleep(0.1 if slow else 0)
                yield chunk
        finally:
            self._running.pop(chat, None)


def make_app() -> Starlette:
    """Return a relay for `useChat` at `/api/chat` and `/api/named`, and for AG-UI at `/api/agent`."""
    chats = {
        "/api/chat": Chats("ui-message", lambda body: body["id"]),
        "/api/named": Chats("ui-message", lambda body: body["id"], answers="/answers", by_id=True),
        "/api/agent": Chats("ag-ui", lambda body: body["threadId"]),
    }

    # A chat's address has no slash at its end.
    roots = [Route(path, each.ask, methods=["POST"]) for path, each in chats.items()]
    mounts = [Mount(path, routes=each.routes[1:]) for path, each in chats.items()]
    return Starlette(
        routes=[*roots, *mounts], lifespan=lifespan_in(*(each.journal for each in chats.values()))
    )
