"""A backend for `useChat` of the AI SDK: answers go on while the page is away.

    pip install . fastapi uvicorn
    OPENAI_API_KEY=sk-… uvicorn examples.use_chat.app:app

The page is `page.tsx`. Chats and answers are kept in memory: in production, use a
database in place of the dict `chats`, and `relay.RedisJournal`. Whoever knows a chat's
id can read it; to check who asks, pass `owner=` to `respond`, `follow` and `stop`.
"""

import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel, Field

from tokenstream import Event, aconnect, relay

BASE = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
HEADERS = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"}
PAGE = os.environ.get("PAGE_ORIGIN", "http://localhost:3000")


class UIMessage(BaseModel):
    """A message of `useChat`: its parts may be text, reasoning, tool calls, files."""

    id: str
    role: Literal["system", "user", "assistant"]
    parts: list[dict[str, Any]]

    @property
    def text(self) -> str:
        """The text of the message."""
        return "".join(part["text"] for part in self.parts if part["type"] == "text")


class Chat(BaseModel):
    """The body that `useChat` sends."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """A piece of the answer's address."""
    messages: list[UIMessage]


journal = relay.MemoryJournal()
chats: dict[str, list[UIMessage]] = {}
running: dict[str, str] = {}
"""The id of the answer that is running in a chat."""


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Hold the journal open while the server runs."""
    async with journal:
        yield


def refuse_other_sites(request: Request) -> None:
    """Refuse the requests of all pages but our own."""
    if relay.is_cross_site(request, origins=[PAGE]):
        raise HTTPException(403, "a page of another site")


app = FastAPI(lifespan=lifespan, dependencies=[Depends(refuse_other_sites)])
# For a browser, another port is another origin.
app.add_middleware(
    CORSMiddleware,
    allow_origins=[PAGE],
    allow_methods=["GET", "HEAD", "POST"],
    allow_headers=["Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Answer-Id"],
    expose_headers=["Idempotency-Key", "X-Answer-Id", "Location", "Retry-After"],
)


async def answer(id: str, chat: Chat) -> AsyncGenerator[Event]:
    """Ask the model, and keep its message for a page that is loaded later."""
    messages = [
        {"role": each.role, "content": each.text} for each in chat.messages if each.text
    ]
    request = {"model": "gpt-5.5", "messages": messages, "stream": True}
    chats[chat.id], running[chat.id] = chat.messages, id
    stream = aconnect(f"{BASE}/chat/completions", json=request, headers=HEADERS)
    try:
        async with stream:
            async for event in stream:
                yield event
    finally:
        # Another answer may have begun since, in another tab.
        if running.get(chat.id) == id:
            del running[chat.id]
            if text := stream.message.text:
                said = UIMessage(
                    id=id, role="assistant", parts=[{"type": "text", "text": text}]
                )
                chats[chat.id] = [*chat.messages, said]


@app.post("/api/chat")
async def ask(chat: Chat) -> Response:
    """Start an answer, and send it."""
    id, location = secrets.token_urlsafe(), f"/api/chat/{chat.id}/stream"
    return relay.respond(
        answer(id, chat),
        protocol="ui-message",
        journal=journal,
        id=id,
        location=location,
    )


@app.get("/api/chat/{chat}/stream", response_model=None)
async def resume(chat: str, request: Request) -> Response:
    """Send the running answer to a page, or the rest of an answer that it names."""
    id = request.headers.get("x-answer-id") or running.get(chat)
    if id is None:
        return Response(status_code=204)
    return relay.follow(
        journal, id, request.headers.get("last-event-id"), protocol="ui-message"
    )


@app.post("/api/chat/{chat}/stop")
async def stop(chat: str) -> dict[str, str]:
    """Stop the running answer for all its readers."""
    return {"state": await relay.stop(journal, running.get(chat, ""))}


@app.get("/api/chat/{chat}")
async def history(chat: str) -> list[UIMessage]:
    """Return the messages of a chat to a page that is loaded."""
    return chats.get(chat, [])
