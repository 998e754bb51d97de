"""A chat whose answers go on when the browser reloads, sleeps or is closed, and are stopped by a button.

    pip install 'llm-tokenstream' fastapi uvicorn
    uvicorn examples.chat.app:app

The answers are replayed, and no key is needed. A real model answers with

    CHAT_URL=https://api.openai.com/v1/chat/completions CHAT_MODEL=gpt-5.1 CHAT_KEY=sk-…

Chats are kept in memory, like the answers: with `relay.RedisJournal` and a database in the
place of two dicts there may be several of these processes.
"""

import json
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field

from examples.chat.replayed import client as replayed_client
from tokenstream import AsyncStream, aconnect, relay, response_format
from tokenstream.errors import StreamError

FOLDER = Path(__file__).parent
URL, MODEL, KEY = (os.environ.get(f"CHAT_{name}", "") for name in ("URL", "MODEL", "KEY"))


class Ingredient(BaseModel):
    """What goes in."""

    name: str
    amount: str | None


class Step(BaseModel):
    """What to do."""

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
    """What a browser sends."""

    question: str = Field(min_length=1, max_length=4000)
    form: bool = False


class Turn(Question):
    """A question, and which answer it has."""

    id: int
    answer: str


class Chat(BaseModel):
    """What was asked, by whom."""

    owner: str
    turns: list[Turn] = []


journal = relay.MemoryJournal()
chats: dict[str, Chat] = {}
model: httpx.AsyncClient


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Keep what outlives a request: the answers that are being written, and the client that asks for them."""
    global model
    async with journal, httpx.AsyncClient(timeout=60) if URL else replayed_client() as model:
        yield


app = FastAPI(lifespan=lifespan)


def owner_of(response: Response, owner: Annotated[str | None, Cookie()] = None) -> str:
    """Know a browser again. An application has its users' sessions for that."""
    if owner is None:
        owner = secrets.token_urlsafe(24)
        response.set_cookie("owner", owner, httponly=True, samesite="strict")
    return owner


Owner = Annotated[str, Depends(owner_of)]


def chat_of(chat: str, owner: Owner) -> Chat:
    """Return a chat to its owner; to anybody else there is none."""
    if chat not in chats or chats[chat].owner != owner:
        raise HTTPException(404, "there is no such chat")
    return chats[chat]


OwnChat = Annotated[Chat, Depends(chat_of)]


@app.post("/api/chats")
async def begin(owner: Owner) -> dict[str, str]:
    """Begin a chat."""
    chats[id := secrets.token_urlsafe(24)] = Chat(owner=owner)
    return {"id": id}


@app.get("/api/chats/{chat}")
async def turns(chat: OwnChat) -> list[Turn]:
    """Tell a page that was reloaded what to show."""
    return chat.turns


@app.post("/api/chats/{chat}/turns")
async def ask(chat: OwnChat, asked: Question) -> Turn:
    """Have a question answered; the page follows the answer as it comes."""
    key = await answer(chat, asked)
    # Two tabs may ask at once: a number is given where nothing is waited for.
    turn = Turn(id=len(chat.turns), answer=key, **asked.model_dump())
    chat.turns.append(turn)
    return turn


@app.post("/api/chats/{chat}/turns/{number}/again")
async def ask_again(chat: OwnChat, number: int) -> Turn:
    """Have a question answered anew, since its answer broke off."""
    if not 0 <= number < len(chat.turns):
        raise HTTPException(404, "there is no such turn")
    turn = chat.turns[number]
    turn.answer = await answer(chat, turn)
    return turn


async def answer(chat: Chat, asked: Question) -> str:
    """Ask the model. The answer is written to the journal, whoever follows it or does not."""
    request: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": asked.question}],
        "stream": True,
        **(response_format(Recipe).to_openai_chat() if asked.form else {}),
    }
    url = URL or "http://replayed/v1/chat/completions"
    stream = aconnect(url, json=request, headers={"Authorization": f"Bearer {KEY}"}, client=model)
    return await journal.start(stream, owner=chat.owner)


@app.get("/api/answers/{id}", response_model=None)
async def follow(
    id: str, owner: Owner, last_event_id: Annotated[str | None, Header()] = None
) -> relay.Response:
    """Send an answer from where the page was."""
    return relay.follow(journal, id, last_event_id=last_event_id, owner=owner)


@app.post("/api/answers/{id}/stop")
async def stop(id: str, owner: Owner) -> dict[str, str]:
    """Stop an answer for all who follow it."""
    return {"state": await relay.stop(journal, id, owner=owner)}


@app.get("/api/answers/{id}/form")
async def follow_form(
    id: str, owner: Owner, last_event_id: Annotated[int, Header(ge=0)] = 0
) -> StreamingResponse:
    """Send an answer as the patches of a form, from where the page was."""
    if not any(turn.answer == id for chat in chats.values() if chat.owner == owner for turn in chat.turns):
        raise HTTPException(404, "there is no such answer")
    return StreamingResponse(patches(id, owner, last_event_id), headers=dict(relay.headers("tokenstream")))


async def patches(id: str, owner: str, after: int) -> AsyncIterator[str]:
    """Give what changes in the form. The same answer has the same patches, so their numbers are positions."""
    records = (entry.record + b"\n" async for entry in journal.follow(id, owner=owner))
    number = 0
    async with AsyncStream(records, format="tokenstream") as stream:
        try:
            async for patch in stream.partials(Recipe).patches(append=True):
                number += 1
                if number > after:
                    yield f"id: {number}\ndata: {json.dumps({'type': 'patch', 'patch': patch})}\n\n"
            end: dict[str, Any] = {"type": "end", "ending": stream.message.ending}
        except StreamError as error:
            end = {"type": "error", "error": type(error).__name__, "kind": error.kind, "message": str(error)}
            end |= {"retryable": error.retryable, "ending": error.partial.ending}
    yield f"data: {json.dumps(end)}\n\n"


@app.get("/")
async def page() -> FileResponse:
    """Send the page."""
    return FileResponse(FOLDER / "index.html")


@app.get("/{name}")
async def part_of_page(
    name: Literal["page.js", "markdown.js", "tokenstream.js", "style.css"],
) -> FileResponse:
    """Send what the page is made of."""
    return FileResponse(FOLDER / name)
