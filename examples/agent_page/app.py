"""An agent in a web page: calls as they are written, results, Approve and Deny.

    pip install . fastapi uvicorn
    OPENAI_API_KEY=sk-… uvicorn examples.agent_page.app:app

The agent goes on when the page is reloaded or closed, and waits for the user's decision
as long as it takes. It lives in this process, so a user's requests must all get here;
its answers are kept in memory.
"""

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from examples.agent_page import agent
from tokenstream import Event, MisuseError, Steps, relay

FOLDER = Path(__file__).parent


class Question(BaseModel):
    """A question of the user."""

    question: str = Field(min_length=1, max_length=4000)


class Turn(Question):
    """A question with the id of its answer."""

    id: str


class Decision(BaseModel):
    """The user's decision about a call."""

    approved: bool


class Chat:
    """The chat of one user."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.messages: list[dict[str, Any]] = []
        """What the model gets."""
        self.notes = dict(agent.notes)
        """The user's own notes, on which the tools work."""
        self.runs: dict[str, Steps] = {}
        """The run that goes on, by the id of its answer."""

    async def answer(self, turn: Turn) -> AsyncGenerator[Event]:
        """Yield what the agent does to answer a question."""
        self.turns.append(turn)
        self.messages.append({"role": "user", "content": turn.question})
        try:
            async with aclosing(
                agent.follow(self.runs[turn.id], self.messages, self.notes)
            ) as events:
                async for event in events:
                    yield event
        finally:
            del self.runs[turn.id]


journal = relay.MemoryJournal()
chats: dict[str, Chat] = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Hold the journal open while the server runs."""
    async with journal:
        yield


def refuse_other_sites(request: Request) -> None:
    """Refuse the requests of other sites' pages."""
    if relay.is_cross_site(request):
        raise HTTPException(403, "a page of another site")


app = FastAPI(lifespan=lifespan, dependencies=[Depends(refuse_other_sites)])


def owner_of(response: Response, owner: Annotated[str | None, Cookie()] = None) -> str:
    """Identify a browser by a cookie; a real application uses its users' sessions."""
    if owner is None:
        owner = secrets.token_urlsafe(24)
        response.set_cookie("owner", owner, httponly=True, samesite="strict")
    return owner


Owner = Annotated[str, Depends(owner_of)]


@app.get("/api/answers")
async def turns(owner: Owner) -> list[Turn]:
    """Return the user's questions to a page that was reloaded."""
    return chats[owner].turns if owner in chats else []


@app.post("/api/answers")
async def ask(owner: Owner, asked: Question) -> Turn:
    """Start the answer to a question; the page follows it."""
    chat = chats.setdefault(owner, Chat())
    if chat.runs:
        raise HTTPException(409, "the agent is still at work")
    turn = Turn(id=secrets.token_urlsafe(), question=asked.question)
    chat.runs[turn.id] = Steps()
    try:
        await journal.start(chat.answer(turn), id=turn.id, owner=owner)
    except relay.JournalError as error:
        del chat.runs[turn.id]
        raise HTTPException(
            error.status, "no answer can begin now, try later"
        ) from None
    return turn


@app.get("/api/answers/{id}", response_model=None)
async def follow(
    id: str, owner: Owner, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """Send an answer from the page's position on."""
    return relay.follow(journal, id, last_event_id, owner=owner)


@app.post("/api/answers/{id}/requests/{request}")
async def decide(id: str, request: str, owner: Owner, decision: Decision) -> Decision:
    """Tell the agent the user's decision about a call."""
    if owner not in chats or id not in chats[owner].runs:
        raise HTTPException(404, "no such answer")
    try:
        chats[owner].runs[id].reply(request, decision.approved)
    except MisuseError:
        raise HTTPException(409, "this call waits for no decision") from None
    return decision


@app.post("/api/answers/{id}/stop")
async def stop(id: str, owner: Owner) -> dict[str, str]:
    """Stop the agent."""
    return {"state": await relay.stop(journal, id, owner=owner)}


@app.get("/")
async def page() -> FileResponse:
    """Send the page."""
    return FileResponse(FOLDER / "index.html")


@app.get("/page.js")
async def script() -> FileResponse:
    """Send the page's script."""
    return FileResponse(FOLDER / "page.js")


# The module that follows answers.
app.mount("/tokenstream", relay.assets)
