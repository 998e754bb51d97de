"""A provider that breaks off its answer once, in each API, and readers that are given more or less of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

from tests.recovery.continuing import last_words
from tests.support.either import Each, connect_in, got, inside, run_in
from tests.support.responses import Body
from tokenstream import AsyncStream, Message, Retry, Stream, testing
from tokenstream.errors import StreamError

URLS = {
    "openai-chat": "https://chat.test/v1/chat/completions",
    "anthropic": "https://claude.test/v1/messages",
    "gemini": "https://gemini.test/v1beta/models/gemini-x:streamGenerateContent",
    "openai-responses": "https://responses.test/v1/responses",
    "ollama": "https://ollama.test/api/chat",
}
STORY = "Snow fell on the harbour all night. By six the boats were white, and by noon they had sailed."
THOUGHTS = ("First the ", "weather, ", "then the boats.")


def chunks_of(kind: str, format: str = "openai-chat", *, story: str = STORY) -> list[bytes]:
    """Return the chunks of an answer: its parts in order, each named by a letter.

    "r" is reasoning, "t" a story, "s" a short text, "c" a tool call.
    """
    made = testing.script()
    for number, letter in enumerate(kind):
        if letter == "r":
            made = made.reasoning(*THOUGHTS, signature="c2ln" if format == "anthropic" else None)
        elif letter == "t":
            made = made.text(*(f"{word} " for word in story.split()))
        elif letter == "s":
            made = made.text("Let me ", "see. ")
        else:
            made = made.tool_call("sail", {"boat": number, "knots": 7}, id=f"call_{number}")
    made = made.usage(input_tokens=9, output_tokens=30).finish("tool_calls" if "c" in kind else "stop")
    chunks: list[bytes] = made.chunks(format)
    return chunks


def payload_of(format: str) -> dict[str, Any]:
    """Return a question in the shape of an API."""
    if format == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": "And the boats?"}]}]}
    if format == "openai-responses":
        return {"model": "m", "input": "And the boats?", "stream": True}
    payload = {"model": "m", "messages": [{"role": "user", "content": "And the boats?"}], "stream": True}
    return {**payload, "max_tokens": 500} if format == "anthropic" else payload


def cut_at(place: float, chunk_count: int) -> int:
    """Return the number of chunks of an answer that breaks off at a place from 0 to 1."""
    return 1 + int(place * max(0, chunk_count - 2))


@dataclass
class Harbour:
    """A provider of one API: its first answer breaks off, and the next one is whole.

    Args:
        format: The API.
        kind: The parts of the answers, as for `chunks_of`.
        cut: Number of chunks of the first answer.
        other: The story of the next answers, if they are not the first answer again.
        obeys: True if it goes on with an answer that it is asked to continue; else it answers anew.
        breaks: Number of answers that break off.
        later: How far the next answers come, from 0 to 1, which break off as well; none by default.
    """

    format: str
    kind: str
    cut: int
    other: str = STORY
    obeys: bool = True
    breaks: int = 1
    later: tuple[float, ...] = ()
    requests: list[Any] = field(default_factory=list[Any])

    @property
    def url(self) -> str:
        return URLS[self.format]

    @property
    def payload(self) -> dict[str, Any]:
        return payload_of(self.format)

    def client(self, *, is_async: bool) -> Any:
        """Return a client whose requests come here."""
        transport = httpx.MockTransport(self._answer_async if is_async else self._answer)
        return httpx.AsyncClient(transport=transport) if is_async else httpx.Client(transport=transport)

    def ask(self, retry: Retry, *, is_async: bool) -> Any:
        client = self.client(is_async=is_async)
        return connect_in("async" if is_async else "sync")(
            self.url, json=self.payload, client=client, retry=retry
        )

    async def _answer_async(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        payload = json.loads(request.content)
        self.requests.append(payload)
        number = len(self.requests)
        is_broken = number <= self.breaks + len(self.later)
        chunks = self.choose(number, text_sent_back(payload))
        head = "application/x-ndjson" if self.format == "ollama" else "text/event-stream"
        cut = self.cut if number <= self.breaks or not is_broken else self._later_cut(number, len(chunks))
        body = Body(chunks[:cut], httpx.ReadError("the line was cut")) if is_broken else Body(chunks)
        return httpx.Response(200, headers={"content-type": head}, stream=body)

    def choose(self, number: int, given: str) -> list[bytes]:
        """Return the chunks for a request, by its number and the text that it sends back."""
        if number == 1:
            return chunks_of(self.kind, self.format)
        if not (given and self.obeys):
            return chunks_of(self.kind, self.format, story=self.other)
        told = next((story for story in (STORY, self.other) if story.startswith(given.strip())), STORY)
        rest = last_words(given) + (told + " ")[len(given.rstrip()) :]
        # The rest of the story, and what comes behind it.
        return chunks_of(self.kind.lstrip("r"), self.format, story=rest)

    def _later_cut(self, number: int, chunk_count: int) -> int:
        return cut_at(self.later[number - self.breaks - 1], chunk_count)


class Teller(Harbour):
    """A provider that answers as a function says, by the number of the request and the text sent back."""

    def __init__(self, tell: Callable[[int, str], list[bytes]], format: str, cut: int) -> None:
        super().__init__(format, "", cut)
        self._tell = tell

    def choose(self, number: int, given: str) -> list[bytes]:
        return self._tell(number, given)


def text_sent_back(payload: Any) -> str:
    """Return the text of the answer that a request sends back as the assistant's turn, or ""."""
    turns: Any = payload.get("contents") or payload.get("messages") or payload.get("input") or ()
    roles = ("assistant", "model")
    found: list[Any] = [turn for turn in turns if isinstance(turn, dict) and turn.get("role") in roles]
    if not found:
        return ""
    content: Any = found[-1].get("parts") or found[-1].get("content")
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


@dataclass
class Seen:
    """What a program had in hand at the end."""

    items: list[Any] = field(default_factory=list[Any])
    message: Message = field(default_factory=Message)
    error: StreamError | None = None
    modes: tuple[str, ...] = ()

    @property
    def notes(self) -> str:
        return "\n".join(getattr(self.error, "__notes__", ()))


View = Callable[[Any], Any]
FINAL: View = lambda _: None  # noqa: E731 - a table of readers
"""Reads nothing before `final()`."""
READERS: dict[str, View] = {
    "final": FINAL,
    "when_complete": lambda stream: stream.tool_calls.when_complete(),
    "tool_calls": lambda stream: stream.tool_calls,
    "text": lambda stream: stream.text,
    "sentences": lambda stream: stream.text.sentences(),
    "reasoning": lambda stream: stream.reasoning,
    "deltas": lambda stream: stream.deltas,
    "events": lambda stream: stream,
}


def read(harbour: Harbour, retry: Retry, view: View, world: str = "sync", look: Any = None) -> Seen:
    """Read an answer with one reader, to its end.

    Args:
        view: Returns what to loop over; None for `final()`.
        world: "sync", "asyncio" or "trio".
        look: Called with the stream at each item.
    """
    seen = Seen()
    run_in(world, _read, harbour, retry, view, look, seen, world != "sync")
    return seen


def read_together(
    harbour: Harbour, retry: Retry, names: Sequence[str], turns: Sequence[int], world: str = "sync"
) -> list[Seen]:
    """Read an answer with several readers, each at its turns and then to its end.

    Args:
        names: The readers, as in `READERS`.
        turns: The index of the reader that gets the next item, as long as there are turns.
        world: "sync", "asyncio" or "trio".

    Returns:
        What each reader has; the message and the error are those of the stream.
    """
    seen = [Seen() for _ in names]
    run_in(world, _read_together, harbour, retry, names, turns, seen, world != "sync")
    return seen


async def _read_together(
    harbour: Harbour,
    retry: Retry,
    names: Sequence[str],
    turns: Sequence[int],
    seen: list[Seen],
    is_async: bool,
) -> None:
    async with inside(harbour.ask(retry, is_async=is_async)) as stream:
        error: StreamError | None = None
        try:
            views = {number: READERS[name](stream) for number, name in enumerate(names)}
            begun = {number: Each(view) for number, view in views.items() if view is not None}
            for number in _all_turns(turns, begun):
                item = await anext(begun[number], None)
                if item is None:
                    del begun[number]
                else:
                    seen[number].items.append(item)
            await got(stream.final())
        except StreamError as failure:
            error = failure
        for each in seen:
            each.error = error
            _note_end(stream, each)


def _all_turns(turns: Sequence[int], begun: dict[int, Any]) -> Iterator[int]:
    """Yield the turns of readers that have more to read, and then one reader after the other."""
    yield from (turn for turn in turns if turn in begun)
    while begun:
        yield next(iter(begun))


async def _read(harbour: Harbour, retry: Retry, view: View, look: Any, seen: Seen, is_async: bool) -> None:
    async with inside(harbour.ask(retry, is_async=is_async)) as stream:
        try:
            items = view(stream)
            async for item in Each(() if items is None else items):
                seen.items.append(item)
                if look is not None:
                    look(stream)
            await got(stream.final())
        except StreamError as error:
            seen.error = error
        _note_end(stream, seen)


def _note_end(stream: Stream | AsyncStream, seen: Seen) -> None:
    seen.message = stream.message if seen.error is None else seen.error.partial
    seen.modes = tuple(report.mode for report in stream.attempts)
