"""A relay with an agent whose tool asks for a permission, in three protocols, for pages that answer it."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tests.support.served import lifespan_in
from tokenstream import AsyncStream, Steps, relay, testing
from tokenstream.router import ToolFailed

if TYPE_CHECKING:
    from starlette.requests import Request

_REQUEST = {"command": "rm -r build"}
_CALL = testing.script().text("Let me see. ").tool_call("remove", {"path": "build"}).finish()
_END = testing.script().text("Done.").finish()


class Agents:
    """The runs of an agent, each in a journal, and the replies to their questions."""

    def __init__(self) -> None:
        self._journals: dict[Any, relay.MemoryJournal] = {
            protocol: relay.MemoryJournal(drain=0) for protocol in ("tokenstream", "ui-message", "ag-ui")
        }
        """The journal of each protocol."""
        self._runs: dict[str, Steps] = {}
        """The runs by the ids of their answers."""
        self._tasks = set[asyncio.Task[None]]()
        self.app = Starlette(
            routes=[
                Route("/agent/{protocol}", self.ask, methods=["POST"]),
                Route("/agent/{protocol}/{id}", self.answer),
                Route("/replies/{id}", self.reply, methods=["POST"]),
            ],
            lifespan=lifespan_in(*self._journals.values()),
        )

    async def ask(self, request: Request) -> Response:
        protocol = request.path_params["protocol"]
        id = request.headers.get("x-answer-id") or secrets.token_urlsafe()
        if id not in self._runs:
            self._runs[id] = Steps()
            self._tasks.add(asyncio.create_task(self._work(self._runs[id])))
        events = self._runs[id].events()
        journal = self._journals[protocol]
        made: Any = relay.respond(events, protocol=protocol, journal=journal, id=id)
        return made  # type: ignore[no-any-return] # an ASGI application

    async def answer(self, request: Request) -> Response:
        protocol, id = request.path_params["protocol"], request.path_params["id"]
        last_event_id = request.headers.get("last-event-id")
        made: Any = relay.follow(self._journals[protocol], id, last_event_id, protocol=protocol)
        return made  # type: ignore[no-any-return] # an ASGI application

    async def reply(self, request: Request) -> Response:
        self._runs[request.path_params["id"]].reply("r1", await request.json())
        return Response(status_code=204)

    async def _work(self, run: Steps) -> None:
        decided = asyncio.get_running_loop().create_future()
        with run, run.step("agent") as agent:
            answer = await agent.follow(AsyncStream(_CALL.chunks("openai-chat"))).final()
            (call,) = answer.tool_calls
            with suppress(ToolFailed), run.step(call) as tool:
                tool.wait_for("r1", _REQUEST, send=decided.set_result)
                if not (await decided)["allowed"]:
                    raise ToolFailed("the user has refused")
                tool.add_output("removed build\n")
                tool.result = {"files": 3}
            await agent.follow(AsyncStream(_END.chunks("openai-chat"))).final()
