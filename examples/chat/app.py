"""A chat whose answers go on when the browser is closed, and stop only on request.

    pip install . fastapi uvicorn
    uvicorn examples.chat.app:app

The answers are replayed from scripts, so no key is needed. For a real model, set

    CHAT_URL=https://api.openai.com/v1/chat/completions CHAT_MODEL=gpt-5.1 CHAT_KEY=sk-…

Chats and answers are kept in memory. To run several processes, use `relay.RedisJournal`
and a database instead of the dict `chats`.
"""

import json
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field

from examples.chat.replayed import client as replayed_client
from tokenstream import AsyncStream, aconnect, relay, response_format
from tokenstream.errors import StreamError

FOLDER = Path(__file__).parent
URL, MODEL, KEY = (
    os.environ.get(f"CHAT_{name}", "") for name in ("URL", "MODEL", "KEY")
)


class Ingredient(BaseModel):
    """One ingredient of a recipe."""

    name: str
    amount: str | None


class Step(BaseModel):
    """One step of a recipe."""

    title: str
    minutes: int
    text: str


class Recipe(BaseModel):
    """The form that the model is asked to fill in."""

    name: str
    serves: int
    ingredients: list[Ingredient]
    steps: list[Step]
    tip: str | None


class Question(BaseModel):
    """A request of the browser."""

    question: str = Field(min_length=1, max_length=4000)
    form: bool = False


class Turn(Question):
    """A question, with the id of its answer."""

    id: int
    answer: str


class Chat(BaseModel):
    """The questions of one user."""

    owner: str
    turns: list[Turn] = []


journal = relay.MemoryJournal()
chats: dict[str, Chat] = {}
model: httpx.AsyncClient


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Hold the resources that outlive a request: the journal and the HTTP client."""
    global model
    # The client is left last: until then, the journal finishes its answers.
    async with (
        httpx.AsyncClient(timeout=60) if URL else replayed_client() as model,
        journal,
    ):
        yield


def refuse_other_sites(request: Request) -> None:
    """Refuse the requests of other sites' pages."""
    if relay.is_cross_site(request):
        raise HTTPException(403, "a page of another site")


app = FastAPI(lifespan=lifespan, dependencies=[Depends(refuse_other_sites)])


@app.exception_handler(relay.JournalError)
async def refuse(_: Request, error: relay.JournalError) -> Response:
    """Refuse an answer that cannot begin, such as a user's ninth at once (429)."""
    return relay.refusal(error)


def owner_of(response: Response, owner: Annotated[str | None, Cookie()] = None) -> str:
    """Identify a browser by a cookie; a real application uses its users' sessions."""
    if owner is None:
        owner = secrets.token_urlsafe(24)
        response.set_cookie("owner", owner, httponly=True, samesite="strict")
    return owner


Owner = Annotated[str, Depends(owner_of)]


def chat_of(chat: str, owner: Owner) -> Chat:
    """Return a chat to its owner; for anybody else it does not exist."""
    if chat not in chats or chats[chat].owner != owner:
        raise HTTPException(404, "no such chat")
    return chats[chat]


OwnChat = Annotated[Chat, Depends(chat_of)]


@app.post("/api/chats")
async def begin(owner: Owner) -> dict[str, str]:
    """Create a chat."""
    chats[id := secrets.token_urlsafe(24)] = Chat(owner=owner)
    return {"id": id}


@app.get("/api/chats/{chat}")
async def turns(chat: OwnChat) -> list[Turn]:
    """Return a chat's turns to a page that was reloaded."""
    return chat.turns


@app.post("/api/chats/{chat}/turns")
async def ask(chat: OwnChat, asked: Question) -> Turn:
    """Start the answer to a question; the page follows it."""
    key = await answer(chat, asked)
    # Two tabs may ask at once: no await is between taking the number and using it.
    turn = Turn(id=len(chat.turns), answer=key, **asked.model_dump())
    chat.turns.append(turn)
    return turn


@app.post("/api/chats/{chat}/turns/{number}/again")
async def ask_again(chat: OwnChat, number: int) -> Turn:
    """Start a new answer to a question whose answer broke off."""
    if not 0 <= number < len(chat.turns):
        raise HTTPException(404, "no such turn")
    turn = chat.turns[number]
    turn.answer = await answer(chat, turn)
    return turn


async def answer(chat: Chat, asked: Question) -> str:
    """Ask the model, and record the answer in the journal, with or without readers."""
    request: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": asked.question}],
        "stream": True,
        **(response_format(Recipe).to_openai_chat() if asked.form else {}),
    }
    url = URL or "http://replayed/v1/chat/completions"
    stream = aconnect(
        url,
        json=request,
        headers={"Authorization": f"Bearer {KEY or 'none'}"},
        client=model,
    )
    return await journal.start(stream, owner=chat.owner)


@app.get("/api/answers/{id}", response_model=None)
async def follow(
    id: str, owner: Owner, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """Send an answer from the page's position on."""
    return relay.follow(journal, id, last_event_id=last_event_id, owner=owner)


@app.post("/api/answers/{id}/stop")
async def stop(id: str, owner: Owner) -> dict[str, str]:
    """Stop an answer for all its readers."""
    return {"state": await relay.stop(journal, id, owner=owner)}


@app.get("/api/answers/{id}/form")
async def follow_form(
    id: str, owner: Owner, last_event_id: Annotated[int, Header(ge=0)] = 0
) -> StreamingResponse:
    """Send an answer as the patches of a form, from the page's position on."""
    if not any(
        turn.answer == id
        for chat in chats.values()
        if chat.owner == owner
        for turn in chat.turns
    ):
        raise HTTPException(404, "no such answer")
    return StreamingResponse(
        patches(id, owner, last_event_id), headers=dict(relay.headers("tokenstream"))
    )


async def patches(id: str, owner: str, after: int) -> AsyncIterator[str]:
    """Yield the changes of the form, numbered: an answer always has the same."""
    records = (entry.record + b"\n" async for entry in journal.follow(id, owner=owner))
    number = 0
    async with AsyncStream(records, format="tokenstream") as stream:
        try:
            async for patch in stream.partials(Recipe).patches(append=True):
                number += 1
                if number > after:
                    data = json.dumps({"type": "patch", "patch": patch})
                    yield f"id: {number}\ndata: {data}\n\n"
            end: dict[str, Any] = {"type": "end", "ending": stream.message.ending}
        except StreamError as error:
            end = {"type": "error", "error": type(error).__name__, "kind": error.kind}
            end |= {
                "message": error.message,
                "retryable": error.retryable,
                "ending": error.partial.ending,
            }
    yield f"data: {json.dumps(end)}\n\n"


@app.get("/")
async def page() -> FileResponse:
    """Send the page."""
    return FileResponse(FOLDER / "index.html")


# The module that follows answers.
app.mount("/tokenstream", relay.assets)


@app.get("/{name}")
async def part_of_page(
    name: Literal["page.js", "markdown.js", "style.css"],
) -> FileResponse:
    """Send a script or the stylesheet of the page."""
    return FileResponse(FOLDER / name)
