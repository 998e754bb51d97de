"""Servers that resume rightly and wrongly, on real sockets: the answer is exact, or there is an error."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support import wire
from tests.support.effort import trials
from tests.support.either import Each, connect_in, inside, run_in
from tests.support.interactions import whole_of
from tests.support.loopback import FIN, RST, Connection, Loopback, chunked_head, head, http_chunk
from tokenstream import Retry, relay, testing
from tokenstream.errors import StreamError
from tokenstream.events import Restarted, TextDelta, ToolCallDone
from tokenstream.formats import FormatName

CASES = [
    pytest.param(range(10), id="some"),
    pytest.param(range(10, 10 + trials(390)), id="many", marks=pytest.mark.slow),
]
"""The seeds of the cases for each format and world."""
TEXT = ["Once ", "upon ", "a ", "time ", "there ", "was ", "a ", "king ", "a ", "king ", "indeed."]
OTHER_TEXT = ["Once ", "upon ", "the ", "hill ", "lived ", "nobody, ", "a ", "king ", "said."]
CALL, OTHER_CALL = {"at": "noon", "who": "king"}, {"at": "night", "who": "nobody"}
BY_HEADER = ["openai-chat", "anthropic", "gemini", "cohere"]
FORMATS = [*BY_HEADER, "openai-responses", "gemini-interactions", "tokenstream"]
RIGHT = ["right", "overlap", "start", "twice"]
WRONG = ["other from the start", "rest of another", "gap within", "gap behind", "refused"]
NAMED = ["openai-chat", "gemini", "openai-responses", "tokenstream"]
"""Formats in which each event, or the first of each response, names the answer or one of its items."""
ONE_AT_A_TIME = httpx.Limits(max_connections=1)
"""The next request fails if an attempt, or the answer before it, has not given its connection back."""
ATTEMPTS = 6
RETRY = Retry(wait=0, attempts=ATTEMPTS)


def _script(words: list[str], call: dict[str, str]) -> testing.Script:
    script = testing.script().text(*words)
    return script.tool_call("look", call, id="call_1").finish("tool_calls")


@dataclass
class Answer:
    """An answer as its server keeps it: each event, and the id by which it is asked for."""

    events: list[bytes]
    ids: list[str]
    text: str
    call: dict[str, str]


def make_answer(format: str, ids: str, *, other: bool = False) -> Answer:
    """Return an answer, or another one under the same positions."""
    words, call = (OTHER_TEXT, OTHER_CALL) if other else (TEXT, CALL)
    script = _script(words, call)
    if format == "tokenstream":
        events = list(relay.encode(script.stream("anthropic"), "tokenstream", ids=True))
        events = [event for event in events if b"id: " in event]
    else:
        events = script.chunks(format)
    if other:
        names = (rb"resp_1", rb"msg_1", rb"fc_2", rb"chatcmpl-1", rb"response-1")
        events = [re.sub(b"|".join(names), rb"\g<0>9", event) for event in events]
    if format == "openai-responses":
        events = [event.replace(b'"background":false', b'"background":true') for event in events]
        known = [str(json.loads(event.partition(b"data: ")[2])["sequence_number"]) for event in events]
    elif format == "tokenstream":
        known = [event.partition(b"id: ")[2].partition(b"\n")[0].decode() for event in events]
    else:
        count = range(len(events))
        known = [f"e{number * 7919 % 997}" if ids == "text" else str(number + 1) for number in count]
        if format == "gemini-interactions":
            events = [_with_event_id(event, id) for event, id in zip(events, known, strict=True)]
        else:
            events = [b"id: %b\n%b" % (id.encode(), event) for event, id in zip(events, known, strict=True)]
    return Answer(events, known, "".join(words), call)


def _with_event_id(event: bytes, id: str) -> bytes:
    name, _, data = event.partition(b"data: ")
    if data.strip() == b"[DONE]":
        return event
    return name + wire.sse({**json.loads(data), "event_id": id})


@dataclass
class Case:
    """One answer that breaks off several times, and how its server goes on."""

    format: str
    kind: str
    chance: random.Random
    answer: Answer
    other: Answer
    breaks: int
    requests: list[str] = field(default_factory=list)

    def serve(self, connection: Connection) -> None:
        """Answer one request; a connection is good for one."""
        request = connection.request()
        position = self._position(request.path, request.headers)
        self.requests.append(request.method)
        place = 0 if position is None else self.answer.ids.index(position) + 1
        if position is not None and self.kind == "refused":
            connection.send(head(self.chance.choice([204, 404, 409, 410]), None, [("Content-Length", "0")]))
            return
        if position is None and len(self.requests) > 1 and self.format == "gemini-interactions":
            # The answer as a whole, which shows if events were left out between ids without an order.
            body = json.dumps(whole_of(self.answer.events)).encode()
            connection.send(head(200, "application/json", [("Content-Length", str(len(body)))]) + body)
            return
        events = self.answer.events if position is None else self._resumed(place)
        if self.format == "tokenstream":
            name = "a2" if position is not None and "other" in self.kind else "a1"
            events = [wire.sse({"type": "live", "at": 0, "answer": name}), *events]
        connection.send(chunked_head())
        if self.breaks == 0 or len(events) < 3:
            connection.send(b"".join(map(http_chunk, events)) + b"0\r\n\r\n")
            return
        self.breaks -= 1
        body = b"".join(events)
        # The first break comes behind an event that can be resumed from.
        least = sum(map(len, events[:2])) if position is None else 1
        ends = list(accumulate(map(len, events)))
        cut = self.chance.choice([self.chance.randrange(least, len(body)), *ends[1:-1]])
        cut = max(least, cut - self.chance.randrange(4))
        connection.send(http_chunk(body[:cut]))
        connection.end(self.chance.choice([FIN, RST]) if self.chance.random() < 0.3 else FIN)

    def _position(self, path: str, headers: dict[str, str]) -> str | None:
        query = parse_qs(urlsplit(path).query)
        if self.format == "openai-responses":
            return query.get("starting_after", [None])[0]
        if self.format == "gemini-interactions":
            return query.get("last_event_id", [None])[0]
        return headers.get("last-event-id")

    def _resumed(self, place: int) -> list[bytes]:
        """Return the events after a position, in the way of this server."""
        events, chance = self.answer.events, self.chance
        start = chance.randrange(place + 1)
        match self.kind:
            case "right":
                return events[place:]
            case "overlap":
                return events[start:]
            case "start":
                return events
            case "twice":
                return [*events[start : chance.randrange(place, len(events))], *events[place:]]
            case "other from the start":
                return self.other.events
            case "rest of another":
                return self.other.events[place:]
            case "gap within":
                start = chance.randrange(max(1, place - 1))
                missing = chance.randrange(start + 1, max(start + 2, place))
                return [*events[start:missing], *events[missing + 1 :]]
            case _:
                return events[place + 1 :]


@dataclass
class Read:
    """An answer as its reader has got it."""

    shown: str = ""
    calls: list[Any] = field(default_factory=list)
    error: StreamError | None = None
    kept: str = ""

    def take(self, event: Any) -> None:
        if isinstance(event, TextDelta):
            self.shown += event.text
        elif isinstance(event, Restarted):
            self.shown = ""
        elif isinstance(event, ToolCallDone):
            self.calls.append(event.call.arguments)


def options_of(format: str) -> dict[str, Any]:
    if format == "openai-responses":
        return {"json": {"model": "m", "input": "hi", "stream": True, "background": True}}
    if format == "gemini-interactions":
        return {"json": {"model": "m", "input": "hi", "stream": True, "store": True}}
    return {"method": "GET"}


async def read_answer(world: str, url: str, format: FormatName, client: Any) -> Read:
    read = Read()
    stream = connect_in(world)(url, client=client, retry=RETRY, format=format, **options_of(format))
    try:
        async for event in Each(stream):
            read.take(event)
    except StreamError as error:
        read.error = error
    read.kept = stream.message.text
    return read


def make_case(format: str, seed: int) -> Case:
    chance = random.Random(seed)
    ids = chance.choice(["number", "text"])
    kind = chance.choice([*RIGHT, *WRONG])
    if kind == "gap behind" and (ids == "text" or format in {"gemini-interactions", "tokenstream"}):
        # Nobody can tell that an event is missing between two ids without an order, or that the relay has not
        # merged it with the next one.
        kind = "gap within"
    if kind == "rest of another" and format not in NAMED:
        kind = "other from the start"
    answer, other = make_answer(format, ids), make_answer(format, ids, other=True)
    return Case(format, kind, chance, answer, other, chance.randrange(1, 4))


def judge(case: Case, read: Read) -> str | None:
    """Return what is wrong with an answer; None if nothing is."""
    truths = [case.answer] if "other" not in case.kind else [case.answer, case.other]
    if read.kept != read.shown:
        return f"kept {read.kept!r}, but gave {read.shown!r}"
    if len(case.requests) > ATTEMPTS + 1:
        return f"{len(case.requests)} requests"
    if read.error is None:
        if any((truth.text, [truth.call]) == (read.shown, read.calls) for truth in truths):
            return None
        return f"gave {read.shown!r} with {read.calls} as complete"
    if case.kind in RIGHT:
        return f"failed with {read.error!r}"
    if not any(truth.text.startswith(read.shown) for truth in truths):
        return f"gave {read.shown!r} before {read.error!r}"
    if len(read.calls) > 1 or any(call not in [truth.call for truth in truths] for call in read.calls):
        return f"gave the calls {read.calls}"
    return None


@pytest.mark.slow
@pytest.mark.parametrize("seeds", CASES)
@pytest.mark.parametrize("world", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize("format", FORMATS)
def test_an_answer_is_exact_or_has_an_error(format: FormatName, world: str, seeds: range) -> None:
    """Nothing is spliced, doubled or lost without an error, and no call is handed out twice."""
    wrong: list[tuple[int, str, str]] = []
    current: list[Case] = []

    def serve(connection: Connection) -> None:
        current[-1].serve(connection)

    with Loopback(serve) as server:
        url = f"{server.url}/answers"

        def note(seed: int, read: Read) -> None:
            complaint = judge(current[-1], read)
            if complaint is not None:
                wrong.append((seed, current[-1].kind, complaint))

        async def read_all() -> None:
            made = httpx.Client if world == "sync" else httpx.AsyncClient
            async with inside(made(trust_env=False, limits=ONE_AT_A_TIME)) as client:
                for seed in seeds:
                    current[:] = [make_case(format, seed)]
                    note(seed, await read_answer(world, url, format, client))

        run_in(world, read_all)

    assert [] == wrong
