"""What is unknown changes nothing, whichever attempt it is in: neither text, nor calls, nor what is asked."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import anyio
import httpx
import pytest

from tests.recovery.continuing import last_words
from tests.recovery.odd_frames import FRAMES, with_odd_frames
from tests.recovery.paused import ASKED, LEGS, number_asked
from tests.recovery.paused import TEXT as PAUSED_TEXT
from tests.recovery.test_resume_sweep import FORMATS as RESUMED
from tests.recovery.test_resume_sweep import Answer, make_answer, options_of
from tests.recovery.unseen import STORY, URLS, payload_of, text_sent_back
from tests.support.effort import trials
from tests.support.either import Each, client_in, connect_in, got, inside, run_in
from tests.support.responses import Body
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Retry, Route, Routes, testing
from tokenstream.errors import StreamError
from tokenstream.formats import FormatName

WORLDS = ("sync", "asyncio", "trio")
VIEWS: dict[str, Callable[[Any], Any]] = {
    "text": lambda stream: stream.text,
    "events": lambda stream: stream,
    "final": lambda _: (),
}
_ALWAYS = ("503", "cut", "clean", "stall", "error", "page", "call")
CELLS = (*_ALWAYS, "half a frame", *(f"{cell} always" for cell in _ALWAYS))
"""What goes wrong with the first answer, or with each one of the first provider; the other one is well."""
SHORT = "Let me see."
ERRORS = {
    "openai-chat": {"error": {"message": "busy", "type": "server_error", "code": 503}},
    "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
    "openai-responses": {"type": "error", "code": "server_error", "message": "busy", "sequence_number": 90},
    "gemini": {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}},
    "ollama": {"error": "busy"},
}
_FEW = 4
"""Number of draws by default for each format: twenty over five of them."""
in_draws = in_one_test(
    "seed",
    range(_FEW + trials(200, one_in=5)),
    by=lambda seed: "some" if seed < _FEW else "many",
    slow={"many"},
)


class Got(NamedTuple):
    shown: str
    text: str
    calls: tuple[Any, ...]
    ending: str
    error: str
    modes: tuple[str, ...]
    requests: int


@dataclass
class Provider:
    """Two providers of one API, the first of which fails in a way.

    Args:
        chance: Decides which unknown frames and fields the answers have; None for none.
        place: How far the answers that break off come, from 0 to 1.
    """

    format: str
    chance: random.Random | None
    cell: str = "cut"
    place: float = 0.5
    requests: int = 0
    asked: list[Any] = field(default_factory=list[Any])

    @property
    def payload(self) -> Any:
        return payload_of(self.format)

    @property
    def is_call(self) -> bool:
        return self.cell.startswith("call")

    def reply(self, chunks: list[bytes], error: Exception | None = None) -> httpx.Response:
        if self.chance is not None:
            chunks = with_odd_frames(chunks, self.format, self.chance)
        kind = "application/x-ndjson" if self.format == "ollama" else "text/event-stream"
        return httpx.Response(200, headers={"content-type": kind}, stream=Body(chunks, error))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        fault, _, always = self.cell.partition(" a")
        given = text_sent_back(json.loads(request.content))
        is_well = request.url.host == "well.test"
        whole = SHORT if self.is_call else STORY
        if given and (is_well or not always):
            return self.reply(self._write(last_words(given) + whole[len(given.rstrip()) :]))
        if is_well or (self.requests > 1 and not always):
            return self.reply(self._write(whole))
        return self._fail(fault, self._write(whole))

    def _write(self, text: str) -> list[bytes]:
        script = testing.script(id=f"id_{self.requests}").text(*text.replace(" ", " \0").split("\0"))
        if self.is_call:
            script = script.tool_call("sail", {"boat": 1}, id=f"call_{self.requests}")
        finished = script.finish("tool_calls" if self.is_call else "stop")
        chunks: list[bytes] = finished.chunks(self.format)
        return chunks

    def _fail(self, fault: str, chunks: list[bytes]) -> httpx.Response:
        if fault == "503":
            return httpx.Response(503, json={"error": {"message": "busy", "type": "x"}})
        if fault == "page":
            return httpx.Response(200, headers={"content-type": "text/html"}, content=b"<html>Log in</html>")
        cut = max(1, int(self.place * (len(chunks) - 3)))
        if fault == "call":
            # APIs that send a call as a whole break off before it.
            begins = next(number for number, chunk in enumerate(chunks) if b"sail" in chunk)
            cut = begins + (self.format not in ("gemini", "ollama"))
        errors = {"cut": httpx.ReadError("cut"), "stall": httpx.ReadTimeout("no bytes")}
        if fault == "error":
            payload = json.dumps(ERRORS[self.format]).encode()
            end = payload + b"\n" if self.format == "ollama" else b"data: " + payload + b"\n\n"
            return self.reply([*chunks[:cut], end])
        response = self.reply(chunks[:cut], errors.get(fault))
        if fault == "half a frame":
            response.stream = Body([*response.stream, chunks[cut][:9]])  # type: ignore[misc]  # of either kind
        return response


def ask(provider: Provider, world: str, view: str, retry: Callable[[Any, Any], Retry]) -> Got:
    """Read an answer of a provider to its end, in one of the worlds."""
    client, payload = client_in(world, provider), provider.payload
    options = {"json": payload, "client": client, "retry": retry(client, payload)}
    return run_in(world, _read, world, URLS[provider.format], view, provider, options)


async def _read(world: str, url: str, view: str, provider: Any, options: Any) -> Got:
    shown, error = "", None
    async with inside(connect_in(world)(url, **options)) as stream:
        try:
            async for item in Each(VIEWS[view](stream)):
                shown += item if isinstance(item, str) else ""
            await got(stream.final())
        except StreamError as failure:
            error = failure
    message, modes = stream.message, tuple(attempt.mode for attempt in stream.attempts)
    calls = tuple((call.name, call.arguments_text) for call in message.tool_calls if call.complete)
    return Got(shown, message.text, calls, message.ending, type(error).__name__, modes, provider.requests)


def with_another(format: str) -> Callable[[Any, Any], Retry]:
    """Return what makes the options: two attempts, and another provider."""
    url = httpx.URL(URLS[format]).copy_with(host="well.test")
    return lambda client, payload: Retry(
        wait=0, attempts=2, routes=[Route(str(url), json=payload, client=client)]
    )


@cache
def plain(format: str, cell: str, place: float, world: str, view: str) -> Got:
    return ask(Provider(format, None, cell, place), world, view, with_another(format))


@pytest.mark.parametrize("format", FRAMES)
@in_draws
def test_what_is_unknown_changes_nothing_in_any_cell(format: str, seed: int) -> None:
    chance = random.Random(seed)
    cell, place = chance.choice(CELLS), chance.choice((0.2, 0.5, 0.8))
    world, view = chance.choice(WORLDS), chance.choice([*VIEWS])
    odd = ask(Provider(format, chance, cell, place), world, view, with_another(format))

    assert plain(format, cell, place, world, view) == odd


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("view", VIEWS)
def test_each_cell_is_exact_with_the_default_options(cell: str, view: str) -> None:
    """Fifteen of fifteen, and the call of those that have one is made once."""
    found = plain("openai-chat", cell, 0.5, "sync", view)
    whole, calls = (SHORT, (("sail", '{"boat": 1}'),)) if cell.startswith("call") else (STORY, ())

    assert (whole, calls, "complete") == (found.text, found.calls, found.ending)
    assert found.shown == (whole if view == "text" else "")


class Hedged(Provider):
    """Two providers, the first of which never comes to its content."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if request.url.host == "well.test":
            return self.reply(self._write(STORY))
        head = self._write(STORY)[:1]
        response = self.reply([] if self.format in ("gemini", "ollama") else head)
        response.stream = _Silent(list(response.stream))  # type: ignore[arg-type]  # of either kind
        return response


class _Silent(httpx.AsyncByteStream):
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        await anyio.sleep_forever()


@pytest.mark.parametrize("format", FRAMES)
@in_draws
def test_what_is_unknown_wins_no_race(format: str, seed: int) -> None:
    url = str(httpx.URL(URLS[format]).copy_with(host="well.test"))

    def race(client: Any, payload: Any) -> Retry:
        route = Route(url, json=payload, client=client)
        return Retry(wait=0, routes=Routes(route, hedge_after=0.001))

    found = ask(Hedged(format, random.Random(seed)), "asyncio", "text", race)

    assert (STORY, "complete") == (found.shown, found.ending)
    assert (("start", "hedge"), 2) == (found.modes, found.requests)


class Pausing(Provider):
    """A provider whose answer pauses twice."""

    payload = ASKED

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return self.reply(LEGS[number_asked(json.loads(request.content))])


@in_draws
def test_what_is_unknown_changes_nothing_in_a_pause(seed: int) -> None:
    """Each leg is asked for once, with what the server wrote before it."""
    chance = random.Random(seed)
    world, view = chance.choice(WORLDS), chance.choice([*VIEWS])
    found = ask(Pausing("anthropic", chance), world, view, lambda *_: Retry(wait=0, pauses=3))

    assert (PAUSED_TEXT, "complete", 3) == (found.text, found.ending, found.requests)


@dataclass
class Replaying:
    """A server that keeps its answer, breaks off twice, and replays it from any place before the position."""

    format: str
    answer: Answer
    seed: int
    is_odd: bool
    requests: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        chance, asked = random.Random(f"{self.seed} {self.requests}"), request.url.params
        names = {"openai-responses": "starting_after", "gemini-interactions": "last_event_id"}
        name = names.get(self.format)
        position = request.headers.get("last-event-id") if name is None else asked.get(name)
        place = 0 if position is None else self.answer.ids.index(position) + 1
        start = chance.choice((place, 0, chance.randrange(place + 1)))
        events = self.answer.events
        end = place + 1 + chance.randrange(1, 5) if self.requests < 3 else len(events)
        chunks = events[start:end]
        if self.format == "tokenstream":
            chunks = [sse({"type": "live", "at": 0, "answer": "a1"}), *chunks]
        if self.is_odd:
            # What a gateway adds has no place in the answer; each connection has its own.
            chunks = with_odd_frames(chunks, "", chance, fields=False)
        error = httpx.ReadError("cut") if self.requests < 3 else None
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(chunks, error))


@pytest.mark.parametrize("format", RESUMED)
@in_draws
def test_what_is_unknown_changes_nothing_in_a_replay(format: FormatName, seed: int) -> None:
    """However far back the server begins, each text is there once, and the answer is resumed."""
    chance = random.Random(seed)
    answer = make_answer(format, chance.choice(["number", "text"]))
    world, view = chance.choice(WORLDS), chance.choice([*VIEWS])
    both: list[Got] = []
    for is_odd in (False, True):
        server = Replaying(format, answer, seed, is_odd)
        asked = {"client": client_in(world, server), "format": format, "retry": Retry(wait=0, attempts=4)}
        options = {**options_of(format), **asked}
        both.append(run_in(world, _read, world, "https://kept.test/answers", view, server, options))

    assert both[0] == both[1]
    assert (answer.text, "complete") == (both[1].text, both[1].ending)
