"""A small program for each capability that this library has: it fails if the table on the page is wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import anyio
import httpx
import pytest
import websockets.sync.client as websockets
from pydantic import BaseModel
from typing_extensions import TypedDict as SchemaDict

import tokenstream
from tests.otel.backend import Backend
from tests.support.asgi import Client
from tests.support.wire import DONE, chat, chat_call, sse
from tokenstream import (
    Deadlines,
    InputTranscript,
    Message,
    Retry,
    Route,
    Router,
    Session,
    Steps,
    Stream,
    Tags,
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
from tokenstream._apis import ProtocolName
from tokenstream.call_store import MemoryCallStore
from tokenstream.framing import SSEParser
from tokenstream.otel import observe
from tokenstream.stages._objects.partials import Partials
from tokenstream.stages._patches import Patches
from tokenstream.turns import ToolResults

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

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


def detection() -> None:
    for format in ("openai-chat", "anthropic", "gemini", "bedrock-converse", "cohere", "ollama"):
        stream = Stream([b"".join(HELLO.chunks(format))])
        assert (stream.final().text, stream.format) == ("Hello", format)


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


def told_again() -> None:
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


def snapshots() -> None:
    stream = HELLO.stream("openai-chat")
    kept = []
    for _ in stream.text:
        kept.append(stream.message)
    assert [message.text for message in kept] == ["Hel", "Hello"]


# -- structured output -----------------------------------------------------------


def results() -> None:
    for kind in (Recipe, RecipeDict, RecipeClass):
        recipe: Any = RECIPE.stream("openai-chat").result(kind)
        assert (recipe["title"] if isinstance(recipe, dict) else recipe.title) == "Soup"


def drafts() -> None:
    seen = [*RECIPE.stream("openai-chat").partials(Recipe)]
    assert seen[0].get("title") == "Soup"
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

    assert router.tools.to_anthropic()[0]["name"] == "look"
    results = LOOK.stream("openai-chat").run(router)
    assert results == {"call_1": "fog in Oslo"}
    assert results.turns()


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


def questions() -> None:
    ask = {"jsonrpc": "2.0", "id": 1, "method": "session/request_permission", "params": {"sessionId": "s"}}
    with Steps() as run:
        for _ in run.follow([json.dumps(ask)], agent="acp", until=lambda _: True):
            assert [each.id for each in run.waiting] == ["1"]


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


def routes() -> None:
    busy = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(503)))
    route = Route(ADDRESS, json=ASKED, client=playing(HELLO), price=lambda _: 0.0)
    retry = Retry(wait=0, attempts=2, routes=[route], most=1.0)
    with connect(Route(ADDRESS, json=ASKED, client=busy, price=lambda _: 0.0), retry=retry) as stream:
        assert stream.final().text == "Hello"


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


def checkpoints() -> None:
    chunks = HELLO.chunks("openai-responses")
    with Stream(chunks, format="openai-responses") as stream:
        next(iter(stream.text))
        kept = stream.checkpoint().model_dump_json()
    program = (
        "import sys, tokenstream as t; print(t.Checkpoint.model_validate_json(sys.stdin.read()).message.text)"
    )
    other = subprocess.run(
        [sys.executable, "-c", program], input=kept, capture_output=True, text=True, check=True
    )
    assert other.stdout == "Hel\n"


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
            threading.Thread(target=stream.stop, args=("enough",)).start()
            break
    assert stream.message.ending == "stopped"


def guards() -> None:
    for guard in (r"lo", stages.Repetition(), stages.Budget(tokens=1)):
        stream = testing.script().text(*["lo "] * 400).finish("stop").stream("openai-chat").guard(guard)
        stream.final()
        assert stream.message.ending == "stopped"

    async def agrees(message: Message) -> None:
        assert message.text

    async def held() -> None:
        async with HELLO.astream("openai-chat").guard(agrees, first_tokens=1, hold=True) as stream:
            assert (await stream.final()).text == "Hello"

    anyio.run(held)


def costs() -> None:
    said = testing.script().text(*["word "] * 400).finish("stop")
    client = httpx.Client(transport=testing.transport(said))
    address, asked = "https://api.openai.com/v1/chat/completions", {**ASKED, "model": "gpt-5"}
    with connect(address, json=asked, client=client) as stream:
        assert stream.guard(stages.Budget(most=0.001)).final().ending == "stopped"


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
    backend = Backend()
    observe(HELLO.stream("openai-chat"), **backend.takes).final()
    assert backend.span.attributes


# -- relay -------------------------------------------------------------------------


def protocols() -> None:
    for protocol in get_args(ProtocolName):
        assert b"".join(relay.encode(HELLO.stream("openai-chat"), protocol))


def journals() -> None:
    async def main() -> None:
        async with relay.MemoryJournal() as journal:
            await Client().call(relay.respond(HELLO.astream("openai-chat"), journal=journal, id="a"))
            again = Client(method="GET")
            await again.call(relay.follow(journal, "a"))
            assert b"Hel" in again.body

    anyio.run(main)


def pages() -> None:
    folder = Path(relay.__file__).parent / "browser"
    assert (folder / "message.js").is_file()


# -- sessions, agents ----------------------------------------------------------------


def _open(server: testing.Server, path: str) -> Any:
    return websockets.connect(f"{server.ws_url}{path}")


def sessions() -> None:
    for path in ("/v1/responses", "/v1/realtime"):
        serving = testing.serve([HELLO, HELLO], sessions=True)
        with (
            serving as server,
            Session(partial(websockets.connect, f"{server.ws_url}{path}"), model="m") as session,
        ):
            assert [session.ask("Hi").final().text for _ in range(2)] == ["Hello", "Hello"]


def steering() -> None:
    first = testing.script().text("One ").silence(60).text("two").finish()
    serving = testing.serve([first, HELLO], sessions=True, steers=True, pace="recorded")
    with serving as server:
        opens = partial(_open, server, "/v1/responses")
        with Session(opens, model="m") as session, session.ask("Hi") as answer:
            steers = [session.steer("Shorter.") for _, _ in zip(range(1), answer.text, strict=False)]
            answer.final()
    assert (answer.message.text, steers[0].state) == ("One Hello", "applied")
    stdin, init = io.BytesIO(), '{"type": "system", "subtype": "init"}'
    with Steps() as run:
        for _ in run.follow([init], agent="claude-code", stdin=stdin, until=lambda _: True):
            run.steer("Shorter.")
    assert b"Shorter." in stdin.getvalue()


def live() -> None:
    item = "conversation.item.input_audio_transcription"
    started = {"type": "session.started", "event_id": "e", "session": {"id": "l", "model": "gpt-live-1"}}
    spoken = {"type": "session.output_transcript.delta", "event_id": "e", "delta": "Noon."}
    heard = {"type": "session.input_transcript.delta", "event_id": "e", "delta": "Time?"}
    closed = {"type": "session.closed", "event_id": "e", "reason": "close_requested"}
    stream = Stream([started, heard, spoken, closed])
    assert [event.text for event in stream if isinstance(event, InputTranscript)] == ["Time?"]
    assert stream.message.text == "Noon."
    session = {"type": "transcription_session.created", "event_id": "e", "session": {}}
    said = {"type": f"{item}.delta", "event_id": "e", "item_id": "i", "delta": "Hi"}
    whole = {"type": f"{item}.completed", "event_id": "e", "item_id": "i", "transcript": "Hi"}
    assert Stream([session, said, whole], format="transcription").final().text == "Hi"


def agents() -> None:
    lines = [
        '{"type": "thread.started", "thread_id": "t"}',
        '{"type": "turn.started"}',
        '{"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": "Done."}}',
        '{"type": "turn.completed", "usage": {"input_tokens": 1, "output_tokens": 1}}',
    ]
    with Steps() as run:
        for _ in run.follow(lines):
            pass
    assert [turn.result for turn in run.turns] == ["Done."]


def sync_view() -> None:
    async def source() -> AsyncGenerator[bytes]:
        for chunk in HELLO.chunks("openai-chat"):
            await asyncio.sleep(0)
            yield chunk

    assert Stream(source(), format="openai-chat").final().text == "Hello"


# -- tests ---------------------------------------------------------------------------


def testing_kit() -> None:
    recording = HELLO.recording("openai-chat")
    for broken in testing.every_cut(recording, every=40):
        with suppress(errors.StreamError):
            broken.stream().final()
    assert [*testing.fault_matrix(recording)]
    with testing.serve(HELLO) as server, connect(f"{server.url}/v1/messages", json={}) as stream:
        assert stream.final().text == "Hello"


PROBES: dict[str, Callable[[], None]] = {
    "spec-clean SSE (BOM, `retry:`-only, CR, U+2028, bad UTF-8), chunk-invariant": event_streams,
    "framing alone, importable": framing,
    "formats of providers read / detected from bytes": detection,
    "wraps other SDKs' streams (`tap`)": tapping,
    "unknown events kept; departures named": unknown,
    "verdict: clean end without finish is no success": verdict,
    "two calls on one index / interleaved calls right": calls_in_turns,
    "cut arguments never a call": cut_arguments,
    "a call told again is one call": told_again,
    "usage never nulled, with provenance": usage,
    "reasoning, signatures, citations, media, server tools": parts,
    "snapshot at any time, immutable, linear": snapshots,
    "typed result; dataclass/TypedDict too": results,
    "drafts per delta with required fields; finality per field": drafts,
    "each list item when it closes": list_items,
    "stop at the first broken field; reask with reason": broken_field,
    "repaired almost-JSON, fences; JSON patches": almost_json,
    "schema from function, arguments checked, run while streaming, results as turns": tools,
    "exactly once over retries and processes (store)": once,
    "tool that yields progress (generator)": progress,
    "tool calls written as text (`<tool_call>…`)": calls_in_text,
    "approval / human in the loop": questions,
    "partial on every exception": partials_kept,
    "retry mid-stream / continue with told confidence": retrying,
    "routes, fallback, hedge, price cap": routes,
    "deadline on every silence (sync too)": deadlines,
    "pauses, background, continuation tokens as one answer": pauses,
    "checkpoint to another process": checkpoints,
    "reorder, de-duplicate": order,
    "stop from thread or task; leaving closes": stopping,
    "guards: regex, repetition, tokens, hold": guards,
    "money budget while streaming, price table": costs,
    "smooth, words, graphemes, sentences, throttle": pieces,
    "markdown blocks, repaired": markdown,
    "redact across chunks": redaction,
    "OpenAI's inline citation markers (U+E200–E202) resolved or removed": citation_markers,
    "fan-out / merge": sharing,
    "marks of time, gaps, OTel": marks,
    "to browsers: protocols": protocols,
    "resumable, tabs, stop; store": journals,
    "JS package, React hooks": pages,
    "WebSocket sessions (Responses, Realtime, Gemini Live)": sessions,
    "steer / inject into a running answer": steering,
    "GPT-Live, Live Interactions, realtime translation/transcription": live,
    "coding agents, ACP, A2A, hosted sessions as runs": agents,
    "sync view of an async source": sync_view,
    "scripts, recordings, every cut, virtual clock, mock server, fault matrix": testing_kit,
}
"""The probe of each capability, by the words of its row."""
