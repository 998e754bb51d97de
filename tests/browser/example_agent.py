"""A relay of the agent of examples/agent_page, for the frameworks of JavaScript, with a scripted model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.agent_page import agent
from tests.support.served import lifespan_in
from tokenstream import Steps, relay, testing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.requests import Request

    from tokenstream import Event

_CALL = (
    testing.script().text("Let me do it. ").tool_call("delete_note", {"title": "milk"}).finish("tool_calls")
)


def play_model(request: testing.Request) -> testing.Script:
    """Call the tool; afterwards, say what became of it."""
    last = request.json["messages"][-1]
    if last["role"] == "tool":
        return testing.script().text("The tool says: ", last["content"]).finish()
    return _CALL


async def _ask_and_leave(run: Steps) -> AsyncGenerator[Event]:
    """Yield a run that ends while its call waits for approval."""
    with run:
        with run.step("model") as step, step.follow(_CALL.stream("openai-chat")) as stream:
            [call] = stream.final().tool_calls
        with run.step(call) as step:
            step.wait_for("r1", {"type": "approval"})
    async for event in run.events():
        yield event


def make_app() -> Starlette:
    """Return a relay for `useChat` and for AG-UI, with an endpoint for decisions at `/requests/…`."""
    journal = relay.MemoryJournal(drain=0)
    runs: list[Steps] = []

    def answering(protocol: relay.ProtocolName) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Any:
            # The notes are there again for each question.
            agent.notes["milk"] = "Buy milk."
            run = Steps()
            runs.append(run)
            leaves = "Ask and leave" in str(await request.json())
            events = (
                _ask_and_leave(run) if leaves else agent.follow(run, [{"role": "user", "content": "Delete"}])
            )
            return relay.respond(events, protocol=protocol, journal=journal)

        return answer

    async def decide(request: Request) -> Response:
        id, approved = request.path_params["id"], (await request.json())["approved"]
        (run,) = (run for run in runs if id in {waiting.id for waiting in run.waiting})
        run.reply(id, approved)
        return JSONResponse({})

    routes = [
        Route("/api/chat", answering("ui-message"), methods=["POST"]),
        Route("/api/agent", answering("ag-ui"), methods=["POST"]),
        Route("/requests/{id}", decide, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan_in(journal))
