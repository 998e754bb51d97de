"""Small programs, one for each thing that the table of capabilities says of this library."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import sys
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
import websockets.sync.client as websockets
from pydantic import BaseModel, ValidationError
from typing_extensions import TypedDict as SchemaDict

import tokenstream
from tests.otel.backend import Backend
from tests.relay.journals import Answer, Place, in_memory
from tests.session import servers
from tests.support.asgi import Client
from tests.support.recordings import OURS as RECORDINGS
from tests.support.recordings import events_of
from tests.support.wire import DONE, chat, chat_call, sse
from tokenstream import (
    AsyncStream,
    Deadlines,
    InputTranscript,
    Message,
    Retry,
    Route,
    Router,
    Routes,
    Seam,
    Session,
    Steps,
    Stream,
    Tags,
    aresilient,
    connect,
    errors,
    events,
    partial_json,
    relay,
    resilient,
    stages,
    tap,
    testing,
)
from tokenstream.call_store import MemoryCallStore
from tokenstream.framing import SSEParser
from tokenstream.otel import observe
from tokenstream.relay.journal import Journal
from tokenstream.stages._objects.partials import Partials
from tokenstream.stages._patches import Patches
from tokenstream.turns import ToolResults

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

HELLO = testing.script().text("Hel", "lo").finish("stop")
RECIPE = testing.script().text('{"title": "Soup", "ste', 'ps": ["Cut", "Boil"]}').finish("stop")
LOOK = testing.script().tool_call("look", {"city": "Oslo"}, id="call_1").finish("tool_calls")
ASKED = {"model": "m", "messages": []}
ADDRESS = "https://api.example/v1/chat/completions"


class Recipe(BaseModel):
    title: str
    steps: list[str]


class RecipeDict(SchemaDict):
    title: str
    steps: list[str]


@dataclasses.dataclass
class RecipeClass:
    title: str
    steps: list[str]


def playing(*scripts: Any, fault: Any = None) -> httpx.Client:
    """Return a client that gets these answers, one for each request."""
    return httpx.Client(transport=testing.transport([*scripts], format="openai-chat", fault=fault))


def reading(*script: Any, **options: Any) -> Stream:
    return Stream([*script], format="openai-chat", **options)


# -- wire ----------------------------------------------------------------------


def event_streams() -> None:
    wire = b"\xef\xbb\xbfretry: 5\n\ndata: a\xe2\x80\xa8b\rdata: \xff\r\r"
    for size in (1, 2, len(wire)):
        parser = SSEParser()
        chunks = [wire[at : at + size] for at in range(0, len(wire), size)]
        [event] = [event for chunk in chunks for event in parser.feed(chunk)]
        assert event.data == "a\u2028b\n\ufffd"


def framing() -> None:
    assert [event.data for event in SSEParser().feed(sse("x"))] == ["x"]


def tapping() -> None:
    tapped = tap(iter(HELLO.chunks("openai-chat")))
    assert len([*tapped]) > 2
    assert tapped.message.text == "Hello"


def unknown() -> None:
    odd = chat({"content": "Hi"}, service_tier="x", novelty=1)
    stream = reading(odd, odd, chat({}, "stop"), DONE)
    names = [event.name for event in stream if isinstance(event, events.Unknown)]
    assert "novelty" in names
    assert stream.message.provider_data is not None


def departures() -> None:
    stream = reading(chat({"content": "Hi"}), chat({}, "stop"))
    stream.final()
    assert stream.departures["end_unmarked"].details == {"done_missing": 1}


# -- answer --------------------------------------------------------------------


def verdict() -> None:
    stream = reading(chat({"content": "Hi"}))
    with pytest.raises(errors.StreamTruncated):
        stream.final()
    assert stream.message.ending == "truncated"


def calls_in_turns() -> None:
    stream = reading(
        chat(chat_call(0, '{"a"', id="f", name="f")),
        chat(chat_call(1, '{"b"', id="g", name="g")),
        chat(chat_call(0, ": 1}")),
        chat(chat_call(1, ": 2}")),
        chat({}, "tool_calls"),
        DONE,
    )
    told = [(call.name, call.arguments) for call in stream.final().tool_calls]
    assert told == [("f", {"a": 1}), ("g", {"b": 2})]
    both = [chat(chat_call(0, "{}", id=name, name=name)) for name in ("f", "g")]
    same = reading(*both, chat({}, "tool_calls"), DONE)
    assert [call.name for call in same.final().tool_calls] == ["f", "g"]


def cut_arguments() -> None:
    stream = reading(chat(chat_call(0, '{"a": ', id="f", name="f")))
    with pytest.raises(errors.StreamTruncated):
        stream.final()
    assert [call.complete for call in stream.message.tool_calls] == [False]
    assert not [event for event in stream.message.parts if getattr(event, "complete", False)]


def sent_again() -> None:
    call = chat(chat_call(0, '{"a": 1}', id="f", name="f"))
    assert len(reading(call, call, chat({}, "tool_calls"), DONE).final().tool_calls) == 1


def usage() -> None:
    counts = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    message = reading(chat({"content": "Hi"}, usage=counts), chat({}, "stop", usage=None), DONE).final()
    assert (message.usage.output_tokens, message.usage.basis) == (2, "reported")


def parts() -> None:
    script = (
        testing.script()
        .reasoning("Hm.", signature="s")
        .text("Hi")
        .citation(url="https://a.example")
        .finish("stop")
    )
    message = script.stream("anthropic").final()
    assert (message.reasoning, message.text) == ("Hm.", "Hi")
    assert any(part.kind == "reasoning" and part.signature == "s" for part in message.parts)
    assert [citation.url for citation in message.citations] == ["https://a.example"]


def media() -> None:
    message = testing.script().media(b"wave", "audio/wav").finish("stop").stream("gemini").final()
    assert [(part.mime_type, bytes(part.data)) for part in message.parts if part.kind == "media"] == [
        ("audio/wav", b"wave")
    ]


def server_tools() -> None:
    used = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "Oslo"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []}
    payloads: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "model": "m", "role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": used},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": found},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    message = Stream([sse(payload, event=payload["type"]) for payload in payloads]).final()
    assert [part.name for part in message.parts if part.kind == "server_tool_call"] == ["web_search"]
    assert not message.tool_calls


def snapshots() -> None:
    stream = HELLO.stream("openai-chat")
    kept = []
    for _ in stream.text:
        kept.append(stream.message)
    assert [message.text for message in kept] == ["Hel", "Hello"]
    with pytest.raises(ValidationError, match="frozen"):
        kept[0].id = "other"


def linear_snapshots() -> None:
    def calls(pieces: int) -> int:
        stream, made = testing.script().text(*["word "] * pieces).finish("stop").stream("openai-chat"), 0

        def count(_frame: object, kind: str, _about: object) -> None:
            nonlocal made
            made += kind.endswith("call")

        sys.setprofile(count)
        try:
            for _ in stream.text:
                assert stream.message.text
        finally:
            sys.setprofile(None)
        return made

    assert calls(800) < 5 * calls(200)


# -- structured output -----------------------------------------------------------


def results() -> None:
    for kind in (Recipe, RecipeDict, RecipeClass):
        recipe: Any = RECIPE.stream("openai-chat").result(kind)
        assert (recipe["title"] if isinstance(recipe, dict) else recipe.title) == "Soup"


def drafts() -> None:
    seen = [*RECIPE.stream("openai-chat").partials(Recipe)]
    assert seen[0].get("title") == "Soup"
    assert (seen[0].is_complete("title"), seen[0].is_complete("steps")) == (True, False)
    assert not seen[0].complete
    assert seen[-1].complete


def list_items() -> None:
    assert [*RECIPE.stream("openai-chat").items(str, at="steps")] == ["Cut", "Boil"]


def broken_field() -> None:
    script = testing.script().text('{"title": 3, ', '"steps": []}').finish("stop")
    stream = script.stream("openai-chat")
    with pytest.raises(errors.OutputInvalid) as caught:
        for _ in stream.partials(Recipe, fail_fast=True):
            pass
    assert "title" in caught.value.words_for_model
    told = {"role": "user", "content": caught.value.words_for_model}
    turns = ToolResults(stream.message, {}).turns()
    with connect(ADDRESS, json={**ASKED, "messages": [*turns, told]}, client=playing(RECIPE)) as again:
        assert again.result(Recipe).title == "Soup"


def almost_json() -> None:
    parser = partial_json.PartialJSONParser(lenient=True)
    parser.feed("```json\n{'a': 1,}\n```")
    parser.end()
    assert parser.value == {"a": 1}
    patches = stages.Chain(Partials(Recipe), Patches())
    assert patches.feed('{"title": "S')
    assert patches.feed('oup"')[0][0]["path"] == "/title"


# -- tools -----------------------------------------------------------------------


def tools() -> None:
    router = Router()

    @router.tool
    def look(city: str) -> str:
        """Look at a city."""
        return f"fog in {city}"

    [schema] = router.tools.to_anthropic()
    assert schema["input_schema"]["required"] == ["city"]
    results = LOOK.stream("openai-chat").run(router)
    assert results == {"call_1": "fog in Oslo"}
    [_, turn] = results.turns()
    assert turn["content"] == "fog in Oslo"


def checked_arguments() -> None:
    script = testing.script().tool_call("look", {"town": "Oslo"}, id="call_1").finish("tool_calls")

    def look(city: str) -> str:
        raise AssertionError(city)

    [call] = script.stream("openai-chat").validated_calls(look)
    assert "city" in (call.error_for_model or "")


def running_tools() -> None:
    script = testing.script().tool_call("look", {"city": "Oslo"}).tool_call("look", {"city": "Bergen"})
    router, order = Router(), list[str]()

    @router.tool
    def look(city: str) -> str:
        order.append(f"ran {city}")
        return city

    router.on(events.ToolCallStart)(lambda _: order.append("call"))
    script.finish("tool_calls").stream("openai-chat").run(router)
    assert order == ["call", "ran Oslo", "call", "ran Bergen"]


def once() -> None:
    ran: list[str] = []
    store = MemoryCallStore()

    def look(city: str) -> str:
        ran.append(city)
        return "fog"

    for _ in range(2):
        with LOOK.stream("openai-chat", answer_id="a") as stream:
            for call in stream.validated_calls(look, once=store):
                assert call.run() == "fog"
    assert ran == ["Oslo"]


def progress() -> None:
    router = Router()
    seen: list[object] = []

    @router.tool
    def look(city: str) -> Generator[Any, None, str]:
        yield "half"
        return city

    router.on(events.ToolProgress)(lambda event: seen.append(event.output))
    LOOK.stream("openai-chat").run(router)
    assert seen == ["half"]


def calls_in_text() -> None:
    text = '<tool_call>{"name": "look", "arguments": {"city": "Oslo"}}</tool_call>'
    script = testing.script().text(*text.partition("ment")).finish("stop")
    stream = Stream(script.chunks("openai-chat"), tags=Tags(calls="hermes"))
    assert [call.name for call in stream.final().tool_calls] == ["look"]


# -- failure ---------------------------------------------------------------------


def partials_kept() -> None:
    broken = sse({"error": {"message": "busy"}})
    for source in ([chat({"content": "Hi"})], [chat({"content": "Hi"}), broken]):
        with pytest.raises(errors.StreamError) as caught:
            Stream(source, format="openai-chat").final()
        assert caught.value.partial is not None
        assert caught.value.partial.text == "Hi"


def retrying() -> None:
    cut = HELLO.chunks("openai-chat")[:3]
    answers = iter([cut, HELLO.chunks("openai-chat")])
    with resilient(lambda: next(answers), Retry(wait=0)) as stream:
        assert stream.final().text == "Hello"
        assert [attempt.number for attempt in stream.attempts] == [1, 2]


def continuing() -> None:
    """A model that repeats the last words is believed; one that writes something else is not."""
    told = "A river does not mind a stone. It parts, goes around on both sides, and is one river again."
    words = [f"{word} " for word in told.split()]
    cut = testing.script().text(*words).finish("stop").chunks("openai-chat")[:10]
    for first, confidence in ((5, 0.9), (12, 0.5)):
        answers = iter([cut, testing.script().text(*words[first:]).finish("stop").chunks("openai-chat")])
        retry = Retry(mode="continue", wait=0, seam=Seam(least=0.0))
        with resilient(lambda _, answers=answers: next(answers), retry, format="openai-chat") as stream:
            [seam] = [event for event in stream if isinstance(event, events.Resumed)]
        assert (seam.mode, seam.confidence) == ("continue", confidence)
        assert first > 5 or stream.message.text.split() == told.split()


def _busy(_: httpx.Request) -> httpx.Response:
    return httpx.Response(503)


def routes() -> None:
    busy = httpx.Client(transport=httpx.MockTransport(_busy))
    retry = Retry(wait=0, routes=[Route(ADDRESS, json=ASKED, client=playing(HELLO))])
    first = Route("https://busy.example/v1/chat/completions", json=ASKED, client=busy)
    with connect(first, retry=retry) as stream:
        assert stream.final().text == "Hello"
        hosts = [attempt.route for attempt in stream.attempts]
    assert (hosts[0], hosts[-1]) == ("busy.example", "api.example")


def hedging() -> None:
    opened: list[int] = []

    async def ask() -> AsyncGenerator[bytes]:
        opened.append(len(opened))
        return body(len(opened) == 1)

    async def body(is_slow: bool) -> AsyncGenerator[bytes]:
        script = testing.script().text("Late" if is_slow else "Early").finish("stop")
        for chunk in script.chunks("openai-chat"):
            await anyio.sleep(60 if is_slow else 0)
            yield chunk

    async def main() -> None:
        async with aresilient(ask, Retry(routes=Routes(hedge_after=0.01))) as stream:
            assert (await stream.final()).text == "Early"
        assert [report.mode for report in stream.attempts] == ["start", "hedge"]

    anyio.run(main)


def price_cap() -> None:
    route = Route(ADDRESS, json={**ASKED, "max_tokens": 9}, client=playing(HELLO), price=lambda _: 2.0)
    with connect(route, retry=Retry(most=1.0)) as stream, pytest.raises(errors.OutputIncomplete):
        stream.final()


def deadlines() -> None:
    silent = testing.script().text("Hel").silence(3600).text("lo").finish("stop")
    client = httpx.Client(transport=testing.transport(silent, pace="recorded"))
    limits = Deadlines(idle_bytes=5)
    with (
        connect(ADDRESS, json=ASKED, client=client, deadlines=limits) as stream,
        pytest.raises(errors.StreamStalled),
    ):
        stream.final()


def pauses() -> None:
    first = testing.script(id="msg_1").text("One. ").finish("pause").recording("anthropic")
    second = testing.script(id="msg_2").text("Two.").finish("stop").recording("anthropic")
    client = httpx.Client(transport=testing.transport([first, second]))
    address = "https://api.example/v1/messages"
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    with connect(address, json=asked, client=client, retry=Retry(pauses=2)) as stream:
        assert stream.final().text == "One. Two."


def background() -> None:
    """An answer that breaks off is fetched by its id, and not asked for again."""
    whole = HELLO.chunks("openai-responses")
    finished = json.loads(whole[-1].partition(b"data: ")[2])["response"]
    methods: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        methods.append(request.method)
        if request.method == "GET":
            return httpx.Response(200, json=finished)
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"}, content=b"".join(whole[:-4])
        )

    client = httpx.Client(transport=httpx.MockTransport(answer))
    asked = {"model": "m", "input": "Hi", "stream": True, "background": True}
    retry = Retry(mode="resume", wait=0)
    with connect("https://api.openai.com/v1/responses", json=asked, client=client, retry=retry) as stream:
        assert stream.final().text == "Hello"
    assert methods[0] == "POST"
    assert {*methods[1:]} == {"GET"}


def continuation_tokens() -> None:
    """What ends at a limit of the request goes on from its token."""
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        token = json.loads(request.content).get("continuation_token")
        asked.append(token)
        ended = {"status": "completed"} if token else {"status": "requires_continuation"}
        given = {} if token else {"continuation_token": "token-1"}
        made = {"id": f"v1_{len(asked)}", "object": "interaction", "model": "m"}
        delta = {"type": "text", "text": "Two." if token else "One. "}
        payloads: list[dict[str, Any]] = [
            {"event_type": "interaction.created", "interaction": {**made, "status": "in_progress"}},
            {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
            {"event_type": "step.delta", "index": 0, "delta": delta},
            {"event_type": "step.stop", "index": 0},
            {"event_type": "interaction.completed", "interaction": {**made, **ended, **given}},
        ]
        content = b"".join(sse(payload, event=payload["event_type"]) for payload in payloads)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=content)

    client = httpx.Client(transport=httpx.MockTransport(answer))
    address = "https://generativelanguage.googleapis.com/v1beta/interactions"
    payload = {"model": "m", "input": "Hi", "stream": True}
    with connect(address, json=payload, client=client, retry=Retry(pauses=2)) as stream:
        assert stream.final().text == "One. Two."
    assert asked == [None, "token-1"]


def order() -> None:
    frames = [{"type": "text_delta", "text": text} for text in "ab"]
    assert frames
    chunks = [*HELLO.chunks("openai-responses")]
    chunks[3:5] = [chunks[4], chunks[3], chunks[3]]
    stream = Stream(chunks, format="openai-responses", reorder=stages.Reorder("sequence_number"))
    assert stream.final().text == "Hello"


# -- control -----------------------------------------------------------------------


def stopping() -> None:
    endless = testing.script().text(*["word "] * 1000).finish("stop")
    stream = endless.stream("openai-chat")
    with stream:
        for _ in stream.text:
            stopper = threading.Thread(target=stream.stop, args=("enough",))
            stopper.start()
            stopper.join()
    assert stream.message.ending == "stopped"

    async def in_a_task() -> None:
        async with endless.astream("openai-chat") as stream, anyio.create_task_group() as tasks:
            async for _ in stream.text:
                tasks.start_soon(_stop, stream)
                await anyio.lowlevel.checkpoint()
        assert stream.message.ending == "stopped"
        assert len(stream.message.text) < 5_000

    anyio.run(in_a_task)


async def _stop(stream: AsyncStream) -> None:
    stream.stop("enough")


def leaving() -> None:
    closed: list[bool] = []

    def source() -> Generator[bytes]:
        try:
            yield from HELLO.chunks("openai-chat")
        finally:
            closed.append(True)

    with Stream(source(), format="openai-chat") as stream:
        for _ in stream.text:
            break
    assert closed == [True]


def guards() -> None:
    for guard in (r"lo", stages.Repetition(), stages.Budget(tokens=1)):
        stream = testing.script().text(*["lo "] * 400).finish("stop").stream("openai-chat").guard(guard)
        stream.final()
        assert stream.message.ending == "stopped"


def holding() -> None:
    async def agrees(message: Message) -> None:
        assert message.text

    async def held() -> None:
        async with HELLO.astream("openai-chat").guard(agrees, first_tokens=1, hold=True) as stream:
            assert (await stream.final()).text == "Hello"
        async with HELLO.astream("openai-chat").guard(refuses, first_tokens=1, hold=True) as stream:
            assert not [piece async for piece in stream.text]

    async def refuses(_: Message) -> str:
        return "rude"

    anyio.run(held)


def costs() -> None:
    said = testing.script().text(*["word "] * 400).finish("stop")
    client = httpx.Client(transport=testing.transport(said))
    address, asked = "https://api.openai.com/v1/chat/completions", {**ASKED, "model": "gpt-5"}
    with connect(address, json=asked, client=client, retry=Retry(most=0.001)) as stream:
        assert 0 < len("".join(stream.text)) < 2000
        assert stream.message.ending == "stopped"


def pieces() -> None:
    said = testing.script().text("One two. Thr", "ee four.").finish("stop")
    text = "One two. Three four."
    views = [
        said.stream("openai-chat").text.words(),
        said.stream("openai-chat").text.graphemes(),
        said.stream("openai-chat").text.sentences(),
        said.stream("openai-chat").text.throttle(1000),
        said.stream("openai-chat").text.smooth(0.01),
    ]
    assert ["".join(view) for view in views] == [text] * 5


def markdown() -> None:
    said = testing.script().text("# Title\n\nSome *bo", "ld* text").finish("stop")
    blocks = [*said.stream("openai-chat").text.markdown_blocks()]
    assert blocks[0].text.startswith("# Title")


def redaction() -> None:
    said = testing.script().text("key sk-12", "3456 ends").finish("stop")
    assert "".join(said.stream("openai-chat").text.redact(r"sk-\d{6}")) == "key [redacted] ends"


def unbounded_redaction() -> None:
    with HELLO.stream("openai-chat") as stream, pytest.raises(errors.MisuseError, match="max_length="):
        stream.text.redact(r"sk-\\d+")


def citation_markers() -> None:
    said = testing.script().text("Noon \ue200cite\ue202turn0", "search0\ue201.").finish("stop")
    message = Stream(said.chunks("openai-chat"), tags=Tags(citations=True)).final()
    assert (message.text, len(message.citations)) == ("Noon .", 1)


def sharing() -> None:
    one, two = HELLO.stream("openai-chat").tee(2)
    assert [reader.final().text for reader in (one, two)] == ["Hello", "Hello"]
    merged = tokenstream.merge({"a": HELLO.stream("openai-chat"), "b": HELLO.stream("anthropic")})
    with merged:
        assert {key for key, _ in merged} == {"a", "b"}


def marks() -> None:
    stream = HELLO.stream("openai-chat")
    stream.final()
    metrics = stream.metrics
    assert metrics.ttft is not None
    assert metrics.gaps is not None


def telemetry() -> None:
    backend = Backend()
    observe(HELLO.stream("openai-chat"), **backend.takes).final()
    assert backend.span.attributes is not None
    assert backend.span.attributes["gen_ai.response.finish_reasons"] == ("stop",)


# -- relay -------------------------------------------------------------------------


async def two_tabs(one: relay.Journal, other: relay.Journal) -> None:
    """Two tabs follow an answer, the second from its first text on; one of them stops it."""
    answer, tabs = Answer("Hel", "lo"), [Client(), Client(method="GET")]
    async with anyio.create_task_group() as tasks:
        starting = relay.respond(answer.stream, journal=one, id="a")
        tasks.start_soon(tabs[0].call, starting)
        await tabs[0].until(lambda: b"lo" in tabs[0].body)
        tasks.start_soon(tabs[1].call, relay.follow(other, "a", last_event_id=3))
        await tabs[1].until(lambda: b"lo" in tabs[1].body)
        assert await other.stop("a", reason="enough") == "stopped"
    ends = [tab.body.split(b"data: ")[-1] for tab in tabs]
    assert b'"stopped"' in ends[0]
    assert ends[0] == ends[1]
    assert (b"Hel" in tabs[0].body, b"Hel" in tabs[1].body, answer.closed) == (True, False, True)


def memory_journals() -> None:
    async def main() -> None:
        async with relay.MemoryJournal() as journal:
            await two_tabs(journal, journal)

    anyio.run(main)


def own_journals() -> None:
    """A storage of one's own, which two journals share as two processes do."""

    async def main() -> None:
        storage = Place(in_memory())
        async with Journal(storage) as one, Journal(storage) as other:
            await two_tabs(one, other)

    anyio.run(main)


# -- sessions, agents ----------------------------------------------------------------


def _open(server: testing.Server, path: str) -> Any:
    return websockets.connect(f"{server.ws_url}{path}")


def _asking(path: str) -> None:
    serving = testing.serve([HELLO, HELLO], sessions=True)
    with serving as server, Session(partial(_open, server, path), model="m") as session:
        assert [session.ask("Hi").final().text for _ in range(2)] == ["Hello", "Hello"]


def responses_sessions() -> None:
    _asking("/v1/responses")


def realtime_sessions() -> None:
    _asking("/v1/realtime")


def gemini_live_sessions() -> None:
    with (
        servers.serving(servers.LiveServer()) as url,
        Session(partial(websockets.connect, url), model="gemini-live") as session,
    ):
        assert [session.ask(said).final().text for said in ("one", "two")] == [
            "I know: one",
            "I know: one | two",
        ]


def steering() -> None:
    first = testing.script().text("One ").silence(60).text("two").finish()
    serving = testing.serve([first, HELLO], sessions=True, steers=True, pace="recorded")
    with serving as server:
        opens = partial(_open, server, "/v1/responses")
        with Session(opens, model="m") as session, session.ask("Hi") as answer:
            steers = [session.steer("Shorter.") for _, _ in zip(range(1), answer.text, strict=False)]
            answer.final()
    assert (answer.message.text, steers[0].state) == ("One Hello", "applied")


def steering_agents() -> None:
    stdin, init = io.BytesIO(), '{"type": "system", "subtype": "init"}'
    with Steps() as run:
        for _ in run.follow([init], agent="claude-code", stdin=stdin, until=lambda _: True):
            run.steer("Shorter.")
    assert b"Shorter." in stdin.getvalue()


def gpt_live() -> None:
    started = {"type": "session.started", "event_id": "e", "session": {"id": "l", "model": "gpt-live-1"}}
    spoken = {"type": "session.output_transcript.delta", "event_id": "e", "delta": "Noon."}
    heard = {"type": "session.input_transcript.delta", "event_id": "e", "delta": "Time?"}
    closed = {"type": "session.closed", "event_id": "e", "reason": "close_requested"}
    stream = Stream([started, heard, spoken, closed])
    assert [event.text for event in stream if isinstance(event, InputTranscript)] == ["Time?"]
    assert stream.message.text == "Noon."


def live_interactions() -> None:
    """No session speaks them, and it says which APIs it does speak."""
    spoken = "gemini-live, openai-realtime, openai-responses"
    server = servers.LiveServer()
    server.path = "/v1beta/interactions"
    with servers.serving(server) as url:
        for format in ("gemini-interactions", None):
            with (
                pytest.raises(errors.MisuseError, match=spoken),
                Session(partial(websockets.connect, url), format=format) as session,
            ):
                session.ask("Hi").final()


def translation() -> None:
    stream = Stream([(RECORDINGS / "openai-live" / "translation.sse").read_bytes()])
    heard = [event.text for event in stream if isinstance(event, InputTranscript)]
    assert (heard, stream.message.text) == (["Good day"], "Guten Tag")


def transcription() -> None:
    item = "conversation.item.input_audio_transcription"
    session = {"type": "transcription_session.created", "event_id": "e", "session": {}}
    said = {"type": f"{item}.delta", "event_id": "e", "item_id": "i", "delta": "Hi"}
    whole = {"type": f"{item}.completed", "event_id": "e", "item_id": "i", "transcript": "Hi"}
    assert Stream([session, said, whole], format="transcription").final().text == "Hi"


def _run(lines: Any) -> Steps:
    with Steps() as run:
        for _ in run.follow(lines):
            pass
    return run


def coding_agents() -> None:
    lines = [
        '{"type": "thread.started", "thread_id": "t"}',
        '{"type": "turn.started"}',
        '{"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": "Done."}}',
        '{"type": "turn.completed", "usage": {"input_tokens": 1, "output_tokens": 1}}',
    ]
    assert [turn.result for turn in _run(lines).turns] == ["Done."]


def acp() -> None:
    recorded = RECORDINGS.parent / "steps" / "agents" / "recordings" / "acp-own-opencode.jsonl"
    run = _run(map(json.loads, recorded.read_bytes().splitlines()))
    [turn] = run.turns
    assert (turn.result, [step.name for step in turn.step.steps]) == ("It said hello.", ["bash", "bash"])


def a2a() -> None:
    run = _run(events_of("a2a/task-1.0"))
    assert (run.agent, [turn.result for turn in run.turns]) == ("a2a", ["Oslo is sunny, today."])


def hosted_sessions() -> None:
    run = _run(events_of("anthropic-agents/tools"))
    assert (run.agent, [turn.result for turn in run.turns]) == (
        "anthropic-agents",
        ["One passed, one failed."],
    )


def sync_view() -> None:
    async def source() -> AsyncGenerator[bytes]:
        for chunk in HELLO.chunks("openai-chat"):
            await asyncio.sleep(0)
            yield chunk

    assert Stream(source(), format="openai-chat").final().text == "Hello"


# -- tests ---------------------------------------------------------------------------


def every_cut() -> None:
    """Each answer that was cut says so, and keeps what had arrived."""
    cuts = testing.every_cut(HELLO.recording("openai-chat"), every=40)
    for broken in cuts:
        stream = broken.stream()
        with suppress(errors.StreamError):
            stream.final()
        assert "Hello".startswith(stream.message.text)
    assert len(cuts) > 2


def virtual_clock() -> None:
    with testing.VirtualClock() as clock:
        stream = HELLO.stream("openai-chat")
    clock.advance(90)
    stream.final()
    assert stream.metrics.duration == 90


def mock_server() -> None:
    with testing.serve(HELLO) as server, connect(f"{server.url}/v1/messages", json={}) as stream:
        assert stream.final().text == "Hello"


def faults() -> None:
    broken = testing.fault_matrix(HELLO.recording("openai-chat"))
    endings: set[str] = set()
    for recording in broken:
        stream = recording.stream()
        with suppress(errors.StreamError):
            stream.final()
        endings.add(stream.message.ending)
    assert {"complete", "truncated", "failed"} <= endings
